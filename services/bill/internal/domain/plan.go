package domain

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

// Plan is an instalment plan for an amount: what it costs and when it is paid.
type Plan struct {
	// ProductCode and ProductVersion name the product it was made with.
	ProductCode    string
	ProductVersion int
	// TenorMonths is the number of instalments, Method how interest is computed.
	TenorMonths int
	Method      InterestMethod
	// Principal is the amount financed, Interest and Fee all of each, Total what
	// the user pays in all: principal + interest + fee.
	Principal, Interest, Fee, Total money.Amount
	// MonthlyRatePPM is the nominal rate of a month in parts per million, for
	// display (Tenor.MonthlyRatePPM).
	MonthlyRatePPM int64
	// EffectiveAnnualRatePPM is EffectiveAnnualRatePPM of the instalments.
	EffectiveAnnualRatePPM int64
	// DownPayment is what is paid at once besides; BuildPlan sets nothing of the
	// currency, for the caller who split a price (Product.SplitPrice) to replace.
	DownPayment money.Amount
	// Instalments are in order.
	Instalments []Instalment
}

// BuildPlan is the plan that finances principal from startDate on: the date of
// confirmation, or today (in the product's zone) for a quote.
//
// It fails with errs.TenorNotOffered, errs.InvalidArgument for a date that does
// not exist, errs.ProductNotEligible when the plan costs more than the law of the
// date allows (Product.CheckCost), and as Schedule does. Eligibility is the
// caller's to check.
func BuildPlan(p Product, tenorMonths int, principal money.Amount, startDate civil.Date) (Plan, error) {
	plan, err := buildPlan(p, tenorMonths, principal, startDate)
	if err != nil {
		return Plan{}, err
	}
	if err := p.CheckCost(plan, startDate); err != nil {
		return Plan{}, err
	}
	return plan, nil
}

// buildPlan is BuildPlan without the bounds of law: a contract that was made
// within them is kept when its goods are confirmed.
func buildPlan(p Product, tenorMonths int, principal money.Amount, startDate civil.Date) (Plan, error) {
	tenor, err := p.TenorOf(tenorMonths)
	if err != nil {
		return Plan{}, err
	}
	list, err := ScheduleFrom(p, tenor, principal, startDate)
	if err != nil {
		return Plan{}, err
	}
	if list, err = dated(list, p, startDate); err != nil {
		return Plan{}, err
	}
	plan := Plan{
		ProductCode: p.Code, ProductVersion: p.Version, TenorMonths: tenorMonths, Method: p.Method,
		MonthlyRatePPM: tenor.MonthlyRatePPM(), DownPayment: money.Zero(p.Currency), Instalments: list,
	}
	return plan.totalled(p.Currency)
}

// dated is a copy of instalments with the due dates of a start date.
func dated(list []Instalment, p Product, start civil.Date) ([]Instalment, error) {
	if !start.Valid() {
		return nil, errs.InvalidArgument.New("start date %s does not exist", start)
	}
	out := slices.Clone(list)
	for i, due := range DueDates(p, start, len(out)) {
		if !due.Valid() {
			return nil, errs.InvalidArgument.New("start date %s is too far ahead", start)
		}
		out[i].DueDate = due
	}
	return out, nil
}

// startedOn is the plan with the due dates of a start date, computed anew where
// the product's interest depends on dates.
func (pl Plan) startedOn(p Product, start civil.Date) (Plan, error) {
	if p.countsDays() {
		return pl.rebuilt(p, pl.Principal, start)
	}
	list, err := dated(pl.Instalments, p, start)
	if err != nil {
		return Plan{}, err
	}
	pl.Instalments = list
	return pl, nil
}

// rebuilt is the plan computed anew with the fixed fee that this one has, which a
// refund may have made smaller than the product's, in proportion to the principal.
func (pl Plan) rebuilt(p Product, principal money.Amount, start civil.Date) (Plan, error) {
	byRate, err := pl.Principal.MulPPM(p.FeeRatePPM, p.Rounding)
	if err != nil {
		return Plan{}, err
	}
	fixed, err := pl.Fee.Sub(byRate)
	if err != nil {
		return Plan{}, err
	}
	if p.FeeFixed, err = fixed.MulRat(big.NewRat(principal.Minor(), pl.Principal.Minor()), money.Down); err != nil {
		return Plan{}, err
	}
	next, err := buildPlan(p, pl.TenorMonths, principal, start)
	next.DownPayment = pl.DownPayment
	return next, err
}

