package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/segmentio/kafka-go"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/eventsig"
	"github.com/creditpay/creditpay/pkg/eventsig/eventsigtest"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/localbroker"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/outbox"
	"github.com/creditpay/creditpay/pkg/schema/schematest"
	"github.com/creditpay/creditpay/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	topic  = "creditpay.test.events.v1"
	within = 20 * time.Second
)

// desk is a service that keeps the events that it applied, in their order.
type desk struct {
	db       *mysqlx.DB
	consumer *inbox.Consumer
	producer *kafka.Writer
	ids      *ids.Generator
	keys     eventsigtest.Keys

	mu     sync.Mutex
	refuse map[string]error // by text, what Apply answers
	calls  []int            // events per call of Apply
}

func newDesk(t *testing.T, dsn string) *desk {
	t.Helper()
	db := schematest.OpenDSN(t, dsn)
	if _, err := db.ExecContext(t.Context(), `CREATE TABLE applied (event_id BINARY(16) NOT NULL PRIMARY KEY, message VARCHAR(64) NOT NULL, at DATETIME(6) NOT NULL DEFAULT NOW(6))`); err != nil {
		t.Fatal(err)
	}
	client := testkit.Kafka(t, testkit.Broker(t, localbroker.Topic{Name: topic}))
	d := &desk{db: db, producer: client.Producer(), ids: ids.NewGenerator(clock.System()), refuse: map[string]error{}}
	t.Cleanup(func() { _ = d.producer.Close() })
	d.consumer = &inbox.Consumer{DB: db, Apply: d.apply, Reader: client.Reader("creditpay.test", []string{topic}), Verifier: eventsig.NewVerifier(&d.keys),
		Outbox: outbox.NewWriter(d.ids, clock.System()), IDs: d.ids, Clock: clock.System(), Log: zap.NewNop(), Service: "test"}
	return d
}

func (d *desk) apply(_ context.Context, tx *mysqlx.Tx, events []inbox.Event) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, len(events))
	for _, e := range events {
		text := e.Payload.(*wrapperspb.StringValue).GetValue()
		if err := d.refuse[text]; err != nil {
			return err
		}
		tx.Queue(`INSERT INTO applied (event_id, message) VALUES (?, ?)`, e.ID, text)
	}
	return nil
}

func (d *desk) refuseWith(text string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refuse[text] = err
}

func (d *desk) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := d.consumer.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// message packs an event whose payload is a text.
func (d *desk) message(t *testing.T, text string) kafka.Message {
	t.Helper()
	payload, err := anypb.New(wrapperspb.String(text))
	if err != nil {
		t.Fatal(err)
	}
	return d.pack(t, payload)
}

func (d *desk) pack(t *testing.T, payload *anypb.Any) kafka.Message {
	t.Helper()
	env := &commonv1.EventEnvelope{EventId: ids.Format(ids.Event, d.ids.New()), OccurredTime: timestamppb.Now(), Key: "k", ObjectId: "ord_1", Payload: payload}
	value, err := proto.Marshal(env)
	if err != nil {
		t.Fatal(err)
	}
	return kafka.Message{Topic: topic, Key: []byte("k"), Value: value}
}

func (d *desk) send(t *testing.T, msgs ...kafka.Message) {
	t.Helper()
	if err := d.producer.WriteMessages(t.Context(), d.keys.Sign(t, msgs...)...); err != nil {
		t.Fatal(err)
	}
}

