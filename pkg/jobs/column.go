package jobs

import (
	"context"
	"time"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"
)

// Column is timers that stand in the rows that they are about: a DATETIME(6) column that says when the row is due and is NULL when
// it has no timer, with an index. The service sets and clears it in the statements that change the row anyway. A claim moves it to
// the end of the lease; errors are counted as for all jobs, see FaultsMax.
type Column struct {
	// Kind names the handler.
	Kind string
	// Table has the rows, Due is the column, Key the column of their ids, BINARY(16). They are part of the program, never input.
	Table, Due, Key string
	// Prefix makes the job's key out of the row's id.
	Prefix ids.Prefix
}

// A timer in a column waits after its handler failed: 10 seconds, twice as long each time, a minute at most, so that what a fault that
// passed has held up goes on soon.
const (
	columnRetry    = 10 * time.Second
	columnRetryMax = time.Minute
)

func columnPause(faults int) time.Duration {
	return min(columnRetry<<min(max(faults-1, 0), 6), columnRetryMax)
}

// claimColumn takes due rows, each by compare-and-set on its time, which becomes the end of the lease.
func (r *Runner) claimColumn(ctx context.Context, c *Column) ([]Job, error) {
	now := r.Clock.Now()
	rows, err := r.DB.QueryContext(ctx, `SELECT `+c.Key+`, `+c.Due+` FROM `+c.Table+` WHERE `+c.Due+` <= ? ORDER BY `+c.Due+` LIMIT ?`, now, claimBatch)
	if err != nil {
		return nil, mysqlx.Fault(err, "read due rows of "+c.Table)
	}
	defer func() { _ = rows.Close() }()
	var found []Job
	for rows.Next() {
		j := Job{Kind: c.Kind, Attempt: 1, column: c}
		if err := rows.Scan(&j.id, &j.lease); err != nil {
			return nil, mysqlx.Fault(err, "read due rows of "+c.Table)
		}
		j.Key = ids.Format(c.Prefix, j.id)
		found = append(found, j)
	}
	if err := rows.Err(); err != nil {
		return nil, mysqlx.Fault(err, "read due rows of "+c.Table)
	}
	lease := now.Add(leaseTime).Truncate(time.Microsecond)
	var mine []Job
	for _, j := range found {
		e := c.move(j, lease)
		res, err := r.DB.ExecContext(ctx, e.query, e.args...)
		if err != nil {
			return mine, mysqlx.Fault(err, "claim a row of "+c.Table)
		}
		if n, err := res.RowsAffected(); err == nil && n == 1 {
			j.lease = lease
			mine = append(mine, j)
		}
	}
	return mine, nil
}

// move gives a row that is still as the job saw it another time; nil for none.
func (c *Column) move(j Job, to any) ending {
	return ending{`UPDATE ` + c.Table + ` SET ` + c.Due + ` = ? WHERE ` + c.Key + ` = ? AND ` + c.Due + ` = ?`, []any{to, j.id, j.lease}}
}
