package app

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

const verbResolve = "ResolveRefundLeg"

// ResolveLeg is an operator's word about a leg that failed. Its JSON is part of the database.
type ResolveLeg struct {
	RefundID  ids.ID `json:"refund_id"`
	Reference string `json:"reference"`
	// GivenBack says that the payer got the money another way; otherwise it becomes credit balance.
	GivenBack bool   `json:"given_back"`
	Evidence  string `json:"evidence"`
}

// to is the state in which the leg ends.
func (in ResolveLeg) to() domain.LegState {
	if in.GivenBack {
		return domain.LegReturned
	}
	return domain.LegKept
}

// ResolveRefundLeg ends a leg that failed: the payer got the money another way, as the evidence shows, or it becomes credit balance. Where
// other people must approve it, it returns their request, and the refund as it is. Errors: NOT_FOUND, REFUND_STATE_INVALID,
// APPROVAL_PENDING.
func (a *App) ResolveRefundLeg(ctx context.Context, actor string, in ResolveLeg) (domain.Refund, approval.Request, error) {
	var asked approval.Request
	r, l, err := a.failedLeg(ctx, in.RefundID, in.Reference)
	if err != nil {
		return r, asked, err
	}
	ask := a.askToResolve(actor, in, r, l)
	if _, err = again(ctx, func() (struct{}, error) {
		return struct{}{}, a.Store.Do(ctx, func(tx Tx) error {
			asked, err = tx.Gate(ctx, ask)
			return err
		})
	}); err != nil {
		return r, asked, err
	}
	if asked.Waits() {
		return r, asked, nil
	}
	if err := a.Approvals.Carry(ctx, asked.ID); err != nil {
		return r, approval.Request{}, err
	}
	r, err = a.refund(ctx, in.RefundID)
	return r, approval.Request{}, err
}

// askToResolve is the ask of ending a leg.
func (a *App) askToResolve(actor string, in ResolveLeg, r domain.Refund, l domain.Leg) approval.Ask {
	how := "the payer got it another way"
	if !in.GivenBack {
		how = "it becomes credit balance"
	}
	ask := approval.Ask{ID: a.IDs.New(), Verb: verbResolve, Object: in.Reference, Requester: actor, Reason: in.Evidence, Amount: l.Amount, Payer: r.UserID,
		Arguments: in, Basis: l.Amount, Single: true, Deferred: true, Now: a.now(),
		Summary: fmt.Sprintf("%s: end the leg of %s of refund %s to user %s: %s", verbResolve, l.Amount, ids.Format(ids.Refund, r.ID), r.UserID, how)}
	if !r.CheckoutID.IsZero() {
		ask.Checkout = ids.Format(ids.Checkout, r.CheckoutID)
	}
	return ask
}

// ApprovalVerbs returns the acts of this service, besides refunds themselves, that other people may have to approve.
func (a *App) ApprovalVerbs() []approval.Verb {
	return []approval.Verb{
		{Name: verbResolve, Role: caller.RefundApprove, Tiers: true, Carry: a.carryResolve},
		// Refunds have approvals of their own, with what they would do frozen; what stands here are their tiers.
		{Name: domain.VerbRefund, Role: caller.RefundApprove, Tiers: true, Carry: func(context.Context, approval.Request) error {
			return errs.Internal.New("a refund is approved by ApproveRefund")
		}},
	}
}

// carryResolve ends a leg as it was approved: payment first, then bill, then this service. Each step may be repeated. A refusal means that
// the payment service did nothing.
func (a *App) carryResolve(ctx context.Context, req approval.Request) error {
	var in ResolveLeg
	if err := json.Unmarshal(req.Arguments, &in); err != nil {
		return errs.Internal.Wrap(err, "the arguments of request %s cannot be read", ids.Format(ids.Approval, req.ID))
	}
	r, err := a.refund(ctx, in.RefundID)
	if err != nil {
		return err
	}
	l, found := r.LegByReference(in.Reference)
	switch {
	case !found:
		return errs.NotFound.New("the refund has no leg of this reference")
	case l.State == in.to():
		// An earlier try was cut off after the other services had done it.
	case l.State != domain.LegFailed:
		return errs.RefundStateInvalid.New("the leg is %s; only one that failed is resolved", l.State).With("state", l.State.String())
	default:
		if err := a.resolveLeg(ctx, req.Requester.Name, in, l); err != nil {
			return err
		}
	}
	ask := a.askToResolve(req.Requester.Name, in, r, l)
	ask.Ticket = req.ID
	if ask.Effect, err = ids.Parse(ids.Leg, in.Reference); err != nil {
		ask.Effect = in.RefundID // A reference of another form has no row of its own here.
	}
	return a.Store.Do(ctx, func(tx Tx) error {
		_, err := tx.Gate(ctx, ask)
		return err
	})
}

// resolveLeg ends a leg in all services.
func (a *App) resolveLeg(ctx context.Context, actor string, in ResolveLeg, l domain.Leg) error {
	if _, err := peer(ctx, a, func(ctx context.Context) (Return, error) {
		return a.Payments.Resolve(ctx, in.Reference, in.GivenBack, actor, in.Evidence)
	}); err != nil {
		return failedNoMore(err)
	}
	// A down payment becomes credit balance by the payment service, whose it is; what was repaid is the bill service's to keep.
	if !in.GivenBack && l.Kind == domain.LegRepayment {
		if _, err := peer(ctx, a, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, a.Bills.KeepAsCredit(ctx, in.RefundID, l.RepaymentID)
		}); err != nil {
			if errs.Business(err) { // The payment service has ended it: this is no refusal of the act, and it is tried again.
				err = errs.Internal.Wrap(err, "the leg is ended and not credit balance yet; it is tried again")
			}
			return err
		}
	}
	_, err := a.endLeg(ctx, in.RefundID, in.Reference, Mark{Actor: actor, Cause: "resolved: " + in.Evidence, Time: a.now()}, in.to(), in.Evidence)
	return err
}
