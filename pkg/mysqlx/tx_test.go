package mysqlx_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/testkit"
)

func TestDeadlockIsRetriedAndBothEffectsLand(t *testing.T) {
	t.Parallel()
	db, seen := accounts(t)
	var firstLocks sync.WaitGroup
	firstLocks.Add(2)
	// Each takes its first row, waits until the other has its own, then wants the other's: one must lose.
	transfer := func(from, to int) error {
		met := false
		return db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
			tx.Queue(`UPDATE accounts SET balance = balance - 10 WHERE id = ?`, from)
			if err := tx.Flush(t.Context()); err != nil {
				return err
			}
			if !met {
				met = true
				firstLocks.Done()
				firstLocks.Wait()
			}
			tx.Queue(`UPDATE accounts SET balance = balance + 11 WHERE id = ?`, to)
			return nil
		})
	}
	errList := make(chan error, 2)
	go func() { errList <- transfer(1, 2) }()
	go func() { errList <- transfer(2, 1) }()
	if err := errors.Join(<-errList, <-errList); err != nil {
		t.Fatal(err)
	}
	if a, b := balance(t, db, 1), balance(t, db, 2); a != 101 || b != 101 {
		t.Errorf("balances %d and %d, want 101 and 101", a, b)
	}
	if seen.highest() < 2 {
		t.Error("nobody was retried: the test made no deadlock")
	}
}

func TestLockWaitTimeoutIsRetriedUntilTheLockIsFree(t *testing.T) {
	t.Parallel()
	db, seen := accounts(t)
	holder, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.ExecContext(t.Context(), `UPDATE accounts SET balance = 50 WHERE id = 1`); err != nil {
		t.Fatal(err)
	}
	runs := 0
	err = db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
		if runs++; runs == 2 {
			if err := holder.Commit(); err != nil {
				return err
			}
		}
		tx.Queue(`SET innodb_lock_wait_timeout = 1`)
		tx.QueueExpect(1, errs.Internal.New("no account"), `UPDATE accounts SET balance = balance + 1 WHERE id = 1`)
		return nil
	})
	if err != nil || balance(t, db, 1) != 51 || seen.last() != 2 {
		t.Errorf("%v; balance %d after %d attempts, want 51 after 2", err, balance(t, db, 1), seen.last())
	}
}

func TestRetryIsBoundedAndThenAnswersUnavailable(t *testing.T) {
	t.Parallel()
	db, seen := accounts(t)
	runs := 0
	err := db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
		runs++
		tx.Queue(`UPDATE accounts SET balance = 0`)
		tx.Queue(`SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213`)
		return nil
	})
	if !errs.Is(err, errs.DependencyUnavailable) || runs != 5 || seen.last() != 5 {
		t.Errorf("%v after %d runs (%d told)", err, runs, seen.last())
	}
	if !mysqlx.Retryable(err) {
		t.Errorf("the cause is lost: %v", err)
	}
	if balance(t, db, 1) != 100 {
		t.Error("a failed transaction left something behind")
	}
}

func TestRetryStopsWhenTheCallerHasGone(t *testing.T) {
	t.Parallel()
	db, _ := accounts(t)
	ctx, cancel := context.WithCancel(t.Context())
	runs := 0
	err := db.InTx(ctx, func(tx *mysqlx.Tx) error {
		runs++
		cancel()
		tx.Queue(`UPDATE accounts SET balance = 0`)
		return nil
	})
	if !errs.Is(err, errs.DeadlineTooShort) || runs != 1 || balance(t, db, 1) != 100 {
		t.Errorf("%v after %d runs, balance %d", err, runs, balance(t, db, 1))
	}
}

func TestBusinessErrorsAreAnsweredAsTheyAreAndRollBack(t *testing.T) {
	t.Parallel()
	db, _ := accounts(t)
	refusal := errs.LimitInsufficient.New("too much")
	runs := 0
	err := db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
		runs++
		tx.Queue(`UPDATE accounts SET balance = 0 WHERE id = 1`)
		if err := tx.Flush(t.Context()); err != nil {
			return err
		}
		return refusal
	})
	if !errors.Is(err, refusal) || runs != 1 || balance(t, db, 1) != 100 {
		t.Errorf("%v after %d runs, balance %d", err, runs, balance(t, db, 1))
	}
}

