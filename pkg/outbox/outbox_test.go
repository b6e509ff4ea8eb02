package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/eventsig/eventsigtest"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/localbroker"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/outbox"
	"github.com/creditpay/creditpay/pkg/schema/schematest"
	"github.com/creditpay/creditpay/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const topic = "creditpay.test.events.v1"

// within is how long a test waits for what should take milliseconds.
const within = 20 * time.Second

// office is a service's outbox.
type office struct {
	db     *mysqlx.DB
	clock  *clock.Adjustable
	writer *outbox.Writer
}

func newOffice(t *testing.T) *office {
	t.Helper()
	clk := clock.NewAdjustable()
	return &office{db: schematest.Open(t), clock: clk, writer: outbox.NewWriter(ids.NewGenerator(clk), clk)}
}

// tell commits one event.
func (o *office) tell(t *testing.T, key, text string) {
	t.Helper()
	err := o.db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
		_, err := o.writer.Add(tx, outbox.Event{Topic: topic, Key: key, ObjectID: "ord_1", ObjectVersion: 2, Payload: wrapperspb.String(text)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (o *office) pending(t *testing.T) int {
	t.Helper()
	var n int
	if err := o.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM outbox WHERE published = 0`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// relay runs a relay until stop is called or the test ends.
func (o *office) relay(t *testing.T, owner string, p outbox.Producer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	r := &outbox.Relay{DB: o.db, Producer: p, Writer: o.writer, Signer: new(eventsigtest.Keys).Signer(t, "test"),
		Clock: o.clock, Log: zap.NewNop(), Owner: owner}
	go func() {
		defer close(done)
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

// producer is a real one.
func producer(t *testing.T, addr string) *kafka.Writer {
	t.Helper()
	client := testkit.Kafka(t, addr)
	w := client.Producer()
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// read gives the first n events of the topic, by key, in order of their offsets.
func read(t *testing.T, addr string, n int) map[string][]string {
	t.Helper()
	r := testkit.Kafka(t, addr).Reader("reader-"+strings.ReplaceAll(t.Name(), "/", "-"), []string{topic})
	defer func() { _ = r.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	out := map[string][]string{}
	for range n {
		m, err := r.FetchMessage(ctx)
		if err != nil {
			t.Fatalf("after %v: %v", out, err)
		}
		key, text := open(t, m)
		out[key] = append(out[key], text)
	}
	return out
}

func open(t *testing.T, m kafka.Message) (key, text string) {
	t.Helper()
	var env commonv1.EventEnvelope
	var payload wrapperspb.StringValue
	if err := errors.Join(proto.Unmarshal(m.Value, &env), env.GetPayload().UnmarshalTo(&payload)); err != nil {
		t.Fatal(err)
	}
	if env.GetKey() != string(m.Key) || env.GetObjectVersion() != 2 || string(m.Headers[0].Value) != env.GetEventId() {
		t.Errorf("envelope %v does not fit its message", &env)
	}
	return env.GetKey(), payload.GetValue()
}

// recorder is a producer that keeps what it is given, and fails when told.
type recorder struct {
	mu   sync.Mutex
	msgs []kafka.Message
	fail func(msgs []kafka.Message) error
}

func (r *recorder) WriteMessages(_ context.Context, msgs ...kafka.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		if err := r.fail(msgs); err != nil {
			return err
		}
	}
	r.msgs = append(r.msgs, msgs...)
	return nil
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.msgs)
}

func (r *recorder) failWith(f func([]kafka.Message) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = f
}

func TestEventsOfAKeyArriveInTheOrderOfTheirCommits(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	addr := testkit.Broker(t, localbroker.Topic{Name: topic})
	o.relay(t, "a", producer(t, addr))
	var wg sync.WaitGroup
	want := map[string][]string{}
	for k := range 8 {
		key := fmt.Sprintf("chk_%d", k)
		for i := range 30 {
			want[key] = append(want[key], fmt.Sprint(i))
		}
		wg.Go(func() {
			for i := range 30 {
				o.tell(t, key, fmt.Sprint(i))
			}
		})
	}
	wg.Wait()
	got := read(t, addr, 240)
	for key := range want {
		if !slices.Equal(got[key], want[key]) {
			t.Errorf("%s: %v", key, got[key])
		}
	}
	testkit.Eventually(t, within, func() bool { return o.pending(t) == 0 })
}

func TestACommitWakesTheRelayAndARollbackTellsNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	refused := errors.New("refused")
	err := o.db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
		if _, err := o.writer.Add(tx, outbox.Event{Topic: topic, Key: "k", Payload: wrapperspb.String("x")}); err != nil {
			return err
		}
		return refused
	})
	select {
	case <-o.writer.Wake():
		t.Error("a rollback woke the relay")
	default:
	}
	if !errors.Is(err, refused) || o.pending(t) != 0 {
		t.Fatalf("%v, %d pending", err, o.pending(t))
	}
	o.tell(t, "k", "x")
	select {
	case <-o.writer.Wake():
	default:
		t.Error("a commit did not wake the relay")
	}
}

func TestOnlyOneOfTwoRelaysWorksAndTheOtherTakesOver(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first, second := &recorder{}, &recorder{}
	stop := o.relay(t, "a", first)
	o.tell(t, "k", "1")
	testkit.Eventually(t, within, func() bool { return first.count() == 1 })
	o.relay(t, "b", second)
	for i := range 20 {
		o.tell(t, "k", fmt.Sprint(i))
	}
	testkit.Eventually(t, within, func() bool { return first.count() == 21 })
	if second.count() != 0 {
		t.Fatal("two relays worked at once")
	}
	stop() // A relay that stops gives its lease back.
	o.tell(t, "k", "after")
	testkit.Eventually(t, within, func() bool { return second.count() == 1 })
}

func TestTheLeaseOfADeadRelayRunsOut(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	dead := fmt.Sprintf(`INSERT INTO leases (name, owner, until_time) VALUES ('relay', 'dead', '%s')`, o.clock.Now().Add(10*time.Second).Format("2006-01-02 15:04:05.000000"))
	if _, err := o.db.ExecContext(t.Context(), dead); err != nil {
		t.Fatal(err)
	}
	heir := &recorder{}
	o.tell(t, "k", "1")
	o.relay(t, "b", heir)
	testkit.Eventually(t, within, func() bool { return len(o.writer.Wake()) == 0 }) // It has looked once.
	if heir.count() != 0 {
		t.Fatal("the lease was ignored")
	}
	if err := o.clock.Advance(11 * time.Second); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, within, func() bool { return heir.count() == 1 })
}

func TestEventsWaitWhileTheBrokerIsDown(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	config := localbroker.Config{Dir: t.TempDir(), GroupSessionMin: time.Second}
	broker, err := localbroker.Start(config)
	if err != nil {
		t.Fatal(err)
	}
	addr := broker.Addr()
	if err := broker.EnsureTopics(t.Context(), []localbroker.Topic{{Name: topic}}); err != nil {
		t.Fatal(err)
	}
	o.relay(t, "a", producer(t, addr))
	o.tell(t, "k", "before")
	testkit.Eventually(t, within, func() bool { return o.pending(t) == 0 })
	if err := broker.Close(); err != nil {
		t.Fatal(err)
	}
	o.tell(t, "k", "during")
	if o.pending(t) != 1 {
		t.Error("the event did not wait")
	}
	if broker, err = localbroker.Start(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	testkit.Eventually(t, within, func() bool { return o.pending(t) == 0 })
	got := slices.Compact(read(t, addr, 2)["k"]) // A repeat is allowed, a loss is not.
	if !slices.Equal(got, []string{"before", "during"}) {
		t.Errorf("%v", got)
	}
}

func TestWhatWasWrittenOfABatchIsNotSentAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	half := &recorder{}
	var once sync.Once
	half.failWith(func(msgs []kafka.Message) (err error) {
		once.Do(func() {
			each := make(kafka.WriteErrors, len(msgs))
			for i := range each {
				if i%2 == 1 {
					each[i] = kafka.LeaderNotAvailable
				} else {
					half.msgs = append(half.msgs, msgs[i])
				}
			}
			err = each
		})
		return err
	})
	for i := range 10 {
		o.tell(t, fmt.Sprint(i), "x")
	}
	o.relay(t, "a", half)
	testkit.Eventually(t, within, func() bool { return o.pending(t) == 0 })
	if half.count() != 10 {
		t.Errorf("%d messages for 10 events", half.count())
	}
}

func TestABacklogLeavesInBatchesThatTheWriterTakesWhole(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var most int
	r := &recorder{fail: func(msgs []kafka.Message) error {
		size := 0
		for _, m := range msgs {
			size += len(m.Value) + len(m.Key)
		}
		most = max(most, size)
		return nil
	}}
	big := strings.Repeat("x", 100_000)
	for range 25 {
		o.tell(t, "k", big)
	}
	begin := time.Now()
	o.relay(t, "a", r)
	testkit.Eventually(t, within, func() bool { return o.pending(t) == 0 })
	if r.mu.Lock(); most > 1<<20 || len(r.msgs) != 25 {
		t.Errorf("a batch of %d bytes; %d messages", most, len(r.msgs))
	}
	r.mu.Unlock()
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("took %s: the relay rests between batches", took)
	}
}

func TestReplaySendsEventsSinceATimeAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := &recorder{}
	o.relay(t, "a", r)
	o.tell(t, "k", "old")
	if err := o.clock.Advance(time.Hour); err != nil {
		t.Fatal(err)
	}
	o.tell(t, "k", "new")
	testkit.Eventually(t, within, func() bool { return o.pending(t) == 0 })
	n, err := outbox.Replay(t.Context(), o.db, o.clock.Now().Add(-time.Minute))
	if err != nil || n != 1 {
		t.Fatalf("%d marked, %v", n, err)
	}
	testkit.Eventually(t, within, func() bool { return r.count() == 3 })
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, text := open(t, r.msgs[2]); text != "new" {
		t.Errorf("sent %q again", text)
	}
}

func TestANewerEventDoesNotOvertakeAnOlderOneThatCouldNotBeSent(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := &recorder{}
	o.tell(t, "k", "first")
	if err := o.clock.Advance(time.Hour); err != nil { // Far older than any window of the relay.
		t.Fatal(err)
	}
	o.tell(t, "k", "second")
	refused := 0
	r.failWith(func(msgs []kafka.Message) error {
		if len(msgs) == 2 && refused < 2 {
			refused++
			return errors.New("the broker is away")
		}
		return nil
	})
	o.relay(t, "a", r)
	testkit.Eventually(t, within, func() bool { return o.pending(t) == 0 })
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.msgs) != 2 || refused != 2 {
		t.Fatalf("%d events were sent after %d refusals", len(r.msgs), refused)
	}
	for i, want := range []string{"first", "second"} {
		if _, text := open(t, r.msgs[i]); text != want {
			t.Errorf("event %d is %q, want %q", i, text, want)
		}
	}
}
