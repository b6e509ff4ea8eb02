package app

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// paidOut is the recorded answer of a pay-out. Where nobody has to approve it, its JSON is that of Left alone.
type paidOut struct {
	// Left is what is left of the balance.
	Left money.Amount
	// Approval is the request that other people must approve first; zero where nobody has to.
	Approval ids.ID
}

// waitingPayOut is the JSON of a pay-out that waits.
type waitingPayOut struct {
	Left     money.Amount `json:"left"`
	Approval ids.ID       `json:"approval_id"`
}

// MarshalJSON implements json.Marshaler.
func (p paidOut) MarshalJSON() ([]byte, error) {
	if p.Approval.IsZero() {
		return json.Marshal(p.Left)
	}
	return json.Marshal(waitingPayOut(p))
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *paidOut) UnmarshalJSON(text []byte) error {
	var w waitingPayOut
	if err := json.Unmarshal(text, &w); err == nil && !w.Approval.IsZero() {
		*p = paidOut(w)
		return nil
	}
	return json.Unmarshal(text, &p.Left)
}

// PayOutCreditBalance records that a part of a user's credit balance was paid out, and returns what is left. Where other people must
// approve it, it returns their request, and the balance as it is. Errors: ACCOUNT_NOT_FOUND, BALANCE_INSUFFICIENT, CURRENCY_MISMATCH,
// AMOUNT_OUT_OF_RANGE.
func (a *App) PayOutCreditBalance(ctx context.Context, userID string, op Operation) (money.Amount, approval.Request, error) {
	pay := func(remember func(LockingTx, paidOut)) (paidOut, error) {
		return again(ctx, func() (paidOut, error) { return a.payOut(ctx, userID, op, remember) })
	}
	if !op.Ticket.IsZero() {
		done, err := pay(func(LockingTx, paidOut) {})
		return done.Left, approval.Request{}, err
	}
	key := idempotency.Key{Verb: verbPayOut, Caller: op.Actor, RequestID: op.RequestID}
	fp, err := idempotency.FingerprintOf([]any{userID, op.Amount, op.Reason})
	if err != nil {
		return money.Amount{}, approval.Request{}, err
	}
	done, err := idempotency.Do(ctx, a.requests, key, fp, func() (paidOut, error) {
		return pay(func(tx LockingTx, done paidOut) { tx.Remember(key, fp, done) })
	})
	if err != nil {
		return money.Amount{}, approval.Request{}, err
	}
	asked, err := a.waiting(ctx, done.Approval)
	return done.Left, asked, err
}

// payOut is one attempt.
func (a *App) payOut(ctx context.Context, userID string, op Operation, remember func(LockingTx, paidOut)) (done paidOut, err error) {
	account, found, err := a.store.Account(ctx, userID)
	switch {
	case err != nil:
		return done, err
	case !found:
		return done, noAccount()
	case op.Amount.Currency() != account.Limit.Currency():
		return done, errs.CurrencyMismatch.New("the account is in %s", account.Limit.Currency())
	case !op.Amount.IsPositive():
		return done, errs.AmountOutOfRange.New("the amount must be above zero")
	case op.Amount.Minor() > account.Credit.Minor():
		return done, errs.BalanceInsufficient.New("the credit balance is %s; pay out that much at most", account.Credit)
	}
	left, err := account.Credit.Sub(op.Amount)
	if err != nil {
		return done, err
	}
	lines, err := domain.CreditBalancePaidOutLines(op.Amount)
	if err != nil {
		return done, err
	}
	ask := a.ask(verbPayOut, userID, op)
	ask.Amount, ask.Payer, ask.Effect = op.Amount, userID, a.ids.New()
	ask.Arguments = payOutAct{UserID: userID, Amount: op.Amount}
	ask.Summary = fmt.Sprintf("%s: pay %s out of the credit balance of user %s", verbPayOut, op.Amount, userID)
	err = a.store.DoLocking(ctx, func(tx LockingTx) error {
		asked, err := tx.Gate(ctx, ask)
		if err != nil {
			return err
		}
		if asked.Waits() {
			done = paidOut{Left: account.Credit, Approval: asked.ID}
			remember(tx, done)
			return nil
		}
		done = paidOut{Left: left}
		remember(tx, done)
		tx.TakeCredit(account, op.Amount, ask.Now)
		tx.InsertAccountChange(AccountChange{ID: ask.Effect, AccountID: account.ID, Actor: op.Actor, What: verbPayOut, Reason: op.Reason,
			After: []byte(`{"paid_out":"` + op.Amount.String() + `"}`), Time: ask.Now})
		postOf(tx, ids.Format(ids.Account, account.ID), userID, causePaidOut, lines)
		return nil
	})
	return done, err
}
