// Package unit owns the unit of work: one transaction in which a service changes its rows, remembers a request, tells an event,
// sets a timer and posts a journal, all or nothing.
//
// A service's store embeds Work and adds its own writes. Writes are queued and leave together (see mysqlx.Tx), so they have no
// error of their own: the first fault fails the unit. It must not know a table of a service.
package unit

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/ledger"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/outbox"
)

// Kit is what units of work are made from.
type Kit struct {
	DB     *mysqlx.DB
	Outbox *outbox.Writer
	Jobs   *jobs.Queue
	IDs    *ids.Generator
	Clock  clock.Clock
}

// Work is one unit of work.
type Work struct {
	// Tx is the transaction, for the store's own statements.
	Tx  *mysqlx.Tx
	kit *Kit
	err error
}

// Do runs fn as one unit of work. fn may run several times and must not call anybody outside.
func (k *Kit) Do(ctx context.Context, fn func(w *Work) error) error {
	return k.DB.InTx(ctx, func(tx *mysqlx.Tx) error { return k.Join(tx, fn) })
}

// Join runs fn inside a transaction that is open already, such as the inbox's.
func (k *Kit) Join(tx *mysqlx.Tx, fn func(w *Work) error) error {
	w := &Work{Tx: tx, kit: k}
	if err := fn(w); err != nil {
		return err
	}
	return w.err
}

// Fail makes the unit fail; the first call counts.
func (w *Work) Fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// Remember records a request with its answer.
func (w *Work) Remember(k idempotency.Key, fp idempotency.Fingerprint, answer any) {
	if err := idempotency.Insert(w.Tx, k, fp, answer, w.kit.Clock.Now()); err != nil {
		w.Fail(err)
	}
}

// Tell adds an event and gives its id, for a row that wants to prove that it was told. The object's version is the one after
// the change.
func (w *Work) Tell(topic, key, objectID string, objectVersion int64, payload proto.Message) ids.ID {
	id, err := w.kit.Outbox.Add(w.Tx, outbox.Event{Topic: topic, Key: key, ObjectID: objectID, ObjectVersion: objectVersion, Payload: payload})
	if err != nil {
		w.Fail(err)
	}
	return id
}

// Schedule sets a timer, or moves it.
func (w *Work) Schedule(kind, key string, due time.Time) { w.kit.Jobs.Schedule(w.Tx, kind, key, due) }

// Unschedule removes a timer.
func (w *Work) Unschedule(kind, key string) { w.kit.Jobs.Cancel(w.Tx, kind, key) }

// Post adds a balanced journal.
func (w *Work) Post(objectID, cause string, lines []ledger.Line) {
	j := ledger.Journal{ID: w.kit.IDs.New(), ObjectID: objectID, Cause: cause, Time: w.kit.Clock.Now(), Lines: lines}
	lines, err := j.Check()
	if err != nil {
		w.Fail(err)
		return
	}
	if len(lines) == 0 {
		return
	}
	for i, l := range lines {
		w.Tx.QueueRow(insertLine, j.ID, i+1, l.Account, l.Party, j.ObjectID, j.Cause, l.Debit.Currency().Code(), l.Debit.Minor(), l.Credit.Minor(), j.Time)
	}
}

const insertLine = `INSERT INTO journal_lines (journal_id, line_no, account, party, object_id, cause, currency_code, debit_minor, credit_minor, post_time) VALUES `
