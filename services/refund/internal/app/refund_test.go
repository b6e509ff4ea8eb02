package app_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/refund/internal/app"
	"github.com/creditpay/creditpay/services/refund/internal/domain"
	"github.com/creditpay/creditpay/services/refund/internal/store"
)

func TestARefundGoesBackByTheWaysItCame(t *testing.T) {
	t.Parallel()
	for _, lose := range []bool{false, true} {
		b := newBed(t)
		b.world.lose = lose
		order := b.order(100_000, 20_000, 50_000, "CONFIRMED")
		preview, err := b.PreviewRefund(t.Context(), spm(), order, rp(60_000))
		if err != nil {
			t.Fatal(err)
		}
		r := b.mustAsk(t, order, 60_000, "r-1")
		r = b.drive(t, r.ID)
		// 12,000 of the down payment; 48,000 of credit, of which 30,000 were owed and 18,000 repaid.
		want := []string{"1:RETURNING:12000", "2:RETURNING:18000"}
		if r.State != domain.StateExecuting || r.Step != domain.StepWait || !slices.Equal(states(r.Legs), want) {
			t.Fatalf("%s %s %v", r.State, r.Step, states(r.Legs))
		}
		if !preview.Effect.Equal(r.Effect) || preview.Share != r.Share {
			t.Errorf("preview %+v, effect %+v", preview, r.Effect)
		}
		b.world.end(domain.LegReturned)
		if r = b.drive(t, r.ID); r.State != domain.StateSucceeded || r.FinishTime.IsZero() {
			t.Fatalf("%s %s", r.State, r.Step)
		}
		if got := b.world.paidBack(); got != 30_000 {
			t.Errorf("%d went back in cash", got)
		}
		b.prove(t)
	}
}

func TestEveryEventOfARefundNamesWhereItsOrderIsToldOf(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	r := b.mustAsk(t, b.order(100_000, 0, 0, "CONFIRMED"), 60_000, "r-1")
	if r = b.drive(t, r.ID); r.State != domain.StateSucceeded {
		t.Fatal(r.State)
	}
	events := b.events(t)
	for _, e := range events {
		if e.GetNotifyUrl() != notifyURL || e.GetRefund().GetOutOrderNo() != "no-"+r.OrderID.String() || e.GetRefund().GetRefundId() != ids.Format(ids.Refund, r.ID) {
			t.Errorf("%v", e)
		}
	}
	if len(events) != 3 { // REQUESTED, EXECUTING, SUCCEEDED.
		t.Errorf("%d events", len(events))
	}
}

