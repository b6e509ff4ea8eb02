package app

import (
	"sync"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// planner makes plans, and keeps those of late: the exact effective rate is most of the
// cost of a quote, and a quote is followed by a reservation of the same. Two generations
// bound it without the bookkeeping of a list: a plan that is asked for moves to the young
// one, and a full young one becomes the old one.
type planner struct {
	size int

	mu         sync.Mutex
	young, old map[planKey]domain.Plan
}

// planKey is everything that a plan depends on.
type planKey struct {
	productKey
	tenorMonths int
	price       money.Amount
	start       civil.Date
}

func newPlanner(size int) *planner {
	return &planner{size: max(size, 1), young: map[planKey]domain.Plan{}}
}

// plan is the plan of an order's price: down payment and instalments of the rest. It
// fails with errs.ProductNotEligible when the product does not finance that, and as
// domain.BuildPlan does. The plan is shared: its instalments must not be changed.
func (p *planner) plan(product domain.Product, tenorMonths int, business string, price money.Amount, start civil.Date) (domain.Plan, error) {
	down, financed, err := product.SplitPrice(price)
	if err != nil {
		return domain.Plan{}, err
	}
	if err := eligible(product, business, financed); err != nil {
		return domain.Plan{}, err
	}
	key := planKey{productKey{product.Code, product.Version}, tenorMonths, price, start}
	if plan, ok := p.find(key); ok {
		return plan, nil
	}
	plan, err := domain.BuildPlan(product, tenorMonths, financed, start)
	if err != nil {
		return domain.Plan{}, err
	}
	plan.DownPayment = down
	p.keep(key, plan)
	return plan, nil
}

// eligible returns nil when the product finances an amount for a business. Only an account that is ACTIVE may buy at all (the account
// says why not), so a product that is not offered to one is offered to nobody.
func eligible(product domain.Product, business string, financed money.Amount) error {
	if err := product.Eligible(business, financed); err != nil {
		return err
	}
	return product.EligibleAccount(domain.AccountActive)
}

// planAll is the plan of each order, in the orders' order.
func (p *planner) planAll(product domain.Product, tenorMonths int, business string, orders []FinancedOrder, start civil.Date) ([]domain.Plan, error) {
	plans := make([]domain.Plan, len(orders))
	for i, o := range orders {
		var err error
		if plans[i], err = p.plan(product, tenorMonths, business, o.Amount, start); err != nil {
			return nil, err
		}
	}
	return plans, nil
}

func (p *planner) find(key planKey) (domain.Plan, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if plan, ok := p.young[key]; ok {
		return plan, true
	}
	plan, ok := p.old[key]
	if ok {
		p.put(key, plan)
	}
	return plan, ok
}

func (p *planner) keep(key planKey, plan domain.Plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.put(key, plan)
}

func (p *planner) put(key planKey, plan domain.Plan) {
	if len(p.young) >= p.size {
		p.young, p.old = make(map[planKey]domain.Plan, p.size), p.young
	}
	p.young[key] = plan
}

// checkOrders refuses no orders, a price that is not positive, mixed currencies and
// sums that are too large, and gives the sum.
func checkOrders(orders []FinancedOrder) (money.Amount, error) {
	if len(orders) == 0 {
		return money.Amount{}, errs.InvalidArgument.New("name at least one order")
	}
	prices := make([]money.Amount, len(orders))
	for i, o := range orders {
		if o.Amount.Currency() != orders[0].Amount.Currency() {
			return money.Amount{}, errs.CurrencyMismatch.New("the orders are in %s and %s; use one currency", orders[0].Amount.Currency(), o.Amount.Currency())
		}
		if !o.Amount.IsPositive() || money.Bounded(o.Amount) != nil {
			return money.Amount{}, errs.InvalidArgument.New("the amount of order %d must be above zero and at most %d minor units", i+1, money.MaxMinor)
		}
		prices[i] = o.Amount
	}
	return sumOf(prices)
}

// sumOf adds amounts of one currency, one or more, up to the bound for amounts.
func sumOf(list []money.Amount) (money.Amount, error) {
	total, err := money.Sum(list[0].Currency(), list...)
	if err == nil {
		err = money.Bounded(total)
	}
	if err != nil {
		return money.Amount{}, errs.AmountOutOfRange.Wrap(err, "the amounts add up to too much")
	}
	return total, nil
}

// financed is the sum of the plans' principals.
func financed(plans []domain.Plan) (money.Amount, error) {
	principals := make([]money.Amount, len(plans))
	for i, p := range plans {
		principals[i] = p.Principal
	}
	return sumOf(principals)
}
