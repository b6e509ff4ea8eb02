package ops_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	opsv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/ops/v1"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/eventsig/eventsigtest"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/kafkax"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/ops"
	"github.com/creditpay/creditpay/pkg/spine"
	"github.com/creditpay/creditpay/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func newSpine(t *testing.T, name string) *spine.Spine {
	t.Helper()
	clk := clock.System()
	var keys eventsigtest.Keys
	s, err := spine.New(t.Context(), name, spine.Config{DSN: testkit.Database(t), DBConns: 4, Brokers: []string{"127.0.0.1:1"}, Migrate: true,
		Security: kafkax.Security{Plaintext: true}},
		spine.Deps{Log: zap.NewNop(), Clock: clk, IDs: ids.NewGenerator(clk), Signer: keys.Signer(t, name), EventKeys: &keys},
		mysqlx.MigrationSet{Name: name, FS: fstest.MapFS{"0001_x.sql": {Data: []byte("-- +goose Up\nCREATE TABLE x (id INT NOT NULL PRIMARY KEY);\n")}}}, spine.Access(name, nil, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.OnEvents(func(context.Context, *mysqlx.Tx, []inbox.Event) error { return nil }, nil)
	return s
}

// putAside stores n dead letters, replayed or not, whose payload cannot be read.
func putAside(t *testing.T, s *spine.Spine, n int, replay any) {
	t.Helper()
	for i := range n {
		_, err := s.Kit.DB.ExecContext(t.Context(), `INSERT INTO dead_letters (id, topic, event_id, message_key, type, payload, error, attempts, create_time, replay_time) VALUES (?, 't', 'evt_1', 'k', 'type', ?, 'why', 1, NOW(6), ?)`,
			s.Kit.IDs.New(), fmt.Appendf(nil, "rubbish %d", i), replay)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestDeadLettersOfAllServicesArePagedOnceEach(t *testing.T) {
	t.Parallel()
	a, b, c := newSpine(t, "order"), newSpine(t, "payment"), newSpine(t, "bill")
	putAside(t, a, 4, nil)
	putAside(t, b, 0, nil)
	putAside(t, c, 3, nil)
	putAside(t, c, 2, time.Now())
	server := ops.New(nil, a, b, c)
	for size := range int32(9) {
		seen := map[string]bool{}
		req := &opsv1.ListDeadLettersRequest{PageSize: size}
		for pages := 0; ; pages++ {
			res, err := server.ListDeadLetters(t.Context(), req)
			if err != nil || pages > 8 {
				t.Fatalf("page %d: %v", pages, err)
			}
			for _, d := range res.GetDeadLetters() {
				if seen[d.GetDeadLetterId()] {
					t.Errorf("page size %d: %s comes twice", size, d.GetDeadLetterId())
				}
				seen[d.GetDeadLetterId()] = true
			}
			if res.GetNextPageToken() == "" {
				break
			}
			req.PageToken = res.GetNextPageToken()
		}
		if len(seen) != 7 {
			t.Errorf("page size %d: %d letters, want 7", size, len(seen))
		}
	}
	res, err := server.ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{Service: "bill", IncludeReplayed: true})
	replayed := slices.ContainsFunc(res.GetDeadLetters(), func(d *opsv1.DeadLetter) bool { return d.GetReplayTime() != nil })
	if err != nil || len(res.GetDeadLetters()) != 5 || !replayed {
		t.Errorf("%d letters, %v", len(res.GetDeadLetters()), err)
	}
}

func TestWhatDoesNotExistIsRefused(t *testing.T) {
	t.Parallel()
	server := ops.New(nil, newSpine(t, "order"))
	if _, err := server.ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{Service: "nobody"}); !errs.Is(err, errs.NotFound) {
		t.Errorf("%v", err)
	}
	if _, err := server.ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{PageToken: "!"}); !errs.Is(err, errs.PageTokenInvalid) {
		t.Errorf("%v", err)
	}
	if _, err := server.ReplayOutbox(t.Context(), &opsv1.ReplayOutboxRequest{Service: "nobody"}); !errs.Is(err, errs.NotFound) {
		t.Errorf("%v", err)
	}
}

func TestEachReplayHasItsOwnResult(t *testing.T) {
	t.Parallel()
	a, b := newSpine(t, "order"), newSpine(t, "bill")
	putAside(t, b, 1, nil)
	putAside(t, b, 1, time.Now())
	list, err := inbox.ListDeadLetters(t.Context(), b.Kit.DB, ids.ID{}, inbox.IncludeReplayed, 2)
	if err != nil {
		t.Fatal(err)
	}
	done, broken := ids.Format(ids.DeadLetter, list[0].ID), ids.Format(ids.DeadLetter, list[1].ID)
	unknown := ids.Format(ids.DeadLetter, ids.ID{1})
	res, err := ops.New(nil, a, b).ReplayDeadLetters(t.Context(), &opsv1.ReplayDeadLettersRequest{DeadLetterIds: []string{done, broken, unknown, "nonsense"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, failed := range []bool{false, true, true, true} {
		if r := res.GetResults()[i]; (r.GetError() != "") != failed {
			t.Errorf("%s: %q", r.GetDeadLetterId(), r.GetError())
		}
	}
}

func TestEventsSinceATimeAreMarkedToBeSentAgain(t *testing.T) {
	t.Parallel()
	s := newSpine(t, "order")
	_, err := s.Kit.DB.ExecContext(t.Context(), `INSERT INTO outbox VALUES (REPEAT('a', 16), 't', 'k', '', 1, '2026-01-01'), (REPEAT('b', 16), 't', 'k', '', 1, '2026-01-03')`)
	if err != nil {
		t.Fatal(err)
	}
	from := timestamppb.New(time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC))
	for i, req := range []*opsv1.ReplayOutboxRequest{{Service: "order", FromTime: from}, {Service: "order"}} {
		if res, err := ops.New(nil, s).ReplayOutbox(t.Context(), req); err != nil || res.GetEvents() != 1 {
			t.Errorf("call %d: %d events, %v", i, res.GetEvents(), err)
		}
	}
}

func TestOnlyADevelopmentClockMoves(t *testing.T) {
	t.Parallel()
	req := &opsv1.AdvanceClockRequest{Duration: durationpb.New(time.Hour)}
	if _, err := ops.New(nil).AdvanceClock(t.Context(), req); !errs.Is(err, errs.DevelopmentOnly) {
		t.Errorf("%v", err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	res, err := ops.New(func(d time.Duration) (time.Time, error) { return now.Add(d), nil }).AdvanceClock(t.Context(), req)
	if err != nil || !res.GetNow().AsTime().Equal(now.Add(time.Hour)) {
		t.Errorf("%v, %v", res, err)
	}
	if _, err := ops.New(func(time.Duration) (time.Time, error) { return now, errors.New("too far") }).AdvanceClock(t.Context(), req); !errs.Is(err, errs.InvalidArgument) {
		t.Errorf("%v", err)
	}
}
