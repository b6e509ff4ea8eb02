package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// FreezeCreditAccount stops new purchases. It fails with errs.AccountNotFound,
// errs.AccountStateInvalid (frozen or closed already), and as idempotency.Do does.
func (a *App) FreezeCreditAccount(ctx context.Context, r AccountRequest) (Account, error) {
	return a.change(ctx, verbFreeze, r, money.Amount{}, func(account domain.Account) (domain.Account, error) {
		return account.Freeze(r.Reason)
	})
}

// UnfreezeCreditAccount allows purchases again. It fails with errs.AccountNotFound,
// errs.AccountStateInvalid (not frozen), and as idempotency.Do does.
func (a *App) UnfreezeCreditAccount(ctx context.Context, r AccountRequest) (Account, error) {
	return a.change(ctx, verbUnfreeze, r, money.Amount{}, func(account domain.Account) (domain.Account, error) {
		return account.Unfreeze()
	})
}
