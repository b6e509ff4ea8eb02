package app_test

import (
	"slices"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/app"
)

func TestPurchasesAtOnceNeverHoldMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 100_000)
	refused := 0
	for i, err := range together(50, func(int) error {
		_, err := b.ReserveCredit(t.Context(), b.purchase("u1", 20_000, 12_000))
		return err
	}) {
		switch {
		case errs.Is(err, errs.LimitInsufficient):
			refused++
		case err != nil:
			t.Errorf("caller %d: %v", i, err)
		}
	}
	if refused != 47 {
		t.Errorf("%d of 50 were refused, want 47", refused)
	}
	b.wantFigures(t, "u1", 100_000, 0, 96_000)
}

func TestACommitIsHeldAsAWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 100_000)
	r := b.purchase("u1", 60_000, 50_000)
	if _, err := b.ReserveCredit(t.Context(), r); !errs.Is(err, errs.LimitInsufficient) {
		t.Errorf("orders that exceed the limit together: %v", err)
	}
	b.wantFigures(t, "u1", 100_000, 0, 0)
	if n := b.count(t, `SELECT COUNT(*) FROM loans`) + b.count(t, `SELECT COUNT(*) FROM reservations`); n != 0 {
		t.Errorf("%d rows are left of it", n)
	}
}

func TestFiftyCallersOfOneCommitGetTheSameLoans(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 100_000)
	r := b.purchase("u1", 40_000, 30_000)
	answers := make([][]app.ReservedLoan, 50)
	for i, err := range together(50, func(i int) (err error) {
		answers[i], err = b.ReserveCredit(t.Context(), r)
		return err
	}) {
		if err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
		if !slices.Equal(answers[i], answers[0]) {
			t.Errorf("caller %d got %v, caller 0 %v", i, answers[i], answers[0])
		}
	}
	if len(answers[0]) != 2 || answers[0][0].OrderID != r.Orders[0].OrderID || answers[0][1].OrderID != r.Orders[1].OrderID {
		t.Errorf("loans do not follow the orders: %v", answers[0])
	}
	b.wantFigures(t, "u1", 100_000, 0, 70_000)
}

func TestRepeatedCommitIsAnsweredAfterActivationToo(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 100_000)
	r := b.purchase("u1", 40_000)
	first := b.reserve(t, r)
	if err := b.apply(t.Context(), b.confirmed(r.Orders[0].OrderID, b.clock.Now())); err != nil {
		t.Fatal(err)
	}
	if again := b.reserve(t, r); !slices.Equal(again, first) {
		t.Errorf("got %v, first %v", again, first)
	}
}

func TestOtherContentUnderTheSameCommitIsRefused(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 100_000)
	r := b.purchase("u1", 40_000)
	b.reserve(t, r)
	other := r
	other.TenorMonths = 6
	if _, err := b.ReserveCredit(t.Context(), other); !errs.Is(err, errs.RequestIDReused) {
		t.Errorf("another tenor: %v", err)
	}
	other = b.purchase("u1", 40_000)
	other.CommitID = r.CommitID
	if _, err := b.ReserveCredit(t.Context(), other); !errs.Is(err, errs.RequestIDReused) {
		t.Errorf("another order: %v", err)
	}
}

func TestAnOrderHasOneLoanThatCounts(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 100_000)
	first := b.purchase("u1", 20_000)
	b.reserve(t, first)
	second := first
	second.CommitID = b.ids.New()
	if _, err := b.ReserveCredit(t.Context(), second); !errs.Is(err, errs.LoanStateInvalid) {
		t.Errorf("second commit of an order with a loan: %v", err)
	}
	if err := b.ReleaseCredit(t.Context(), app.ReleaseRequest{CommitID: first.CommitID}); err != nil {
		t.Fatal(err)
	}
	b.reserve(t, second)
	b.wantFigures(t, "u1", 100_000, 0, 20_000)
}

