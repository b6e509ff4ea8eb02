package app_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

var (
	elsewhere = domain.Ruling{Resolution: domain.ResolvedElsewhere, Actor: "ADMIN:ann", Evidence: "transfer 4711"}
	abandoned = domain.Ruling{Resolution: domain.ResolvedAbandoned, Actor: "ADMIN:ann", Evidence: "account closed"}
)

func TestAPartOfARepaymentGoesBackOnceARefund(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	leg := w.arrived()
	ask := w.returnOf(leg, 1200)
	b, err := w.ReturnRepayment(ctx, ask)
	if err != nil || b.Return.State != domain.ReturnReturning || b.Leg.ID != leg.ID {
		t.Fatalf("%+v, %v", b, err)
	}
	w.wantBalances("asked", map[string]int{"REPAYMENT_CLEARING": -3800, "CASH_RETURNABLE": -1200, "CASH_CLEARING": 5000})
	if again, err := w.ReturnRepayment(ctx, ask); err != nil || again.Return.ID != b.Return.ID {
		t.Errorf("the repeat gives %+v, %v", again, err)
	}
	pending := w.repayment()
	for name, c := range map[string]struct {
		change func(*app.RepaymentReturn)
		want   errs.Reason
	}{
		"another amount":  {func(a *app.RepaymentReturn) { a.Amount = idr(1) }, errs.RequestIDReused},
		"too much":        {func(a *app.RepaymentReturn) { *a = w.returnOf(leg, 3801) }, errs.RefundExceedsBudget},
		"nothing":         {func(a *app.RepaymentReturn) { *a = w.returnOf(leg, 0) }, errs.InvalidArgument},
		"did not arrive":  {func(a *app.RepaymentReturn) { *a = w.returnOf(pending, 1) }, errs.OrderStateInvalid},
		"unknown":         {func(a *app.RepaymentReturn) { *a = w.returnOf(domain.CashLeg{SubjectID: w.gen.New()}, 1) }, errs.NotFound},
		"not a repayment": {func(a *app.RepaymentReturn) { a.RepaymentID = a.RefundID }, errs.InvalidArgument},
	} {
		other := ask
		c.change(&other)
		if _, err := w.ReturnRepayment(ctx, other); !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want.Name())
		}
	}
	wrong := ofReturn(b.Return, leg, domain.CashRefunded)
	wrong.Minor++
	w.told(wrong, domain.LegReturning, domain.OutcomeMismatch)
	w.told(ofReturn(b.Return, leg, domain.CashRefunded), domain.LegReversed, domain.OutcomeApplied)
	w.told(ofReturn(b.Return, leg, domain.CashRefunded), domain.LegReversed, domain.OutcomeRepeated)
	w.told(ofReturn(b.Return, leg, domain.CashFailed), domain.LegReversed, domain.OutcomeContradiction)
	w.wantBalances("given back", map[string]int{"REPAYMENT_CLEARING": -3800, "CASH_RETURNABLE": 0, "CASH_CLEARING": 3800})
	list, err := w.CashReturns(ctx, ask.RefundID)
	if err != nil || len(list) != 1 || list[0].Return.ReturnTime().IsZero() || list[0].Return.RefundID.IsZero() || !list[0].Return.OrderID.IsZero() {
		t.Errorf("returns %+v, %v", list, err)
	}
	// The leg is told to the bill service as it is: the return does not look like a bounce.
	w.wantEvents("PENDING>SUCCEEDED 5000 user-1")
	if got := w.returnEvents(); !slices.Equal(got, []string{"RETURNING 1200 use", "RETURNED 1200 use"}) {
		t.Errorf("events %v", got)
	}
	w.proveBooks()
}

