package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// SetCreditLimit gives an account another limit. It fails with errs.AccountNotFound,
// errs.LimitBelowUse, errs.CurrencyMismatch, errs.AmountOutOfRange, and as
// idempotency.Do does.
func (a *App) SetCreditLimit(ctx context.Context, r AccountRequest, limit money.Amount) (Account, error) {
	return a.change(ctx, verbSetLimit, r, limit, func(account domain.Account) (domain.Account, error) {
		return account.SetLimit(limit)
	})
}
