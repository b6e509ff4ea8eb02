package text_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

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

func TestPrinter_ShowsArgumentsAndKeepsFormats(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := text.NewPrinter(&out)
	if err := p.Printf("%-6s|%d|%v|%q|%*d\n", "a\nb", 7, errors.New("x\x1b"), "q\x1b", 3, 5); err != nil {
		t.Fatal(err)
	}
	if err := p.Printf("%s %x\n", []string{"\r"}, "\x1b"); err != nil {
		t.Fatal(err)
	}
	want := "a\\u{a}b|7|x\\u{1b}|\"q\\x1b\"|  5\n[\\u{d}] 1b\n"
	if out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}
