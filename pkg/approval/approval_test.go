package approval_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

func rp(minor int64) money.Amount { return money.New(minor, money.IDR()) }

func tier(from int64, approvals int) approval.Tier {
	return approval.Tier{From: rp(from), Approvals: approvals}
}

func TestCanonical_OnePersonIsOneSubject(t *testing.T) {
	t.Parallel()
	want := approval.Canonical("ADMIN:alice")
	for _, who := range []string{"ADMIN:ALICE", "admin:Alice", "ADMIN:\uff21\uff2c\uff29\uff23\uff25", "ADMIN:al\u200bice", " ADMIN:alice\u00a0", "ADMIN:ali\u00adce\ufe0f", "ADMIN:ali\u202ece"} {
		if got := approval.Canonical(who); got != want {
			t.Errorf("%q is %q, want %q", who, got, want)
		}
	}
	for _, pair := range [][2]string{{"ADMIN:STRASSE", "ADMIN:straße"}, {"ADMIN:e\u0301va", "ADMIN:ÉVA"}, {"ADMIN:ΣΊΣΥΦΟΣ", "ADMIN:σίσυφος"}} {
		if a, b := approval.Canonical(pair[0]), approval.Canonical(pair[1]); a != b {
			t.Errorf("%q and %q are %q and %q", pair[0], pair[1], a, b)
		}
	}
	for _, other := range []string{"ADMIN:alice2", "SPM:alice", "ADMIN:alice@issuer"} {
		if approval.Canonical(other) == want {
			t.Errorf("%q is alice", other)
		}
	}
}

func TestCanonical_IsItsOwnCanonicalForm(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		once := approval.Canonical(rapid.String().Draw(t, "who"))
		if twice := approval.Canonical(string(once)); twice != once {
			t.Fatalf("%q becomes %q", once, twice)
		}
	})
}

func TestNeeded_TheHighestTierReachedCounts(t *testing.T) {
	t.Parallel()
	tiers := []approval.Tier{tier(1_000, 1), tier(1, 0), tier(50_000, 2), {From: money.New(1, money.USD()), Approvals: 1}}
	for amount, want := range map[money.Amount]int{rp(0): 0, rp(1): 0, rp(999): 0, rp(1_000): 1, rp(49_999): 1, rp(50_000): 2, money.New(9, money.USD()): 1,
		money.New(9, money.CNY()): approval.MaxApprovals} {
		if got := approval.Needed(tiers, amount); got != want {
			t.Errorf("%s needs %d, want %d", amount, got, want)
		}
	}
	if got := approval.Needed([]approval.Tier{tier(10, 0)}, rp(9)); got != approval.MaxApprovals {
		t.Errorf("below every tier: %d", got)
	}
}

func TestLoosens_FindsEveryAmountThatNeedsFewer(t *testing.T) {
	t.Parallel()
	c := money.IDR()
	before := []approval.Tier{tier(1, 0), tier(100, 1), tier(5_000, 2)}
	for name, x := range map[string]struct {
		after []approval.Tier
		want  bool
	}{
		"the same":         {before, false},
		"all need two":     {[]approval.Tier{tier(1, 2)}, false},
		"lower bounds":     {[]approval.Tier{tier(1, 0), tier(50, 1), tier(60, 2)}, false},
		"zero":             {[]approval.Tier{tier(1, 0)}, true},
		"one bound higher": {[]approval.Tier{tier(1, 0), tier(100, 1), tier(5_001, 2)}, true},
		"first above one":  {[]approval.Tier{tier(100, 1), tier(5_000, 2)}, false},
		"both ways":        {[]approval.Tier{tier(1, 1), tier(5_001, 2)}, true},
	} {
		if got := approval.Loosens(c, before, x.after); got != x.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if !approval.Loosens(c, nil, before) {
		t.Error("the first tiers of a currency let through what needed two")
	}
	now := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	if at := approval.EffectiveAt(c, before, []approval.Tier{tier(1, 0)}, now, time.Hour); !at.Equal(now.Add(time.Hour)) {
		t.Error(at)
	}
	if at := approval.EffectiveAt(c, before, []approval.Tier{tier(1, 2)}, now, time.Hour); !at.Equal(now) {
		t.Error(at)
	}
}

func TestRequest_NobodyDecidesTwiceOrTooLate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 4, 10, 0, 0, 0, 0, time.UTC)
	asked, err := approval.Ask{Verb: "PayOut", Requester: "ADMIN:a", Amount: rp(10), Payer: "u1", Now: now}.Request()
	if err != nil {
		t.Fatal(err)
	}
	r := asked.Judged(rp(10), asked.ID, []approval.Tier{tier(1, 2)}, false)
	by := func(who string, at time.Time) approval.Vote {
		return approval.Vote{By: approval.PersonOf(who), Time: at}
	}
	if _, err := r.Approved(by("ADMIN:A", now)); !errs.Is(err, errs.ApproverIsRequester) {
		t.Error(err)
	}
	if _, err := r.Approved(by("ADMIN:b", r.ExpireTime)); !errs.Is(err, errs.ApprovalStateInvalid) {
		t.Error(err)
	}
	first, err := r.Approved(by("ADMIN:b", now))
	if err != nil || !first.Waits() {
		t.Fatal(first.State, err)
	}
	if _, err := first.Approved(by("ADMIN:B", now)); !errs.Is(err, errs.AlreadyApproved) {
		t.Error(err)
	}
	second, err := first.Approved(by("ADMIN:c", now))
	if err != nil || second.State != approval.StateApproved {
		t.Fatal(second.State, err)
	}
	if _, err := second.Rejected(approval.PersonOf("ADMIN:d"), "", time.Time{}, now); !errs.Is(err, errs.ApprovalStateInvalid) {
		t.Error(err)
	}
	if free := asked.Judged(rp(10), asked.ID, []approval.Tier{tier(1, 0)}, false); free.State != approval.StateCarriedOut || free.Needed != 0 {
		t.Errorf("%+v", free)
	}
}

// The frozen content of an act is all that it would do and what it rests on; its words and its time are not.
func TestAsk_FingerprintIsItsContent(t *testing.T) {
	t.Parallel()
	base := approval.Ask{Verb: "PayOut", Object: "u1", Requester: "ADMIN:a", Amount: rp(10), Payer: "u1", Checkout: "chk_1", Arguments: 1, Basis: 2, Now: time.Unix(0, 0)}
	first, err := base.Request()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(a *approval.Ask){
		"verb": func(a *approval.Ask) { a.Verb = "x" }, "object": func(a *approval.Ask) { a.Object = "x" }, "payer": func(a *approval.Ask) { a.Payer = "x" },
		"checkout": func(a *approval.Ask) { a.Checkout = "x" }, "arguments": func(a *approval.Ask) { a.Arguments = 9 }, "basis": func(a *approval.Ask) { a.Basis = 9 },
	} {
		other := base
		change(&other)
		if r, err := other.Request(); err != nil || r.Fingerprint == first.Fingerprint {
			t.Errorf("another %s has the same fingerprint, %v", name, err)
		}
	}
	same := base
	same.Reason, same.Summary, same.Requester, same.Now = "x", "y", "ADMIN:b", time.Unix(9, 0)
	if r, err := same.Request(); err != nil || r.Fingerprint != first.Fingerprint {
		t.Error("words and time are content", err)
	}
	day := civil.Date{Year: 1970, Month: 1, Day: 1}
	want := approval.SumsOf("PayOut", rp(10), "admin:a", "u1", "chk_1", day)
	if !slices.Equal(first.Counted, want) || len(want) != 3 {
		t.Errorf("counts in %v", first.Counted)
	}
}
