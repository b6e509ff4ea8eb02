package domain

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

const (
	// MaxTenorMonths bounds a tenor.
	MaxTenorMonths = 60
	// MaxRatePPM bounds a rate per month or per transaction: 100 %. A rate per
	// year may be twelve times that.
	MaxRatePPM int64 = money.PPM
	// MaxRoundingMultiple bounds RoundingMultiple, in minor units.
	MaxRoundingMultiple int64 = 1_000_000
	// ZoneJakarta is the one time zone whose calendar a product may follow.
	ZoneJakarta = "Asia/Jakarta"

	monthsPerYear = 12
)

// Tenor is a number of monthly instalments that a product offers, and its price.
type Tenor struct {
	// Months is the number of instalments, 1 to MaxTenorMonths.
	Months int `json:"months"`
	// RatePPM is the nominal rate in parts per million: 29_500 is 2.95 %.
	RatePPM int64 `json:"rate_ppm,string"`
	// RatePeriod is what RatePPM is quoted for.
	RatePeriod RatePeriod `json:"rate_period"`
}

// rate is RatePPM as a fraction: of a month for PerMonth and PerYear (exactly a
// twelfth), of the loan for PerTransaction.
func (t Tenor) rate() *big.Rat {
	if t.RatePeriod == PerYear {
		return big.NewRat(t.RatePPM, money.PPM*monthsPerYear)
	}
	return big.NewRat(t.RatePPM, money.PPM)
}

// MonthlyRatePPM is the nominal rate of a month in parts per million, rounded
// half up: for display only, since schedules use the exact fraction. A rate per
// transaction is spread over the tenor.
func (t Tenor) MonthlyRatePPM() int64 {
	div := int64(1)
	switch t.RatePeriod {
	case PerYear:
		div = monthsPerYear
	case PerTransaction:
		div = int64(max(t.Months, 1))
	default: // PerMonth is what is asked for.
	}
	return (2*t.RatePPM + div) / (2 * div)
}

// Product is one immutable version of a credit product. A loan keeps the version
// that it was made with; a change of terms is a new version.
type Product struct {
	// Code names the product, such as "SPL_ID"; Version is 1 for the first.
	Code    string
	Version int
	// Name is for people.
	Name string
	// Currency is that of every amount of the product.
	Currency money.Currency
	// Businesses are the business lines that it is for; empty for all.
	Businesses []string
	// Method is how interest is computed.
	Method InterestMethod
	// Tenors are what it offers, by rising number of months.
	Tenors []Tenor
	// FeeRatePPM is the handling fee as a part of the principal in parts per
	// million, FeeFixed what is added to it, and FeeTiming when it is paid.
	FeeRatePPM int64
	FeeFixed   money.Amount
	FeeTiming  FeeTiming
	// Rounding is the one rounding of interest, fee and instalments.
	Rounding money.Rounding
	// RoundingMultiple is what an instalment (principal and interest) is rounded
	// to, in minor units; 1 for none.
	RoundingMultiple int64
	// RemainderTo is the instalment that absorbs what equal shares leave over.
	RemainderTo RemainderTo
	// DayCount is how days become parts of a year.
	DayCount DayCount
	// MinAmount and MaxAmount bound the amount financed, both inclusive.
	MinAmount, MaxAmount money.Amount
	// BillDay is the day of the month on which the bill is made, DueDay the one on
	// which it is due: 1 to 31, moved to the last day of a shorter month.
	BillDay, DueDay int
	// Location is the time zone of its calendar: ZoneJakarta.
	Location string
	// DownPaymentPPM is the part of the price that is paid at once in cash, in
	// parts per million: 0 for none, below 1,000,000.
	DownPaymentPPM int64
	// EffectiveFrom is from when on this version is offered.
	EffectiveFrom time.Time
	// ContractVersion names the text of the contract that the user must have signed
	// (see SignatureNeeded); empty when none is needed.
	ContractVersion string
	// Servicing is what happens to a loan that runs.
	Servicing Servicing
}

// Zone is the time zone of the product's calendar.
func (p Product) Zone() *time.Location { return civil.Jakarta() }

// Validate returns nil, or an errs.InvalidArgument that lists everything that is
// wrong with the product.
func (p Product) Validate() error {
	problems := slices.Concat(p.termProblems(), p.tenorProblems(), p.amountProblems(), p.dayProblems(), p.servicingProblems())
	if len(problems) == 0 {
		return nil
	}
	joined := errors.Join(problems...)
	return errs.InvalidArgument.Wrap(joined, "product %q version %d: %v", p.Code, p.Version, joined)
}

