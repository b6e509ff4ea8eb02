package app

import (
	"context"
	"errors"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// Readiness is what stands between the payer and a commit.
type Readiness struct {
	Actions []Action
	// Blocking are refusals that the payer cannot lift by an action.
	Blocking []*errs.Error
}

// Ready tells that a commit with the right PIN would go through.
func (r Readiness) Ready() bool {
	return len(r.Blocking) == 0 && len(r.Actions) == 1 && r.Actions[0] == ActionVerifyPin
}

// CheckCommitPayment makes the checks of DoCommitPayment and changes nothing: those of the quote and the PIN by the same
// functions, those of the checkout and the credit by asking their owners the questions that their part of the commit asks.
func (a *App) CheckCommitPayment(ctx context.Context, userID string, req CommitRequest) (Readiness, error) {
	checkoutID, err := parseID(ids.Checkout, "checkout_id", req.CheckoutID)
	if err != nil {
		return Readiness{}, err
	}
	checkout, err := a.ownCheckout(ctx, checkoutID, userID)
	if err != nil {
		return Readiness{}, err
	}
	var r Readiness
	if !checkout.Open {
		return r, r.block(checkout.Why)
	}
	quote, pin, err := a.Store.QuoteAndPin(ctx, checkoutID, userID)
	if err != nil {
		return r, err
	}
	switch err := a.mayTryPin(pin); {
	case errs.Is(err, errs.PinNotSet):
		r.Actions = append(r.Actions, ActionSetPin)
	case err != nil:
		if err := r.block(err); err != nil {
			return r, err
		}
	default:
		r.Actions = append(r.Actions, ActionVerifyPin)
	}
	var terms domain.Terms
	switch {
	case req.Choice != nil:
		if terms, err = a.termsOf(*req.Choice); err != nil {
			return r, r.block(err)
		}
	case req.QuoteID == "":
		r.Actions = append(r.Actions, ActionChooseChannel)
	default:
		if err := r.block(a.mayUseQuote(quote, userID, req.QuoteID, checkout)); err != nil {
			return r, err
		}
	}
	if req.Choice == nil && quote != nil {
		terms = quote.Terms
	}
	return r, a.checkCredit(ctx, &r, checkout, terms)
}

func (a *App) checkCredit(ctx context.Context, r *Readiness, checkout Checkout, terms domain.Terms) error {
	pick := Pick{ProductCode: terms.ProductCode, TenorMonths: terms.TenorMonths}
	if !terms.AgreedTotal.IsPositive() {
		pick.ProductVersion = terms.ProductVersion // A quote keeps its version; without one only what is offered now can be had.
	}
	offers, err := a.Bill.QuotePlans(ctx, checkout, pick)
	if err != nil {
		return err
	}
	for _, action := range offers.Actions {
		// Once a plan is known, it is known better than over all plans whether it asks for a down payment.
		if action != ActionDownPayment || terms.ProductCode == "" {
			r.Actions = append(r.Actions, action)
		}
	}
	if !offers.Allowed {
		return r.block(offers.Why)
	}
	if terms.ProductCode == "" {
		return nil
	}
	plan, offered := chosen(terms, offers)
	if !offered && terms.AgreedTotal.IsPositive() {
		return r.block(errs.PlanChanged.New("this plan is not offered like that any more; show the plans of QueryCheckoutInfo again"))
	}
	if !offered {
		return nil // A quote keeps its plan.
	}
	err = a.Cashier.mayPayDown(plan.DownPayment, terms.DownPaymentChannel)
	if errs.Is(err, errs.DownPaymentRequired) {
		r.Actions = append(r.Actions, ActionDownPayment)
		return nil
	}
	return r.block(err)
}

// chosen finds the plan that was agreed to among those that are offered now; without a quote it must cost the same, which the
// bill service's reservation asks, too.
func chosen(terms domain.Terms, offers Offers) (Plan, bool) {
	for _, p := range offers.Plans {
		if p.ProductCode == terms.ProductCode && p.ProductVersion == terms.ProductVersion && p.TenorMonths == terms.TenorMonths &&
			(!terms.AgreedTotal.IsPositive() || p.Total == terms.AgreedTotal) {
			return p, true
		}
	}
	return Plan{}, false
}

// block adds a rule's refusal; other errors are given back.
func (r *Readiness) block(err error) error {
	var refusal *errs.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal) && (errs.Business(err) || refusal.Reason() == errs.CheckoutCommitting):
		r.Blocking = append(r.Blocking, refusal)
		return nil
	default:
		return err
	}
}

// mayUseQuote tells whether the quote fits the checkout as it is now.
func (a *App) mayUseQuote(quote *domain.Quote, userID, quoteText string, checkout Checkout) error {
	id, err := parseID(ids.Quote, "quote_id", quoteText)
	if err != nil {
		return err
	}
	if quote == nil {
		return errs.QuoteNotFound.New("no plan was chosen for this checkout; call ConfirmPayChannel")
	}
	if err := quote.Usable(userID, id, a.now()); err != nil {
		return err
	}
	if quote.Terms.Amount != checkout.Amount {
		return errs.CheckoutChanged.New("an order of the checkout changed; choose the plan again with ConfirmPayChannel")
	}
	return nil
}

// mayTryPin tells whether the user has a PIN that may be tried now.
func (a *App) mayTryPin(pin *domain.Pin) error {
	if pin == nil {
		return errs.PinNotSet.New("set a PIN first with SetPaymentPin")
	}
	return pin.MayTry(a.now())
}
