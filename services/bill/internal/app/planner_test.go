package app

import (
	"testing"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

func TestPlannerKeepsABoundedNumberOfPlans(t *testing.T) {
	t.Parallel()
	p := newPlanner(10)
	product := domain.DefaultProducts(money.IDR())[0]
	start := civil.Date{Year: 2026, Month: 4, Day: 10}
	for i := range int64(100) {
		price := money.New(10_000+i, money.IDR())
		for range 2 {
			plan, err := p.plan(product, 1, "marketplace", price, start)
			if err != nil || plan.Principal != price {
				t.Fatalf("%v, %v", plan, err)
			}
		}
		// Asked for all the time, so never forgotten.
		if _, ok := p.find(planKey{productKey{"SPL_ID", 1}, 1, money.New(10_000, money.IDR()), start}); !ok {
			t.Fatalf("a plan in use was forgotten after %d others", i)
		}
	}
	if n := len(p.young) + len(p.old); n > 20 {
		t.Errorf("%d plans are kept", n)
	}
}

func TestPlanWithDownPaymentFinancesTheRest(t *testing.T) {
	t.Parallel()
	product := domain.DefaultProducts(money.IDR())[0]
	product.DownPaymentPPM = 200_000
	p := newPlanner(10)
	start := civil.Date{Year: 2026, Month: 4, Day: 10}
	for range 2 {
		plan, err := p.plan(product, 3, "marketplace", money.New(100_000, money.IDR()), start)
		if err != nil || plan.DownPayment.Minor() != 20_000 || plan.Principal.Minor() != 80_000 {
			t.Errorf("%+v, %v", plan, err)
		}
	}
	if _, err := p.plan(product, 3, "marketplace", money.New(12_000, money.IDR()), start); !errs.Is(err, errs.ProductNotEligible) {
		t.Errorf("what is financed is too small: %v", err)
	}
}
