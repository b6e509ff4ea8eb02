package domain

import (
	"errors"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// aTime is when the test's loans are drafted.
func aTime() time.Time { return time.Date(2026, 4, 10, 3, 0, 0, 0, time.UTC) }

// draftOf is a draft of a plan of three months.
func draftOf(t *testing.T) Loan {
	t.Helper()
	loan, err := Draft(LoanOrigin{
		LoanID: ids.ID{1}, AccountID: ids.ID{2}, OrderID: ids.ID{3}, CommitID: ids.ID{4},
		UserID: "u1", MerchantID: "m1", Business: "marketplace",
	}, planOf(t, 3, 100_000), aTime())
	if err != nil {
		t.Fatal(err)
	}
	return loan
}

func TestActivationMakesTheHoldADebtWithRealDates(t *testing.T) {
	t.Parallel()
	draft, p := draftOf(t), DefaultProducts(money.IDR())[0]
	if !draft.Outstanding.IsZero() || draft.State != LoanDraft {
		t.Fatalf("draft: %+v", draft)
	}
	at := time.Date(2026, 4, 24, 17, 30, 0, 0, time.UTC) // the 25th in Jakarta
	loan, err := draft.Activate(at, day(t, "2026-04-25"), p)
	if err != nil {
		t.Fatal(err)
	}
	if loan.State != LoanActive || loan.Outstanding != rp(100_000) || !loan.ActivateTime.Equal(at) {
		t.Errorf("loan: %+v", loan)
	}
	if got := loan.Plan.Instalments[0].DueDate; got != day(t, "2026-06-05") {
		t.Errorf("first due %s", got)
	}
	if got := draft.Plan.Instalments[0].DueDate; got != day(t, "2026-05-05") {
		t.Errorf("the draft was changed: %s", got)
	}
	if _, err := loan.Activate(at, day(t, "2026-04-25"), p); !errs.Is(err, errs.LoanStateInvalid) {
		t.Errorf("second activation: %v", err)
	}
	if _, err := loan.Void(at); !errs.Is(err, errs.LoanStateInvalid) {
		t.Errorf("void of an active loan: %v", err)
	}
}

func TestVoidEndsADraftForGood(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	loan, err := draftOf(t).Void(aTime())
	if err != nil || loan.State != LoanVoid || !loan.Outstanding.IsZero() {
		t.Fatalf("void: %+v, %v", loan, err)
	}
	if _, err := loan.Void(aTime()); !errs.Is(err, errs.LoanStateInvalid) {
		t.Errorf("second void: %v", err)
	}
	if _, err := loan.Activate(aTime(), day(t, "2026-04-25"), p); !errs.Is(err, errs.LoanStateInvalid) {
		t.Errorf("activation of a void loan: %v", err)
	}
}

func TestActivationNeedsTheLoansOwnProductVersion(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	p.Version = 2
	if _, err := draftOf(t).Activate(aTime(), day(t, "2026-04-25"), p); !errors.Is(err, ErrInvariant) {
		t.Errorf("other version: %v", err)
	}
}

func TestDraftRefusesAnIncompleteOrigin(t *testing.T) {
	t.Parallel()
	if _, err := Draft(LoanOrigin{}, planOf(t, 3, 100_000), aTime()); !errs.Is(err, errs.InvalidArgument) {
		t.Errorf("empty origin: %v", err)
	}
}

func TestLoanMovesAreExactlyThoseOfTheTable(t *testing.T) {
	t.Parallel()
	legal := map[[2]LoanState]bool{
		{LoanDraft, LoanActive}: true, {LoanDraft, LoanVoid}: true,
		{LoanActive, LoanOverdue}: true, {LoanOverdue, LoanActive}: true,
		{LoanActive, LoanSettled}: true, {LoanOverdue, LoanSettled}: true,
		{LoanActive, LoanWrittenOff}: true, {LoanOverdue, LoanWrittenOff}: true,
		{LoanSettled, LoanActive}: true, {LoanSettled, LoanOverdue}: true,
	}
	for from := LoanDraft; from <= LoanWrittenOff; from++ {
		for to := LoanDraft; to <= LoanWrittenOff; to++ {
			if got := LoanStates.Check(from, to) == nil; got != legal[[2]LoanState{from, to}] {
				t.Errorf("%s to %s: legal is %v", from, to, got)
			}
		}
	}
	if got := LoanStates.Initial(); len(got) != 1 || got[0] != LoanDraft {
		t.Errorf("a loan is born in %v", got)
	}
}

func TestLoanCheckFindsContradictions(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string]func(*Loan){
		"draft that owes":     func(l *Loan) { l.Outstanding = rp(1) },
		"more than principal": func(l *Loan) { l.State, l.ActivateTime, l.Outstanding = LoanActive, aTime(), rp(100_001) },
		"active, never begun": func(l *Loan) { l.State = LoanActive },
		"settled, not ended":  func(l *Loan) { l.State, l.ActivateTime = LoanSettled, aTime() },
		"draft that ended":    func(l *Loan) { l.EndTime = aTime() },
		"unknown state":       func(l *Loan) { l.State = 7 },
		"currency":            func(l *Loan) { l.Outstanding = usd(0) },
		"plan":                func(l *Loan) { l.Plan.Total = rp(0) },
	} {
		loan := draftOf(t)
		tamper(&loan)
		if err := loan.Check(); !errors.Is(err, ErrInvariant) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
