package jobs

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/text"
)

// The bound of every timer, in a row or in a column, and of every row of a sweep: after so many faults in a row over so long a time it is
// stopped and stands in a list for a person. Both must be reached, so that neither a moment of many faults nor a clock that jumps stops
// one that is well.
const (
	FaultsMax = 100
	FaultTime = 24 * time.Hour
	// AwayTime is FaultTime for faults that pass by themselves, such as a neighbour that is away: an outage of a day stops nothing.
	AwayTime = 7 * 24 * time.Hour
)

// faultTime returns how long timers may fail for that cause.
func faultTime(cause error) time.Duration {
	if errs.Passing(cause) {
		return AwayTime
	}
	return FaultTime
}

// Waiting keeps the job for a later time because what it waits for did not come. It counts as a fault: nothing is waited for without end.
func Waiting(at time.Time, why string) Outcome { return Outcome{next: at, why: why} }

// faultTextMax bounds what is kept of an error, in characters.
const faultTextMax = 400

// fault counts a fault and reports whether the bound is reached, of FaultsMax and of the time since the first one in a row.
func fault(ctx context.Context, db *mysqlx.DB, kind, key, cause string, most time.Duration, now time.Time) (stop bool, count int, err error) {
	if _, err = db.ExecContext(ctx, `INSERT INTO job_faults (kind, job_key, faults, first_time, last_time, last_error) VALUES (?, ?, 1, ?, ?, ?)
		ON DUPLICATE KEY UPDATE faults = IF(stop_time IS NULL, faults + 1, 1), first_time = IF(stop_time IS NULL, first_time, VALUES(first_time)),
		stop_time = NULL, last_time = VALUES(last_time), last_error = VALUES(last_error)`, kind, key, now, now, text.Cut(cause, faultTextMax)); err != nil {
		return false, 0, mysqlx.Fault(err, "count a fault")
	}
	var first time.Time
	if err = db.QueryRowContext(ctx, `SELECT faults, first_time FROM job_faults WHERE kind = ? AND job_key = ?`, kind, key).Scan(&count, &first); err != nil {
		return false, 0, mysqlx.Fault(err, "read a fault")
	}
	return count >= FaultsMax && now.Sub(first) >= most, count, nil
}

// stopped notes that a timer was stopped.
func stopped(ctx context.Context, db *mysqlx.DB, kind, key string, now time.Time) error {
	_, err := db.ExecContext(ctx, `UPDATE job_faults SET stop_time = ? WHERE kind = ? AND job_key = ?`, now, kind, key)
	return mysqlx.Fault(err, "note that a timer was stopped")
}

// well forgets the faults of timers that were done.
func well(ctx context.Context, db *mysqlx.DB, kind string, keys ...string) error {
	args := make([]any, 0, len(keys)+1)
	args = append(args, kind)
	for _, key := range keys {
		args = append(args, key)
	}
	_, err := db.ExecContext(ctx, `DELETE FROM job_faults WHERE kind = ? AND job_key IN (?`+strings.Repeat(", ?", len(keys)-1)+`) AND stop_time IS NULL`, args...)
	return mysqlx.Fault(err, "forget faults")
}

// faultyFor is how long the answer of faulty.has is good: shorter than a timer that failed waits, so that the process that does it the
// next time knows of its fault, whichever process had it.
const faultyFor = 5 * time.Second

// faulty remembers for a moment which kinds of timers have faults that count: nearly always none, and then what is done needs no
// statement to forget them. The zero value is ready.
type faulty struct {
	mu     sync.Mutex
	kinds  map[string]bool
	looked time.Time
}

// has reports whether a timer of the kind has faults. While the database does not answer, it has: forgetting too much costs a statement.
func (f *faulty) has(ctx context.Context, db *mysqlx.DB, kind string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if elapsed := now.Sub(f.looked); f.kinds != nil && elapsed >= 0 && elapsed < faultyFor {
		return f.kinds[kind]
	}
	rows, err := db.QueryContext(ctx, `SELECT DISTINCT kind FROM job_faults WHERE stop_time IS NULL`)
	if err != nil {
		return true
	}
	defer func() { _ = rows.Close() }()
	kinds := map[string]bool{}
	for rows.Next() {
		var kind string
		if rows.Scan(&kind) != nil {
			return true
		}
		kinds[kind] = true
	}
	if rows.Err() != nil {
		return true
	}
	f.kinds, f.looked = kinds, now
	return kinds[kind]
}