// applied gives the texts in the order of their events' ids.
func (d *desk) applied() ([]string, error) {
	rows, err := d.db.Query(`SELECT message FROM applied ORDER BY event_id`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

func (d *desk) wait(t *testing.T, want ...string) {
	t.Helper()
	testkit.Eventually(t, within, func() error {
		got, err := d.applied()
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("applied %v, want %v", got, want)
		}
		return err
	})
}

func (d *desk) deadLetters(t *testing.T, which inbox.Replayed) []inbox.DeadLetter {
	t.Helper()
	list, err := inbox.ListDeadLetters(t.Context(), d.db, ids.ID{}, which, 10)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAnEventThatComesTwiceIsAppliedOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, testkit.Database(t))
	a, b, c := d.message(t, "a"), d.message(t, "b"), d.message(t, "c")
	d.send(t, a, a, b) // Twice in one batch.
	d.run(t)
	d.wait(t, "a", "b")
	d.send(t, a, b, c) // And again later.
	d.wait(t, "a", "b", "c")
	if n := len(d.deadLetters(t, inbox.IncludeReplayed)); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}

func TestEventsThatWaitAreAppliedInOneTransaction(t *testing.T) {
	t.Parallel()
	d := newDesk(t, testkit.Database(t))
	var msgs []kafka.Message
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprintf("%03d", i))
		msgs = append(msgs, d.message(t, want[i]))
	}
	d.send(t, msgs...)
	d.run(t)
	d.wait(t, want...)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.calls) > 20 {
		t.Errorf("%d calls for 100 events", len(d.calls))
	}
}

func TestAPoisonEventIsPutAsideToldAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	d := newDesk(t, testkit.Database(t))
	d.refuse["poison"] = errs.OrderStateInvalid.New("cannot be true")
	d.send(t, d.message(t, "a"), d.message(t, "poison"), d.message(t, "b"), d.message(t, "c"))
	d.run(t)
	d.wait(t, "a", "b", "c")
	list := d.deadLetters(t, inbox.OnlyOpen)
	if len(list) != 1 || list[0].Topic != topic || list[0].Key != "k" || list[0].Type != "type.googleapis.com/google.protobuf.StringValue" || list[0].EventID == "" {
		t.Fatalf("%+v", list)
	}
	var told int
	if err := d.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM outbox WHERE topic = 'creditpay.test.deadletter.v1'`).Scan(&told); err != nil || told != 1 {
		t.Errorf("%d alerts, %v", told, err)
	}
	// As long as the cause is there a replay fails and the letter stays.
	if err := d.consumer.Replay(t.Context(), list[0].ID); !errs.Is(err, errs.OrderStateInvalid) {
		t.Errorf("replay: %v", err)
	}
	d.refuseWith("poison", nil)
	for range 2 { // The second is one too many and does nothing.
		if err := d.consumer.Replay(t.Context(), list[0].ID); err != nil {
			t.Fatal(err)
		}
	}
	d.wait(t, "a", "poison", "b", "c")
	all := d.deadLetters(t, inbox.IncludeReplayed)
	if len(d.deadLetters(t, inbox.OnlyOpen)) != 0 || len(all) != 1 || all[0].ReplayTime.IsZero() || all[0].Attempts != 2 {
		t.Errorf("after the replay: %+v", all)
	}
	if err := d.consumer.Replay(t.Context(), ids.ID{9}); !errs.Is(err, errs.NotFound) {
		t.Errorf("replay of nothing: %v", err)
	}
}

func TestABugOfOursIsTriedAgainBeforeItIsPoison(t *testing.T) {
	t.Parallel()
	d := newDesk(t, testkit.Database(t))
	d.refuse["bug"] = errors.New("nil pointer")
	d.send(t, d.message(t, "bug"), d.message(t, "a"))
	d.run(t)
	d.wait(t, "a")
	if list := d.deadLetters(t, inbox.OnlyOpen); len(list) != 1 || list[0].Attempts != 5 {
		t.Errorf("%+v", list)
	}
}

func TestDependenciesThatAreAwayAreWaitedFor(t *testing.T) {
	t.Parallel()
	d := newDesk(t, testkit.Database(t))
	d.refuse["a"] = errs.DependencyUnavailable.New("away")
	d.send(t, d.message(t, "a"))
	d.run(t)
	testkit.Eventually(t, within, func() bool { d.mu.Lock(); defer d.mu.Unlock(); return len(d.calls) >= 7 })
	if n := len(d.deadLetters(t, inbox.OnlyOpen)); n != 0 {
		t.Fatalf("%d dead letters because of an outage", n)
	}
	d.refuseWith("a", nil)
	d.wait(t, "a")
}

func TestUnknownTypesArePassedOverAndRubbishIsPutAside(t *testing.T) {
	t.Parallel()
	d := newDesk(t, testkit.Database(t))
	future := d.pack(t, &anypb.Any{TypeUrl: "type.googleapis.com/creditpay.future.v9.Thing", Value: []byte{1}})
	broken := d.pack(t, &anypb.Any{TypeUrl: "type.googleapis.com/google.protobuf.StringValue", Value: []byte{0xff, 0xff}})
	empty := d.pack(t, nil)
	rubbish := kafka.Message{Topic: topic, Key: []byte("k"), Value: []byte("{not an envelope}")}
	d.send(t, future, broken, empty, rubbish, d.message(t, "a"))
	d.run(t)
	d.wait(t, "a")
	if n := len(d.deadLetters(t, inbox.OnlyOpen)); n != 3 {
		t.Errorf("%d dead letters, want those of the broken payload, the empty one and the rubbish", n)
	}
}

func TestNothingIsLostWhileTheDatabaseIsDown(t *testing.T) {
	t.Parallel()
	server := testkit.MySQLInstance(t)
	admin, err := mysqlx.Open(server.AdminDSN(), mysqlx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close() })
	if _, err := admin.ExecContext(t.Context(), `CREATE DATABASE s`); err != nil {
		t.Fatal(err)
	}
	d := newDesk(t, server.DSN("s"))
	d.run(t)
	d.send(t, d.message(t, "before"))
	d.wait(t, "before")
	server.Kill()
	d.send(t, d.message(t, "during"))
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.wait(t, "before", "during")
	if n := len(d.deadLetters(t, inbox.OnlyOpen)); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}

func TestDeadLettersAreListedByPage(t *testing.T) {
	t.Parallel()
	d := newDesk(t, testkit.Database(t))
	d.refuse["p"] = errs.NotFound.New("none")
	d.send(t, d.message(t, "p"), d.message(t, "p"), d.message(t, "p"), d.message(t, "end"))
	d.run(t)
	d.wait(t, "end")
	first, err := inbox.ListDeadLetters(t.Context(), d.db, ids.ID{}, inbox.OnlyOpen, 2)
	if err != nil || len(first) != 2 {
		t.Fatalf("%d, %v", len(first), err)
	}
	second, err := inbox.ListDeadLetters(t.Context(), d.db, first[1].ID, inbox.OnlyOpen, 2)
	if err != nil || len(second) != 1 || second[0].ID == first[1].ID {
		t.Errorf("%+v, %v", second, err)
	}
}

// Whatever bytes come, as key, ids or in the error, a poison event can be put aside: otherwise it stops its partition for ever.
func TestDeadLetter_TakesAnyBytes(t *testing.T) {
	t.Parallel()
	d := newDesk(t, testkit.Database(t))
	d.refuse["poison"] = errs.NotFound.Wrap(errors.New("\xff\x00"+strings.Repeat("😀", 2000)), "no %s", strings.Repeat("ü", 899)+"😀")
	poison := d.message(t, "poison")
	poison.Key = []byte(strings.Repeat("k", 63) + "😀\xff")
	odd := d.pack(t, &anypb.Any{TypeUrl: strings.Repeat("😀", 200) + "/google.protobuf.StringValue"})
	d.send(t, poison, odd)
	d.run(t)
	testkit.Eventually(t, within, func() error {
		letters := d.deadLetters(t, inbox.OnlyOpen)
		if len(letters) == 0 {
			return errors.New("nothing was put aside")
		}
		for _, l := range letters {
			if !utf8.ValidString(l.Error+l.Key+l.Type) || l.Error == "" {
				return fmt.Errorf("%+v", l)
			}
		}
		return nil
	})
}
