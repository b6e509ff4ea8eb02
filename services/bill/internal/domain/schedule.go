package domain

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

// Instalment is one monthly payment of a plan. Total is principal + interest +
// fee; none of them is negative.
type Instalment struct {
	// Sequence is the position, 1 for the first.
	Sequence int
	// DueDate is a date of the product's calendar; zero in a bare schedule.
	DueDate civil.Date
	// Principal, Interest and Fee are the parts, Total is what the user pays.
	Principal, Interest, Fee, Total money.Amount
}

// Schedule computes the amounts of the instalments of a loan, without due dates.
// Each period is a whole month (30/360; see ScheduleFrom for actual days); r is
// the tenor's exact monthly rate, n its months, P the principal. "round" is the product's rounding to a minor unit,
// "round_u" the same to a whole RoundingMultiple; every result is rounded once.
//
//   - FlatPerMonth: interest I = round(P·r·n). FlatPerTransaction: I = round(P·r).
//     Zero: I = 0. The instalment is round_u((P+I)/n), its interest round(I/n),
//     the rest of it principal. The instalment named by RemainderTo absorbs what
//     is left of both.
//   - DecliningEqualInstalment: the instalment is round_u(P·r/(1−(1+r)^−n)), or
//     round_u(P/n) when r is 0. Its interest is round(balance·r), the rest of it
//     principal. The last one is the balance and its interest.
//   - DecliningEqualPrincipal: the principal is round_u(P/n), with what is left
//     over in the instalment named by RemainderTo; the interest is
//     round(balance·r).
//
// The handling fee (see Product.Fee) is added to the first instalment. A part is
// never more than what is left of its sum and never less than zero: of 8 rupiah
// in 12 parts rounded half up, eight parts are 1 and four are 0.
//
// The steps are those of Apache Fineract, whose published tables are tests here.
// Whether the product finances this amount is for Product.Eligible to say.
//
// It fails with errs.CurrencyMismatch, errs.AmountOutOfRange (the principal is
// not positive, or a sum is too large), errs.InvalidArgument (tenor or product
// that Validate would refuse) or ErrInvariant.
func Schedule(p Product, tenor Tenor, principal money.Amount) ([]Instalment, error) {
	if p.countsDays() {
		return nil, errs.InvalidArgument.New("product %s counts days: its schedule needs a start date", p.Code)
	}
	return schedule(p, tenor, principal, slices.Repeat([]*big.Rat{tenor.rate()}, max(tenor.Months, 0)))
}

// ScheduleFrom is the Schedule of a loan that starts on a date. It differs from
// Schedule for declining methods whose DayCount counts days: there the rate of
// period k is the annual rate × its days / 365 or 360, where the first period runs
// from start to the first due date, shorter or longer than a month, and each other
// one from due date to due date. The equal instalment is then
//
//	round_u(P·Π(1+r_k) / F_n), F_1 = 1, F_k = F_(k−1)·(1+r_k) + 1.
//
// It fails as Schedule does, and with errs.InvalidArgument for a date that does
// not exist.
func ScheduleFrom(p Product, tenor Tenor, principal money.Amount, start civil.Date) ([]Instalment, error) {
	if !p.countsDays() {
		return Schedule(p, tenor, principal)
	}
	if !start.Valid() {
		return nil, errs.InvalidArgument.New("start date %s does not exist", start)
	}
	year := int64(365)
	if p.DayCount == Actual360 {
		year = 360
	}
	daily := new(big.Rat).Mul(tenor.rate(), big.NewRat(monthsPerYear, year))
	var rates []*big.Rat
	from := start
	for _, due := range DueDates(p, start, tenor.Months) {
		days := new(big.Rat).SetInt64(int64(from.DaysUntil(due)))
		rates = append(rates, days.Mul(days, daily))
		from = due
	}
	return schedule(p, tenor, principal, rates)
}

// countsDays reports whether the interest of the product depends on its dates.
func (p Product) countsDays() bool { return p.Method.declining() && p.DayCount != Thirty360 }

