package text_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"pgregory.net/rapid"

	"github.com/creditpay/creditpay/pkg/text"
)

const family = "👨‍👩‍👧" // three people and two joiners: one letter to a reader

func TestCut_KeepsLettersWhole(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		most int
		want string
	}{
		{"short", 5, "short"},
		{"longer", 5, "long…"},
		{strings.Repeat("😀", 100), 5, "😀😀😀😀…"},
		{"ab" + family + "c", 5, "ab…"},                          // no half family
		{"cafe\u0301s cafes", 5, "caf…"},                         // the accent goes with its e
		{"a\xffb", 5, "a\uFFFDb"},                                // a byte that is no letter
		{"e" + strings.Repeat("\u0301", 9), 4, "e\u0301\u0301…"}, // one letter larger than the room
		{"abc", 1, "…"},
	} {
		if got := text.Cut(c.in, c.most); got != c.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", c.in, c.most, got, c.want)
		}
	}
}

func TestCut_FitsItsColumnForAnyBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		most := rapid.IntRange(1, 40).Draw(t, "most")
		cut, bytes := text.Cut(s, most), text.CutBytes(s, most)
		if !utf8.ValidString(cut) || utf8.RuneCountInString(cut) > most {
			t.Fatalf("Cut(%q, %d) = %q", s, most, cut)
		}
		if !utf8.ValidString(bytes) || len(bytes) > most {
			t.Fatalf("CutBytes(%q, %d) = %q", s, most, bytes)
		}
		if utf8.ValidString(s) && utf8.RuneCountInString(s) <= most && cut != s {
			t.Fatalf("Cut(%q, %d) = %q, want it whole", s, most, cut)
		}
		if foreign := text.Foreign([]byte(s), most); foreign != text.Cut(text.Line(s), most) {
			t.Fatalf("Foreign(%q, %d) = %q", s, most, foreign)
		}
	})
}

func TestLine_ShowsWhatATerminalWouldObey(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain, ünïcödé, 中文 हिन्दी ไทย عربي": "plain, ünïcödé, 中文 हिन्दी ไทย عربي",
		"\x1b[2Jgone":           `\u{1b}[2Jgone`,
		"a\r\nb\tc":             `a\u{d}\u{a}b\u{9}c`,
		"a\u009b31mb\u0085":     `a\u{9b}31mb\u{85}`,
		"user\u202egnp.exe":     `user\u{202e}gnp.exe`,
		"a\u2066b\u2069\u200f":  `a\u{2066}b\u{2069}\u{200f}`,
		"a\u2028b\u2029":        `a\u{2028}b\u{2029}`,
		"nul\x00 del\x7f":       `nul\u{0} del\u{7f}`,
		"pay\u200bpal\ufeff":    `pay\u{200b}pal\u{feff}`,
		"pay\u200dpal":          `pay\u{200d}pal`,
		family + " क्\u200dष":   family + " क्\u200dष",
		"\xff\xc3(":             `\x{ff}\x{c3}(`,
		"\ufffd stays":          "\ufffd stays",
		"hangul filler \u3164x": `hangul filler \u{3164}x`,
	} {
		if got := text.Line(in); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestFprintf_ShowsArgumentsAndKeepsFormats(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := errors.Join(
		text.Fprintf(&out, "%-6s|%d|%v|%q|%*d\n", "a\nb", 7, errors.New("x\x1b"), "q\x1b", 3, 5),
		text.Fprintf(&out, "%s %x %s\n", []string{"\r"}, "\x1b", []byte("b\x1b")))
	text.FprintError(&out, "ctl", errors.New("one\ntwo\x1b"))
	want := "a\\u{a}b|7|x\\u{1b}|\"q\\x1b\"|  5\n[\\u{d}] 1b b\\u{1b}\nctl: one\nctl: two\\u{1b}\n"
	if err != nil || out.String() != want {
		t.Errorf("printed %q, %v; want %q", out.String(), err, want)
	}
}

// odd is a text with what a terminal would obey.
const odd = "a\x1b[2J\r\nb\u009b\u202e\u2028\x00\x7f\U000e0041\u200bé😀"

func TestFprintJSON_HidesNothingAndReadsBack(t *testing.T) {
	t.Parallel()
	for lines, print := range map[int]func(io.Writer, any) error{1: text.FprintJSON, 3: text.FprintIndentedJSON} {
		var out bytes.Buffer
		if err := print(&out, map[string]string{odd: odd}); err != nil {
			t.Fatal(err)
		}
		var back map[string]string
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || back[odd] != odd {
			t.Errorf("%q, %v", back, err)
		}
		got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(got) != lines || slices.ContainsFunc(got, func(line string) bool { return text.Line(line) != line }) {
			t.Errorf("%q, want %d visible lines", got, lines)
		}
	}
}

func TestLogEncoder_KeepsALineALine(t *testing.T) {
	t.Parallel()
	for name, encoder := range map[string]zapcore.Encoder{"json": zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()),
		"console": zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())} {
		var out bytes.Buffer
		log := zap.New(zapcore.NewCore(text.LogEncoder(encoder), zapcore.AddSync(&out), zapcore.DebugLevel))
		log.With(zap.String("with", odd)).Info("said: "+odd, zap.String("reason", odd), zap.Error(errors.New(odd)), zap.ByteString("raw", []byte(odd+"\xff")))
		line, rest, _ := strings.Cut(out.String(), "\n")
		if rest != "" || text.Line(strings.ReplaceAll(line, "\t", " ")) != strings.ReplaceAll(line, "\t", " ") {
			t.Errorf("%s: %q", name, out.String())
		}
		if name == "json" {
			var back map[string]any
			if err := json.Unmarshal([]byte(line), &back); err != nil || back["reason"] != odd {
				t.Errorf("%q, %v", back["reason"], err)
			}
		}
	}
}
