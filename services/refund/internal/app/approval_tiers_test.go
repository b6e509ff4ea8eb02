package app_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
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
	b.prove(t)
}

// askAs asks for a refund as somebody.
func (b *bed) askAs(t *testing.T, who string, order ids.ID, amount int64) domain.Refund {
	t.Helper()
	operator := caller.Caller{Kind: caller.Admin, Name: strings.TrimPrefix(who, "ADMIN:")}
	r, err := b.RefundPayment(t.Context(), app.Request{Caller: operator, Requester: who, RequestID: "request-" + b.ids.New().String(), OrderID: order, Amount: rp(amount),
		ReasonCode: 1, Reason: "back"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Each of the sums decides alone: of the requester's day, of the payer's day, and of the checkout whatever the day. What the marketplace
// refunds counts in none.
func TestApproval_EachSumCounts(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := func(user string, checkout ids.ID) ids.ID {
		id := b.order(10_000_000, 0, 0, "CONFIRMED")
		b.world.orders[id].UserID, b.world.orders[id].CheckoutID = user, checkout
		return id
	}
	want := func(what, who string, order ids.ID, people int) {
		t.Helper()
		if r := b.askAs(t, who, order, 90_000); r.ApprovalsNeeded != people {
			t.Errorf("%s: 90,000 of %s need %d, want %d", what, who, r.ApprovalsNeeded, people)
		}
	}
	first := b.ids.New()
	b.mustAsk(t, order("u1", first), 5_000_000, "r-1")
	want("the first of a day", "ADMIN:alice", order("u1", first), 0)
	want("the same requester in other letters", "ADMIN:ALICE", order("u2", b.ids.New()), 1)
	want("the same payer", "ADMIN:bob", order("u1", b.ids.New()), 1)
	want("the same checkout", "ADMIN:carol", order("u3", first), 1)
	want("nothing in common", "ADMIN:dave", order("u4", b.ids.New()), 0)
	b.clock.Advance(24 * time.Hour)
	want("the next day", "ADMIN:alice", order("u2", b.ids.New()), 0)
	want("the checkout on the next day", "ADMIN:erin", order("u5", first), 1)
	b.prove(t)
}

// Ten orders of one checkout, each below the tier and all at once, need approval by their sum; what is rejected counts no more.
func TestApproval_TenOrdersOfOneCheckout(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	checkout := b.ids.New()
	var mu sync.Mutex
	byNeed, waits := map[int]int{}, []ids.ID{}
	var wg sync.WaitGroup
	for i := range 10 {
		order := b.order(1_000_000, 0, 0, "CONFIRMED")
		b.world.orders[order].UserID, b.world.orders[order].CheckoutID = fmt.Sprint("u", i), checkout
		wg.Go(func() {
			r := b.askAs(t, fmt.Sprint("ADMIN:clerk-", i), order, 90_000)
			mu.Lock()
			defer mu.Unlock()
			if byNeed[r.ApprovalsNeeded]++; r.ApprovalsNeeded > 0 {
				waits = append(waits, r.ID)
			}
		})
	}
	wg.Wait()
	if byNeed[0] != 1 || byNeed[1] != 9 {
		t.Errorf("refunds by how many must approve them: %v", byNeed)
	}
	b.prove(t)
	if got := b.decide(t, b.RejectRefund, "ADMIN:bob", waits...); len(got) != 9 {
		t.Fatal(got)
	}
	b.prove(t)
	order := b.order(1_000_000, 0, 0, "CONFIRMED")
	b.world.orders[order].CheckoutID = checkout
	if r := b.askAs(t, "ADMIN:zoe", order, 10_000); r.ApprovalsNeeded != 0 {
		t.Errorf("100,000 that were not rejected need %d", r.ApprovalsNeeded)
	}
}

// ALICE never approves what alice asked for, and nobody approves twice: not in the domain, and not in the database.
func TestApproval_NamesAreCanonical(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	r := b.mustAsk(t, b.order(10_000_000, 0, 0, "CONFIRMED"), 6_000_000, "")
	for who, want := range map[string]string{"ADMIN:ALICE": "APPROVER_IS_REQUESTER", "ADMIN:\uff21lice": "APPROVER_IS_REQUESTER", "ADMIN:ali\u200bce": "APPROVER_IS_REQUESTER"} {
		if got := b.decide(t, b.ApproveRefund, who, r.ID); !strings.HasSuffix(got[0], want) {
			t.Errorf("%q: %v", who, got)
		}
	}
	b.decide(t, b.ApproveRefund, "ADMIN:bob", r.ID)
	if got := b.decide(t, b.ApproveRefund, "ADMIN:BOB", r.ID); !strings.HasSuffix(got[0], "ALREADY_APPROVED") {
		t.Error(got)
	}
	insert := func(shown, subject string) error {
		_, err := b.db.ExecContext(t.Context(), `INSERT INTO approvals (refund_id, snapshot, approver, requester, request_id, comment, create_time, approver_subject,
			requester_subject) VALUES (?, 1, ?, 'ADMIN:alice', 'x', '', NOW(6), ?, 'admin:alice')`, r.ID, shown, subject)
		return err
	}
	for shown, subject := range map[string]string{"ADMIN:ALICE": "admin:alice", "ADMIN:BoB": "admin:bob"} {
		if err := insert(shown, subject); err == nil {
			t.Errorf("the database took %s as %s", shown, subject)
		}
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

// setTiers asks for other tiers of refunds as eve.
func (b *bed) setTiers(t *testing.T, tiers ...approval.Tier) (approval.Request, error) {
	t.Helper()
	return b.desk.SetTiers(t.Context(), desk.SetTiers{Requester: "ADMIN:eve", RequestID: b.ids.New().String(), Reason: "audit 2026", Verb: domain.VerbRefund,
		Currency: money.IDR(), Tiers: tiers})
}

func (b *bed) approveAs(t *testing.T, who string, id ids.ID) (approval.Request, error) {
	t.Helper()
	by := caller.Caller{Kind: caller.Admin, Name: who, Roles: caller.EveryRole()}
	return b.desk.Approve(t.Context(), desk.Decision{By: by, RequestID: b.ids.New().String(), ID: id})
}

func tier(from int64, approvals int) approval.Tier {
	return approval.Tier{From: rp(from), Approvals: approvals}
}

func TestSetTiers_RefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for name, wrong := range map[string][]approval.Tier{
		"fewer people for more": {tier(1, 1), tier(10, 0)},
		"the same amount twice": {tier(1, 0), tier(1, 1)},
		"from the top":          {tier(10, 1), tier(1, 1)},
		"nothing":               {tier(0, 0)},
		"no tiers":              {},
		"three people":          {tier(1, 3)},
		"another currency":      {{From: money.New(1, money.CNY())}},
	} {
		if _, err := b.setTiers(t, wrong...); !errs.Is(err, errs.InvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Tiers to zero, a refund, tiers back: one person cannot, and two must wait a day in which everybody sees it.
func TestSetTiers_NeedsTwoPeopleAndADay(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := b.order(100_000_000, 0, 0, "CONFIRMED")
	before := b.mustAsk(t, order, 1_000_000, "")
	asked, err := b.setTiers(t, tier(1, 0))
	if err != nil || !asked.Waits() || asked.Needed != 1 {
		t.Fatalf("%+v, %v", asked, err)
	}
	if _, err := b.approveAs(t, "EVE", asked.ID); !errs.Is(err, errs.ApproverIsRequester) {
		t.Errorf("who asked approves: %v", err)
	}
	if _, err := b.setTiers(t, tier(1, 1)); !errs.Is(err, errs.ApprovalPending) {
		t.Errorf("a second change: %v", err)
	}
	if asked, err = b.approveAs(t, "mallory", asked.ID); err != nil || asked.State != approval.StateCarriedOut {
		t.Fatalf("%+v, %v", asked, err)
	}
	if r := b.askAs(t, "ADMIN:eve", b.order(50_000_000, 0, 0, "CONFIRMED"), 40_000_000); r.ApprovalsNeeded != 2 {
		t.Errorf("40,000,000 before the change takes effect need %d", r.ApprovalsNeeded)
	}
	rule, found, err := b.desk.RuleOf(t.Context(), asked.ID)
	if err != nil || !found || !rule.EffectiveTime.Equal(b.clock.Now().Add(desk.DelayDefault)) {
		t.Errorf("%+v, %v", rule, err)
	}
	by := caller.Caller{Kind: caller.Admin, Name: "carol", Roles: caller.EveryRole()}
	if gone, err := b.desk.Reject(t.Context(), desk.Decision{By: by, RequestID: "reject-01", ID: asked.ID, Comment: "no"}); err != nil || gone.State != approval.StateCancelled {
		t.Fatalf("%+v, %v", gone, err)
	}
	b.clock.Advance(25 * time.Hour)
	if r := b.askAs(t, "ADMIN:frank", b.order(50_000_000, 0, 0, "CONFIRMED"), 40_000_000); r.ApprovalsNeeded != 2 {
		t.Errorf("after a change that was taken back: %d", r.ApprovalsNeeded)
	}
	if b.get(t, before.ID).ApprovalsNeeded != 1 {
		t.Error("tiers changed what was asked for before")
	}
	b.prove(t)
}

// A looser rule takes effect when its day is over and not before; a stricter one at once.
func TestSetTiers_TightensAtOnceAndLoosensLater(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	change := func(tiers ...approval.Tier) {
		t.Helper()
		asked, err := b.setTiers(t, tiers...)
		if err == nil {
			_, err = b.approveAs(t, "mallory", asked.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	need := func(who string, want int) {
		t.Helper()
		if r := b.askAs(t, who, b.order(1_000, 0, 0, "CONFIRMED"), 1); r.ApprovalsNeeded != want {
			t.Errorf("one rupiah of %s needs %d, want %d", who, r.ApprovalsNeeded, want)
		}
	}
	need("ADMIN:a", 0)
	b.clock.Advance(time.Second)
	change(tier(1, 2))
	need("ADMIN:b", 2)
	change(tier(1, 0), tier(100_001, 1), tier(5_000_000, 2))
	need("ADMIN:c", 2)
	b.clock.Advance(desk.DelayDefault - time.Second)
	need("ADMIN:d", 2)
	b.clock.Advance(time.Second)
	need("ADMIN:e", 0)
	rules, changes, err := b.desk.Tiers(t.Context())
	if err != nil || len(rules) != 2 || len(changes) != 2 || changes[0].Request.Requester.Name != "ADMIN:eve" || len(changes[1].Request.Votes) != 1 {
		t.Errorf("%+v, %+v, %v", rules, changes, err)
	}
	b.prove(t)
}

// failedLegOf is a refund whose one leg, of 3,000,000 repaid, could not be given back.
func (b *bed) failedLegOf(t *testing.T) domain.Refund {
	t.Helper()
	r := b.drive(t, b.mustAsk(t, b.order(3_000_000, 0, 3_000_000, "CLOSED"), 3_000_000, "r-1").ID)
	b.world.end(domain.LegFailed)
	if r = b.drive(t, r.ID); len(r.Legs) != 1 || r.Legs[0].State != domain.LegFailed {
		t.Fatalf("%+v", r.Legs)
	}
	return r
}

// A leg above the limit is ended once somebody else approved it, also when the bill service was away at that moment.
func TestResolveLeg_WaitsAboveTheLimit(t *testing.T) {
	t.Parallel()
	for _, away := range []bool{false, true} {
		b := newBed(t)
		r := b.failedLegOf(t)
		in := app.ResolveLeg{RefundID: r.ID, Reference: r.Legs[0].Reference, Evidence: "account is closed"}
		_, asked, err := b.ResolveRefundLeg(t.Context(), "ADMIN:bob", in)
		if err != nil || !asked.Waits() || asked.Needed != 1 || b.get(t, r.ID).Legs[0].State != domain.LegFailed {
			t.Fatalf("%+v, %v", asked, err)
		}
		if _, same, err := b.ResolveRefundLeg(t.Context(), "ADMIN:bob", in); err != nil || same.ID != asked.ID {
			t.Errorf("a repeat: %+v, %v", same, err)
		}
		if _, _, err := b.ResolveRefundLeg(t.Context(), "ADMIN:carol", in); !errs.Is(err, errs.ApprovalPending) {
			t.Errorf("somebody else asks: %v", err)
		}
		if away {
			b.world.keep = errs.DependencyUnavailable.New("away")
		}
		if _, err := b.approveAs(t, "BOB", asked.ID); !errs.Is(err, errs.ApproverIsRequester) {
			t.Error(err)
		}
		got, err := b.approveAs(t, "carol", asked.ID)
		if err != nil || (got.State == approval.StateCarriedOut) == away {
			t.Fatalf("away %t: %s, %v", away, got.State, err)
		}
		b.prove(t)
		b.world.keep = nil
		if err := b.desk.Carry(t.Context(), asked.ID); err != nil {
			t.Fatal(err)
		}
		if got, err = b.desk.Get(t.Context(), asked.ID); err != nil || got.State != approval.StateCarriedOut {
			t.Errorf("%s, %v", got.State, err)
		}
		if l := b.get(t, r.ID).Legs[0]; l.State != domain.LegKept || l.Actor != "ADMIN:bob" || !b.world.kept[r.ID] {
			t.Errorf("%+v, kept %t", l, b.world.kept[r.ID])
		}
		b.prove(t)
	}
}

// The leg is asked for again while its end waits to be approved: the approval ends nothing.
func TestResolveLeg_FailsWhenTheLegMovedOn(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	r := b.failedLegOf(t)
	_, asked, err := b.ResolveRefundLeg(t.Context(), "ADMIN:bob", app.ResolveLeg{RefundID: r.ID, Reference: r.Legs[0].Reference, GivenBack: true, Evidence: "transfer 1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.RetryRefundLeg(t.Context(), "ADMIN:bob", r.ID, r.Legs[0].Reference); err != nil {
		t.Fatal(err)
	}
	if got, err := b.approveAs(t, "carol", asked.ID); err != nil || got.State != approval.StateFailed || got.Failure != errs.RefundStateInvalid.Name() {
		t.Errorf("%+v, %v", got, err)
	}
	if l := b.get(t, r.ID).Legs[0]; l.State != domain.LegReturning {
		t.Error(l.State)
	}
	b.prove(t)
}