// schedule is Schedule with the rate of each period, for declining methods.
func schedule(p Product, tenor Tenor, principal money.Amount, rates []*big.Rat) ([]Instalment, error) {
	if err := checkPositive(p, principal); err != nil {
		return nil, err
	}
	if err := checkTerms(p, tenor); err != nil {
		return nil, err
	}
	fee, err := p.Fee(principal)
	if err != nil {
		return nil, fmt.Errorf("compute schedule: %w", err)
	}
	var out []Instalment
	switch p.Method {
	case DecliningEqualInstalment:
		out, err = equalInstalments(p, rates, principal)
	case DecliningEqualPrincipal:
		out, err = equalPrincipals(p, rates, principal)
	default:
		out, err = flatInstalments(p, tenor, principal)
	}
	if err != nil {
		return nil, fmt.Errorf("compute schedule by %s: %w", p.Method, err)
	}
	for i := range out {
		out[i].Sequence = i + 1
		out[i].Fee = money.Zero(p.Currency)
		if i == 0 {
			out[i].Fee = fee
		}
		if out[i].Total, err = money.Sum(p.Currency, out[i].Principal, out[i].Interest, out[i].Fee); err != nil {
			return nil, fmt.Errorf("add up instalment %d: %w", i+1, err)
		}
	}
	if err := checkSchedule(tenor, principal, fee, out); err != nil {
		return nil, err
	}
	return out, nil
}

// checkTerms refuses what the formulas cannot work with.
func checkTerms(p Product, tenor Tenor) error {
	switch {
	case !p.Method.Valid(), !p.Rounding.Valid(), !p.RemainderTo.Valid(), !p.FeeTiming.Valid(), !p.DayCount.Valid(),
		p.RoundingMultiple < 1, p.RoundingMultiple > MaxRoundingMultiple,
		p.RemainderTo == RemainderFirst && p.Method == DecliningEqualInstalment:
		return errs.InvalidArgument.New("product %s version %d is not valid", p.Code, p.Version)
	case tenor.Months < 1 || tenor.Months > MaxTenorMonths:
		return errs.InvalidArgument.New("tenor must be 1 to %d months, is %d", MaxTenorMonths, tenor.Months)
	case p.FeeRatePPM < 0 || p.FeeRatePPM > MaxRatePPM || p.FeeFixed.IsNegative():
		return errs.InvalidArgument.New("product %s has an invalid fee", p.Code)
	}
	if err := p.checkRate(tenor); err != nil {
		return errs.InvalidArgument.Wrap(err, "product %s: %v", p.Code, err)
	}
	return nil
}

// flatInstalments is Schedule for the methods with a fixed sum of interest.
func flatInstalments(p Product, tenor Tenor, principal money.Amount) ([]Instalment, error) {
	rate := tenor.rate()
	switch p.Method {
	case FlatPerMonth:
		rate.Mul(rate, new(big.Rat).SetInt64(int64(tenor.Months)))
	case Zero:
		rate.SetInt64(0)
	default: // FlatPerTransaction takes the rate once; the declining methods do not come here.
	}
	interest, err := principal.MulRat(rate, p.Rounding)
	if err != nil {
		return nil, fmt.Errorf("compute interest: %w", err)
	}
	interests, err := shares(interest, tenor.Months, 1, p.Rounding)
	if err != nil {
		return nil, fmt.Errorf("share interest: %w", err)
	}
	whole, err := principal.Add(interest)
	if err != nil {
		return nil, fmt.Errorf("add interest: %w", err)
	}
	each, err := roundTo(whole, big.NewRat(1, int64(tenor.Months)), p.RoundingMultiple, p.Rounding)
	if err != nil {
		return nil, fmt.Errorf("share instalments: %w", err)
	}
	out := make([]Instalment, tenor.Months)
	left := principal
	for i := range out {
		part := left
		if i < len(out)-1 {
			if part, err = rest(each, interests[i], left); err != nil {
				return nil, err
			}
		}
		out[i] = Instalment{Principal: part, Interest: interests[i]}
		if left, err = left.Sub(part); err != nil {
			return nil, fmt.Errorf("reduce balance: %w", err)
		}
	}
	if p.RemainderTo == RemainderFirst {
		slices.Reverse(out)
	}
	return out, nil
}

