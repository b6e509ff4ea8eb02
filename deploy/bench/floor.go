package bench

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver that the services use

	"github.com/creditpay/creditpay/pkg/ids"
)

const (
	// yardstickTransactions is how many durable transactions stand for a purchase in both yardsticks.
	yardstickTransactions = 8
	// yardstickAccounts is how many rows the updates by key spread over.
	yardstickAccounts = 10_000
	// yardstickConns is the size of the connection pool, the same as that of a service.
	yardstickConns = 32

	yardstickSchema = "bench_yardstick"
)

// The yardsticks' tables have what the tables of the services have: a time-ordered key of 16 bytes, a unique and a plain second
// index on the rows, and the outbox with its index.
var yardstickTables = []string{
	`CREATE TABLE entries (
	  id            BINARY(16)      NOT NULL,
	  reference     BINARY(16)      NOT NULL,
	  user_id       VARBINARY(64)   NOT NULL,
	  amount_minor  BIGINT          NOT NULL,
	  detail        VARBINARY(400)  NOT NULL,
	  create_time   DATETIME(6)     NOT NULL,
	  PRIMARY KEY (id),
	  UNIQUE KEY uq_reference (reference),
	  KEY by_user (user_id, id)
	)`,
	`CREATE TABLE accounts (
	  id            INT     NOT NULL,
	  amount_minor  BIGINT  NOT NULL,
	  version       BIGINT  NOT NULL,
	  PRIMARY KEY (id)
	)`,
	`CREATE TABLE outbox (
	  id           BINARY(16)     NOT NULL,
	  topic        VARBINARY(64)  NOT NULL,
	  message_key  VARBINARY(64)  NOT NULL,
	  payload      MEDIUMBLOB     NOT NULL,
	  published    TINYINT        NOT NULL DEFAULT 0,
	  create_time  DATETIME(6)    NOT NULL,
	  PRIMARY KEY (id),
	  KEY by_published (published, id)
	)`,
}

// prepareYardstick makes the schema of the yardsticks and its accounts.
func prepareYardstick(ctx context.Context, adminDSN string) error {
	db, err := sql.Open("mysql", adminDSN)
	if err != nil {
		return fmt.Errorf("prepare the yardsticks: %w", err)
	}
	defer func() { _ = db.Close() }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("prepare the yardsticks: %w", err)
	}
	defer func() { _ = conn.Close() }()
	statements := append([]string{
		"CREATE DATABASE " + yardstickSchema + " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "USE " + yardstickSchema,
	}, yardstickTables...)
	for _, s := range statements {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("prepare the yardsticks: %w", err)
		}
	}
	const batch = 1000
	for from := 0; from < yardstickAccounts; from += batch {
		text := "INSERT INTO accounts (id, amount_minor, version) VALUES "
		for i := from; i < from+batch; i++ {
			if i > from {
				text += ","
			}
			text += fmt.Sprintf("(%d,0,1)", i)
		}
		if _, err := conn.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("prepare the yardsticks: %w", err)
		}
	}
	return nil
}

// ledgerWriter makes the yardsticks' transactions: what a service must write at the least for one step of a purchase.
type ledgerWriter struct {
	db      *sql.DB
	ids     *ids.Generator
	detail  []byte
	payload []byte
}

// newLedgerWriter opens a pool on the yardsticks' schema. The caller closes it.
func newLedgerWriter(dsn string, generator *ids.Generator) (*ledgerWriter, error) {
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return nil, fmt.Errorf("open the yardsticks' database: %w", err)
	}
	db.SetMaxOpenConns(yardstickConns)
	db.SetMaxIdleConns(yardstickConns)
	w := &ledgerWriter{db: db, ids: generator, detail: make([]byte, 120), payload: make([]byte, 300)}
	for i := range w.detail {
		w.detail[i] = 'a' + byte(i%26)
	}
	for i := range w.payload {
		w.payload[i] = 'a' + byte(i%26)
	}
	return w, nil
}

func (w *ledgerWriter) close() { _ = w.db.Close() }

// write commits one durable transaction with the driver's ordinary round trips: BEGIN, INSERT of a row of about 200 bytes with
// two second indexes, UPDATE of one of 10,000 rows by its key, INSERT of an event of 300 bytes, COMMIT.
func (w *ledgerWriter) write(ctx context.Context) error {
	now := time.Now().UTC().Truncate(time.Microsecond)
	var reference ids.ID
	binary.BigEndian.PutUint64(reference[:8], rand.Uint64())
	binary.BigEndian.PutUint64(reference[8:], rand.Uint64())
	account := rand.IntN(yardstickAccounts)
	user := fmt.Sprintf("user-%06d", account)
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	if _, err := tx.ExecContext(ctx, `INSERT INTO entries (id, reference, user_id, amount_minor, detail, create_time) VALUES (?, ?, ?, ?, ?, ?)`,
		w.ids.New(), reference, user, 100_000, w.detail, now); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE accounts SET amount_minor = amount_minor + ?, version = version + 1 WHERE id = ?`, 100_000, account); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO outbox (id, topic, message_key, payload, published, create_time) VALUES (?, ?, ?, ?, 0, ?)`,
		w.ids.New(), "bench.events.v1", user, w.payload, now); err != nil {
		return err
	}
	return tx.Commit()
}

// Yardstick is one measurement of the floor or of the limit.
type Yardstick struct {
	// Purchases is how many times eight transactions were committed in Elapsed.
	Purchases int
	Elapsed   time.Duration
	// Errors counts transactions that failed.
	Errors int
	// CPU is the processor time of all that took part, by process.
	CPU map[string]time.Duration
	// Transaction sums up how long one transaction took, the call included for the limit.
	Transaction Quantiles
}

// PerSecond is purchases per second.
func (y Yardstick) PerSecond() float64 { return perSecond(y.Purchases, y.Elapsed) }

func perSecond(n int, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// measureYardstick has so many workers each run purchases of eight steps, one step after the other, for the given time. A
// purchase that has begun is finished and counted, and so is its time.
func measureYardstick(ctx context.Context, workers int, duration time.Duration, step func(context.Context) error) Yardstick {
	type tally struct {
		purchases, errors int
		took              []time.Duration
	}
	tallies := make([]tally, workers)
	begin := time.Now()
	deadline := begin.Add(duration)
	var group sync.WaitGroup
	for i := range tallies {
		group.Go(func() {
			t := &tallies[i]
			for time.Now().Before(deadline) && ctx.Err() == nil {
				failed := false
				for range yardstickTransactions {
					start := time.Now()
					if err := step(ctx); err != nil {
						t.errors++
						failed = true
						break
					}
					t.took = append(t.took, time.Since(start))
				}
				if !failed {
					t.purchases++
				}
			}
		})
	}
	group.Wait()
	y := Yardstick{Elapsed: time.Since(begin)}
	var all []time.Duration
	for _, t := range tallies {
		y.Purchases += t.purchases
		y.Errors += t.errors
		all = append(all, t.took...)
	}
	y.Transaction = QuantilesOf(all)
	return y
}
