package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/money"
)

// AgreementTextVersion names the wording of Agreement.Text. A change of the wording is
// a new version; contracts keep the one that they were signed with.
const AgreementTextVersion = "id-en-1"

// Agreement is everything that a signed contract says.
type Agreement struct {
	// Number is ContractNumber's.
	Number string
	// SignTime is when the right code came. It is printed as Jakarta has it.
	SignTime time.Time
	// Place, LenderName and LenderAddress are the lender's.
	Place, LenderName, LenderAddress string
	// BorrowerName is as on the identity card, BorrowerID the user as the marketplace
	// names them, BorrowerTarget the masked target that the code went to.
	BorrowerName, BorrowerID, BorrowerTarget string
	// Checkout and Challenge are typed ids: what is bought first, and the code's proof.
	Checkout, Challenge string
	// Product is the version that was signed for; its late rule is printed.
	Product Product
	// Plan is the plan of the first purchase.
	Plan Plan
}

// BlockKind is how a piece of a contract looks.
type BlockKind uint8

const (
	// BlockTitle is the one heading of a language.
	BlockTitle BlockKind = 1
	// BlockHeading begins a section.
	BlockHeading BlockKind = 2
	// BlockText is a paragraph.
	BlockText BlockKind = 3
	// BlockField is a name and its value: two cells.
	BlockField BlockKind = 4
	// BlockHead is the head of a table, BlockRow a row below it.
	BlockHead BlockKind = 5
	// BlockRow is a row of a table.
	BlockRow BlockKind = 6
)

// Block is a piece of a contract.
type Block struct {
	Kind  BlockKind
	Cells []string
}

// Text is the contract in Bahasa Indonesia, then in English, in its one wording.
func (c Agreement) Text() []Block {
	return append(c.in(indonesian()), c.in(english())...)
}

// ContentHash is the SHA-256 of the text, hex: the cells of each block parted by
// tabs, blocks by line feeds. It is printed below the text that it is of.
func ContentHash(text []Block) string {
	var b strings.Builder
	for _, block := range text {
		b.WriteString(strings.Join(block.Cells, "\t"))
		b.WriteByte('\n')
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:])
}

// in is the contract in one language.
func (c Agreement) in(w wording) []Block {
	p := c.Plan
	field := func(name, value string) Block { return Block{BlockField, []string{name, value}} }
	heading := func(text string) Block { return Block{BlockHeading, []string{text}} }
	day := civil.Of(c.SignTime, c.Product.Zone())
	out := []Block{
		{BlockTitle, []string{w.title}},
		field(w.number, c.Number),
		field(w.placeAndDate, c.Place+", "+w.date(day)),
		field(w.version, c.Product.ContractVersion+" ("+AgreementTextVersion+")"),
		heading(w.parties),
		field(w.lender, strings.Join([]string{c.LenderName, c.LenderAddress}, ", ")),
		field(w.borrower, c.BorrowerName+" ("+c.BorrowerID+")"),
		heading(w.facility),
		{BlockText, []string{fmt.Sprintf(w.agreement, c.Product.Name, c.Product.Code, c.Product.Version)}},
		heading(w.purchase),
		field(w.checkout, c.Checkout),
		field(w.principal, w.amount(p.Principal)),
		field(w.downPayment, w.amount(p.DownPayment)),
		field(w.interest, w.amount(p.Interest)+" ("+w.percent(p.MonthlyRatePPM)+" "+w.perMonth+")"),
		field(w.fee, w.amount(p.Fee)),
		field(w.total, w.amount(p.Total)),
		field(w.effective, w.percent(p.EffectiveAnnualRatePPM)+" "+w.perYear),
		{BlockHead, []string{w.no, w.due, w.principal, w.interest, w.fee, w.total}},
	}
	for _, in := range p.Instalments {
		out = append(out, Block{BlockRow, []string{fmt.Sprint(in.Sequence), w.date(in.DueDate), w.amount(in.Principal),
			w.amount(in.Interest), w.amount(in.Fee), w.amount(in.Total)}})
	}
	return append(out,
		Block{BlockText, []string{w.datesNote}},
		heading(w.lateHeading), Block{BlockText, []string{c.late(w)}},
		heading(w.signature),
		Block{BlockText, []string{fmt.Sprintf(w.signed, c.BorrowerName, c.SignTime.In(c.Product.Zone()).Format("2006-01-02 15:04:05 -0700"),
			c.BorrowerTarget, c.Challenge)}})
}

// late is the late fee rule in words.
func (c Agreement) late(w wording) string {
	s := c.Product.Servicing
	var text string
	switch s.Late.Basis {
	case LatePerMonth:
		text = fmt.Sprintf(w.latePerMonth, w.percent(s.Late.RatePPM))
	case LatePerDay:
		text = fmt.Sprintf(w.latePerDay, w.percent(s.Late.RatePPM))
	default:
		return w.lateNone
	}
	if s.GraceDays > 0 {
		text += " " + fmt.Sprintf(w.grace, s.GraceDays)
	}
	if s.Late.WaiveBelow.IsPositive() {
		text += " " + fmt.Sprintf(w.waived, w.amount(s.Late.WaiveBelow))
	}
	if limit, ok := s.CapOn(civil.Of(c.SignTime, c.Product.Zone()), c.Plan.TenorMonths); ok {
		text += " " + fmt.Sprintf(w.limited, w.percent(limit.TotalPPM))
	}
	return text
}

// amount is an amount as the language writes it: "Rp 1.234.567", "IDR 1,234,567".
func (w wording) amount(a money.Amount) string {
	digits := a.Decimal()
	sign := ""
	if rest, negative := strings.CutPrefix(digits, "-"); negative {
		digits, sign = rest, "-"
	}
	whole, part, fractional := strings.Cut(digits, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + w.thousands + whole[i:]
	}
	if fractional {
		whole += w.decimal + part
	}
	code := a.Currency().Code()
	if code == "IDR" && w.rupiah != "" {
		code = w.rupiah
	}
	return code + " " + sign + whole
}

// percent is a rate in parts per million as a percentage, exact: "2,95 %".
func (w wording) percent(ppm int64) string {
	const perPercent = money.PPM / 100
	sign := ""
	if ppm < 0 {
		sign, ppm = "-", -ppm
	}
	text := fmt.Sprintf("%s%d", sign, ppm/perPercent)
	if part := strings.TrimRight(fmt.Sprintf("%04d", ppm%perPercent), "0"); part != "" {
		text += w.decimal + part
	}
	return text + " %"
}

// date is a date with the month's name.
func (w wording) date(d civil.Date) string {
	return fmt.Sprintf("%d %s %d", d.Day, w.months[d.Month-1], d.Year)
}