func TestAReturnThatFailedIsAskedForAgainOrEndedByAnOperator(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	leg := w.arrived()
	r := w.givenBack(leg, 100)
	ref := ids.Format(ids.Leg, r.ID)
	_, err := w.RetryCashReturn(ctx, ref)
	w.wantReason(err, errs.OrderStateInvalid)
	_, err = w.ResolveCashReturn(ctx, ref, abandoned)
	w.wantReason(err, errs.OrderStateInvalid)
	w.told(ofReturn(r, leg, domain.CashFailed), domain.LegFailed, domain.OutcomeApplied)
	w.told(ofReturn(r, leg, domain.CashFailed), domain.LegFailed, domain.OutcomeRepeated)
	w.proveBooks()
	w.clock.Advance(8 * 24 * time.Hour)
	if b, err := w.RetryCashReturn(ctx, ref); err != nil || b.Return.ID != r.ID || b.Return.State != domain.ReturnReturning {
		t.Fatalf("%+v, %v", b, err)
	}
	w.proveBooks()
	w.told(ofReturn(r, leg, domain.CashFailed), domain.LegFailed, domain.OutcomeApplied)
	for range 2 {
		if b, err := w.ResolveCashReturn(ctx, ref, elsewhere); err != nil || b.Return.State != domain.ReturnReturned || b.Return.Evidence != elsewhere.Evidence {
			t.Fatalf("%+v, %v", b, err)
		}
	}
	_, err = w.ResolveCashReturn(ctx, ref, abandoned)
	w.wantReason(err, errs.OrderStateInvalid)
	w.told(ofReturn(r, leg, domain.CashFailed), domain.LegReversed, domain.OutcomeRepeated)
	w.wantBalances("given back another way", map[string]int{"CASH_RETURNABLE": 0, "CASH_PAID_OUT": -100, "CASH_CLEARING": 5000})
	w.proveBooks()
	if got := w.returnEvents(); !slices.Equal(got, []string{"RETURNING 100 use", "FAILED 100 use", "RETURNING 100 use", "FAILED 100 use", "RETURNED 100 use"}) {
		t.Errorf("events %v", got)
	}
	for _, unknown := range []string{ids.Format(ids.Leg, leg.ID), ids.Format(ids.Leg, w.gen.New())} {
		_, err := w.RetryCashReturn(ctx, unknown)
		w.wantReason(err, errs.NotFound)
	}
}

// What the marketplace says that it gave back is booked, whatever was believed before; what the payer has twice by it is listed.
func TestMoneyThatGoesBackAfterAllIsBookedAndListed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ruling   *domain.Ruling
		outcome  domain.Outcome
		balances map[string]int
	}{
		"after it failed":       {nil, domain.OutcomeApplied, map[string]int{"CASH_OVERPAID": 0, "REPAYMENT_CLEARING": -4900}},
		"after another way":     {&elsewhere, domain.OutcomeTwice, map[string]int{"CASH_OVERPAID": 100, "CASH_PAID_OUT": -100, "REPAYMENT_CLEARING": -4900}},
		"after it was given up": {&abandoned, domain.OutcomeTwice, map[string]int{"CASH_OVERPAID": 100, "REPAYMENT_CLEARING": -5000}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			leg := w.arrived()
			r := w.givenBack(leg, 100)
			w.told(ofReturn(r, leg, domain.CashFailed), domain.LegFailed, domain.OutcomeApplied)
			if c.ruling != nil {
				if _, err := w.ResolveCashReturn(context.Background(), ids.Format(ids.Leg, r.ID), *c.ruling); err != nil {
					t.Fatal(err)
				}
			}
			w.proveBooks()
			w.told(ofReturn(r, leg, domain.CashRefunded), domain.LegReversed, c.outcome)
			w.told(ofReturn(r, leg, domain.CashRefunded), domain.LegReversed, domain.OutcomeRepeated)
			w.wantBalances(name, c.balances)
			w.wantBalances(name, map[string]int{"CASH_RETURNABLE": 0, "CASH_CLEARING": 4900})
			if _, short, _ := w.unfit(app.UnfitFilter{}, 10); (len(short) == 1) != (c.outcome == domain.OutcomeTwice) {
				t.Errorf("listed: %q", short)
			}
			if got, err := w.store.CashReturn(context.Background(), r.ID); err != nil || got.State != domain.ReturnReturned || got.ReturnTime().IsZero() {
				t.Errorf("%+v, %v", got, err)
			}
			w.proveBooks()
		})
	}
}

