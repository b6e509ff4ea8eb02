package store

import (
	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/ids"
)

// eventMissing selects orders of a condition for which the outbox holds no event of a type. An envelope names its object before its
// payload, so that the first "ord_" is the order's. The outbox is kept for 30 days; older orders are left out.
func eventMissing(condition, timeColumn, eventType string) string {
	return `SELECT CONCAT('ord:', HEX(o.id)), 'no ` + eventType + ` event' FROM orders o WHERE ` + condition +
		` AND o.` + timeColumn + ` > ? - INTERVAL 29 DAY AND ` + audit.TypedIDExpr(ids.Order, "o.id") + ` NOT IN (SELECT CAST(SUBSTRING(payload, LOCATE('ord_', payload), 30) AS CHAR(30))
		FROM outbox WHERE LOCATE('creditpay.order.v1.` + eventType + `', payload) > 0)`
}

// lastLine is the last entry of a timeline.
const lastLine = "CONVERT(SUBSTRING_INDEX(SUBSTRING_INDEX(timeline, '\\n', -2), '\\n', 1) USING utf8mb4)"

// checkoutStates compares each checkout's state with what its orders allow.
const checkoutStates = `SELECT CONCAT('chk:', HEX(c.id)), CONCAT('state ', c.state, ' with orders ', GROUP_CONCAT(o.state ORDER BY o.id))
	FROM checkouts c LEFT JOIN orders o ON o.checkout_id = c.id GROUP BY c.id, c.state HAVING NOT CASE c.state
	WHEN 1 THEN COALESCE(SUM(o.state = 1) > 0 AND SUM(o.state NOT IN (1, 7)) = 0, 0)
	WHEN 2 THEN COALESCE(SUM(o.state = 2) > 0 AND SUM(o.state NOT IN (2, 7)) = 0, 0)
	WHEN 3 THEN COALESCE(SUM(o.state IN (3, 4, 5, 6)) > 0 AND SUM(o.state NOT IN (3, 4, 5, 6, 7)) = 0, 0)
	WHEN 4 THEN COALESCE(SUM(o.state <> 7) = 0, 0)
	WHEN 5 THEN COALESCE(SUM(o.state = 8) > 0 AND SUM(o.state NOT IN (7, 8)) = 0, 0)
	ELSE 0 END`

