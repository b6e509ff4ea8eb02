package bench

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"

	"github.com/creditpay/creditpay/pkg/ids"
)

// fill says how many copies are made and when the fill happens.
type fill struct {
	orders int
	// perUser is how many purchases each of the copied users made.
	perUser int
	now     time.Time
}

func (f fill) users() int { return max(1, f.orders/f.perUser) }

// filledUser is the name of a copied user.
func filledUser(number int) string { return fmt.Sprintf("filled-user-%012d", number) }

// ordersOf is how many purchases the user of that number made: order i is of user i mod users.
func (f fill) ordersOf(user int) int {
	n := f.orders / f.users()
	if user < f.orders%f.users() {
		n++
	}
	return n
}

// when is the time of the copy of that number; copies are made in the order of their times, like real rows.
func (f fill) when(i, of int) time.Time {
	return f.now.Add(-fillOldest + (fillOldest-fillYoungest)*time.Duration(i)/time.Duration(of))
}

// numbers gives the numbers of the copies in an order.
func (f fill) numbers(order copyOrder) iter.Seq[int] {
	step := 1
	if order == byUser {
		step = f.users()
	}
	return func(yield func(int) bool) {
		for first := range step {
			for i := first; i < f.count(order); i += step {
				if !yield(i) {
					return
				}
			}
		}
	}
}

// count is how many copies are made in that order.
func (f fill) count(order copyOrder) int {
	if order == perUser {
		return f.users()
	}
	return f.orders
}

