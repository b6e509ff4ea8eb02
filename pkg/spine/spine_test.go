package spine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/eventsig/eventsigtest"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/kafkax"
	"github.com/creditpay/creditpay/pkg/localbroker"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/spine"
	"github.com/creditpay/creditpay/pkg/testkit"
	"github.com/creditpay/creditpay/pkg/unit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	topic  = "creditpay.shop.events.v1"
	within = 20 * time.Second
)

func migrations() mysqlx.MigrationSet {
	return mysqlx.MigrationSet{Name: "shop", FS: fstest.MapFS{
		"0001_shop.sql": {Data: []byte("-- +goose Up\nCREATE TABLE seen (text VARCHAR(64) NOT NULL PRIMARY KEY);\n")}}}
}

func plaintext() kafkax.Security { return kafkax.Security{Plaintext: true} }

func newSpine(t *testing.T, broker string) *spine.Spine {
	t.Helper()
	clk := clock.System()
	var keys eventsigtest.Keys
	s, err := spine.New(t.Context(), "shop", spine.Config{DSN: testkit.Database(t), DBConns: 8, Brokers: []string{broker}, KafkaPartitions: 2, Migrate: true,
		Security: plaintext()},
		spine.Deps{Log: zap.NewNop(), Clock: clk, IDs: ids.NewGenerator(clk), Owner: "test/1", Signer: keys.Signer(t, "shop"), EventKeys: &keys}, migrations(),
		spine.Access("shop", []string{topic}, topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func runSpine(t *testing.T, s *spine.Spine) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func see(t *testing.T, s *spine.Spine, text string) {
	t.Helper()
	testkit.Eventually(t, within, func() error {
		var n int
		err := s.Kit.DB.QueryRow(`SELECT COUNT(*) FROM seen WHERE text = ?`, text).Scan(&n)
		if err == nil && n != 1 {
			err = fmt.Errorf("%q was not seen", text)
		}
		return err
	})
}

func remember(_ context.Context, tx *mysqlx.Tx, events []inbox.Event) error {
	for _, e := range events {
		tx.Queue(`INSERT INTO seen (text) VALUES (?)`, e.Payload.(*wrapperspb.StringValue).GetValue())
	}
	return nil
}

func TestATimerTellsAnEventThatComesBackThroughTheInbox(t *testing.T) {
	t.Parallel()
	s := newSpine(t, testkit.Broker(t))
	s.OnEvents(remember, nil)
	s.OnJob("tell", func(ctx context.Context, j jobs.Job) (jobs.Outcome, error) {
		return jobs.Done(), s.Kit.Do(ctx, func(w *unit.Work) error {
			w.Tell(topic, j.Key, j.Key, 1, wrapperspb.String("hello "+j.Key))
			return nil
		})
	})
	stop := runSpine(t, s)
	if err := s.Kit.Do(t.Context(), func(w *unit.Work) error { w.Schedule("tell", "a", time.Now().UTC()); return nil }); err != nil {
		t.Fatal(err)
	}
	see(t, s, "hello a")
	if err := s.Ready(t.Context()); err != nil || s.Name() != "shop" || s.Consumer() == nil {
		t.Errorf("%v, %s", err, s.Name())
	}
	stop()
}

func TestTimersRunWhileKafkaIsAwayAndEventsLeaveWhenItComes(t *testing.T) {
	t.Parallel()
	config := localbroker.Config{Dir: t.TempDir(), GroupSessionMin: time.Second}
	broker, err := localbroker.Start(config)
	if err == nil {
		err = broker.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	s := newSpine(t, broker.Addr())
	s.OnEvents(remember, nil)
	s.OnJob("tell", func(ctx context.Context, j jobs.Job) (jobs.Outcome, error) {
		return jobs.Done(), s.Kit.Do(ctx, func(w *unit.Work) error {
			w.Tx.Queue(`INSERT INTO seen (text) VALUES ('timer ran')`)
			w.Tell(topic, j.Key, j.Key, 1, wrapperspb.String("event came"))
			return nil
		})
	})
	runSpine(t, s)
	if err := s.Kit.Do(t.Context(), func(w *unit.Work) error { w.Schedule("tell", "a", time.Now().UTC()); return nil }); err != nil {
		t.Fatal(err)
	}
	see(t, s, "timer ran")
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("not ready without Kafka: %v", err)
	}
	if broker, err = localbroker.Start(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	see(t, s, "event came")
}

func TestAConfigThatLacksSomethingIsRefused(t *testing.T) {
	t.Parallel()
	var keys eventsigtest.Keys
	deps := spine.Deps{Log: zap.NewNop(), Clock: clock.System(), IDs: ids.NewGenerator(clock.System()), Signer: keys.Signer(t, "shop"), EventKeys: &keys}
	for name, c := range map[string]spine.Config{
		"no DSN":                            {Brokers: []string{"127.0.0.1:1"}, Security: plaintext()},
		"no brokers":                        {DSN: "root@unix(/nowhere)/x", Security: plaintext()},
		"bad DSN":                           {DSN: "x", Brokers: []string{"127.0.0.1:1"}, Security: plaintext()},
		"no TLS, and plaintext not allowed": {DSN: "root@unix(/nowhere)/x", Brokers: []string{"127.0.0.1:1"}},
		"unsigned events for a month": {DSN: "root@unix(/nowhere)/x", Brokers: []string{"127.0.0.1:1"}, Security: plaintext(),
			EventsUnsignedUntil: time.Now().Add(30 * 24 * time.Hour)},
	} {
		if _, err := spine.New(t.Context(), "shop", c, deps, migrations(), spine.Access("shop", nil)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	c := spine.Config{DSN: "root@unix(/nowhere)/x", Brokers: []string{"127.0.0.1:1"}, Migrate: true, Security: plaintext()}
	unsigned := deps
	unsigned.Signer = nil
	if _, err := spine.New(t.Context(), "shop", c, unsigned, migrations(), spine.Access("shop", nil)); err == nil || errs.Is(err, errs.DependencyUnavailable) {
		t.Errorf("without a signer: %v", err)
	}
	if _, err := spine.New(t.Context(), "shop", c, deps, migrations(), spine.Access("shop", nil)); !errs.Is(err, errs.DependencyUnavailable) {
		t.Errorf("no database: %v", err)
	}
}

func TestTheFirstFaultOfAUnitIsAnswered(t *testing.T) {
	t.Parallel()
	s := newSpine(t, "127.0.0.1:1")
	first := errs.NotFound.New("none")
	if err := s.Kit.Do(t.Context(), func(w *unit.Work) error { w.Fail(first); return nil }); !errors.Is(err, first) {
		t.Error(err)
	}
}
