package app_test

import (
	"context"
	"testing"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

func quote(user string, prices ...int64) app.QuoteRequest {
	q := app.QuoteRequest{UserID: user, Business: "marketplace"}
	for _, p := range prices {
		q.Orders = append(q.Orders, app.FinancedOrder{Amount: rp(p)})
	}
	return q
}

func TestQuoteOffersEachProductsTenorsShortestFirst(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	q, err := b.QuotePlans(t.Context(), quote("u1", 100_000, 50_000))
	if err != nil || q.Refusal != nil || !q.HasAccount {
		t.Fatalf("%+v, %v", q, err)
	}
	want := []struct {
		months  int
		product string
	}{{1, "SPL_ID"}, {3, "SPL_ID"}, {3, "SPL_ID_REDUCING"}, {6, "SPL_ID"}, {6, "SPL_ID_REDUCING"}, {12, "SPL_ID"}, {12, "SPL_ID_REDUCING"}}
	if len(q.Offers) != len(want) {
		t.Fatalf("%d offers", len(q.Offers))
	}
	for i, o := range q.Offers {
		if o.Total.TenorMonths != want[i].months || o.Total.ProductCode != want[i].product || len(o.PerOrder) != 2 ||
			o.Total.Principal != rp(150_000) || o.PerOrder[0].Principal != rp(100_000) || o.Total.EffectiveAnnualRatePPM == 0 {
			t.Errorf("offer %d: %+v", i, o.Total)
		}
	}
	// Published: Rp100,000 once is Rp103,950.
	if got := q.Offers[0].PerOrder[0].Total; got != rp(103_950) {
		t.Errorf("100,000 in one month costs %s", got)
	}
	one := quote("u1", 100_000)
	one.TenorMonths = 3
	if q, err := b.QuotePlans(t.Context(), one); err != nil || len(q.Offers) != 2 || q.Offers[0].Total.TenorMonths != 3 || q.Offers[0].Total.ProductCode != "SPL_ID" {
		t.Errorf("one tenor: %+v, %v", q, err)
	}
	one.ProductCode = "SPL_ID_REDUCING"
	if q, err := b.QuotePlans(t.Context(), one); err != nil || len(q.Offers) != 1 || q.Offers[0].Total.ProductCode != "SPL_ID_REDUCING" {
		t.Errorf("one product and tenor: %+v, %v", q, err)
	}
	one.TenorMonths = 1
	if q, err := b.QuotePlans(t.Context(), one); err != nil || len(q.Offers) != 0 || !errs.Is(q.Refusal, errs.TenorNotOffered) {
		t.Errorf("a tenor that the product lacks: %+v, %v", q, err)
	}
}

func TestQuoteRefusesWhatReserveRefuses(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "rich", 1_000_000)
	b.open(t, "poor", 15_000)
	b.open(t, "frozen", 1_000_000)
	if _, err := b.FreezeCreditAccount(t.Context(), b.request("frozen")); err != nil {
		t.Fatal(err)
	}
	b.open(t, "late", 1_000_000)
	b.running(t, "late", 30_000)
	b.advanceTo(t, 2026, 6, 7) // the first instalment was due on the 5th
	for _, c := range []struct {
		user   string
		price  int64
		tenor  int
		want   errs.Reason
		offers bool
	}{
		{"rich", 20_000, 3, errs.Reason{}, true},
		{"poor", 20_000, 3, errs.LimitInsufficient, true},
		{"frozen", 20_000, 3, errs.AccountFrozen, true},
		{"late", 20_000, 3, errs.AccountOverdue, true},
		{"nobody", 20_000, 3, errs.AccountNotFound, true},
		{"rich", 5_000, 3, errs.ProductNotEligible, false},
		{"poor", 60_000_000, 3, errs.ProductNotEligible, false},
		{"rich", 20_000, 5, errs.TenorNotOffered, false},
	} {
		request := quote(c.user, c.price)
		request.TenorMonths = c.tenor
		q, err := b.QuotePlans(t.Context(), request)
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		purchase := b.purchase(c.user, c.price)
		purchase.TenorMonths = c.tenor
		_, reserveErr := b.ReserveCredit(t.Context(), purchase)
		quoted, _ := errs.ReasonOf(q.Refusal)
		reserved, _ := errs.ReasonOf(reserveErr)
		if quoted != c.want || reserved != c.want || (len(q.Offers) > 0) != c.offers {
			t.Errorf("%+v: quote says %v with %d offers, reserve %v", c, q.Refusal, len(q.Offers), reserveErr)
		}
	}
}

