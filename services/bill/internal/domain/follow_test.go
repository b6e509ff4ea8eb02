package domain

import (
	"errors"
	"testing"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

func TestLoanFollowsItsPositionAndBackAgain(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	draft := draftOf(t)
	loan, err := draft.Activate(aTime(), day(t, "2026-04-10"), p)
	if err != nil {
		t.Fatal(err)
	}
	terms := Contract{Product: p, Plan: loan.Plan, Start: day(t, "2026-04-10")}
	paid := fact(t, 1, FactRepaid, "2026-05-05", rp(109_850))
	settled, err := loan.Follow(replayedOn(t, terms, "2026-05-05", paid), aTime())
	if err != nil || settled.State != LoanSettled || settled.EndTime.IsZero() || !settled.Outstanding.IsZero() {
		t.Fatalf("%+v, %v", settled, err)
	}
	late, err := settled.Follow(replayedOn(t, terms, "2026-05-06"), aTime())
	if err != nil || late.State != LoanOverdue || !late.EndTime.IsZero() || late.Outstanding != rp(100_000) {
		t.Fatalf("after the bounce: %+v, %v", late, err)
	}
	off, err := late.Follow(replayedOn(t, terms, "2026-05-06", fact(t, 2, FactWrittenOff, "2026-05-06", rp(0))), aTime())
	if err != nil || off.State != LoanWrittenOff || !off.Outstanding.IsZero() {
		t.Fatalf("written off: %+v, %v", off, err)
	}
	if _, err := off.Follow(replayedOn(t, terms, "2026-05-06"), aTime()); !errs.Is(err, errs.LoanStateInvalid) {
		t.Errorf("a write-off stands: %v", err)
	}
	if _, err := draft.Follow(replayedOn(t, terms, "2026-05-06"), aTime()); !errs.Is(err, errs.LoanStateInvalid) {
		t.Errorf("a draft has no position: %v", err)
	}
	other := contractOf(t, p, rp(50_000), "2026-04-10")
	if _, err := loan.Follow(replayedOn(t, other, "2026-05-06"), aTime()); !errors.Is(err, ErrInvariant) {
		t.Errorf("another loan: %v", err)
	}
}

func TestABounceMayBringTheAccountAboveItsLimit(t *testing.T) {
	t.Parallel()
	a := accountOf(1_000, 700, 200)
	a, err := a.DebtChanged(rp(0), rp(300))
	if err != nil || a.Used != rp(1_000) || !a.Available().IsZero() {
		t.Fatalf("%+v, %v", a, err)
	}
	if a.CheckFigures() != nil || !errors.Is(a.Check(), ErrInvariant) {
		t.Errorf("figures %v, limit %v", a.CheckFigures(), a.Check())
	}
	if !errs.Is(a.MayBuy(rp(1)), errs.LimitInsufficient) {
		t.Error("there is nothing to spend")
	}
	// What was held before still becomes debt, or is released.
	if used, err := a.UseHold(rp(200)); err != nil || used.Used != rp(1_200) {
		t.Errorf("hold into debt: %+v, %v", used, err)
	}
	if free, err := a.ReleaseHold(rp(200)); err != nil || !free.Held.IsZero() {
		t.Errorf("release: %+v, %v", free, err)
	}
	if a, err = a.DebtChanged(rp(600), rp(0)); err != nil || a.Available() != rp(400) || a.Check() != nil {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err = a.DebtChanged(rp(401), rp(0)); !errors.Is(err, ErrInvariant) {
		t.Errorf("less than nothing: %v", err)
	}
}
