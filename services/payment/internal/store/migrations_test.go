package store_test

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/schema/schematest"
	"github.com/creditpay/creditpay/pkg/testkit"
	"github.com/creditpay/creditpay/services/payment/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// Rows of before stay true, and the version before goes on writing returns of cancelled orders, one a payment.
func TestReturnsOfBeforeRefundsAndTheVersionThatWroteThemLiveOn(t *testing.T) {
	t.Parallel()
	set, err := store.Migrations()
	if err != nil {
		t.Fatal(err)
	}
	before := fstest.MapFS{}
	for _, name := range []string{"0001_payment.sql", "0002_commit_record_and_timer.sql", "0003_cash.sql"} {
		text, err := fs.ReadFile(set.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		before[name] = &fstest.MapFile{Data: text}
	}
	db := schematest.OpenService(t, mysqlx.Options{}, func() (mysqlx.MigrationSet, error) { return mysqlx.MigrationSet{Name: set.Name, FS: before}, nil })
	write := func(id, payment string) error {
		_, err := db.ExecContext(t.Context(), `INSERT INTO cash_returns (id, leg_id, payment_id, amount_minor, currency_code, state, version, create_time)
			VALUES (?, 'aaaaaaaaaaaaaaaa', ?, 10, 'IDR', 5, 1, '2026-11-22 09:00:00')`, id, payment)
		return err
	}
	finish := func(id string) error {
		_, err := db.ExecContext(t.Context(), `UPDATE cash_returns SET state = 4, finish_time = '2026-11-22 10:00:00', version = 2 WHERE id = ?`, id)
		return err
	}
	for _, err := range []error{write("returnreturn0001", "paymentpayment01"), write("returnreturn0002", "paymentpayment02"), finish("returnreturn0001"),
		db.Migrate(t.Context(), set), write("returnreturn0003", "paymentpayment03"), finish("returnreturn0002"), finish("returnreturn0003")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if key, taken := mysqlx.Duplicate(write("returnreturn0004", "paymentpayment01")); !taken || key != "uq_return_cancelled" {
		t.Errorf("a second return of a cancelled payment is accepted, or refused by %q", key)
	}
	var n int
	if err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM cash_returns WHERE state = 4 AND resolution = 0 AND refund_id IS NULL AND cancelled_payment_id = payment_id`).
		Scan(&n); err != nil || n != 3 {
		t.Errorf("%d returns, %v", n, err)
	}
	for what, statement := range map[string]string{
		"an abandoned return without an operator": `UPDATE cash_returns SET state = 6, finish_time = NULL, resolution = 2, resolve_time = '2026-11-22 10:00:00'`,
		"a return that is given back by nobody":   `UPDATE cash_returns SET finish_time = NULL`,
		"a return of nothing":                     `UPDATE cash_returns SET payment_id = NULL`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
}
