package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// RepaymentReturn is a part of a repayment that a refund gives back.
type RepaymentReturn struct {
	// RefundID and RepaymentID are typed ids, together the key.
	RefundID, RepaymentID string
	// Amount is above zero.
	Amount money.Amount
}

// ReturnRepayment returns a part of a repayment to the payer. The return's row is the record of its request. The bill service, which
// knows what a refund gives back by which repayment, is asked before.
// Errors: INVALID_ARGUMENT, NOT_FOUND, ORDER_STATE_INVALID, REFUND_EXCEEDS_BUDGET, REQUEST_ID_REUSED, LEG_AMOUNT_MISMATCH.
func (a *App) ReturnRepayment(ctx context.Context, ask RepaymentReturn) (*CashBack, error) {
	refundID, err := parseID(ids.Refund, "refund_id", ask.RefundID)
	if err != nil {
		return nil, err
	}
	repaymentID, err := parseID(ids.Repayment, "repayment_id", ask.RepaymentID)
	if err != nil {
		return nil, err
	}
	if !ask.Amount.IsPositive() || money.Bounded(ask.Amount) != nil {
		return nil, errs.InvalidArgument.New("amount must be above zero and at most %d minor units", money.MaxMinor).With("field", "amount")
	}
	return untilSettled(func() (*CashBack, error) { return a.returnOnce(ctx, refundID, repaymentID, ask.Amount) })
}

func (a *App) returnOnce(ctx context.Context, refundID, repaymentID ids.ID, amount money.Amount) (*CashBack, error) {
	leg, err := a.Store.CashLegOf(ctx, repaymentID)
	if err != nil {
		return nil, err
	}
	if leg == nil || leg.Kind != domain.CashRepayment {
		return nil, errs.NotFound.New("nothing is collected for this repayment")
	}
	known, err := a.Store.CashReturnsOfRefund(ctx, refundID)
	if err != nil {
		return nil, err
	}
	for _, b := range known {
		if b.Return.LegID != leg.ID {
			continue
		}
		if b.Return.Amount != amount {
			return nil, errs.RequestIDReused.New("this refund gives another amount back by this repayment; use a new refund")
		}
		return &b, nil
	}
	if err := leg.MayReturn(amount); err != nil {
		return nil, err
	}
	if err := a.confirmReturn(ctx, refundID, repaymentID, amount); err != nil {
		return nil, err
	}
	back := a.newReturn(*leg, amount)
	back.Return.RefundID = refundID
	return back, a.Store.Do(ctx, func(tx Tx) error {
		askBack(tx, back)
		tx.Post(legText(back.Return.ID), "REPAYMENT_RETURNED", leg.ReturnedLines(amount))
		return nil
	})
}

// confirmReturn holds what is to go back against what the bill service says that the refund gives back by the repayment.
func (a *App) confirmReturn(ctx context.Context, refundID, repaymentID ids.ID, amount money.Amount) error {
	r, err := a.Bill.RefundReturn(ctx, refundID, repaymentID)
	switch {
	case err != nil:
		return err
	case r.Kept:
		return errs.OrderStateInvalid.New("what the refund gives back by this repayment became credit balance")
	case r.Amount != amount:
		return errs.LegAmountMismatch.New("refund %s gives back %s by this repayment, not %s", ids.Format(ids.Refund, refundID), r.Amount, amount)
	default:
		return nil
	}
}

// CashReturn returns a return to the service that makes credit balance of it. Errors: INVALID_ARGUMENT, NOT_FOUND.
func (a *App) CashReturn(ctx context.Context, reference string) (CashBack, error) {
	id, err := parseID(ids.Leg, "reference", reference)
	if err != nil {
		return CashBack{}, err
	}
	leg, back, err := a.legByReference(ctx, id)
	if err == nil && back == nil {
		err = errs.NotFound.New("no such return")
	}
	if err != nil {
		return CashBack{}, err
	}
	return CashBack{Return: *back, Leg: leg}, nil
}

// RepaymentReturn returns what became of the part of a repayment that a refund gives back, nil when nothing was given back, and what of the
// repayment may still go back, nil when its money is not there. Errors: INVALID_ARGUMENT.
func (a *App) RepaymentReturn(ctx context.Context, refundText, repaymentText string) (*CashBack, *money.Amount, error) {
	refundID, err := parseID(ids.Refund, "refund_id", refundText)
	if err != nil {
		return nil, nil, err
	}
	repaymentID, err := parseID(ids.Repayment, "repayment_id", repaymentText)
	if err != nil {
		return nil, nil, err
	}
	leg, err := a.Store.CashLegOf(ctx, repaymentID)
	if err != nil || leg == nil {
		return nil, nil, err
	}
	var left *money.Amount
	if leg.State == domain.LegSucceeded {
		l := leg.Left()
		left = &l
	}
	backs, err := a.Store.CashReturnsOfRefund(ctx, refundID)
	if err != nil {
		return nil, nil, err
	}
	for _, b := range backs {
		if b.Return.LegID == leg.ID {
			return &b, left, nil
		}
	}
	return nil, left, nil
}
