package store

import "github.com/creditpay/creditpay/pkg/audit"

// Audit gives the checks over the payment schema.
func Audit() []audit.Check {
	return append(append(append(cashAudit(), refundAudit()...), approvalChecks()...), []audit.Check{
		{Name: "legs_add_up", Rule: "the legs of a payment add up to its amount",
			Query: `SELECT CONCAT('pay:', HEX(p.id)), CONCAT('amount ', p.amount_minor, ', legs ', COALESCE(SUM(l.amount_minor), 0))
				FROM payments p LEFT JOIN payment_legs l ON l.payment_id = p.id GROUP BY p.id, p.amount_minor
				HAVING p.amount_minor <> COALESCE(SUM(l.amount_minor), 0)`},
		{Name: "succeeded_commit_has_payments", Rule: "a commit that succeeded made at least one payment",
			Query: `SELECT CONCAT('cmt:', HEX(c.id)), 'succeeded without a payment' FROM commits c
				WHERE c.state = 2 AND NOT EXISTS (SELECT 1 FROM payments p WHERE p.commit_id = c.id)`},
		{Name: "payment_has_succeeded_commit", Rule: "a payment belongs to a commit that succeeded",
			Query: `SELECT CONCAT('pay:', HEX(p.id)), 'its commit did not succeed' FROM payments p
				WHERE NOT EXISTS (SELECT 1 FROM commits c WHERE c.id = p.commit_id AND c.state = 2)`},
		{Name: "one_success_per_checkout", Rule: "a checkout is paid by one commit",
			Query: `SELECT CONCAT('chk:', HEX(checkout_id)), CONCAT(COUNT(*), ' commits succeeded') FROM commits WHERE state = 2
				GROUP BY checkout_id HAVING COUNT(*) > 1`},
		{Name: "commit_undecided", Rule: "a commit ends within ten minutes, not counting the time of its payer", UsesNow: true,
			Query: `SELECT CONCAT('cmt:', HEX(c.id)), CONCAT('undecided since ', COALESCE(l.update_time, c.create_time)) FROM commits c
				LEFT JOIN cash_legs l ON l.subject_id = c.id
				WHERE c.state IN (1, 3) AND COALESCE(l.update_time, c.create_time) < ? - INTERVAL 600 SECOND`},
		{Name: "undecided_commit_without_timer", Rule: "the recovery worker takes over a commit that is not decided",
			Query: `SELECT CONCAT('cmt:', HEX(id)), 'no timer' FROM commits WHERE state IN (1, 3, 5) AND recover_time IS NULL`},
		{Name: "recovery_overdue", Rule: "a timer is at work within a minute", UsesNow: true,
			Query: `SELECT CONCAT('cmt:', HEX(id)), CONCAT('due since ', recover_time) FROM commits WHERE recover_time < ? - INTERVAL 60 SECOND`},
		{Name: "payment_journal", Rule: "what the journal says of merchants is the sum of the payments that stand, less refunds",
			Query: `SELECT merchant_id, CONCAT('payments ', SUM(paid), ', journal ', SUM(booked), ' ', currency_code) FROM (
				SELECT merchant_id, currency_code, amount_minor AS paid, 0 AS booked FROM payments WHERE state <> 6
				UNION ALL
				SELECT p.merchant_id, p.currency_code, -l.refunded_minor, 0 FROM payment_legs l JOIN payments p ON p.id = l.payment_id
				WHERE l.refunded_minor > 0 AND p.state <> 6
				UNION ALL
				SELECT party, currency_code, 0, credit_minor - debit_minor FROM journal_lines WHERE account = 'MERCHANT_PAYABLE') t
				GROUP BY merchant_id, currency_code HAVING SUM(paid) <> SUM(booked)`},
		{Name: "commit_event", Rule: "a commit that ended has its event in the outbox", UsesNow: true,
			Query: `SELECT CONCAT('cmt:', HEX(c.id)), 'ended without its event' FROM commits c
				WHERE c.state IN (2, 4) AND c.finish_time > ? - INTERVAL 7 DAY
				AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.id = c.event_id)`},
	}...)
}

// AuditStream gives (order id in hex, state, amount in minor units) of every payment by order id, to be compared with what the
// order and bill services have.
const AuditStream = `SELECT HEX(order_id), CASE state WHEN 3 THEN 'SUCCEEDED' WHEN 5 THEN 'REVERSING' WHEN 6 THEN 'REVERSED' ELSE 'UNKNOWN' END,
	amount_minor FROM payments ORDER BY order_id`

// AuditUsers selects (order id in hex, payer, 0), by order id, of every payment.
const AuditUsers = `SELECT HEX(order_id), user_id, 0 FROM payments ORDER BY order_id`
