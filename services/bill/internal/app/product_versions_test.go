package app_test

import (
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// A loan keeps the version of its product: days, late fee and settlement rule of a newer one are for the loans of that one.
func TestALoanKeepsTheProductVersionThatItWasMadeWith(t *testing.T) {
	t.Parallel()
	b, first := begun(t)
	next := domain.DefaultProducts(money.IDR())[0]
	next.Servicing.Late.RatePPM, next.Servicing.Settlement = 100_000, domain.SettleKeepAll
	next.BillDay, next.DueDay, next.FeeRatePPM = 1, 11, 0
	added, err := b.CreateProductVersion(t.Context(), "ADMIN:alice", "version-2", next)
	if err != nil || added.Version != 2 {
		t.Fatal(added, err)
	}
	if again, err := b.CreateProductVersion(t.Context(), "ADMIN:alice", "version-2", next); err != nil || again.Version != 2 {
		t.Errorf("a repeat adds version %d, %v", again.Version, err)
	}
	b.open(t, "u2", 1_000_000)
	b.clock.Advance(2 * time.Second)
	old := b.purchase("u2", loanPrice)
	old.AgreedTotal = rp(3*nextInstalment + 3_000)
	if _, err := b.ReserveCredit(t.Context(), old); !errs.Is(err, errs.PlanChanged) {
		t.Errorf("the old version without a quote: %v", err)
	}
	r := b.purchase("u2", loanPrice)
	r.ProductVersion = 2
	b.reserve(t, r)
	if err := b.apply(t.Context(), b.confirmed(r.Orders[0].OrderID, b.clock.Now())); err != nil {
		t.Fatal(err)
	}
	b.advanceTo(t, 2026, time.June, 13)
	x, y := b.standing(t, "u1").Loans[0], b.standing(t, "u2").Loans[0]
	// 5 % of 111,850 due on the 5th, 10 % of 108,850 due on the 11th.
	if x.ID != first || x.Plan.ProductVersion != 1 || x.Position.Instalments[0].DueDate.String() != "2026-06-05" || x.Position.Open.Late != rp(5_593) {
		t.Errorf("version 1: %+v", x.Position.Instalments[0])
	}
	if y.Plan.ProductVersion != 2 || y.Position.Instalments[0].DueDate.String() != "2026-06-11" || y.Position.Open.Late != rp(10_885) {
		t.Errorf("version 2: %+v", y.Position.Instalments[0])
	}
	for user, saved := range map[string]int64{"u1": 2 * 8_850, "u2": 0} {
		q, err := b.QuoteEarlySettlement(t.Context(), user, b.standing(t, user).Loans[0].ID)
		if err != nil || q.SavedInterest != rp(saved) {
			t.Errorf("settling saves %s %s, %v; want %d", user, q.SavedInterest, err, saved)
		}
	}
}
