package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

const (
	// pollInterval finds what other processes made and what the ladder makes due; this process's own events wake the sender.
	pollInterval = time.Second
	// leaseTime is how long a claim keeps others away: an attempt's time and that of writing it down, several times over.
	leaseTime = time.Minute
	// dueBatch is how many due deliveries are looked at together, putOffBatch how many are put off at once.
	dueBatch    = 64
	putOffBatch = 500
	// dispatchTurns bounds one look at what is due.
	dispatchTurns = 100
)

// sender is who is being spoken to in this process.
type sender struct {
	settings Settings
	flying   sync.WaitGroup

	mu sync.Mutex // guards what follows
	// lanes are those that are spoken to, or that failed of late.
	lanes map[ids.ID]*lane
	// aboard are the deliveries that are being sent: a clock that jumps over their lease must not send them twice.
	aboard map[ids.ID]bool
}

// lane is one endpoint's, or of a callback endpoint one host's.
type lane struct {
	flying  int
	breaker domain.Breaker
}

func newSender(s Settings) *sender {
	return &sender{settings: s, lanes: map[ids.ID]*lane{}, aboard: map[ids.ID]bool{}}
}

// board takes a place for a delivery. Without one it gives the time until which the lane is left alone; the zero time when its
// places are only taken.
func (s *sender) board(d Due, now time.Time) (until time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.aboard[d.ID] {
		return time.Time{}, false
	}
	l := s.lanes[d.Lane]
	if l == nil {
		l = &lane{}
		s.lanes[d.Lane] = l
	}
	if l.flying >= s.places(l, now) {
		return l.breaker.Open(now), false
	}
	l.flying++
	s.aboard[d.ID] = true
	return time.Time{}, true
}

// places is how many places a lane has now: one where fewer than half of all are free, so that many slow ones at once do not take them
// all. The caller holds the lock.
func (s *sender) places(l *lane, now time.Time) int {
	all := s.settings.PerEndpoint
	if 2*len(s.aboard) >= s.settings.InFlight {
		all = 1
	}
	return l.breaker.Places(now, all)
}

// leave gives the place back.
func (s *sender) leave(d Due) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[d.Lane]
	l.flying--
	delete(s.aboard, d.ID)
	if l.flying == 0 && l.breaker.Idle() {
		delete(s.lanes, d.Lane)
	}
}

// heard tells the breaker of a lane how an attempt ended.
func (s *sender) heard(laneID ids.ID, alive bool, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lanes[laneID]; alive {
		l.breaker.Succeeded()
	} else {
		l.breaker.Failed(at)
	}
}

// retry lets a lane that is left alone be tried at once.
func (s *sender) retry(laneID ids.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lanes[laneID]; l != nil {
		l.breaker.Retry()
	}
}

// busy gives the lanes whose places are all taken, and how many places are left in all. It forgets those that nobody tries any more:
// checkouts name any number of hosts.
func (s *sender) busy(now time.Time) (full []ids.ID, free int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, l := range s.lanes {
		switch {
		case l.flying > 0 && l.flying >= s.places(l, now):
			full = append(full, id)
		case l.flying == 0 && l.breaker.Stale(now):
			delete(s.lanes, id)
		}
	}
	return full, s.settings.InFlight - len(s.aboard)
}

// RunSender sends what is due until ctx ends, and then waits for the attempts that are under way, which ctx ends too.
func (a *App) RunSender(ctx context.Context) error {
	defer a.sender.flying.Wait()
	for ctx.Err() == nil {
		if err := a.Dispatch(ctx); err != nil && ctx.Err() == nil {
			a.Log.Warn("due deliveries wait", zap.Error(err))
		}
		_ = clock.Wait(ctx, a.Clock, a.Clock.Now().Add(pollInterval), a.Store.Wake()) // It fails when ctx ends, which the loop sees.
	}
	return nil
}

// Dispatch begins the attempts that are due and for which there is a place. Each lane has its own places, and a lane without one is left
// out when the next are looked for, so that its backlog stands in nobody's way.
func (a *App) Dispatch(ctx context.Context) error {
	now := a.now()
	without, free := a.sender.busy(now)
	for range dispatchTurns {
		if free <= 0 {
			return nil // Who leaves wakes the loop.
		}
		due, err := a.Store.Due(ctx, now, without, min(free, dueBatch))
		if err != nil || len(due) == 0 {
			return err
		}
		begun := 0
		for _, d := range due {
			if slices.Contains(without, d.Lane) {
				continue
			}
			until, ok := a.sender.board(d, now)
			if !ok {
				without = append(without, d.Lane)
				if !until.IsZero() {
					err = errors.Join(err, a.Store.PutOff(ctx, d.Lane, now, until, putOffBatch))
				}
				continue
			}
			claimed, claimErr := a.begin(ctx, d, now)
			if claimErr != nil {
				return errors.Join(err, claimErr)
			}
			if claimed {
				begun++
			}
		}
		var full []ids.ID
		before := len(without)
		full, free = a.sender.busy(now)
		for _, id := range full {
			if !slices.Contains(without, id) {
				without = append(without, id)
			}
		}
		if err != nil || (begun == 0 && len(without) == before) {
			return err
		}
	}
	return nil
}

// begin claims a delivery that has a place, and begins its attempt.
func (a *App) begin(ctx context.Context, d Due, now time.Time) (bool, error) {
	claimed, err := a.Store.Claim(ctx, d, now.Add(leaseTime))
	if err != nil || !claimed {
		a.sender.leave(d)
		return false, err
	}
	a.sender.flying.Go(func() {
		defer a.Store.Nudge()
		defer a.sender.leave(d)
		a.attempt(ctx, d)
	})
	return true, nil
}