// problems collects what is wrong.
type problems []error

// when notes a problem when it is there.
func (ps *problems) when(wrong bool, format string, args ...any) {
	if wrong {
		*ps = append(*ps, fmt.Errorf(format, args...))
	}
}

// termProblems is what is wrong with the names and the choices.
func (p Product) termProblems() []error {
	var ps problems
	ps.when(p.Code == "" || len(p.Code) > 32, "code must have 1 to 32 characters")
	ps.when(p.Version < 1, "version must be at least 1, is %d", p.Version)
	ps.when(p.Name == "", "name is missing")
	ps.when(slices.Contains(p.Businesses, ""), "a business is empty")
	ps.when(!p.Method.Valid(), "interest method is unknown: %d", p.Method)
	ps.when(!p.FeeTiming.Valid(), "fee timing is unknown: %d", p.FeeTiming)
	ps.when(!p.Rounding.Valid(), "rounding is unknown: %d", p.Rounding)
	ps.when(p.RoundingMultiple < 1 || p.RoundingMultiple > MaxRoundingMultiple,
		"rounding multiple must be 1 to %d, is %d", MaxRoundingMultiple, p.RoundingMultiple)
	ps.when(!p.RemainderTo.Valid(), "remainder rule is unknown: %d", p.RemainderTo)
	ps.when(p.RemainderTo == RemainderFirst && p.Method == DecliningEqualInstalment,
		"remainder rule FIRST does not work with %s", DecliningEqualInstalment)
	ps.when(!p.DayCount.Valid(), "day count is unknown: %d", p.DayCount)
	ps.when(len(p.ContractVersion) > MaxContractVersion, "contract version must have at most %d characters", MaxContractVersion)
	ps.when(p.Location != ZoneJakarta, "location must be %s, is %q", ZoneJakarta, p.Location)
	ps.when(p.EffectiveFrom.IsZero(), "effective time is missing")
	return ps
}

// tenorProblems is what is wrong with the tenors.
func (p Product) tenorProblems() []error {
	var ps problems
	ps.when(len(p.Tenors) == 0, "no tenor is offered")
	for i, t := range p.Tenors {
		ps.when(t.Months < 1 || t.Months > MaxTenorMonths,
			"tenor must be 1 to %d months, is %d", MaxTenorMonths, t.Months)
		ps.when(i > 0 && t.Months <= p.Tenors[i-1].Months, "tenors must rise: %d months", t.Months)
		if err := p.checkRate(t); err != nil {
			ps = append(ps, err)
		}
	}
	return ps
}

// checkRate says what is wrong with the rate of a tenor.
func (p Product) checkRate(t Tenor) error {
	most := MaxRatePPM
	if t.RatePeriod == PerYear {
		most *= monthsPerYear
	}
	switch {
	case !t.RatePeriod.Valid():
		return fmt.Errorf("tenor %d: rate period is unknown: %d", t.Months, t.RatePeriod)
	case p.Method != Zero && (p.Method == FlatPerTransaction) != (t.RatePeriod == PerTransaction):
		return fmt.Errorf("tenor %d: method %s does not take a rate %s", t.Months, p.Method, t.RatePeriod)
	case p.Method == Zero && t.RatePPM != 0:
		return fmt.Errorf("tenor %d: method %s takes no rate, is %d", t.Months, p.Method, t.RatePPM)
	case t.RatePPM < 0 || t.RatePPM > most:
		return fmt.Errorf("tenor %d: rate must be 0 to %d parts per million, is %d", t.Months, most, t.RatePPM)
	default:
		return nil
	}
}

// amountProblems is what is wrong with the amounts and their parts.
func (p Product) amountProblems() []error {
	var ps problems
	ps.when(p.Currency.IsZero(), "currency is missing")
	for _, f := range []struct {
		name   string
		amount money.Amount
	}{{"fixed fee", p.FeeFixed}, {"smallest amount", p.MinAmount}, {"largest amount", p.MaxAmount}} {
		ps.when(f.amount.Currency() != p.Currency, "%s must be in %s, is in %s", f.name, p.Currency, f.amount.Currency())
		ps.when(f.amount.IsNegative(), "%s is negative", f.name)
		ps.when(money.Bounded(f.amount) != nil, "%s is out of bounds", f.name)
	}
	ps.when(p.MinAmount.Minor() < 1, "smallest amount must be positive")
	ps.when(p.MinAmount.Minor() > p.MaxAmount.Minor(), "smallest amount is above the largest")
	ps.when(p.FeeRatePPM < 0 || p.FeeRatePPM > MaxRatePPM,
		"fee rate must be 0 to %d parts per million, is %d", MaxRatePPM, p.FeeRatePPM)
	ps.when(p.DownPaymentPPM < 0 || p.DownPaymentPPM >= money.PPM,
		"down payment must be 0 to below %d parts per million, is %d", money.PPM, p.DownPaymentPPM)
	return ps
}

