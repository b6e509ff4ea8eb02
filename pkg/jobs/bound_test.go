package jobs_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
)

// places are where the timers of the tests stand.
func places() []jobs.Place {
	return []jobs.Place{{Kind: "pickup", Table: "parcels", Key: "id", Due: "pickup_time", Prefix: ids.Order}}
}

// A timer that never succeeds was retried every ten seconds for ever. It is stopped after a hundred faults over a day, and a person
// decides.
func TestBound_AHopelessTimerIsStoppedAndRestarted(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]struct {
		out jobs.Outcome
		err error
	}{"fails": {jobs.Done(), errors.New("no van")}, "waits in vain": {jobs.Waiting(start().Add(time.Minute), "no van"), nil}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newParcels(t)
			calls, good := 0, false
			r := p.runner(func(context.Context, jobs.Job) (jobs.Outcome, error) {
				if calls++; good {
					return jobs.Done(), nil
				}
				return outcome.out, outcome.err
			})
			for range 3 * jobs.FaultsMax {
				p.clock.Advance(20 * time.Minute)
				if _, err := r.Once(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if calls != jobs.FaultsMax {
				t.Errorf("it was done %d times, want %d", calls, jobs.FaultsMax)
			}
			list, err := jobs.ListStopped(t.Context(), p.db, 10)
			if err != nil || len(list) != 1 || list[0].Kind != "pickup" || list[0].Faults != jobs.FaultsMax || list[0].LastError != "no van" {
				t.Fatalf("stopped: %+v, %v", list, err)
			}
			if _, set := p.due(t); set {
				t.Error("a stopped timer is still due")
			}
			if err := jobs.Restart(t.Context(), p.db, jobs.NewQueue(p.clock), places(), "pickup", "ord_x", p.clock.Now()); !errs.Is(err, errs.NotFound) {
				t.Errorf("another one: got %v, want NOT_FOUND", err)
			}
			good = true
			if err := jobs.Restart(t.Context(), p.db, jobs.NewQueue(p.clock), places(), "pickup", list[0].Key, p.clock.Now()); err != nil {
				t.Fatal(err)
			}
			once(t, r, 1)
			if list, err = jobs.ListStopped(t.Context(), p.db, 10); err != nil || len(list) != 0 {
				t.Errorf("after the restart: %+v, %v", list, err)
			}
		})
	}
}

// Many faults in a moment, or one beside a clock that jumps, stop nothing; a success forgets them.
func TestBound_NeedsFaultsAndTime(t *testing.T) {
	t.Parallel()
	p := newParcels(t)
	fault := errors.New("no van")
	r := p.runner(func(context.Context, jobs.Job) (jobs.Outcome, error) {
		return jobs.Again(p.clock.Now().Add(time.Minute)), fault
	})
	for range jobs.FaultsMax + 20 {
		p.clock.Advance(time.Minute)
		once(t, r, 1)
	}
	fault = nil
	p.clock.Advance(time.Minute)
	once(t, r, 1)
	fault = errors.New("no van")
	p.clock.Advance(30 * 24 * time.Hour)
	once(t, r, 1)
	p.clock.Advance(time.Minute)
	once(t, r, 1)
	if list, err := jobs.ListStopped(t.Context(), p.db, 10); err != nil || len(list) != 0 {
		t.Errorf("stopped: %+v, %v", list, err)
	}
}

func TestBound_DismissTakesOffTheList(t *testing.T) {
	t.Parallel()
	p := newParcels(t)
	p.exec(t, `INSERT INTO job_faults VALUES ('pickup', 'x', 100, ?, ?, 'no van', ?)`, start(), start(), start())
	if err := jobs.Dismiss(t.Context(), p.db, "pickup", "x"); err != nil {
		t.Fatal(err)
	}
	if err := jobs.Dismiss(t.Context(), p.db, "pickup", "x"); !errs.Is(err, errs.NotFound) {
		t.Errorf("once more: got %v, want NOT_FOUND", err)
	}
}

// Faults count in a row: with two processes on one column, of which one fails and the other does it in turn, nothing is stopped.
func TestBound_SuccessElsewhereForgetsFaults(t *testing.T) {
	t.Parallel()
	p := newParcels(t)
	bad := p.runner(func(context.Context, jobs.Job) (jobs.Outcome, error) { return jobs.Done(), errors.New("no van") })
	good := p.runner(func(context.Context, jobs.Job) (jobs.Outcome, error) {
		return jobs.Again(p.clock.Now().Add(time.Minute)), nil
	})
	for range 2 * jobs.FaultsMax {
		for _, r := range []*jobs.Runner{bad, good} {
			p.clock.Advance(time.Hour)
			once(t, r, 1)
		}
	}
	if list, err := jobs.ListStopped(t.Context(), p.db, 10); err != nil || len(list) != 0 {
		t.Errorf("stopped: %+v, %v", list, err)
	}
}

// A neighbour that is away for days stops no timer at first: only one that stays away for a week does.
func TestBound_OutageStopsAfterAWeek(t *testing.T) {
	t.Parallel()
	p := newParcels(t)
	r := p.runner(func(context.Context, jobs.Job) (jobs.Outcome, error) {
		return jobs.Done(), errs.DependencyUnavailable.New("the yard is away")
	})
	for hour := range 8 * 24 {
		p.clock.Advance(time.Hour)
		once(t, r, 1)
		list, err := jobs.ListStopped(t.Context(), p.db, 10)
		if over := time.Duration(hour)*time.Hour >= jobs.AwayTime; err != nil || (len(list) == 1) != over {
			t.Fatalf("after %d hours: stopped %+v, %v, want it stopped: %t", hour, list, err, over)
		}
		if len(list) == 1 {
			return
		}
	}
	t.Error("it was never stopped")
}
