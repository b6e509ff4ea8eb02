// Package inbox owns the way of events into a service: read from Kafka, verified, deduplicated and applied in one transaction, then
// committed to Kafka.
//
// Whoever may write to a topic can write anything, so an event moves nothing unless the service that owns its topic signed it (see
// package eventsig). What is not signed so is refused: a row for the audit, a metric and a line in the log; the rest goes on.
//
// Events are applied in batches, so that a busy service pays one transaction for many. When a batch fails by a rule, its events
// are applied one by one; one that is refused for good goes to the dead letters (a table, and a topic for alerts) and the rest
// goes on. Faults that pass (database, network) are waited out: nothing is skipped because of them.
package inbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/eventsig"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/outbox"
)

// Event is an event to be applied.
type Event struct {
	// ID of the event.
	ID ids.ID
	// Key of its partition.
	Key string
	// ObjectID that changed, and its version.
	ObjectID string
	// ObjectVersion after the change.
	ObjectVersion int64
	// Payload is the unpacked message; a type that this binary does not know is never handed out.
	Payload proto.Message
	// Time when it happened.
	Time time.Time
}

// Apply applies events to the transaction. It may run several times and calls nobody outside. An error with a reason that is a
// rule's is final for the batch; any other is tried again.
type Apply func(ctx context.Context, tx *mysqlx.Tx, events []Event) error

// Reader is a member of a consumer group.
type Reader interface {
	FetchMessage(ctx context.Context) (kafka.Message, error)
	CommitMessages(ctx context.Context, msgs ...kafka.Message) error
	Close() error
}

// Consumer applies the events of some topics to a service.
type Consumer struct {
	DB     *mysqlx.DB
	Reader Reader
	Apply  Apply
	// Types are the events that concern the service; those of other types are passed over without a trace. Nil takes all.
	Types []proto.Message
	// Verifier checks who wrote an event. Required.
	Verifier *eventsig.Verifier
	// UnsignedUntil is the machine's time until which events without any signature are applied; zero for never. It is for the change
	// from a release that did not sign.
	UnsignedUntil time.Time
	// Refused counts a message that was refused; nil for no count.
	Refused func(topic string, reason eventsig.Reason)
	Outbox  *outbox.Writer
	IDs     *ids.Generator
	Clock   clock.Clock
	Log     *zap.Logger
	// Service names the owner in the dead-letter topic.
	Service string

	refusedRows rows
}

const (
	batchMax = 200
	// gather is how long a batch waits for more once it has one event.
	gather = 4 * time.Millisecond
	// poisonAttempts is how often one event may fail for a cause of our own before it is put aside.
	poisonAttempts = 5
	backoffMin     = 50 * time.Millisecond
	backoffMax     = 5 * time.Second
)

// DeadLetterTopic is where a service's poison events go.
func DeadLetterTopic(service string) string { return "creditpay." + service + ".deadletter.v1" }

// Run consumes until ctx ends.
func (c *Consumer) Run(ctx context.Context) error {
	defer func() { _ = c.Reader.Close() }()
	if c.Verifier == nil {
		return errors.New("the inbox has no verifier of signatures")
	}
	failures := 0
	for ctx.Err() == nil {
		msgs, err := c.fetch(ctx)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, io.EOF) {
				return nil
			}
			failures++
			c.Log.Warn("events cannot be read", zap.Error(err))
			c.pause(ctx, failures)
			continue
		}
		failures = 0
		if !c.digest(ctx, msgs) {
			return nil
		}
		if err := c.Reader.CommitMessages(ctx, msgs...); err != nil && ctx.Err() == nil {
			// They will come again; the inbox knows them.
			c.Log.Warn("offsets are not committed", zap.Error(err))
		}
	}
	return nil
}