func TestFiftyRefundsOfSixtyOfAHundredAtOnceAreOne(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := b.order(100, 0, 0, "CONFIRMED")
	var group sync.WaitGroup
	var done, refused atomic.Int32
	for i := range 50 {
		group.Go(func() {
			_, err := b.ask(t, order, 60, "r-"+strings.Repeat("x", i+1))
			switch {
			case err == nil:
				done.Add(1)
			case errs.Is(err, errs.RefundExceedsBudget):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if done.Load() != 1 || refused.Load() != 49 {
		t.Errorf("%d succeeded, %d were refused", done.Load(), refused.Load())
	}
	b.prove(t)
}

func TestARefundAskedForAgainIsTheSame(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := b.order(100_000, 0, 0, "CONFIRMED")
	in := app.Request{Caller: spm(), Requester: "SPM:marketplace", RequestID: "request-1", OutRefundNo: "r-1", OrderID: order, Amount: rp(100_000), ReasonCode: 1, Reason: "back"}
	first, err := b.RefundPayment(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.RefundPayment(t.Context(), in)
	if err != nil || again.ID != first.ID {
		t.Errorf("%s and %s: %v", first.ID, again.ID, err)
	}
	other := in
	other.RequestID = "request-2"
	if again, err = b.RefundPayment(t.Context(), other); err != nil || again.ID != first.ID {
		t.Errorf("by its number: %s and %s: %v", first.ID, again.ID, err)
	}
	other.Amount = rp(1)
	if _, err = b.RefundPayment(t.Context(), other); !errs.Is(err, errs.RequestIDReused) {
		t.Errorf("another amount under the number: %v", err)
	}
	in.Amount = rp(2)
	if _, err = b.RefundPayment(t.Context(), in); !errs.Is(err, errs.RequestIDReused) {
		t.Errorf("another amount under the request: %v", err)
	}
	b.prove(t)
}

func TestWhatCannotBeRefundedIsRefused(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for state, want := range map[string]errs.Reason{"CREATED": errs.OrderStateInvalid, "CANCELLED": errs.OrderStateInvalid, "CANCELLING": errs.OrderStateInvalid} {
		if _, err := b.ask(t, b.order(100, 0, 0, state), 60, "r-1"); !errs.Is(err, want) {
			t.Errorf("%s: %v", state, err)
		}
	}
	if _, err := b.ask(t, b.ids.New(), 60, "r-1"); !errs.Is(err, errs.NotFound) {
		t.Errorf("no order: %v", err)
	}
	if _, err := b.ask(t, b.order(100, 0, 0, "PAID"), 101, "r-1"); !errs.Is(err, errs.RefundExceedsBudget) {
		t.Errorf("too much: %v", err)
	}
}

func TestPeopleWhoMustApprove(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := b.order(20_000_000, 0, 0, "CONFIRMED")
	small := b.mustAsk(t, order, 100_000, "")
	if small.State != domain.StateRequested {
		t.Errorf("a small refund is %s", small.State)
	}
	one, two := b.mustAsk(t, order, 100_001, ""), b.mustAsk(t, order, 5_000_000, "")
	if got := b.decide(t, b.ApproveRefund, "ADMIN:alice", one.ID, two.ID); !slices.Equal(got, []string{"PENDING_APPROVAL APPROVER_IS_REQUESTER", "PENDING_APPROVAL APPROVER_IS_REQUESTER"}) {
		t.Errorf("who asked: %q", got)
	}
	if got := b.decide(t, b.ApproveRefund, "ADMIN:bob", one.ID, two.ID, b.ids.New()); !slices.Equal(got, []string{"APPROVED ", "PENDING_APPROVAL ", " NOT_FOUND"}) {
		t.Errorf("the first: %q", got)
	}
	if got := b.decide(t, b.ApproveRefund, "ADMIN:bob", one.ID, two.ID); !slices.Equal(got, []string{"APPROVED REFUND_STATE_INVALID", "PENDING_APPROVAL ALREADY_APPROVED"}) {
		t.Errorf("the first again: %q", got)
	}
	if got := b.decide(t, b.ApproveRefund, "ADMIN:carol", two.ID); !slices.Equal(got, []string{"APPROVED "}) {
		t.Errorf("the second: %q", got)
	}
	for _, id := range []ids.ID{small.ID, one.ID, two.ID} {
		if r := b.drive(t, id); r.State != domain.StateSucceeded {
			t.Errorf("%s %s", r.State, r.Step)
		}
	}
	b.prove(t)
}

// A crash may come between a decision and the record of its request: the record is taken away here.
func TestADecisionThatWasCutOffIsToldAsMadeWhenItIsRepeated(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := b.order(20_000_000, 0, 0, "CONFIRMED")
	approved, rejected := b.mustAsk(t, order, 5_000_000, ""), b.mustAsk(t, order, 5_000_000, "")
	for range 2 {
		for id, verb := range map[ids.ID]func(context.Context, app.Decision) ([]app.Decided, error){approved.ID: b.ApproveRefund, rejected.ID: b.RejectRefund} {
			d, err := verb(t.Context(), app.Decision{Approver: "ADMIN:bob", RequestID: "decision-" + id.String(), RefundIDs: []ids.ID{id}, Comment: "so be it"})
			if err != nil || d[0].Reason != "" {
				t.Errorf("%+v, %v", d, err)
			}
		}
		if _, err := b.db.ExecContext(t.Context(), `DELETE FROM idempotency WHERE scope LIKE 'ApproveRefund|%' OR scope LIKE 'RejectRefund|%'`); err != nil {
			t.Fatal(err)
		}
	}
	if r := b.get(t, approved.ID); len(r.Approvals) != 1 || r.State != domain.StatePendingApproval {
		t.Errorf("%s with %d approvals", r.State, len(r.Approvals))
	}
	b.prove(t)
}

func TestTheDatabaseRefusesWhoApprovesTheirOwn(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	r := b.mustAsk(t, b.order(1_000_000, 0, 0, "CONFIRMED"), 1_000_000, "")
	insert := `INSERT INTO approvals (refund_id, snapshot, approver, requester, request_id, comment, create_time) VALUES (?, 1, ?, 'ADMIN:alice', '', '', NOW())`
	if _, err := b.db.ExecContext(t.Context(), insert, r.ID, "ADMIN:alice"); err == nil {
		t.Error("the requester approved")
	}
	for i, wantErr := range []bool{false, true} {
		if _, err := b.db.ExecContext(t.Context(), insert, r.ID, "ADMIN:bob"); (err != nil) != wantErr {
			t.Errorf("approval %d by the same person: %v", i+1, err)
		}
	}
}

func TestWhatChangedSinceItWasAskedForMustBeApprovedAnew(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := b.order(10_000_000, 0, 0, "CONFIRMED")
	r := b.mustAsk(t, order, 9_000_000, "")
	if got := b.decide(t, b.ApproveRefund, "ADMIN:bob", r.ID); !slices.Equal(got, []string{"PENDING_APPROVAL "}) {
		t.Fatalf("%q", got)
	}
	b.world.orders[order].repaid = 5_000_000 // The user repaid: cash would go back now.
	if got := b.decide(t, b.ApproveRefund, "ADMIN:carol", r.ID); !slices.Equal(got, []string{"PENDING_APPROVAL REFUND_CHANGED"}) {
		t.Fatalf("%q", got)
	}
	if r = b.get(t, r.ID); r.Snapshot != 2 || len(r.Approvals) != 0 || len(r.Effect.Sources) != 1 {
		t.Fatalf("snapshot %d with %d approvals, %+v", r.Snapshot, len(r.Approvals), r.Effect)
	}
	if got := b.decide(t, b.ApproveRefund, "ADMIN:bob", r.ID); !slices.Equal(got, []string{"PENDING_APPROVAL "}) {
		t.Fatalf("%q", got)
	}
	if got := b.decide(t, b.ApproveRefund, "ADMIN:carol", r.ID); !slices.Equal(got, []string{"APPROVED "}) {
		t.Fatalf("%q", got)
	}
	b.prove(t)
}

func TestNobodyApprovesARefundOfAnOrderThatWasTakenBackMeanwhile(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := b.order(600_000, 0, 0, "PAID")
	r := b.mustAsk(t, order, 600_000, "")
	approve := func(want string) {
		t.Helper()
		if got := b.decide(t, b.ApproveRefund, "ADMIN:bob", r.ID); !slices.Equal(got, []string{want}) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	// The loan was taken back a moment after the order's state was read.
	b.world.preview = errs.NotFound.New("no loan of the order counts")
	approve("PENDING_APPROVAL ORDER_STATE_INVALID")
	if _, err := b.PreviewRefund(t.Context(), spm(), b.order(10, 0, 0, "PAID"), rp(10)); !errs.Is(err, errs.OrderStateInvalid) {
		t.Errorf("preview: %v", err)
	}
	b.world.preview = nil
	b.world.orders[order].State = "CANCELLED"
	approve("PENDING_APPROVAL ORDER_STATE_INVALID")
	if got := b.decide(t, b.RejectRefund, "ADMIN:bob", r.ID); !slices.Equal(got, []string{"REJECTED "}) {
		t.Errorf("%q", got)
	}
	b.prove(t)
}

// What an earlier request with the number did is told, whatever became of the order since.
func TestANumberFindsItsRefundAlsoWhenTheOrderWasTakenBackSince(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := b.order(100, 0, 0, "PAID")
	first := b.mustAsk(t, order, 60, "r-1")
	b.world.orders[order].State = "CANCELLED"
	if again, err := b.ask(t, order, 60, "r-1"); err != nil || again.ID != first.ID {
		t.Errorf("%s, %v", again.ID, err)
	}
	if _, err := b.ask(t, order, 61, "r-1"); !errs.Is(err, errs.RequestIDReused) {
		t.Errorf("with other content: %v", err)
	}
	if _, err := b.ask(t, order, 60, "r-2"); !errs.Is(err, errs.OrderStateInvalid) {
		t.Errorf("another number: %v", err)
	}
}

func TestARefundThatIsRefusedOrForgottenGivesItsBudgetBack(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := b.order(1_000_000, 300_000, 0, "CONFIRMED")
	refused, forgotten := b.mustAsk(t, order, 600_000, ""), b.mustAsk(t, order, 400_000, "")
	if _, err := b.ask(t, order, 1, "r-1"); !errs.Is(err, errs.RefundExceedsBudget) {
		t.Errorf("all is reserved: %v", err)
	}
	if got := b.decide(t, b.RejectRefund, "ADMIN:bob", refused.ID); !slices.Equal(got, []string{"REJECTED "}) {
		t.Errorf("%q", got)
	}
	if _, err := b.ExpireRefund(t.Context(), forgotten.ID); err != nil || b.get(t, forgotten.ID).State != domain.StatePendingApproval {
		t.Errorf("it expired too early: %v", err)
	}
	b.clock.Advance(domain.ApprovalTime)
	if got := b.decide(t, b.ApproveRefund, "ADMIN:bob", forgotten.ID); !slices.Equal(got, []string{"PENDING_APPROVAL REFUND_STATE_INVALID"}) {
		t.Errorf("approved too late: %q", got)
	}
	if _, err := b.ExpireRefund(t.Context(), forgotten.ID); err != nil || b.get(t, forgotten.ID).State != domain.StateExpired {
		t.Errorf("it did not expire: %v", err)
	}
	r := b.drive(t, b.mustAsk(t, order, 1_000_000, "r-2").ID)
	b.world.end(domain.LegReturned)
	if r = b.drive(t, r.ID); r.State != domain.StateSucceeded || r.Share.Cash != rp(300_000) {
		t.Errorf("%s, %s in cash", r.State, r.Share.Cash)
	}
	b.prove(t)
}

func TestADownPaymentThatCannotGoBackBecomesCreditBalanceByThePaymentService(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	r := b.drive(t, b.mustAsk(t, b.order(100_000, 20_000, 0, "PAID"), 100_000, "r-1").ID)
	b.world.end(domain.LegFailed)
	r = b.drive(t, r.ID)
	if _, _, err := b.ResolveRefundLeg(t.Context(), "ADMIN:bob", app.ResolveLeg{RefundID: r.ID, Reference: r.Legs[0].Reference, GivenBack: false, Evidence: "account is closed"}); err != nil {
		t.Fatal(err)
	}
	if r = b.drive(t, r.ID); r.State != domain.StateSucceeded || !slices.Equal(states(r.Legs), []string{"1:KEPT:20000"}) {
		t.Errorf("%s %v", r.State, states(r.Legs))
	}
	if b.world.kept[r.ID] || b.world.byReference(r.Legs[0].Reference).State != domain.LegKept {
		t.Errorf("kept by the bill service: %t, at the payment service %s", b.world.kept[r.ID], b.world.byReference(r.Legs[0].Reference).State)
	}
	b.prove(t)
}

func TestALegThatFailedWaitsForAnOperator(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := b.order(100_000, 20_000, 80_000, "CLOSED")
	r := b.drive(t, b.mustAsk(t, order, 100_000, "r-1").ID)
	b.world.end(domain.LegFailed)
	if r = b.drive(t, r.ID); r.State != domain.StateExecuting || !slices.Equal(states(r.Legs), []string{"1:FAILED:20000", "2:FAILED:80000"}) {
		t.Fatalf("%s %v", r.State, states(r.Legs))
	}
	down, repayment := r.Legs[0], r.Legs[1]
	if _, err := b.RetryRefundLeg(t.Context(), "ADMIN:bob", r.ID, down.Reference); err != nil {
		t.Fatal(err)
	}
	if _, err := b.RetryRefundLeg(t.Context(), "ADMIN:bob", r.ID, down.Reference); !errs.Is(err, errs.RefundStateInvalid) {
		t.Errorf("retried while it is on its way: %v", err)
	}
	b.world.end(domain.LegFailed)
	b.drive(t, r.ID)
	if _, _, err := b.ResolveRefundLeg(t.Context(), "ADMIN:bob", app.ResolveLeg{RefundID: r.ID, Reference: down.Reference, GivenBack: true, Evidence: "bank transfer 4711"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.ResolveRefundLeg(t.Context(), "ADMIN:bob", app.ResolveLeg{RefundID: r.ID, Reference: repayment.Reference, GivenBack: false, Evidence: "account is closed"}); err != nil {
		t.Fatal(err)
	}
	r = b.drive(t, r.ID)
	if r.State != domain.StateSucceeded || !slices.Equal(states(r.Legs), []string{"1:RETURNED:20000", "2:KEPT:80000"}) || r.Legs[0].Evidence != "bank transfer 4711" || !b.world.kept[r.ID] {
		t.Errorf("%s %v %+v", r.State, states(r.Legs), r.Legs[0])
	}
	b.prove(t)
}

// The payment service has abandoned the leg, and tells so, before the bill service has made credit balance of it.
func TestALegThatIsKeptByHalvesIsNotKeptBeforeItIsCreditBalance(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := b.order(100_000, 0, 80_000, "CLOSED")
	r := b.drive(t, b.mustAsk(t, order, 100_000, "r-1").ID)
	b.world.end(domain.LegFailed)
	r = b.drive(t, r.ID)
	reference := r.Legs[0].Reference
	b.world.keep = errs.DependencyUnavailable.New("the bill service is down")
	if _, _, err := b.ResolveRefundLeg(t.Context(), "ADMIN:bob", app.ResolveLeg{RefundID: r.ID, Reference: reference, GivenBack: false, Evidence: "the account is closed"}); !errs.Is(err, errs.DependencyUnavailable) {
		t.Fatal(err)
	}
	if err := b.rows.Do(t.Context(), func(tx app.Tx) error {
		return b.HearOfReturn(t.Context(), tx, r.ID, app.Return{Reference: reference, State: domain.LegKept})
	}); err != nil {
		t.Fatal(err)
	}
	if r = b.drive(t, r.ID); r.State != domain.StateExecuting || r.Legs[0].State != domain.LegFailed {
		t.Errorf("%s %v", r.State, states(r.Legs))
	}
	b.world.keep = nil
	if r = b.drive(t, r.ID); r.State != domain.StateSucceeded || r.Legs[0].State != domain.LegKept || !b.world.kept[r.ID] {
		t.Errorf("%s %v, credit balance: %t", r.State, states(r.Legs), b.world.kept[r.ID])
	}
	b.prove(t)
}

func TestALegOfWhichThePaymentServiceKnowsMoreIsNeitherRetriedNorResolved(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	r := b.drive(t, b.mustAsk(t, b.order(100_000, 0, 80_000, "CLOSED"), 100_000, "r-1").ID)
	b.world.end(domain.LegFailed)
	r = b.drive(t, r.ID)
	b.world.moved = true
	if _, err := b.RetryRefundLeg(t.Context(), "ADMIN:bob", r.ID, r.Legs[0].Reference); !errs.Is(err, errs.RefundStateInvalid) {
		t.Error(err)
	}
	if _, _, err := b.ResolveRefundLeg(t.Context(), "ADMIN:bob", app.ResolveLeg{RefundID: r.ID, Reference: r.Legs[0].Reference, GivenBack: true, Evidence: "transfer 1"}); !errs.Is(err, errs.RefundStateInvalid) {
		t.Error(err)
	}
}

func TestARefundOfAnOrderThatWasCancelledMeanwhileFails(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := b.order(100_000, 0, 0, "PAID")
	r := b.mustAsk(t, order, 40_000, "r-1")
	b.world.payment = errs.OrderStateInvalid.New("the payment was taken back")
	if r = b.drive(t, r.ID); r.State != domain.StateFailed || r.Failure != "ORDER_STATE_INVALID" {
		t.Errorf("%s: %s", r.State, r.Failure)
	}
	b.prove(t)
}

func TestWhatABouncedRepaymentCannotGiveBackIsKeptAsCredit(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	r := b.mustAsk(t, b.order(100_000, 0, 100_000, "CLOSED"), 100_000, "r-1")
	// Cash may be on its way here: nothing is kept on top of it.
	b.world.repayment = errs.RequestIDReused.New("this refund was another one")
	if _, err := b.DriveRefund(t.Context(), r.ID); !errs.Is(err, errs.RequestIDReused) || b.world.kept[r.ID] {
		t.Fatalf("kept: %v, %v", b.world.kept[r.ID], err)
	}
	b.world.repayment = errs.OrderStateInvalid.New("the repayment bounced")
	if r = b.drive(t, r.ID); r.State != domain.StateSucceeded || !slices.Equal(states(r.Legs), []string{"2:KEPT:100000"}) || !b.world.kept[r.ID] {
		t.Errorf("%s %v, kept: %v", r.State, states(r.Legs), b.world.kept[r.ID])
	}
	b.prove(t)
}

func TestTheAuditNamesARefundThatLostItsTimer(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := b.order(10_000_000, 0, 0, "CONFIRMED")
	lost, kept := b.mustAsk(t, order, 1_000_000, ""), b.mustAsk(t, order, 1_000_000, "")
	b.prove(t)
	if _, err := b.db.ExecContext(t.Context(), `DELETE FROM jobs WHERE job_key = ?`, ids.Format(ids.Refund, lost.ID)); err != nil {
		t.Fatal(err)
	}
	found, err := audit.Run(t.Context(), b.db, "refund", b.clock.Now(), store.Audit())
	if err != nil || len(found) != 1 || found[0].Check != "refund_without_timer" || found[0].ID != ids.Format(ids.Refund, lost.ID) {
		t.Errorf("%v, %v; %s has its timer", found, err, kept.ID)
	}
}

func TestManyRefundsGiveTheWholeDownPaymentBack(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := b.order(100, 33, 0, "CONFIRMED")
	cash := int64(0)
	for range 10 {
		r := b.mustAsk(t, order, 10, b.ids.New().String())
		cash += r.Share.Cash.Minor()
		b.clock.Advance(time.Second)
	}
	if cash != 33 {
		t.Errorf("%d of 33 go back", cash)
	}
	b.prove(t)
}

// Rows of a refund are in several tables; a reader must not see some of them before a step and some after it.
func TestARefundThatIsReadWhileItMovesIsOfOneMoment(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for range 60 {
		order := b.order(100_000, 0, 80_000, "CLOSED")
		r := b.mustAsk(t, order, 100_000, "r-1")
		driven := make(chan struct{})
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				for {
					list, err := b.OrderRefunds(t.Context(), order)
					if errs.Is(err, errs.ConcurrentChange) {
						continue
					}
					if err != nil || len(list) != 1 || len(list[0].Refund.Legs) != len(list[0].Refund.Effect.Sources) {
						t.Errorf("%+v, %v", list, err)
						return
					}
					select {
					case <-driven:
						return
					default:
					}
				}
			})
		}
		b.drive(t, r.ID)
		close(driven)
		group.Wait()
	}
}

// The payer repays between the last approval and the first step: what was approved is not what would happen, so nothing happens.
func TestWhatIsCarriedOutIsWhatWasApproved(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := b.order(1_000_000, 0, 0, "CONFIRMED")
	r := b.mustAsk(t, order, 1_000_000, "")
	if got := b.decide(t, b.ApproveRefund, "ADMIN:bob", r.ID); !slices.Equal(got, []string{"APPROVED "}) {
		t.Fatalf("approved: %q", got)
	}
	b.world.orders[order].repaid = 300_000
	b.clock.Advance(time.Hour)
	r = b.drive(t, r.ID)
	if r.State != domain.StatePendingApproval || r.Snapshot != 2 || len(r.Approvals) != 0 || r.ExpireTime != b.clock.Now().Add(domain.ApprovalTime) || len(b.world.adjusted) != 0 ||
		len(r.Effect.Sources) != 1 {
		t.Fatalf("%s, snapshot %d, approved by %v until %s, %d loans adjusted", r.State, r.Snapshot, r.Approvals, r.ExpireTime, len(b.world.adjusted))
	}
	b.prove(t)
	if got := b.decide(t, b.ApproveRefund, "ADMIN:bob", r.ID); !slices.Equal(got, []string{"APPROVED "}) {
		t.Fatalf("approved anew: %q", got)
	}
	b.drive(t, r.ID)
	b.world.end(domain.LegReturned)
	if r = b.drive(t, r.ID); r.State != domain.StateSucceeded || b.world.paidBack() != 300_000 {
		t.Errorf("%s, %d went back in cash", r.State, b.world.paidBack())
	}
	b.prove(t)
	// Nobody had to approve this one of the next day: it does what it does.
	b.clock.Advance(24 * time.Hour)
	other := b.order(1_000_000, 0, 0, "CONFIRMED")
	small := b.mustAsk(t, other, 50_000, "")
	b.world.orders[other].repaid = 1_000_000
	if small = b.drive(t, small.ID); small.State != domain.StateExecuting || len(small.Legs) != 1 {
		t.Errorf("%s with %v", small.State, small.Legs)
	}
	b.prove(t)
}
