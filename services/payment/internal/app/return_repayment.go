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

// ReturnRepayment gives a part of a repayment back to the payer. The return's row is the record of its request.
// Errors: INVALID_ARGUMENT, NOT_FOUND, ORDER_STATE_INVALID, REFUND_EXCEEDS_BUDGET, REQUEST_ID_REUSED.
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
	back := a.newReturn(*leg, amount)
	back.Return.RefundID = refundID
	return back, a.Store.Do(ctx, func(tx Tx) error {
		askBack(tx, back)
		tx.Post(legText(back.Return.ID), "REPAYMENT_RETURNED", leg.ReturnedLines(amount))
		return nil
	})
}
