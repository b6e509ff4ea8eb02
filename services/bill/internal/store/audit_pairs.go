package store

// AuditBooks returns what this service says of money that another one has in its books, too: queries of (key, state, amount), by key.
// Keys are ids in hex; of a part of a refund, that of the refund and of the repayment.
func AuditBooks() map[string]string {
	return map[string]string{ //nolint:gosec // queries; no credentials stand in them
		"repayments": `SELECT HEX(id), CONCAT(CASE state WHEN 1 THEN 'PENDING' WHEN 2 THEN 'SUCCEEDED' WHEN 3 THEN 'FAILED' ELSE 'BOUNCED' END, ' ', user_id, ' ',
			currency_code), amount_minor FROM repayments ORDER BY id`,
		"kept_cash":      `SELECT HEX(reference), CONCAT('KEPT ', user_id), amount_minor FROM kept_cash ORDER BY reference`,
		"refund_credit":  `SELECT HEX(refund_id), CONCAT('of order ', HEX(order_id)), amount_minor FROM loan_refunds ORDER BY refund_id`,
		"refund_balance": `SELECT HEX(refund_id), 'BALANCE', credit_minor FROM loan_refunds WHERE credit_minor > 0 ORDER BY refund_id`,
		"refund_parts": `SELECT CONCAT(HEX(refund_id), HEX(repayment_id)), IF(keep_time IS NULL, 'BACK', 'KEPT'), amount_minor FROM refund_sources
			ORDER BY refund_id, repayment_id`,
		"down_payments": `SELECT HEX(l.order_id), CASE l.state WHEN 1 THEN 'DRAFT' WHEN 5 THEN 'VOID' ELSE 'BEGUN' END,
			CAST(JSON_EXTRACT(CONVERT(l.plan USING utf8mb4), '$.down_payment_minor') AS SIGNED) FROM loans l
			WHERE CAST(JSON_EXTRACT(CONVERT(l.plan USING utf8mb4), '$.down_payment_minor') AS SIGNED) > 0
			AND (l.live = 1 OR NOT EXISTS (SELECT 1 FROM loans o WHERE o.order_id = l.order_id AND (o.live = 1 OR o.id > l.id))) ORDER BY l.order_id`,
	}
}
