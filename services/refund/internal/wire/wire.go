// Package wire owns the translation of messages that the rooms of the refund service share.
package wire

import (
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/refund/internal/app"
	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

// Money writes an amount.
func Money(a money.Amount) *commonv1.Money {
	return &commonv1.Money{AmountMinor: new(a.Minor()), CurrencyCode: a.Currency().Code()}
}

// Amount reads one. Errors: errs.InvalidArgument.
func Amount(m *commonv1.Money) (money.Amount, error) {
	c, err := money.CurrencyOf(m.GetCurrencyCode())
	if err != nil {
		return money.Amount{}, errs.InvalidArgument.Wrap(err, "this currency is not known")
	}
	a := money.New(m.GetAmountMinor(), c)
	if err := money.Bounded(a); err != nil {
		return a, errs.InvalidArgument.Wrap(err, "the amount is too large")
	}
	return a, nil
}

// Time is nil for the zero time, "not set".
func Time(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// Return reads a return of the payment service.
func Return(m *paymentv1.CashReturn) app.Return {
	states := map[paymentv1.CashReturnState]domain.LegState{
		paymentv1.CashReturnState_CASH_RETURN_STATE_RETURNING: domain.LegReturning,
		paymentv1.CashReturnState_CASH_RETURN_STATE_RETURNED:  domain.LegReturned,
		paymentv1.CashReturnState_CASH_RETURN_STATE_FAILED:    domain.LegFailed,
		paymentv1.CashReturnState_CASH_RETURN_STATE_ABANDONED: domain.LegKept,
	}
	state, ok := states[m.GetState()]
	if !ok {
		state = domain.LegReturning // A state of a newer version: not known yet.
	}
	return app.Return{Reference: m.GetReference(), State: state}
}

// Refund writes a refund, without its timeline.
func Refund(r domain.Refund) *refundv1.Refund {
	out := &refundv1.Refund{
		RefundId: ids.Format(ids.Refund, r.ID), OrderId: ids.Format(ids.Order, r.OrderID), OutRefundNo: r.OutRefundNo, Amount: Money(r.Amount),
		State: refundv1.RefundState(r.State), Reason: r.Reason, Requester: r.Requester, Effect: Effect(r.Amount, r.Share, r.Effect, r.Legs),
		CreateTime: Time(r.CreateTime), FinishTime: Time(r.FinishTime), ReasonCode: refundv1.RefundReasonCode(r.ReasonCode),
		ApprovalsNeeded: int32(r.ApprovalsNeeded), ExpireTime: Time(r.ExpireTime), Failure: r.Failure, MerchantId: r.MerchantID, OutOrderNo: r.OutOrderNo,
	}
	if !r.EffectKnown() {
		out.Effect = &refundv1.RefundEffect{Amount: Money(r.Amount), CreditPart: Money(r.Share.Credit), DownPaymentPart: Money(r.Share.Cash)}
	}
	for _, a := range r.Approvals {
		out.Approvers = append(out.Approvers, a.Approver)
	}
	return out
}

// Effect writes what a refund does.
func Effect(amount money.Amount, s domain.Share, e domain.Effect, legs []domain.Leg) *refundv1.RefundEffect {
	c := amount.Currency()
	of := func(minor int64) *commonv1.Money { return Money(money.New(minor, c)) }
	cash := s.Cash.Minor() + e.CreditBalance
	for _, source := range e.Sources {
		cash += source.Amount
	}
	out := &refundv1.RefundEffect{
		Amount: Money(amount), PrincipalReduced: of(e.PrincipalReduced), ChargesReduced: of(e.InterestReduced + e.FeeReduced),
		CashReturned: of(cash), LimitFreed: of(e.LimitFreed), CreditPart: Money(s.Credit), DownPaymentPart: Money(s.Cash),
	}
	if len(e.Plan) > 0 {
		out.PlanAfter = &commonv1.Plan{}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(e.Plan, out.PlanAfter); err != nil {
			out.PlanAfter = nil // It was written by this service; without it the rest is still right.
		}
	}
	for _, l := range legs {
		leg := &refundv1.RefundLeg{Kind: refundv1.RefundLegKind(l.Kind), Amount: Money(l.Amount), State: refundv1.RefundLegState(l.State), Reference: l.Reference}
		if !l.RepaymentID.IsZero() {
			leg.RepaymentId = ids.Format(ids.Repayment, l.RepaymentID)
		}
		out.Legs = append(out.Legs, leg)
	}
	for _, in := range e.Instalments {
		out.Instalments = append(out.Instalments, &refundv1.RefundedInstalment{Sequence: int32(in.Sequence), DueDate: in.DueDate, OpenBefore: of(in.OpenBefore), OpenAfter: of(in.OpenAfter)})
	}
	return out
}
