package domain

import (
	"errors"
	"testing"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

// accountOf is an active account in rupiah.
func accountOf(limit, used, held int64) Account {
	return Account{UserID: "u1", Limit: rp(limit), Used: rp(used), Held: rp(held), State: AccountActive}
}

func TestMayBuySaysWhyNot(t *testing.T) {
	t.Parallel()
	in := func(s AccountState) Account {
		a := accountOf(1_000, 200, 300)
		a.State = s
		return a
	}
	for _, tc := range []struct {
		name    string
		account Account
		amount  money.Amount
		want    errs.Reason // zero when it may
	}{
		{"all that is available", in(AccountActive), rp(500), errs.Reason{}},
		{"one more", in(AccountActive), rp(501), errs.LimitInsufficient},
		{"nothing", in(AccountActive), rp(0), errs.AmountOutOfRange},
		{"negative", in(AccountActive), rp(-1), errs.AmountOutOfRange},
		{"currency", in(AccountActive), usd(1), errs.CurrencyMismatch},
		{"frozen", in(AccountFrozen), rp(1), errs.AccountFrozen},
		{"overdue", in(AccountOverdue), rp(1), errs.AccountOverdue},
		{"closed", in(AccountClosed), rp(1), errs.AccountNotFound},
	} {
		err := tc.account.MayBuy(tc.amount)
		if got, _ := errs.ReasonOf(err); got != tc.want || (err == nil) != (tc.want == errs.Reason{}) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want.Name())
		}
	}
	if err := in(0).MayBuy(rp(1)); !errors.Is(err, ErrInvariant) {
		t.Errorf("unknown state: %v", err)
	}
}

func TestHoldBecomesDebtOrIsGivenBack(t *testing.T) {
	t.Parallel()
	a, err := accountOf(1_000, 0, 0).Reserve(rp(700))
	if err != nil || a.Held != rp(700) || a.Available() != rp(300) {
		t.Fatalf("reserve: %+v, %v", a, err)
	}
	if _, err := a.Reserve(rp(301)); !errs.Is(err, errs.LimitInsufficient) {
		t.Errorf("second reserve: %v", err)
	}
	if a, err = a.UseHold(rp(500)); err != nil || a.Used != rp(500) || a.Held != rp(200) {
		t.Fatalf("use: %+v, %v", a, err)
	}
	if a, err = a.ReleaseHold(rp(200)); err != nil || a.Available() != rp(500) {
		t.Fatalf("release: %+v, %v", a, err)
	}
	if _, err := a.ReleaseHold(rp(1)); !errors.Is(err, ErrInvariant) {
		t.Errorf("release without hold: %v", err)
	}
	if _, err := a.UseHold(rp(1)); !errors.Is(err, ErrInvariant) {
		t.Errorf("use without hold: %v", err)
	}
}

func TestLimitNeverFallsBelowUse(t *testing.T) {
	t.Parallel()
	a := accountOf(1_000, 200, 300)
	for _, tc := range []struct {
		limit money.Amount
		want  errs.Reason
	}{
		{rp(500), errs.Reason{}}, {rp(499), errs.LimitBelowUse}, {rp(-1), errs.AmountOutOfRange},
		{rp(money.MaxMinor + 1), errs.AmountOutOfRange}, {usd(5_000), errs.CurrencyMismatch},
	} {
		next, err := a.SetLimit(tc.limit)
		if got, _ := errs.ReasonOf(err); got != tc.want {
			t.Errorf("limit %s: %v", tc.limit, err)
		}
		if err == nil && (next.Limit != tc.limit || next.Check() != nil) {
			t.Errorf("limit %s: %+v", tc.limit, next)
		}
	}
}

func TestFreezeNeedsAReasonAndIsLifted(t *testing.T) {
	t.Parallel()
	a := accountOf(1, 0, 0)
	if _, err := a.Freeze(""); !errs.Is(err, errs.InvalidArgument) {
		t.Errorf("no reason: %v", err)
	}
	if _, err := a.Unfreeze(); !errs.Is(err, errs.AccountStateInvalid) {
		t.Errorf("not frozen: %v", err)
	}
	frozen, err := a.Freeze("stolen phone")
	if err != nil || frozen.Check() != nil || frozen.MayBuy(rp(1)) == nil {
		t.Fatalf("frozen: %+v, %v", frozen, err)
	}
	if _, err := frozen.Freeze("again"); !errs.Is(err, errs.AccountStateInvalid) {
		t.Errorf("frozen twice: %v", err)
	}
	if lifted, err := frozen.Unfreeze(); err != nil || lifted != a {
		t.Errorf("lifted: %+v, %v", lifted, err)
	}
}

func TestAccountCheckFindsContradictions(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string]func(*Account){
		"negative used":  func(a *Account) { a.Used = rp(-1) },
		"negative held":  func(a *Account) { a.Held = rp(-1) },
		"above limit":    func(a *Account) { a.Held = rp(801) },
		"currencies":     func(a *Account) { a.Held = usd(1) },
		"limit currency": func(a *Account) { a.Limit = usd(10_000) },
		"none":           func(a *Account) { *a = Account{} },
		"state":          func(a *Account) { a.State = 5 },
		"reason":         func(a *Account) { a.FreezeReason = "x" },
		"no reason":      func(a *Account) { a.State = AccountFrozen },
		"closed in use":  func(a *Account) { a.State = AccountClosed },
	} {
		a := accountOf(1_000, 200, 300)
		tamper(&a)
		if err := a.Check(); !errors.Is(err, ErrInvariant) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := accountOf(1_000, 700, 300).Check(); err != nil {
		t.Error(err)
	}
}