func TestRowsMismatchRollsBackEverythingQueued(t *testing.T) {
	t.Parallel()
	db, _ := accounts(t)
	lost := errs.ConcurrentChange.New("somebody was faster")
	committed := false
	err := db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
		tx.OnCommit(func() { committed = true })
		tx.Queue(`UPDATE accounts SET balance = 1 WHERE id = 1`)
		tx.QueueExpect(1, lost, `UPDATE accounts SET balance = 2 WHERE id = 2 AND balance = 99`)
		tx.Queue(`INSERT INTO accounts (id, balance) VALUES (3, 3)`)
		return nil
	})
	var rows int
	if scanErr := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM accounts WHERE balance <> 100`).Scan(&rows); scanErr != nil {
		t.Fatal(scanErr)
	}
	if !errors.Is(err, lost) || rows != 0 || committed {
		t.Errorf("%v; %d rows changed; OnCommit called: %v", err, rows, committed)
	}
}

func TestExpectedRowsAreRowsFoundNotRowsChanged(t *testing.T) {
	t.Parallel()
	db, _ := accounts(t)
	err := db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
		tx.QueueExpect(2, errs.Internal.New("not found"), `UPDATE accounts SET balance = 100`)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSemicolonInAStatementIsDetected(t *testing.T) {
	t.Parallel()
	db, _ := accounts(t)
	err := db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
		tx.Queue(`UPDATE accounts SET balance = 0 WHERE id = 1; UPDATE accounts SET balance = 0 WHERE id = 2`)
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "semicolon") || balance(t, db, 1) != 100 {
		t.Errorf("%v, balance %d", err, balance(t, db, 1))
	}
	// In a value it is harmless.
	err = db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
		tx.QueueExpect(1, errs.Internal.New("no account"), `UPDATE accounts SET label = ? WHERE id = 1`, `a';?`)
		return nil
	})
	var label string
	if scanErr := db.QueryRowContext(t.Context(), `SELECT label FROM accounts WHERE id = 1`).Scan(&label); err != nil || scanErr != nil || label != `a';?` {
		t.Errorf("%v, %v: %q", err, scanErr, label)
	}
}

func TestConnectionKilledBeforeCommitIsRetried(t *testing.T) {
	t.Parallel()
	db, seen := accounts(t)
	runs := 0
	err := db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
		tx.Queue(`UPDATE accounts SET balance = balance + 1 WHERE id = 1`)
		if runs++; runs == 1 {
			return killOwn(t.Context(), db, tx)
		}
		return nil
	})
	// The connection is found dead before COMMIT is sent, so nothing can have been committed.
	if err != nil || runs != 2 || balance(t, db, 1) != 101 {
		t.Fatalf("killed before COMMIT: %v after %d runs, balance %d", err, runs, balance(t, db, 1))
	}
	runs = 0
	err = db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
		tx.Queue(`UPDATE accounts SET balance = balance + 1 WHERE id = 1`)
		if runs++; runs == 1 {
			if err := killOwn(t.Context(), db, tx); err != nil {
				return err
			}
		}
		tx.Queue(`UPDATE accounts SET balance = balance + 1 WHERE id = 1`)
		return nil
	})
	if err != nil || runs != 2 || seen.last() != 2 || balance(t, db, 1) != 103 {
		t.Errorf("killed between statements: %v after %d runs, balance %d, want 103", err, runs, balance(t, db, 1))
	}
}

func TestAConnectionThatBreaksInThePacketOfCommitLeavesTheOutcomeToTheCaller(t *testing.T) {
	t.Parallel()
	db, _ := accounts(t)
	killed := make(chan error, 1)
	go func() {
		for t.Context().Err() == nil {
			var id int64
			err := db.QueryRowContext(t.Context(), `SELECT id FROM information_schema.processlist WHERE info LIKE '%SLEEP(7)%' AND id <> CONNECTION_ID()`).Scan(&id)
			if err == nil {
				_, err = db.ExecContext(t.Context(), `KILL `+strconv.FormatInt(id, 10))
				killed <- err
				return
			}
		}
		killed <- t.Context().Err()
	}()
	runs := 0
	err := db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
		runs++
		tx.Queue(`UPDATE accounts SET balance = balance + 1 WHERE id = 1`)
		tx.Queue(`DO SLEEP(7)`)
		return nil
	})
	if killErr := <-killed; killErr != nil {
		t.Fatal(killErr)
	}
	if !errs.Is(err, errs.DependencyUnavailable) || runs != 1 {
		t.Fatalf("broken in the packet of COMMIT: %v after %d runs", err, runs)
	}
}

