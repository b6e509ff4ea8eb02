package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// OpenCreditAccount opens a credit account with a limit of zero or more. It fails with
// errs.AccountExists when the user has one, errs.AmountOutOfRange for the limit, and as
// idempotency.Do does. With r.Signer it fails as SetSigningProfile does, too.
func (a *App) OpenCreditAccount(ctx context.Context, r AccountRequest, limit money.Amount) (Account, error) {
	if limit.IsNegative() || money.Bounded(limit) != nil {
		return Account{}, errs.AmountOutOfRange.New("the limit must be 0 to %d minor units, is %s", money.MaxMinor, limit)
	}
	key, fp, err := r.request(verbOpen, limit)
	if err != nil {
		return Account{}, err
	}
	profile, fp, err := a.openingProfile(r, fp)
	if err != nil {
		return Account{}, err
	}
	now := a.now()
	nothing := money.Zero(limit.Currency())
	account := Account{OpenTime: now, Credit: money.Zero(limit.Currency()), Account: domain.Account{
		ID: a.ids.New(), UserID: r.UserID, Limit: limit, Used: nothing, Held: nothing, State: domain.AccountActive, Version: 1,
	}}
	if err := account.Check(); err != nil {
		return Account{}, err
	}
	trail, err := a.trail(verbOpen, r, nil, account, now)
	if err != nil {
		return Account{}, err
	}
	record, err := idempotency.Do(ctx, a.requests, key, fp, func() (accountRecord, error) {
		answer := recordOf(account)
		return answer, a.store.Do(ctx, func(tx Tx) error {
			tx.Remember(key, fp, answer)
			tx.InsertAccount(account, now)
			tx.InsertAccountChange(trail)
			if r.Signer.given() {
				tx.PutProfile(profile, now)
			}
			tx.Emit(accountChanged(account))
			return nil
		})
	})
	return record.account(), err
}
