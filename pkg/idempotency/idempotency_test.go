package idempotency_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/schema/schematest"
	"github.com/creditpay/creditpay/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m, testkit.Leaks) }

type request struct {
	Amount int64
	Note   map[string]string
}

// answer has the kinds of fields that answers of verbs have.
type answer struct {
	ID    ids.ID
	Time  time.Time
	List  []string
	State int8
	Inner struct{ Text string }
}

// shop is a verb's world: each effect is a row.
type shop struct {
	db      *mysqlx.DB
	effects atomic.Int64
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{db: schematest.Open(t)}
	if _, err := s.db.ExecContext(t.Context(), `CREATE TABLE effects (n BIGINT NOT NULL PRIMARY KEY, amount BIGINT NOT NULL)`); err != nil {
		t.Fatal(err)
	}
	return s
}

func key(id string) idempotency.Key {
	return idempotency.Key{Verb: "Buy", Caller: "SPM:marketplace", RequestID: id}
}

func fingerprint(t *testing.T, r request) idempotency.Fingerprint {
	t.Helper()
	fp, err := idempotency.FingerprintOf(r)
	if err != nil {
		t.Fatal(err)
	}
	return fp
}

// buy is a verb; give is its answer, nil for one that comes later.
func (s *shop) buy(ctx context.Context, k idempotency.Key, fp idempotency.Fingerprint, r request, give *answer) (answer, error) {
	return idempotency.Do(ctx, s.db, k, fp, func() (answer, error) {
		n := s.effects.Add(1)
		err := s.db.InTx(ctx, func(tx *mysqlx.Tx) error {
			tx.Queue(`INSERT INTO effects (n, amount) VALUES (?, ?)`, n, r.Amount)
			if give == nil {
				return idempotency.Insert(tx, k, fp, nil, time.Now())
			}
			return idempotency.Insert(tx, k, fp, *give, time.Now())
		})
		if give == nil {
			return answer{}, err
		}
		return *give, err
	})
}

func (s *shop) count(t *testing.T) int {
	t.Helper()
	var n int
	if err := s.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM effects`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func someAnswer() answer {
	a := answer{ID: ids.ID{1, 2, 3}, Time: time.Date(2026, 2, 3, 4, 5, 6, 789000, time.UTC), List: []string{"a", "b"}, State: 3}
	a.Inner.Text = `quotes " and 'ticks'; äöü 😀`
	return a
}

func TestARepeatedCallAnswersTheFirstAnswerAgain(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	r, first := request{Amount: 5}, someAnswer()
	fp := fingerprint(t, r)
	if _, err := s.buy(t.Context(), key("request-1"), fp, r, &first); err != nil {
		t.Fatal(err)
	}
	other := answer{State: 9}
	again, err := s.buy(t.Context(), key("request-1"), fp, r, &other)
	if err != nil || s.count(t) != 1 {
		t.Fatalf("%v, %d effects", err, s.count(t))
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the answer changed on its way: %s", diff)
	}
}

func TestOtherContentUnderTheSameIDIsRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a := someAnswer()
	r := request{Amount: 5}
	if _, err := s.buy(t.Context(), key("request-1"), fingerprint(t, r), r, &a); err != nil {
		t.Fatal(err)
	}
	r.Amount = 6
	if _, err := s.buy(t.Context(), key("request-1"), fingerprint(t, r), r, &a); !errs.Is(err, errs.RequestIDReused) || s.count(t) != 1 {
		t.Errorf("%v, %d effects", err, s.count(t))
	}
}

func TestTheSameIDOfAnotherCallerOrVerbIsAnotherRequest(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a := someAnswer()
	r := request{Amount: 5}
	for _, k := range []idempotency.Key{key("request-1"), {Verb: "Buy", Caller: "SPM:other", RequestID: "request-1"},
		{Verb: "Sell", Caller: "SPM:marketplace", RequestID: "request-1"}} {
		if _, err := s.buy(t.Context(), k, fingerprint(t, r), r, &a); err != nil {
			t.Error(err)
		}
	}
	if s.count(t) != 3 {
		t.Errorf("%d effects", s.count(t))
	}
}

func TestASagaThatIsItsOwnRecordConflictsWhileItRunsAndAnswersWhenItEnded(t *testing.T) {
	t.Parallel()
	fp, other := fingerprint(t, request{Amount: 5}), fingerprint(t, request{Amount: 6})
	done, err := json.Marshal(someAnswer())
	if err != nil {
		t.Fatal(err)
	}
	refusal := errs.CheckoutCommitting.New("taken")
	for name, c := range map[string]struct {
		rec   idempotency.Record
		found bool
		want  errs.Reason
	}{
		"running":       {rec: idempotency.Record{Fingerprint: fp}, found: true, want: errs.RequestInFlight},
		"other content": {rec: idempotency.Record{Fingerprint: other, Answer: done}, found: true, want: errs.RequestIDReused},
		"never begun":   {want: errs.CheckoutCommitting},
	} {
		_, err := idempotency.DoWith(fp, func() (idempotency.Record, bool, error) { return c.rec, c.found, nil }, func() (answer, error) { return answer{}, refusal })
		if !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want.Name())
		}
	}
	ended := func() (idempotency.Record, bool, error) {
		return idempotency.Record{Fingerprint: fp, Answer: done}, true, nil
	}
	got, err := idempotency.DoWith(fp, ended, func() (answer, error) { return answer{}, refusal })
	if diff := cmp.Diff(someAnswer(), got); err != nil || diff != "" {
		t.Errorf("%v: not the first answer: %s", err, diff)
	}
}