// insert makes the copies in the template's schemas. Progress is told the percentage that is done, by several goroutines.
func (t *template) insert(ctx context.Context, db *sql.DB, f fill, progress func(percent int)) error {
	all := 0
	for _, rows := range t.tables {
		all += rows.size(f)
	}
	// The largest first, so that none is left alone at the end.
	tables := slices.SortedFunc(slices.Values(t.tables), func(a, b *tableRows) int { return cmp.Compare(b.size(f), a.size(f)) })
	var done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fillWorkers)
	for _, rows := range tables {
		group.Go(func() error {
			if err := t.insertRows(ctx, db, f, rows, func(n int) { progress(int(done.Add(int64(n))) * 100 / all) }); err != nil {
				return fmt.Errorf("fill %s: %w", rows.table, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// insertRows makes all copies of some rows of one table, one after the other.
func (t *template) insertRows(ctx context.Context, db *sql.DB, f fill, rows *tableRows, progress func(n int)) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	text, count := make([]byte, 0, fillBatch+fillBatch/4), 0
	load := func() error {
		err := loadText(ctx, conn, rows.load, text, count)
		progress(count)
		text, count = text[:0], 0
		return err
	}
	for i := range f.numbers(rows.order) {
		for _, r := range rows.rows {
			text = t.copyRow(text, r, f, i, f.count(rows.order))
			count++
		}
		if len(text) >= fillBatch {
			if err := load(); err != nil {
				return err
			}
		}
	}
	if count == 0 {
		return nil
	}
	return load()
}

// loadText stores rows that are written as LOAD DATA reads them.
func loadText(ctx context.Context, conn *sql.Conn, load string, text []byte, rows int) error {
	name := fmt.Sprintf("fill-%p", text) // unlike that of any other batch which is on its way
	mysql.RegisterReaderHandler(name, func() io.Reader { return bytes.NewReader(text) })
	defer mysql.DeregisterReaderHandler(name)
	result, err := conn.ExecContext(ctx, fmt.Sprintf(load, name))
	if err != nil {
		return err
	}
	stored, err := result.RowsAffected()
	if err != nil {
		return err
	}
	// With LOCAL a row that breaks a rule is left out or bent, and the server only warns.
	var warnings int
	if err := conn.QueryRowContext(ctx, `SELECT @@warning_count`).Scan(&warnings); err != nil {
		return err
	}
	if stored != int64(rows) || warnings > 0 {
		return fmt.Errorf("%d of %d rows stored, %d warnings", stored, rows, warnings)
	}
	return nil
}

// relaxedSettings are those that relaxed changes: commits are not durable, since nobody's money is in the copies; the server writes
// pages as fast as the disk takes them; and its cache and its log are large enough, 4 GiB, for second indexes that grow at random
// places: with less their pages are written, and read, over and over. The maximum stands before what it bounds.
var relaxedSettings = []setting{
	{"innodb_flush_log_at_trx_commit", "0"}, {"innodb_io_capacity_max", "40000"}, {"innodb_io_capacity", "20000"},
	{"innodb_buffer_pool_size", "GREATEST(@@GLOBAL.innodb_buffer_pool_size, 4 << 30)"},
	{"innodb_log_file_size", "GREATEST(@@GLOBAL.innodb_log_file_size, 4 << 30)"},
}

// setting is a global variable of the server.
type setting struct{ name, value string }

func (s setting) set(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, "SET GLOBAL "+s.name+" = "+s.value); err != nil {
		return fmt.Errorf("set %s: %w", s.name, err)
	}
	return nil
}

func (s setting) read(ctx context.Context, db *sql.DB) (value string, err error) {
	if err := db.QueryRowContext(ctx, "SELECT @@GLOBAL."+s.name).Scan(&value); err != nil {
		return "", fmt.Errorf("read %s: %w", s.name, err)
	}
	return value, nil
}

// relaxed runs fn while the server writes fast and carelessly. Afterwards the pages are written out, since a database that has held
// its orders for weeks is not still writing them, and the settings are proved to be what they were.
func relaxed(ctx context.Context, db *sql.DB, fn func() error) error {
	pool, err := poolPages(ctx, db, "TOTAL")
	if err != nil {
		return err
	}
	if err := with(ctx, db, relaxedSettings, func() error {
		if err := fn(); err != nil {
			return err
		}
		// Not while the rows are stored: a page would be written again for every few rows that it gets.
		return with(ctx, db, []setting{{"innodb_max_dirty_pages_pct", "0"}}, func() error {
			return waitForPages(ctx, db, "DIRTY", pagesSettled)
		})
	}); err != nil {
		return err
	}
	return waitForPages(ctx, db, "TOTAL", pool) // the cache shrinks in the background
}

// with runs fn under other settings.
func with(ctx context.Context, db *sql.DB, settings []setting, fn func() error) (err error) {
	for _, s := range settings {
		before := setting{name: s.name}
		if before.value, err = s.read(ctx, db); err != nil {
			return err
		}
		// Deferred calls run last first, so that what is bounded comes down before its maximum.
		defer func() { err = errors.Join(err, before.restore(context.WithoutCancel(ctx), db)) }()
		if err := s.set(ctx, db); err != nil {
			return err
		}
	}
	return fn()
}

// restore sets what was read before, and makes sure of it.
func (s setting) restore(ctx context.Context, db *sql.DB) error {
	if err := s.set(ctx, db); err != nil {
		return err
	}
	now, err := s.read(ctx, db)
	if err == nil && now != s.value {
		err = fmt.Errorf("%s is %s, it was %s", s.name, now, s.value)
	}
	return err
}

const (
	// pagesSettled is how many dirty pages count as none: the services' own timers write a few all the time.
	pagesSettled = 500
	// settleMax is how long a slow disk may take to write what the cache holds.
	settleMax = 5 * time.Minute
)

// poolPages is how many pages of a kind (DIRTY, TOTAL) are in the server's cache.
func poolPages(ctx context.Context, db *sql.DB, kind string) (n int, err error) {
	if err := db.QueryRowContext(ctx, `SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS
		WHERE VARIABLE_NAME = CONCAT('INNODB_BUFFER_POOL_PAGES_', ?)`, kind).Scan(&n); err != nil {
		return 0, fmt.Errorf("count the pages in the cache: %w", err)
	}
	return n, nil
}

// waitForPages waits until there are no more than that.
func waitForPages(ctx context.Context, db *sql.DB, kind string, most int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, settleMax, fmt.Errorf("the cache has not settled within %s", settleMax))
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		n, err := poolPages(ctx, db, kind)
		if err != nil || n <= most {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// copyRow appends copy number i of a row.
func (t *template) copyRow(to []byte, r rowText, f fill, i, of int) []byte {
	user := i % f.users()
	shift := f.when(i, of).Sub(t.at)
	from := 0
	for _, s := range r.slots {
		to = append(to, r.text[from:s.at]...)
		from = s.at
		switch s.kind {
		case slotID:
			id := t.copyID(s.id, f, i, user, shift)
			for _, c := range id {
				to = appendEscaped(to, c)
			}
		case slotIDText:
			to = append(to, t.copyID(s.id, f, i, user, shift).String()...)
		case slotUser:
			to = append(to, filledUser(user)...)
		case slotOrderNo:
			to = fmt.Appendf(to, "F%0*d", len(t.orderNo)-1, i)
		case slotTime:
			to = s.time.Add(shift).AppendFormat(to, timeLayout)
		case slotUsed:
			to = strconv.AppendInt(to, s.used*int64(f.ordersOf(user)), 10)
		}
	}
	return append(to, r.text[from:]...)
}

// copyID gives the id that stands for the template's id number k in copy i: the template's time moved by shift, and random bits
// that differ from copy to copy.
func (t *template) copyID(k int, f fill, i, user int, shift time.Duration) ids.ID {
	from := t.ids[k]
	if from.perUser {
		i, shift = user, f.when(user, f.users()).Sub(t.at)
	}
	id := idAt(from.id.Time().Add(shift))
	copy(id[6:8], from.id[6:8])
	const random = 1<<62 - 1
	// An odd factor makes the step a bijection of the 62 bits: two copies never meet.
	bits := (binary.BigEndian.Uint64(from.id[8:])&random + uint64(i+1)*0x9e3779b97f4a7c15) & random //nolint:gosec // i counts up from 0
	binary.BigEndian.PutUint64(id[8:], 1<<63|bits)
	return id
}
