package app

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/checkoutproof"
	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

// GetCheckout reads a checkout for another service; errs.NotFound when there is none.
func (a *App) GetCheckout(ctx context.Context, id ids.ID) (domain.Checkout, error) {
	return a.Store.Checkout(ctx, id)
}

// CheckoutName names a checkout by id, or by token when that is not empty.
type CheckoutName struct {
	// ID of the checkout.
	ID ids.ID
	// Token of GeneratePayments.
	Token string
}

// CheckoutInfo is what the payer's page shows.
type CheckoutInfo struct {
	// Checkout with its orders.
	Checkout domain.Checkout
	// Quote of the bill service; only a reason when there is no offer.
	Quote Quote
	// Actions that a commit will ask of the payer; none when it cannot be paid.
	Actions []RequiredAction
	// Proof that the checkout is the payer's and open; empty when it cannot be paid.
	Proof string
}

// QueryCheckoutInfo gives a checkout to its own user, with the plans on offer. Without the bill service the orders are shown and
// the reason says so. Errors: errs.NotFound, also for a foreign checkout and a token that is not ours.
func (a *App) QueryCheckoutInfo(ctx context.Context, who caller.Caller, name CheckoutName) (CheckoutInfo, error) {
	id := name.ID
	if name.Token != "" {
		var ok bool
		if id, ok = a.readToken(name.Token); !ok {
			return CheckoutInfo{}, errs.NotFound.New("no such checkout")
		}
	}
	c, err := a.ownCheckout(ctx, who, id)
	if err != nil {
		return CheckoutInfo{}, err
	}
	if refusal := c.Unpayable(a.now()); refusal != nil {
		return CheckoutInfo{Checkout: c, Quote: Quote{Reason: refusal.Reason().Name()}}, nil
	}
	info := CheckoutInfo{Checkout: c, Actions: []RequiredAction{ActionChooseChannel, ActionVerifyPIN}, Proof: a.proof(c)}
	quoteCtx, cancel := context.WithTimeout(ctx, a.PeerTimeout)
	defer cancel()
	info.Quote, err = a.Bill.Quote(quoteCtx, c.UserID, c.Business, c.In(domain.OrderCreated))
	if err != nil {
		a.Log.Warn("a checkout is shown without credit", zap.String("checkout_id", checkoutKey(id)), zap.Error(err))
		info.Quote = Quote{Reason: errs.DependencyUnavailable.Name()}
	}
	for _, action := range info.Quote.Actions {
		if !slices.Contains(info.Actions, action) {
			info.Actions = append(info.Actions, action)
		}
	}
	return info, nil
}

// proof is good for some minutes, and no longer than the checkout can be paid.
func (a *App) proof(c domain.Checkout) string {
	expire := a.now().Add(a.ProofLife)
	if c.ExpireTime.Before(expire) {
		expire = c.ExpireTime
	}
	return checkoutproof.Make(a.Proofs, c.ID, c.UserID, expire)
}

// CheckoutResult is what the result page shows.
type CheckoutResult struct {
	// Checkout with its orders.
	Checkout domain.Checkout
	// Plan summed over the orders; nil when nothing is financed or the bill service cannot be asked.
	Plan *domain.Plan
	// NextDueDate as YYYY-MM-DD; empty before the goods are confirmed.
	NextDueDate string
}

// QueryCheckoutResult gives the outcome of a checkout to its own user. Errors: errs.NotFound, also for a foreign checkout.
func (a *App) QueryCheckoutResult(ctx context.Context, who caller.Caller, id ids.ID) (CheckoutResult, error) {
	c, err := a.ownCheckout(ctx, who, id)
	if err != nil {
		return CheckoutResult{}, err
	}
	result := CheckoutResult{Checkout: c}
	if c.State != domain.CheckoutPaid {
		return result, nil
	}
	var paid []ids.ID
	for _, o := range c.Orders {
		if o.Settled() && o.State != domain.OrderCancelled {
			paid = append(paid, o.ID)
		}
	}
	loansCtx, cancel := context.WithTimeout(ctx, a.PeerTimeout)
	defer cancel()
	found, err := a.Bill.Loans(loansCtx, paid)
	if err != nil {
		a.Log.Warn("a result is shown without its plan", zap.String("checkout_id", checkoutKey(id)), zap.Error(err))
		return result, nil
	}
	var plans, running []domain.Plan
	for _, l := range found.Loans {
		if l.Void {
			continue
		}
		plans = append(plans, l.Plan)
		if l.Running {
			running = append(running, l.Plan)
		}
	}
	if sum, ok := domain.SumPlans(plans); ok {
		result.Plan = &sum
	}
	result.NextDueDate = domain.NextDueDate(running, civil.Of(a.now(), a.Location).String())
	return result, nil
}

// ownCheckout reads a checkout for its own user.
func (a *App) ownCheckout(ctx context.Context, who caller.Caller, id ids.ID) (domain.Checkout, error) {
	c, err := a.Store.Checkout(ctx, id)
	if err != nil {
		return domain.Checkout{}, err
	}
	if who.Kind != caller.H5 || who.UserID == "" || c.UserID != who.UserID {
		return domain.Checkout{}, errs.NotFound.New("no such checkout")
	}
	return c, nil
}