func TestADownPaymentThatCannotGoBackIsKeptForThePayer(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ctx := context.Background()
	ps, leg := w.paidByCash()
	w.cancelled(ps[1])
	share, err := w.store.CashReturnOf(ctx, ps[1].ID)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range []domain.CashReturn{w.refunded(w.refundOf(ps[0], 0, 4)), *share} {
		w.bill.away = true
		w.told(ofReturn(r, leg, domain.CashFailed), domain.LegFailed, domain.OutcomeApplied)
		if err := w.resolve(r, abandoned); err != nil {
			t.Fatal(err)
		}
		w.proveBooks() // A job is at it.
		if len(w.texts(`SELECT job_key FROM jobs WHERE kind = ?`, app.JobKeepCash)) != 1 {
			t.Error("nobody sees to it that it is kept")
		}
		w.bill.away = false
		w.tick()
		if err := w.KeepCash(ctx, ids.Format(ids.Leg, r.ID)); err != nil || w.bill.kept[r.ID] != r.Amount || len(w.bill.kept) != i+1 {
			t.Errorf("kept %v, %v", w.bill.kept, err)
		}
		w.proveBooks()
	}
	w.wantBalances("kept", map[string]int{"REPAYMENT_CLEARING": -24, "CASH_RETURNABLE": 0, "CASH_CLEARING": 30})
	if down, err := w.QueryDownPayResult(ctx, payer(user), ids.Format(ids.Order, ps[1].OrderID), ""); err != nil || down.Leg.State != domain.LegFailed {
		t.Errorf("%+v, %v", down, err)
	}
	w.told(ofReturn(*share, leg, domain.CashRefunded), domain.LegReversed, domain.OutcomeTwice)
	if down, err := w.QueryDownPayResult(ctx, payer(user), ids.Format(ids.Order, ps[1].OrderID), ""); err != nil || down.Leg.State != domain.LegReversed {
		t.Errorf("%+v, %v", down, err)
	}
	w.proveBooks()
}

// resolve ends a return as an operator does: by its refund, or by itself.
func (w *world) resolve(r domain.CashReturn, by domain.Ruling) error {
	reference := ids.Format(ids.Leg, r.ID)
	if r.RefundID.IsZero() {
		_, _, err := w.ResolveCancelReturn(context.Background(), reference, by)
		return err
	}
	_, err := w.ResolveCashReturn(context.Background(), reference, by)
	return err
}

// asks gives how often the marketplace was asked or told of cash so far.
func (w *world) asks() int {
	w.t.Helper()
	w.tick()
	return len(w.legEvents()) + len(w.returnEvents())
}

func TestCashOfWhichNothingIsHeardIsAskedForAgainUntilItIsKnown(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ps, leg := w.paidByCash()
	r := w.refunded(w.refundOf(ps[0], 0, 4))
	told := w.asks()
	// After an hour, then after as long as nothing was heard, once a day at most.
	for i, pause := range []time.Duration{time.Hour, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 16 * time.Hour, 24 * time.Hour, 24 * time.Hour} {
		w.clock.Advance(pause - time.Second)
		if got := w.asks(); got != told+i {
			t.Fatalf("asked %d times before pause %d is over", got-told, i+1)
		}
		w.clock.Advance(time.Second)
		if got := w.asks(); got != told+i+1 {
			t.Fatalf("asked %d times after pause %d", got-told, i+1)
		}
		w.proveBooks()
	}
	w.told(ofReturn(r, leg, domain.CashRefunded), domain.LegReversed, domain.OutcomeApplied)
	told = w.asks()
	w.clock.Advance(100 * 24 * time.Hour)
	if got := w.asks(); got != told {
		t.Errorf("asked %d times more for what was given back", got-told)
	}
	w.proveBooks()
}

func TestMoneyThatCameTooLateIsAskedForAgainToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	leg := w.repayment()
	w.clock.Advance(30 * 24 * time.Hour)
	w.told(notice(leg, domain.CashPaid), domain.LegReturning, domain.OutcomeLate)
	told := w.asks()
	for i := range 3 {
		w.clock.Advance(24 * time.Hour)
		if got := w.asks(); got != told+i+1 {
			t.Fatalf("asked %d times after %d days", got-told, i+1)
		}
		w.proveBooks()
	}
}

