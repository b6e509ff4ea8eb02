// Package jobs owns durable timers: a row per thing to be done at a time, claimed by lease, repeated with growing pauses until
// its handler says that it is done. A timer that nearly every row of a table has and that seldom fires is a column of that table
// instead, see Column: it costs no row and no statement of its own.
//
// Handlers must be safe to run twice and late by weeks: a lease that runs out gives the job to somebody else. A job is written
// and removed in the transaction of the change that needs it. The package must not know what jobs do.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/text"
)

// Job is a row that was claimed.
type Job struct {
	// Kind names the handler.
	Kind string
	// Key is what the job is about, a typed id.
	Key string
	// Attempt counts the claims, 1 for the first; 1 always for a timer in a column.
	Attempt int

	lease time.Time
	// column is where the timer stands; nil for a row of the jobs table.
	column *Column
	id     ids.ID
}

// Outcome is what a handler answers besides an error.
type Outcome struct {
	done bool
	next time.Time
	// why is what is waited for in vain; empty for a time that is known.
	why string
}

// Done removes the job.
func Done() Outcome { return Outcome{done: true} }

// Again keeps the job for a later time.
func Again(at time.Time) Outcome { return Outcome{next: at} }

// Handler does one job. An error keeps the job for a later attempt.
type Handler func(ctx context.Context, j Job) (Outcome, error)

// Queue adds jobs to transactions and wakes the runner of this process.
type Queue struct {
	clock clock.Clock
	wake  chan struct{}
}

// NewQueue makes a queue.
func NewQueue(clk clock.Clock) *Queue { return &Queue{clock: clk, wake: make(chan struct{}, 1)} }

