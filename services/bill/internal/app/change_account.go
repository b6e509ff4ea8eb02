package app

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// AccountRequest is what every change of an account by an operator comes with.
type AccountRequest struct {
	// RequestID is the caller's id of the request, Actor who asks.
	RequestID, Actor string
	UserID           string
	// Reason is kept for the auditor.
	Reason string
	// Version of the account that the caller has seen; zero for whatever it is.
	Version int64
	// Signer is who signs for the user, for OpenCreditAccount (optional) and SetSigningProfile.
	Signer Signer
}

// The verbs that change accounts, as request records and the trail name them.
const (
	verbOpen     = "OpenCreditAccount"
	verbSetLimit = "SetCreditLimit"
	verbFreeze   = "FreezeCreditAccount"
	verbUnfreeze = "UnfreezeCreditAccount"
)

// request is the key and the fingerprint of a change.
func (r AccountRequest) request(verb string, limit money.Amount) (idempotency.Key, idempotency.Fingerprint, error) {
	fp, err := idempotency.FingerprintOf(struct {
		UserID  string       `json:"user_id"`
		Limit   money.Amount `json:"limit"`
		Reason  string       `json:"reason"`
		Version int64        `json:"version,omitzero"`
	}{r.UserID, limit, r.Reason, r.Version})
	return idempotency.Key{Verb: verb, Caller: r.Actor, RequestID: r.RequestID}, fp, err
}

// GetCreditAccount is the account of a user, or errs.AccountNotFound.
func (a *App) GetCreditAccount(ctx context.Context, userID string) (Account, error) {
	account, found, err := a.store.Account(ctx, userID)
	if err == nil && !found {
		err = noAccount()
	}
	return account, err
}

// change applies a rule of the domain to an account: once per request, with a trace in the trail and an event.
func (a *App) change(ctx context.Context, verb string, r AccountRequest, limit money.Amount, rule func(domain.Account) (domain.Account, error)) (Account, error) {
	key, fp, err := r.request(verb, limit)
	if err != nil {
		return Account{}, err
	}
	record, err := idempotency.Do(ctx, a.requests, key, fp, func() (accountRecord, error) {
		return again(ctx, func() (accountRecord, error) {
			before, err := a.GetCreditAccount(ctx, r.UserID)
			if err != nil {
				return accountRecord{}, err
			}
			if r.Version != 0 && r.Version != before.Version {
				return accountRecord{}, errs.ConcurrentChange.New("the account has version %d, not %d: it changed since it was read; read it again, then repeat with its version",
					before.Version, r.Version).With("version", strconv.FormatInt(before.Version, 10))
			}
			after := before
			if after.Account, err = rule(before.Account); err != nil {
				return accountRecord{}, err
			}
			if after.State == domain.AccountActive && after.OverdueLoans > 0 {
				after.State = domain.AccountOverdue // What an operator lifts is the freeze, not the debt.
			}
			after.Version++
			trail, err := a.trail(verb, r, &before, after, a.now())
			if err != nil {
				return accountRecord{}, err
			}
			answer := recordOf(after)
			return answer, a.store.Do(ctx, func(tx Tx) error {
				tx.Remember(key, fp, answer)
				next := after.Account
				next.Version = before.Version
				tx.UpdateAccount(next, trail.Time)
				tx.InsertAccountChange(trail)
				tx.Emit(accountChanged(after))
				return nil
			})
		})
	})
	return record.account(), err
}

// trail is the entry of a change; before is nil for an account that is opened.
func (a *App) trail(verb string, r AccountRequest, before *Account, after Account, at time.Time) (AccountChange, error) {
	c := AccountChange{ID: a.ids.New(), AccountID: after.ID, Actor: r.Actor, What: verb, Reason: r.Reason, Time: at}
	var err error
	if before != nil {
		if c.Before, err = json.Marshal(recordOf(*before)); err != nil {
			return c, errs.Internal.Wrap(err, "write the account before the change")
		}
	}
	if c.After, err = json.Marshal(recordOf(after)); err != nil {
		return c, errs.Internal.Wrap(err, "write the account after the change")
	}
	return c, nil
}

func accountChanged(a Account) domain.Event {
	return domain.CreditAccountChanged{AccountID: a.ID, UserID: a.UserID, Limit: a.Limit, State: a.State, Version: a.Version}
}
