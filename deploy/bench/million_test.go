package bench

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// A small service with what the copies must get right: ids as bytes and as text inside values, unique numbers, times, and an
// account that sums its purchases up.
var copiedTables = []string{
	`CREATE TABLE orders (
	  id            BINARY(16)     NOT NULL,
	  account_id    BINARY(16)     NOT NULL,
	  user_id       VARBINARY(64)  NOT NULL,
	  out_order_no  VARBINARY(64)  NOT NULL,
	  amount_minor  BIGINT         NOT NULL,
	  detail        BLOB           NOT NULL,
	  cancel_time   DATETIME(6)    NULL,
	  create_time   DATETIME(6)    NOT NULL,
	  PRIMARY KEY (id),
	  UNIQUE KEY uq_no (out_order_no)
	)`,
	`CREATE TABLE order_lines (
	  order_id  BINARY(16)  NOT NULL,
	  line_no   SMALLINT    NOT NULL,
	  due_date  DATE        NOT NULL,
	  PRIMARY KEY (order_id, line_no)
	)`,
	`CREATE TABLE credit_accounts (
	  id           BINARY(16)     NOT NULL,
	  user_id      VARBINARY(64)  NOT NULL,
	  used_minor   BIGINT         NOT NULL,
	  PRIMARY KEY (id),
	  UNIQUE KEY uq_user (user_id)
	)`,
	`CREATE TABLE idempotency (scope VARBINARY(96) NOT NULL, request_id VARBINARY(64) NOT NULL, PRIMARY KEY (scope, request_id))`,
	`CREATE TABLE leases (name VARBINARY(64) NOT NULL, PRIMARY KEY (name))`,
}

const copiedOrderNo = "Tabcdefghijklmnopqrstuvwxyz"

