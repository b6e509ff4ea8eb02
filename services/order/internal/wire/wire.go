// Package wire owns the translation between this service's values and the contract's messages that the rpc, event and peer rooms
// share: money, times, plans, reasons, ids.
//
// It must not know a verb, and decides nothing.
package wire

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

// reasonPrefix stands before the names of commonv1.ErrorReason.
const reasonPrefix = "ERROR_REASON_"

// Money gives an amount in the contract's form; nil for one that is not set.
func Money(a money.Amount) *commonv1.Money {
	if a.Currency().IsZero() {
		return nil
	}
	return &commonv1.Money{AmountMinor: new(a.Minor()), CurrencyCode: a.Currency().Code()}
}

// Amount reads an amount; errs.InvalidArgument for an unknown currency. A message that is not set is the zero Amount.
func Amount(m *commonv1.Money) (money.Amount, error) {
	if m == nil {
		return money.Amount{}, nil
	}
	c, err := money.CurrencyOf(m.GetCurrencyCode())
	if err != nil {
		return money.Amount{}, errs.InvalidArgument.Wrap(err, "the currency %q is not supported", m.GetCurrencyCode())
	}
	return money.New(m.GetAmountMinor(), c), nil
}

// Time gives a time in the contract's form; nil for the zero time.
func Time(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// ReadTime reads a time as the database keeps it; the zero time when it is not set.
func ReadTime(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime().Truncate(time.Microsecond)
}

// ID reads a typed id; errs.InvalidArgument names the field.
func ID(p ids.Prefix, field, text string) (ids.ID, error) {
	id, err := ids.Parse(p, text)
	if err != nil {
		return ids.ID{}, errs.InvalidArgument.Wrap(err, "%s is not an id of the form %s_…", field, p).With("field", field)
	}
	return id, nil
}

// Reason gives the contract's value of a reason's name; UNSPECIFIED for the empty name.
func Reason(name string) commonv1.ErrorReason {
	return commonv1.ErrorReason(commonv1.ErrorReason_value[reasonPrefix+name])
}

// ReasonName is the inverse of Reason; empty for UNSPECIFIED.
func ReasonName(r commonv1.ErrorReason) string {
	if r == commonv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
		return ""
	}
	return strings.TrimPrefix(r.String(), reasonPrefix)
}

// Plan gives a plan in the contract's form.
func Plan(p domain.Plan) *commonv1.Plan {
	out := &commonv1.Plan{
		ProductCode: p.ProductCode, ProductVersion: p.ProductVersion, TenorMonths: p.TenorMonths,
		InterestMethod: commonv1.InterestMethod(p.InterestMethod), Principal: Money(p.Principal), Interest: Money(p.Interest), Fee: Money(p.Fee),
		Total: Money(p.Total), MonthlyRatePpm: p.MonthlyRatePPM, EffectiveAnnualRatePpm: p.EffectiveAnnualRatePPM, DownPayment: Money(p.DownPayment),
	}
	for _, i := range p.Instalments {
		out.Instalments = append(out.Instalments, &commonv1.PlanInstalment{Sequence: i.Sequence, DueDate: i.DueDate, Principal: Money(i.Principal),
			Interest: Money(i.Interest), Fee: Money(i.Fee), Total: Money(i.Total)})
	}
	return out
}

// Amounts reads several amounts and keeps the first error, so that a message of many is read in one go. The zero value is ready.
type Amounts struct{ err error }

// Read is Amount.
func (r *Amounts) Read(m *commonv1.Money) money.Amount {
	a, err := Amount(m)
	if r.err == nil {
		r.err = err
	}
	return a
}

// Err is the first error.
func (r *Amounts) Err() error { return r.err }

// ReadPlan reads a plan; errs.InvalidArgument for an unknown currency.
func ReadPlan(p *commonv1.Plan) (domain.Plan, error) {
	var r Amounts
	out := domain.Plan{
		ProductCode: p.GetProductCode(), ProductVersion: p.GetProductVersion(), TenorMonths: p.GetTenorMonths(),
		InterestMethod: int32(p.GetInterestMethod()), Principal: r.Read(p.GetPrincipal()), Interest: r.Read(p.GetInterest()), Fee: r.Read(p.GetFee()),
		Total: r.Read(p.GetTotal()), DownPayment: r.Read(p.GetDownPayment()), MonthlyRatePPM: p.GetMonthlyRatePpm(),
		EffectiveAnnualRatePPM: p.GetEffectiveAnnualRatePpm(),
	}
	for _, i := range p.GetInstalments() {
		out.Instalments = append(out.Instalments, domain.Instalment{Sequence: i.GetSequence(), DueDate: i.GetDueDate(),
			Principal: r.Read(i.GetPrincipal()), Interest: r.Read(i.GetInterest()), Fee: r.Read(i.GetFee()), Total: r.Read(i.GetTotal())})
	}
	return out, r.Err()
}
