package domain

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// FactKind is what happened to a loan. The numbers are stored, and they are the
// order of facts of one day.
type FactKind uint8

const (
	// FactLateFeeWaived is an operator's gift of late fees charged so far, oldest
	// first; what was paid of them already belongs back to the payer. It comes
	// first, so that money of the same day is not spent on a fee that is forgiven.
	FactLateFeeWaived FactKind = 1
	// FactRepaid is money of the payer.
	FactRepaid FactKind = 2
	// FactRefunded is goods taken back by the shop: so much less principal. It comes
	// after money of the same day (Apache Fineract's UC07).
	FactRefunded FactKind = 3
	// FactEarlySettled is money that pays the loan off at the price of QuotePayOff.
	// When it does not reach that price, because an earlier repayment bounced, it
	// counts as FactRepaid.
	FactEarlySettled FactKind = 4
	// FactWrittenOff gives the loan up. Its amount does not matter.
	FactWrittenOff FactKind = 5
	// FactRecovered is money that comes after a write-off. Before one it counts as
	// FactRepaid; FactRepaid and FactEarlySettled after one count as this.
	FactRecovered FactKind = 6
)

// String is the name, such as "REPAID".
func (k FactKind) String() string {
	return nameOf([]string{"", "LATE_FEE_WAIVED", "REPAID", "REFUNDED", "EARLY_SETTLED", "WRITTEN_OFF", "RECOVERED"}, uint8(k), "FACT_KIND")
}

// Valid reports whether k is one of the named kinds.
func (k FactKind) Valid() bool { return k >= FactLateFeeWaived && k <= FactRecovered }

// IsMoney reports whether the fact brings money of the payer.
func (k FactKind) IsMoney() bool {
	return k == FactRepaid || k == FactEarlySettled || k == FactRecovered
}

// Fact is something that happened to a loan that runs. It never changes; a
// repayment that bounced is simply left out of the facts.
type Fact struct {
	// ID is the repayment's, refund's or operator's act.
	ID ids.ID
	// Kind is what happened.
	Kind FactKind
	// Date is the value date in the product's calendar, not before the loan's start.
	Date civil.Date
	// Amount is positive; a write-off may have nothing of the currency.
	Amount money.Amount
}

// Check returns nil when the fact can be one of a loan of a currency that started
// on a date. It fails with ErrInvariant.
func (f Fact) Check(c money.Currency, start civil.Date) error {
	switch {
	case f.ID.IsZero() || !f.Kind.Valid():
		return broken("fact %s has the id %s", f.Kind, f.ID)
	case !f.Date.Valid() || f.Date.Before(start):
		return broken("%s of %s is before the start of the loan on %s", f.Kind, f.Date, start)
	case f.Amount.Currency() != c:
		return broken("%s of %s is not in %s", f.Kind, f.Amount, c)
	case f.Amount.IsNegative() || (f.Amount.IsZero() && f.Kind != FactWrittenOff) || money.Bounded(f.Amount) != nil:
		return broken("%s of %s", f.Kind, f.Amount)
	default:
		return nil
	}
}

// compareFacts is the one order in which facts count: by value date, then kind,
// then id. It does not depend on when they became known.
func compareFacts(a, b Fact) int {
	return cmp.Or(a.Date.Compare(b.Date), cmp.Compare(a.Kind, b.Kind), bytes.Compare(a.ID[:], b.ID[:]))
}

// inOrder is the facts up to a date, checked and in their order. Each id may come
// once.
func inOrder(facts []Fact, terms Contract, until civil.Date) ([]Fact, error) {
	seen := make(map[ids.ID]bool, len(facts))
	var out []Fact
	for _, f := range facts {
		if err := f.Check(terms.Product.Currency, terms.Start); err != nil {
			return nil, err
		}
		if seen[f.ID] {
			return nil, broken("fact %s comes twice", f.ID)
		}
		seen[f.ID] = true
		if !f.Date.After(until) {
			out = append(out, f)
		}
	}
	asRepaid(out)
	slices.SortFunc(out, compareFacts)
	return out, nil
}

// asRepaid makes recoveries before the write-off what they count as, so that they
// take the place of ordinary money among the facts of their day: a settlement
// that was quoted after them is paid after them.
func asRepaid(facts []Fact) {
	var gone civil.Date
	for _, f := range facts {
		if f.Kind == FactWrittenOff && (gone.IsZero() || f.Date.Before(gone)) {
			gone = f.Date
		}
	}
	for i := range facts {
		if f := &facts[i]; f.Kind == FactRecovered && (gone.IsZero() || f.Date.Before(gone)) {
			f.Kind = FactRepaid
		}
	}
}
