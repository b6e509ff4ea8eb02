package app_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

func same() cmp.Option { return cmpopts.EquateComparable(money.Amount{}) }

func TestOpeningIsIdempotentByRequestAndOnceByUser(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	r := b.request("u1")
	first, err := b.OpenCreditAccount(t.Context(), r, rp(100_000))
	if err != nil {
		t.Fatal(err)
	}
	answers := make([]app.Account, 20)
	for i, err := range together(20, func(i int) (err error) {
		answers[i], err = b.OpenCreditAccount(t.Context(), r, rp(100_000))
		return err
	}) {
		if diff := cmp.Diff(first, answers[i], same()); err != nil || diff != "" {
			t.Errorf("repeat %d: %v %s", i, err, diff)
		}
	}
	if _, err := b.OpenCreditAccount(t.Context(), r, rp(200_000)); !errs.Is(err, errs.RequestIDReused) {
		t.Errorf("same request, other limit: %v", err)
	}
	if _, err := b.OpenCreditAccount(t.Context(), b.request("u1"), rp(100_000)); !errs.Is(err, errs.AccountExists) {
		t.Errorf("another request for the same user: %v", err)
	}
	if _, err := b.OpenCreditAccount(t.Context(), b.request("u2"), rp(-1)); !errs.Is(err, errs.AmountOutOfRange) {
		t.Errorf("negative limit: %v", err)
	}
	if stored, err := b.GetCreditAccount(t.Context(), "u1"); err != nil || cmp.Diff(first, stored, same()) != "" {
		t.Errorf("stored %+v, %v; answered %+v", stored, err, first)
	}
}

func TestLimitNeverGoesBelowUse(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 100_000)
	r := b.purchase("u1", 40_000, 30_000)
	b.reserve(t, r)
	if err := b.apply(t.Context(), b.confirmed(r.Orders[0].OrderID, b.clock.Now())); err != nil {
		t.Fatal(err)
	}
	if _, err := b.SetCreditLimit(t.Context(), b.request("u1"), rp(69_999)); !errs.Is(err, errs.LimitBelowUse) {
		t.Errorf("limit below what is used and held: %v", err)
	}
	if _, err := b.SetCreditLimit(t.Context(), b.request("nobody"), rp(1)); !errs.Is(err, errs.AccountNotFound) {
		t.Errorf("limit of nobody: %v", err)
	}
	low := b.request("u1")
	for range 2 {
		account, err := b.SetCreditLimit(t.Context(), low, rp(70_000))
		if err != nil || account.Limit != rp(70_000) || account.Used != rp(40_000) || account.Held != rp(30_000) {
			t.Errorf("limit at what is used and held: %+v, %v", account, err)
		}
	}
	b.wantFigures(t, "u1", 70_000, 40_000, 30_000)
}

func TestLimitAndPurchasesAtOnceStayWithinTheLimit(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 200_000)
	for i, err := range together(30, func(i int) error {
		if i%10 == 0 {
			_, err := b.SetCreditLimit(t.Context(), b.request("u1"), rp(100_000+int64(i)))
			return err
		}
		_, err := b.ReserveCredit(t.Context(), b.purchase("u1", 15_000))
		return err
	}) {
		if err != nil && !errs.Is(err, errs.LimitInsufficient) && !errs.Is(err, errs.LimitBelowUse) && !errs.Is(err, errs.ConcurrentChange) {
			t.Errorf("caller %d: %v", i, err)
		}
	}
}

func TestAFrozenAccountBuysNothingUntilItIsLifted(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 100_000)
	r := b.purchase("u1", 20_000)
	b.reserve(t, r)
	freeze := b.request("u1")
	for range 2 {
		account, err := b.FreezeCreditAccount(t.Context(), freeze)
		if err != nil || account.State != domain.AccountFrozen || account.FreezeReason != "test" {
			t.Fatalf("freeze: %+v, %v", account, err)
		}
	}
	if _, err := b.FreezeCreditAccount(t.Context(), b.request("u1")); !errs.Is(err, errs.AccountStateInvalid) {
		t.Errorf("freeze a frozen account: %v", err)
	}
	if _, err := b.ReserveCredit(t.Context(), b.purchase("u1", 20_000)); !errs.Is(err, errs.AccountFrozen) {
		t.Errorf("purchase on a frozen account: %v", err)
	}
	if err := b.apply(t.Context(), b.confirmed(r.Orders[0].OrderID, b.clock.Now())); err != nil {
		t.Errorf("what was bought before goes on: %v", err)
	}
	lift := b.request("u1")
	for range 2 {
		if account, err := b.UnfreezeCreditAccount(t.Context(), lift); err != nil || account.State != domain.AccountActive {
			t.Fatalf("unfreeze: %+v, %v", account, err)
		}
	}
	b.reserve(t, b.purchase("u1", 20_000))
	if n := b.count(t, `SELECT COUNT(*) FROM account_changes WHERE actor = 'ADMIN:alice' AND reason = 'test' AND LENGTH(after_json) > 0
		AND (before_json IS NULL) = (what = 'OpenCreditAccount')`); n != 3 {
		t.Errorf("%d entries in the trail, want 3", n)
	}
	if n := b.count(t, `SELECT COUNT(*) FROM outbox WHERE payload LIKE '%CreditAccountChanged%'`); n != 3 {
		t.Errorf("%d CreditAccountChanged events, want 3", n)
	}
}

// Whoever sends the version that they have seen is refused once the account is another; who sends none is not asked. It counts as
// content of the request.
func TestChangeAccount_ChecksTheVersionSeen(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 100_000)
	account, err := b.GetCreditAccount(t.Context(), "u1")
	if err != nil {
		t.Fatal(err)
	}
	seen := func(version int64) app.AccountRequest {
		r := b.request("u1")
		r.Version = version
		return r
	}
	for name, change := range map[string]func(app.AccountRequest) error{
		"limit":    func(r app.AccountRequest) error { _, err := b.SetCreditLimit(t.Context(), r, rp(100_000)); return err },
		"freeze":   func(r app.AccountRequest) error { _, err := b.FreezeCreditAccount(t.Context(), r); return err },
		"unfreeze": func(r app.AccountRequest) error { _, err := b.UnfreezeCreditAccount(t.Context(), r); return err },
	} {
		if err := change(seen(account.Version + 7)); !errs.Is(err, errs.ConcurrentChange) {
			t.Errorf("%s with a version that is not the account's: %v", name, err)
		}
	}
	first := seen(account.Version)
	changed, err := b.SetCreditLimit(t.Context(), first, rp(90_000))
	if err != nil || changed.Version != account.Version+1 {
		t.Fatalf("with the account's version: %+v, %v", changed, err)
	}
	if again, err := b.SetCreditLimit(t.Context(), first, rp(90_000)); err != nil || again.Version != changed.Version {
		t.Errorf("the same request again: %+v, %v", again, err)
	}
	first.Version = 0
	if _, err := b.SetCreditLimit(t.Context(), first, rp(90_000)); !errs.Is(err, errs.RequestIDReused) {
		t.Errorf("the same request with another version: %v", err)
	}
	if _, err := b.SetCreditLimit(t.Context(), seen(account.Version), rp(80_000)); !errs.Is(err, errs.ConcurrentChange) {
		t.Errorf("with the version before: %v", err)
	}
	if _, err := b.FreezeCreditAccount(t.Context(), seen(0)); err != nil {
		t.Errorf("without a version: %v", err)
	}
}