func TestAFailedTransactionLeavesNoLockAndNoOpenTransactionInThePool(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	db, err := mysqlx.Open(dsn, mysqlx.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	mustExec(t, db, `CREATE TABLE r (id INT NOT NULL PRIMARY KEY)`)
	gone := errors.New("changed my mind")
	for name, fn := range map[string]func(ctx context.Context, tx *mysqlx.Tx) error{
		"an error of the closure": func(_ context.Context, _ *mysqlx.Tx) error { return gone },
		"a broken statement":      func(_ context.Context, tx *mysqlx.Tx) error { tx.Queue(`NONSENSE`); return nil },
		"an ended context": func(_ context.Context, tx *mysqlx.Tx) error {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_, err := tx.Query(ctx, `SELECT 1`)
			return errors.Join(gone, err)
		},
	} {
		err := db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
			tx.Queue(`INSERT INTO r (id) VALUES (1)`)
			if err := tx.Flush(t.Context()); err != nil {
				return err
			}
			return fn(t.Context(), tx)
		})
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		// The pool has one connection: a transaction that stayed open would still see the row.
		var n int
		if err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM r`).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d rows, %v", name, n, err)
		}
	}
}

func TestPanicRollsBackAndGoesOn(t *testing.T) {
	t.Parallel()
	db, _ := accounts(t)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
			tx.Queue(`UPDATE accounts SET balance = 0`)
			if err := tx.Flush(t.Context()); err != nil {
				return err
			}
			panic("boom")
		})
	}()
	if balance(t, db, 1) != 100 {
		t.Error("a panic committed")
	}
}

func TestOnCommitRunsOnceAfterTheCommitThatSucceeded(t *testing.T) {
	t.Parallel()
	db, _ := accounts(t)
	var calls atomic.Int32
	runs := 0
	err := db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
		tx.OnCommit(func() { calls.Add(1) })
		tx.Queue(`UPDATE accounts SET balance = 7 WHERE id = 1`)
		if runs++; runs == 1 {
			tx.Queue(`SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213`)
		}
		return nil
	})
	if err != nil || calls.Load() != 1 || runs != 2 {
		t.Errorf("%v: called %d times in %d runs", err, calls.Load(), runs)
	}
}

func TestTooManyStatementsAreRefused(t *testing.T) {
	t.Parallel()
	db, _ := accounts(t)
	err := db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
		for range 2001 {
			tx.Queue(`UPDATE accounts SET balance = 0`)
		}
		return nil
	})
	if err == nil || balance(t, db, 1) != 100 {
		t.Errorf("%v", err)
	}
}

func TestReadsInATransactionSeeWhatIsQueued(t *testing.T) {
	t.Parallel()
	db, _ := accounts(t)
	err := db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
		tx.Queue(`UPDATE accounts SET balance = 42 WHERE id = 1`)
		var n int
		if err := tx.QueryRow(t.Context(), `SELECT balance FROM accounts WHERE id = 1`).Scan(&n); err != nil {
			return err
		}
		if n != 42 {
			t.Errorf("read %d", n)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestTransactionsWaitOutARestartOfTheDatabase(t *testing.T) {
	t.Parallel()
	server := testkit.MySQLInstance(t)
	db, err := mysqlx.Open(server.AdminDSN(), mysqlx.Options{MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	mustExec(t, db, `CREATE DATABASE s`)
	mustExec(t, db, `CREATE TABLE s.r (id INT NOT NULL PRIMARY KEY)`)
	server.Kill()
	if err := db.Ready(t.Context()); !errs.Is(err, errs.DependencyUnavailable) {
		t.Errorf("ready without a server: %v", err)
	}
	insert := func(tx *mysqlx.Tx) error { tx.Queue(`INSERT INTO s.r (id) VALUES (1)`); return nil }
	begin := time.Now()
	if err := db.InTx(t.Context(), insert); !errs.Is(err, errs.DependencyUnavailable) {
		t.Errorf("without a server: %v", err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("gave up after %s", took)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.InTx(t.Context(), insert); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

func TestRowsOfOneHeadLeaveInFewStatements(t *testing.T) {
	t.Parallel()
	db, _ := accounts(t)
	const head = `INSERT INTO accounts (id, balance) VALUES `
	lost := errors.New("lost")
	// Three thousand statements would be refused as too many for one transaction.
	fill := func(expected int64) error {
		return db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
			for id := 100; id < 3100; id++ {
				tx.QueueRow(head, id, id)
				if id == 100 {
					tx.QueueExpect(expected, lost, `UPDATE accounts SET balance = balance + 1 WHERE id = ?`, id)
				}
			}
			return nil
		})
	}
	var rows int
	count := func() int {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM accounts WHERE id >= 100`).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	if err := fill(2); !errors.Is(err, lost) || count() != 0 {
		t.Errorf("a lost expectation: %v, %d rows", err, rows)
	}
	if err := fill(1); err != nil || count() != 3000 || balance(t, db, 100) != 101 || balance(t, db, 3099) != 3099 {
		t.Errorf("%v, %d rows", err, rows)
	}
}

// A text that is cut in the middle of a letter, or was never one, must not make its row unwritable on any way to the server.
func TestInTx_WritesTextThatIsNotUTF8(t *testing.T) {
	t.Parallel()
	db, _ := accounts(t)
	if _, err := db.ExecContext(t.Context(), `CREATE TABLE words (id INT PRIMARY KEY, word VARCHAR(20) NOT NULL)`); err != nil {
		t.Fatal(err)
	}
	half := "half a 😀"[:9]
	if _, err := db.ExecContext(t.Context(), `INSERT INTO words VALUES (?, ?)`, 1, half); err != nil {
		t.Errorf("statement: %v", err)
	}
	err := db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
		tx.Queue(`INSERT INTO words VALUES (?, ?)`, 2, half)
		if err := tx.Flush(t.Context()); err != nil {
			return err
		}
		tx.Queue(`INSERT INTO words VALUES (?, ?)`, 3, half)
		var n int
		return tx.QueryRow(t.Context(), `SELECT COUNT(*) FROM words WHERE word <> ?`, half).Scan(&n)
	})
	if err != nil {
		t.Errorf("transaction: %v", err)
	}
	var n int
	if err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM words WHERE word = ?`, "half a \uFFFD").Scan(&n); err != nil || n != 3 {
		t.Errorf("%d rows with the replaced letter, %v; want 3", n, err)
	}
}
