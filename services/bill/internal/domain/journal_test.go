package domain

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

func TestHoldAndReleaseCancelOut(t *testing.T) {
	t.Parallel()
	hold, err := HoldLines(rp(700))
	if err != nil {
		t.Fatal(err)
	}
	release, err := ReleaseLines(rp(700))
	if err != nil {
		t.Fatal(err)
	}
	balance := map[string]int64{}
	for _, l := range append(hold, release...) {
		balance[l.Account] += l.Debit.Minor() - l.Credit.Minor()
	}
	if len(balance) != 2 || balance[CreditCommitment] != 0 || balance[CreditCommitmentContra] != 0 {
		t.Errorf("balances: %v", balance)
	}
	if hold[0].Account != CreditCommitment || hold[0].Debit != rp(700) {
		t.Errorf("a hold debits the commitment: %+v", hold)
	}
	if _, err := HoldLines(rp(0)); !errs.Is(err, errs.AmountOutOfRange) {
		t.Errorf("hold of nothing: %v", err)
	}
	if _, err := ReleaseLines(rp(-1)); !errs.Is(err, errs.AmountOutOfRange) {
		t.Errorf("release of less than nothing: %v", err)
	}
}

func TestActivationRecordsPrincipalAndFee(t *testing.T) {
	t.Parallel()
	got, err := ActivationLines(planOf(t, 3, 100_000))
	if err != nil {
		t.Fatal(err)
	}
	want := []Line{
		{CreditCommitmentContra, rp(100_000), rp(0)}, {CreditCommitment, rp(0), rp(100_000)},
		{LoanPrincipal, rp(100_000), rp(0)}, {CreditClearing, rp(0), rp(100_000)},
		{FeeReceivable, rp(1_000), rp(0)}, {FeeUnearned, rp(0), rp(1_000)},
	}
	if diff := cmp.Diff(want, got, compareMoney()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	p := DefaultProducts(money.IDR())[0]
	p.FeeRatePPM = 0
	free, err := BuildPlan(p, 3, rp(100_000), day(t, "2026-04-10"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ActivationLines(free); err != nil || len(got) != 4 {
		t.Errorf("a plan without fee has no fee lines: %v, %v", got, err)
	}
	if _, err := ActivationLines(Plan{}); !errors.Is(err, ErrInvariant) {
		t.Errorf("an empty plan: %v", err)
	}
}

func TestCheckLinesFindsWhatDoesNotBalance(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]Line{
		"none":       nil,
		"one side":   {{LoanPrincipal, rp(1), rp(0)}},
		"unequal":    {{LoanPrincipal, rp(2), rp(0)}, {CreditClearing, rp(0), rp(1)}},
		"both sides": {{LoanPrincipal, rp(1), rp(1)}},
		"no account": {{"", rp(1), rp(0)}, {CreditClearing, rp(0), rp(1)}},
		"negative":   {{LoanPrincipal, rp(-1), rp(0)}, {CreditClearing, rp(0), rp(-1)}},
		"currencies": {{LoanPrincipal, rp(1), rp(0)}, {CreditClearing, usd(0), usd(1)}},
		"empty line": {{LoanPrincipal, rp(0), rp(0)}},
	} {
		if err := CheckLines(lines); !errors.Is(err, ErrInvariant) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
