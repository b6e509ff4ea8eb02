package jobs

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"
)

// Sweep is due rows of a table that are done many at once, in one transaction of the service: work that falls on all rows of a kind
// in one night. The handler locks the rows, passes over those that are not due any more, and moves the due column of the others, so
// a batch that is cut off anywhere is simply due again.
type Sweep struct {
	// Kind names it in logs and in its lease.
	Kind string
	// Table has the rows, Due is a nullable DATETIME(6) column with an index, Key the column of their ids, BINARY(16).
	Table, Due, Key string
	// Group is a column that tells whose a row is; what is due at the same time is done owner by owner, so that a batch touches few.
	// An index on Due and Group in this order finds them; empty for none.
	Group string
	// Handle does a batch. An error leaves the whole batch due.
	Handle func(ctx context.Context, batch []ids.ID) error
	// Batch is how many rows go into one transaction, 100 by default.
	Batch int
}

const (
	sweepBatch = 100
	// sweepAhead is how many batches for each turn are looked up at once.
	sweepAhead = 10
	// sweepRetry is how long a row waits that failed on its own.
	sweepRetry = time.Minute
)

// Sweeper does the due rows of one sweep. One process of a service sweeps at a time, by lease; the others stand by.
type Sweeper struct {
	DB    *mysqlx.DB
	Clock clock.Clock
	Log   *zap.Logger
	// Owner names this process in the lease.
	Owner string
	Sweep Sweep
	// Turns is how many batches are at work at once, one by default: what a night may take from those who wait for an answer.
	Turns int

	mu         sync.Mutex // guards leaseUntil
	leaseUntil time.Time
	faulty     faulty
}

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		n, err := s.Once(ctx)
		if err != nil && ctx.Err() == nil {
			s.Log.Warn("due rows wait", zap.String("sweep", s.Sweep.Kind), zap.Error(err))
		}
		if n > 0 && err == nil {
			continue
		}
		_ = clock.Wait(ctx, s.Clock, s.Clock.Now().Add(pollInterval), nil) // It fails when ctx ends, which the loop sees.
	}
	return nil
}

// Once does rows that are due now, a number of batches for each turn, and tells how many rows were due.
func (s *Sweeper) Once(ctx context.Context) (int, error) {
	batch := s.Sweep.Batch
	if batch <= 0 {
		batch = sweepBatch
	}
	turns := max(s.Turns, 1)
	if ok, err := s.lease(ctx); err != nil || !ok {
		return 0, err
	}
	due, err := s.due(ctx, batch*turns*sweepAhead)
	if err != nil {
		return 0, err
	}
	var g errgroup.Group
	g.SetLimit(turns)
	for from := 0; from < len(due); from += batch {
		part := due[from:min(from+batch, len(due))]
		g.Go(func() error {
			// Renewed while half of it is left.
			if ok, err := s.lease(ctx); err != nil || !ok {
				return err
			}
			return s.do(ctx, part)
		})
	}
	return len(due), g.Wait()
}

// do does a batch; one that fails is done row by row, and rows that fail on their own are put off, so that one cannot stop the rest.
func (s *Sweeper) do(ctx context.Context, batch []ids.ID) error {
	work, cancel := context.WithTimeout(ctx, workTime)
	defer cancel()
	err := s.Sweep.Handle(work, batch)
	if err == nil {
		return s.recovered(work, batch)
	}
	if ctx.Err() != nil || mysqlx.Disconnected(err) {
		return err
	}
	s.Log.Info("a batch failed and is done row by row", zap.String("sweep", s.Sweep.Kind), zap.Error(err))
	for _, id := range batch {
		err := s.Sweep.Handle(work, []ids.ID{id})
		if err == nil {
			if err := s.recovered(work, []ids.ID{id}); err != nil {
				return err
			}
			continue
		}
		if ctx.Err() != nil || mysqlx.Disconnected(err) {
			return err
		}
		s.Log.Error("a row cannot be done and is put off", zap.String("sweep", s.Sweep.Kind), zap.Stringer("id", id), zap.Error(err))
		if err := s.putOff(ctx, id, err); err != nil {
			return err
		}
	}
	return nil
}

