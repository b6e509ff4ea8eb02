package app

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

const verbResolve = "ResolveCancelReturn"

// resolveAct is what an approved act does to a return. Its JSON is part of the database.
type resolveAct struct {
	Reference  string            `json:"reference"`
	Resolution domain.Resolution `json:"resolution"`
	Evidence   string            `json:"evidence"`
}

// ResolveCancelReturn ends the return of a cancelled order's share that failed by an operator's word. Where other people must approve it, it
// returns their request, and the return as it is. Repeating it is harmless. Errors: INVALID_ARGUMENT, NOT_FOUND, ORDER_STATE_INVALID,
// APPROVAL_PENDING.
func (a *App) ResolveCancelReturn(ctx context.Context, reference string, by domain.Ruling) (CashBack, approval.Request, error) {
	return a.resolveCancelReturn(ctx, reference, by, ids.ID{})
}

func (a *App) resolveCancelReturn(ctx context.Context, reference string, by domain.Ruling, ticket ids.ID) (CashBack, approval.Request, error) {
	var asked approval.Request
	how := "the payer got it another way"
	if by.Resolution == domain.ResolvedAbandoned {
		how = "it becomes credit balance"
	}
	b, err := a.changeReturnIf(ctx, reference, func(b CashBack) (*domain.CashReturnMoved, error) {
		if err := ofCancel(b); err != nil {
			return nil, err
		}
		m, err := b.Return.Resolve(by, b.Leg, a.now())
		if err == nil && m == nil && !ticket.IsZero() {
			return nil, errs.OrderStateInvalid.New("the return was ended already")
		}
		return m, err
	}, func(tx Tx, b CashBack) (ok bool, err error) {
		asked, err = tx.Gate(ctx, approval.Ask{
			ID: a.IDs.New(), Verb: verbResolve, Object: legText(b.Return.ID), Requester: by.Actor, Reason: by.Evidence, Amount: b.Return.Amount,
			Payer: b.Leg.UserID, Checkout: checkoutOf(b.Leg), Arguments: resolveAct{Reference: legText(b.Return.ID), Resolution: by.Resolution, Evidence: by.Evidence},
			Basis: b.Return.Amount, Effect: b.Return.ID, Single: true, Now: a.now(), Ticket: ticket,
			Summary: fmt.Sprintf("%s: end the return of %s to user %s: %s", verbResolve, b.Return.Amount, b.Leg.UserID, how),
		})
		return !asked.Waits(), err
	})
	return b, asked, err
}

// checkoutOf is the checkout of a leg as text; empty for a repayment's.
func checkoutOf(l domain.CashLeg) string {
	if l.CheckoutID.IsZero() {
		return ""
	}
	return ids.Format(ids.Checkout, l.CheckoutID)
}

// ApprovalVerbs returns the acts of this service that other people may have to approve, and how each is carried out.
func (a *App) ApprovalVerbs() []approval.Verb {
	return []approval.Verb{{Name: verbResolve, Role: caller.Approve, Tiers: true, Carry: func(ctx context.Context, r approval.Request) error {
		var args resolveAct
		if err := json.Unmarshal(r.Arguments, &args); err != nil {
			return errs.Internal.Wrap(err, "the arguments of request %s cannot be read", ids.Format(ids.Approval, r.ID))
		}
		by := domain.Ruling{Resolution: args.Resolution, Actor: r.Requester.Name, Evidence: args.Evidence}
		_, _, err := a.resolveCancelReturn(ctx, args.Reference, by, r.ID)
		return err
	}}}
}
