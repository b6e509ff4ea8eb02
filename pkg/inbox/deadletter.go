package inbox

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/segmentio/kafka-go"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/text"
)

// DeadLetter is an event that a service could not digest.
type DeadLetter struct {
	// ID of the dead letter.
	ID ids.ID
	// Topic it came from, its event's id, key and type.
	Topic, EventID, Key, Type string
	// Error is the last one.
	Error string
	// Attempts so far.
	Attempts int
	// Payload is the message as it came.
	Payload []byte
	// CreateTime is when it was put aside, ReplayTime when it was replayed with success (zero before).
	CreateTime, ReplayTime time.Time
}

// putAside stores a poison event, and tells the dead-letter topic in the same transaction.
func (c *Consumer) putAside(ctx context.Context, m kafka.Message, cause error, attempts int) error {
	var env commonv1.EventEnvelope
	_ = proto.Unmarshal(m.Value, &env) // What cannot be read is kept all the same.
	id, now := c.IDs.New(), c.Clock.Now()
	key := text.CutBytes(string(m.Key), keyMax)
	err := c.DB.InTx(ctx, func(tx *mysqlx.Tx) error {
		tx.Queue(`INSERT INTO dead_letters (id, topic, event_id, message_key, type, payload, error, attempts, create_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			id, m.Topic, text.CutBytes(env.GetEventId(), keyMax), key, text.CutBytes(env.GetPayload().GetTypeUrl(), typeMax), m.Value,
			text.Cut(cause.Error(), errorMax), attempts, now)
		c.Outbox.AddRaw(tx, c.IDs.New(), DeadLetterTopic(c.Service), key, m.Value, now)
		return nil
	})
	if err != nil {
		return err
	}
	c.Log.Error("an event could not be digested and was put aside", zap.String("dead_letter_id", ids.Format(ids.DeadLetter, id)),
		zap.String("event_id", env.GetEventId()), zap.String("topic", m.Topic), zap.Error(cause))
	return nil
}

// The columns of dead_letters: what others sent is cut to them, so that nothing is so malformed that it cannot be put aside.
const (
	keyMax   = 64   // bytes of event_id and message_key
	typeMax  = 128  // bytes of type
	errorMax = 1000 // characters of error
)

const deadLetterColumns = `id, topic, event_id, message_key, type, error, attempts, payload, create_time, replay_time`

// ListDeadLetters reads dead letters, newest first, those below the given id (zero: from the newest).
func ListDeadLetters(ctx context.Context, db *mysqlx.DB, below ids.ID, replayed Replayed, limit int) ([]DeadLetter, error) {
	query := `SELECT ` + deadLetterColumns + ` FROM dead_letters WHERE (? OR replay_time IS NULL) AND (? OR id < ?) ORDER BY id DESC LIMIT ?`
	rows, err := db.QueryContext(ctx, query, bool(replayed), below.IsZero(), below, limit)
	if err != nil {
		return nil, mysqlx.Fault(err, "read dead letters")
	}
	defer func() { _ = rows.Close() }()
	var out []DeadLetter
	for rows.Next() {
		d, err := scanDeadLetter(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, mysqlx.Fault(rows.Err(), "read dead letters")
}

// Replayed says whether a list includes dead letters that were replayed.
type Replayed bool

// What a list of dead letters includes.
const (
	OnlyOpen        Replayed = false
	IncludeReplayed Replayed = true
)

func scanDeadLetter(row mysqlx.Row) (DeadLetter, error) {
	var d DeadLetter
	var replayed sql.NullTime
	err := row.Scan(&d.ID, &d.Topic, &d.EventID, &d.Key, &d.Type, &d.Error, &d.Attempts, &d.Payload, &d.CreateTime, &replayed)
	if mysqlx.NoRows(err) {
		return d, errs.NotFound.New("no such dead letter")
	}
	d.ReplayTime = replayed.Time
	d.Key, d.EventID, d.Type = text.Valid(d.Key), text.Valid(d.EventID), text.Valid(d.Type) // a row of an older version may hold half a letter
	return d, mysqlx.Fault(err, "read a dead letter")
}

// Replay passes a dead letter to its handler again. One that was replayed with success answers nil and does nothing. A dead letter was
// verified before it was put aside, so its signature is not looked for again; what was refused is no dead letter.
func (c *Consumer) Replay(ctx context.Context, id ids.ID) error {
	d, err := scanDeadLetter(c.DB.QueryRowContext(ctx, `SELECT `+deadLetterColumns+` FROM dead_letters WHERE id = ?`, id))
	if err != nil {
		return err
	}
	if !d.ReplayTime.IsZero() {
		return nil
	}
	e, err := Unpack(d.Payload, c.Types...)
	if err != nil && !errors.Is(err, ErrUnknownType) {
		return errs.InvalidArgument.Wrap(err, "the event cannot be read")
	}
	if err == nil {
		if err := c.applyAll(ctx, []item{{event: e}}); err != nil {
			return err
		}
	}
	_, err = c.DB.ExecContext(ctx, `UPDATE dead_letters SET replay_time = ?, attempts = attempts + 1 WHERE id = ?`, c.Clock.Now(), id)
	return mysqlx.Fault(err, "mark the dead letter as replayed")
}