func TestFiftyCallersAtOnceHaveOneEffectAndOneAnswer(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	r := request{Amount: 5}
	fp, k := fingerprint(t, r), key("request-1")
	answers := make([]answer, 50)
	var g errgroup.Group
	for i := range answers {
		g.Go(func() error {
			mine := answer{ID: ids.ID{byte(i)}}
			var err error
			answers[i], err = s.buy(t.Context(), k, fp, r, &mine)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		if a.ID != answers[0].ID {
			t.Fatalf("two answers: %v and %v", a.ID, answers[0].ID)
		}
	}
	if s.count(t) != 1 {
		t.Errorf("%d effects", s.count(t))
	}
}

func TestARefusalIsAnsweredUnlessTheCallCameThroughBefore(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	r, a := request{Amount: 5}, someAnswer()
	fp, k := fingerprint(t, r), key("request-1")
	refuse := func(err error) (answer, error) {
		return idempotency.Do(t.Context(), s.db, k, fp, func() (answer, error) { return answer{}, err })
	}
	if _, err := refuse(errs.CheckoutAlreadyPaid.New("paid")); !errs.Is(err, errs.CheckoutAlreadyPaid) {
		t.Errorf("first call: %v", err)
	}
	if _, err := s.buy(t.Context(), k, fp, r, &a); err != nil {
		t.Fatal(err)
	}
	// The world has moved on because of the first call: its own answer, not the refusal, is the truth for its caller.
	if got, err := refuse(errs.CheckoutAlreadyPaid.New("paid")); err != nil || got.State != a.State {
		t.Errorf("repeated call: %+v, %v", got, err)
	}
	if _, err := refuse(errs.ConcurrentChange.New("lost")); err != nil {
		t.Errorf("repeated call that lost a race: %v", err)
	}
	// Faults are not explained by a record.
	if _, err := refuse(errs.DependencyUnavailable.New("down")); !errs.Is(err, errs.DependencyUnavailable) {
		t.Errorf("fault: %v", err)
	}
	if _, err := refuse(errors.New("bug")); !errs.Is(err, errs.Internal) {
		t.Errorf("unknown fault: %v", err)
	}
}

func TestADuplicateOfAnotherKeyIsAConflict(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	r, a := request{Amount: 5}, someAnswer()
	if _, err := s.db.ExecContext(t.Context(), `INSERT INTO effects VALUES (1, 1)`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.buy(t.Context(), key("request-1"), fingerprint(t, r), r, &a); !errs.Is(err, errs.ConcurrentChange) {
		t.Errorf("%v", err)
	}
}

func TestEqualRequestsHaveEqualFingerprints(t *testing.T) {
	t.Parallel()
	a := fingerprint(t, request{Amount: 1, Note: map[string]string{"a": "1", "b": "2", "c": "3"}})
	b := fingerprint(t, request{Amount: 1, Note: map[string]string{"c": "3", "b": "2", "a": "1"}})
	c := fingerprint(t, request{Amount: 1, Note: map[string]string{"a": "1", "b": "2"}})
	if a != b || a == c {
		t.Error("fingerprints do not follow content")
	}
	if _, err := idempotency.FingerprintOf(func() {}); err == nil {
		t.Error("what cannot be written was digested")
	}
	// Ids and amounts have no exported fields: their digest must not be that of an empty object.
	x, errX := idempotency.FingerprintOf(ids.ID{1})
	y, errY := idempotency.FingerprintOf(ids.ID{2})
	m, errM := idempotency.FingerprintOf(money.New(1, money.IDR()))
	n, errN := idempotency.FingerprintOf(money.New(2, money.IDR()))
	if err := errors.Join(errX, errY, errM, errN); err != nil || x == y || m == n {
		t.Errorf("%v: different ids or amounts have one fingerprint", err)
	}
}

func TestADamagedRecordIsAFault(t *testing.T) {
	t.Parallel()
	var fp idempotency.Fingerprint
	if _, err := idempotency.Replay[answer](idempotency.Record{Answer: []byte(`{"State":"x"}`)}, fp); !errs.Is(err, errs.Internal) {
		t.Errorf("%v", err)
	}
}

func TestPurgeRemovesOldRecordsABatchAtATime(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	now := time.Now()
	for i, age := range []time.Duration{3 * time.Hour, 2 * time.Hour, time.Minute} {
		err := s.db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
			return idempotency.Insert(tx, key([]string{"request-1", "request-2", "request-3"}[i]), idempotency.Fingerprint{}, "x", now.Add(-age))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int64{1, 1, 0} {
		if n, err := idempotency.Purge(t.Context(), s.db, now.Add(-time.Hour), 1); err != nil || n != want {
			t.Errorf("removed %d, %v; want %d", n, err, want)
		}
	}
	if _, found, err := idempotency.Find(t.Context(), s.db, key("request-3")); err != nil || !found {
		t.Errorf("the young record: %v, %v", found, err)
	}
}