// dayProblems is what is wrong with the days of the month.
func (p Product) dayProblems() []error {
	const shortestMonth = 28
	var ps problems
	ps.when(p.BillDay < 1 || p.BillDay > 31, "bill day must be 1 to 31, is %d", p.BillDay)
	ps.when(p.DueDay < 1 || p.DueDay > 31, "due day must be 1 to 31, is %d", p.DueDay)
	ps.when(p.BillDay == p.DueDay, "bill day and due day are the same: %d", p.BillDay)
	// Both would be moved to the 28th of February.
	ps.when(p.BillDay >= shortestMonth && p.DueDay > p.BillDay,
		"bill day %d and due day %d fall together in February", p.BillDay, p.DueDay)
	return ps
}

// TenorOf is the tenor of so many months, or errs.TenorNotOffered.
func (p Product) TenorOf(months int) (Tenor, error) {
	for _, t := range p.Tenors {
		if t.Months == months {
			return t, nil
		}
	}
	return Tenor{}, errs.TenorNotOffered.New("product %s does not offer %d months", p.Code, months)
}

// Eligible returns nil when the product finances amount for business, else
// errs.CurrencyMismatch or errs.ProductNotEligible.
func (p Product) Eligible(business string, amount money.Amount) error {
	switch {
	case amount.Currency() != p.Currency:
		return errs.CurrencyMismatch.New("product %s is in %s, the amount in %s", p.Code, p.Currency, amount.Currency())
	case len(p.Businesses) > 0 && !slices.Contains(p.Businesses, business):
		return errs.ProductNotEligible.New("product %s is not offered for business %q", p.Code, business)
	case amount.Minor() < p.MinAmount.Minor() || amount.Minor() > p.MaxAmount.Minor():
		return errs.ProductNotEligible.New("product %s finances %s to %s, not %s", p.Code, p.MinAmount, p.MaxAmount, amount)
	default:
		return nil
	}
}

// EligibleAccount returns nil when the product is offered to an account in a
// state, else errs.ProductNotEligible.
func (p Product) EligibleAccount(state AccountState) error {
	offered := state == AccountActive
	if len(p.Servicing.AccountStates) > 0 {
		offered = slices.Contains(p.Servicing.AccountStates, state)
	}
	if !offered {
		return errs.ProductNotEligible.New("product %s is not offered to an account that is %s", p.Code, state)
	}
	return nil
}

// SplitPrice cuts a price into the down payment, rounded by the product's
// rounding, and the amount financed. They add up to the price.
func (p Product) SplitPrice(price money.Amount) (down, financed money.Amount, err error) {
	if err := checkPositive(p, price); err != nil {
		return down, financed, err
	}
	if down, err = price.MulPPM(p.DownPaymentPPM, p.Rounding); err != nil {
		return down, financed, fmt.Errorf("compute down payment: %w", err)
	}
	if financed, err = price.Sub(down); err != nil {
		return down, financed, fmt.Errorf("compute amount financed: %w", err)
	}
	return down, financed, nil
}

// Fee is the handling fee of a principal: principal × FeeRatePPM rounded once by
// the product's rounding, plus FeeFixed.
func (p Product) Fee(principal money.Amount) (money.Amount, error) {
	part, err := principal.MulPPM(p.FeeRatePPM, p.Rounding)
	if err != nil {
		return money.Amount{}, fmt.Errorf("compute fee: %w", err)
	}
	fee, err := part.Add(p.FeeFixed)
	if err != nil {
		return money.Amount{}, fmt.Errorf("add fixed fee: %w", err)
	}
	return fee, nil
}

// checkPositive refuses an amount that is not a positive, bounded amount of the
// product's currency.
func checkPositive(p Product, a money.Amount) error {
	switch {
	case a.Currency() != p.Currency || a.Currency().IsZero():
		return errs.CurrencyMismatch.New("product %s is in %s, the amount in %s", p.Code, p.Currency, a.Currency())
	case !a.IsPositive():
		return errs.AmountOutOfRange.New("the amount must be positive, is %s", a)
	case money.Bounded(a) != nil:
		return errs.AmountOutOfRange.New("the amount is larger than %d minor units", money.MaxMinor)
	default:
		return nil
	}
}
