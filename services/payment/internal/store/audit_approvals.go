package store

import (
	"slices"

	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/audit"
)

// approvalChecks compare returns that operators ended with the requests by which they did it, from both sides. Those of refunds are the
// refund service's.
func approvalChecks() []audit.Check {
	return slices.Concat(desk.Audit(""), []audit.Check{
		{Name: "resolved_without_request", Rule: "every return of a cancelled order that an operator ended was asked for and approved where it had to be",
			Query: `SELECT CONCAT('leg:', HEX(c.id)), CONCAT('ended by ', c.actor) FROM cash_returns c
				LEFT JOIN approval_requests r ON r.effect_id = c.id AND r.state = 3 AND r.verb = 'ResolveCancelReturn' AND r.amount_minor = c.amount_minor
				WHERE c.refund_id IS NULL AND c.resolution IN (1, 2) AND c.resolve_time > (SELECT since FROM approval_since) AND r.id IS NULL`},
		{Name: "request_without_effect", Rule: "what was carried out stands in the books",
			Query: `SELECT CONCAT('apr:', HEX(r.id)), CONCAT(r.verb, ' without effect') FROM approval_requests r WHERE r.state = 3
				AND r.verb = 'ResolveCancelReturn' AND NOT EXISTS (SELECT 1 FROM cash_returns c WHERE c.id = r.effect_id AND c.resolution IN (1, 2))`},
	})
}
