package app

import (
	"context"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// KeptCash is a part of a down payment that could not go back and became credit balance.
type KeptCash struct {
	// Reference is the payment service's return, and the record of the request.
	Reference  ids.ID
	UserID     string
	Amount     money.Amount
	CreateTime time.Time
}

// KeepCashAsCredit turns cash that could not go back to a user into credit balance. What is kept already stays so. The payment service,
// whose cash it is, is asked what the reference stands for: what the caller says of amount and user is not believed.
// Errors: errs.AccountNotFound, errs.CurrencyMismatch, errs.AmountOutOfRange; errs.RequestIDReused for a reference with other content;
// errs.NotFound, errs.OrderStateInvalid and errs.LegAmountMismatch when the payment service does not confirm it.
func (a *App) KeepCashAsCredit(ctx context.Context, k KeptCash) error {
	_, err := again(ctx, func() (struct{}, error) { return struct{}{}, a.keepCash(ctx, k) })
	return err
}

func (a *App) keepCash(ctx context.Context, k KeptCash) error {
	known, found, err := a.store.KeptCash(ctx, k.Reference)
	switch {
	case err != nil:
		return err
	case found && (known.UserID != k.UserID || known.Amount != k.Amount):
		return errs.RequestIDReused.New("this reference was kept with other content")
	case found:
		return nil
	}
	if err := a.confirmKept(ctx, k); err != nil {
		return err
	}
	account, found, err := a.store.Account(ctx, k.UserID)
	switch {
	case err != nil:
		return err
	case !found:
		return noAccount()
	case k.Amount.Currency() != account.Limit.Currency():
		return errs.CurrencyMismatch.New("the account is in %s", account.Limit.Currency())
	}
	lines, err := domain.CreditBalanceLines(k.Amount)
	if err != nil {
		return err
	}
	k.CreateTime = a.now()
	err = a.store.Do(ctx, func(tx Tx) error {
		tx.InsertKeptCash(k)
		tx.ChangeAccount(AccountDelta{UserID: k.UserID, Used: money.Zero(k.Amount.Currency()), Credit: k.Amount}, k.CreateTime)
		postOf(tx, ids.Format(ids.Leg, k.Reference), k.UserID, causeCashKept, lines)
		return nil
	})
	if _, taken := mysqlx.Duplicate(err); taken {
		return errs.ConcurrentChange.New("the same cash is being kept at this moment")
	}
	return err
}

// confirmKept holds what is to become credit balance against the return of the payment service.
func (a *App) confirmKept(ctx context.Context, k KeptCash) error {
	back, err := a.payments.CashReturn(ctx, k.Reference)
	switch {
	case err != nil:
		return err
	case !back.Abandoned:
		return errs.OrderStateInvalid.New("return %s was not given up: only what cannot go back becomes credit balance", ids.Format(ids.Leg, k.Reference))
	case !back.OfDownPayment || back.UserID != k.UserID || back.Amount != k.Amount:
		return errs.LegAmountMismatch.New("return %s is not %s of a down payment of user %s", ids.Format(ids.Leg, k.Reference), k.Amount, k.UserID)
	default:
		return nil
	}
}
