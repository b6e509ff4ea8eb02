package store

import (
	"slices"

	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/audit"
)

// approvalChecks compare what operators did with the requests by which they did it, from both sides.
func approvalChecks() []audit.Check {
	const since = `(SELECT since FROM approval_since)`
	return slices.Concat(desk.Audit(""), []audit.Check{
		{Name: "fact_without_request", Rule: "every write-off, waiver and recovery was asked for, approved where it had to be, and is what was asked for",
			Query: `SELECT CONCAT('lon:', HEX(f.loan_id)), CONCAT('fact of kind ', f.kind, ' over ', f.amount_minor, ' by ', f.actor) FROM loan_facts f
				LEFT JOIN approval_requests r ON r.effect_id = f.fact_id AND r.state = 3 AND (r.amount_minor = f.amount_minor OR f.kind = 5)
				AND r.verb = CASE f.kind WHEN 1 THEN 'WaiveFee' WHEN 5 THEN 'WriteOffLoan' ELSE 'RecordRecovery' END
				WHERE f.kind IN (1, 5, 6) AND f.create_time > ` + since + ` AND r.id IS NULL`},
		{Name: "reversal_without_request", Rule: "every reversal by an operator was asked for and approved where it had to be",
			Query: `SELECT DISTINCT CONCAT('rpy:', HEX(f.fact_id)), CONCAT('reversed by ', f.void_actor) FROM loan_facts f
				LEFT JOIN approval_requests r ON r.effect_id = f.fact_id AND r.state = 3 AND r.verb = 'ReverseRepayment'
				WHERE f.void_actor LIKE 'ADMIN:%' AND f.void_time > ` + since + ` AND r.id IS NULL`},
		{Name: "pay_out_without_request", Rule: "every pay-out was asked for and approved where it had to be",
			Query: `SELECT CONCAT('acc:', HEX(c.account_id)), CONCAT('paid out by ', c.actor) FROM account_changes c
				LEFT JOIN approval_requests r ON r.effect_id = c.id AND r.state = 3 AND r.verb = 'PayOutCreditBalance'
				WHERE c.what = 'PayOutCreditBalance' AND c.create_time > ` + since + ` AND r.id IS NULL`},
		{Name: "request_without_effect", Rule: "what was carried out stands in the books",
			Query: `SELECT CONCAT('apr:', HEX(r.id)), CONCAT(r.verb, ' without effect') FROM approval_requests r WHERE r.state = 3 AND
				((r.verb IN ('WaiveFee', 'WriteOffLoan', 'RecordRecovery') AND NOT EXISTS (SELECT 1 FROM loan_facts f WHERE f.fact_id = r.effect_id))
				OR (r.verb IN ('PayOutCreditBalance', 'SetSigningProfile') AND NOT EXISTS (SELECT 1 FROM account_changes c WHERE c.id = r.effect_id AND c.what = r.verb))
				OR (r.verb = 'ReverseRepayment' AND NOT EXISTS (SELECT 1 FROM repayments p WHERE p.id = r.effect_id AND p.state = 4)))`},
	})
}
