package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

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
	// claimsAtOnce is how many deliveries are claimed side by side: one waits for the disk as long as several do.
	claimsAtOnce = 8
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
	// turn is the end from which the next look takes.
	turn domain.End
}

// lane is one endpoint's, or of a callback endpoint one host's.
type lane struct {
	flying  int
	breaker domain.Breaker
	// turn is the end from which its next delivery is taken; zero for one that has none yet.
	turn domain.End
}

func newSender(s Settings) *sender {
	return &sender{settings: s, lanes: map[ids.ID]*lane{}, aboard: map[ids.ID]bool{}, turn: domain.WaitsLongest}
}

// look gives the end from which the next look takes.
func (s *sender) look() domain.End {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := s.turn
	s.turn = end.Next()
	return end
}

// turnOf gives the end from which a lane's next delivery is taken; the one given when it has no place now, or none had its turn yet.
func (s *sender) turnOf(laneID ids.ID, end domain.End, now time.Time) domain.End {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lanes[laneID]; l != nil && l.turn != 0 && l.flying < s.places(l, now) {
		return l.turn
	}
	return end
}

// board takes a place for a delivery from an end of what is due. Without one it gives the time until which the lane is left alone; the
// zero time when its places are only taken.
func (s *sender) board(d Due, end domain.End, now time.Time) (until time.Time, ok bool) {
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
	l.turn = end.Next()
	s.aboard[d.ID] = true
	return time.Time{}, true
}

// places is how many places a lane has now: one where fewer than half of all are free, so that many slow ones at once do not
// take them all. The caller holds the lock.
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
	s.lanes[d.Lane].flying--
	delete(s.aboard, d.ID)
}

// forget drops the lanes of which there is nothing to remember, once nothing is due: nobody has a turn then.
func (s *sender) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, l := range s.lanes {
		if l.flying == 0 && l.breaker.Idle() {
			delete(s.lanes, id)
		}
	}
}

// heard reports to the breaker of a lane how an attempt ended, and how long the lane wants to be left alone.
func (s *sender) heard(laneID ids.ID, answer domain.Answer, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[laneID]
	if alive(answer) {
		l.breaker.Succeeded()
		return
	}
	l.breaker.Failed(at)
	if pause := answer.Pause(); pause > 0 {
		l.breaker.Pause(at.Add(pause))
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

// Dispatch begins the attempts that are due and for which there is a place, from both ends of what is due in turn. It goes round: a lane
// that had its turn is left out until the others had theirs, and one without a place until it has one, so that no backlog stands in another's
// way.
func (a *App) Dispatch(ctx context.Context) error {
	var putOff, served []ids.ID
	begun := 0 // in this round
	for range dispatchTurns {
		now := a.now() // Each look sees what came during the one before.
		full, free := a.sender.busy(now)
		if free <= 0 {
			return nil // Who leaves wakes the loop.
		}
		without, end := slices.Concat(putOff, served, full), a.sender.look()
		due, err := a.Store.Due(ctx, now, end, without, min(free, dueBatch))
		if err != nil {
			return err
		}
		if len(due) == 0 && begun == 0 {
			if len(without) == 0 {
				a.sender.forget()
			}
			return nil
		}
		if len(due) == 0 { // The next round.
			served, begun = served[:0], 0
			continue
		}
		b := boarding{app: a, end: end, now: now}
		n, err := b.begin(ctx, due)
		if err != nil {
			return err
		}
		begun, putOff, served = begun+n, append(putOff, b.putOff...), append(served, b.served...)
	}
	a.Store.Nudge() // There may be more.
	return nil
}

// boarding is what becomes of the deliveries that a look found at an end.
type boarding struct {
	app *App
	end domain.End
	now time.Time
	// served are the lanes of which some were found; putOff are those among them that are left alone, and whose deliveries were put off.
	served, putOff []ids.ID
}

// begin begins the attempts of those that find a place, and tells how many. They are claimed side by side.
func (b *boarding) begin(ctx context.Context, due []Due) (begun int, err error) {
	found := map[ids.ID][]Due{}
	for _, d := range due {
		if found[d.Lane] == nil {
			b.served = append(b.served, d.Lane)
		}
		found[d.Lane] = append(found[d.Lane], d)
	}
	var claims errgroup.Group
	claims.SetLimit(claimsAtOnce)
	var count atomic.Int64
	for _, laneID := range b.served {
		aboard, boardErr := b.board(ctx, laneID, found[laneID])
		for _, d := range aboard {
			claims.Go(func() error {
				claimed, err := b.app.begin(ctx, d, b.now)
				if claimed {
					count.Add(1)
				}
				return err
			})
		}
		if boardErr != nil {
			err = boardErr
			break
		}
	}
	err = errors.Join(err, claims.Wait())
	return int(count.Load()), err
}

// board gives deliveries of a lane a place, as many as were found or as it has places, from both ends of what is due on this lane in
// turn: the look found those at one, and those at the other are looked for when they have their turn. What is due of a lane that is
// left alone is put off.
func (b *boarding) board(ctx context.Context, laneID ids.ID, found []Due) (aboard []Due, err error) {
	sender, left := b.app.sender, map[domain.End][]Due{b.end: found}
	for range found {
		end := sender.turnOf(laneID, b.end, b.now)
		if _, known := left[end]; !known {
			if left[end], err = b.app.Store.DueOf(ctx, b.now, end, laneID, min(len(found), sender.settings.PerEndpoint)); err != nil {
				return aboard, err
			}
		}
		left[end] = slices.DeleteFunc(left[end], func(d Due) bool { return slices.Contains(aboard, d) })
		if len(left[end]) == 0 {
			return aboard, nil // The ends have met.
		}
		d := left[end][0]
		until, ok := sender.board(d, end, b.now)
		if !ok && !until.IsZero() {
			b.putOff = append(b.putOff, laneID)
			return aboard, b.app.Store.PutOff(ctx, laneID, b.now, until, putOffBatch)
		}
		if !ok {
			return aboard, nil
		}
		aboard = append(aboard, d)
	}
	return aboard, nil
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
