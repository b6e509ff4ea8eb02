package app_test

import (
	"testing"

	"github.com/creditpay/creditpay/pkg/errs"

	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

// TestRefundParts_AreAskedWhileTheRefundCalls: bill and payment ask this service before they move anything, while it waits for them. When it
// does not answer, they do not either: the refund stays where it is, and goes on later.
func TestRefundParts_AreAskedWhileTheRefundCalls(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	r := b.mustAsk(t, b.order(1_000_000, 200_000, 0, "CONFIRMED"), 100_000, "r-1")
	away := func(want domain.Step) {
		t.Helper()
		b.world.deaf = true
		for range 2 {
			if _, err := b.DriveRefund(t.Context(), r.ID); !errs.Is(err, errs.DependencyUnavailable) {
				t.Errorf("nobody confirms it: %v", err)
			}
		}
		b.world.deaf = false
		got, err := b.RefundParts(t.Context(), r.ID)
		if err != nil || got.State != domain.StateExecuting || got.Step != want {
			t.Errorf("it is %s/%s, %v, want %s", got.State, got.Step, err, want)
		}
	}
	away(domain.StepAdjust)
	if len(b.world.adjusted) != 0 {
		t.Error("the loan was adjusted for what nobody confirmed")
	}
	if _, err := b.world.Adjust(t.Context(), r.ID, r.OrderID, r.Share.Credit, ""); err != nil {
		t.Fatal(err)
	}
	// The loan is adjusted and the answer was lost: bill answers by its record, payment has to ask.
	away(domain.StepPayment)
	if got := b.drive(t, r.ID); got.State != domain.StateExecuting || got.Step != domain.StepWait {
		t.Errorf("driven on, it is %s/%s", got.State, got.Step)
	}
	if _, err := b.RefundParts(t.Context(), b.ids.New()); !errs.Is(err, errs.NotFound) {
		t.Errorf("an invented refund: %v", err)
	}
}
