package domain

import (
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/errs"
)

// Approved gives the refund with somebody's approval, in state APPROVED when it is the last. Errors: errs.RefundStateInvalid,
// errs.ApproverIsRequester, errs.AlreadyApproved.
func (r Refund) Approved(a Approval) (Refund, error) {
	if err := r.mayDecide(a.Time); err != nil {
		return r, err
	}
	votes := make([]approval.Vote, len(r.Approvals))
	for i, other := range r.Approvals {
		votes[i].By = approval.PersonOf(other.Approver)
	}
	if err := approval.MayVote(approval.Canonical(r.Requester), approval.Canonical(a.Approver), votes); err != nil {
		return r, err
	}
	r.Approvals = append(slices.Clone(r.Approvals), a)
	if len(r.Approvals) < r.ApprovalsNeeded {
		return r, nil
	}
	return r.Moved(StateApproved, a.Time)
}

// ApprovedBy reports whether a request approved what is frozen now.
func (r Refund) ApprovedBy(approver, requestID string) bool {
	return slices.ContainsFunc(r.Approvals, func(a Approval) bool { return a.Approver == approver && a.RequestID == requestID })
}

// Rejected gives the refund refused by somebody, which may be who asked. Errors: errs.RefundStateInvalid.
func (r Refund) Rejected(a Approval) (Refund, error) {
	if err := r.mayDecide(a.Time); err != nil {
		return r, err
	}
	r.Failure = a.Comment
	return r.Moved(StateRejected, a.Time)
}

// ApprovedEffect is the fingerprint of what people approved; empty when nobody had to.
func (r Refund) ApprovedEffect() string {
	if r.ApprovalsNeeded == 0 {
		return ""
	}
	return r.Effect.Fingerprint
}

// Refrozen gives the refund with what it would do now; everybody must approve it anew.
func (r Refund) Refrozen(effect Effect, orderState string) Refund {
	r.Effect, r.OrderState, r.Approvals = effect, orderState, nil
	r.Snapshot++
	return r
}

func (r Refund) mayDecide(now time.Time) error {
	if r.State != StatePendingApproval {
		return errs.RefundStateInvalid.New("the refund is %s; nobody needs to approve it", r.State).With("state", r.State.String())
	}
	if !now.Before(r.ExpireTime) {
		return errs.RefundStateInvalid.New("the time to approve this refund is over").With("state", StateExpired.String())
	}
	return nil
}
