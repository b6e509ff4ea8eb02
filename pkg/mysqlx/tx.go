package mysqlx

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/text"
)

// maxAttempts bounds how often a transaction runs. Five attempts with doubling pauses last under a second.
const maxAttempts = 5

// maxQueued bounds the statements of one transaction.
const maxQueued = 2000

// Tx is a transaction that saves round trips: writes are queued and leave together in one packet, with BEGIN in front, when a
// result is needed or, with COMMIT behind it, at the end. A purchase step is one round trip this way, whatever it writes.
type Tx struct {
	conn     *sql.Conn
	begun    bool
	queue    []statement
	onCommit []func()
}

type statement struct {
	query    string
	args     []any
	rows     int64 // anyRows or the number of rows that must be found
	mismatch error
	width    int // the values of a row, for a statement of QueueRow
}

const anyRows = -1

// Queue adds a write whose number of rows does not matter.
func (tx *Tx) Queue(query string, args ...any) {
	tx.queue = append(tx.queue, statement{query: query, args: args, rows: anyRows})
}

// maxMerged bounds the rows that QueueRow puts into one statement.
const maxMerged = 500

// QueueRow adds a row to an INSERT whose text up to VALUES is head. Rows of the same head that wait for the same packet leave in
// one statement, in the place of the first: for tables that only collect, such as the outbox and the journal.
func (tx *Tx) QueueRow(head string, values ...any) {
	for i := range tx.queue {
		s := &tx.queue[i]
		if s.width == len(values) && s.query == head && len(s.args) < maxMerged*s.width {
			s.args = append(s.args, values...)
			return
		}
	}
	tx.queue = append(tx.queue, statement{query: head, args: values, rows: anyRows, width: len(values)})
}

// QueueExpect adds a write that must find exactly this many rows; otherwise the transaction is rolled back and answers mismatch.
// This is how a compare-and-set loses.
func (tx *Tx) QueueExpect(rows int64, mismatch error, query string, args ...any) {
	tx.queue = append(tx.queue, statement{query: query, args: args, rows: rows, mismatch: mismatch})
}

// OnCommit registers a call for after the commit, for example to wake the relay. It is forgotten when the transaction fails.
func (tx *Tx) OnCommit(f func()) { tx.onCommit = append(tx.onCommit, f) }

// Flush sends what is queued. The first expectation that does not hold stops the packet, and its mismatch is answered.
func (tx *Tx) Flush(ctx context.Context) error {
	if len(tx.queue) == 0 {
		return nil
	}
	return tx.send(ctx, "")
}

// guard stands behind a statement that must find a number of rows. Where it found another, the expression overflows, which is an
// error on every server (1690, "DOUBLE value is out of range in 'exp(if(row_count() = 1,0,1000007))'"), and the server runs
// nothing of the packet that comes after it, COMMIT included. The last number tells which statement it was.
const guard = "SET @creditpay_guard=EXP(IF(ROW_COUNT()=%d,0,%d))"

// guardTag is added to a statement's place in the packet, so that the number has seven digits.
const guardTag = 1_000_000

const erOutOfRange = 1690

var guardText = regexp.MustCompile(`row_count\(\).*\b(1\d{6})\b`)

// send sends what is queued in one packet, with BEGIN in front when the transaction has not begun, and the given end.
func (tx *Tx) send(ctx context.Context, end string) error {
	packet, args, want, err := tx.packet(end)
	if err != nil {
		return err
	}
	tx.begun = true
	found, err := tx.exec(ctx, packet, args)
	if err != nil {
		return tx.mismatchOr(err)
	}
	if len(found) != want {
		return fmt.Errorf("%d statements gave %d results", want, len(found))
	}
	tx.queue = tx.queue[:0]
	return nil
}

// packet is the text of what is queued, BEGIN in front when the transaction has not begun, with the given end; its arguments, and
// how many results it has.
func (tx *Tx) packet(end string) (packet string, args []any, results int, err error) {
	if len(tx.queue) > maxQueued {
		return "", nil, 0, fmt.Errorf("%d statements in one transaction, at most %d", len(tx.queue), maxQueued)
	}
	var b strings.Builder
	statement := func(query string) {
		if results > 0 {
			b.WriteByte(';')
		}
		b.WriteString(query)
		results++
	}
	if !tx.begun {
		statement("START TRANSACTION")
	}
	for i, s := range tx.queue {
		if strings.IndexByte(s.query, ';') >= 0 {
			return "", nil, 0, fmt.Errorf("a queued statement holds a semicolon: %.60s", s.query)
		}
		statement(s.query)
		if s.width > 0 {
			b.WriteString(Tuples(len(s.args)/s.width, s.width))
		}
		args = append(args, s.args...)
		if s.rows != anyRows {
			statement(fmt.Sprintf(guard, s.rows, guardTag+i))
		}
	}
	if end != "" {
		statement(end)
	}
	return b.String(), args, results, nil
}