// equalInstalments is Schedule for the annuity.
func equalInstalments(p Product, rates []*big.Rat, principal money.Amount) ([]Instalment, error) {
	factor := annuityFactor(rates[0], len(rates))
	if p.countsDays() {
		factor = unevenAnnuityFactor(rates)
	}
	each, err := roundTo(principal, factor, p.RoundingMultiple, p.Rounding)
	if err != nil {
		return nil, fmt.Errorf("compute the equal instalment: %w", err)
	}
	out := make([]Instalment, len(rates))
	balance := principal
	for i := range out {
		interest, err := balance.MulRat(rates[i], p.Rounding)
		if err != nil {
			return nil, fmt.Errorf("compute interest of period %d: %w", i+1, err)
		}
		part := balance
		if i < len(out)-1 {
			if part, err = rest(each, interest, balance); err != nil {
				return nil, err
			}
		}
		out[i] = Instalment{Principal: part, Interest: interest}
		if balance, err = balance.Sub(part); err != nil {
			return nil, fmt.Errorf("reduce balance: %w", err)
		}
	}
	return out, nil
}

// equalPrincipals is Schedule for equal parts of principal.
func equalPrincipals(p Product, rates []*big.Rat, principal money.Amount) ([]Instalment, error) {
	parts, err := shares(principal, len(rates), p.RoundingMultiple, p.Rounding)
	if err != nil {
		return nil, fmt.Errorf("share principal: %w", err)
	}
	if p.RemainderTo == RemainderFirst {
		slices.Reverse(parts)
	}
	out := make([]Instalment, len(rates))
	balance := principal
	for i, part := range parts {
		interest, err := balance.MulRat(rates[i], p.Rounding)
		if err != nil {
			return nil, fmt.Errorf("compute interest of period %d: %w", i+1, err)
		}
		out[i] = Instalment{Principal: part, Interest: interest}
		if balance, err = balance.Sub(part); err != nil {
			return nil, fmt.Errorf("reduce balance: %w", err)
		}
	}
	return out, nil
}

// annuityFactor is i·(1+i)^n / ((1+i)^n − 1), the same as i/(1−(1+i)^−n): the
// equal instalment of a principal of 1. For i = 0 it is 1/n.
func annuityFactor(i *big.Rat, n int) *big.Rat {
	if i.Sign() == 0 {
		return big.NewRat(1, int64(n))
	}
	growth := power(new(big.Rat).Add(i, big.NewRat(1, 1)), n)
	below := new(big.Rat).Sub(growth, big.NewRat(1, 1))
	factor := growth.Mul(growth, i)
	return factor.Quo(factor, below)
}

// unevenAnnuityFactor is the equal instalment of a principal of 1 when each period
// has its own rate: Π(1+r_k) / F_n.
func unevenAnnuityFactor(rates []*big.Rat) *big.Rat {
	growth, f := big.NewRat(1, 1), new(big.Rat)
	for _, r := range rates {
		period := new(big.Rat).Add(r, big.NewRat(1, 1))
		growth.Mul(growth, period)
		f.Mul(f, period)
		f.Add(f, big.NewRat(1, 1))
	}
	return growth.Quo(growth, f)
}

// power is x^n, exactly.
func power(x *big.Rat, n int) *big.Rat {
	exponent := big.NewInt(int64(n))
	return new(big.Rat).SetFrac(
		new(big.Int).Exp(x.Num(), exponent, nil),
		new(big.Int).Exp(x.Denom(), exponent, nil),
	)
}

