package jobs_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/mysqlx"
)

// field is a table of rows that are due.
type field struct {
	*desk
	clock *clock.Fake
	ids   []ids.ID
}

func newField(t *testing.T, rows int) *field {
	t.Helper()
	clk := clock.NewFake(start())
	f := &field{desk: newDesk(t, clk), clock: clk}
	if _, err := f.db.ExecContext(t.Context(), `CREATE TABLE plants (id BINARY(16) NOT NULL PRIMARY KEY, water_time DATETIME(6) NULL, watered INT NOT NULL DEFAULT 0, KEY by_water_time (water_time))`); err != nil {
		t.Fatal(err)
	}
	gen := ids.NewGenerator(clk)
	for range rows {
		id := gen.New()
		f.ids = append(f.ids, id)
		if _, err := f.db.ExecContext(t.Context(), `INSERT INTO plants (id, water_time) VALUES (?, ?)`, id, start()); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func (f *field) sweeper(owner string, handle func(ctx context.Context, batch []ids.ID) error) *jobs.Sweeper {
	return &jobs.Sweeper{DB: f.db, Clock: f.clock, Log: zap.NewNop(), Owner: owner,
		Sweep: jobs.Sweep{Kind: "water", Table: "plants", Key: "id", Due: "water_time", Handle: handle, Batch: 4}, Turns: 2}
}

// water is a handler's transaction: it passes over what is not due any more.
func (f *field) water(ctx context.Context, batch []ids.ID) error {
	return f.db.InTx(ctx, func(tx *mysqlx.Tx) error {
		for _, id := range batch {
			tx.Queue(`UPDATE plants SET watered = watered + 1, water_time = NULL WHERE id = ? AND water_time <= ?`, id, f.clock.Now())
		}
		return nil
	})
}

func (f *field) left(t *testing.T) (due, twice int) {
	t.Helper()
	if err := f.db.QueryRowContext(t.Context(), `SELECT COUNT(water_time), COALESCE(SUM(watered > 1), 0) FROM plants`).Scan(&due, &twice); err != nil {
		t.Fatal(err)
	}
	return due, twice
}

func TestASweepDoesEveryDueRowOnceInBatches(t *testing.T) {
	t.Parallel()
	f := newField(t, 21)
	var mu sync.Mutex
	largest := 0
	s := f.sweeper("a", func(ctx context.Context, batch []ids.ID) error {
		mu.Lock()
		largest = max(largest, len(batch))
		mu.Unlock()
		return f.water(ctx, batch)
	})
	for range 3 {
		if _, err := s.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if due, twice := f.left(t); due != 0 || twice != 0 || largest != 4 {
		t.Errorf("%d due, %d done twice, batches of up to %d", due, twice, largest)
	}
	if n, err := s.Once(t.Context()); n != 0 || err != nil {
		t.Errorf("nothing is due: %d, %v", n, err)
	}
}

func TestARowThatCannotBeDoneIsPutOffAndStopsNoOther(t *testing.T) {
	t.Parallel()
	f := newField(t, 8)
	bad := f.ids[2]
	s := f.sweeper("a", func(ctx context.Context, batch []ids.ID) error {
		if slices.Contains(batch, bad) {
			return errors.New("a thorn")
		}
		return f.water(ctx, batch)
	})
	if _, err := s.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if due, _ := f.left(t); due != 1 {
		t.Errorf("%d rows are left, want the bad one", due)
	}
	if n, err := s.Once(t.Context()); n != 0 || err != nil {
		t.Errorf("the bad row is not due yet: %d, %v", n, err)
	}
	f.clock.Advance(2 * time.Minute)
	if n, err := s.Once(t.Context()); n != 1 || err != nil {
		t.Errorf("the bad row is due again: %d, %v", n, err)
	}
}

func TestASweepThatIsCutOffGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	f := newField(t, 20)
	ctx, cancel := context.WithCancel(t.Context())
	s := f.sweeper("a", func(work context.Context, batch []ids.ID) error {
		err := f.water(work, batch)
		cancel() // The process dies after the first batches.
		return err
	})
	_, _ = s.Once(ctx) // Whatever it says: it died.
	due, _ := f.left(t)
	if due == 0 || due == 20 {
		t.Fatalf("%d rows are left: the test cut nothing off", due)
	}
	next := f.sweeper("a", f.water)
	for range 3 {
		if _, err := next.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if due, twice := f.left(t); due != 0 || twice != 0 {
		t.Errorf("%d due, %d done twice", due, twice)
	}
}

func TestOneProcessSweepsAtATime(t *testing.T) {
	t.Parallel()
	f := newField(t, 4)
	first, second := f.sweeper("a", f.water), f.sweeper("b", f.water)
	if n, err := first.Once(t.Context()); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := f.db.ExecContext(t.Context(), `UPDATE plants SET water_time = ?`, start()); err != nil {
		t.Fatal(err)
	}
	if n, err := second.Once(t.Context()); n != 0 || err != nil {
		t.Errorf("another process swept %d rows, %v", n, err)
	}
	// The lease of a process that died is over.
	if _, err := f.db.ExecContext(t.Context(), `UPDATE leases SET until_time = '2000-01-01' WHERE name = 'sweep water'`); err != nil {
		t.Fatal(err)
	}
	if n, err := second.Once(t.Context()); n != 4 || err != nil {
		t.Errorf("after the lease: %d rows, %v", n, err)
	}
}

// A row that fails now and then and is done after that is never stopped: its faults are forgotten, alone and in a batch.
func TestSweep_DoneRowsForgetTheirFaults(t *testing.T) {
	t.Parallel()
	f := newField(t, 3)
	fail := true
	s := f.sweeper("a", func(ctx context.Context, batch []ids.ID) error {
		if fail && slices.Contains(batch, f.ids[1]) {
			return errors.New("no water")
		}
		return f.water(ctx, batch)
	})
	for range 2 * jobs.FaultsMax {
		for _, fail = range []bool{true, false} {
			f.clock.Advance(time.Hour)
			if _, err := f.db.ExecContext(t.Context(), `UPDATE plants SET water_time = ?`, f.clock.Now()); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Once(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if list, err := jobs.ListStopped(t.Context(), f.db, 10); err != nil || len(list) != 0 {
		t.Errorf("stopped: %+v, %v", list, err)
	}
}
