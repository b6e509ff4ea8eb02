package app

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"

	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

// Decision is what a person says of refunds.
type Decision struct {
	// Approver is who decides; RequestID is unique among that person's.
	Approver, RequestID string
	RefundIDs           []ids.ID
	Comment             string
	// OnlyOwn lets the person reject only what that person asked for.
	OnlyOwn bool
}

// Decided is what became of one refund.
type Decided struct {
	RefundID ids.ID `json:"refund_id"`
	// State is the refund's afterwards; StateNone for one that does not exist.
	State domain.State `json:"state"`
	// Reason is the name of why it was not done; empty when it was.
	Reason string `json:"reason,omitempty"`
}

// ApproveRefund approves refunds one by one; the last approval that one needs has it carried out. What is approved is what was frozen:
// where the refund would do something else now, the approval fails with REFUND_CHANGED, and what it would do now is frozen for everybody to
// approve anew. Repeating the request gives its first answer.
func (a *App) ApproveRefund(ctx context.Context, d Decision) ([]Decided, error) {
	return a.decide(ctx, "ApproveRefund", d, a.approve)
}

// RejectRefund refuses refunds one by one; who asked for one may take it back so.
func (a *App) RejectRefund(ctx context.Context, d Decision) ([]Decided, error) {
	return a.decide(ctx, "RejectRefund", d, a.reject)
}

// decide runs a decision for each refund, each in its own unit of work, and records the answer at the end. A request that was cut off is
// repeated refund by refund: a decision that it made already is told as made.
func (a *App) decide(ctx context.Context, verb string, d Decision, one func(ctx context.Context, id ids.ID, d Decision) (domain.Refund, error)) ([]Decided, error) {
	key := idempotency.Key{Verb: verb, Caller: d.Approver, RequestID: d.RequestID}
	fp, err := idempotency.FingerprintOf(struct {
		RefundIDs []ids.ID
		Comment   string
	}{d.RefundIDs, d.Comment})
	if err != nil {
		return nil, err
	}
	if rec, found, err := idempotency.Find(ctx, a.Store.Requests(), key); err != nil || found {
		if err != nil {
			return nil, err
		}
		return idempotency.Replay[[]Decided](rec, fp)
	}
	out := make([]Decided, len(d.RefundIDs))
	for i, id := range d.RefundIDs {
		r, err := again(ctx, func() (domain.Refund, error) { return one(ctx, id, d) })
		out[i] = Decided{RefundID: id, State: r.State}
		if err != nil {
			reason, ok := errs.ReasonOf(err)
			if !ok || !errs.Business(err) {
				return nil, err
			}
			out[i].Reason = reason.Name()
			if now, found, err := a.Store.Refund(ctx, id); err == nil && found {
				out[i].State = now.State
			}
		}
	}
	return idempotency.Do(ctx, a.Store.Requests(), key, fp, func() ([]Decided, error) {
		return out, a.Store.Do(ctx, func(tx Tx) error {
			tx.Remember(key, fp, out)
			return nil
		})
	})
}

func (a *App) approve(ctx context.Context, id ids.ID, d Decision) (domain.Refund, error) {
	r, err := a.refund(ctx, id)
	if err != nil {
		return r, err
	}
	if r.ApprovedBy(d.Approver, d.RequestID) {
		return r, nil
	}
	m := Mark{Actor: d.Approver, Cause: "approved: " + d.Comment, Time: a.now()}
	word := domain.Approval{Approver: d.Approver, RequestID: d.RequestID, Comment: d.Comment, Time: m.Time}
	if _, err := r.Approved(word); err != nil {
		return r, err // Before others are asked what it would do.
	}
	order, err := peer(ctx, a, func(ctx context.Context) (Order, error) { return a.Orders.Order(ctx, r.OrderID) })
	if err != nil {
		return r, err
	}
	if err := domain.MayRefund(order.State); err != nil {
		return r, err // It was taken back as a whole meanwhile. Nobody can approve this any more: it is rejected, or expires.
	}
	effect, err := a.previewCredit(ctx, r.OrderID, r.Share)
	if err != nil {
		return r, err
	}
	if order.State != r.OrderState || !effect.Equal(r.Effect) {
		m.Cause = "it would do something else now"
		if _, err := a.move(ctx, id, m, func(now domain.Refund) (domain.Refund, bool, error) {
			return now.Refrozen(effect, order.State), now.Version == r.Version && now.State == domain.StatePendingApproval, nil
		}, nil); err != nil {
			return r, err
		}
		return r, errs.RefundChanged.New("the refund would now do something else than what was to be approved; look at it again")
	}
	return a.move(ctx, id, m, func(now domain.Refund) (domain.Refund, bool, error) {
		if now.Version != r.Version {
			return now, false, errs.ConcurrentChange.New("somebody else decided at the same time; repeat the call")
		}
		next, err := now.Approved(word)
		return next, err == nil, err
	}, func(tx Tx, _, to domain.Refund) error {
		if to.State == domain.StateApproved {
			tx.ClearExpiry(id)
			tx.SetDrive(id, m.Time)
		}
		return nil
	})
}

func (a *App) reject(ctx context.Context, id ids.ID, d Decision) (domain.Refund, error) {
	m := Mark{Actor: d.Approver, Cause: rejectedBy + d.RequestID + ": " + d.Comment, Time: a.now()}
	if done, err := a.rejected(ctx, id, d); done || err != nil {
		r, readErr := a.refund(ctx, id)
		return r, errors.Join(err, readErr)
	}
	return a.move(ctx, id, m, func(r domain.Refund) (domain.Refund, bool, error) {
		if d.OnlyOwn && approval.Canonical(r.Requester) != approval.Canonical(d.Approver) {
			return r, false, errs.CallerNotAllowed.New("somebody else asked for this refund; rejecting it needs the right to approve")
		}
		next, err := r.Rejected(domain.Approval{Approver: d.Approver, Comment: d.Comment, Time: m.Time})
		return next, err == nil, err
	}, func(tx Tx, _, _ domain.Refund) error {
		tx.ClearExpiry(id)
		return nil
	})
}

// rejectedBy begins the cause of a rejection in a timeline; the request's id follows.
const rejectedBy = "rejected by request "

// rejected reports whether a request rejected a refund before.
func (a *App) rejected(ctx context.Context, id ids.ID, d Decision) (bool, error) {
	changes, err := a.Store.Changes(ctx, id)
	return slices.ContainsFunc(changes, func(c Change) bool {
		return c.To == domain.StateRejected && c.Actor == d.Approver && strings.HasPrefix(c.Cause, rejectedBy+d.RequestID+": ")
	}), err
}

// ExpireRefund ends a refund that nobody approved in time.
func (a *App) ExpireRefund(ctx context.Context, id ids.ID) (jobs.Outcome, error) {
	m := Mark{Actor: "TIMER:" + JobExpire, Cause: "nobody approved it in time", Time: a.now()}
	_, err := a.move(ctx, id, m, func(r domain.Refund) (domain.Refund, bool, error) {
		if r.State != domain.StatePendingApproval || m.Time.Before(r.ExpireTime) {
			return r, false, nil
		}
		next, err := r.Moved(domain.StateExpired, m.Time)
		return next, err == nil, err
	}, nil)
	return jobs.Done(), err
}
