package mysqlx_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m, testkit.Leaks) }

// lastTx keeps what the pool told of its last transaction.
type lastTx struct {
	mu       sync.Mutex
	attempts int
	most     int
}

func (o *lastTx) TxDone(_ time.Duration, attempts int, _ error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.attempts, o.most = attempts, max(o.most, attempts)
}

func (o *lastTx) last() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.attempts
}

func (o *lastTx) highest() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.most
}

// accounts opens a schema with two accounts of 100 each.
func accounts(t *testing.T) (*mysqlx.DB, *lastTx) {
	t.Helper()
	seen := &lastTx{}
	db, err := mysqlx.Open(testkit.Database(t), mysqlx.Options{Observer: seen})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	mustExec(t, db, `CREATE TABLE accounts (id INT NOT NULL PRIMARY KEY, balance INT NOT NULL, label VARCHAR(5) NOT NULL DEFAULT '', UNIQUE KEY uq_label_of (label, id))`)
	mustExec(t, db, `INSERT INTO accounts (id, balance) VALUES (1, 100), (2, 100)`)
	return db, seen
}

func mustExec(t *testing.T, db *mysqlx.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

func balance(t *testing.T, db *mysqlx.DB, id int) int {
	t.Helper()
	var n int
	if err := db.QueryRowContext(t.Context(), `SELECT balance FROM accounts WHERE id = ?`, id).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// killOwn ends the transaction's own connection from another one, as a failover would.
func killOwn(ctx context.Context, db *mysqlx.DB, tx *mysqlx.Tx) error {
	var id int64
	if err := tx.QueryRow(ctx, `SELECT CONNECTION_ID()`).Scan(&id); err != nil {
		return err
	}
	_, err := db.ExecContext(ctx, `KILL ?`, id)
	return err
}
