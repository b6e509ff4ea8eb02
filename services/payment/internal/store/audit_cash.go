package store

import (
	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/ids"
)

// cashAudit gives the checks over cash: what came, for what, what goes back, and the books of it.
func cashAudit() []audit.Check {
	return []audit.Check{
		{Name: "awaiting_commit_has_leg", Rule: "a commit that waits for cash has a pending leg, and a pending down payment has a commit that waits",
			Query: `SELECT CONCAT('cmt:', HEX(c.id)), 'waits for cash without a pending leg' FROM commits c
				LEFT JOIN cash_legs l ON l.subject_id = c.id AND l.kind = 1 AND l.state = 1 WHERE c.state = 5 AND l.id IS NULL
				UNION ALL
				SELECT CONCAT('leg:', HEX(l.id)), CONCAT('is pending, its commit has state ', COALESCE(c.state, 0)) FROM cash_legs l
				LEFT JOIN commits c ON c.id = l.subject_id WHERE l.kind = 1 AND l.state = 1 AND NOT (c.state <=> 5)`},
		{Name: "down_payment_is_used", Rule: "a down payment arrived exactly when its commit succeeded",
			Query: `SELECT CONCAT('leg:', HEX(l.id)), CONCAT('has state ', l.state, ', its commit ', COALESCE(c.state, 0)) FROM cash_legs l
				LEFT JOIN commits c ON c.id = l.subject_id WHERE l.kind = 1 AND (l.state = 2) <> (c.state <=> 2)`},
		{Name: "down_payment_adds_up", Rule: "a down payment is the sum of its orders' shares, and of its payments' cash legs once they are paid",
			Query: `SELECT CONCAT('leg:', HEX(l.id)), CONCAT('amount ', l.amount_minor, ', shares ', o.shares, ', paid ', COALESCE(p.paid, 0)) FROM cash_legs l
				JOIN (SELECT commit_id, SUM(down_payment_minor) AS shares FROM commit_orders GROUP BY commit_id) o ON o.commit_id = l.subject_id
				LEFT JOIN (SELECT p.commit_id, SUM(x.amount_minor) AS paid FROM payments p JOIN payment_legs x ON x.payment_id = p.id
					WHERE x.kind = 2 GROUP BY p.commit_id) p ON p.commit_id = l.subject_id
				WHERE l.kind = 1 AND (o.shares <> l.amount_minor OR COALESCE(p.paid, 0) <> IF(l.state = 2, l.amount_minor, 0))
				UNION ALL
				SELECT CONCAT('leg:', HEX(l.id)), 'has no shares' FROM cash_legs l
				WHERE l.kind = 1 AND NOT EXISTS (SELECT 1 FROM commit_orders o WHERE o.commit_id = l.subject_id)`},
		{Name: "pending_repayment_without_timer", Rule: "a repayment that nobody pays expires by a timer",
			Query: `SELECT CONCAT('leg:', HEX(id)), 'no timer' FROM cash_legs WHERE kind = 2 AND state = 1 AND due_time IS NULL`},
		{Name: "cash_on_its_way_without_timer", Rule: "money on its way back is asked for again until something is heard",
			Query: `SELECT CONCAT('leg:', HEX(id)), 'no timer' FROM cash_legs WHERE state = 5 AND due_time IS NULL
				UNION ALL
				SELECT CONCAT('leg:', HEX(id)), 'no timer' FROM cash_returns WHERE state = 5 AND due_time IS NULL`},
		{Name: "leg_timer_overdue", Rule: "a timer is at work within a minute", UsesNow: true,
			Query: `SELECT CONCAT('leg:', HEX(id)), CONCAT('due since ', due_time) FROM cash_legs WHERE due_time < ? - INTERVAL 60 SECOND`},
		{Name: "return_timer_overdue", Rule: "a timer is at work within a minute", UsesNow: true,
			Query: `SELECT CONCAT('leg:', HEX(id)), CONCAT('due since ', due_time) FROM cash_returns WHERE due_time < ? - INTERVAL 60 SECOND`},
		{Name: "abandoned_cash_is_kept", Rule: "what a payer does not get back of a down payment becomes credit balance, or a job is at it",
			Query: `SELECT CONCAT('leg:', HEX(r.id)), 'was abandoned and is in nobody''s books' FROM cash_returns r JOIN cash_legs l ON l.id = r.leg_id
				WHERE r.resolution = 2 AND l.kind = 1 AND r.keep_time IS NULL
				AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.kind = 'keep_cash' AND j.job_key = ` + audit.TypedIDExpr(ids.Leg, "r.id") + `)`},
		{Name: "reversed_cash_returns", Rule: "what refunds left of the cash of a reversed payment goes back once, and no other cash of payments does",
			Query: `SELECT CONCAT('pay:', HEX(p.id)), CONCAT('state ', p.state, ', cash ', x.amount_minor - x.refunded_minor, ' in state ', x.state, ', return ',
				COALESCE(r.amount_minor, 0), ' in state ', COALESCE(r.state, 0)) FROM payment_legs x JOIN payments p ON p.id = x.payment_id
				LEFT JOIN cash_returns r ON r.payment_id = p.id AND r.refund_id IS NULL
				WHERE x.kind = 2 AND NOT CASE
					WHEN p.state <> 6 THEN r.id IS NULL AND x.state = 2
					WHEN x.amount_minor = x.refunded_minor THEN r.id IS NULL AND x.state = 4
					ELSE r.amount_minor <=> x.amount_minor - x.refunded_minor AND x.state = CASE r.state WHEN 4 THEN 4 WHEN 6 THEN 3 ELSE 5 END END`},
		{Name: "returns_add_up", Rule: "what was returned of a leg is the sum of its returns",
			Query: `SELECT CONCAT('leg:', HEX(l.id)), CONCAT('returned ', l.returned_minor, ', returns ', COALESCE(SUM(r.amount_minor), 0)) FROM cash_legs l
				LEFT JOIN cash_returns r ON r.leg_id = l.id GROUP BY l.id, l.returned_minor HAVING l.returned_minor <> COALESCE(SUM(r.amount_minor), 0)`},
		{Name: "cash_journal", Rule: "the books of each payer's cash are what the legs and returns say", Query: cashJournal},
		{Name: "moved_leg_has_notification", Rule: "money moves by a notification that is kept",
			Query: `SELECT CONCAT('leg:', HEX(l.id)), 'no notification moved it' FROM cash_legs l WHERE l.state IN (2, 4, 5)
				AND NOT EXISTS (SELECT 1 FROM leg_notifications n WHERE n.reference_id = l.id AND n.outcome IN ('APPLIED', 'LATE'))`},
	}
}

