package random

import (
	"context"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/errs"
)

// approve adds one operator's approval to a request.
type approve func(ctx context.Context, request, id string) (*commonv1.Approval, error)

func (r *run) approveShare(ctx context.Context, request, id string) (*commonv1.Approval, error) {
	res, err := r.site.returns.ApproveRequest(ctx, &paymentv1.ApproveRequestRequest{RequestId: request, ApprovalId: id})
	return res.GetApproval(), err
}

func (r *run) approveLeg(ctx context.Context, request, id string) (*commonv1.Approval, error) {
	res, err := r.site.refunds.ApproveRequest(ctx, &refundv1.ApproveRequestRequest{RequestId: request, ApprovalId: id})
	return res.GetApproval(), err
}

// approved has other operators than bob approve a request of his that waits, and returns why it was refused in the end; empty when it was
// carried out, or needed nobody.
func (r *run) approved(ctx context.Context, a *commonv1.Approval, one approve) string {
	if a == nil {
		return ""
	}
	r.tally.count("acts that waited for approval", a.GetVerb())
	for _, name := range operators() {
		if name == "bob" || a.GetState() != commonv1.ApprovalState_APPROVAL_STATE_PENDING_APPROVAL {
			continue
		}
		request, id := r.id("approve"), a.GetApprovalId()
		next, reason := call(ctx, r, "ApproveRequest", func(ctx context.Context) (*commonv1.Approval, error) {
			return one(r.site.admin(ctx, name), request, id)
		}, errs.ApprovalStateInvalid, errs.AlreadyApproved)
		if reason == errs.AlreadyApproved.Name() {
			continue // Another step of bob's approves the same request at this moment.
		}
		if reason != "" {
			return reason
		}
		a = next
	}
	return a.GetFailure()
}
