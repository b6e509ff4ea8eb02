package app_test

import (
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/checkoutproof"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/order/internal/app"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

// proofOf is what the payer's page gets.
func (w *world) proofOf(c domain.Checkout) string {
	w.t.Helper()
	info, err := w.QueryCheckoutInfo(w.t.Context(), payer(c.UserID), app.CheckoutName{ID: c.ID})
	if err != nil {
		w.t.Fatal(err)
	}
	return info.Proof
}

func TestCheckoutInfo_ProvesOpenCheckoutsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.generate("request-0", draft("a"))
	good := func(proof string, checkout ids.ID, userID string, at time.Time) bool {
		return checkoutproof.Good(w.Proofs, proof, checkout, userID, at)
	}
	now := w.clock.Now()
	proof := w.proofOf(c)
	if !good(proof, c.ID, c.UserID, now) || good(proof, c.ID, c.UserID, now.Add(w.ProofLife)) {
		t.Errorf("the proof %q is not good for %s", proof, w.ProofLife)
	}
	w.clock.Set(c.ExpireTime.Add(-time.Minute))
	if proof = w.proofOf(c); !good(proof, c.ID, c.UserID, w.clock.Now()) || good(proof, c.ID, c.UserID, c.ExpireTime) {
		t.Error("the proof outlives the checkout")
	}
	commit := w.begin(c)
	if got := w.proofOf(c); got != "" {
		t.Errorf("a checkout in a commit: got proof %q, want none", got)
	}
	w.clock.Set(c.ExpireTime)
	if err := w.AbortCommit(t.Context(), app.Abort{CheckoutID: c.ID, CommitID: commit, Reason: "failed", Actor: "SERVICE:payment"}); err != nil {
		t.Fatal(err)
	}
	if got := w.proofOf(c); got != "" {
		t.Errorf("a checkout whose time is over: got proof %q, want none", got)
	}
}

// The database that answers may not know the checkout yet: what was aborted stays aborted.
func TestAbort_OfAnUnknownCheckoutBarsTheCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	commit := w.IDs.New()
	err := w.AbortCommit(t.Context(), app.Abort{CheckoutID: w.IDs.New(), CommitID: commit, Reason: "given up", Actor: "SERVICE:payment"})
	if !errs.Is(err, errs.NotFound) {
		t.Errorf("got %v, want NOT_FOUND", err)
	}
	c := w.generate("request-0", draft("a"))
	if _, err := w.BeginCommit(t.Context(), c.ID, domain.Commit{ID: commit, UserID: c.UserID}, "SERVICE:payment"); !errs.Is(err, errs.CommitAborted) {
		t.Errorf("a begin that comes later: got %v, want COMMIT_ABORTED", err)
	}
}