func (q *Queue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Schedule adds a job, or moves it to the new time when it exists.
func (q *Queue) Schedule(tx *mysqlx.Tx, kind, key string, due time.Time) {
	now := q.clock.Now()
	tx.Queue(`INSERT INTO jobs (kind, job_key, due_time, attempt, last_error, create_time) VALUES (?, ?, ?, 0, '', ?)
		ON DUPLICATE KEY UPDATE due_time = VALUES(due_time), attempt = 0`, kind, key, due, now)
	if !due.After(now.Add(pollInterval)) {
		tx.OnCommit(q.nudge)
	}
}

// Cancel removes a job; one that is not there is none.
func (q *Queue) Cancel(tx *mysqlx.Tx, kind, key string) {
	tx.Queue(`DELETE FROM jobs WHERE kind = ? AND job_key = ?`, kind, key)
}

const (
	// pollInterval finds what other processes scheduled; a process's own jobs wake it.
	pollInterval = time.Second
	claimBatch   = 64
	// leaseTime is how long a handler may work before somebody else may try.
	leaseTime = 30 * time.Second
	// workTime is when handlers are told to stop, counted from the claim: well before somebody else may try.
	workTime   = leaseTime * 2 / 3
	backoffMin = 500 * time.Millisecond
	backoffMax = 5 * time.Minute
)

// Runner claims due jobs and gives them to their handlers.
type Runner struct {
	DB       *mysqlx.DB
	Queue    *Queue
	Clock    clock.Clock
	Log      *zap.Logger
	Handlers map[string]Handler
	// Columns are the timers that stand in other tables.
	Columns []Column
	// Workers bounds the handlers at work at once, 8 by default.
	Workers int
	// faults are the timers that failed here and were not done since; faulty are kinds that failed anywhere.
	faults sync.Map
	faulty faulty
}

// Run works until ctx ends and then waits for the handlers at work.
func (r *Runner) Run(ctx context.Context) error {
	if r.Workers <= 0 {
		r.Workers = 8
	}
	failures := 0
	for ctx.Err() == nil {
		n, err := r.Once(ctx)
		if err != nil && ctx.Err() == nil {
			failures++
			r.Log.Warn("due jobs wait", zap.Error(err))
		} else {
			failures = 0
		}
		if n >= claimBatch {
			continue
		}
		until := r.Clock.Now().Add(pollInterval * time.Duration(1+min(failures, 4)))
		_ = clock.Wait(ctx, r.Clock, until, r.Queue.wake) // It fails when ctx ends, which the loop sees.
	}
	return nil
}

// Once does the jobs that are due now, a batch of each place at most, and tells how many it claimed. Jobs that were claimed before a fault are
// done all the same.
func (r *Runner) Once(ctx context.Context) (int, error) {
	// Leases and handlers end by the machine's clock alike, whatever is done to the business clock meanwhile.
	work, cancel := context.WithTimeout(ctx, workTime)
	defer cancel()
	claimed, err := r.claim(ctx)
	for i := range r.Columns {
		more, columnErr := r.claimColumn(ctx, &r.Columns[i])
		claimed, err = append(claimed, more...), errors.Join(err, columnErr)
	}
	var g errgroup.Group
	g.SetLimit(max(r.Workers, 1))
	for _, j := range claimed {
		g.Go(func() error {
			r.do(work, j)
			return nil
		})
	}
	_ = g.Wait()
	return len(claimed), err
}

// claim reads due jobs without a lock and takes each by compare-and-set on its due time, which becomes the end of the lease.
func (r *Runner) claim(ctx context.Context) ([]Job, error) {
	now := r.Clock.Now()
	rows, err := r.DB.QueryContext(ctx, `SELECT kind, job_key, due_time, attempt FROM jobs WHERE due_time <= ? ORDER BY due_time LIMIT ?`, now, claimBatch)
	if err != nil {
		return nil, mysqlx.Fault(err, "read due jobs")
	}
	defer func() { _ = rows.Close() }()
	var found []Job
	for rows.Next() {
		var j Job
		if err := rows.Scan(&j.Kind, &j.Key, &j.lease, &j.Attempt); err != nil {
			return nil, mysqlx.Fault(err, "read due jobs")
		}
		found = append(found, j)
	}
	if err := rows.Err(); err != nil {
		return nil, mysqlx.Fault(err, "read due jobs")
	}
	lease := now.Add(leaseTime).Truncate(time.Microsecond)
	var mine []Job
	for _, j := range found {
		res, err := r.DB.ExecContext(ctx, `UPDATE jobs SET due_time = ?, attempt = attempt + 1 WHERE kind = ? AND job_key = ? AND due_time = ? AND attempt = ?`,
			lease, j.Kind, j.Key, j.lease, j.Attempt)
		if err != nil {
			return mine, mysqlx.Fault(err, "claim a job")
		}
		if n, err := res.RowsAffected(); err == nil && n == 1 {
			j.Attempt++
			j.lease = lease
			mine = append(mine, j)
		}
	}
	return mine, nil
}

func (r *Runner) do(ctx context.Context, j Job) {
	log := r.Log.With(zap.String("job", j.Kind), zap.String("key", j.Key), zap.Int("attempt", j.Attempt))
	if ctx.Err() != nil {
		// The batch took too long before it came to this job, or the process stops: it goes back as it was.
		r.settle(ctx, log, j.putBack(r.Clock.Now()))
		return
	}
	outcome, err := r.handle(ctx, j)
	switch {
	case err != nil:
		r.faulted(ctx, log, j, faultTime(err), err.Error(), func(now time.Time, faults int) ending { return j.failed(now, faults, err) })
	case outcome.why != "":
		r.faulted(ctx, log, j, FaultTime, outcome.why, func(time.Time, int) ending { return j.again(outcome.next) })
	case outcome.done:
		r.settle(ctx, log, j.done())
		r.recovered(ctx, log, j)
	default:
		r.settle(ctx, log, j.again(outcome.next))
		r.recovered(ctx, log, j)
	}
}

// faulted keeps a timer that failed for a later time, and stops one that reached its bound.
func (r *Runner) faulted(ctx context.Context, log *zap.Logger, j Job, most time.Duration, text string, later func(now time.Time, faults int) ending) {
	count, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	now := r.Clock.Now()
	stop, faults, err := fault(count, r.DB, j.Kind, j.Key, text, most, now)
	if err != nil {
		log.Warn("a fault could not be counted", zap.Error(err))
	}
	r.faults.Store(j.Kind+" "+j.Key, true)
	if !stop {
		log.Warn("job failed and will be tried again", zap.String("cause", text), zap.Int("faults", faults))
		r.settle(ctx, log, later(now, max(faults, j.Attempt)))
		return
	}
	log.Error("a job is stopped; see creditctl job list", zap.String("cause", text), zap.Int("faults", faults))
	if err := stopped(count, r.DB, j.Kind, j.Key, now); err != nil {
		log.Warn("a job could not be stopped", zap.Error(err))
		r.settle(ctx, log, later(now, max(faults, j.Attempt)))
		return
	}
	r.settle(ctx, log, j.done())
}

// recovered forgets the faults of a timer that failed before, here or in another process.
func (r *Runner) recovered(ctx context.Context, log *zap.Logger, j Job) {
	forget, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, failed := r.faults.LoadAndDelete(j.Kind + " " + j.Key)
	if !failed && (j.column != nil || j.Attempt < 2) && !r.faulty.has(forget, r.DB, j.Kind, r.Clock.Now()) {
		return
	}
	if err := well(forget, r.DB, j.Kind, j.Key); err != nil {
		log.Warn("faults could not be forgotten", zap.Error(err))
	}
}

// ending is the statement that ends a claim. It finds the row only while the lease is the claim's own: a row whose lease was lost
// is somebody else's and is left alone.
type ending struct {
	query string
	args  []any
}

func (j Job) putBack(now time.Time) ending {
	if j.column != nil {
		return j.column.move(j, now)
	}
	return ending{`UPDATE jobs SET due_time = ?, attempt = attempt - 1 WHERE kind = ? AND job_key = ? AND due_time = ?`, []any{now, j.Kind, j.Key, j.lease}}
}

// lastErrorMax is the length of jobs.last_error in characters.
const lastErrorMax = 500

func (j Job) failed(now time.Time, faults int, cause error) ending {
	if j.column != nil {
		return j.column.move(j, now.Add(columnPause(faults)))
	}
	pause := backoffMax
	if j.Attempt < 10 {
		pause = min(backoffMin<<j.Attempt, backoffMax)
	}
	return ending{`UPDATE jobs SET due_time = ?, last_error = ? WHERE kind = ? AND job_key = ? AND due_time = ?`, []any{now.Add(pause), text.Cut(cause.Error(), lastErrorMax), j.Kind, j.Key, j.lease}}
}

func (j Job) done() ending {
	if j.column != nil {
		return j.column.move(j, nil)
	}
	return ending{`DELETE FROM jobs WHERE kind = ? AND job_key = ? AND due_time = ?`, []any{j.Kind, j.Key, j.lease}}
}

func (j Job) again(next time.Time) ending {
	if j.column != nil {
		return j.column.move(j, next)
	}
	return ending{`UPDATE jobs SET due_time = ?, attempt = 0, last_error = '' WHERE kind = ? AND job_key = ? AND due_time = ?`, []any{next, j.Kind, j.Key, j.lease}}
}

func (r *Runner) handle(ctx context.Context, j Job) (outcome Outcome, err error) {
	h, ok := r.Handlers[j.Kind]
	if !ok {
		return Outcome{}, fmt.Errorf("no handler for jobs of kind %q", j.Kind)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("job panicked: %v", p)
		}
	}()
	return h(ctx, j)
}

// settle writes a job's end.
func (r *Runner) settle(ctx context.Context, log *zap.Logger, e ending) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, err := r.DB.ExecContext(ctx, e.query, e.args...); err != nil {
		log.Warn("the end of a job could not be written; its lease will run out", zap.Error(err))
	}
}
