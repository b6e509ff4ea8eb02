package jobs_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
)

// parcels is a table whose rows carry their timers.
type parcels struct {
	*desk
	clock *clock.Fake
	id    ids.ID
}

func newParcels(t *testing.T) *parcels {
	t.Helper()
	clk := clock.NewFake(start())
	p := &parcels{desk: newDesk(t, clk), clock: clk, id: ids.NewGenerator(clk).New()}
	p.exec(t, `CREATE TABLE parcels (id BINARY(16) NOT NULL PRIMARY KEY, pickup_time DATETIME(6) NULL, KEY by_pickup_time (pickup_time))`)
	p.exec(t, `INSERT INTO parcels VALUES (?, ?), (?, NULL)`, p.id, start(), ids.NewGenerator(clk).New())
	return p
}

func (p *parcels) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	if _, err := p.db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

func (p *parcels) due(t *testing.T) (due time.Time, set bool) {
	t.Helper()
	var d sql.NullTime
	if err := p.db.QueryRowContext(t.Context(), `SELECT pickup_time FROM parcels WHERE id = ?`, p.id).Scan(&d); err != nil {
		t.Fatal(err)
	}
	return d.Time, d.Valid
}

func (p *parcels) runner(h jobs.Handler) *jobs.Runner {
	r := p.desk.runner(map[string]jobs.Handler{"pickup": h})
	r.Columns = []jobs.Column{{Kind: "pickup", Table: "parcels", Key: "id", Due: "pickup_time", Prefix: ids.Order}}
	return r
}

func TestATimerInAColumnIsDoneOnceAndCleared(t *testing.T) {
	t.Parallel()
	p := newParcels(t)
	var keys []string
	r := p.runner(func(_ context.Context, j jobs.Job) (jobs.Outcome, error) {
		keys = append(keys, j.Key)
		return jobs.Done(), nil
	})
	once(t, r, 1)
	once(t, r, 0)
	if _, set := p.due(t); set || len(keys) != 1 || keys[0] != ids.Format(ids.Order, p.id) {
		t.Errorf("timer set: %v, handled %v", set, keys)
	}
}

func TestATimerInAColumnIsLeasedMovedAndTriedAgain(t *testing.T) {
	t.Parallel()
	p := newParcels(t)
	later := start().Add(time.Hour)
	answer, fault := jobs.Again(later), errors.New("no van")
	r := p.runner(func(context.Context, jobs.Job) (jobs.Outcome, error) {
		if due, _ := p.due(t); !due.After(p.clock.Now()) {
			t.Error("the row is not leased while its handler works")
		}
		return answer, fault
	})
	once(t, r, 1)
	if due, set := p.due(t); !set || !due.After(start()) || !due.Before(later) {
		t.Errorf("after a fault it is due %s", due)
	}
	fault = nil
	p.clock.Advance(time.Minute)
	once(t, r, 1)
	if due, _ := p.due(t); due != later {
		t.Errorf("it is due %s, want %s", due, later)
	}
}

func TestATimerInAColumnThatTheServiceChangedMeanwhileIsLeftAlone(t *testing.T) {
	t.Parallel()
	p := newParcels(t)
	wanted := start().Add(48 * time.Hour)
	r := p.runner(func(context.Context, jobs.Job) (jobs.Outcome, error) {
		p.exec(t, `UPDATE parcels SET pickup_time = ? WHERE id = ?`, wanted, p.id)
		return jobs.Done(), nil
	})
	once(t, r, 1)
	if due, _ := p.due(t); due != wanted {
		t.Errorf("it is due %s, want %s", due, wanted)
	}
}

func TestATimerInAColumnWhoseRunnerStoppedIsDueAtOnce(t *testing.T) {
	t.Parallel()
	p := newParcels(t)
	ctx, cancel := context.WithCancel(t.Context())
	p.exec(t, `INSERT INTO parcels VALUES (?, ?)`, ids.NewGenerator(p.clock).New(), start())
	calls := 0
	r := p.runner(func(context.Context, jobs.Job) (jobs.Outcome, error) {
		calls++
		cancel() // The process stops while the first of the batch is at work.
		return jobs.Done(), nil
	})
	if n, err := r.Once(ctx); n != 2 || err != nil {
		t.Fatalf("claimed %d, %v", n, err)
	}
	if calls != 1 {
		t.Fatalf("%d handled", calls)
	}
	once(t, p.runner(func(context.Context, jobs.Job) (jobs.Outcome, error) { return jobs.Done(), nil }), 1)
}