// mismatchOr gives the mismatch of the statement whose guard raised the error, or the error itself.
func (tx *Tx) mismatchOr(err error) error {
	var e *mysql.MySQLError
	if !errors.As(err, &e) || e.Number != erOutOfRange {
		return err
	}
	m := guardText.FindStringSubmatch(e.Message)
	if m == nil {
		return err
	}
	place, convErr := strconv.Atoi(m[1])
	if place -= guardTag; convErr != nil || place >= len(tx.queue) || tx.queue[place].rows == anyRows {
		return err
	}
	return tx.queue[place].mismatch
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
			named[i] = driver.NamedValue{Ordinal: i + 1, Value: writable(a)}
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

// writable returns an argument as a column takes it: text is UTF-8, whoever sent it. Without this, one wrong byte would be an
// error of the server (1366) each time that the row is written, for ever.
func writable(a any) any {
	if s, ok := a.(string); ok {
		return text.Valid(s)
	}
	return a
}

// writables is writable for all arguments of a statement; a copy when one had to be mended.
func writables(args []any) []any {
	for i, a := range args {
		if s, ok := a.(string); ok && !utf8.ValidString(s) {
			args = slices.Clone(args)
			for j := i; j < len(args); j++ {
				args[j] = writable(args[j])
			}
			return args
		}
	}
	return args
}

// Query reads inside the transaction, after what is queued and in the same packet. The caller closes the rows before the next call.
func (tx *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if tx.begun && len(tx.queue) == 0 {
		return tx.conn.QueryContext(ctx, query, writables(args)...)
	}
	packet, values, _, err := tx.packet(query)
	if err != nil {
		return nil, err
	}
	tx.begun = true
	// The driver passes over the results of statements that give no rows.
	rows, err := tx.conn.QueryContext(ctx, packet, writables(append(values, args...))...)
	if err != nil {
		return nil, tx.mismatchOr(err)
	}
	tx.queue = tx.queue[:0]
	return rows, nil
}

// QueryRow is Query for at most one row; Scan answers sql.ErrNoRows when there is none.
func (tx *Tx) QueryRow(ctx context.Context, query string, args ...any) Row {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return failedRow{err}
	}
	return firstRow{rows}
}

// Row is one row to be scanned.
type Row interface {
	Scan(dest ...any) error
}

type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

// firstRow is the first row of a result, which it closes.
type firstRow struct{ rows *sql.Rows }

func (r firstRow) Scan(dest ...any) (err error) {
	defer func() { err = errors.Join(err, r.rows.Close()) }()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return sql.ErrNoRows
	}
	return r.rows.Scan(dest...)
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
	var err error
	for attempts < maxAttempts {
		attempts++
		tx := &Tx{}
		var again bool
		again, err = db.attempt(ctx, tx, fn)
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
	if err := fn(tx); err != nil {
		tx.rollback(ctx)
		if _, ok := errs.ReasonOf(err); ok {
			return false, err
		}
		return Retryable(err) || Disconnected(err), err
	}
	if err := tx.finish(ctx); err != nil {
		tx.rollback(ctx)
		if _, ok := errs.ReasonOf(err); ok {
			return false, err
		}
		// A pooled connection that was dead before anything was sent may be replaced; one that broke since may have committed.
		return Retryable(err) || errors.Is(err, driver.ErrBadConn), fmt.Errorf("commit: %w", err)
	}
	for _, f := range tx.onCommit {
		f()
	}
	return false, nil
}

// finish sends what is left with COMMIT behind it, in one packet.
func (tx *Tx) finish(ctx context.Context) error {
	if len(tx.queue) > 0 {
		return tx.send(ctx, "COMMIT")
	}
	if !tx.begun {
		return nil
	}
	_, err := tx.exec(ctx, "COMMIT", nil)
	return err
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
