package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/deploy/audit"
)

// tamper changes one book of a pair behind the services' backs, and puts it back.
type tamper struct{ schema, change, back string }

// more raises an amount of the first row of a table, by the order of a column.
func more(schema, table, column, where string) tamper {
	set := "UPDATE " + table + " SET " + column + " = " + column
	return tamper{schema, set + " + 1 WHERE " + where, set + " - 1 WHERE " + where}
}

// tampers are changes of every book of every pair that the audit compares.
func tampers() map[string][]tamper {
	const forged = "x'0190f000000070008000000000000001'"
	return map[string][]tamper{
		"repayment_has_its_leg": {
			more("bill", "repayments", "amount_minor", "state = 2"), more("payment", "cash_legs", "amount_minor", "kind = 2 AND state = 2"),
			{"bill", "UPDATE repayments SET state = 2 WHERE state = 1", "UPDATE repayments SET state = 1 WHERE state = 2 AND pay_time IS NULL"},
			{"payment", "UPDATE cash_legs SET user_id = CONCAT('x', user_id) WHERE kind = 2", "UPDATE cash_legs SET user_id = SUBSTRING(user_id, 2) WHERE kind = 2"},
		},
		"kept_cash_agrees": {
			more("bill", "kept_cash", "amount_minor", "TRUE"), more("payment", "cash_returns", "amount_minor", "keep_time IS NOT NULL"),
			{"bill", "INSERT INTO kept_cash VALUES (" + forged + ", 'nobody', 'IDR', 5000000, NOW(6))", "DELETE FROM kept_cash WHERE reference = " + forged},
		},
		"refund_adjusted_its_loan": {
			more("bill", "loan_refunds", "amount_minor", "TRUE"), more("refund", "refunds", "amount_minor", "state = 7"),
			{"bill", "INSERT INTO loan_refunds (refund_id, loan_id, order_id, kind, currency_code, amount_minor, cash_minor, credit_minor, effect, actor, create_time) VALUES (" +
				forged + ", " + forged + ", " + forged + ", 3, 'IDR', 7000000, 0, 0, '{}', 'x', NOW(6))", "DELETE FROM loan_refunds WHERE refund_id = " + forged},
		},
		"refund_balance_agrees": {
			more("bill", "loan_refunds", "credit_minor", "cash_minor > credit_minor"),
			{"refund", "INSERT INTO refund_legs (refund_id, number, kind, amount_minor, state, evidence, actor) SELECT id, 99, 3, 1, 5, '', '' FROM refunds WHERE state = 7",
				"DELETE FROM refund_legs WHERE number = 99"},
		},
		"refund_reduced_its_payment": {more("payment", "payment_refunds", "credit_minor", "TRUE"), more("refund", "refunds", "amount_minor", "state = 7")},
		"refund_gave_its_cash":       {more("payment", "payment_refunds", "cash_minor", "cash_minor > 0"), more("refund", "refunds", "cash_minor", "cash_minor > 0")},
		"refund_parts_agree": {
			more("bill", "refund_sources", "amount_minor", "TRUE"), more("payment", "cash_returns", "amount_minor", "payment_id IS NULL"),
			more("refund", "refund_legs", "amount_minor", "kind = 2"),
			{"bill", "UPDATE refund_sources SET keep_time = NOW(6) WHERE keep_time IS NULL", "UPDATE refund_sources SET keep_time = NULL"},
		},
		"refund_legs_have_returns": {
			more("payment", "cash_returns", "amount_minor", "refund_id IS NOT NULL"), more("refund", "refund_legs", "amount_minor", "reference IS NOT NULL"),
			{"refund", "UPDATE refund_legs SET state = 2 WHERE state = 3", "UPDATE refund_legs SET state = 3 WHERE state = 2"},
		},
		"down_payment_agrees": {
			more("payment", "payment_legs", "amount_minor", "kind = 2"),
			{"bill", `UPDATE loans SET plan = JSON_SET(CONVERT(plan USING utf8mb4), '$.down_payment_minor', 7000000) WHERE JSON_EXTRACT(CONVERT(plan USING utf8mb4), '$.down_payment_minor') > 0`,
				`UPDATE loans SET plan = JSON_SET(CONVERT(plan USING utf8mb4), '$.down_payment_minor', 200000) WHERE JSON_EXTRACT(CONVERT(plan USING utf8mb4), '$.down_payment_minor') > 0`},
		},
		"order_knows_its_refunds": {
			{"order", "UPDATE orders SET refunded_minor = refunded_minor - 1 WHERE refunded_minor > 0", "UPDATE orders SET refunded_minor = refunded_minor + 1 WHERE refunded_minor > 0"},
			more("refund", "refunds", "amount_minor", "state = 7"),
		},
	}
}

