package store

import (
	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/ids"
)

// AuditBooks returns what this service says of money that another one has in its books, too: queries of (key, state, amount), by key.
// Keys are ids in hex, of a part of a refund that of the refund and of the repayment; those of refund_returns are typed.
func AuditBooks() map[string]string {
	const ofRefund = ` FROM payment_refunds f JOIN payments p ON p.id = f.payment_id `
	// What an operator gave up stays given up, also when the marketplace gives it back after all: the payer has it twice, in CASH_OVERPAID.
	const returned = `CASE IF(r.resolution = 2, 6, r.state) WHEN 3 THEN 'FAILED' WHEN 4 THEN 'RETURNED' WHEN 5 THEN 'RETURNING' ELSE 'ABANDONED' END`
	return map[string]string{
		"repayments": `SELECT HEX(subject_id), CONCAT(CASE state WHEN 1 THEN 'PENDING' WHEN 2 THEN 'SUCCEEDED' WHEN 3 THEN 'FAILED' WHEN 4 THEN 'REVERSED'
			ELSE 'RETURNING' END, ' ', user_id, ' ', currency_code), amount_minor FROM cash_legs WHERE kind = 2 ORDER BY subject_id`,
		"kept_cash": `SELECT HEX(r.id), CONCAT('KEPT ', l.user_id), r.amount_minor FROM cash_returns r JOIN cash_legs l ON l.id = r.leg_id
			WHERE r.keep_time IS NOT NULL ORDER BY r.id`,
		"refund_credit": `SELECT HEX(f.refund_id), CONCAT('of order ', HEX(p.order_id)), f.credit_minor` + ofRefund +
			`WHERE f.credit_minor > 0 ORDER BY f.refund_id`,
		"refund_cash": `SELECT HEX(f.refund_id), CONCAT('of order ', HEX(p.order_id)), f.cash_minor` + ofRefund +
			`WHERE f.cash_minor > 0 ORDER BY f.refund_id`,
		"refund_parts": `SELECT CONCAT(HEX(r.refund_id), HEX(l.subject_id)), ` + returned + `, r.amount_minor FROM cash_returns r
			JOIN cash_legs l ON l.id = r.leg_id WHERE r.refund_id IS NOT NULL AND l.kind = 2 ORDER BY r.refund_id, l.subject_id`,
		"refund_returns": `SELECT ` + audit.TypedIDExpr(ids.Leg, "r.id") + `, ` + returned + `, r.amount_minor FROM cash_returns r
			WHERE r.refund_id IS NOT NULL ORDER BY r.id`,
		"down_payments": `SELECT HEX(p.order_id), 'PAID', SUM(l.amount_minor) FROM payment_legs l JOIN payments p ON p.id = l.payment_id
			WHERE l.kind = 2 GROUP BY p.order_id ORDER BY p.order_id`,
	}
}
