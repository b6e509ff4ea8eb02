package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/schema/schematest"
	"github.com/creditpay/creditpay/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m, testkit.Leaks) }

const within = 20 * time.Second

// desk is a service's timers.
type desk struct {
	db    *mysqlx.DB
	clock clock.Clock
	queue *jobs.Queue
}

func newDesk(t *testing.T, clk clock.Clock) *desk {
	t.Helper()
	return &desk{db: schematest.Open(t), clock: clk, queue: jobs.NewQueue(clk)}
}

func start() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func (d *desk) schedule(t *testing.T, kind, key string, due time.Time) {
	t.Helper()
	if err := d.db.InTx(t.Context(), func(tx *mysqlx.Tx) error { d.queue.Schedule(tx, kind, key, due); return nil }); err != nil {
		t.Fatal(err)
	}
}

func (d *desk) runner(handlers map[string]jobs.Handler) *jobs.Runner {
	return &jobs.Runner{DB: d.db, Queue: d.queue, Clock: d.clock, Log: zap.NewNop(), Handlers: handlers, Workers: 1}
}

func once(t *testing.T, r *jobs.Runner, want int) {
	t.Helper()
	if n, err := r.Once(t.Context()); err != nil || n != want {
		t.Fatalf("claimed %d, %v; want %d", n, err, want)
	}
}

// row is what is stored of a job.
type row struct {
	due     time.Time
	attempt int
	err     string
}

func (d *desk) row(t *testing.T, key string) (r row, found bool) {
	t.Helper()
	err := d.db.QueryRowContext(t.Context(), `SELECT due_time, attempt, last_error FROM jobs WHERE job_key = ?`, key).Scan(&r.due, &r.attempt, &r.err)
	if err != nil && !mysqlx.NoRows(err) {
		t.Fatal(err)
	}
	return r, err == nil
}

func TestJobsAreDoneWhenTheyAreDueInTheirOrder(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(start())
	d := newDesk(t, clk)
	var done []string
	r := d.runner(map[string]jobs.Handler{"k": func(_ context.Context, j jobs.Job) (jobs.Outcome, error) {
		done = append(done, j.Key)
		return jobs.Done(), nil
	}})
	d.schedule(t, "k", "third", start().Add(3*time.Second))
	d.schedule(t, "k", "first", start().Add(time.Second))
	d.schedule(t, "k", "second", start().Add(2*time.Second))
	d.schedule(t, "k", "later", start().Add(time.Hour))
	once(t, r, 0)
	clk.Advance(3 * time.Second)
	once(t, r, 3)
	if !slices.Equal(done, []string{"first", "second", "third"}) {
		t.Error(done)
	}
	once(t, r, 0)
	if _, found := d.row(t, "first"); found {
		t.Error("a done job stays")
	}
}

func TestAgainKeepsTheJobForLater(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(start())
	d := newDesk(t, clk)
	next := start().Add(time.Hour)
	r := d.runner(map[string]jobs.Handler{"k": func(context.Context, jobs.Job) (jobs.Outcome, error) { return jobs.Again(next), nil }})
	d.schedule(t, "k", "a", start())
	once(t, r, 1)
	if got, _ := d.row(t, "a"); !got.due.Equal(next) || got.attempt != 0 {
		t.Errorf("%+v", got)
	}
}

func TestPausesGrowWhileAJobFailsAndItsErrorIsKept(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(start())
	d := newDesk(t, clk)
	var attempts []int
	r := d.runner(map[string]jobs.Handler{"k": func(_ context.Context, j jobs.Job) (jobs.Outcome, error) {
		attempts = append(attempts, j.Attempt)
		return jobs.Outcome{}, errors.New("bank is closed")
	}})
	d.schedule(t, "k", "a", start())
	last := time.Duration(0)
	for i := range 12 {
		once(t, r, 1)
		got, _ := d.row(t, "a")
		pause := got.due.Sub(clk.Now())
		if pause < last || pause <= 0 || pause > 5*time.Minute || got.err != "bank is closed" || got.attempt != i+1 {
			t.Fatalf("attempt %d: pause %s after %s, %+v", i+1, pause, last, got)
		}
		last = pause
		clk.Advance(pause)
	}
	if last != 5*time.Minute || !slices.IsSorted(attempts) {
		t.Errorf("last pause %s, attempts %v", last, attempts)
	}
}

func TestAPanicIsAFailureOfOneJob(t *testing.T) {
	t.Parallel()
	d := newDesk(t, clock.NewFake(start()))
	var done atomic.Int32
	r := d.runner(map[string]jobs.Handler{"k": func(_ context.Context, j jobs.Job) (jobs.Outcome, error) {
		if j.Key == "bad" {
			panic("boom")
		}
		done.Add(1)
		return jobs.Done(), nil
	}})
	d.schedule(t, "k", "bad", start())
	d.schedule(t, "k", "good", start())
	d.schedule(t, "unheard-of", "orphan", start())
	once(t, r, 3)
	bad, _ := d.row(t, "bad")
	orphan, _ := d.row(t, "orphan")
	if done.Load() != 1 || bad.err != "job panicked: boom" || orphan.err == "" {
		t.Errorf("%d done; %+v; %+v", done.Load(), bad, orphan)
	}
}

