package desk_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/outbox"
	"github.com/creditpay/creditpay/pkg/schema/schematest"
	"github.com/creditpay/creditpay/pkg/testkit"
	"github.com/creditpay/creditpay/pkg/unit"
)

func TestMain(m *testing.M) { testkit.Main(m, testkit.Leaks) }

func rp(minor int64) money.Amount { return money.New(minor, money.IDR()) }

// till is a service with one act that moves money, and how often it did.
type till struct {
	*desk.Desk
	kit   *unit.Kit
	clock *clock.Fake
	paid  atomic.Int64
	// basis is what the act rests on, refuse what it answers instead.
	basis  int
	refuse error
}

func newTill(t *testing.T) *till {
	t.Helper()
	db := schematest.OpenService(t, mysqlx.Options{MaxConns: 24}, desk.Migrations)
	clk := clock.NewFake(time.Date(2026, 4, 1, 3, 0, 0, 0, time.UTC))
	gen := ids.NewGenerator(clk)
	x := &till{clock: clk, kit: &unit.Kit{DB: db, Outbox: outbox.NewWriter(gen, clk), Jobs: jobs.NewQueue(clk), IDs: gen, Clock: clk}}
	x.Desk = desk.New(x.kit, zap.NewNop(), desk.Settings{})
	x.On(approval.Verb{Name: "Pay", Role: caller.Approve, Tiers: true, Carry: func(ctx context.Context, r approval.Request) error {
		_, err := x.pay(ctx, r.Requester.Name, r.Object, r.Amount.Minor(), r.ID)
		return err
	}})
	for _, statement := range []string{
		`INSERT INTO approval_rules (id, verb, currency_code, effective_time) VALUES (0x00000000000000000000000000000001, 'Pay', 'IDR', '1970-01-01')`,
		`INSERT INTO approval_rule_tiers VALUES (0x00000000000000000000000000000001, 1, 0), (0x00000000000000000000000000000001, 101, 1), (0x00000000000000000000000000000001, 1001, 2)`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

// pay is the act: it moves money once it may.
func (x *till) pay(ctx context.Context, who, user string, minor int64, ticket ids.ID) (asked approval.Request, err error) {
	if x.refuse != nil {
		return asked, x.refuse
	}
	ask := approval.Ask{ID: x.kit.IDs.New(), Verb: "Pay", Object: user, Requester: who, Reason: "r", Summary: "s", Amount: rp(minor), Payer: user,
		Arguments: minor, Basis: x.basis, Effect: x.kit.IDs.New(), Now: x.clock.Now(), Ticket: ticket}
	err = x.kit.Do(ctx, func(w *unit.Work) error {
		asked, err = desk.Gate(ctx, w, ask)
		return err
	})
	if err == nil && !asked.Waits() {
		x.paid.Add(minor)
	}
	return asked, err
}

func (x *till) mustPay(t *testing.T, who, user string, minor int64) approval.Request {
	t.Helper()
	r, err := x.pay(t.Context(), who, user, minor, ids.ID{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (x *till) decide(ctx context.Context, verb func(context.Context, desk.Decision) (approval.Request, error), who string, id ids.ID, roles ...caller.Role) (approval.Request, error) {
	if roles == nil {
		roles = []caller.Role{caller.Approve}
	}
	return verb(ctx, desk.Decision{By: caller.Caller{Kind: caller.Admin, Name: who, Roles: caller.RolesOf(roles...)}, RequestID: x.kit.IDs.New().String(), ID: id})
}

func (x *till) prove(t *testing.T) {
	t.Helper()
	found, err := audit.Run(t.Context(), x.kit.DB, "till", x.clock.Now(), desk.Audit(""))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Errorf("audit: %s %s: %s", f.Check, f.ID, f.Text)
	}
}

// runJobs runs what is due.
func (x *till) runJobs(t *testing.T) {
	t.Helper()
	r := &jobs.Runner{DB: x.kit.DB, Queue: x.kit.Jobs, Clock: x.clock, Log: zap.NewNop(), Handlers: x.Jobs()}
	if _, err := r.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestGate_LetsThroughWhatNeedsNobody(t *testing.T) {
	t.Parallel()
	x := newTill(t)
	if r := x.mustPay(t, "ADMIN:a", "u1", 100); r.State != approval.StateCarriedOut || r.Needed != 0 || x.paid.Load() != 100 {
		t.Errorf("%+v", r)
	}
	if r := x.mustPay(t, "ADMIN:a", "u2", 1); !r.Waits() || r.Needed != 1 || x.paid.Load() != 100 {
		t.Errorf("the 101st rupiah of a requester's day: %+v", r)
	}
	x.prove(t)
}

// One request, two approvals needed, fifty people at once who each try twice: two votes count, and the money moves once.
func TestApprove_FiftyAtOnceCarryOutOnce(t *testing.T) {
	t.Parallel()
	x := newTill(t)
	r := x.mustPay(t, "ADMIN:alice", "u1", 5_000)
	var votes, own atomic.Int32
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			who := fmt.Sprint("approver-", i/2)
			if i%10 == 0 {
				who = "ALICE"
			}
			_, err := x.decide(t.Context(), x.Approve, who, r.ID)
			for errs.Is(err, errs.ConcurrentChange) {
				_, err = x.decide(t.Context(), x.Approve, who, r.ID)
			}
			switch {
			case err == nil:
				votes.Add(1)
			case errs.Is(err, errs.ApproverIsRequester):
				own.Add(1)
			case !errs.Is(err, errs.AlreadyApproved) && !errs.Is(err, errs.ApprovalStateInvalid):
				t.Error(err)
			}
		})
	}
	group.Wait()
	got, err := x.Get(t.Context(), r.ID)
	if err != nil || votes.Load() != 2 || len(got.Votes) != 2 || got.State != approval.StateCarriedOut || x.paid.Load() != 5_000 {
		t.Errorf("%d votes, %d paid, %+v, %v", votes.Load(), x.paid.Load(), got, err)
	}
	x.prove(t)
}

func TestApprove_NeedsTheVerbsRole(t *testing.T) {
	t.Parallel()
	x := newTill(t)
	r := x.mustPay(t, "ADMIN:a", "u1", 500)
	if _, err := x.decide(t.Context(), x.Approve, "b", r.ID, caller.Administer, caller.RefundApprove); !errs.Is(err, errs.CallerNotAllowed) {
		t.Error(err)
	}
	if _, err := x.decide(t.Context(), x.Reject, "b", r.ID, caller.Cash); !errs.Is(err, errs.CallerNotAllowed) {
		t.Error(err)
	}
	if got, err := x.decide(t.Context(), x.Reject, "A", r.ID, caller.Cash); err != nil || got.State != approval.StateRejected || got.Ended.Name != "ADMIN:A" {
		t.Errorf("the requester takes it back: %+v, %v", got, err)
	}
	if x.mustPay(t, "ADMIN:a", "u1", 100).Needed != 0 {
		t.Error("what was taken back still counts")
	}
	x.prove(t)
}

// What was approved is done as it was, or not at all.
func TestApprove_FailsWhatChanged(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(x *till){
		"what it rests on": func(x *till) { x.basis++ },
		"a rule refuses":   func(x *till) { x.refuse = errs.BalanceInsufficient.New("gone") },
	} {
		x := newTill(t)
		r := x.mustPay(t, "ADMIN:a", "u1", 500)
		change(x)
		got, err := x.decide(t.Context(), x.Approve, "b", r.ID)
		if err != nil || got.State != approval.StateFailed || got.Failure == "" || x.paid.Load() != 0 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		x.refuse = nil
		if x.mustPay(t, "ADMIN:a", "u1", 100).Needed != 0 {
			t.Errorf("%s: it still counts", name)
		}
		x.prove(t)
	}
}

// The call with the last approval dies before it carries the act out: the timer does, once.
func TestApprove_IsCarriedOutAfterACrash(t *testing.T) {
	t.Parallel()
	x := newTill(t)
	r := x.mustPay(t, "ADMIN:a", "u1", 500)
	x.refuse = errors.New("the process is gone")
	if got, err := x.decide(t.Context(), x.Approve, "b", r.ID); err != nil || got.State != approval.StateApproved {
		t.Fatalf("%+v, %v", got, err)
	}
	x.prove(t)
	x.refuse = nil
	for range 3 {
		x.clock.Advance(time.Minute)
		x.runJobs(t)
	}
	if got, err := x.Get(t.Context(), r.ID); err != nil || got.State != approval.StateCarriedOut || x.paid.Load() != 500 {
		t.Errorf("%+v, %v, %d paid", got, err, x.paid.Load())
	}
	x.prove(t)
}

func TestRequest_ExpiresAfterSevenDays(t *testing.T) {
	t.Parallel()
	x := newTill(t)
	r := x.mustPay(t, "ADMIN:a", "u1", 500)
	x.clock.Advance(approval.Wait)
	if _, err := x.decide(t.Context(), x.Approve, "b", r.ID); !errs.Is(err, errs.ApprovalStateInvalid) {
		t.Error(err)
	}
	x.runJobs(t)
	if got, err := x.Get(t.Context(), r.ID); err != nil || got.State != approval.StateExpired || x.paid.Load() != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	x.prove(t)
}

func TestDatabase_RefusesVotesOfOnePerson(t *testing.T) {
	t.Parallel()
	x := newTill(t)
	r := x.mustPay(t, "ADMIN:alice", "u1", 5_000)
	if _, err := x.decide(t.Context(), x.Approve, "bob", r.ID); err != nil {
		t.Fatal(err)
	}
	for name, subject := range map[string]string{"the requester": "admin:alice", "a second vote": "admin:bob"} {
		if _, err := x.kit.DB.ExecContext(t.Context(), `INSERT INTO approval_votes VALUES (?, ?, 'ADMIN:X', 'admin:alice', '', NOW(6))`, r.ID, subject); err == nil {
			t.Errorf("the database took %s", name)
		}
	}
}

// Each check finds the offender that only a fault or a hand in the database can make, and nothing before.
func TestAudit_FindsEachOffender(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]string{
		"approved_by_enough_people": `DELETE FROM approval_votes`,
		"vote_of_requester":         `UPDATE approval_votes SET requester_subject = 'admin:x'`,
		"needed_as_tier_says":       `UPDATE approval_rule_tiers SET approvals = 2`,
		"rule_was_in_force":         `UPDATE approval_rules SET effective_time = '2030-01-01'`,
		"rule_by_two":               `INSERT INTO approval_rules VALUES ('r...............', 'Pay', 'IDR', '2026-05-01', NULL)`,
		"sums_are_their_requests":   `UPDATE approval_sums SET amount_minor = amount_minor + 1`,
		"sum_was_seen":              `UPDATE approval_requests SET amount_minor = sum_minor + 1, sum_minor = amount_minor, needed = 2`,
		"approval_without_timer":    `DELETE FROM jobs`,
	} {
		x := newTill(t)
		r := x.mustPay(t, "ADMIN:alice", "u1", 500)
		if _, err := x.decide(t.Context(), x.Approve, "bob", r.ID); err != nil {
			t.Fatal(err)
		}
		x.mustPay(t, "ADMIN:alice", "u2", 600)
		x.prove(t)
		if _, err := x.kit.DB.ExecContext(t.Context(), damage); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		found, err := audit.Run(t.Context(), x.kit.DB, "till", x.clock.Now(), desk.Audit(""))
		hit := false
		for _, f := range found {
			hit = hit || f.Check == name
		}
		if err != nil || !hit {
			t.Errorf("%s finds nothing, but %v, %v", name, found, err)
		}
	}
}
