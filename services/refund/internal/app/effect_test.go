package app_test

import (
	"testing"

	"github.com/creditpay/creditpay/services/refund/internal/wire"
)

func TestNoEffectIsToldBeforeItIsKnown(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := b.order(1_000_000, 200_000, 0, "CONFIRMED")
	asked := wire.Refund(b.mustAsk(t, order, 100_000, "r-1"))
	if e := asked.GetEffect(); e.GetPrincipalReduced() != nil || e.GetCashReturned() != nil || e.GetCreditPart().GetAmountMinor() != 80_000 || e.GetDownPaymentPart().GetAmountMinor() != 20_000 {
		t.Errorf("asked for: %v", e)
	}
	frozen := wire.Refund(b.mustAsk(t, order, 200_000, ""))
	if e := frozen.GetEffect(); e.GetPrincipalReduced().GetAmountMinor() != 160_000 || e.GetCashReturned().GetAmountMinor() != 40_000 {
		t.Errorf("frozen: %v", e)
	}
	done := wire.Refund(b.drive(t, b.mustAsk(t, order, 100_000, "r-2").ID))
	if e := done.GetEffect(); e.GetPrincipalReduced().GetAmountMinor() != 80_000 || e.GetCashReturned().GetAmountMinor() != 20_000 || len(e.GetLegs()) != 1 {
		t.Errorf("carried out: %v", e)
	}
}
