package domain

import "github.com/creditpay/creditpay/pkg/money"

// Instalment is one instalment of a plan. Principal + Interest + Fee = Total.
type Instalment struct {
	// Sequence is its position, 1 for the first.
	Sequence int32
	// DueDate as YYYY-MM-DD; empty when not known.
	DueDate string
	// Principal, Interest, Fee and Total of the instalment.
	Principal, Interest, Fee, Total money.Amount
}

// Plan is an instalment plan as the bill service tells it; this service only shows and adds plans.
type Plan struct {
	// ProductCode and ProductVersion name the product.
	ProductCode    string
	ProductVersion int32
	// TenorMonths is the number of instalments.
	TenorMonths int32
	// InterestMethod is the number of creditpay.common.v1.InterestMethod.
	InterestMethod int32
	// Principal, Interest, Fee and Total of the plan, and the down payment that it asks for.
	Principal, Interest, Fee, Total, DownPayment money.Amount
	// MonthlyRatePPM and EffectiveAnnualRatePPM in parts per million; the latter is 0 when it is not known.
	MonthlyRatePPM, EffectiveAnnualRatePPM int64
	// Instalments in order.
	Instalments []Instalment
}

// SumPlans adds the plans of several orders into the one that the payer sees. It answers false when there is none, or when they
// are not of one product, version and tenor and cannot be added. Of different due dates the earliest counts. Rates that differ
// become 0, "not known".
func SumPlans(plans []Plan) (Plan, bool) {
	if len(plans) == 0 {
		return Plan{}, false
	}
	total := plans[0]
	total.Instalments = append([]Instalment(nil), plans[0].Instalments...)
	for _, p := range plans[1:] {
		if p.ProductCode != total.ProductCode || p.ProductVersion != total.ProductVersion || p.TenorMonths != total.TenorMonths ||
			len(p.Instalments) != len(total.Instalments) {
			return Plan{}, false
		}
		var s adder
		total.Principal, total.Interest = s.add(total.Principal, p.Principal), s.add(total.Interest, p.Interest)
		total.Fee, total.Total = s.add(total.Fee, p.Fee), s.add(total.Total, p.Total)
		total.DownPayment = s.add(total.DownPayment, p.DownPayment)
		for i, q := range p.Instalments {
			t := &total.Instalments[i]
			t.Principal, t.Interest = s.add(t.Principal, q.Principal), s.add(t.Interest, q.Interest)
			t.Fee, t.Total = s.add(t.Fee, q.Fee), s.add(t.Total, q.Total)
			t.DueDate = earlier(t.DueDate, q.DueDate)
		}
		if p.MonthlyRatePPM != total.MonthlyRatePPM {
			total.MonthlyRatePPM = 0
		}
		if p.EffectiveAnnualRatePPM != total.EffectiveAnnualRatePPM {
			total.EffectiveAnnualRatePPM = 0
		}
		if s.failed {
			return Plan{}, false
		}
	}
	return total, true
}

// adder adds amounts and remembers whether one addition failed. An amount that is not set adds nothing.
type adder struct{ failed bool }

func (s *adder) add(a, b money.Amount) money.Amount {
	switch {
	case a.Currency().IsZero():
		return b
	case b.Currency().IsZero():
		return a
	}
	sum, err := a.Add(b)
	s.failed = s.failed || err != nil
	return sum
}

// earlier is the earlier of two dates YYYY-MM-DD; an empty one does not count.
func earlier(a, b string) string {
	if a == "" || (b != "" && b < a) {
		return b
	}
	return a
}

// NextDueDate is the first due date on or after today over all plans, as YYYY-MM-DD; empty when there is none. Dates in this form
// compare as text.
func NextDueDate(plans []Plan, today string) string {
	next := ""
	for _, p := range plans {
		for _, i := range p.Instalments {
			if i.DueDate >= today {
				next = earlier(next, i.DueDate)
			}
		}
	}
	return next
}
