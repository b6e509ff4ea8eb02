package mysqlx_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/testkit"
)

func TestDuplicateGivesTheKeysName(t *testing.T) {
	t.Parallel()
	db, _ := accounts(t)
	for key, insert := range map[string]string{
		"PRIMARY":     `INSERT INTO accounts (id, balance) VALUES (1, 0)`,
		"uq_label_of": `UPDATE accounts SET label = '' , id = 1 WHERE id = 2`,
	} {
		if key == "uq_label_of" {
			mustExec(t, db, `CREATE TABLE labels (id INT NOT NULL PRIMARY KEY, label VARCHAR(9), UNIQUE KEY uq_label_of (label))`)
			mustExec(t, db, `INSERT INTO labels VALUES (1, 'a.b''c')`)
			insert = `INSERT INTO labels VALUES (2, 'a.b''c')`
		}
		err := db.InTx(t.Context(), func(tx *mysqlx.Tx) error { tx.Queue(insert); return nil })
		if got, ok := mysqlx.Duplicate(err); !ok || got != key {
			t.Errorf("%v: key %q, want %q", err, got, key)
		}
	}
	mysql8 := &mysql.MySQLError{Number: 1062, Message: "Duplicate entry 'x' for key 'orders.uq_out_order_no'"}
	if got, ok := mysqlx.Duplicate(fmt.Errorf("wrapped: %w", mysql8)); !ok || got != "uq_out_order_no" {
		t.Errorf("MySQL 8's text gave %q, %v", got, ok)
	}
	if _, ok := mysqlx.Duplicate(errors.New("other")); ok {
		t.Error("any error is a duplicate")
	}
}

