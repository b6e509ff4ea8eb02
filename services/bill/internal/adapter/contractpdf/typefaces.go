package contractpdf

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"

	"github.com/go-text/typesetting/font"

	"github.com/creditpay/creditpay/pkg/text"
)

// The typefaces, each for one script or a family of them. Their licences lie beside them.
//
//go:embed fonts/*.ttf.gz
var fontFiles embed.FS

// fontNames are the typefaces in the order in which they are asked for a letter: the first that has it prints it.
func fontNames() []string {
	return []string{"latin", "arabic", "hebrew", "thai", "lao", "khmer", "myanmar", "devanagari", "bengali", "gurmukhi", "gujarati", "tamil",
		"telugu", "kannada", "malayalam", "sinhala", "armenian", "georgian", "korean", "cjk"}
}

// Press prints contracts. Its typefaces are read when the first letter beyond Windows-1252 is printed or asked for.
type Press struct {
	fonts func() ([]*font.Font, error)
}

// New makes a press.
func New() *Press { return &Press{fonts: sync.OnceValues(readFonts)} }

func readFonts() ([]*font.Font, error) {
	var out []*font.Font
	for _, name := range fontNames() {
		packed, err := fontFiles.Open("fonts/" + name + ".ttf.gz")
		if err != nil {
			return nil, fmt.Errorf("open the typeface %s: %w", name, err)
		}
		unpacked, err := gzip.NewReader(packed)
		if err != nil {
			return nil, fmt.Errorf("unpack the typeface %s: %w", name, err)
		}
		raw, err := io.ReadAll(unpacked)
		if err != nil {
			return nil, fmt.Errorf("unpack the typeface %s: %w", name, err)
		}
		face, err := font.ParseTTF(bytes.NewReader(raw))
		if err != nil {
			return nil, fmt.Errorf("read the typeface %s: %w", name, err)
		}
		out = append(out, face.Font)
	}
	return out, nil
}

// Missing returns the first letter of a text that no typeface has; false when all of it can be printed.
func (p *Press) Missing(s string) (rune, bool, error) {
	if plain(s) {
		return 0, false, nil
	}
	fonts, err := p.fonts()
	if err != nil {
		return 0, false, err
	}
	f := newFaces(fonts)
	for _, r := range s {
		if !f.has(r) {
			return r, true, nil
		}
	}
	return 0, false, nil
}

// plain reports whether the document's own typeface has every letter of a text: it has those of Windows-1252.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !inWindows1252(r) })
}

func inWindows1252(r rune) bool {
	return r < 0x7F || r >= 0xA0 && r <= 0xFF || strings.ContainsRune("€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ", r)
}

// faces are the typefaces as one print uses them. They keep what they have looked up, so they serve one goroutine.
type faces struct{ list []*font.Face }

func newFaces(fonts []*font.Font) *faces {
	f := &faces{}
	for _, one := range fonts {
		f.list = append(f.list, font.NewFace(one))
	}
	return f
}

// joiner reports whether a character shapes its neighbours and is never seen itself.
func joiner(r rune) bool {
	return r == '\u200C' || r == '\u200D' || unicode.Is(unicode.Variation_Selector, r)
}

func (f *faces) has(r rune) bool {
	if joiner(r) {
		return true
	}
	for _, face := range f.list {
		if _, ok := face.NominalGlyph(r); ok {
			return true
		}
	}
	return false
}

// ResolveFace implements shaping.Fontmap.
func (f *faces) ResolveFace(r rune) *font.Face {
	for _, face := range f.list {
		if _, ok := face.NominalGlyph(r); ok {
			return face
		}
	}
	return f.list[0]
}

// visible is a text as it is printed: on one line, with what no typeface has as its code.
func (f *faces) visible(s string) string {
	var b strings.Builder
	for _, r := range text.Line(s) {
		if f.has(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
	}
	return b.String()
}