// TestAudit_EveryPairOfBooks makes money that stands in two books, changes each book alone, and sees the audit name the pair.
func TestAudit_EveryPairOfBooks(t *testing.T) {
	dir, err := stateDir("pairs")
	if err != nil {
		t.Fatal(err)
	}
	s, err := start(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	s.moneyInEveryBook(t)
	all, b := audit.Pairs(), s.books(t)
	b.rest(t, s.now(t))
	for check, books := range all {
		for _, service := range books {
			if !slices.ContainsFunc(tampers()[check], func(x tamper) bool { return x.schema == service }) {
				t.Errorf("nobody tampers with the book of %s for %s: add it to tampers", service, check)
			}
		}
	}
	for check, list := range tampers() {
		if all[check] == nil {
			t.Errorf("the audit has no check %s", check)
		}
		for _, x := range list {
			b.change(t, x.schema, x.change)
			found, err := s.findings(t.Context())
			b.change(t, x.schema, x.back)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(found, func(f audit.Finding) bool { return f.Check == check }) {
				t.Errorf("%s: the audit does not see %s", check, x.change)
			}
		}
	}
	s.proveBooks(t)
}

// moneyInEveryBook makes a down payment that is refunded and could not go back, a repayment of which a refund gives back a part, and a
// repayment that nobody pays.
func (s *stack) moneyInEveryBook(t *testing.T) {
	t.Helper()
	p := s.payer(t, 20_000_000)
	c, quoteID := p.furniture(t, s.sellFurniture(t), 1_000_000)
	leg := p.commitAndGo(t, commitCall{checkoutID: c.GetCheckoutId(), quoteID: quoteID})
	s.pressed(t, "pay", leg.GetReference(), paymentv1.LegState_LEG_STATE_SUCCEEDED)
	furniture := c.GetOrders()[0].GetOrderId()
	p.awaitOrder(t, furniture, orderv1.OrderState_ORDER_STATE_PAID)
	r, _ := s.refund(t, furniture, 500_000)
	r = s.awaitRefund(t, r.GetRefundId(), waitsForLegs)
	s.giveBack(t, r, "fail")
	s.awaitRefund(t, r.GetRefundId(), func(r *refundv1.Refund) bool {
		return r.GetEffect().GetLegs()[0].GetState() == refundv1.RefundLegState_REFUND_LEG_STATE_FAILED
	})
	if err := s.rest(t.Context(), http.MethodPost, "/admin/v1/refunds/"+r.GetRefundId()+"/legs:resolve", s.Credentials.AdminToken,
		map[string]any{"evidence": "the account is closed", "givenBack": false, "reference": r.GetEffect().GetLegs()[0].GetReference()},
		&refundv1.ResolveRefundLegResponse{}); err != nil {
		t.Fatal(err)
	}
	s.awaitRefund(t, r.GetRefundId(), refundSucceeded)

	credit := p.buys(t, 300_000)
	s.confirm(t, credit)
	p.awaitLoan(t, credit, "ACTIVE")
	p.payAt(t, p.repay(t, map[string]any{"amount": map[string]any{"amountMinor": 300_000, "currencyCode": "IDR"}}).GetRepaymentId())
	back, _ := s.refund(t, credit, 300_000)
	back = s.awaitRefund(t, back.GetRefundId(), waitsForLegs)
	for _, l := range back.GetEffect().GetLegs() {
		if l.GetState() == refundv1.RefundLegState_REFUND_LEG_STATE_RETURNING {
			if code, _, reason := s.press(t, "refund", url.Values{"reference": {l.GetReference()}}); code != http.StatusOK {
				t.Fatalf("refund: HTTP %d %s", code, reason)
			}
		}
	}
	s.awaitRefund(t, back.GetRefundId(), refundSucceeded)
	p.awaitOrder(t, credit, orderv1.OrderState_ORDER_STATE_CLOSED)
	p.repay(t, map[string]any{"amount": map[string]any{"amountMinor": 50_000, "currencyCode": "IDR"}})
	left, err := s.lasting(t.Context(), 20*time.Second) // What payment makes credit balance of goes by a job.
	if err != nil || len(left) > 0 {
		t.Fatalf("before anything is changed the audit finds %v, %v", left, err)
	}
}
