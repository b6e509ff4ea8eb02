package contractpdf

import (
	"slices"
	"strings"

	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/language"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/math/fixed"
)

// em is the size that texts are shaped in; figures are scaled to the size on paper when they are drawn.
const em = 1000

// millimetres in a point.
const point = 25.4 / 72

// shaped is a text in lines.
type shaped struct {
	letters []rune
	lines   []shaping.Line
	// plain marks the runs that the document's own typeface prints.
	plain *font.Face
}

// shape breaks a text into lines of a width, in units of an em: letters take the forms that their script gives them beside each other,
// and runs stand in the order in which they are read from left to right. scale is the size of a unit on paper.
func (p *printer) shape(s string, width, scale float64) (shaped, error) {
	f, err := p.typefaces()
	if err != nil {
		return shaped{}, err
	}
	out := shaped{letters: []rune(f.visible(s)), plain: font.NewFace(f.list[0].Font)}
	var segmenter shaping.Segmenter
	var shaper shaping.HarfbuzzShaper
	var runs []shaping.Output
	for _, part := range parts(out.letters) {
		input := shaping.Input{Text: out.letters, RunStart: part.start, RunEnd: part.end, Direction: di.DirectionLTR, Size: fixed.I(em),
			Language: language.NewLanguage("en")}
		if part.plain {
			input.Face, input.Script = out.plain, language.Latin
			input.FontFeatures = []shaping.FontFeature{{Tag: opentype.MustNewTag("kern")}, {Tag: opentype.MustNewTag("liga")}} // off
			runs = append(runs, p.measured(shaper.Shape(input), out.letters, scale))
			continue
		}
		for _, run := range segmenter.Split(input, f) {
			runs = append(runs, shaper.Shape(run))
		}
	}
	var wrapper shaping.LineWrapper
	lines, _ := wrapper.WrapParagraphF(shaping.WrapConfig{Direction: di.DirectionLTR}, fixed.Int26_6(width*64), out.letters, shaping.NewSliceIterator(runs))
	for _, line := range lines {
		line = slices.Clone(line) // the wrapper's memory is its own
		slices.SortStableFunc(line, func(a, b shaping.Output) int { return int(a.VisualIndex - b.VisualIndex) })
		out.lines = append(out.lines, line)
	}
	return out, nil
}

// measured sets the letters of a plain run, one glyph each, the widths that the document's own typeface has.
func (p *printer) measured(run shaping.Output, letters []rune, scale float64) shaping.Output {
	for i := range run.Glyphs {
		g := &run.Glyphs[i]
		g.Advance = fixed.Int26_6(p.pdf.GetStringWidth(p.encode(string(letters[g.TextIndex()]))) / scale * 64)
	}
	run.RecomputeAdvance()
	return run
}

// part is a piece of a text: words that Windows-1252 has, or words that it has not with the spaces between them.
type part struct {
	start, end int
	plain      bool
}

func parts(letters []rune) []part {
	var out []part
	for at := 0; at < len(letters); {
		end := at + 1 // a space is a part of its own, until it joins one
		for end < len(letters) && letters[at] != ' ' && letters[end] != ' ' {
			end++
		}
		next := part{at, end, plain(string(letters[at:end]))}
		n := len(out)
		switch {
		case n > 0 && out[n-1].plain == next.plain:
			out[n-1].end = end
		case n > 1 && !next.plain && strings.TrimSpace(string(letters[out[n-1].start:out[n-1].end])) == "":
			out[n-2].end = end // two foreign words with a space between them: they may be read from right to left
			out = out[:n-1]
		default:
			out = append(out, next)
		}
		at = end
	}
	return out
}

// units is a measure of a shaped text in units of an em.
func units(v fixed.Int26_6) float64 { return float64(v) / 64 }

// drawn prints a text with words in letters that Windows-1252 has not, those words as outlines: lines of height h from the position of
// the document on, which is at the left margin below them afterwards.
func (p *printer) drawn(h float64, text, align string) {
	left, _, right, _ := p.pdf.GetMargins()
	pageWidth, pageHeight := p.pdf.GetPageSize()
	_, bottom := p.pdf.GetAutoPageBreak()
	x, y := p.pdf.GetXY()
	room := pageWidth - right - x - 2*p.pdf.GetCellMargin()
	size, _ := p.pdf.GetFontSize()
	scale := size * point / em
	s, err := p.shape(text, room/scale, scale)
	if err != nil {
		p.pdf.SetError(err)
		return
	}
	for _, line := range s.lines {
		if y+h > pageHeight-bottom {
			p.pdf.AddPage()
			y = p.pdf.GetY()
		}
		width := 0.0
		for _, run := range line {
			width += units(run.Advance) * scale
		}
		at := x + p.pdf.GetCellMargin()
		switch align {
		case "C":
			at += (room - width) / 2
		case "R":
			at += room - width
		}
		// The base line is where a cell of this document has it.
		base := y + h/2 + 0.3*size*point
		for _, run := range line {
			if run.Face == s.plain {
				p.pdf.Text(at, base, p.encode(string(s.letters[run.Runes.Offset:run.Runes.Offset+run.Runes.Count])))
				at += units(run.Advance) * scale
			} else {
				at = p.drawRun(run, at, base, scale)
			}
		}
		y += h
	}
	p.pdf.SetXY(left, y)
}

// drawRun draws letters of one typeface from x on and returns where they end.
func (p *printer) drawRun(run shaping.Output, x, base, scale float64) float64 {
	perUnit := scale * em / float64(run.Face.Upem())
	for _, g := range run.Glyphs {
		if outline, ok := run.Face.GlyphData(g.GlyphID).(font.GlyphOutline); ok {
			p.draw(outline, x+units(g.XOffset)*scale, base-units(g.YOffset)*scale, perUnit)
		}
		x += units(g.Advance) * scale
	}
	return x
}

// draw fills the outline of a letter.
func (p *printer) draw(o font.GlyphOutline, x, y, scale float64) {
	if len(o.Segments) == 0 {
		return // a space
	}
	type place struct{ x, y float64 }
	on := func(s opentype.SegmentPoint) place { return place{x + float64(s.X)*scale, y - float64(s.Y)*scale} }
	var pen place
	open := false
	for _, s := range o.Segments {
		a := on(s.Args[0])
		switch s.Op {
		case opentype.SegmentOpMoveTo:
			if open {
				p.pdf.ClosePath()
			}
			p.pdf.MoveTo(a.x, a.y)
			pen, open = a, true
		case opentype.SegmentOpLineTo:
			p.pdf.LineTo(a.x, a.y)
			pen = a
		case opentype.SegmentOpQuadTo:
			// A document has cubic curves only; this is the same curve.
			end := on(s.Args[1])
			p.pdf.CurveBezierCubicTo(pen.x+(a.x-pen.x)*2/3, pen.y+(a.y-pen.y)*2/3, end.x+(a.x-end.x)*2/3, end.y+(a.y-end.y)*2/3, end.x, end.y)
			pen = end
		case opentype.SegmentOpCubeTo:
			b, end := on(s.Args[1]), on(s.Args[2])
			p.pdf.CurveBezierCubicTo(a.x, a.y, b.x, b.y, end.x, end.y)
			pen = end
		}
	}
	p.pdf.ClosePath()
	p.pdf.DrawPath("F")
}
