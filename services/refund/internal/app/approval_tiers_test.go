package app_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/refund/internal/app"
	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

// Ten small refunds of operators need whom one large one needs, however they come.
func TestOperatorsCannotSplitARefundPastItsApproval(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := b.order(10_000_000, 0, 0, "CONFIRMED")
	var mu sync.Mutex
	byNeed := map[int]int{}
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			r, err := b.ask(t, order, 50_000, "")
			for errs.Is(err, errs.ConcurrentChange) {
				r, err = b.ask(t, order, 50_000, "")
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			byNeed[r.ApprovalsNeeded]++
		})
	}
	wg.Wait()
	if byNeed[0] != 2 || byNeed[1] != 10 {
		t.Errorf("refunds by how many must approve them: %v; 100,000 need nobody, what is beyond needs one", byNeed)
	}
	if r := b.mustAsk(t, order, 4_400_000, ""); r.ApprovalsNeeded != 2 {
		t.Errorf("5,000,000 in all need %d", r.ApprovalsNeeded)
	}
	// Another order, and what the marketplace refunds, do not count.
	other := b.order(10_000_000, 0, 0, "CONFIRMED")
	b.mustAsk(t, other, 5_000_000, "r-1")
	if r := b.mustAsk(t, other, 100_000, ""); r.ApprovalsNeeded != 0 {
		t.Errorf("the first of an order needs %d", r.ApprovalsNeeded)
	}
	b.prove(t)
}

func TestWhoMayOnlyAskTakesBackOnlyWhatIsItsOwn(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	r := b.mustAsk(t, b.order(10_000_000, 0, 0, "CONFIRMED"), 1_000_000, "")
	for _, c := range []struct{ who, want string }{{"ADMIN:bob", "PENDING_APPROVAL CALLER_NOT_ALLOWED"}, {"ADMIN:alice", "REJECTED "}} {
		verb := func(ctx context.Context, d app.Decision) ([]app.Decided, error) {
			d.OnlyOwn = true
			return b.RejectRefund(ctx, d)
		}
		if got := b.decide(t, verb, c.who, r.ID); len(got) != 1 || strings.TrimSpace(got[0]) != strings.TrimSpace(c.want) {
			t.Errorf("%s: %q, want %q", c.who, got, c.want)
		}
	}
	b.prove(t)
}

func TestTiersAreChangedWithATrailAndOnlyForLaterRefunds(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := b.order(10_000_000, 0, 0, "CONFIRMED")
	before := b.mustAsk(t, order, 1_000_000, "")
	tier := func(from int64, approvals int) domain.Tier {
		return domain.Tier{From: rp(from), Approvals: approvals}
	}
	change := func(tiers ...domain.Tier) app.TierChange {
		return app.TierChange{Currency: money.IDR(), Tiers: tiers, Actor: "ADMIN:eve", Reason: "audit 2026"}
	}
	for name, wrong := range map[string]app.TierChange{
		"fewer people for more": change(tier(1, 1), tier(10, 0)),
		"the same amount twice": change(tier(1, 0), tier(1, 1)),
		"from the top":          change(tier(10, 1), tier(1, 1)),
		"nothing":               change(tier(0, 0)),
		"three people":          change(tier(1, 3)),
		"another currency":      change(domain.Tier{From: money.New(1, money.CNY())}),
	} {
		if _, err := b.SetApprovalTiers(t.Context(), "tiers-wrong", wrong); !errs.Is(err, errs.InvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range 2 {
		if _, err := b.SetApprovalTiers(t.Context(), "tiers-0001", change(tier(1, 2))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.SetApprovalTiers(t.Context(), "tiers-0001", change(tier(1, 0))); !errs.Is(err, errs.RequestIDReused) {
		t.Errorf("a request with other tiers: %v", err)
	}
	tiers, changes, err := b.ListApprovalTiers(t.Context())
	if err != nil || len(tiers) != 1 || tiers[0] != tier(1, 2) || len(changes) != 1 || changes[0].Actor != "ADMIN:eve" || len(changes[0].Tiers) != 1 {
		t.Errorf("%+v, %+v, %v", tiers, changes, err)
	}
	if b.get(t, before.ID).ApprovalsNeeded != 1 || b.mustAsk(t, order, 1, "").ApprovalsNeeded != 2 {
		t.Error("tiers changed what was asked for before, or not what is asked for now")
	}
	b.prove(t)
}