func TestAnOperatorEndsTheReturnOfACancelledOrderAndNotThatOfARefund(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ctx := context.Background()
	ps, leg := w.paidByCash()
	w.cancelled(ps[1])
	share, err := w.store.CashReturnOf(ctx, ps[1].ID)
	if err != nil {
		t.Fatal(err)
	}
	refund := w.refunded(w.refundOf(ps[0], 0, 4))
	for _, r := range []domain.CashReturn{*share, refund} {
		w.told(ofReturn(r, leg, domain.CashFailed), domain.LegFailed, domain.OutcomeApplied)
	}
	reference := ids.Format(ids.Leg, share.ID)
	page, more, err := w.ListCashReturns(ctx, app.ReturnFilter{State: domain.ReturnFailed}, 1)
	if err != nil || !more || len(page) != 1 || page[0].Return.ID != refund.ID {
		t.Errorf("%+v, %t, %v", page, more, err)
	}
	page, more, err = w.ListCashReturns(ctx, app.ReturnFilter{State: domain.ReturnFailed, OrderID: ps[1].OrderID, Below: refund.ID}, 5)
	if err != nil || more || len(page) != 1 || page[0].Return.ID != share.ID || page[0].Leg.ID != leg.ID {
		t.Errorf("%+v, %t, %v", page, more, err)
	}
	for _, change := range []func(string) (app.CashBack, error){
		func(reference string) (app.CashBack, error) { return w.RetryCancelReturn(ctx, reference) },
		func(reference string) (app.CashBack, error) {
			b, _, err := w.ResolveCancelReturn(ctx, reference, abandoned)
			return b, err
		},
	} {
		if _, err := change(ids.Format(ids.Leg, refund.ID)); !errs.Is(err, errs.OrderStateInvalid) {
			t.Errorf("of a refund: %v", err)
		}
		if _, err := change(ids.Format(ids.Leg, leg.ID)); !errs.Is(err, errs.NotFound) {
			t.Errorf("of a leg: %v", err)
		}
	}
	if b, err := w.RetryCancelReturn(ctx, reference); err != nil || b.Return.State != domain.ReturnReturning {
		t.Errorf("%+v, %v", b, err)
	}
	w.told(ofReturn(*share, leg, domain.CashFailed), domain.LegFailed, domain.OutcomeApplied)
	for range 2 {
		if b, _, err := w.ResolveCancelReturn(ctx, reference, elsewhere); err != nil || b.Return.State != domain.ReturnReturned {
			t.Errorf("%+v, %v", b, err)
		}
	}
	if _, _, err := w.ResolveCancelReturn(ctx, reference, abandoned); !errs.Is(err, errs.OrderStateInvalid) {
		t.Errorf("ended twice in two ways: %v", err)
	}
	w.proveBooks()
}

// Above the limit the return of a cancelled order is ended once somebody else approved it, as it was asked for or not at all.
func TestResolveCancelReturn_WaitsAboveTheLimit(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ctx := context.Background()
	if _, err := w.db.ExecContext(ctx, `UPDATE approval_rule_tiers SET from_minor = 2 WHERE from_minor = 1000001`); err != nil {
		t.Fatal(err)
	}
	ps, leg := w.paidByCash()
	w.cancelled(ps[1])
	share, err := w.store.CashReturnOf(ctx, ps[1].ID)
	if err != nil {
		t.Fatal(err)
	}
	reference := ids.Format(ids.Leg, share.ID)
	w.told(ofReturn(*share, leg, domain.CashFailed), domain.LegFailed, domain.OutcomeApplied)
	decide := func(who string, id ids.ID) (approval.Request, error) {
		return w.desk.Approve(ctx, desk.Decision{By: caller.Caller{Kind: caller.Admin, Name: who, Roles: caller.RolesOf(caller.Approve)}, RequestID: "approve-" + w.gen.New().String(), ID: id})
	}
	ask := func() approval.Request {
		b, asked, err := w.ResolveCancelReturn(ctx, reference, abandoned)
		if err != nil || !asked.Waits() || b.Return.State != domain.ReturnFailed {
			t.Fatalf("%+v, %+v, %v", b.Return, asked, err)
		}
		return asked
	}
	asked := ask()
	if again := ask(); again.ID != asked.ID {
		t.Errorf("a repeat is another request: %+v", again)
	}
	if _, _, err := w.ResolveCancelReturn(ctx, reference, elsewhere); !errs.Is(err, errs.ApprovalPending) {
		t.Errorf("another end while one waits: %v", err)
	}
	if _, err := w.ResolveCashReturn(ctx, reference, abandoned); !errs.Is(err, errs.OrderStateInvalid) {
		t.Errorf("past the approval, by the RPC for refunds: %v", err)
	}
	if b, err := w.RetryCancelReturn(ctx, reference); err != nil || b.Return.State != domain.ReturnReturning {
		t.Fatalf("%+v, %v", b, err)
	}
	if got, err := decide("bob", asked.ID); err != nil || got.State != approval.StateFailed {
		t.Errorf("approved while it is on its way: %+v, %v", got, err)
	}
	w.told(ofReturn(*share, leg, domain.CashFailed), domain.LegFailed, domain.OutcomeApplied)
	asked = ask()
	if _, err := decide("Ann", asked.ID); !errs.Is(err, errs.ApproverIsRequester) {
		t.Error(err)
	}
	if got, err := decide("bob", asked.ID); err != nil || got.State != approval.StateCarriedOut {
		t.Fatalf("%+v, %v", got, err)
	}
	if b, more, err := w.ResolveCancelReturn(ctx, reference, abandoned); err != nil || more.Needed != 0 || b.Return.State != domain.ReturnAbandoned || b.Return.Actor != "ADMIN:ann" {
		t.Errorf("%+v, %+v, %v", b.Return, more, err)
	}
	w.proveBooks()
}

