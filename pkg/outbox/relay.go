package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/eventsig"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"
)

// Producer writes messages to Kafka and returns when all replicas that must have them do.
type Producer interface {
	WriteMessages(ctx context.Context, msgs ...kafka.Message) error
}

const (
	relayBatch = 500
	// relayBytes keeps what is sent at once below the writer's batch size of 1 MiB: two batches to one partition could fail and
	// succeed in turn, and the second would overtake the first.
	relayBytes = 900_000
	// relayPoll is the fallback for a wake-up that was lost with its process.
	relayPoll = time.Second
	// relayLease is how long a dead relay can hold the others up.
	relayLease = 10 * time.Second
	// relayGather lets the events of transactions that commit together leave together.
	relayGather = 4 * time.Millisecond
	// relayWindow is how far back a read looks between sweeps. The index still holds what was published a moment ago until the
	// server's purge has passed; a read from the beginning would walk over all of it.
	relayWindow = 30 * time.Second
)

// Relay moves events from the outbox to Kafka.
type Relay struct {
	DB       *mysqlx.DB
	Producer Producer
	Writer   *Writer
	// Signer signs what leaves with the key of this service; see package eventsig. Required.
	Signer eventsig.Signer
	Clock  clock.Clock
	Log    *zap.Logger
	// Owner names this process in the lease.
	Owner string

	leaseUntil time.Time
	sweptAt    time.Time
}

// Run relays until ctx ends. Faults are logged and tried again; nothing is given up.
func (r *Relay) Run(ctx context.Context) error {
	failures := 0
	for ctx.Err() == nil {
		more, err := r.once(ctx)
		wait := relayPoll
		switch {
		case err != nil && ctx.Err() == nil:
			failures++
			r.Log.Warn("events wait in the outbox", zap.Error(err), zap.Int("failures", failures))
			wait = min(time.Duration(failures)*200*time.Millisecond, 5*time.Second)
		case more:
			failures, wait = 0, 0
		default:
			failures = 0
		}
		if wait > 0 {
			r.rest(ctx, wait, err != nil)
		}
	}
	r.release()
	return nil
}

// rest waits for the wake-up, or for the given time; after a fault the wake-up is not listened to.
func (r *Relay) rest(ctx context.Context, d time.Duration, faulty bool) {
	wake := r.Writer.Wake()
	if faulty {
		wake = nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-wake:
		gather := time.NewTimer(relayGather)
		defer gather.Stop()
		select {
		case <-ctx.Done():
		case <-gather.C:
		}
	}
}

type row struct {
	id         ids.ID
	topic, key string
	payload    []byte
}

// once sends one batch and tells whether there is more.
func (r *Relay) once(ctx context.Context) (more bool, err error) {
	if ok, err := r.lease(ctx); err != nil || !ok {
		return false, err
	}
	now := r.Clock.Now()
	sweep := r.sweepDue(now)
	rows, err := r.pending(ctx, now, sweep)
	if err != nil {
		return false, err
	}
	defer func() {
		// Only a sweep that left nothing behind allows the window: a newer event must not overtake an older one of its key.
		switch {
		case err != nil:
			r.sweptAt = time.Time{}
		case sweep && !more:
			r.sweptAt = now
		}
	}()
	if len(rows) == 0 {
		return false, nil
	}
	fit := fitting(rows)
	more = len(rows) == relayBatch || fit < len(rows)
	rows = rows[:fit]
	msgs := make([]kafka.Message, len(rows))
	for i, x := range rows {
		msgs[i] = kafka.Message{Topic: x.topic, Key: []byte(x.key), Value: x.payload,
			Headers: []kafka.Header{{Key: "event-id", Value: []byte(ids.Format(ids.Event, x.id))}}}
	}
	// Rows are signed when they leave, so that what a release before signatures stored, or an operator sends again, is signed as well.
	if err := eventsig.Sign(r.Signer, msgs); err != nil {
		return false, err
	}
	sent := rows
	sendCtx, cancel := context.WithTimeout(ctx, relayLease)
	defer cancel()
	if err := r.Producer.WriteMessages(sendCtx, msgs...); err != nil {
		// A part may have been written: mark those, the rest is sent again, and receivers dedupe.
		var each kafka.WriteErrors
		if !errors.As(err, &each) || len(each) != len(rows) {
			return false, fmt.Errorf("send events: %w", err)
		}
		sent = sent[:0:0]
		for i, e := range each {
			if e == nil {
				sent = append(sent, rows[i])
			}
		}
		if markErr := r.mark(ctx, sent); markErr != nil {
			return false, markErr
		}
		return false, fmt.Errorf("send events: %w", err)
	}
	return more, r.mark(ctx, sent)
}

