// Package contractpdf owns how a contract looks on paper: it prints the blocks of domain.Agreement as a PDF.
//
// It must not word anything and must not know what a block means. The same text and time give the same bytes.
package contractpdf

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"codeberg.org/go-pdf/fpdf"

	"github.com/creditpay/creditpay/pkg/text"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

const (
	margin     = 18.0 // millimetres, as everything here
	lineHeight = 4.6
	fieldWidth = 48.0
	bodySize   = 9.0 // points, as all sizes
	smallSize  = 7.0
	footSpace  = 22.0
)

// columns are the widths of a table's cells: number, date, and amounts.
func columns(n int) []float64 {
	const number, date, width = 10.0, 38.0, 210 - 2*margin
	out := []float64{number, date}
	for i := len(out); i < n; i++ {
		out = append(out, (width-number-date)/float64(n-2))
	}
	return out[:n]
}

// Print makes the document of a contract: A4, with the contract's number and the SHA-256 of its text below each page. The content is
// not compressed: a contract is small, and any tool can search it. A text with letters that Windows-1252 has not is drawn in embedded
// typefaces, letter by letter, as its script wants it; a search does not find it. A letter that none of them has appears as its code.
func (p *Press) Print(blocks []domain.Block, number string, signed time.Time) ([]byte, error) {
	pdf := fpdf.New("P", "mm", "A4", "")
	// Everything that would differ between two prints is fixed.
	pdf.SetCompression(false)
	pdf.SetCatalogSort(true)
	pdf.SetCreationDate(signed.UTC())
	pdf.SetModificationDate(signed.UTC())
	pdf.SetProducer("Credit Pay", true)
	pdf.SetTitle(number, true)
	pdf.SetMargins(margin, margin, margin)
	pdf.SetAutoPageBreak(true, footSpace)
	page := &printer{pdf: pdf, encode: pdf.UnicodeTranslatorFromDescriptor(""), typefaces: sync.OnceValues(func() (*faces, error) {
		fonts, err := p.fonts()
		return newFaces(fonts), err
	})}
	hash := domain.ContentHash(blocks)
	pdf.SetFooterFunc(func() {
		pdf.SetY(-footSpace + lineHeight)
		pdf.SetFont("Helvetica", "", smallSize)
		pdf.CellFormat(0, lineHeight, fmt.Sprintf("%s  -  %d", number, pdf.PageNo()), "T", 1, "C", false, 0, "")
		pdf.CellFormat(0, lineHeight, "SHA-256 "+hash, "", 0, "C", false, 0, "")
	})
	for _, block := range blocks {
		page.block(block)
	}
	var out bytes.Buffer
	if err := pdf.Output(&out); err != nil {
		return nil, fmt.Errorf("print contract %s: %w", number, err)
	}
	return out.Bytes(), nil
}

// printer prints blocks one below the other.
type printer struct {
	pdf       *fpdf.Fpdf
	encode    func(string) string
	typefaces func() (*faces, error)
}

// paragraph prints a text in lines of height h, as wide as what is left of the page.
func (p *printer) paragraph(h float64, s, align string) {
	if s = text.Line(s); plain(s) {
		p.pdf.MultiCell(0, h, p.encode(s), "", align, false)
	} else {
		p.drawn(h, s, align)
	}
}

func (p *printer) block(b domain.Block) {
	switch b.Kind {
	case domain.BlockTitle:
		p.pdf.AddPage() // Each language begins on a page of its own.
		p.font("B", bodySize+5)
		p.paragraph(2*lineHeight, b.Cells[0], "C")
	case domain.BlockHeading:
		p.pdf.Ln(lineHeight / 2)
		p.font("B", bodySize+1)
		p.paragraph(lineHeight+1, b.Cells[0], "L")
	case domain.BlockField:
		p.font("", bodySize)
		p.pdf.CellFormat(fieldWidth, lineHeight, p.encode(text.Line(b.Cells[0])), "", 0, "L", false, 0, "")
		p.paragraph(lineHeight, b.Cells[1], "L")
	case domain.BlockHead:
		p.pdf.Ln(lineHeight / 2)
		p.font("B", bodySize)
		p.row(b.Cells)
	case domain.BlockRow:
		p.font("", bodySize)
		p.row(b.Cells)
	default: // BlockText
		p.font("", bodySize)
		p.paragraph(lineHeight, b.Cells[0], "L")
	}
}

func (p *printer) font(style string, size float64) { p.pdf.SetFont("Helvetica", style, size) }

// row prints cells beside each other; all but the first two hold amounts.
func (p *printer) row(cells []string) {
	widths := columns(len(cells))
	for i, cell := range cells {
		align, end := "R", 0
		if i < 2 {
			align = "L"
		}
		if i == len(cells)-1 {
			end = 1
		}
		p.pdf.CellFormat(widths[i], lineHeight+0.6, p.encode(text.Line(cell)), "B", end, align, false, 0, "")
	}
}