// cashJournal compares what legs and returns mean for each account with what is booked. A return begins as CASH_RETURNABLE; when the
// marketplace gave it back (finish_time), it holds less; what an operator ended (resolution 1, 2) stands elsewhere; and what came to
// the payer a second time, by the marketplace after all or by the bounce of the whole leg, is CASH_OVERPAID.
const cashJournal = `SELECT CONCAT(user_id, ' ', account), CONCAT('legs ', SUM(held), ', journal ', SUM(booked), ' ', currency_code) FROM (
	SELECT user_id, 'CASH_CLEARING' AS account, currency_code, amount_minor AS held, 0 AS booked FROM cash_legs WHERE state IN (2, 5)
	UNION ALL
	SELECT user_id, 'CASH_RETURNABLE', currency_code, -amount_minor, 0 FROM cash_legs WHERE state = 5
	UNION ALL
	SELECT user_id, 'REPAYMENT_CLEARING', currency_code, -amount_minor, 0 FROM cash_legs WHERE kind = 2 AND state = 2
	UNION ALL
	SELECT l.user_id, 'CASH_CLEARING', r.currency_code, -r.amount_minor, 0 FROM cash_returns r JOIN cash_legs l ON l.id = r.leg_id
	WHERE r.finish_time IS NOT NULL
	UNION ALL
	SELECT l.user_id, 'CASH_RETURNABLE', r.currency_code, -r.amount_minor, 0 FROM cash_returns r JOIN cash_legs l ON l.id = r.leg_id
	WHERE r.state IN (3, 5)
	UNION ALL
	SELECT l.user_id, 'REPAYMENT_CLEARING', r.currency_code, r.amount_minor, 0 FROM cash_returns r JOIN cash_legs l ON l.id = r.leg_id
	WHERE l.kind = 2 AND l.state = 2 AND r.resolution <> 2
	UNION ALL
	SELECT l.user_id, 'CASH_PAID_OUT', r.currency_code, -r.amount_minor, 0 FROM cash_returns r JOIN cash_legs l ON l.id = r.leg_id
	WHERE r.resolution = 1
	UNION ALL
	SELECT l.user_id, 'REPAYMENT_CLEARING', r.currency_code, -r.amount_minor, 0 FROM cash_returns r JOIN cash_legs l ON l.id = r.leg_id
	WHERE r.resolution = 2 AND l.kind = 1
	UNION ALL
	SELECT l.user_id, 'CASH_OVERPAID', r.currency_code, r.amount_minor, 0 FROM cash_returns r JOIN cash_legs l ON l.id = r.leg_id
	WHERE r.finish_time IS NOT NULL AND r.resolution <> 0
	UNION ALL
	SELECT l.user_id, 'CASH_OVERPAID', r.currency_code, r.amount_minor, 0 FROM cash_returns r JOIN cash_legs l ON l.id = r.leg_id
	WHERE l.kind = 2 AND l.state = 4 AND r.resolution IN (0, 1)
	UNION ALL
	SELECT party, account, currency_code, 0, debit_minor - credit_minor FROM journal_lines
	WHERE account IN ('CASH_CLEARING', 'CASH_RETURNABLE', 'REPAYMENT_CLEARING', 'CASH_PAID_OUT', 'CASH_OVERPAID')) t
	GROUP BY user_id, account, currency_code HAVING SUM(held) <> SUM(booked)`
