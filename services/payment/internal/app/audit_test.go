package app_test

import (
	"context"
	"slices"
	"testing"

	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
	"github.com/creditpay/creditpay/services/payment/internal/store"
)

// A check that cannot fail proves nothing: each of refunds and returns finds what breaks its rule.
func TestTheAuditFindsWhatIsWrongWithRefundsAndReturns(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ctx := context.Background()
	ps, _ := w.paidByCash()
	repayment := w.arrived()
	r := w.refunded(w.refundOf(ps[0], 9, 3))
	failed, given := w.givenBack(repayment, 100), w.givenBack(repayment, 200)
	w.told(ofReturn(failed, repayment, domain.CashFailed), domain.LegFailed, domain.OutcomeApplied)
	w.told(ofReturn(given, repayment, domain.CashRefunded), domain.LegReversed, domain.OutcomeApplied)
	w.cancelled(ps[1])
	bounced := w.arrived()
	w.givenBack(bounced, 300)
	w.told(notice(bounced, domain.CashRefunded), domain.LegReversed, domain.OutcomeApplied)
	w.proveBooks()
	for _, c := range []struct {
		check, doing, undoing string
		arg                   ids.ID
	}{
		{"refunds_add_up", `UPDATE payment_legs SET refunded_minor = refunded_minor + 1 WHERE payment_id = ? AND kind = 1`,
			`UPDATE payment_legs SET refunded_minor = refunded_minor - 1 WHERE payment_id = ? AND kind = 1`, ps[0].ID},
		{"refunds_add_up", `UPDATE payments SET refund_count = 2 WHERE id = ?`, `UPDATE payments SET refund_count = 1 WHERE id = ?`, ps[0].ID},
		{"payment_journal", `UPDATE payment_legs SET refunded_minor = refunded_minor + 1 WHERE payment_id = ? AND kind = 1`,
			`UPDATE payment_legs SET refunded_minor = refunded_minor - 1 WHERE payment_id = ? AND kind = 1`, ps[0].ID},
		{"credit_journal", `UPDATE payment_legs SET refunded_minor = refunded_minor + 1 WHERE payment_id = ? AND kind = 1`,
			`UPDATE payment_legs SET refunded_minor = refunded_minor - 1 WHERE payment_id = ? AND kind = 1`, ps[0].ID},
		{"refund_has_return", `UPDATE cash_returns SET amount_minor = 2 WHERE id = ?`, `UPDATE cash_returns SET amount_minor = 3 WHERE id = ?`, r.ID},
		{"returns_add_up", `UPDATE cash_returns SET amount_minor = 2 WHERE id = ?`, `UPDATE cash_returns SET amount_minor = 3 WHERE id = ?`, r.ID},
		{"cash_journal", `UPDATE cash_returns SET amount_minor = 2 WHERE id = ?`, `UPDATE cash_returns SET amount_minor = 3 WHERE id = ?`, r.ID},
		{"return_of_its_leg", `UPDATE cash_legs SET state = 1 WHERE id = ?`, `UPDATE cash_legs SET state = 2 WHERE id = ?`, repayment.ID},
		{"bounced_leg_has_no_open_return", `UPDATE cash_legs SET state = 4 WHERE id = ?`, `UPDATE cash_legs SET state = 2 WHERE id = ?`, repayment.ID},
		{"bounced_leg_has_no_open_return", `UPDATE cash_legs SET state = 2 WHERE id = ?`, `UPDATE cash_legs SET state = 4 WHERE id = ?`, bounced.ID},
		{"return_was_told", `UPDATE cash_returns SET event_id = leg_id WHERE id = ?`, ``, r.ID},
		{"reversed_cash_returns", `UPDATE payment_legs SET state = 4 WHERE payment_id = ? AND kind = 2`,
			`UPDATE payment_legs SET state = 5 WHERE payment_id = ? AND kind = 2`, ps[1].ID},
		{"moved_return_has_notification", `UPDATE leg_notifications SET outcome = 'LATE' WHERE reference_id = ?`,
			`UPDATE leg_notifications SET outcome = 'APPLIED' WHERE reference_id = ?`, failed.ID},
		{"moved_return_has_notification", `DELETE FROM leg_notifications WHERE reference_id = ?`, ``, given.ID},
	} {
		if _, err := w.db.ExecContext(ctx, c.doing, c.arg); err != nil {
			t.Fatalf("%s: %v", c.check, err)
		}
		found, err := audit.Run(ctx, w.db, "payment", w.clock.Now(), store.Audit())
		if err != nil || !slices.ContainsFunc(found, func(f audit.Finding) bool { return f.Check == c.check }) {
			t.Errorf("%s does not find it after %s: %v, %v", c.check, c.doing, found, err)
		}
		if c.undoing == "" {
			continue
		}
		if _, err := w.db.ExecContext(ctx, c.undoing, c.arg); err != nil {
			t.Fatalf("%s: %v", c.check, err)
		}
	}
}