// One tenor of one product costs more than the law allows: it is not offered, and everything else is.
func TestATenorAboveTheLawIsNotOfferedAndTakesNoOtherWithIt(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	dear := domain.DefaultProducts(money.IDR())[0]
	dear.Code = "DEAR"
	dear.Tenors = []domain.Tenor{{Months: 1, RatePPM: 1_000, RatePeriod: domain.PerMonth}, {Months: 12, RatePPM: 900_000, RatePeriod: domain.PerMonth}}
	dear.Servicing.Caps = []domain.CapRule{{From: civil.Date{Year: 2024, Month: 1, Day: 1}, TotalPPM: money.PPM}}
	if _, err := b.CreateProductVersion(t.Context(), "ADMIN:alice", "product-1", dear); err != nil {
		t.Fatal(err)
	}
	q, err := b.QuotePlans(t.Context(), quote("u1", 100_000))
	if err != nil || q.Refusal != nil || len(q.Offers) != 7+1 {
		t.Fatalf("%d offers, refused for %v, %v", len(q.Offers), q.Refusal, err)
	}
	one := quote("u1", 100_000)
	one.ProductCode, one.TenorMonths = "DEAR", 12
	purchase := b.purchase("u1", 100_000)
	purchase.ProductCode, purchase.TenorMonths = "DEAR", 12
	_, reserveErr := b.ReserveCredit(t.Context(), purchase)
	if q, err := b.QuotePlans(t.Context(), one); err != nil || len(q.Offers) != 0 || !errs.Is(q.Refusal, errs.ProductNotEligible) || !errs.Is(reserveErr, errs.ProductNotEligible) {
		t.Errorf("the tenor alone: %+v, %v; reserve: %v", q, err, reserveErr)
	}
}

func TestAProductForOtherAccountsIsNotOffered(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	late := domain.DefaultProducts(money.IDR())[0]
	late.Code, late.Servicing.AccountStates = "LATE", domain.AccountStateList{domain.AccountOverdue}
	if _, err := b.CreateProductVersion(t.Context(), "ADMIN:alice", "product-1", late); err != nil {
		t.Fatal(err)
	}
	if q, err := b.QuotePlans(t.Context(), quote("u1", 100_000)); err != nil || len(q.Offers) != 7 {
		t.Errorf("%d offers, %v", len(q.Offers), err)
	}
	purchase := b.purchase("u1", 100_000)
	purchase.ProductCode = "LATE"
	if _, err := b.ReserveCredit(t.Context(), purchase); !errs.Is(err, errs.ProductNotEligible) {
		t.Errorf("reserve: %v", err)
	}
}

func TestQuoteInAnotherCurrency(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	q, err := b.QuotePlans(t.Context(), app.QuoteRequest{UserID: "u1", Business: "marketplace",
		Orders: []app.FinancedOrder{{Amount: money.New(20_000, money.USD())}}})
	if err != nil || !errs.Is(q.Refusal, errs.CurrencyMismatch) || len(q.Offers) != 0 {
		t.Errorf("%+v, %v", q, err)
	}
	mixed := quote("u1", 20_000)
	mixed.Orders = append(mixed.Orders, app.FinancedOrder{Amount: money.New(20_000, money.USD())})
	if _, err := b.QuotePlans(t.Context(), mixed); !errs.Is(err, errs.CurrencyMismatch) {
		t.Errorf("mixed currencies: %v", err)
	}
}

func TestProductsComeByPage(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	page, more, err := b.ListProducts(t.Context(), "", 1)
	if err != nil || len(page) != 1 || page[0].Code != "SPL_ID" || !more {
		t.Fatalf("first page %v, %v, %v", page, more, err)
	}
	page, more, err = b.ListProducts(t.Context(), "SPL_ID", 1)
	if err != nil || len(page) != 1 || page[0].Code != "SPL_ID_REDUCING" || more {
		t.Errorf("second page %v, %v, %v", page, more, err)
	}
	if page, more, err = b.ListProducts(t.Context(), "SPL_ID_REDUCING", 1); err != nil || len(page) != 0 || more {
		t.Errorf("page after the last %v, %v, %v", page, more, err)
	}
}

func TestAnEndedCallIsNotAnAnswer(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := b.purchase("u1", 20_000)
	if _, err := b.ReserveCredit(ctx, r); err == nil || errs.Business(err) {
		t.Errorf("reserve: %v", err)
	}
	if _, err := b.QuotePlans(ctx, quote("u1", 20_000)); err == nil || errs.Business(err) {
		t.Errorf("quote: %v", err)
	}
	b.reserve(t, r)
}
