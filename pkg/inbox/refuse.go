package inbox

import (
	"context"
	"errors"
	"time"

	"github.com/segmentio/kafka-go"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/eventsig"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/text"
)

// item is a message that concerns the service and is of the service that owns its topic: an event, or why it cannot be read.
type item struct {
	message kafka.Message
	event   Event
	err     error
}

// refusal is a message that is not of the service that owns its topic.
type refusal struct {
	message  kafka.Message
	envelope *commonv1.EventEnvelope // as far as it can be read
	cause    *eventsig.Refused
}

// read takes the messages that concern the service. Only those are verified: what is passed over has no effect.
func (c *Consumer) read(msgs []kafka.Message) (items []item, refused []refusal) {
	now := clock.System().Now()
	unsigned := 0
	for i := range msgs {
		env := &commonv1.EventEnvelope{}
		readErr := proto.Unmarshal(msgs[i].Value, env)
		if readErr == nil && !wanted(env, c.Types) {
			continue
		}
		var cause *eventsig.Refused
		if errors.As(c.Verifier.Verify(&msgs[i], now), &cause) {
			if cause.Reason != eventsig.Unsigned || !now.Before(c.UnsignedUntil) {
				refused = append(refused, refusal{msgs[i], env, cause})
				continue
			}
			unsigned++
		}
		x := item{message: msgs[i], err: readErr}
		if readErr == nil {
			x.event, x.err = unpack(env)
		}
		if !errors.Is(x.err, ErrUnknownType) {
			items = append(items, x)
		}
	}
	if unsigned > 0 {
		c.Log.Warn("events without a signature are applied, as configured", zap.Int("events", unsigned), zap.Time("until", c.UnsignedUntil))
	}
	return items, refused
}

const (
	// refusedPerHour bounds the rows that one process stores, so that a flood of forgeries fills no disk. The others are counted.
	refusedPerHour = 1000
	// refusedEventsQuery keeps the last message at a place of a topic, which begins again when a broker was lost.
	refusedEventsQuery = `REPLACE INTO refused_events (topic, kafka_partition, kafka_offset, event_id, message_key, type, key_id, reason, create_time) VALUES `
)

// rows is how many rows this process has stored in the hour that began at since.
type rows struct {
	since time.Time
	n     int
}

// take returns how many of n rows may be stored at the time now.
func (r *rows) take(n int, now time.Time) int {
	if elapsed := now.Sub(r.since); elapsed < 0 || elapsed >= time.Hour {
		*r = rows{since: now}
	}
	n = min(n, refusedPerHour-r.n)
	r.n += n
	return n
}

// refuse counts, logs and stores messages that are not applied. It waits for the database while that is away, as for events that are
// applied, and answers false only when ctx ended before that.
func (c *Consumer) refuse(ctx context.Context, refused []refusal) bool {
	if len(refused) == 0 {
		return true
	}
	for _, r := range refused {
		if c.Refused != nil {
			c.Refused(r.message.Topic, r.cause.Reason)
		}
	}
	first := refused[0]
	c.Log.Error("events are not of the service that owns their topic and were refused; if they are real, have that service send them again",
		zap.Int("events", len(refused)), zap.String("topic", first.message.Topic), zap.Int("partition", first.message.Partition),
		zap.Int64("offset", first.message.Offset), zap.String("reason", string(first.cause.Reason)), zap.String("key_id", text.CutBytes(first.cause.KeyID, keyMax)))
	stored := refused[:c.refusedRows.take(len(refused), clock.System().Now())]
	if len(stored) == 0 {
		return true
	}
	for failures := 1; ; failures++ {
		err := c.storeRefused(ctx, stored)
		switch {
		case err == nil:
			return true
		case ctx.Err() != nil:
			return false
		case !passing(err):
			c.Log.Error("refused events could not be stored for the audit", zap.Error(err))
			return true
		}
		c.pause(ctx, failures)
	}
}

func (c *Consumer) storeRefused(ctx context.Context, refused []refusal) error {
	const columns = 9
	now := c.Clock.Now()
	values := make([]any, 0, columns*len(refused))
	for _, r := range refused {
		var eventID any
		if id, err := ids.Parse(ids.Event, r.envelope.GetEventId()); err == nil {
			eventID = id
		}
		m := r.message
		values = append(values, m.Topic, m.Partition, m.Offset, eventID, text.CutBytes(string(m.Key), keyMax), text.CutBytes(r.envelope.GetPayload().GetTypeUrl(), typeMax),
			text.CutBytes(r.cause.KeyID, keyMax), string(r.cause.Reason), now)
	}
	_, err := c.DB.ExecContext(ctx, refusedEventsQuery+mysqlx.Tuples(len(refused), columns), values...)
	return mysqlx.Fault(err, "store refused events")
}
