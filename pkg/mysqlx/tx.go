package mysqlx

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/errs"
)

// maxAttempts bounds how often a transaction runs. Five attempts with doubling pauses last under a second.
const maxAttempts = 5

// maxQueued bounds the statements of one transaction.
const maxQueued = 2000

// Tx is a transaction that saves round trips: writes are queued and leave together in one packet, with BEGIN in front, when a
// result is needed or at the end. A purchase step is two round trips this way, whatever it writes.
type Tx struct {
	conn     *sql.Conn
	begun    bool
	queue    []statement
	onCommit []func()
	// stepwise sends each statement by itself, see Flush; expects says that a packet held a compare-and-set.
	stepwise, expects bool
}

type statement struct {
	query    string
	args     []any
	rows     int64 // anyRows or the number of rows that must be found
	mismatch error
}

const anyRows = -1

// Queue adds a write whose number of rows does not matter.
func (tx *Tx) Queue(query string, args ...any) {
	tx.queue = append(tx.queue, statement{query: query, args: args, rows: anyRows})
}

// QueueExpect adds a write that must find exactly this many rows; otherwise the transaction is rolled back and answers mismatch.
// This is how a compare-and-set loses.
func (tx *Tx) QueueExpect(rows int64, mismatch error, query string, args ...any) {
	tx.queue = append(tx.queue, statement{query: query, args: args, rows: rows, mismatch: mismatch})
}

// OnCommit registers a call for after the commit, for example to wake the relay. It is forgotten when the transaction fails.
func (tx *Tx) OnCommit(f func()) { tx.onCommit = append(tx.onCommit, f) }

// Flush sends what is queued and checks the rows found.
//
// The server runs a packet to its end before the rows found can be checked, so a lost compare-and-set may show as the violated
// unique key of an INSERT behind it. InTx then runs the transaction again, stepwise, and the loser gets its own mismatch.
func (tx *Tx) Flush(ctx context.Context) error {
	if len(tx.queue) == 0 {
		return nil
	}
	if tx.stepwise && len(tx.queue) > 1 {
		all := tx.queue
		for i := range all {
			tx.queue = all[i : i+1 : i+1]
			if err := tx.Flush(ctx); err != nil {
				return err
			}
		}
		tx.queue = nil
		return nil
	}
	if len(tx.queue) > maxQueued {
		return fmt.Errorf("%d statements in one transaction, at most %d", len(tx.queue), maxQueued)
	}
	var text strings.Builder
	var args []any
	skip := 0
	if !tx.begun {
		text.WriteString("START TRANSACTION;")
		skip = 1
	}
	for i, s := range tx.queue {
		if i > 0 {
			text.WriteByte(';')
		}
		tx.expects = tx.expects || s.rows != anyRows
		text.WriteString(s.query)
		args = append(args, s.args...)
	}
	tx.begun = true
	found, err := tx.exec(ctx, text.String(), args)
	if err != nil {
		return err
	}
	if len(found) != len(tx.queue)+skip {
		return fmt.Errorf("%d statements gave %d results: a statement holds a semicolon", len(tx.queue)+skip, len(found))
	}
	for i, s := range tx.queue {
		if s.rows != anyRows && found[i+skip] != s.rows {
			return s.mismatch
		}
	}
	tx.queue = tx.queue[:0]
	return nil
}

