package app_test

import (
	"context"
	"sync"
	"testing"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/app"
)

func TestCashThatCannotGoBackBecomesCreditBalanceOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	kept := b.gaveUp("u1", 40_000)
	inYuan := b.gaveUp("u1", 1)
	inYuan.Amount = money.New(1, money.CNY())
	b.payments.returns[inYuan.Reference] = app.CashReturn{UserID: "u1", Amount: inYuan.Amount, OfDownPayment: true, Abandoned: true}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := b.KeepCashAsCredit(context.Background(), kept); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := b.standing(t, "u1").Account.Credit; got != rp(40_000) {
		t.Errorf("the credit balance is %s", got)
	}
	b.audit(t)
	other := func(change func(*app.KeptCash)) app.KeptCash {
		k := kept
		change(&k)
		return k
	}
	for name, c := range map[string]struct {
		kept app.KeptCash
		want errs.Reason
	}{
		"another amount":   {other(func(k *app.KeptCash) { k.Amount = rp(1) }), errs.RequestIDReused},
		"another user":     {other(func(k *app.KeptCash) { k.UserID = "u2" }), errs.RequestIDReused},
		"no account":       {b.gaveUp("u2", 1), errs.AccountNotFound},
		"nothing":          {b.gaveUp("u1", 0), errs.AmountOutOfRange},
		"another currency": {inYuan, errs.CurrencyMismatch},
	} {
		if err := b.KeepCashAsCredit(t.Context(), c.kept); !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want.Name())
		}
	}
	if left, _, err := b.PayOutCreditBalance(t.Context(), "u1", app.Operation{Actor: "ADMIN:alice", RequestID: "payout-1", Reason: "asked for", Amount: rp(40_000)}); err != nil || !left.IsZero() {
		t.Error(left, err)
	}
	b.audit(t)
}