func TestALeaseThatRanOutGivesTheJobToAnother(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(start())
	d := newDesk(t, clk)
	d.schedule(t, "k", "a", start())
	heirs := 0
	heir := d.runner(map[string]jobs.Handler{"k": func(_ context.Context, j jobs.Job) (jobs.Outcome, error) {
		heirs++
		if j.Attempt != 2 {
			t.Errorf("attempt %d", j.Attempt)
		}
		return jobs.Again(start().Add(time.Hour)), nil
	}})
	slow := d.runner(map[string]jobs.Handler{"k": func(context.Context, jobs.Job) (jobs.Outcome, error) {
		once(t, heir, 0) // The lease holds.
		clk.Advance(31 * time.Second)
		once(t, heir, 1)
		return jobs.Done(), nil // Too late: the row is the heir's.
	}})
	once(t, slow, 1)
	if got, found := d.row(t, "a"); heirs != 1 || !found || !got.due.Equal(start().Add(time.Hour)) {
		t.Errorf("%d heirs; found %v: %+v", heirs, found, got)
	}
}

func TestSchedulingAgainMovesAJobAndCancellingRemovesIt(t *testing.T) {
	t.Parallel()
	d := newDesk(t, clock.NewFake(start()))
	d.schedule(t, "k", "a", start().Add(time.Hour))
	d.schedule(t, "k", "a", start().Add(time.Minute))
	if got, _ := d.row(t, "a"); !got.due.Equal(start().Add(time.Minute)) {
		t.Errorf("%+v", got)
	}
	for range 2 { // What is not there is cancelled too.
		if err := d.db.InTx(t.Context(), func(tx *mysqlx.Tx) error { d.queue.Cancel(tx, "k", "a"); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if _, found := d.row(t, "a"); found {
		t.Error("cancelled job stays")
	}
}

func TestAHandlerMayMoveItsOwnJob(t *testing.T) {
	t.Parallel()
	d := newDesk(t, clock.NewFake(start()))
	later := start().Add(time.Hour)
	r := d.runner(map[string]jobs.Handler{"k": func(context.Context, jobs.Job) (jobs.Outcome, error) {
		d.schedule(t, "k", "a", later)
		return jobs.Done(), nil
	}})
	d.schedule(t, "k", "a", start())
	once(t, r, 1)
	if got, found := d.row(t, "a"); !found || !got.due.Equal(later) {
		t.Errorf("found %v: %+v", found, got)
	}
}

func TestJobsThatTheBatchHadNoTimeForGoBackUntouched(t *testing.T) {
	t.Parallel()
	d := newDesk(t, clock.NewFake(start()))
	ctx, cancel := context.WithCancel(t.Context())
	ran := 0
	r := d.runner(map[string]jobs.Handler{"k": func(context.Context, jobs.Job) (jobs.Outcome, error) {
		ran++
		cancel()
		return jobs.Done(), nil
	}})
	d.schedule(t, "k", "a", start().Add(-time.Second))
	d.schedule(t, "k", "b", start())
	if n, err := r.Once(ctx); n != 2 || err != nil || ran != 1 {
		t.Fatalf("claimed %d, ran %d, %v", n, ran, err)
	}
	if got, found := d.row(t, "b"); !found || got.attempt != 0 || !got.due.Equal(start()) {
		t.Errorf("found %v: %+v", found, got)
	}
}

func TestTwoRunnersNeverDoOneJobAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, clock.System())
	var mu sync.Mutex
	times, busy := map[string]int{}, map[string]bool{}
	handler := func(_ context.Context, j jobs.Job) (jobs.Outcome, error) {
		mu.Lock()
		if busy[j.Key] {
			t.Errorf("%s is done twice at once", j.Key)
		}
		busy[j.Key] = true
		times[j.Key]++
		mu.Unlock()
		var n int
		err := d.db.QueryRowContext(context.Background(), `SELECT COUNT(*) FROM jobs`).Scan(&n)
		mu.Lock()
		busy[j.Key] = false
		mu.Unlock()
		return jobs.Done(), err
	}
	const count = 150
	err := d.db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
		for i := range count {
			d.queue.Schedule(tx, "k", fmt.Sprint(i), time.Now().Add(-time.Second))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			r := d.runner(map[string]jobs.Handler{"k": handler})
			r.Workers = 4
			if err := r.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	testkit.Eventually(t, within, func() bool { mu.Lock(); defer mu.Unlock(); return len(times) == count })
	cancel()
	wg.Wait()
	for key, n := range times {
		if n != 1 {
			t.Errorf("job %s was done %d times", key, n)
		}
	}
}

func TestARunnerWakesForAJobDueNowAndForAClockThatJumps(t *testing.T) {
	t.Parallel()
	clk := clock.NewAdjustable()
	d := newDesk(t, clk)
	done := make(chan string, 2)
	r := d.runner(map[string]jobs.Handler{"k": func(_ context.Context, j jobs.Job) (jobs.Outcome, error) {
		done <- j.Key
		return jobs.Done(), nil
	}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	defer func() { cancel(); <-ended }()
	d.schedule(t, "k", "now", clk.Now())
	expect(t, done, "now")
	d.schedule(t, "k", "next week", clk.Now().Add(7*24*time.Hour))
	if err := clk.Advance(8 * 24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	expect(t, done, "next week")
}

func expect(t *testing.T, done <-chan string, want string) {
	t.Helper()
	select {
	case got := <-done:
		if got != want {
			t.Fatalf("%q was done, want %q", got, want)
		}
	case <-time.After(within):
		t.Fatalf("%q was not done", want)
	}
}

func TestFailedJob_KeepsAnErrorOfAnyLetters(t *testing.T) {
	t.Parallel()
	d := newDesk(t, clock.NewFake(start()))
	r := d.runner(map[string]jobs.Handler{"k": func(context.Context, jobs.Job) (jobs.Outcome, error) {
		return jobs.Outcome{}, errors.New("x" + strings.Repeat("😀", 700) + "\xff")
	}})
	d.schedule(t, "k", "a", start())
	once(t, r, 1)
	if got, _ := d.row(t, "a"); got.attempt != 1 || utf8.RuneCountInString(got.err) != 500 {
		t.Errorf("%+v, want the first 500 letters of the error", got)
	}
}