// recovered forgets the faults of rows that failed before and were done now.
func (s *Sweeper) recovered(ctx context.Context, batch []ids.ID) error {
	if !s.faulty.has(ctx, s.DB, s.Sweep.Kind, s.Clock.Now()) {
		return nil
	}
	keys := make([]string, len(batch))
	for i, id := range batch {
		keys[i] = id.String()
	}
	return well(ctx, s.DB, s.Sweep.Kind, keys...)
}

// putOff has a row wait that failed on its own, and stops one that reached its bound: its due column becomes NULL.
func (s *Sweeper) putOff(ctx context.Context, id ids.ID, cause error) error {
	now, key := s.Clock.Now(), id.String()
	stop, _, err := fault(ctx, s.DB, s.Sweep.Kind, key, cause.Error(), faultTime(cause), now)
	if err != nil {
		return err
	}
	var next any = now.Add(sweepRetry)
	if stop {
		s.Log.Error("a row is stopped; see creditctl job list", zap.String("sweep", s.Sweep.Kind), zap.Stringer("id", id), zap.Error(cause))
		if err := stopped(ctx, s.DB, s.Sweep.Kind, key, now); err != nil {
			return err
		}
		next = nil
	}
	_, err = s.DB.ExecContext(ctx, `UPDATE `+s.Sweep.Table+` SET `+s.Sweep.Due+` = ? WHERE `+s.Sweep.Key+` = ? AND `+s.Sweep.Due+` <= ?`, next, id, now)
	return mysqlx.Fault(err, "put a row off")
}

func (s *Sweeper) due(ctx context.Context, limit int) ([]ids.ID, error) {
	order := s.Sweep.Due + `, ` + s.Sweep.Key
	if s.Sweep.Group != "" {
		order = s.Sweep.Due + `, ` + s.Sweep.Group + `, ` + s.Sweep.Key
	}
	rows, err := s.DB.QueryContext(ctx, `SELECT `+s.Sweep.Key+` FROM `+s.Sweep.Table+` WHERE `+s.Sweep.Due+` <= ? ORDER BY `+order+` LIMIT ?`, s.Clock.Now(), limit)
	if err != nil {
		return nil, mysqlx.Fault(err, "read due rows of "+s.Sweep.Table)
	}
	defer func() { _ = rows.Close() }()
	var out []ids.ID
	for rows.Next() {
		var id ids.ID
		if err := rows.Scan(&id); err != nil {
			return nil, mysqlx.Fault(err, "read due rows of "+s.Sweep.Table)
		}
		out = append(out, id)
	}
	return out, mysqlx.Fault(rows.Err(), "read due rows of "+s.Sweep.Table)
}

// lease makes this process the one that sweeps, for longer than a batch may take. It goes by the machine's clock: a business clock
// that jumps must not hand it over.
func (s *Sweeper) lease(ctx context.Context) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, now := "sweep "+s.Sweep.Kind, time.Now().UTC()
	if now.Before(s.leaseUntil.Add(-leaseTime / 2)) {
		return true, nil
	}
	for range 2 {
		res, err := s.DB.ExecContext(ctx, `UPDATE leases SET owner = ?, until_time = ? WHERE name = ? AND (owner = ? OR until_time < ?)`,
			s.Owner, now.Add(leaseTime), name, s.Owner, now)
		if err != nil {
			return false, mysqlx.Fault(err, "take the lease of a sweep")
		}
		if n, err := res.RowsAffected(); err == nil && n == 1 {
			s.leaseUntil = now.Add(leaseTime)
			return true, nil
		}
		if _, err := s.DB.ExecContext(ctx, `INSERT IGNORE INTO leases (name, owner, until_time) VALUES (?, '', '2000-01-01')`, name); err != nil {
			return false, mysqlx.Fault(err, "seed the lease of a sweep")
		}
	}
	return false, nil
}