func (c *Consumer) pause(ctx context.Context, failures int) {
	d := backoffMax
	if failures < 8 {
		d = min(backoffMin<<failures, backoffMax)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// fetch waits for one message and takes what else is there.
func (c *Consumer) fetch(ctx context.Context) ([]kafka.Message, error) {
	first, err := c.Reader.FetchMessage(ctx)
	if err != nil {
		return nil, err
	}
	msgs := []kafka.Message{first}
	more, cancel := context.WithTimeout(ctx, gather)
	defer cancel()
	for len(msgs) < batchMax {
		m, err := c.Reader.FetchMessage(more)
		if err != nil {
			break
		}
		msgs = append(msgs, m)
	}
	return msgs, nil
}

// digest applies a batch, and answers false only when ctx ended before that.
func (c *Consumer) digest(ctx context.Context, msgs []kafka.Message) bool {
	items, refused := c.read(msgs)
	if !c.refuse(ctx, refused) {
		return false
	}
	if err := c.applyAll(ctx, items); err == nil {
		return true
	} else if ctx.Err() != nil {
		return false
	} else if len(items) > 1 {
		c.Log.Info("a batch of events failed and is applied one by one", zap.Error(err), zap.Int("events", len(items)))
	}
	for _, x := range items {
		if !c.digestOne(ctx, x) {
			return false
		}
	}
	return true
}

func (c *Consumer) digestOne(ctx context.Context, x item) bool {
	own := 0
	for failures := 1; ; failures++ {
		err := c.applyAll(ctx, []item{x})
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		final := errs.Business(err)
		if !final && !passing(err) {
			own++
			final = own >= poisonAttempts
		}
		if final {
			if putErr := c.putAside(ctx, x.message, err, failures); putErr == nil {
				return true
			}
		}
		c.pause(ctx, failures)
	}
}

// passing reports whether the cause is a dependency that will come back.
func passing(err error) bool {
	return errs.Is(err, errs.DependencyUnavailable) || errs.Is(err, errs.DeadlineTooShort) ||
		mysqlx.Disconnected(err) || mysqlx.Retryable(err)
}

func (c *Consumer) applyAll(ctx context.Context, items []item) error {
	events := make([]Event, 0, len(items))
	for _, x := range items {
		if x.err != nil {
			return errs.InvalidArgument.Wrap(x.err, "the event cannot be read")
		}
		events = append(events, x.event)
	}
	if len(events) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err := c.applyFresh(ctx, once(events))
	if _, seen := mysqlx.Duplicate(err); !seen {
		return err
	}
	// Some of them were applied before: the group was rebalanced, or the process died before it could say so.
	fresh, findErr := c.unseen(ctx, events)
	if findErr != nil {
		return findErr
	}
	if len(fresh) == len(events) {
		return err // The duplicate is not the inbox's.
	}
	if len(fresh) == 0 {
		return nil
	}
	return c.applyFresh(ctx, fresh)
}

// applyFresh applies events that the inbox does not know, and remembers them, in one transaction. One that it does know violates
// its key.
func (c *Consumer) applyFresh(ctx context.Context, fresh []Event) error {
	now := c.Clock.Now()
	values := make([]any, 0, 2*len(fresh))
	for _, e := range fresh {
		values = append(values, e.ID, now)
	}
	return c.DB.InTx(ctx, func(tx *mysqlx.Tx) error {
		tx.Queue(`INSERT INTO inbox (event_id, create_time) VALUES `+mysqlx.Tuples(len(fresh), 2), values...)
		return c.Apply(ctx, tx, fresh)
	})
}

// once leaves out events that came before in the list.
func once(events []Event) []Event {
	seen := make(map[ids.ID]bool, len(events))
	return slices.DeleteFunc(slices.Clone(events), func(e Event) bool {
		before := seen[e.ID]
		seen[e.ID] = true
		return before
	})
}

// unseen gives the events that the inbox does not know, each once.
func (c *Consumer) unseen(ctx context.Context, events []Event) ([]Event, error) {
	args := make([]any, len(events))
	for i, e := range events {
		args[i] = e.ID
	}
	rows, err := c.DB.QueryContext(ctx, `SELECT event_id FROM inbox WHERE event_id IN `+mysqlx.In(len(args)), args...)
	if err != nil {
		return nil, mysqlx.Fault(err, "read the inbox")
	}
	defer func() { _ = rows.Close() }()
	seen := map[ids.ID]bool{}
	for rows.Next() {
		var id ids.ID
		if err := rows.Scan(&id); err != nil {
			return nil, mysqlx.Fault(err, "read the inbox")
		}
		seen[id] = true
	}
	if err := rows.Err(); err != nil {
		return nil, mysqlx.Fault(err, "read the inbox")
	}
	return slices.DeleteFunc(once(events), func(e Event) bool { return seen[e.ID] }), nil
}

// ErrUnknownType is answered for an event whose message this binary does not know, or that is not of the types asked for.
var ErrUnknownType = errors.New("event type is not known or not wanted")

// Unpack reads an envelope. With types, it reads only those. It does not look at signatures.
func Unpack(value []byte, types ...proto.Message) (Event, error) {
	var env commonv1.EventEnvelope
	if err := proto.Unmarshal(value, &env); err != nil {
		return Event{}, fmt.Errorf("read envelope: %w", err)
	}
	if !wanted(&env, types) {
		return Event{}, fmt.Errorf("%w: %s", ErrUnknownType, env.GetPayload().MessageName())
	}
	return unpack(&env)
}

// wanted reports whether an envelope holds one of the types, or no type that can be recognised.
func wanted(env *commonv1.EventEnvelope, types []proto.Message) bool {
	if len(types) == 0 || env.GetPayload() == nil {
		return true
	}
	name := env.GetPayload().MessageName()
	return slices.ContainsFunc(types, func(t proto.Message) bool { return t.ProtoReflect().Descriptor().FullName() == name })
}

func unpack(env *commonv1.EventEnvelope) (Event, error) {
	id, err := ids.Parse(ids.Event, env.GetEventId())
	if err != nil {
		return Event{}, fmt.Errorf("read envelope: %w", err)
	}
	if env.GetPayload() == nil {
		return Event{}, errors.New("read envelope: no payload")
	}
	payload, err := env.GetPayload().UnmarshalNew()
	if errors.Is(err, protoregistry.NotFound) {
		return Event{}, fmt.Errorf("%w: %s", ErrUnknownType, env.GetPayload().GetTypeUrl())
	}
	if err != nil {
		return Event{}, fmt.Errorf("read %s: %w", env.GetPayload().GetTypeUrl(), err)
	}
	return Event{ID: id, Key: env.GetKey(), ObjectID: env.GetObjectId(), ObjectVersion: env.GetObjectVersion(),
		Payload: payload, Time: env.GetOccurredTime().AsTime()}, nil
}