// exec runs one packet of statements and gives the rows found by each.
func (tx *Tx) exec(ctx context.Context, query string, args []any) (found []int64, err error) {
	err = tx.conn.Raw(func(dc any) error {
		checker, ok := dc.(driver.NamedValueChecker)
		if !ok {
			return errors.New("the driver cannot check arguments")
		}
		named := make([]driver.NamedValue, len(args))
		for i, a := range args {
			named[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
			if err := checker.CheckNamedValue(&named[i]); err != nil {
				return fmt.Errorf("argument %d: %w", i+1, err)
			}
		}
		execer, ok := dc.(driver.ExecerContext)
		if !ok {
			return errors.New("the driver cannot run statements")
		}
		res, err := execer.ExecContext(ctx, query, named)
		if err != nil {
			return err
		}
		all, ok := res.(mysql.Result)
		if !ok {
			return errors.New("the driver does not tell the rows of each statement")
		}
		found = all.AllRowsAffected()
		return nil
	})
	return found, err
}

// Query sends what is queued, then reads inside the transaction. The caller closes the rows before the next call.
func (tx *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := tx.prepare(ctx); err != nil {
		return nil, err
	}
	return tx.conn.QueryContext(ctx, query, args...)
}

// QueryRow is Query for at most one row; Scan answers sql.ErrNoRows when there is none.
func (tx *Tx) QueryRow(ctx context.Context, query string, args ...any) Row {
	if err := tx.prepare(ctx); err != nil {
		return failedRow{err}
	}
	return tx.conn.QueryRowContext(ctx, query, args...)
}

// Row is one row to be scanned.
type Row interface {
	Scan(dest ...any) error
}

type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

func (tx *Tx) prepare(ctx context.Context) error {
	if len(tx.queue) > 0 {
		return tx.Flush(ctx)
	}
	if tx.begun {
		return nil
	}
	tx.begun = true
	_, err := tx.exec(ctx, "START TRANSACTION", nil)
	return err
}

// InTx runs fn in a transaction and commits. fn may run several times: it must do nothing outside of tx, and call nobody. It is
// repeated, a bounded number of times with growing pauses, when the server rolled it back for a passing reason, and when the
// connection broke before COMMIT was sent. A connection that breaks during COMMIT leaves the outcome unknown: the answer is
// unavailable, and the caller's idempotency key finds out.
//
// Errors: DEPENDENCY_UNAVAILABLE and DEADLINE_TOO_SHORT for what passes, errors of fn with a reason as they are, and the driver's
// errors for all else: Duplicate and Fault read them.
func (db *DB) InTx(ctx context.Context, fn func(tx *Tx) error) error {
	begin := time.Now()
	attempts := 0
	stepwise := false
	var err error
	for attempts < maxAttempts {
		attempts++
		tx := &Tx{stepwise: stepwise}
		var again bool
		again, err = db.attempt(ctx, tx, fn)
		if _, dup := Duplicate(err); dup && tx.expects && !stepwise {
			stepwise = true
			continue
		}
		if !again || ctx.Err() != nil {
			break
		}
		db.log.Debug("transaction is repeated", zap.Int("attempt", attempts), zap.Error(err))
		if attempts < maxAttempts && !pause(ctx, attempts) {
			break
		}
	}
	if db.observer != nil {
		db.observer.TxDone(time.Since(begin), attempts, err)
	}
	if Retryable(err) || Disconnected(err) || errors.Is(err, context.Canceled) {
		return Fault(err, "run the transaction")
	}
	return err
}

func pause(ctx context.Context, attempt int) bool {
	base := 4 * time.Millisecond << attempt
	t := time.NewTimer(base/2 + rand.N(base))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (db *DB) attempt(ctx context.Context, tx *Tx, fn func(tx *Tx) error) (again bool, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return Disconnected(err), err
	}
	tx.conn = conn
	defer func() { _ = conn.Close() }()
	defer func() {
		if p := recover(); p != nil {
			tx.rollback(ctx)
			panic(p)
		}
	}()
	err = fn(tx)
	if err == nil {
		err = tx.Flush(ctx)
	}
	if err != nil {
		tx.rollback(ctx)
		if _, ok := errs.ReasonOf(err); ok {
			return false, err
		}
		return Retryable(err) || Disconnected(err), err
	}
	if tx.begun {
		if _, err := tx.exec(ctx, "COMMIT", nil); err != nil {
			tx.rollback(ctx)
			return Retryable(err), fmt.Errorf("commit: %w", err)
		}
	}
	for _, f := range tx.onCommit {
		f()
	}
	return false, nil
}

// rollback ends the transaction; when that cannot be said to the server, the connection is thrown away, which says it too.
func (tx *Tx) rollback(ctx context.Context) {
	if !tx.begun {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if _, err := tx.exec(ctx, "ROLLBACK", nil); err != nil {
		_ = tx.conn.Raw(func(any) error { return driver.ErrBadConn })
	}
}