// fitting gives how many rows go into one batch, one at least.
func fitting(rows []row) int {
	size := 0
	for i, x := range rows {
		// What a message costs besides its value: its headers and framing.
		if size += len(x.payload) + len(x.key) + 200 + eventsig.Overhead; size > relayBytes && i > 0 {
			return i
		}
	}
	return len(rows)
}

// sweepDue tells whether the next read begins at the beginning: it finds what a transaction longer than the window left, what
// another process left, and what could not be sent.
func (r *Relay) sweepDue(now time.Time) bool {
	since := now.Sub(r.sweptAt)
	return since < 0 || since >= relayPoll
}

func (r *Relay) pending(ctx context.Context, now time.Time, sweep bool) ([]row, error) {
	var from ids.ID
	if !sweep {
		from = ids.First(now.Add(-relayWindow))
	}
	rows, err := r.DB.QueryContext(ctx, `SELECT id, topic, message_key, payload FROM outbox WHERE published = 0 AND id >= ? ORDER BY id LIMIT ?`, from, relayBatch)
	if err != nil {
		return nil, mysqlx.Fault(err, "read the outbox")
	}
	defer func() { _ = rows.Close() }()
	var out []row
	for rows.Next() {
		var x row
		if err := rows.Scan(&x.id, &x.topic, &x.key, &x.payload); err != nil {
			return nil, mysqlx.Fault(err, "read the outbox")
		}
		out = append(out, x)
	}
	if err := rows.Err(); err != nil {
		return nil, mysqlx.Fault(err, "read the outbox")
	}
	return out, nil
}

func (r *Relay) mark(ctx context.Context, sent []row) error {
	if len(sent) == 0 {
		return nil
	}
	args := make([]any, len(sent))
	for i, x := range sent {
		args[i] = x.id
	}
	_, err := r.DB.ExecContext(ctx, `UPDATE outbox SET published = 1 WHERE id IN `+mysqlx.In(len(sent)), args...)
	return mysqlx.Fault(err, "mark events as sent")
}

// lease makes this process the service's relay, or tells that another one is. It is renewed when half of it is gone.
func (r *Relay) lease(ctx context.Context) (bool, error) {
	now := r.Clock.Now()
	if now.Before(r.leaseUntil.Add(-relayLease / 2)) {
		return true, nil
	}
	for range 2 {
		until := now.Add(relayLease)
		res, err := r.DB.ExecContext(ctx, `UPDATE leases SET owner = ?, until_time = ? WHERE name = 'relay' AND (owner = ? OR until_time < ?)`,
			r.Owner, until, r.Owner, now)
		if err != nil {
			return false, mysqlx.Fault(err, "take the relay's lease")
		}
		if n, err := res.RowsAffected(); err == nil && n == 1 {
			r.leaseUntil = until
			return true, nil
		}
		if _, err := r.DB.ExecContext(ctx, `INSERT IGNORE INTO leases (name, owner, until_time) VALUES ('relay', '', '2000-01-01')`); err != nil {
			return false, mysqlx.Fault(err, "seed the relay's lease")
		}
	}
	return false, nil
}

// release lets the next relay begin at once.
func (r *Relay) release() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = r.DB.ExecContext(ctx, `UPDATE leases SET until_time = '2000-01-01' WHERE name = 'relay' AND owner = ?`, r.Owner)
}
