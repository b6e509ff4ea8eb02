package spine

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/mysqlx"
)

const (
	houseInterval = 10 * time.Minute
	houseBatch    = 2000
	// Answers and event ids are kept longer than anybody repeats; published events as long as a broker may have to be refilled.
	keepRequests = 30 * 24 * time.Hour
	keepInbox    = 30 * 24 * time.Hour
	keepOutbox   = 30 * 24 * time.Hour
	keepRefused  = 30 * 24 * time.Hour
)

// Purge is what a service removes besides: rows that are older than Keep. Query holds two placeholders, the time before which rows are
// old and how many go at once.
type Purge struct {
	Query string
	Keep  time.Duration
}

// OnHouse adds what housekeeping removes. Before Run.
func (s *Spine) OnHouse(purges ...Purge) { s.purges = append(s.purges, purges...) }

// keepHouse removes what nobody will ask for again, in small batches.
func (s *Spine) keepHouse(ctx context.Context) error {
	t := time.NewTicker(houseInterval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		// The system's clock, not the business clock: a development clock that jumps a year must not empty the outbox.
		now := time.Now().UTC()
		s.purge(ctx, `DELETE FROM idempotency WHERE create_time < ? AND answer IS NOT NULL ORDER BY create_time LIMIT ?`, now.Add(-keepRequests))
		s.purge(ctx, `DELETE FROM inbox WHERE create_time < ? ORDER BY create_time LIMIT ?`, now.Add(-keepInbox))
		s.purge(ctx, `DELETE FROM outbox WHERE published = 1 AND create_time < ? ORDER BY id LIMIT ?`, now.Add(-keepOutbox))
		s.purge(ctx, `DELETE FROM refused_events WHERE create_time < ? ORDER BY create_time LIMIT ?`, now.Add(-keepRefused))
		s.purge(ctx, `DELETE FROM job_faults WHERE last_time < ? AND stop_time IS NULL ORDER BY kind, job_key LIMIT ?`, now.Add(-keepRequests))
		for _, p := range s.purges {
			s.purge(ctx, p.Query, now.Add(-p.Keep))
		}
	}
}

func (s *Spine) purge(ctx context.Context, query string, before time.Time) {
	for ctx.Err() == nil {
		res, err := s.Kit.DB.ExecContext(ctx, query, before, houseBatch)
		if err != nil {
			if !mysqlx.Retryable(err) {
				s.Log.Warn("old rows are not removed", zap.Error(err))
			}
			return
		}
		if n, err := res.RowsAffected(); err != nil || n < houseBatch {
			return
		}
	}
}
