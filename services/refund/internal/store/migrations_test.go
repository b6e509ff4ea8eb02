package store_test

import (
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/schema"
	"github.com/creditpay/creditpay/pkg/testkit"

	"github.com/creditpay/creditpay/services/refund/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m, testkit.Leaks) }

// Rows of the version before: its tiers go on, its names get their canonical form, and what one person approved under two spellings is
// named by the audit, or waits again.
func TestMigration_RowsOfBeforeGetSubjects(t *testing.T) {
	t.Parallel()
	full, err := store.Migrations()
	if err != nil {
		t.Fatal(err)
	}
	before := fstest.MapFS{}
	for _, name := range []string{"0001_refunds.sql", "0002_snapshots.sql", "0003_owner.sql"} {
		text, err := fs.ReadFile(full.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		before[name] = &fstest.MapFile{Data: text}
	}
	mechanism, err := schema.Migrations()
	if err != nil {
		t.Fatal(err)
	}
	db, err := mysqlx.Open(testkit.Database(t), mysqlx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), mechanism, mysqlx.MigrationSet{Name: full.Name, FS: before}); err != nil {
		t.Fatal(err)
	}
	refund := func(id string, state int) string {
		finish := "NULL"
		if state == 7 {
			finish = "NOW(6)"
		}
		return `INSERT INTO refunds (id, order_id, merchant_id, user_id, requester, out_refund_no, currency_code, amount_minor, cash_minor, reason_code, reason, state, step,
			approvals_needed, snapshot, order_state, out_order_no, notify_url, effect, failure, attempts, version, create_time, expire_time, finish_time) VALUES
			('` + id + `', 'o...............', 'm', 'u', 'ADMIN:Alice', NULL, 'IDR', 6000000, 0, 9, 'r', ` + string(rune('0'+state)) + `, 0, 2, 1, 'PAID', 'n', '', '{}', '', 0, 1,
			NOW(6), NOW(6), ` + finish + `)`
	}
	vote := func(id, who, at string) string {
		return `INSERT INTO approvals (refund_id, snapshot, approver, requester, request_id, comment, create_time) VALUES ('` + id + `', 1, 'ADMIN:` + who + `', 'ADMIN:Alice', 'r', '', '2026-01-0` + at + `')`
	}
	for _, statement := range []string{
		refund("waits...........", 2), vote("waits...........", "alice", "1"), vote("waits...........", "bob", "2"), vote("waits...........", "BOB", "3"),
		refund("done............", 7), vote("done............", "ALICE", "1"), vote("done............", "bob", "2"),
		`UPDATE approval_tiers SET approvals = 2 WHERE from_minor = 100001`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for range 2 { // The second start finds nothing to do.
		if err := db.Migrate(t.Context(), mechanism, full); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]int{
		`SELECT COUNT(*) FROM refunds WHERE requester_subject = 'admin:alice'`:                                            2,
		`SELECT COUNT(*) FROM approvals WHERE refund_id = 'waits...........' AND approver_subject = 'admin:bob'`:          1,
		`SELECT COUNT(*) FROM approvals WHERE refund_id = 'waits...........'`:                                             1,
		`SELECT COUNT(*) FROM approvals WHERE refund_id = 'done............' AND approver_subject IS NULL`:                1,
		`SELECT COUNT(*) FROM approvals WHERE approver_subject = requester_subject OR requester_subject <> 'admin:alice'`: 0,
	} {
		var got int
		if err := db.QueryRowContext(t.Context(), query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %d, want %d, %v", query, got, want, err)
		}
	}
	if rule, err := desk.InForce(t.Context(), db.QueryContext, "AdminRefundPayment", money.IDR(), time.Now()); err != nil ||
		approval.Needed(rule.Tiers, money.New(100_001, money.IDR())) != 2 || approval.Needed(rule.Tiers, money.New(100_000, money.IDR())) != 0 || !rule.Seeded() {
		t.Errorf("the tiers are %+v, %v", rule, err)
	}
	found, err := audit.Run(t.Context(), db, "refund", time.Now(), store.Audit())
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, f := range found {
		named[f.Check] = true
	}
	for _, want := range []string{"approval_is_a_persons", "approved_by_enough"} {
		if !named[want] {
			t.Errorf("%s does not name the refund that its requester approved: %v", want, found)
		}
	}
}