func TestMalformedPurchasesAreRefused(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 100_000)
	for name, c := range map[string]struct {
		change func(*app.ReserveRequest)
		want   errs.Reason
	}{
		"no orders":          {func(r *app.ReserveRequest) { r.Orders = nil }, errs.InvalidArgument},
		"order named twice":  {func(r *app.ReserveRequest) { r.Orders[1].OrderID = r.Orders[0].OrderID }, errs.InvalidArgument},
		"no order id":        {func(r *app.ReserveRequest) { r.Orders[0].OrderID = ids.ID{} }, errs.InvalidArgument},
		"no merchant":        {func(r *app.ReserveRequest) { r.Orders[0].MerchantID = "" }, errs.InvalidArgument},
		"nothing":            {func(r *app.ReserveRequest) { r.Orders[0].Amount = rp(0) }, errs.InvalidArgument},
		"too small":          {func(r *app.ReserveRequest) { r.Orders[0].Amount = rp(9_999) }, errs.ProductNotEligible},
		"unknown product":    {func(r *app.ReserveRequest) { r.ProductCode = "NONE" }, errs.ProductNotEligible},
		"unknown version":    {func(r *app.ReserveRequest) { r.ProductVersion = 2 }, errs.ProductNotEligible},
		"tenor not offered":  {func(r *app.ReserveRequest) { r.TenorMonths = 5 }, errs.TenorNotOffered},
		"user has no credit": {func(r *app.ReserveRequest) { r.UserID = "nobody" }, errs.AccountNotFound},
	} {
		r := b.purchase("u1", 20_000, 30_000)
		c.change(&r)
		if _, err := b.ReserveCredit(t.Context(), r); !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want.Name())
		}
	}
	b.wantFigures(t, "u1", 100_000, 0, 0)
}

func TestAPlanAgreedToWithoutAQuoteIsHeldOnlyAsItIsOffered(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	agreed := b.purchase("u1", 100_000)
	plans, err := b.QuotePlans(t.Context(), app.QuoteRequest{UserID: "u1", Business: agreed.Business, Orders: agreed.Orders, TenorMonths: agreed.TenorMonths, ProductCode: agreed.ProductCode})
	if err != nil || len(plans.Offers) != 1 {
		t.Fatalf("%+v, %v", plans, err)
	}
	agreed.AgreedTotal = plans.Offers[0].Total.Total
	less := agreed
	less.AgreedTotal = money.New(agreed.AgreedTotal.Minor()-1, agreed.AgreedTotal.Currency())
	if _, err := b.ReserveCredit(t.Context(), less); !errs.Is(err, errs.PlanChanged) {
		t.Errorf("another total: %v", err)
	}
	b.wantFigures(t, "u1", 1_000_000, 0, 0)
	first, err := b.ReserveCredit(t.Context(), agreed)
	if err != nil {
		t.Fatal(err)
	}
	// The product is sold under other terms from now on: what was held stays, a new purchase by the old terms is refused.
	if _, err := b.db.ExecContext(t.Context(), `INSERT INTO products SELECT code, 2, REPLACE(CAST(definition AS CHAR), '"version":1', '"version":2'), effective_time, create_time
		FROM products WHERE code = ? AND version = 1`, agreed.ProductCode); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(time.Hour) // Longer than the list of products is kept in memory.
	if again, err := b.ReserveCredit(t.Context(), agreed); err != nil || !slices.Equal(first, again) {
		t.Errorf("repeated: %+v, %v", again, err)
	}
	late := b.purchase("u1", 100_000)
	late.AgreedTotal = agreed.AgreedTotal
	if _, err := b.ReserveCredit(t.Context(), late); !errs.Is(err, errs.PlanChanged) {
		t.Errorf("by old terms: %v", err)
	}
	quoted := b.purchase("u1", 100_000)
	if _, err := b.ReserveCredit(t.Context(), quoted); err != nil {
		t.Errorf("by a locked quote: %v", err)
	}
}