// totalled is the plan with the sums and the effective rate of its instalments,
// checked.
func (pl Plan) totalled(c money.Currency) (Plan, error) {
	sums, err := addUp(c, pl.Instalments)
	if err != nil {
		return Plan{}, err
	}
	pl.Principal, pl.Interest, pl.Fee, pl.Total = sums.Principal, sums.Interest, sums.Fee, sums.Total
	if pl.EffectiveAnnualRatePPM, err = EffectiveAnnualRatePPM(pl.Principal, pl.Instalments); err != nil {
		return Plan{}, err
	}
	if err := pl.Check(); err != nil {
		return Plan{}, err
	}
	return pl, nil
}

// SumPlans is the sum, instalment by instalment, of the plans of several orders:
// what the payer of a checkout sees. The plans must be of one product version,
// tenor, currency and set of due dates, else errs.InvalidArgument; none at all
// is refused too. Each plan keeps its own rounding, so the sum may differ by a
// few units from one plan of the summed principal.
func SumPlans(plans []Plan) (Plan, error) {
	if len(plans) == 0 {
		return Plan{}, errs.InvalidArgument.New("no plan to add up")
	}
	sum := plans[0]
	if err := sum.Check(); err != nil {
		return Plan{}, fmt.Errorf("add up plan 1: %w", err)
	}
	sum.Instalments = slices.Clone(sum.Instalments)
	for i, next := range plans[1:] {
		if err := next.Check(); err != nil {
			return Plan{}, fmt.Errorf("add up plan %d: %w", i+2, err)
		}
		if !sum.matches(next) {
			return Plan{}, errs.InvalidArgument.New("plan %d differs in product, tenor, currency or due dates", i+2)
		}
		var err error
		for k := range sum.Instalments {
			if sum.Instalments[k], err = addParts(sum.Instalments[k], next.Instalments[k]); err != nil {
				return Plan{}, errs.AmountOutOfRange.Wrap(err, "the plans add up to too much")
			}
		}
		if sum.DownPayment, err = sum.DownPayment.Add(next.DownPayment); err != nil {
			return Plan{}, errs.AmountOutOfRange.Wrap(err, "the down payments add up to too much")
		}
	}
	return sum.totalled(sum.Principal.Currency())
}

// matches reports whether two checked plans can be added up.
func (pl Plan) matches(other Plan) bool {
	return pl.ProductCode == other.ProductCode && pl.ProductVersion == other.ProductVersion &&
		pl.TenorMonths == other.TenorMonths && pl.Method == other.Method &&
		pl.MonthlyRatePPM == other.MonthlyRatePPM &&
		pl.Principal.Currency() == other.Principal.Currency() &&
		slices.EqualFunc(pl.Instalments, other.Instalments, func(a, b Instalment) bool {
			return a.DueDate == b.DueDate
		})
}

// Check returns nil when the plan's figures agree: each sum with its instalments
// and each total with its parts, no part negative, the principal positive, the
// due dates rising. Run it before INSERT and after SELECT. It fails with
// ErrInvariant.
func (pl Plan) Check() error {
	c := pl.Principal.Currency()
	switch {
	case pl.ProductCode == "" || pl.ProductVersion < 1 || !pl.Method.Valid():
		return broken("plan names no product: %q version %d, %s", pl.ProductCode, pl.ProductVersion, pl.Method)
	case c.IsZero():
		return broken("plan has no currency")
	case !pl.Principal.IsPositive():
		return broken("plan finances %s", pl.Principal)
	case len(pl.Instalments) != pl.TenorMonths || pl.TenorMonths < 1:
		return broken("plan of %d months has %d instalments", pl.TenorMonths, len(pl.Instalments))
	case pl.DownPayment.Currency() != c || pl.DownPayment.IsNegative():
		return broken("down payment is %s", pl.DownPayment)
	case pl.MonthlyRatePPM < 0 || pl.EffectiveAnnualRatePPM < 0:
		return broken("plan has a negative rate")
	}
	sums, err := addUp(c, pl.Instalments)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		what      string
		got, want money.Amount
	}{
		{"plan's principal", pl.Principal, sums.Principal},
		{"plan's interest", pl.Interest, sums.Interest},
		{"plan's fee", pl.Fee, sums.Fee},
		{"plan's total", pl.Total, sums.Total},
	} {
		if err := equal(f.what, f.got, f.want); err != nil {
			return err
		}
	}
	var last civil.Date
	for _, in := range pl.Instalments {
		if !in.DueDate.Valid() || !in.DueDate.After(last) {
			return broken("instalment %d is due on %s after %s", in.Sequence, in.DueDate, last)
		}
		last = in.DueDate
	}
	return nil
}
