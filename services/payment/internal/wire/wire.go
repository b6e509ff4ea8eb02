// Package wire owns the translation between the payment domain and the contract's messages, which the rpc, event and peer rooms
// share.
package wire

import (
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// Money gives an amount in the contract's form.
func Money(a money.Amount) *commonv1.Money {
	return &commonv1.Money{AmountMinor: new(a.Minor()), CurrencyCode: a.Currency().Code()}
}

// Amount reads an amount. Errors: INVALID_ARGUMENT.
func Amount(m *commonv1.Money) (money.Amount, error) {
	c, err := money.CurrencyOf(m.GetCurrencyCode())
	if err != nil {
		return money.Amount{}, errs.InvalidArgument.Wrap(err, "the currency %q is not known", m.GetCurrencyCode())
	}
	return money.New(m.GetAmountMinor(), c), nil
}

// Leg gives a leg in the contract's form.
func Leg(paymentID ids.ID, l domain.Leg) *paymentv1.Leg {
	m := &paymentv1.Leg{PaymentId: ids.Format(ids.Payment, paymentID), Kind: paymentv1.ChannelKind(l.Kind), Channel: l.Channel,
		Amount: Money(l.Amount), State: paymentv1.LegState(l.State), Reference: l.Reference}
	if l.Refunded.IsPositive() {
		m.RefundedAmount = Money(l.Refunded)
	}
	return m
}

// CashReturn gives a return in the contract's form; leg is what it is a part of.
func CashReturn(r domain.CashReturn, leg domain.CashLeg) *paymentv1.CashReturn {
	m := &paymentv1.CashReturn{Reference: ids.Format(ids.Leg, r.ID), SubjectId: ids.Format(leg.Kind.Subject(), leg.SubjectID),
		Amount: Money(r.Amount), State: returnStates[r.State], CreateTime: timestamppb.New(r.CreateTime)}
	if !r.RefundID.IsZero() {
		m.RefundId = ids.Format(ids.Refund, r.RefundID)
	}
	if !r.OrderID.IsZero() {
		m.OrderId = ids.Format(ids.Order, r.OrderID)
	}
	if t := r.ReturnTime(); !t.IsZero() {
		m.ReturnTime = timestamppb.New(t)
	}
	return m
}

// returnStates are the states of a return with their numbers in the contract, which are not the stored ones.
var returnStates = map[domain.ReturnState]paymentv1.CashReturnState{
	domain.ReturnReturning: paymentv1.CashReturnState_CASH_RETURN_STATE_RETURNING,
	domain.ReturnReturned:  paymentv1.CashReturnState_CASH_RETURN_STATE_RETURNED,
	domain.ReturnFailed:    paymentv1.CashReturnState_CASH_RETURN_STATE_FAILED,
	domain.ReturnAbandoned: paymentv1.CashReturnState_CASH_RETURN_STATE_ABANDONED,
}

// ReadReturnState reads a state; zero for UNSPECIFIED and what this version does not know.
func ReadReturnState(m paymentv1.CashReturnState) domain.ReturnState {
	for state, told := range returnStates {
		if told == m {
			return state
		}
	}
	return 0
}

// CashLeg gives a cash leg in the contract's form. url is where the payer pays it; empty once it is not open.
func CashLeg(l domain.CashLeg, url string) *paymentv1.CashLeg {
	m := &paymentv1.CashLeg{Reference: ids.Format(ids.Leg, l.ID), Kind: paymentv1.ExternalLegKind(l.Kind),
		SubjectId: ids.Format(l.Kind.Subject(), l.SubjectID), UserId: l.UserID, Channel: l.Channel, Amount: Money(l.Amount),
		State: paymentv1.LegState(l.State), RedirectUrl: url, CreateTime: timestamppb.New(l.CreateTime), ExpireTime: timestamppb.New(l.ExpireTime)}
	if !l.PayTime.IsZero() {
		m.PayTime = timestamppb.New(l.PayTime)
	}
	return m
}

// Payments gives payments in the contract's form.
func Payments(ps []domain.Payment) []*paymentv1.Payment {
	out := make([]*paymentv1.Payment, len(ps))
	for i, p := range ps {
		m := &paymentv1.Payment{PaymentId: ids.Format(ids.Payment, p.ID), OrderId: ids.Format(ids.Order, p.OrderID),
			CheckoutId: ids.Format(ids.Checkout, p.CheckoutID), CommitId: ids.Format(ids.Commit, p.CommitID), UserId: p.UserID,
			State: paymentv1.PaymentState(p.State), Amount: Money(p.Amount), PayTime: timestamppb.New(p.PayTime)}
		for _, l := range p.Legs {
			m.Legs = append(m.Legs, Leg(p.ID, l))
		}
		out[i] = m
	}
	return out
}

// Reason gives a reason in the contract's form.
func Reason(name string) commonv1.ErrorReason {
	return commonv1.ErrorReason(commonv1.ErrorReason_value["ERROR_REASON_"+name])
}

// Refusal reads a reason of the contract as an error.
func Refusal(r commonv1.ErrorReason, text string) error {
	reason, ok := errs.ByName(strings.TrimPrefix(r.String(), "ERROR_REASON_"))
	if !ok {
		reason = errs.Internal
	}
	return reason.New("%s", text)
}
