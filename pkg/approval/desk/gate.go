package desk

import (
	"context"
	"database/sql"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/unit"
)

// Gate stores an act that is asked for, in the transaction of its effect, and says whether it may be done now: the request that it returns
// does not wait. One that waits is carried out by its verb once enough people approved it; the verb then comes here again with the
// request's id as its ticket, and may go on if what it would do is what was approved.
//
// The caller must have found the act possible before, and must do nothing when the request waits. Errors: APPROVAL_PENDING (another
// request about the object waits), APPROVAL_CHANGED (the act is not the approved one), APPROVAL_STATE_INVALID (the ticket is not approved).
func Gate(ctx context.Context, w *unit.Work, a approval.Ask) (approval.Request, error) {
	asked, err := a.Request()
	if err != nil {
		return asked, err
	}
	if !a.Ticket.IsZero() {
		return redeem(ctx, w, a, asked)
	}
	if a.Single {
		if waits, found, err := live(ctx, w, a, asked); err != nil || found {
			return waits, err
		}
	}
	sum, rule := a.Amount, approval.Rule{}
	if a.Counts() {
		if sum, err = Count(ctx, w.Tx, asked.Counted, a.Amount); err != nil {
			return asked, err
		}
		if rule, err = InForce(ctx, w.Tx.Query, a.Verb, a.Amount.Currency(), a.Now); err != nil {
			return asked, err
		}
	}
	r := asked.Judged(sum, rule.ID, rule.Tiers, a.Deferred)
	insert(w.Tx, a, r)
	if r.State == approval.StatePending {
		w.Schedule(JobExpire, ids.Format(ids.Approval, r.ID), r.ExpireTime)
	}
	if r.State == approval.StateApproved {
		w.Schedule(JobCarry, ids.Format(ids.Approval, r.ID), r.CreateTime.Add(carryAfter))
	}
	return r, nil
}

// live returns the request that waits about the object of another one, when it is the same person's and asks for the same; false when none
// waits. Errors: APPROVAL_PENDING.
func live(ctx context.Context, w *unit.Work, a approval.Ask, asked approval.Request) (approval.Request, bool, error) {
	list, err := readRequests(ctx, w.Tx.Query, selectLive, asked.Verb, asked.Object)
	if err != nil || len(list) == 0 {
		return asked, false, err
	}
	if r := list[0]; r.Requester.Subject == asked.Requester.Subject && r.Fingerprint == asked.Fingerprint && (r.Waits() || a.Deferred) {
		return r, true, nil
	}
	id := ids.Format(ids.Approval, list[0].ID)
	return asked, false, errs.ApprovalPending.New("request %s about %s waits; have it approved or rejected first", id, asked.Object).With("approval_id", id)
}

// redeem uses an approved request for the act that it approves.
func redeem(ctx context.Context, w *unit.Work, a approval.Ask, asked approval.Request) (approval.Request, error) {
	r, err := lock(ctx, w, a.Ticket)
	if err != nil {
		return r, err
	}
	if r.State != approval.StateApproved {
		return r, errs.ApprovalStateInvalid.New("the request is %s; only one that is approved is carried out", r.State).With("state", r.State.String())
	}
	if r.Verb != asked.Verb || r.Object != asked.Object || r.Fingerprint != asked.Fingerprint {
		return r, errs.ApprovalChanged.New("this is not what was approved; something changed meanwhile, ask again")
	}
	done, err := r.Moved(approval.StateCarriedOut, a.Now)
	if err != nil {
		return r, err
	}
	move(w.Tx, r, done)
	if !a.Effect.IsZero() {
		w.Tx.Queue(setEffect, a.Effect, r.ID)
	}
	w.Unschedule(JobCarry, ids.Format(ids.Approval, r.ID))
	done.Version++
	return done, nil
}

const selectLocked = selectRequest + ` FOR UPDATE`

// lock reads a request and locks it. Errors: NOT_FOUND.
func lock(ctx context.Context, w *unit.Work, id ids.ID) (approval.Request, error) {
	return one(ctx, w.Tx.Query, selectLocked, id)
}

// one reads one request. Errors: NOT_FOUND.
func one(ctx context.Context, query func(context.Context, string, ...any) (*sql.Rows, error), text string, args ...any) (approval.Request, error) {
	list, err := readRequests(ctx, query, text, args...)
	if err != nil {
		return approval.Request{}, err
	}
	if len(list) == 0 {
		return approval.Request{}, errs.NotFound.New("there is no such request")
	}
	return list[0], nil
}
