package bench

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/creditpay/creditpay/pkg/ids"
)

// fill says how many copies are made and when the fill happens.
type fill struct {
	orders int
	now    time.Time
}

func (f fill) users() int { return max(1, f.orders/fillOrdersPerUser) }

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

// insert makes the copies in the template's schemas.
func (t *template) insert(ctx context.Context, db *sql.DB, f fill, progress func(orders int)) error {
	if err := t.insertKind(ctx, db, f, f.users(), true, func(int) {}); err != nil {
		return err
	}
	return t.insertKind(ctx, db, f, f.orders, false, progress)
}

// relaxed runs fn while the server writes fast and carelessly: commits are not durable, since nobody's money is in the copies, and
// pages go to disk as fast as it takes them. Afterwards the pages are written out (at most two minutes: a database that has held
// its orders for weeks is not still writing them) and the settings are as they were.
func relaxed(ctx context.Context, db *sql.DB, fn func() error) (err error) {
	var capacity, capacityMax int
	var dirty float64
	if err := db.QueryRowContext(ctx, `SELECT @@innodb_io_capacity, @@innodb_io_capacity_max, @@innodb_max_dirty_pages_pct`).Scan(&capacity, &capacityMax, &dirty); err != nil {
		return fmt.Errorf("read the server's settings: %w", err)
	}
	// The maximum goes up first and down last: the server refuses a capacity above it.
	if _, err := db.ExecContext(ctx, `SET GLOBAL innodb_flush_log_at_trx_commit = 0, GLOBAL innodb_io_capacity_max = 40000,
		GLOBAL innodb_io_capacity = 20000, GLOBAL innodb_max_dirty_pages_pct = 0`); err != nil {
		return fmt.Errorf("relax the server: %w", err)
	}
	defer func() {
		_, e := db.ExecContext(context.WithoutCancel(ctx), fmt.Sprintf(`SET GLOBAL innodb_flush_log_at_trx_commit = 1,
			GLOBAL innodb_io_capacity = %d, GLOBAL innodb_io_capacity_max = %d, GLOBAL innodb_max_dirty_pages_pct = %f`, capacity, capacityMax, dirty))
		err = errors.Join(err, e)
	}()
	if err := fn(); err != nil {
		return err
	}
	return settlePages(ctx, db)
}

// pagesSettled is how many dirty pages count as none: the services' own timers write a few all the time.
const pagesSettled = 500

func settlePages(ctx context.Context, db *sql.DB) error {
	deadline := time.Now().Add(2 * time.Minute)
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for time.Now().Before(deadline) {
		var dirty int
		if err := db.QueryRowContext(ctx, `SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'INNODB_BUFFER_POOL_PAGES_DIRTY'`).Scan(&dirty); err != nil {
			return fmt.Errorf("wait for pages to be written: %w", err)
		}
		if dirty < pagesSettled {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

func (t *template) insertKind(ctx context.Context, db *sql.DB, f fill, count int, perUser bool, progress func(int)) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fillWorkers)
	for from := 0; from < count; from += fillBatch {
		if ctx.Err() != nil {
			break
		}
		to := min(from+fillBatch, count)
		group.Go(func() error {
			var text []byte
			for _, table := range t.tables {
				if table.perUser != perUser {
					continue
				}
				text = append(text[:0], table.head...)
				for i := from; i < to; i++ {
					for _, r := range table.rows {
						text = append(t.copyRow(text, r, f, i, count), ',')
					}
				}
				if _, err := db.ExecContext(ctx, string(text[:len(text)-1])); err != nil {
					return fmt.Errorf("fill %s: %w", table.table, err)
				}
			}
			return nil
		})
		progress(from)
	}
	return group.Wait()
}

// copyRow appends copy number i of a row.
func (t *template) copyRow(to []byte, r rowText, f fill, i, of int) []byte {
	start := len(to)
	to = append(to, r.text...)
	user := i % f.users()
	shift := f.when(i, of).Sub(t.at)
	for _, s := range r.slots {
		into := to[start+s.at:]
		switch s.kind {
		case slotID:
			id := t.copyID(s.id, f, i, user, shift)
			hex.Encode(into, id[:])
		case slotIDText:
			copy(into, t.copyID(s.id, f, i, user, shift).String())
		case slotUser:
			copy(into, fmt.Sprintf("filled-user-%012d", user))
		case slotOrderNo:
			copy(into, fmt.Sprintf("F%0*d", len(t.orderNo)-1, i))
		case slotTime:
			copy(into, s.time.Add(shift).Format(timeLayout))
		case slotUsed:
			copy(into, fmt.Sprintf("%019d", s.used*int64(f.ordersOf(user))))
		}
	}
	return to
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
	bits := (binary.BigEndian.Uint64(from.id[8:])&random + uint64(i+1)*0x9e3779b97f4a7c15) & random
	binary.BigEndian.PutUint64(id[8:], 1<<63|bits)
	return id
}
