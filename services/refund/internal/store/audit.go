package store

import (
	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/ids"
)

// Audit gives the checks over refunds.
func Audit() []audit.Check {
	return append(approvalChecks(), []audit.Check{
		{Name: "budget_is_its_refunds", Rule: "what a budget reserved is the sum of the refunds that were not given up",
			Query: `SELECT CONCAT('ord:', HEX(b.order_id)), CONCAT('reserved ', b.reserved_minor, ' and ', b.reserved_cash_minor, ' in cash, refunds ',
				COALESCE(SUM(r.amount_minor), 0), ' and ', COALESCE(SUM(r.cash_minor), 0))
				FROM budgets b LEFT JOIN refunds r ON r.order_id = b.order_id AND r.state NOT IN (4, 5, 8)
				GROUP BY b.order_id, b.reserved_minor, b.reserved_cash_minor
				HAVING b.reserved_minor <> COALESCE(SUM(r.amount_minor), 0) OR b.reserved_cash_minor <> COALESCE(SUM(r.cash_minor), 0)`},
		{Name: "refund_without_budget", Rule: "every refund has a budget",
			Query: `SELECT CONCAT('rfd:', HEX(r.id)), 'no budget' FROM refunds r LEFT JOIN budgets b ON b.order_id = r.order_id WHERE b.order_id IS NULL`},
		{Name: "refund_is_of_its_buyers_marketplace", Rule: "a refund belongs to the marketplace of its buyer",
			Query: `SELECT CONCAT('rfd:', HEX(r.id)), CONCAT('of ', IF(r.owner = '', 'the home marketplace', r.owner), ', its buyer is ', r.user_id)
				FROM refunds r WHERE r.owner <> ` + audit.OwnerExpr("r.user_id")},
		{Name: "approved_by_enough", Rule: "what was carried out was approved by as many other people as it needed",
			Query: `SELECT CONCAT('rfd:', HEX(r.id)), CONCAT('needs ', r.approvals_needed, ', has ', COUNT(DISTINCT a.approver_subject)) FROM refunds r
				LEFT JOIN approvals a ON a.refund_id = r.id AND a.snapshot = r.snapshot AND a.approver_subject <> COALESCE(r.requester_subject, a.requester_subject)
				WHERE r.state IN (3, 6, 7, 8) GROUP BY r.id, r.approvals_needed HAVING COUNT(DISTINCT a.approver_subject) < r.approvals_needed`},
		{Name: "frozen_is_kept", Rule: "what waits to be approved, or was, is kept as it was frozen",
			Query: `SELECT CONCAT('rfd:', HEX(r.id)), CONCAT('snapshot ', r.snapshot, IF(s.refund_id IS NULL, ' is missing', ' is another')) FROM refunds r
				LEFT JOIN refund_snapshots s ON s.refund_id = r.id AND s.snapshot = r.snapshot
				WHERE r.approvals_needed > 0 AND r.state IN (2, 3) AND NOT COALESCE(s.effect = r.effect AND s.order_state = r.order_state, 0)`},
		{Name: "succeeded_with_open_leg", Rule: "a refund succeeds when the payer has everything",
			Query: `SELECT CONCAT('rfd:', HEX(r.id)), CONCAT('leg ', l.number, ' is ', l.state) FROM refunds r JOIN refund_legs l ON l.refund_id = r.id
				WHERE r.state = 7 AND l.state NOT IN (3, 5)`},
		{Name: "legs_within_refund", Rule: "the down payment's leg is the refund's part in cash",
			Query: `SELECT CONCAT('rfd:', HEX(r.id)), CONCAT('cash ', r.cash_minor, ', leg ', COALESCE(l.amount_minor, 0)) FROM refunds r
				LEFT JOIN refund_legs l ON l.refund_id = r.id AND l.kind = 1 WHERE r.step >= 2 AND r.cash_minor <> COALESCE(l.amount_minor, 0)`},
		{Name: "timeline_ends_in_state", Rule: "the last change of a refund leads to its state",
			Query: `SELECT CONCAT('rfd:', HEX(r.id)), CONCAT('state ', r.state, ', last change ', COALESCE(c.to_state, 0)) FROM refunds r
				LEFT JOIN refund_changes c ON c.refund_id = r.id AND c.version = r.version WHERE c.to_state IS NULL OR c.to_state <> r.state`},
		{Name: "refund_without_timer", Rule: "a refund that is not ended has its timer",
			Query: `SELECT CONCAT('rfd:', HEX(r.id)), CONCAT('state ', r.state) FROM refunds r WHERE r.state IN (1, 2, 3, 6) AND NOT EXISTS
				(SELECT 1 FROM jobs j WHERE j.kind = IF(r.state = 2, 'expire_refund', 'drive_refund') AND j.job_key = ` + audit.TypedIDExpr(ids.Refund, "r.id") + `)`},
	}...)
}

// AuditStream gives what refunds took of each order: those whose loan was adjusted. A refund that failed later took nothing: the order was
// taken back as a whole.
func AuditStream() string {
	return `SELECT HEX(order_id), 'REFUNDED', SUM(amount_minor) FROM refunds WHERE state = 7 OR (state = 6 AND step >= 2) GROUP BY order_id ORDER BY order_id`
}

// AuditUsers selects (order id in hex, buyer, number of other buyers), by order id, over the refunds of each order.
const AuditUsers = `SELECT HEX(order_id), MIN(user_id), COUNT(DISTINCT user_id) - 1 FROM refunds GROUP BY order_id ORDER BY order_id`