func TestABounceEndsWhatWasOnItsWayAndShowsWhatWasThereBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	leg := w.arrived()
	var rs []domain.CashReturn
	for _, minor := range []int64{100, 200, 400, 800, 1600} {
		rs = append(rs, w.givenBack(leg, minor))
	}
	w.told(ofReturn(rs[1], leg, domain.CashRefunded), domain.LegReversed, domain.OutcomeApplied)
	for i, ruling := range map[int]*domain.Ruling{2: nil, 3: &elsewhere, 4: &abandoned} {
		w.told(ofReturn(rs[i], leg, domain.CashFailed), domain.LegFailed, domain.OutcomeApplied)
		if ruling != nil {
			if _, err := w.ResolveCashReturn(ctx, ids.Format(ids.Leg, rs[i].ID), *ruling); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.wantBalances("before", map[string]int{"REPAYMENT_CLEARING": -5000 + 1500, "CASH_RETURNABLE": -500, "CASH_CLEARING": 4800, "CASH_PAID_OUT": -800})
	w.proveBooks()
	w.told(notice(leg, domain.CashRefunded), domain.LegReversed, domain.OutcomeTwice)
	w.wantBalances("bounced", map[string]int{"REPAYMENT_CLEARING": 0, "CASH_RETURNABLE": 0, "CASH_CLEARING": -200, "CASH_OVERPAID": 1000})
	w.proveBooks()
	for i, state := range []domain.ReturnState{domain.ReturnReturned, domain.ReturnReturned, domain.ReturnReturned, domain.ReturnReturned, domain.ReturnAbandoned} {
		if got, err := w.store.CashReturn(ctx, rs[i].ID); err != nil || got.State != state {
			t.Errorf("return %d: %+v, %v", i, got, err)
		}
	}
	_, err := w.ReturnRepayment(ctx, w.returnOf(leg, 1))
	w.wantReason(err, errs.OrderStateInvalid)
	for i, outcome := range []domain.Outcome{domain.OutcomeTwice, domain.OutcomeRepeated, domain.OutcomeTwice, domain.OutcomeTwice, domain.OutcomeTwice} {
		w.told(ofReturn(rs[i], leg, domain.CashRefunded), domain.LegReversed, outcome)
		w.told(ofReturn(rs[i], leg, domain.CashRefunded), domain.LegReversed, domain.OutcomeRepeated)
		w.proveBooks()
	}
	w.told(notice(leg, domain.CashRefunded), domain.LegReversed, domain.OutcomeRepeated)
	w.wantEvents("PENDING>SUCCEEDED 5000 user-1", "SUCCEEDED>REVERSED 5000 user-1")
}

// A bounce, a return that is asked for, one that is given back and one that an operator ends meet; the books hold whoever is first.
func TestABounceAndItsReturnsAtOnceLeaveTheBooksClean(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	refusedOr := func(err error) error {
		if errs.Is(err, errs.OrderStateInvalid) {
			return nil
		}
		return err
	}
	for round := range 40 {
		leg := w.arrived()
		open, failed := w.givenBack(leg, 100), w.givenBack(leg, 200)
		w.told(ofReturn(failed, leg, domain.CashFailed), domain.LegFailed, domain.OutcomeApplied)
		race(t, round, []func() error{
			func() error { _, err := w.notify(notice(leg, domain.CashRefunded)); return err },
			func() error { _, err := w.ReturnRepayment(ctx, w.returnOf(leg, 400)); return refusedOr(err) },
			func() error { _, err := w.notify(ofReturn(open, leg, domain.CashRefunded)); return err },
			func() error {
				_, err := w.ResolveCashReturn(ctx, ids.Format(ids.Leg, failed.ID), abandoned)
				return refusedOr(err)
			},
		})
		if s := w.legOf(ids.Format(ids.Leg, leg.ID)).State; s != domain.LegReversed {
			t.Fatalf("round %d: leg %s", round, s)
		}
	}
	w.proveBooks()
}
