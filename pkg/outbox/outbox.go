// Package outbox owns the way of events out of a service: a row in the transaction of the change, then Kafka.
//
// The relay wakes at commit and polls as a fallback; one relay per service works at a time, by lease, so that the events of a
// key leave in order. Rows stay, marked as published, so that a lost broker can be filled again.
package outbox

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"
)

// Event is a change to be told.
type Event struct {
	// Topic, "creditpay.<service>.events.v1".
	Topic string
	// Key decides the partition: a checkout id or a user id. Events of one key arrive in order.
	Key string
	// ObjectID is the typed id of what changed.
	ObjectID string
	// ObjectVersion is its version after the change.
	ObjectVersion int64
	// Payload is one of the messages of the service's events.proto.
	Payload proto.Message
}

// Writer adds events to transactions.
type Writer struct {
	ids   *ids.Generator
	clock clock.Clock
	wake  chan struct{}
}

// NewWriter makes a writer. Wake is what the relay listens to.
func NewWriter(gen *ids.Generator, clk clock.Clock) *Writer {
	return &Writer{ids: gen, clock: clk, wake: make(chan struct{}, 1)}
}

// Wake fires after a transaction with events was committed.
func (w *Writer) Wake() <-chan struct{} { return w.wake }

func (w *Writer) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Add puts an event into the transaction and gives its id.
func (w *Writer) Add(tx *mysqlx.Tx, e Event) (ids.ID, error) {
	id, now := w.ids.New(), w.clock.Now()
	payload, err := anypb.New(e.Payload)
	if err != nil {
		return ids.ID{}, fmt.Errorf("pack event: %w", err)
	}
	envelope := &commonv1.EventEnvelope{
		EventId: ids.Format(ids.Event, id), OccurredTime: timestamppb.New(now), Key: e.Key,
		ObjectId: e.ObjectID, ObjectVersion: e.ObjectVersion, Payload: payload,
	}
	blob, err := proto.Marshal(envelope)
	if err != nil {
		return ids.ID{}, fmt.Errorf("pack event: %w", err)
	}
	w.AddRaw(tx, id, e.Topic, e.Key, blob, now)
	return id, nil
}

// AddRaw puts a packed envelope into the transaction, for example on its way to a dead-letter topic.
func (w *Writer) AddRaw(tx *mysqlx.Tx, id ids.ID, topic, key string, envelope []byte, now time.Time) {
	tx.QueueRow(`INSERT INTO outbox (id, topic, message_key, payload, create_time) VALUES `, id, topic, key, envelope, now)
	tx.OnCommit(w.nudge)
}

// Replay marks the events since a time as not yet published and tells how many.
func Replay(ctx context.Context, db *mysqlx.DB, from time.Time) (int64, error) {
	res, err := db.ExecContext(ctx, `UPDATE outbox SET published = 0 WHERE published = 1 AND create_time >= ?`, from)
	if err != nil {
		return 0, mysqlx.Fault(err, "mark events to be sent again")
	}
	return res.RowsAffected()
}
