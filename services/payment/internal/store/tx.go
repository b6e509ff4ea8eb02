package store

import (
	"database/sql"
	"encoding/json"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/unit"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// Tx is one transaction of the payment schema.
type Tx struct {
	*unit.Work
	encode Encode
}

func changed(what string) error {
	return errs.ConcurrentChange.New("%s was changed by somebody else at the same time; read it again, then repeat", what)
}

// Emit tells a domain event.
func (t *Tx) Emit(event any) ids.ID {
	topic, key, objectID, version, payload, err := t.encode(event)
	if err != nil {
		t.Fail(err)
		return ids.ID{}
	}
	return t.Tell(topic, key, objectID, version, payload)
}

// PutQuote stores the quote in place of the checkout's former one.
func (t *Tx) PutQuote(q domain.Quote, now time.Time) {
	terms, err := json.Marshal(q.Terms)
	if err != nil {
		t.Fail(err)
		return
	}
	t.Tx.Queue(`INSERT INTO quotes (checkout_id, quote_id, user_id, terms, plan, expire_time, create_time) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON DUPLICATE KEY UPDATE quote_id = VALUES(quote_id), user_id = VALUES(user_id), terms = VALUES(terms), plan = VALUES(plan),
		expire_time = VALUES(expire_time), create_time = VALUES(create_time)`,
		q.CheckoutID, q.ID, q.UserID, terms, q.Plan, q.ExpireTime, now)
}

// PutPin stores a new PIN, or replaces the one with the version before.
func (t *Tx) PutPin(p domain.Pin, now time.Time) {
	if p.Version == 1 {
		t.Tx.Queue(`INSERT INTO pins (user_id, salt, mac, failed_count, locked_until, version, update_time) VALUES (?, ?, ?, 0, NULL, 1, ?)`,
			p.UserID, p.Salt, p.MAC, now)
		return
	}
	t.Tx.QueueExpect(1, changed("the PIN"), `UPDATE pins SET salt = ?, mac = ?, failed_count = 0, locked_until = NULL, lock_count = 0, version = ?, update_time = ?
		WHERE user_id = ? AND version = ?`, p.Salt, p.MAC, p.Version, now, p.UserID, p.Version-1)
}

// CountPin stores the tries of a PIN whose version was one less.
func (t *Tx) CountPin(p domain.Pin) {
	t.Tx.QueueExpect(1, changed("the PIN"), `UPDATE pins SET failed_count = ?, locked_until = ?, lock_count = ?, version = ?
		WHERE user_id = ? AND version = ?`, p.FailedCount, nullTime(p.LockedUntil), p.LockCount, p.Version, p.UserID, p.Version-1)
}

// InsertCommit stores the intent if the PIN is still the one that was verified, in one statement, and resets the PIN's tries.
func (t *Tx) InsertCommit(c domain.Commit, verified domain.Pin) {
	terms, err := json.Marshal(c.Terms)
	if err != nil {
		t.Fail(err)
		return
	}
	if !verified.Untouched() {
		t.Tx.QueueExpect(1, changed("the PIN"), `UPDATE pins SET failed_count = 0, locked_until = NULL, lock_count = 0 WHERE user_id = ? AND version = ?`,
			c.UserID, verified.Version)
	}
	// The row of the PIN is locked, not only read: a wrong try that is being counted is waited for, and then this one is too late.
	t.Tx.QueueExpect(1, changed("the PIN"), `INSERT INTO commits (id, checkout_id, active_checkout_id, user_id, caller, request_id, fingerprint,
		terms, state, version, create_time, recover_time) SELECT ?, ?, ?, user_id, ?, ?, ?, ?, ?, ?, ?, ? FROM pins WHERE user_id = ? AND version = ?
		FOR UPDATE`,
		c.ID, c.CheckoutID, c.CheckoutID, c.Caller, c.RequestID, c.Fingerprint[:], terms, c.State, c.Version, c.CreateTime, c.RecoverTime,
		c.UserID, verified.Version)
}

// MoveCommit stores the commit's state, failure and timer if it was in from.
func (t *Tx) MoveCommit(c domain.Commit, from domain.CommitState) {
	if err := domain.CommitStates.Check(from, c.State); err != nil {
		t.Fail(err)
		return
	}
	const where = ` WHERE id = ? AND state = ? AND version = ?`
	switch c.State {
	case domain.CommitSucceeded:
		t.Tx.QueueExpect(1, changed("the commit"), `UPDATE commits SET state = ?, finish_time = ?, event_id = ?, version = ?, recover_time = NULL`+where,
			c.State, c.FinishTime, c.EventID, c.Version, c.ID, from, c.Version-1)
	case domain.CommitFailed:
		t.Tx.QueueExpect(1, changed("the commit"), `UPDATE commits SET state = ?, active_checkout_id = NULL, request_id = ?, finish_time = ?, event_id = ?,
			version = ?, recover_time = NULL`+where,
			c.State, sql.NullString{String: c.RequestID, Valid: c.RequestID != ""}, c.FinishTime, c.EventID, c.Version, c.ID, from, c.Version-1)
	default:
		t.Tx.QueueExpect(1, changed("the commit"), `UPDATE commits SET state = ?, failure_reason = ?, failure_message = ?, version = ?,
			recover_time = ?`+where, c.State, c.FailureReason, c.FailureMessage, c.Version, c.RecoverTime, c.ID, from, c.Version-1)
	}
}

// InsertPayments stores payments with their legs.
func (t *Tx) InsertPayments(ps []domain.Payment) {
	var rows, legs []any
	legCount := 0
	for _, p := range ps {
		rows = append(rows, p.ID, p.OrderID, p.CheckoutID, p.CommitID, p.UserID, p.MerchantID, p.Amount.Minor(), p.Amount.Currency().Code(),
			p.State, p.Version, p.PayTime)
		for i, l := range p.Legs {
			legs = append(legs, p.ID, i+1, l.Kind, l.Channel, l.Amount.Minor(), l.State, l.Reference)
			legCount++
		}
	}
	t.Tx.Queue(`INSERT INTO payments (id, order_id, checkout_id, commit_id, user_id, merchant_id, amount_minor, currency_code, state, version, pay_time)
		VALUES `+mysqlx.Tuples(len(ps), 11), rows...)
	t.Tx.Queue(`INSERT INTO payment_legs (payment_id, leg_no, kind, channel, amount_minor, state, reference) VALUES `+mysqlx.Tuples(legCount, 7), legs...)
}

// MovePayment stores the payment's state and its legs' states if it was in from.
func (t *Tx) MovePayment(p domain.Payment, from domain.PaymentState, legs app.LegsTo) {
	if err := domain.PaymentStates.Check(from, p.State); err != nil {
		t.Fail(err)
		return
	}
	t.Tx.QueueExpect(1, changed("the payment"), `UPDATE payments SET state = ?, reverse_time = ?, version = ? WHERE id = ? AND state = ? AND version = ?`,
		p.State, nullTime(p.ReverseTime), p.Version, p.ID, from, p.Version-1)
	t.Tx.Queue(`UPDATE payment_legs SET state = IF(kind = ?, ?, ?) WHERE payment_id = ?`, domain.LegCash, legs.Cash, legs.Credit, p.ID)
}
