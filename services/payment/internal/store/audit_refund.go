package store

import "github.com/creditpay/creditpay/pkg/audit"

// refundAudit gives the checks over refunds and over what goes back to payers.
func refundAudit() []audit.Check {
	return []audit.Check{
		{Name: "refunds_add_up", Rule: "what was taken out of a payment is the sum of its refunds, part by part",
			Query: `SELECT CONCAT('pay:', HEX(t.payment_id)), CONCAT('legs ', SUM(taken), ', refunds ', SUM(asked), ' of kind ', t.kind) FROM (
				SELECT payment_id, kind, refunded_minor AS taken, 0 AS asked FROM payment_legs WHERE refunded_minor > 0
				UNION ALL
				SELECT payment_id, 1, 0, credit_minor FROM payment_refunds
				UNION ALL
				SELECT payment_id, 2, 0, cash_minor FROM payment_refunds) t
				GROUP BY t.payment_id, t.kind HAVING SUM(taken) <> SUM(asked)
				UNION ALL
				SELECT CONCAT('pay:', HEX(p.id)), CONCAT('counts ', p.refund_count, ' refunds, has ', COUNT(f.refund_id)) FROM payments p
				LEFT JOIN payment_refunds f ON f.payment_id = p.id GROUP BY p.id, p.refund_count HAVING p.refund_count <> COUNT(f.refund_id)`},
		{Name: "refund_has_return", Rule: "the cash of a refund is returned of the down payment that paid the order, once",
			Query: `SELECT CONCAT('rfd:', HEX(f.refund_id)), CONCAT('cash ', f.cash_minor, ', return ', COALESCE(r.amount_minor, 0)) FROM payment_refunds f
				JOIN payments p ON p.id = f.payment_id LEFT JOIN cash_legs l ON l.subject_id = p.commit_id
				LEFT JOIN cash_returns r ON r.refund_id = f.refund_id AND r.leg_id = l.id AND r.payment_id = f.payment_id
				WHERE COALESCE(r.amount_minor, 0) <> f.cash_minor
				UNION ALL
				SELECT CONCAT('leg:', HEX(r.id)), 'is for a refund that took nothing out of its payment' FROM cash_returns r
				WHERE r.refund_id IS NOT NULL AND r.payment_id IS NOT NULL
				AND NOT EXISTS (SELECT 1 FROM payment_refunds f WHERE f.refund_id = r.refund_id AND f.payment_id = r.payment_id)`},
		{Name: "return_of_its_leg", Rule: "what goes back is of a payment's own down payment, or of a repayment that arrived",
			Query: `SELECT CONCAT('leg:', HEX(r.id)), CONCAT('is of a leg of kind ', COALESCE(l.kind, 0), ' in state ', COALESCE(l.state, 0)) FROM cash_returns r
				LEFT JOIN cash_legs l ON l.id = r.leg_id LEFT JOIN payments p ON p.id = r.payment_id
				WHERE NOT COALESCE(l.currency_code = r.currency_code AND IF(r.payment_id IS NULL, l.kind = 2 AND l.state IN (2, 4),
					l.kind = 1 AND l.state = 2 AND l.subject_id = p.commit_id), FALSE)`},
		{Name: "bounced_leg_has_no_open_return", Rule: "nothing is on its way back of a repayment that went back as a whole",
			Query: `SELECT CONCAT('leg:', HEX(r.id)), CONCAT('has state ', r.state, ', resolution ', r.resolution, ', its leg ', l.state) FROM cash_returns r
				JOIN cash_legs l ON l.id = r.leg_id WHERE (l.state = 4 AND r.state IN (3, 5)) OR (r.resolution = 3 AND l.state <> 4)`},
		{Name: "return_was_told", Rule: "the marketplace is told what it is to give back", UsesNow: true,
			Query: `SELECT CONCAT('leg:', HEX(r.id)), CONCAT('asked at ', COALESCE(r.ask_time, r.create_time), ' without an event') FROM cash_returns r
				WHERE r.state = 5 AND (r.refund_id IS NOT NULL OR r.event_id IS NOT NULL) AND COALESCE(r.ask_time, r.create_time) > ? - INTERVAL 7 DAY
				AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.id = r.event_id)`},
		{Name: "moved_return_has_notification", Rule: "a return fails, and money goes back, by a notification that is kept",
			Query: `SELECT CONCAT('leg:', HEX(r.id)), CONCAT('state ', r.state, ' by no notification') FROM cash_returns r
				WHERE (r.state = 3 AND NOT EXISTS (SELECT 1 FROM leg_notifications n WHERE n.reference_id = r.id AND n.outcome = 'APPLIED' AND n.status = 2))
				OR (r.finish_time IS NOT NULL AND NOT EXISTS (SELECT 1 FROM leg_notifications n WHERE n.reference_id = r.id
					AND n.outcome = IF(r.resolution = 0, 'APPLIED', 'TWICE') AND n.status = 3))`},
		{Name: "credit_journal", Rule: "the books of each payer's credit are the financed parts of the payments that stand, less refunds",
			Query: `SELECT user_id, CONCAT('payments ', SUM(held), ', journal ', SUM(booked), ' ', currency_code) FROM (
				SELECT p.user_id, p.currency_code, l.amount_minor - l.refunded_minor AS held, 0 AS booked FROM payment_legs l
				JOIN payments p ON p.id = l.payment_id WHERE l.kind = 1 AND p.state <> 6
				UNION ALL
				SELECT party, currency_code, 0, debit_minor - credit_minor FROM journal_lines WHERE account = 'CREDIT_CLEARING') t
				GROUP BY user_id, currency_code HAVING SUM(held) <> SUM(booked)`},
	}
}
