package app

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// QuoteRequest asks what a purchase on credit would cost.
type QuoteRequest struct {
	UserID, Business string
	// Orders, one or more, of one currency.
	Orders []FinancedOrder
	// TenorMonths is the one tenor asked for; 0 for all.
	TenorMonths int
	// ProductCode is the one product asked for; empty for all.
	ProductCode string
	// ProductVersion is its version, as a quote keeps it; 0 for the one that is offered.
	ProductVersion int
}

// Offer is a plan for a set of orders.
type Offer struct {
	// Total is what the payer sees: the sum of PerOrder.
	Total domain.Plan
	// PerOrder has a plan for each order, in the request's order.
	PerOrder []domain.Plan
}

// Quote is the user's credit and what is offered.
type Quote struct {
	// Account counts only when HasAccount.
	Account    Account
	HasAccount bool
	// Offers are shortest first, one for each product and tenor; within a tenor the preferred product first. They stand there even when Refusal is set, for a page to show.
	Offers []Offer
	// Refusal is why the purchase would not be allowed now, an error with a reason; nil when it would.
	Refusal error
	// MustSign says that the first offer needs the user's signature first; ReserveCredit refuses it until then.
	MustSign bool
}

// QuotePlans tells the user's credit and the plans for a set of orders. It changes
// nothing. Whether the purchase would be allowed is decided by the function that
// ReserveCredit decides by. A purchase that is not allowed is an answer, not an error;
// errors are errs.InvalidArgument, errs.CurrencyMismatch (among the orders),
// errs.AmountOutOfRange and faults.
//
// An offer is made by each product that finances every order. Preferred are products for
// certain businesses before those for all, then by code.
func (a *App) QuotePlans(ctx context.Context, r QuoteRequest) (Quote, error) {
	price, err := checkOrders(r.Orders)
	if err != nil {
		return Quote{}, err
	}
	now := a.now()
	products, err := a.quotable(ctx, r, now)
	if err != nil {
		return Quote{}, err
	}
	var q Quote
	if q.Account, q.HasAccount, err = a.store.Account(ctx, r.UserID); err != nil {
		return Quote{}, err
	}
	var none error
	if q.Offers, none, err = a.offers(products, r, now); err != nil {
		return Quote{}, err
	}
	if q.HasAccount {
		if q.MustSign, err = a.mustSign(ctx, r.UserID, products, q.Offers); err != nil {
			return Quote{}, err
		}
	}
	q.Refusal, err = refusal(q, price, none)
	return q, err
}

// quotable is the products that a request may be offered: the current ones, or the version that it names.
func (a *App) quotable(ctx context.Context, r QuoteRequest, now time.Time) ([]domain.Product, error) {
	if r.ProductVersion == 0 {
		return a.products.offered(ctx, now)
	}
	p, err := a.products.version(ctx, a.store, r.ProductCode, r.ProductVersion)
	if errs.Is(err, errs.ProductNotEligible) {
		return nil, nil
	}
	return []domain.Product{p}, err
}

// offers makes the offers, and says why there would be none. A plan that the law of the day or its own figures do not allow is not
// offered, and takes no other with it.
func (a *App) offers(products []domain.Product, r QuoteRequest, now time.Time) (list []Offer, none, err error) {
	none = errs.ProductNotEligible.New("no product finances this purchase")
	var elsewhere, unlawful error
	for _, p := range ranked(products) {
		if !finances(p, r) {
			continue
		}
		start := civil.Of(now, p.Zone())
		for _, t := range p.Tenors {
			if (r.TenorMonths != 0 && t.Months != r.TenorMonths) || (r.ProductCode != "" && p.Code != r.ProductCode) {
				elsewhere = errs.TenorNotOffered.New("this product or tenor is not offered for this purchase")
				continue
			}
			plans, err := a.plans.planAll(p, t.Months, r.Business, r.Orders, start)
			if errs.Is(err, errs.ProductNotEligible) || errs.Is(err, errs.AmountOutOfRange) {
				unlawful = err
				continue
			}
			if err != nil {
				return nil, nil, err
			}
			total := plans[0]
			if len(plans) > 1 {
				if total, err = domain.SumPlans(plans); err != nil {
					return nil, nil, err
				}
			}
			list = append(list, Offer{Total: total, PerOrder: plans})
		}
	}
	slices.SortStableFunc(list, func(x, y Offer) int { return x.Total.TenorMonths - y.Total.TenorMonths })
	return list, cmp.Or(unlawful, elsewhere, none), nil
}

// ranked is the products in the order in which they are offered.
func ranked(products []domain.Product) []domain.Product {
	out := slices.Clone(products)
	slices.SortStableFunc(out, func(x, y domain.Product) int {
		return min(len(y.Businesses), 1) - min(len(x.Businesses), 1)
	})
	return out
}

// finances reports whether the product finances every order of the request.
func finances(p domain.Product, r QuoteRequest) bool {
	return !slices.ContainsFunc(r.Orders, func(o FinancedOrder) bool {
		_, part, err := p.SplitPrice(o.Amount)
		return err != nil || eligible(p, r.Business, part) != nil
	})
}

// refusal is why the purchase would be refused, nil when it would not. What stands against the user comes before what
// stands against the purchase, and that before the limit: no limit is large enough for a product that does not exist.
func refusal(q Quote, price money.Amount, none error) (reason, fault error) {
	if !q.HasAccount {
		return noAccount(), nil
	}
	amount := price
	if len(q.Offers) > 0 {
		amount = q.Offers[0].Total.Principal
	}
	err := q.Account.MayBuy(amount)
	switch {
	case err != nil && !errs.Business(err):
		return nil, err
	case len(q.Offers) > 0, err != nil && !errs.Is(err, errs.LimitInsufficient):
		return err, nil
	default:
		return none, nil
	}
}

func noAccount() error { return errs.AccountNotFound.New("the user has no credit account") }
