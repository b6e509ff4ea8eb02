package audit

import (
	"context"
	"fmt"

	"github.com/creditpay/creditpay/pkg/audit"

	"github.com/creditpay/creditpay/services/bill"
	"github.com/creditpay/creditpay/services/order"
	"github.com/creditpay/creditpay/services/payment"
	"github.com/creditpay/creditpay/services/refund"
)

// compareUsers compares whose an order is with whose its payment, its loans and its refunds are. A user belongs to one marketplace, so
// what agrees in the user agrees in the marketplace, too.
func (a *auditor) compareUsers(ctx context.Context) (found []Finding, err error) {
	queries := map[string]string{order.Name: order.AuditUsers(), payment.Name: payment.AuditUsers(), bill.Name: bill.AuditUsers(), refund.Name: refund.AuditUsers()}
	var told []source
	for _, s := range a.schemas {
		if query, ok := queries[s.name]; ok {
			told = append(told, source{s, query})
		}
	}
	err = walk(ctx, told, func(id string, seen []fact) {
		if text := strangers(seen); text != "" && len(found) < audit.MaxFindings {
			found = append(found, Finding{Service: "suite", Check: "users_agree", ID: audit.TypedID("ord:" + id), Text: text})
		}
	})
	return found, err
}

// strangers says how order, payment, bill and refund contradict each other about the user of an order; empty when they agree. The number
// beside a user is that of others that the same service names.
func strangers(seen []fact) string {
	user := ""
	for _, f := range seen {
		if f.state == "" {
			continue
		}
		if user == "" {
			user = f.state
		}
		if f.state != user || f.minor != 0 {
			return fmt.Sprintf("order says %q, payment %q, bill %q (and %d others), refund %q (and %d others)",
				seen[0].state, seen[1].state, seen[2].state, seen[2].minor, seen[3].state, seen[3].minor)
		}
	}
	return ""
}
