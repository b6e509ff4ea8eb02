package random

import (
	"context"
	"fmt"
	"slices"

	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
)

// looksAfterShare is an operator who asks once more for the share of a cancelled order, or ends it.
func (r *run) looksAfterShare() *step {
	shares := slices.DeleteFunc(r.site.market.asksOf(r.subjects()...), func(a ask) bool {
		l := r.legOf(a.subject)
		return a.refund != "" || l == nil || a.reference == l.reference
	})
	a, found := someThat(r, shares, func(a ask) bool { return r.answer(a.reference) == isFailed && !r.resolvedShare(a.reference) })
	if !found {
		return nil
	}
	way := r.dice.IntN(3)
	verb := []string{"asks once more for", "says that the payer has", "lets the payer keep as credit balance"}[way]
	return &step{kind: []string{"retry a share", "resolve a share as given back", "resolve a share as kept"}[way],
		what: fmt.Sprintf("bob %s the share %s of a cancelled order", verb, a.reference), touches: r.ordersBehind(a.subject), do: func(ctx context.Context, v *view) string {
			was := r.cashLeg(ctx, a.reference).GetState()
			ended := r.resolvedShare(a.reference)
			reason := r.endShare(ctx, a.reference, way)
			switch {
			case v != nil && was == isFailed && !ended:
				r.want("an operator's word about a share that failed", reason, "")
			case v != nil && was == isReturning:
				r.want("an operator's word about a share that is on its way", reason, errs.OrderStateInvalid.Name())
			}
			if reason == "" {
				return "DONE"
			}
			return reason
		}}
}

func (r *run) resolvedShare(reference string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.resolved[reference]
}

// endShare retries the share of a cancelled order (way 0), or ends it as given back (1) or kept (2).
func (r *run) endShare(ctx context.Context, reference string, way int) string {
	if way == 0 {
		_, reason := call(ctx, r, "RetryCancelReturn", func(ctx context.Context) (*paymentv1.RetryCancelReturnResponse, error) {
			return r.site.returns.RetryCancelReturn(r.site.admin(ctx, "bob"), &paymentv1.RetryCancelReturnRequest{Reference: reference})
		}, errs.OrderStateInvalid)
		return reason
	}
	res, reason := call(ctx, r, "ResolveCancelReturn", func(ctx context.Context) (*paymentv1.ResolveCancelReturnResponse, error) {
		return r.site.returns.ResolveCancelReturn(r.site.admin(ctx, "bob"), &paymentv1.ResolveCancelReturnRequest{Reference: reference, GivenBack: new(way == 1),
			Evidence: "transfer 4712"})
	}, errs.OrderStateInvalid, errs.ApprovalPending)
	if reason == "" {
		reason = r.approved(ctx, res.GetApproval(), r.approveShare)
	}
	if reason == "" {
		r.mu.Lock()
		r.resolved[reference] = true
		r.mu.Unlock()
	}
	return reason
}