// roundTo is a × x, computed exactly and rounded once to a whole multiple of so
// many minor units.
func roundTo(a money.Amount, x *big.Rat, multiple int64, r money.Rounding) (money.Amount, error) {
	unit := new(big.Rat).SetInt64(multiple)
	count, err := a.MulRat(new(big.Rat).Quo(x, unit), r)
	if err != nil {
		return money.Amount{}, err
	}
	return count.MulRat(unit, money.Down) // exact: nothing to round
}

// shares cuts a non-negative total into n shares of round(total/n), each at most
// what is left; the last one is what is left.
func shares(total money.Amount, n int, multiple int64, r money.Rounding) ([]money.Amount, error) {
	each, err := roundTo(total, big.NewRat(1, int64(n)), multiple, r)
	if err != nil {
		return nil, err
	}
	out := make([]money.Amount, n)
	left := total
	for i := range out {
		out[i] = left
		if i < n-1 {
			out[i] = lesser(each, left)
		}
		if left, err = left.Sub(out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// rest is the principal that an instalment leaves after its interest: at least
// nothing, at most the balance.
func rest(instalment, interest, balance money.Amount) (money.Amount, error) {
	part, err := instalment.Sub(interest)
	if err != nil {
		return money.Amount{}, fmt.Errorf("take interest from instalment: %w", err)
	}
	if part.IsNegative() {
		return money.Zero(part.Currency()), nil
	}
	return lesser(part, balance), nil
}

// lesser is the smaller of two amounts of one currency.
func lesser(a, b money.Amount) money.Amount {
	if b.Minor() < a.Minor() {
		return b
	}
	return a
}

// checkSchedule proves what Schedule promises of its result.
func checkSchedule(tenor Tenor, principal, fee money.Amount, out []Instalment) error {
	if len(out) != tenor.Months {
		return broken("schedule has %d instalments, want %d", len(out), tenor.Months)
	}
	sums, err := addUp(principal.Currency(), out)
	if err != nil {
		return err
	}
	if err := equal("sum of principals", sums.Principal, principal); err != nil {
		return err
	}
	return equal("sum of fees", sums.Fee, fee)
}

// addUp sums the parts of instalments of one currency, and fails with
// ErrInvariant when a part is negative, of another currency, or not what makes up
// its total, or when the sequence has a gap.
func addUp(c money.Currency, list []Instalment) (Instalment, error) {
	sums := Instalment{Principal: money.Zero(c), Interest: money.Zero(c), Fee: money.Zero(c), Total: money.Zero(c)}
	for i, in := range list {
		if in.Sequence != i+1 {
			return sums, broken("instalment %d has sequence %d", i+1, in.Sequence)
		}
		total, err := money.Sum(c, in.Principal, in.Interest, in.Fee)
		if err != nil {
			return sums, fmt.Errorf("%w: add up instalment %d: %w", ErrInvariant, in.Sequence, err)
		}
		if in.Principal.IsNegative() || in.Interest.IsNegative() || in.Fee.IsNegative() {
			return sums, broken("instalment %d has a negative part: %s + %s + %s", in.Sequence, in.Principal, in.Interest, in.Fee)
		}
		if err := equal(fmt.Sprintf("total of instalment %d", in.Sequence), in.Total, total); err != nil {
			return sums, err
		}
		if sums, err = addParts(sums, in); err != nil {
			return sums, fmt.Errorf("%w: add instalment %d: %w", ErrInvariant, in.Sequence, err)
		}
	}
	return sums, nil
}

// addParts is a with b's amounts added to it.
func addParts(a, b Instalment) (Instalment, error) {
	for _, f := range []struct {
		to   *money.Amount
		from money.Amount
	}{{&a.Principal, b.Principal}, {&a.Interest, b.Interest}, {&a.Fee, b.Fee}, {&a.Total, b.Total}} {
		sum, err := f.to.Add(f.from)
		if err != nil {
			return a, err
		}
		*f.to = sum
	}
	return a, nil
}
