package app_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/checkoutproof"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

const (
	mallory   = "mallory"
	asMallory = "H5:mallory"
)

// pay commits with a plan choice and no quote, for whoever calls.
func (w *world) pay(userID, caller, request, checkout, proof string) (app.CommitAnswer, error) {
	return w.DoCommitPayment(context.Background(), userID, caller, request, pin, app.CommitRequest{CheckoutID: checkout, Proof: proof,
		Choice: &app.PlanChoice{Channel: "CREDIT", ProductCode: "SPL_ID", ProductVersion: 1, TenorMonths: 3,
			AgreedTotal: money.New(planTotal, money.IDR())}})
}

// junk stores a commit as the version before this one did: nobody asked whether the checkout is the payer's.
func (w *world) junk(checkout ids.ID, userID string) {
	w.t.Helper()
	pin, err := w.store.Pin(context.Background(), userID)
	if err != nil {
		w.t.Fatal(err)
	}
	c := domain.Commit{ID: w.gen.New(), CheckoutID: checkout, UserID: userID, Caller: "H5:" + userID, RequestID: "junk-" + w.gen.New().String(),
		State: domain.CommitStarted, Version: 1, CreateTime: w.clock.Now(), RecoverTime: w.clock.Now(), Terms: domain.Terms{Channel: "CREDIT",
			ProductCode: "SPL_ID", ProductVersion: 1, TenorMonths: 3, AgreedTotal: money.New(planTotal, money.IDR())}}
	if err := w.store.Do(context.Background(), func(tx app.Tx) error {
		tx.InsertCommit(c, *pin)
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
}

// 1,500 commits of checkouts that nobody made were 1,500 sagas that never ended; the checkout is asked for first.
func TestCommit_OfNoCheckoutStoresNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setPin()
	for i := range 1500 {
		_, err := w.pay(user, who, fmt.Sprintf("junk-%05d", i), ids.Format(ids.Checkout, w.gen.New()), "")
		w.wantReason(err, errs.NotFound)
	}
	if n := w.count(`SELECT COUNT(*) FROM commits`); n != 0 {
		t.Errorf("got %d commits stored, want 0", n)
	}
	w.clock.Advance(time.Hour)
	w.proveBooks()
}

func TestCommit_OfAForeignCheckoutTouchesNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setPin()
	w.setPinOf(mallory, asMallory)
	proof := checkoutproof.Make(w.Proofs, w.orders.checkout.ID, user, w.clock.Now().Add(time.Minute))
	for name, p := range map[string]string{"no proof": "", "the owner's proof": proof, "rubbish": "AAAA"} {
		if _, err := w.pay(mallory, asMallory, "steal-"+w.gen.New().String(), w.checkoutID(), p); !errs.Is(err, errs.NotFound) {
			t.Errorf("%s: got %v, want NOT_FOUND", name, err)
		}
	}
	if n := w.count(`SELECT COUNT(*) FROM commits`); n != 0 {
		t.Errorf("got %d commits stored, want 0", n)
	}
	if st, err := w.QueryPaymentStatus(context.Background(), user, w.checkoutID()); err != nil || st.State != domain.PaymentCreated {
		t.Errorf("the owner's status: got %+v, %v, want CREATED", st, err)
	}
	if _, err := w.QueryPaymentStatus(context.Background(), mallory, w.checkoutID()); !errs.Is(err, errs.NotFound) {
		t.Errorf("a stranger's status: got %v, want NOT_FOUND", err)
	}
	if a, err := w.pay(user, who, "commit-1", w.checkoutID(), proof); err != nil || a.State != domain.PaymentSucceeded {
		t.Errorf("the owner's commit: got %+v, %v", a, err)
	}
	w.proveBooks()
}

// With the order service's proof the order service is not asked; with one that is no good it is.
func TestCommit_ProofSavesTheQuestion(t *testing.T) {
	t.Parallel()
	other, err := secret.GenerateKeyring()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		proof func(*world) string
		asked int
	}{
		"good": {func(w *world) string {
			return checkoutproof.Make(w.Proofs, w.orders.checkout.ID, user, w.clock.Now().Add(time.Minute))
		}, 0},
		"none":    {func(*world) string { return "" }, 1},
		"too old": {func(w *world) string { return checkoutproof.Make(w.Proofs, w.orders.checkout.ID, user, w.clock.Now()) }, 1},
		"another key": {func(w *world) string {
			return checkoutproof.Make(other, w.orders.checkout.ID, user, w.clock.Now().Add(time.Minute))
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.setPin()
			a, err := w.pay(user, who, "commit-1", w.checkoutID(), c.proof(w))
			if err != nil || a.State != domain.PaymentSucceeded {
				t.Fatalf("got %+v, %v", a, err)
			}
			if w.orders.asked != c.asked {
				t.Errorf("the order service was asked %d times, want %d", w.orders.asked, c.asked)
			}
			// Another proof is no other content.
			if again, err := w.pay(user, who, "commit-1", w.checkoutID(), ""); err != nil || again.CommitID != a.CommitID {
				t.Errorf("the repeat: got %+v, %v", again, err)
			}
			w.proveBooks()
		})
	}
}

func TestCommit_OfAClosedCheckoutStoresNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setPin()
	w.orders.checkout.Open, w.orders.checkout.Why = false, errs.CheckoutCancelled.New("cancelled")
	_, err := w.pay(user, who, "commit-1", w.checkoutID(), "")
	w.wantReason(err, errs.CheckoutCancelled)
	if n := w.count(`SELECT COUNT(*) FROM commits`); n != 0 {
		t.Errorf("got %d commits stored, want 0", n)
	}
}

// What the version before let in ends with the next tick: FAILED with a reason, and the owner of the checkout can pay.
func TestCommit_OfAnUnknownPeerObjectEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setPin()
	w.setPinOf(mallory, asMallory)
	for range 30 {
		w.junk(w.gen.New(), mallory)
	}
	w.junk(w.orders.checkout.ID, mallory)
	if st, err := w.QueryPaymentStatus(context.Background(), user, w.checkoutID()); err != nil || st.State != domain.PaymentCreated {
		t.Errorf("the owner's status: got %+v, %v, want CREATED", st, err)
	}
	w.recoverAll()
	if n := w.count(`SELECT COUNT(*) FROM commits WHERE state = ? AND failure_reason = 'NOT_FOUND'`, domain.CommitFailed); n != 31 {
		t.Errorf("got %d failed commits, want 31", n)
	}
	if left := w.recoveries(); len(left) != 0 {
		t.Errorf("got %d timers left, want 0", len(left))
	}
	if a, err := w.pay(user, who, "commit-1", w.checkoutID(), ""); err != nil || a.State != domain.PaymentSucceeded {
		t.Errorf("the owner's commit: got %+v, %v", a, err)
	}
	w.clock.Advance(time.Hour)
	w.proveBooks()
}
