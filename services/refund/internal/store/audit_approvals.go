package store

import (
	"slices"

	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

// approvalChecks compare refunds and legs that operators asked for with tiers, sums and requests. A refund of before has no sum.
func approvalChecks() []audit.Check {
	return slices.Concat(desk.Audit(domain.VerbRefund), []audit.Check{
		{Name: "refund_needs_as_tier_says", Rule: "an operator's refund needs as many people as the tier in force and its sum say",
			Query: `SELECT CONCAT('rfd:', HEX(r.id)), CONCAT('sum ', r.sum_minor, ' needs ', r.approvals_needed) FROM refunds r
				WHERE r.out_refund_no IS NULL AND r.sum_minor IS NOT NULL AND (r.sum_minor < r.amount_minor OR r.approvals_needed < COALESCE(
				(SELECT t.approvals FROM approval_rule_tiers t WHERE t.rule_id = (SELECT u.id FROM approval_rules u WHERE u.verb = 'AdminRefundPayment'
				AND u.currency_code = r.currency_code AND u.effective_time <= r.create_time AND u.cancel_time IS NULL
				ORDER BY u.effective_time DESC, u.id DESC LIMIT 1) AND t.from_minor <= r.sum_minor ORDER BY t.from_minor DESC LIMIT 1), 2))`},
		{Name: "refund_sums", Rule: "a sum of operators' refunds is what was asked for and not given up",
			Query: `SELECT CONCAT(s.verb, ' ', s.kind), CONCAT(s.subject, ' on ', s.business_day, ': sum ', s.amount_minor, ', refunds ', COALESCE(r.total, 0))
				FROM approval_sums s LEFT JOIN (
				SELECT currency_code, 1 AS kind, requester_subject AS subject, business_day, SUM(amount_minor) AS total FROM refunds
					WHERE sum_minor IS NOT NULL AND state NOT IN (4, 5, 8) GROUP BY currency_code, requester_subject, business_day
				UNION ALL SELECT currency_code, 2, user_id, business_day, SUM(amount_minor) FROM refunds
					WHERE sum_minor IS NOT NULL AND state NOT IN (4, 5, 8) GROUP BY currency_code, user_id, business_day
				UNION ALL SELECT currency_code, 3, ` + audit.TypedIDExpr(ids.Checkout, "checkout_id") + `, DATE('1970-01-01'), SUM(amount_minor) FROM refunds
					WHERE sum_minor IS NOT NULL AND state NOT IN (4, 5, 8) GROUP BY currency_code, checkout_id) r
				ON r.currency_code = s.currency_code AND r.kind = s.kind AND r.subject = s.subject AND r.business_day = s.business_day
				WHERE s.verb = 'AdminRefundPayment' AND s.amount_minor <> COALESCE(r.total, 0)`},
		{Name: "refund_sum_was_seen", Rule: "of what a person asked for on a day, the last refund saw the sum",
			Query: `SELECT MIN(requester), CONCAT('on ', business_day, ': ', SUM(IF(state IN (4, 5, 8), 0, amount_minor)), ' asked for, ', MAX(sum_minor), ' seen')
				FROM refunds WHERE sum_minor IS NOT NULL AND out_refund_no IS NULL GROUP BY currency_code, requester_subject, business_day
				HAVING SUM(IF(state IN (4, 5, 8), 0, amount_minor)) > MAX(sum_minor)`},
		{Name: "leg_without_request", Rule: "every leg that an operator ended was asked for and approved where it had to be",
			Query: `SELECT CONCAT('rfd:', HEX(l.refund_id)), CONCAT('leg ', l.number, ' ended by ', l.actor) FROM refund_legs l JOIN refunds f ON f.id = l.refund_id
				LEFT JOIN approval_requests r ON r.verb = 'ResolveRefundLeg' AND r.object = l.reference AND r.state IN (2, 3) AND r.amount_minor = l.amount_minor
				WHERE l.actor <> '' AND f.checkout_id IS NOT NULL AND r.id IS NULL`},
		{Name: "resolve_without_leg", Rule: "what was carried out stands in the books",
			Query: `SELECT CONCAT('apr:', HEX(r.id)), CONCAT(r.object, ' is not ended') FROM approval_requests r LEFT JOIN refund_legs l ON l.reference = r.object
				AND l.state IN (3, 5) WHERE r.verb = 'ResolveRefundLeg' AND r.state = 3 AND l.refund_id IS NULL`},
		{Name: "approval_is_a_persons", Rule: "nobody approves what the same person asked for, or twice, however the name is written",
			Query: `SELECT CONCAT('rfd:', HEX(a.refund_id)), CONCAT('approved by ', a.approver, ', asked for by ', a.requester) FROM approvals a
				JOIN refunds r ON r.id = a.refund_id WHERE a.approver_subject IS NULL OR a.approver_subject = r.requester_subject`},
	})
}
