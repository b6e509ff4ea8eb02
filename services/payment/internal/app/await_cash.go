package app

import (
	"context"
	"errors"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// awaitCash opens the leg of a commit's down payment. Order and credit are held; what is left to do stands in our own rows, so
// that the arrival of the money needs nobody else to end the commit.
func (a *App) awaitCash(ctx context.Context, c *domain.Commit, portions []domain.Portion, cash money.Amount) ([]domain.Payment, error) {
	checkout, err := a.Orders.Checkout(ctx, c.CheckoutID)
	if err != nil {
		return nil, err
	}
	now := a.now()
	leg := domain.CashLeg{
		ID: a.IDs.New(), Kind: domain.CashDownPayment, SubjectID: c.ID, UserID: c.UserID, CheckoutID: c.CheckoutID,
		Channel: c.Terms.DownPaymentChannel, Amount: cash, State: domain.LegPending, Version: 1,
		CreateTime: now, ExpireTime: now.Add(a.Limits.DownPaymentLife), UpdateTime: now,
	}
	if end := checkout.ExpireTime.Truncate(time.Microsecond); !end.IsZero() && end.Before(leg.ExpireTime) {
		leg.ExpireTime = end
	}
	waiting := *c
	waiting.State, waiting.Version, waiting.RecoverTime = domain.CommitAwaitingCash, c.Version+1, leg.ExpireTime
	err = a.Store.Do(ctx, func(tx Tx) error {
		tx.MoveCommit(waiting, c.State)
		tx.InsertCashLeg(leg)
		tx.InsertPortions(c.ID, portions)
		return nil
	})
	if errs.Is(err, errs.ConcurrentChange) || errors.Is(err, ErrSubjectKnown) {
		return a.overtaken(ctx, c)
	}
	if err == nil {
		*c = waiting
	}
	return nil, err
}

// whereToPay is the answer of a commit that waits for its down payment.
func (a *App) whereToPay(ctx context.Context, c domain.Commit) (CommitAnswer, error) {
	page, err := a.cashPage(ctx, c)
	return CommitAnswer{CommitID: c.ID, State: domain.PaymentProcessing, RedirectURL: page}, err
}

// cashPage is where the payer pays the down payment that a commit waits for; empty once it moved or its time is over: the payer
// would pay for what is given back.
func (a *App) cashPage(ctx context.Context, c domain.Commit) (string, error) {
	leg, err := a.Store.CashLegOf(ctx, c.ID)
	if err != nil || leg == nil || !a.now().Before(leg.ExpireTime) {
		return "", err
	}
	return a.Cashier.Link(*leg), nil
}

// legOfCommit is the leg of a commit that waits for cash.
func (a *App) legOfCommit(ctx context.Context, c domain.Commit) (domain.CashLeg, error) {
	leg, err := a.Store.CashLegOf(ctx, c.ID)
	if err != nil {
		return domain.CashLeg{}, err
	}
	if leg == nil {
		return domain.CashLeg{}, errs.Internal.New("a commit waits for cash and has no leg")
	}
	return *leg, nil
}

// moveLeg writes a leg's move: the row, what the books say of it, and its event.
func moveLeg(tx Tx, m domain.CashLegMoved) {
	tx.MoveCashLeg(m)
	if cause, lines := m.Journal(); len(lines) > 0 {
		tx.Post(legText(m.Leg.ID), cause, lines)
	}
	tx.Emit(m)
}
