package desk

import (
	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/ids"
)

// Audit is the checks over the approvals of a service. elsewhere is a verb whose acts are counted in sums here and kept in the service's own
// tables; empty for none.
func Audit(elsewhere string) []audit.Check {
	return []audit.Check{
		{Name: "approved_by_enough_people", Rule: "what was approved was approved by as many other people as it needed",
			Query: `SELECT CONCAT('apr:', HEX(r.id)), CONCAT(r.verb, ' needs ', r.needed, ', has ', COUNT(v.subject)) FROM approval_requests r
				LEFT JOIN approval_votes v ON v.approval_id = r.id AND v.subject <> r.requester_subject
				WHERE r.state IN (2, 3, 6, 7) GROUP BY r.id, r.verb, r.needed HAVING COUNT(v.subject) < r.needed`},
		{Name: "vote_of_requester", Rule: "nobody approves what the same person asked for, however the name is written",
			Query: `SELECT CONCAT('apr:', HEX(r.id)), CONCAT(r.verb, ' of ', r.requester, ' approved by ', v.approver) FROM approval_requests r
				JOIN approval_votes v ON v.approval_id = r.id WHERE v.subject = r.requester_subject OR v.requester_subject <> r.requester_subject`},
		{Name: "needed_as_tier_says", Rule: "an act needs as many people as the tier of its rule and its sum says; two where there is no tier",
			Query: `SELECT CONCAT('apr:', HEX(r.id)), CONCAT(r.verb, ' of ', r.sum_minor, ' needs ', r.needed) FROM approval_requests r
				WHERE r.currency_code <> '' AND r.needed < COALESCE((SELECT t.approvals FROM approval_rule_tiers t WHERE t.rule_id = r.rule_id
				AND t.from_minor <= GREATEST(r.sum_minor, 1) ORDER BY t.from_minor DESC LIMIT 1), 2)`},
		// Who reads the rules at the moment in which one takes effect may still find the one before.
		{Name: "rule_was_in_force", Rule: "an act was judged by the rule that was in force",
			Query: `SELECT CONCAT('apr:', HEX(r.id)), CONCAT(r.verb, ' by a rule that was not in force') FROM approval_requests r
				LEFT JOIN approval_rules u ON u.id = r.rule_id WHERE r.currency_code <> '' AND
				((r.rule_id IS NOT NULL AND (u.id IS NULL OR u.verb <> r.verb OR u.currency_code <> r.currency_code OR u.effective_time > r.create_time))
				OR EXISTS (SELECT 1 FROM approval_rules l WHERE l.verb = r.verb AND l.currency_code = r.currency_code AND l.cancel_time IS NULL
				AND l.effective_time > COALESCE(u.effective_time, '1970-01-01') AND l.effective_time < r.create_time - INTERVAL 1 MINUTE))`},
		{Name: "rule_by_two", Rule: "every change of tiers was asked for by one person and approved by another before it took effect",
			Query: `SELECT CONCAT(u.verb, '/', u.currency_code), CONCAT('rule ', HEX(u.id), ' without two people') FROM approval_rules u
				LEFT JOIN approval_requests r ON r.id = u.id AND r.verb = 'SetApprovalTiers' AND r.state IN (3, 7)
				AND r.object = CONCAT(u.verb, '/', u.currency_code)
				WHERE LEFT(u.id, 8) <> 0x0000000000000000 AND (r.id IS NULL OR (r.state = 3 AND u.effective_time < r.finish_time)
				OR (r.state = 7) <> (u.cancel_time IS NOT NULL) OR NOT EXISTS
				(SELECT 1 FROM approval_votes v WHERE v.approval_id = r.id AND v.subject <> r.requester_subject))`},
		{Name: "sums_are_their_requests", Rule: "a sum is what was asked for and not given up",
			Query: `SELECT CONCAT(s.verb, ' ', s.kind), CONCAT(s.subject, ' on ', s.business_day, ': sum ', s.amount_minor, ', requests ', COALESCE(r.total, 0))
				FROM approval_sums s LEFT JOIN (
				SELECT verb, currency_code, 1 AS kind, requester_subject AS subject, business_day, SUM(amount_minor) AS total FROM approval_requests
					WHERE currency_code <> '' AND state NOT IN (4, 5, 6) GROUP BY verb, currency_code, requester_subject, business_day
				UNION ALL SELECT verb, currency_code, 2, payer, business_day, SUM(amount_minor) FROM approval_requests
					WHERE currency_code <> '' AND payer <> '' AND state NOT IN (4, 5, 6) GROUP BY verb, currency_code, payer, business_day
				UNION ALL SELECT verb, currency_code, 3, checkout, DATE('1970-01-01'), SUM(amount_minor) FROM approval_requests
					WHERE currency_code <> '' AND checkout <> '' AND state NOT IN (4, 5, 6) GROUP BY verb, currency_code, checkout) r
				ON r.verb = s.verb AND r.currency_code = s.currency_code AND r.kind = s.kind AND r.subject = s.subject AND r.business_day = s.business_day
				WHERE s.verb <> '` + elsewhere + `' AND s.amount_minor <> COALESCE(r.total, 0)`},
		{Name: "sum_was_seen", Rule: "of what a person asked for on a day, the last request saw the sum",
			Query: `SELECT MIN(requester), CONCAT(verb, ' on ', business_day, ': ', SUM(IF(state IN (4, 5, 6), 0, amount_minor)), ' asked for, ', MAX(sum_minor), ' seen')
				FROM approval_requests WHERE currency_code <> '' GROUP BY verb, currency_code, requester_subject, business_day
				HAVING SUM(IF(state IN (4, 5, 6), 0, amount_minor)) > MAX(sum_minor)`},
		{Name: "approval_without_timer", Rule: "a request that waits has its timer",
			Query: `SELECT CONCAT('apr:', HEX(r.id)), CONCAT(r.verb, ' in state ', r.state) FROM approval_requests r WHERE r.state IN (1, 2) AND NOT EXISTS
				(SELECT 1 FROM jobs j WHERE j.kind = IF(r.state = 1, '` + JobExpire + `', '` + JobCarry + `')
				AND j.job_key = ` + audit.TypedIDExpr(ids.Approval, "r.id") + `)`},
	}
}
