package text

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Line returns s as one line that shows everything that is in it: control characters (NUL, ESC, CR, LF, tab, C1), line and
// paragraph separators, bidirectional controls, other invisible characters, private and unassigned ones appear as \u{1b}, bytes
// that are not UTF-8 as \x{ff}. Letters, marks, digits, signs and emoji of every script stay. What it returns neither moves a
// cursor, nor turns a line around, nor begins one.
func Line(s string) string {
	if i := strings.IndexFunc(s, hidden); i < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x{%02x}`, s[i])
		case r != utf8.RuneError && hidden(r) && !joins(s, i, r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

const (
	zeroWidthNonJoiner = '\u200C'
	zeroWidthJoiner    = '\u200D'
)

// hidden reports whether a character has no picture of its own, or is the sign of a byte that was none.
func hidden(r rune) bool {
	return r == utf8.RuneError || !unicode.IsGraphic(r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// joins reports whether the character at i is a joiner between two characters above ASCII: scripts of India and Persia spell with
// them, and emoji are put together by them. Elsewhere it hides a difference between two texts.
func joins(s string, i int, r rune) bool {
	if r != zeroWidthJoiner && r != zeroWidthNonJoiner {
		return false
	}
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	after, _ := utf8.DecodeRuneInString(s[i+utf8.RuneLen(r):])
	return before > unicode.MaxASCII && !hidden(before) && after > unicode.MaxASCII && !hidden(after)
}

// Fprintf writes to people: a terminal, or a file that somebody opens in one. The format is ours and is written as it is; every
// argument is foreign and appears as Line shows it.
func Fprintf(out io.Writer, format string, args ...any) error {
	_, err := io.WriteString(out, Sprintf(format, args...))
	return err
}

// FprintError writes an error to people, each of its lines behind a prefix: nothing in it passes for a line of ours.
func FprintError(out io.Writer, prefix string, failed error) {
	for line := range strings.SplitSeq(failed.Error(), "\n") {
		_ = Fprintf(out, "%s: %s\n", prefix, line) // standard error is the last place to say anything
	}
}

// FprintJSON writes a value as one line of JSON for programs, with hidden characters escaped by the rules of JSON.
func FprintJSON(out io.Writer, value any) error {
	raw, err := json.Marshal(value)
	if err == nil {
		_, err = out.Write(append(escapeJSON(raw), '\n'))
	}
	return err
}

// FprintIndentedJSON is FprintJSON with a line for each field.
func FprintIndentedJSON(out io.Writer, value any) error {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err == nil {
		_, err = out.Write(append(escapeJSON(raw), '\n'))
	}
	return err
}

// escapeJSON escapes hidden characters of valid JSON. Outside of its texts there are none but the line ends and tabs of its form.
func escapeJSON(raw []byte) []byte {
	shown := func(r rune) bool { return r == '\n' || r == '\t' || !hidden(r) }
	if bytes.IndexFunc(raw, func(r rune) bool { return !shown(r) }) < 0 {
		return raw
	}
	out := make([]byte, 0, len(raw)+16)
	for _, r := range string(raw) {
		switch high, low := utf16.EncodeRune(r); {
		case shown(r):
			out = utf8.AppendRune(out, r)
		case high != utf8.RuneError:
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// Sprintf is fmt.Sprintf with its arguments shown as lines.
func Sprintf(format string, args ...any) string {
	shown := make([]any, len(args))
	for i, a := range args {
		switch a.(type) {
		case int, int32, int64, uint, uint32, uint64, bool:
			shown[i] = a // also a width
		default:
			shown[i] = visible{a}
		}
	}
	return fmt.Sprintf(format, shown...)
}

// visible formats a value as fmt does, with its text shown as a line.
type visible struct{ value any }

// Format implements fmt.Formatter.
func (v visible) Format(s fmt.State, verb rune) {
	if verb == 's' || verb == 'v' {
		text := fmt.Sprintf("%"+string(verb), v.value)
		_, _ = fmt.Fprintf(s, fmt.FormatString(s, 's'), Line(text)) // padded after it was made visible
		return
	}
	_, _ = io.WriteString(s, Line(fmt.Sprintf(fmt.FormatString(s, verb), v.value)))
}