// Audit gives the checks over checkouts and orders.
func Audit() []audit.Check {
	return []audit.Check{
		{Name: "paid_order_without_event", Rule: "every order that was paid has told so", UsesNow: true,
			Query: eventMissing("o.pay_time IS NOT NULL", "pay_time", "OrderPaid")},
		{Name: "confirmed_order_without_event", Rule: "every order that was confirmed has told so", UsesNow: true,
			Query: eventMissing("o.confirm_time IS NOT NULL", "confirm_time", "OrderConfirmed")},
		{Name: "order_is_of_its_buyers_marketplace", Rule: "an order belongs to the marketplace of its buyer, and so does its checkout",
			Query: `SELECT CONCAT('ord:', HEX(o.id)), CONCAT('of ', IF(o.owner = '', 'the home marketplace', o.owner), ', its buyer is ', o.user_id, ', its payer ', c.user_id)
				FROM orders o JOIN checkouts c ON c.id = o.checkout_id WHERE o.user_id <> c.user_id OR o.owner <> ` + audit.OwnerExpr("o.user_id")},
		{Name: "order_timeline_has_current_state", Rule: "the last entry of an order's timeline is its state",
			Query: `SELECT CONCAT('ord:', HEX(id)), CONCAT('state ', state, ', timeline ends ', ` + lastLine + `) FROM orders
				WHERE NOT COALESCE(JSON_EXTRACT(` + lastLine + `, '$.to') = state, 0)`},
		{Name: "order_timeline_is_complete", Rule: "a timeline has an entry for each version",
			Query: `SELECT CONCAT('ord:', HEX(id)), CONCAT('version ', version, ', timeline ', timeline) FROM orders
				WHERE LENGTH(timeline) - LENGTH(REPLACE(timeline, '\n', '')) <> version OR timeline NOT LIKE '{"to":1,%'`},
		{Name: "checkout_state_matches_orders", Rule: "a checkout's state is that of its orders", Query: checkoutStates},
		{Name: "checkout_total_matches_orders", Rule: "an unpaid checkout asks for the sum of its payable orders",
			Query: `SELECT CONCAT('chk:', HEX(c.id)), CONCAT('asks for ', c.total_minor, ', orders make ', COALESCE(SUM(o.amount_minor), 0))
				FROM checkouts c LEFT JOIN orders o ON o.checkout_id = c.id AND o.state IN (1, 2) AND o.currency_code = c.currency_code
				WHERE c.state IN (1, 2) GROUP BY c.id, c.total_minor HAVING c.total_minor <> COALESCE(SUM(o.amount_minor), 0)`},
		{Name: "commit_holds_whole_checkout", Rule: "a checkout and its orders name the same commit",
			Query: `SELECT CONCAT('ord:', HEX(o.id)), CONCAT('commit ', COALESCE(HEX(o.commit_id), 'none'), ', checkout has ', COALESCE(HEX(c.commit_id), 'none'))
				FROM orders o JOIN checkouts c ON c.id = o.checkout_id WHERE (o.state = 2 OR o.pay_time IS NOT NULL) AND NOT (o.commit_id <=> c.commit_id)`},
		{Name: "aborted_commit_holds_nothing", Rule: "a commit that was aborted holds and pays no checkout",
			Query: `SELECT CONCAT('chk:', HEX(c.id)), CONCAT('aborted commit ', HEX(c.commit_id)) FROM checkouts c JOIN aborted_commits a ON a.commit_id = c.commit_id`},
		{Name: "paid_matches_state", Rule: "a paid order carries its whole amount and its time, an unpaid one neither",
			Query: `SELECT CONCAT('ord:', HEX(id)), CONCAT('state ', state, ', paid ', paid_minor, ' of ', amount_minor) FROM orders
				WHERE (state IN (3, 4, 5, 6) AND (paid_minor <> amount_minor OR pay_time IS NULL)) OR (state IN (1, 2, 8) AND (paid_minor <> 0 OR pay_time IS NOT NULL))`},
		{Name: "refunded_within_paid", Rule: "0 <= refunded <= paid <= amount",
			Query: `SELECT CONCAT('ord:', HEX(id)), CONCAT('amount ', amount_minor, ', paid ', paid_minor, ', refunded ', refunded_minor) FROM orders
				WHERE NOT (0 <= refunded_minor AND refunded_minor <= paid_minor AND paid_minor <= amount_minor)`},
		{Name: "committing_too_long", Rule: "a commit ends within an hour, its payer's down payment included", UsesNow: true,
			Query: `SELECT CONCAT('ord:', HEX(id)), CONCAT('commits since ', JSON_UNQUOTE(JSON_EXTRACT(` + lastLine + `, '$.time'))) FROM orders
				WHERE state = 2 AND JSON_UNQUOTE(JSON_EXTRACT(` + lastLine + `, '$.time')) < CAST(? - INTERVAL 3600 SECOND AS CHAR)`},
		{Name: "open_checkout_without_timer", Rule: "an unpaid checkout expires by a timer",
			Query: `SELECT CONCAT('chk:', HEX(id)), 'no expiry' FROM checkouts WHERE state IN (1, 2) AND timer_time IS NULL`},
		{Name: "paid_order_without_timer", Rule: "a paid order is confirmed by a timer when nobody does",
			Query: `SELECT CONCAT('ord:', HEX(id)), 'no auto-confirm' FROM orders WHERE state = 3 AND auto_confirm_time IS NULL`},
		{Name: "timer_overdue", Rule: "a timer is at work within a minute", UsesNow: true,
			Query: `SELECT CONCAT('chk:', HEX(id)), CONCAT('expiry due since ', timer_time) FROM checkouts WHERE timer_time < ? - INTERVAL 60 SECOND`},
		{Name: "auto_confirm_overdue", Rule: "a timer is at work within a minute", UsesNow: true,
			Query: `SELECT CONCAT('ord:', HEX(id)), CONCAT('auto-confirm due since ', auto_confirm_time) FROM orders WHERE auto_confirm_time < ? - INTERVAL 60 SECOND`},
	}
}

// AuditStream selects (order id in hex, name of its state, paid minor units), by id, of every order that a payment should know.
func AuditStream() string {
	return `SELECT HEX(id), CASE state WHEN 2 THEN 'COMMITTING' WHEN 3 THEN 'PAID' WHEN 4 THEN 'CONFIRMED' WHEN 5 THEN 'CLOSED' WHEN 6 THEN 'CANCELLING'
		ELSE 'CANCELLED' END, paid_minor FROM orders WHERE state IN (2, 3, 4, 5, 6) OR (state = 7 AND pay_time IS NOT NULL) ORDER BY id`
}

// AuditUsers selects (order id in hex, buyer, 0), by id, of every order.
const AuditUsers = `SELECT HEX(id), user_id, 0 FROM orders ORDER BY id`
