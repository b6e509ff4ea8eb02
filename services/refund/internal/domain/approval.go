package domain

import (
	"cmp"
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

// MaxApprovals is the most people that a refund can need.
const MaxApprovals = 2

// Tier says how many people must approve an operator's refund from an amount on.
type Tier struct {
	From      money.Amount
	Approvals int
}

// ApprovalsFor is how many people must approve an amount: the tier of its currency with the highest bound that it reaches. Where none is
// set, as many as can be asked for.
func ApprovalsFor(tiers []Tier, amount money.Amount) int {
	reached := slices.DeleteFunc(slices.Clone(tiers), func(t Tier) bool {
		return t.From.Currency() != amount.Currency() || t.From.Minor() > amount.Minor()
	})
	if len(reached) == 0 {
		return MaxApprovals
	}
	return slices.MaxFunc(reached, func(a, b Tier) int { return cmp.Compare(a.From.Minor(), b.From.Minor()) }).Approvals
}

// CheckTiers refuses tiers of a currency that make no sense, in the order of their amounts. Errors: errs.InvalidArgument.
func CheckTiers(c money.Currency, tiers []Tier) error {
	for i, t := range tiers {
		switch {
		case t.From.Currency() != c:
			return errs.InvalidArgument.New("tiers: %s is not in %s", t.From, c.Code()).With("field", "tiers")
		case !t.From.IsPositive():
			return errs.InvalidArgument.New("tiers: an amount must be above zero").With("field", "tiers")
		case t.Approvals < 0 || t.Approvals > MaxApprovals:
			return errs.InvalidArgument.New("tiers: 0 to %d people can approve", MaxApprovals).With("field", "tiers")
		case i > 0 && t.From.Minor() <= tiers[i-1].From.Minor():
			return errs.InvalidArgument.New("tiers: give each amount once, from the lowest to the highest").With("field", "tiers")
		case i > 0 && t.Approvals < tiers[i-1].Approvals:
			return errs.InvalidArgument.New("tiers: %s would need fewer people than %s", t.From, tiers[i-1].From).With("field", "tiers")
		}
	}
	return nil
}

// Approved gives the refund with somebody's approval, in state APPROVED when it is the last. Errors: errs.RefundStateInvalid,
// errs.ApproverIsRequester, errs.AlreadyApproved.
func (r Refund) Approved(a Approval) (Refund, error) {
	if err := r.mayDecide(a.Time); err != nil {
		return r, err
	}
	if a.Approver == r.Requester {
		return r, errs.ApproverIsRequester.New("somebody else must approve this refund")
	}
	if slices.ContainsFunc(r.Approvals, func(other Approval) bool { return other.Approver == a.Approver }) {
		return r, errs.AlreadyApproved.New("you have approved this refund already; it needs another person")
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