// templateSchema makes the small service's schema with one purchase in it.
func templateSchema(t *testing.T, at time.Time) (db *sql.DB, dsn, schema string, order ids.ID) {
	t.Helper()
	dsn = testkit.Database(t)
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if db, err = sql.Open("mysql", dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	generator := ids.NewGenerator(clock.System())
	order, account := generator.New(), generator.New()
	detail := fmt.Sprintf("{\"order\":%q,\"note\":\"it's a \\\\ test\x00\t\r\n\"}", ids.Format(ids.Order, order))
	statements := append([]string{}, copiedTables...)
	statements = append(statements, `INSERT INTO order_lines VALUES (x'`+hex.EncodeToString(order[:])+`', 1, '2026-01-05'), (x'`+hex.EncodeToString(order[:])+`', 2, '2026-02-05')`,
		`INSERT INTO idempotency VALUES ('Open|ADMIN:x', 'open-`+templateUser+`'), ('Pay|H5:`+templateUser+`', 'c-`+copiedOrderNo+`'), ('Confirm|SPM:m', 'g-`+copiedOrderNo+`-0')`,
		`INSERT INTO leases VALUES ('relay')`)
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	for query, args := range map[string][]any{
		`INSERT INTO orders VALUES (?, ?, ?, ?, 100000, ?, NULL, ?)`: {order, account, templateUser, copiedOrderNo, []byte(detail), at},
		`INSERT INTO credit_accounts VALUES (?, ?, 100000)`:          {account, templateUser},
	} {
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	return db, dsn, config.DBName, order
}

func TestFillerMakesTrueCopiesOfAPurchase(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Microsecond)
	db, dsn, schema, _ := templateSchema(t, now)
	copied, err := readTemplate(t.Context(), dsn, []string{schema}, copiedOrderNo, now)
	if err != nil {
		t.Fatal(err)
	}
	const orders = 1003 // no multiple of the batch, nor of a user's orders
	if err := copied.insert(t.Context(), db, fill{perUser: fillOrdersPerUser, orders: orders, now: now}, func(int) {}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, query string
		want        int
	}{
		{"orders, the template's included", `SELECT COUNT(*) FROM orders`, orders + 1},
		{"order numbers", `SELECT COUNT(DISTINCT out_order_no) FROM orders`, orders + 1},
		{"lines", `SELECT COUNT(*) FROM order_lines`, 2 * (orders + 1)},
		{"lines without their order", `SELECT COUNT(*) FROM order_lines l WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.id = l.order_id)`, 0},
		{"accounts", `SELECT COUNT(*) FROM credit_accounts`, orders/fillOrdersPerUser + 1},
		{"orders whose account is another user's", `SELECT COUNT(*) FROM orders o LEFT JOIN credit_accounts a ON a.id = o.account_id AND a.user_id = o.user_id WHERE a.id IS NULL`, 0},
		{"accounts that do not sum up", `SELECT COUNT(*) FROM credit_accounts a WHERE a.used_minor <> (SELECT SUM(o.amount_minor) FROM orders o WHERE o.user_id = a.user_id)`, 0},
		{"requests of purchases", `SELECT COUNT(*) FROM idempotency WHERE scope LIKE 'Pay|%' OR scope LIKE 'Confirm|%'`, 2 * (orders + 1)},
		{"requests of users", `SELECT COUNT(*) FROM idempotency WHERE scope LIKE 'Open|%'`, orders/fillOrdersPerUser + 1},
		{"rows that are not copied", `SELECT COUNT(*) FROM leases`, 1},
		{"orders that lost what was NULL", `SELECT COUNT(*) FROM orders WHERE cancel_time IS NOT NULL`, 0},
		{"dates that moved", `SELECT COUNT(*) FROM order_lines WHERE due_date NOT IN ('2026-01-05', '2026-02-05')`, 0},
	} {
		var got int
		if err := db.QueryRowContext(t.Context(), c.query).Scan(&got); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	checkCopiedOrders(t.Context(), t, db, now)
}

// checkCopiedOrders looks into every copy: its id stands in its detail, and tells its time, which lies in the past.
func checkCopiedOrders(ctx context.Context, t *testing.T, db *sql.DB, now time.Time) {
	t.Helper()
	rows, err := db.QueryContext(ctx, `SELECT id, detail, create_time FROM orders WHERE out_order_no <> ? ORDER BY create_time`, copiedOrderNo)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var last ids.ID
	for rows.Next() {
		var id ids.ID
		var detail string
		var at time.Time
		if err := rows.Scan(&id, &detail, &at); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("{\"order\":%q,\"note\":\"it's a \\\\ test\x00\t\r\n\"}", ids.Format(ids.Order, id)); detail != want {
			t.Fatalf("the detail is %q, want %q", detail, want)
		}
		if at.Before(now.Add(-fillOldest)) || at.After(now.Add(-fillYoungest)) {
			t.Fatalf("a copy is of %s", at)
		}
		if d := id.Time().Sub(at); d < -time.Minute || d > time.Minute {
			t.Fatalf("the id tells %s, the row %s", id.Time(), at)
		}
		if id.String() <= last.String() {
			t.Fatalf("ids do not rise with time: %s after %s", id, last)
		}
		last = id
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestTemplateRefusesASecondPurchase(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Microsecond)
	db, dsn, schema, order := templateSchema(t, now)
	for i := range templateRowsMax {
		if _, err := db.ExecContext(t.Context(), `INSERT INTO order_lines VALUES (?, ?, '2026-03-05')`, order, 3+i); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := readTemplate(t.Context(), dsn, []string{schema}, copiedOrderNo, now); err == nil {
		t.Error("a table with more rows than one purchase leaves was taken for a template")
	}
}

func TestCopiesAreMadeInTheOrderOfThePrimaryKey(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Microsecond)
	_, dsn, schema, _ := templateSchema(t, now)
	copied, err := readTemplate(t.Context(), dsn, []string{schema}, copiedOrderNo, now)
	if err != nil {
		t.Fatal(err)
	}
	f := fill{perUser: fillOrdersPerUser, orders: 1003, now: now}
	orders := map[copyOrder]int{}
	for _, rows := range copied.tables {
		if rows.table != schema+".idempotency" { // its rows begin with their key and are of all three kinds
			continue
		}
		orders[rows.order]++
		for _, r := range rows.rows {
			var last []byte
			n := 0
			for i := range f.numbers(rows.order) {
				text := copied.copyRow(nil, r, f, i, f.count(rows.order))
				if bytes.Compare(text, last) <= 0 {
					t.Fatalf("%q after %q", text, last)
				}
				last, n = text, n+1
			}
			if n != f.count(rows.order) {
				t.Errorf("%d copies of %q, want %d", n, last, f.count(rows.order))
			}
		}
	}
	if want := map[copyOrder]int{perUser: 1, byTime: 1, byUser: 1}; !maps.Equal(orders, want) {
		t.Errorf("parts by order: %v, want %v", orders, want)
	}
}

func TestFillerFailsWhenTheServerLeavesRowsOut(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Microsecond)
	db, dsn, schema, _ := templateSchema(t, now)
	copied, err := readTemplate(t.Context(), dsn, []string{schema}, copiedOrderNo, now)
	if err != nil {
		t.Fatal(err)
	}
	f := fill{perUser: fillOrdersPerUser, orders: 20, now: now}
	if err := copied.insert(t.Context(), db, f, func(int) {}); err != nil {
		t.Fatal(err)
	}
	if err := copied.insert(t.Context(), db, f, func(int) {}); err == nil {
		t.Error("the same copies were stored twice, or left out in silence")
	}
}

func TestSettingsAreRestoredAfterAFailure(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("mysql", testkit.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	var before, during, after string
	read := func(into *string) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), `SELECT CONCAT(@@GLOBAL.innodb_io_capacity_max, ' ', @@GLOBAL.innodb_io_capacity)`).Scan(into); err != nil {
			t.Fatal(err)
		}
	}
	read(&before)
	failure := errors.New("the fill failed")
	err = with(t.Context(), db, []setting{{"innodb_io_capacity_max", "40000"}, {"innodb_io_capacity", "20000"}}, func() error {
		read(&during)
		return failure
	})
	read(&after)
	if !errors.Is(err, failure) || during != "40000 20000" || after != before {
		t.Errorf("%q before, %q during, %q after; error %v", before, during, after, err)
	}
}

func TestAuditWaitsLongerThanAService(t *testing.T) {
	t.Parallel()
	text, err := patient("who:secret@unix(/run/s.sock)/creditpay_order?parseTime=true")
	if err != nil {
		t.Fatal(err)
	}
	got, err := mysql.ParseDSN(text)
	if err != nil {
		t.Fatal(err)
	}
	if got.ReadTimeout != auditReadMax || got.User != "who" || got.Passwd != "secret" || got.Addr != "/run/s.sock" || got.DBName != "creditpay_order" || !got.ParseTime {
		t.Errorf("the audit's DSN is %s", text)
	}
}
