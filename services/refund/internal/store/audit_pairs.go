package store

// AuditBooks returns what this service says of money that another one has in its books, too: queries of (key, state, amount), by key.
// Keys are ids in hex, of a part of a refund that of the refund and of the repayment; those of refund_returns are typed. A refund is in
// the books of the bill service once its plan was adjusted (step 2), also when it failed after that, and in those of the payment service
// after the next step.
func AuditBooks() map[string]string {
	const adjusted = `(r.state = 7 OR r.step >= 2 OR (r.state = 8 AND EXISTS (SELECT 1 FROM refund_changes c WHERE c.refund_id = r.id AND c.step >= 2)))`
	const reduced = `(r.state = 7 OR r.step >= 3)`
	const legState = `CASE l.state WHEN 1 THEN 'PENDING' WHEN 2 THEN 'RETURNING' WHEN 3 THEN 'RETURNED' WHEN 4 THEN 'FAILED' ELSE 'KEPT' END`
	return map[string]string{
		"refund_adjusted": `SELECT HEX(r.id), CONCAT('of order ', HEX(r.order_id)), r.amount_minor - r.cash_minor FROM refunds r WHERE ` + adjusted +
			` AND r.amount_minor > r.cash_minor ORDER BY r.id`,
		"refund_balance": `SELECT HEX(l.refund_id), 'BALANCE', SUM(l.amount_minor) FROM refund_legs l WHERE l.kind = 3 GROUP BY l.refund_id ORDER BY l.refund_id`,
		"refund_credit": `SELECT HEX(r.id), CONCAT('of order ', HEX(r.order_id)), r.amount_minor - r.cash_minor FROM refunds r WHERE ` + reduced +
			` AND r.amount_minor > r.cash_minor ORDER BY r.id`,
		"refund_cash": `SELECT HEX(r.id), CONCAT('of order ', HEX(r.order_id)), r.cash_minor FROM refunds r WHERE ` + reduced + ` AND r.cash_minor > 0 ORDER BY r.id`,
		"refund_parts": `SELECT CONCAT(HEX(l.refund_id), HEX(l.repayment_id)), ` + legState + `, l.amount_minor FROM refund_legs l WHERE l.kind = 2
			ORDER BY l.refund_id, l.repayment_id`,
		"refund_returns": `SELECT l.reference, ` + legState + `, l.amount_minor FROM refund_legs l WHERE l.reference IS NOT NULL AND l.reference <> ''
			ORDER BY l.reference`,
		"refunded": `SELECT HEX(order_id), 'REFUNDED', SUM(amount_minor) FROM refunds WHERE state = 7 GROUP BY order_id ORDER BY order_id`,
	}
}