func TestStrictSettingsHoldWhateverTheDSNSays(t *testing.T) {
	t.Parallel()
	cfg, err := mysql.ParseDSN(testkit.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg.ParseTime, cfg.ClientFoundRows, cfg.Loc = false, false, time.FixedZone("", 7*3600)
	cfg.Params = map[string]string{"sql_mode": "''", "time_zone": "'+07:00'"}
	db, err := mysqlx.Open(cfg.FormatDSN(), mysqlx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	mustExec(t, db, `CREATE TABLE r (id INT NOT NULL PRIMARY KEY, name VARCHAR(3) NOT NULL, n TINYINT NOT NULL, at DATETIME(6) NULL)`)
	for name, insert := range map[string]string{
		"too long":         `INSERT INTO r (id, name, n) VALUES (1, 'four', 1)`,
		"out of range":     `INSERT INTO r (id, name, n) VALUES (1, 'abc', 1000)`,
		"zero date":        `INSERT INTO r (id, name, n, at) VALUES (1, 'abc', 1, '0000-00-00')`,
		"division by zero": `INSERT INTO r (id, name, n) VALUES (1, 'abc', 1 / 0)`,
	} {
		if _, err := db.ExecContext(t.Context(), insert); err == nil {
			t.Errorf("%s was stored", name)
		}
	}
	at := time.Date(2026, 7, 1, 23, 59, 59, 123456000, time.FixedZone("WIB", 7*3600))
	mustExec(t, db, `INSERT INTO r (id, name, n, at) VALUES (1, 'abc', 1, ?)`, at)
	var back, now time.Time
	if err := db.QueryRowContext(t.Context(), `SELECT at, NOW(6) FROM r`).Scan(&back, &now); err != nil {
		t.Fatal(err)
	}
	if !back.Equal(at) || back.Location() != time.UTC || time.Since(now).Abs() > time.Minute {
		t.Errorf("stored %s, read %s; the server's now is %s", at, back, now)
	}
	res, err := db.ExecContext(t.Context(), `UPDATE r SET n = 1`)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		t.Errorf("%d rows, %v: rows changed are counted, not rows found", n, err)
	}
	var name, level string
	err = db.QueryRowContext(t.Context(), `SHOW SESSION VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation')`).Scan(&name, &level)
	if err != nil || level != "READ-COMMITTED" {
		t.Errorf("isolation %q, %v", level, err)
	}
	if _, err := mysqlx.Open("not a dsn", mysqlx.Options{}); err == nil {
		t.Error("a DSN that cannot be read was accepted")
	}
}

func TestFaultTellsCallersWhatToDoAndKeepsTheCause(t *testing.T) {
	t.Parallel()
	refusal := errs.NotFound.New("none")
	for name, c := range map[string]struct {
		err  error
		want errs.Reason
	}{
		"deadlock":      {&mysql.MySQLError{Number: 1213}, errs.DependencyUnavailable},
		"lock wait":     {&mysql.MySQLError{Number: 1205}, errs.DependencyUnavailable},
		"read only":     {&mysql.MySQLError{Number: 1290}, errs.DependencyUnavailable},
		"bad conn":      {driver.ErrBadConn, errs.DependencyUnavailable},
		"invalid conn":  {mysql.ErrInvalidConn, errs.DependencyUnavailable},
		"eof":           {io.ErrUnexpectedEOF, errs.DependencyUnavailable},
		"conn done":     {sql.ErrConnDone, errs.DependencyUnavailable},
		"deadline":      {context.DeadlineExceeded, errs.DeadlineTooShort},
		"cancelled":     {context.Canceled, errs.DeadlineTooShort},
		"syntax":        {&mysql.MySQLError{Number: 1064}, errs.Internal},
		"has a reason":  {refusal, errs.NotFound},
		"check refused": {&mysql.MySQLError{Number: 4025}, errs.Internal},
		// Data that a column does not take is refused each time: it never passes by itself.
		"wrong letters": {&mysql.MySQLError{Number: 1366}, errs.Internal},
		"too long":      {&mysql.MySQLError{Number: 1406}, errs.Internal},
		"cut short":     {&mysql.MySQLError{Number: 1265}, errs.Internal},
		"out of range":  {&mysql.MySQLError{Number: 1264}, errs.Internal},
		"wrong value":   {&mysql.MySQLError{Number: 1292}, errs.Internal},
		"null":          {&mysql.MySQLError{Number: 1048}, errs.Internal},
		"no default":    {&mysql.MySQLError{Number: 1364}, errs.Internal},
		"bad utf8":      {&mysql.MySQLError{Number: 1300}, errs.Internal},
		"bad json":      {&mysql.MySQLError{Number: 3140}, errs.Internal},
		"check (MySQL)": {&mysql.MySQLError{Number: 3819}, errs.Internal},
	} {
		got := mysqlx.Fault(fmt.Errorf("layer: %w", c.err), "doing it")
		if !errs.Is(got, c.want) || !errors.Is(got, c.err) {
			t.Errorf("%s: %v", name, got)
		}
	}
	if mysqlx.Fault(nil, "doing it") != nil {
		t.Error("no fault became one")
	}
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	if got := mysqlx.In(3) + mysqlx.Tuples(2, 2) + mysqlx.Tuples(1, 1); got != "(?,?,?)(?,?),(?,?)(?)" {
		t.Error(got)
	}
	if !mysqlx.NoRows(fmt.Errorf("x: %w", sql.ErrNoRows)) || mysqlx.NoRows(nil) {
		t.Error("NoRows")
	}
}

func TestMigrateRunsOnceWhenFiveProcessesStartTogether(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	// Not idempotent: a second run of either file fails.
	set := mysqlx.MigrationSet{Name: "orders", FS: fstest.MapFS{
		"0001_first.sql":  {Data: []byte("-- +goose Up\nCREATE TABLE a (id INT NOT NULL PRIMARY KEY);\nINSERT INTO a VALUES (1);\n")},
		"0002_second.sql": {Data: []byte("-- +goose Up\nALTER TABLE a ADD COLUMN b INT NOT NULL DEFAULT 0;\n")},
	}}
	var g errgroup.Group
	for range 5 {
		g.Go(func() error {
			db, err := mysqlx.Open(dsn, mysqlx.Options{})
			if err != nil {
				return err
			}
			defer func() { _ = db.Close() }()
			return db.Migrate(context.Background(), set)
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	db, err := mysqlx.Open(dsn, mysqlx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	var rows int
	if err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM a WHERE b = 0`).Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d rows, %v", rows, err)
	}
	// A later release adds a file; the lease is free again.
	set.FS.(fstest.MapFS)["0003_third.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nDROP TABLE a;\n")}
	if err := db.Migrate(t.Context(), set); err != nil {
		t.Error(err)
	}
}

func TestMigrateNamesTheSetThatIsBroken(t *testing.T) {
	t.Parallel()
	db, _ := accounts(t)
	set := mysqlx.MigrationSet{Name: "orders", FS: fstest.MapFS{"0001_first.sql": {Data: []byte("-- +goose Up\nNONSENSE;\n")}}}
	if err := db.Migrate(t.Context(), set); err == nil || !strings.Contains(err.Error(), "migrate orders") {
		t.Errorf("%v", err)
	}
}

func TestMigrateWaitsForTheLeaseOfAnother(t *testing.T) {
	t.Parallel()
	db, _ := accounts(t)
	set := mysqlx.MigrationSet{Name: "orders", FS: fstest.MapFS{"0001_first.sql": {Data: []byte("-- +goose Up\nCREATE TABLE a (id INT);\n")}}}
	if err := db.Migrate(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, `UPDATE migration_lease SET until_time = UTC_TIMESTAMP(6) + INTERVAL 1 HOUR`)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := db.Migrate(ctx, set); !errs.Is(err, errs.DeadlineTooShort) {
		t.Errorf("migrated in spite of a lease: %v", err)
	}
	var done atomic.Bool
	go func() {
		if err := db.Migrate(context.WithoutCancel(t.Context()), set); err != nil {
			t.Error(err)
		}
		done.Store(true)
	}()
	mustExec(t, db, `UPDATE migration_lease SET until_time = '2000-01-01'`)
	testkit.Eventually(t, 5*time.Second, done.Load)
}
