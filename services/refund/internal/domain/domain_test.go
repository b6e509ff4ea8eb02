package domain_test

import (
	"errors"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/statetable"

	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

func rp(minor int64) money.Amount { return money.New(minor, money.IDR()) }

func TestTheReadmeShowsTheTables(t *testing.T) {
	t.Parallel()
	statetable.SyncReadme(t, "../../README.md", "refund", domain.Moves.Mermaid())
	statetable.SyncReadme(t, "../../README.md", "leg", domain.LegMoves.Mermaid())
}

func TestRefundsStayWithinWhatWasPaidAndPartInItsProportion(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		price := rapid.Int64Range(1, money.MaxMinor).Draw(t, "price")
		b := domain.Budget{Price: rp(price), DownPayment: rp(rapid.Int64Range(0, price).Draw(t, "down payment")), Reserved: rp(0), ReservedCash: rp(0)}
		var shares []domain.Share
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			if len(shares) > 0 && rapid.Bool().Draw(t, "give one back") {
				i := rapid.IntRange(0, len(shares)-1).Draw(t, "which")
				next, err := b.Release(shares[i])
				if err != nil {
					t.Fatal(err)
				}
				b, shares = next, append(shares[:i], shares[i+1:]...)
				continue
			}
			amount := rp(rapid.Int64Range(1, price).Draw(t, "amount"))
			next, s, err := b.Reserve(amount)
			if amount.Minor() > price-b.Reserved.Minor() {
				if !errs.Is(err, errs.RefundExceedsBudget) {
					t.Fatalf("%s of what is left of %s: %v", amount, b.Price, err)
				}
				continue
			}
			if err != nil || s.Credit.Minor()+s.Cash.Minor() != amount.Minor() || s.Credit.IsNegative() || s.Cash.IsNegative() {
				t.Fatalf("%s parts into %s and %s: %v", amount, s.Credit, s.Cash, err)
			}
			if b, shares = next, append(shares, s); b.Check() != nil {
				t.Fatal(b.Check())
			}
		}
		left, err := b.Left()
		if err != nil {
			t.Fatal(err)
		}
		if left.IsPositive() {
			if b, _, err = b.Reserve(left); err != nil {
				t.Fatal(err)
			}
		}
		if b.Reserved != b.Price || b.ReservedCash != b.DownPayment {
			t.Fatalf("all refunded: %s of %s, %s of %s in cash", b.Reserved, b.Price, b.ReservedCash, b.DownPayment)
		}
	})
}

func TestPartialRefundsKeepTheProportion(t *testing.T) {
	t.Parallel()
	b := domain.Budget{Price: rp(100_000), DownPayment: rp(20_000), Reserved: rp(0), ReservedCash: rp(0)}
	for _, c := range []struct{ amount, cash int64 }{{1, 0}, {4, 1}, {49_995, 9_999}, {50_000, 10_000}} {
		next, s, err := b.Reserve(rp(c.amount))
		if err != nil || s.Cash != rp(c.cash) {
			t.Errorf("%d: %s in cash, want %d: %v", c.amount, s.Cash, c.cash, err)
		}
		b = next
	}
}

func TestWhatIsNoRefundIsRefused(t *testing.T) {
	t.Parallel()
	b := domain.Budget{Price: rp(100), DownPayment: rp(0), Reserved: rp(60), ReservedCash: rp(0)}
	for amount, want := range map[money.Amount]errs.Reason{
		rp(41): errs.RefundExceedsBudget, rp(0): errs.InvalidArgument, rp(-1): errs.InvalidArgument, money.New(1, money.USD()): errs.CurrencyMismatch,
	} {
		if _, _, err := b.Reserve(amount); !errs.Is(err, want) {
			t.Errorf("%s: %v", amount, err)
		}
	}
}

func TestARefusalSaysWhatIsLeftAndWhatToDo(t *testing.T) {
	t.Parallel()
	b := domain.Budget{Price: rp(100), DownPayment: rp(0), Reserved: rp(60), ReservedCash: rp(0)}
	for left, words := range map[int64]string{40: "ask for that at most", 0: "nothing is left"} {
		b.Reserved = rp(100 - left)
		_, _, err := b.Reserve(rp(left + 1))
		var e *errs.Error
		if !errors.As(err, &e) || !strings.Contains(e.Error(), words) ||
			!maps.Equal(e.Metadata(), map[string]string{"left_minor": strconv.FormatInt(left, 10), "currency_code": "IDR"}) {
			t.Errorf("of %d left: %v", left, err)
		}
	}
	if err := domain.MayRefund("COMMITTING"); !errs.Is(err, errs.CheckoutCommitting) || !strings.Contains(err.Error(), "once it is PAID") {
		t.Error(err)
	}
}

func TestTheHighestTierThatIsReachedCounts(t *testing.T) {
	t.Parallel()
	otherCurrency, err := money.CurrencyOf("JPY")
	if err != nil {
		t.Fatal(err)
	}
	tiers := []approval.Tier{{From: rp(1_000), Approvals: 1}, {From: rp(1), Approvals: 0}, {From: rp(50_000), Approvals: 2}, {From: money.New(1, money.USD()), Approvals: 1}}
	for amount, want := range map[money.Amount]int{rp(1): 0, rp(999): 0, rp(1_000): 1, rp(49_999): 1, rp(50_000): 2, money.New(9, money.USD()): 1, money.New(9, otherCurrency): approval.MaxApprovals} {
		if got := approval.Needed(tiers, amount); got != want {
			t.Errorf("%s needs %d, want %d", amount, got, want)
		}
	}
}

func TestNobodyDecidesTwiceOrTooLate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 4, 10, 0, 0, 0, 0, time.UTC)
	r := domain.Refund{Requester: "ADMIN:a", State: domain.StatePendingApproval, ApprovalsNeeded: 2, ExpireTime: now.Add(time.Hour), Amount: rp(1), Snapshot: 1}
	by := func(who string, at time.Time) domain.Approval { return domain.Approval{Approver: who, Time: at} }
	if _, err := r.Approved(by("ADMIN:a", now)); !errs.Is(err, errs.ApproverIsRequester) {
		t.Error(err)
	}
	if _, err := r.Approved(by("ADMIN:b", r.ExpireTime)); !errs.Is(err, errs.RefundStateInvalid) {
		t.Error(err)
	}
	first, err := r.Approved(by("ADMIN:b", now))
	if err != nil || first.State != domain.StatePendingApproval {
		t.Fatal(first.State, err)
	}
	if _, err := first.Approved(by("ADMIN:b", now)); !errs.Is(err, errs.AlreadyApproved) {
		t.Error(err)
	}
	second, err := first.Approved(by("ADMIN:c", now))
	if err != nil || second.State != domain.StateApproved {
		t.Fatal(second.State, err)
	}
	if _, err := second.Rejected(by("ADMIN:d", now)); !errs.Is(err, errs.RefundStateInvalid) {
		t.Error(err)
	}
	if anew := first.Refrozen(domain.Effect{}, "PAID"); len(anew.Approvals) != 0 || anew.Snapshot != 2 {
		t.Errorf("%+v", anew)
	}
}