// Stopped is a timer that reached its bound.
type Stopped struct {
	Kind, Key string
	Faults    int
	// FirstTime is of the first fault in the row, StopTime when it was stopped.
	FirstTime, StopTime time.Time
	LastError           string
}

// ListStopped returns timers that were stopped, oldest first, at most limit.
func ListStopped(ctx context.Context, db *mysqlx.DB, limit int) ([]Stopped, error) {
	rows, err := db.QueryContext(ctx, `SELECT kind, job_key, faults, first_time, stop_time, last_error FROM job_faults WHERE stop_time IS NOT NULL
		ORDER BY stop_time, kind, job_key LIMIT ?`, limit)
	if err != nil {
		return nil, mysqlx.Fault(err, "read stopped timers")
	}
	defer func() { _ = rows.Close() }()
	var out []Stopped
	for rows.Next() {
		var s Stopped
		if err := rows.Scan(&s.Kind, &s.Key, &s.Faults, &s.FirstTime, &s.StopTime, &s.LastError); err != nil {
			return nil, mysqlx.Fault(err, "read stopped timers")
		}
		out = append(out, s)
	}
	return out, mysqlx.Fault(rows.Err(), "read stopped timers")
}

// Place is a column in which timers stand.
type Place struct {
	// Kind of its timers.
	Kind string
	// Table, Due and Key as in Column.
	Table, Due, Key string
	// Prefix of the ids that name its timers; empty for plain ids.
	Prefix ids.Prefix
}

// Place is where a column's timers stand.
func (c Column) Place() Place {
	return Place(c)
}

// Place is where a sweep's rows stand.
func (s Sweep) Place() Place { return Place{Kind: s.Kind, Table: s.Table, Due: s.Due, Key: s.Key} }

// id reads the name of a timer.
func (p Place) id(key string) (id ids.ID, err error) {
	if p.Prefix == "" {
		return id, id.UnmarshalText([]byte(key))
	}
	return ids.Parse(p.Prefix, key)
}

// Restart puts a stopped timer on again; its faults are forgotten. Errors: NOT_FOUND.
func Restart(ctx context.Context, db *mysqlx.DB, queue *Queue, places []Place, kind, key string, now time.Time) error {
	return end(ctx, db, kind, key, func(tx *mysqlx.Tx) error {
		for _, p := range places {
			if p.Kind != kind {
				continue
			}
			id, err := p.id(key)
			if err != nil {
				return errs.InvalidArgument.Wrap(err, "%s is not the id of a timer of kind %s", key, kind)
			}
			tx.Queue(`UPDATE `+p.Table+` SET `+p.Due+` = ? WHERE `+p.Key+` = ? AND `+p.Due+` IS NULL`, now, id)
			return nil
		}
		queue.Schedule(tx, kind, key, now)
		return nil
	})
}

// Dismiss takes a stopped timer off the list: a person has ended by hand what it was for. Errors: NOT_FOUND.
func Dismiss(ctx context.Context, db *mysqlx.DB, kind, key string) error {
	return end(ctx, db, kind, key, func(*mysqlx.Tx) error { return nil })
}

// end removes a stopped timer from the list together with what becomes of it.
func end(ctx context.Context, db *mysqlx.DB, kind, key string, also func(tx *mysqlx.Tx) error) error {
	var n int
	err := db.QueryRowContext(ctx, `SELECT faults FROM job_faults WHERE kind = ? AND job_key = ? AND stop_time IS NOT NULL`, kind, key).Scan(&n)
	if mysqlx.NoRows(err) {
		return errs.NotFound.New("no timer %s %s is stopped", kind, key)
	}
	if err != nil {
		return mysqlx.Fault(err, "read a stopped timer")
	}
	return db.InTx(ctx, func(tx *mysqlx.Tx) error {
		tx.Queue(`DELETE FROM job_faults WHERE kind = ? AND job_key = ?`, kind, key)
		return also(tx)
	})
}
