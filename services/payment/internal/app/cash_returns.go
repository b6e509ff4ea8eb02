package app

import (
	"context"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// CashReturns gives the returns of a refund, oldest first; none for a refund that gave nothing back. Errors: INVALID_ARGUMENT.
func (a *App) CashReturns(ctx context.Context, refundText string) ([]CashBack, error) {
	refundID, err := parseID(ids.Refund, "refund_id", refundText)
	if err != nil {
		return nil, err
	}
	return a.Store.CashReturnsOfRefund(ctx, refundID)
}

// RetryCashReturn asks the marketplace once more for a return that failed, under the same reference.
// Errors: INVALID_ARGUMENT, NOT_FOUND, ORDER_STATE_INVALID.
func (a *App) RetryCashReturn(ctx context.Context, reference string) (CashBack, error) {
	return a.changeReturn(ctx, reference, func(b CashBack) (*domain.CashReturnMoved, error) {
		return b.Return.AskAgain(b.Leg, a.now())
	})
}

// ResolveCashReturn ends a return of a refund that failed by an operator's word, which the refund service had approved where it had to be. Repeating it is harmless; the first actor and evidence stay.
// Errors: INVALID_ARGUMENT, NOT_FOUND, ORDER_STATE_INVALID.
func (a *App) ResolveCashReturn(ctx context.Context, reference string, by domain.Ruling) (CashBack, error) {
	return a.changeReturn(ctx, reference, func(b CashBack) (*domain.CashReturnMoved, error) {
		if b.Return.RefundID.IsZero() {
			return nil, errs.OrderStateInvalid.New("the return belongs to no refund; end it with ResolveCancelReturn, which may need approval")
		}
		return b.Return.Resolve(by, b.Leg, a.now())
	})
}

// ReturnFilter says which returns are wanted, newest first; its zero value takes all.
type ReturnFilter struct {
	// State; zero for all.
	State domain.ReturnState
	// OrderID of the order whose cash goes back; zero for all.
	OrderID ids.ID
	// Below is where the page begins: returns older than this one; zero for the newest.
	Below ids.ID
}

// ListCashReturns gives returns, newest first, at most limit, and whether there are more.
func (a *App) ListCashReturns(ctx context.Context, f ReturnFilter, limit int) (page []CashBack, more bool, err error) {
	page, err = a.Store.CashReturns(ctx, f, limit+1)
	if err != nil || len(page) <= limit {
		return page, false, err
	}
	return page[:limit], true, nil
}

// ofCancel lets an operator change only what no refund follows: the refund service does that for its own.
func ofCancel(b CashBack) error {
	if b.Return.RefundID.IsZero() {
		return nil
	}
	return errs.OrderStateInvalid.New("the return belongs to refund %s; retry or resolve that refund's leg", ids.Format(ids.Refund, b.Return.RefundID))
}

// RetryCancelReturn asks the marketplace once more for the share of a cancelled order that failed.
// Errors: INVALID_ARGUMENT, NOT_FOUND, ORDER_STATE_INVALID.
func (a *App) RetryCancelReturn(ctx context.Context, reference string) (CashBack, error) {
	return a.changeReturn(ctx, reference, func(b CashBack) (*domain.CashReturnMoved, error) {
		if err := ofCancel(b); err != nil {
			return nil, err
		}
		return b.Return.AskAgain(b.Leg, a.now())
	})
}

// TickCashReturn asks the marketplace once more for a return of which nothing was heard. It answers when to look again; the zero time
// when there is nothing left to do. An error keeps its timer.
func (a *App) TickCashReturn(ctx context.Context, reference string) (time.Time, error) {
	b, err := a.changeReturn(ctx, reference, func(b CashBack) (*domain.CashReturnMoved, error) {
		return b.Return.Tick(b.Leg, a.now()), nil
	})
	return b.Return.DueTime(), err
}

// KeepCash makes an abandoned part of a down payment credit balance. Safe to repeat.
func (a *App) KeepCash(ctx context.Context, reference string) error {
	id, err := parseID(ids.Leg, "reference", reference)
	if err != nil {
		return err
	}
	leg, back, err := a.legByReference(ctx, id)
	if err != nil || back == nil || !back.Kept(leg) || !back.KeepTime.IsZero() {
		return err
	}
	if err := a.Bill.KeepCash(ctx, back.ID, leg.UserID, back.Amount); err != nil {
		return err
	}
	return a.Store.Do(ctx, func(tx Tx) error {
		tx.KeepCashReturn(back.ID, a.now())
		return nil
	})
}

// changeReturn moves a return, and judges anew when it moved meanwhile. change gives nil when there is nothing to do.
func (a *App) changeReturn(ctx context.Context, reference string, change func(CashBack) (*domain.CashReturnMoved, error)) (CashBack, error) {
	return a.changeReturnIf(ctx, reference, change, func(Tx, CashBack) (bool, error) { return true, nil })
}

// changeReturnIf is changeReturn with a condition, judged in the transaction of the move.
func (a *App) changeReturnIf(ctx context.Context, reference string, change func(CashBack) (*domain.CashReturnMoved, error),
	may func(tx Tx, b CashBack) (bool, error)) (CashBack, error) {
	id, err := parseID(ids.Leg, "reference", reference)
	if err != nil {
		return CashBack{}, err
	}
	return untilSettled(func() (CashBack, error) {
		leg, back, err := a.legByReference(ctx, id)
		if err == nil && back == nil {
			err = errs.NotFound.New("no such return")
		}
		if err != nil {
			return CashBack{}, err
		}
		b := CashBack{Return: *back, Leg: leg}
		m, err := change(b)
		if err != nil || m == nil {
			return b, err
		}
		after := b
		err = a.Store.Do(ctx, func(tx Tx) error {
			after = b
			if ok, err := may(tx, b); err != nil || !ok {
				return err
			}
			after.Return = m.Return
			moveReturn(tx, *m)
			if m.From == domain.ReturnFailed && m.Return.Kept(leg) {
				tx.Schedule(JobKeepCash, legText(m.Return.ID), m.Return.ResolveTime)
			}
			return nil
		})
		return after, err
	})
}

// hearOfReturn judges a notification about a return.
func (a *App) hearOfReturn(ctx context.Context, h HeardNotice, leg domain.CashLeg, back domain.CashReturn) (NoticeAnswer, error) {
	outcome, move := back.Hear(h.Notice, leg, h.Time)
	h.Answer = NoticeAnswer{State: back.State.AsLeg(), Outcome: outcome}
	if move != nil {
		h.Answer.State = move.Return.State.AsLeg()
	}
	err := a.Store.Do(ctx, func(tx Tx) error {
		tx.InsertNotice(h)
		if move != nil {
			moveReturn(tx, *move)
		}
		return nil
	})
	return h.Answer, err
}

// hearOfBounce moves a repayment's leg whose money went back as a whole, with the returns that were under way of it.
func (a *App) hearOfBounce(ctx context.Context, h HeardNotice, m domain.CashLegMoved) (NoticeAnswer, error) {
	var returns []domain.CashReturn
	if m.Leg.Returned.IsPositive() {
		var err error
		if returns, err = a.Store.CashReturnsOfLeg(ctx, m.Leg.ID); err != nil {
			return NoticeAnswer{}, err
		}
	}
	bounce, err := domain.BounceOf(m.Leg, returns, h.Time)
	if err != nil {
		return NoticeAnswer{}, err
	}
	if bounce.Twice {
		h.Answer.Outcome = domain.OutcomeTwice
	}
	return h.Answer, a.Store.Do(ctx, func(tx Tx) error {
		tx.InsertNotice(h)
		moveLeg(tx, m)
		cause, _ := m.Journal()
		tx.Post(legText(m.Leg.ID), cause, bounce.Lines)
		for _, end := range bounce.Ended {
			moveReturn(tx, end)
		}
		return nil
	})
}
