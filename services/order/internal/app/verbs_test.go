package app_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/services/order/internal/app"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

func TestAnOrderLivesFromCreationToTheEndOfItsLoan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.paid("request-0", "a", "b")
	wantStates(t, c, domain.CheckoutPaid, domain.OrderPaid, domain.OrderPaid)
	first := w.confirm("confirm-0", orderIDs(c)...)
	if again := w.confirm("confirm-0", orderIDs(c)...); !reflect.DeepEqual(first, again) {
		t.Errorf("repeated confirm answers %+v after %+v", again, first)
	}
	w.clock.Advance(time.Hour)
	loan := app.LoanSettled{OrderID: c.Orders[0].ID, Time: w.clock.Now()}
	if err := w.apply(loan, loan); err != nil {
		t.Fatal(err)
	}
	wantStates(t, w.checkout(c.ID), domain.CheckoutPaid, domain.OrderClosed, domain.OrderConfirmed)
	if n := w.count(`SELECT (SELECT COUNT(timer_time) FROM checkouts) + (SELECT COUNT(auto_confirm_time) FROM orders)`); n != 0 {
		t.Errorf("%d timers are left", n)
	}
	if n := w.count(`SELECT COUNT(*) FROM outbox`); n != 6 {
		t.Errorf("%d events, want created, 2 paid, 2 confirmed, 1 closed", n)
	}
	if err := w.apply(app.LoanSettled{OrderID: w.IDs.New()}); !errs.Is(err, errs.NotFound) {
		t.Errorf("loan of an unknown order: %v", err)
	}
}

func TestConfirmAnswersEachOrderForItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	paid, fresh := w.paid("request-0", "a"), w.generate("request-1", draft("b"))
	committing := w.generate("request-2", draft("c"))
	s := w.settlement(committing, w.begin(committing))
	all := []ids.ID{fresh.Orders[0].ID, paid.Orders[0].ID, committing.Orders[0].ID, w.IDs.New()}
	r := w.confirm("confirm-0", all...)
	wantReason(t, r[0], errs.OrderNotPaid)
	if r[1].Reason != "" || r[1].State != domain.OrderConfirmed {
		t.Errorf("the paid order: %+v", r[1])
	}
	wantReason(t, r[2], errs.DependencyUnavailable)
	wantReason(t, r[3], errs.NotFound)
	w.payment.say(app.CommitProcessing, domain.Settlement{})
	wantReason(t, w.confirm("confirm-0", all...)[2], errs.CheckoutCommitting)
	w.payment.say(app.CommitSucceeded, s)
	// The same request_id: a call that met a commit under way was not recorded.
	if r = w.confirm("confirm-0", all...); r[2].Reason != "" || r[2].State != domain.OrderConfirmed {
		t.Errorf("the order that is paid meanwhile: %+v", r[2])
	}
	wantStates(t, w.checkout(committing.ID), domain.CheckoutPaid, domain.OrderConfirmed)
	if err := w.apply(app.PaymentSucceeded{Settlement: s}); err != nil {
		t.Errorf("the event behind the confirm: %v", err)
	}
}

func TestCancelShrinksAnUnpaidCheckoutAndEndsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.generate("request-0", draft("a", "b"))
	w.cancel("cancel-0", c.Orders[0].ID)
	now := w.checkout(c.ID)
	wantStates(t, now, domain.CheckoutOpen, domain.OrderCancelled, domain.OrderCreated)
	if now.Total != idr(100) {
		t.Errorf("total %s", now.Total)
	}
	if _, err := w.BeginCommit(t.Context(), c.ID, domain.Commit{ID: w.IDs.New(), UserID: c.UserID, Expected: c.Total}, "x"); !errs.Is(err, errs.CheckoutChanged) {
		t.Errorf("commit of the old total: %v", err)
	}
	r := w.cancel("cancel-1", orderIDs(c)...)
	if r[0].Reason != "" || r[1].State != domain.OrderCancelled {
		t.Errorf("results %+v", r)
	}
	wantStates(t, w.checkout(c.ID), domain.CheckoutCancelled, domain.OrderCancelled, domain.OrderCancelled)
	if n := w.count(`SELECT (SELECT COUNT(timer_time) FROM checkouts) + (SELECT COUNT(auto_confirm_time) FROM orders)`); n != 0 {
		t.Errorf("%d timers are left", n)
	}
}

func TestCancelOfACommitObeysItsOutcome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.generate("request-0", draft("a", "b"))
	w.begin(c)
	w.payment.say(app.CommitProcessing, domain.Settlement{})
	wantReason(t, w.cancel("cancel-0", c.Orders[0].ID)[0], errs.CheckoutCommitting)
	w.payment.say(app.CommitFailed, domain.Settlement{})
	if r := w.cancel("cancel-0", c.Orders[0].ID); r[0].State != domain.OrderCancelled {
		t.Errorf("withdrawn: %+v", r)
	}
	now := w.checkout(c.ID)
	wantStates(t, now, domain.CheckoutOpen, domain.OrderCancelled, domain.OrderCreated)
	s := w.settlement(now, w.begin(now))
	w.payment.say(app.CommitSucceeded, s)
	if r := w.cancel("cancel-1", c.Orders[1].ID); r[0].State != domain.OrderCancelling {
		t.Errorf("too late: %+v", r)
	}
	wantStates(t, w.checkout(c.ID), domain.CheckoutPaid, domain.OrderCancelled, domain.OrderCancelling)
	reversed := app.PaymentReversed{CheckoutID: c.ID, OrderID: c.Orders[1].ID, Time: w.clock.Now()}
	if err := w.apply(reversed, reversed); err != nil {
		t.Fatal(err)
	}
	wantStates(t, w.checkout(c.ID), domain.CheckoutCancelled, domain.OrderCancelled, domain.OrderCancelled)
	reversed.OrderID = c.Orders[0].ID
	if err := w.apply(reversed); !errs.Is(err, errs.OrderStateInvalid) {
		t.Errorf("reversal of an order that was never paid: %v", err)
	}
}

func TestTimersExpireAndConfirm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	open, committing := w.generate("request-0", draft("a")), w.generate("request-1", draft("b"))
	commit := w.begin(committing)
	expire := func(c domain.Checkout) jobs.Outcome {
		out, err := w.ExpireCheckout(t.Context(), jobs.Job{Key: ids.Format(ids.Checkout, c.ID)})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if expire(open) != jobs.Again(open.ExpireTime) {
		t.Error("an open checkout is not looked at again when its time is over")
	}
	w.clock.Set(open.ExpireTime)
	if expire(open) != jobs.Done() || expire(committing) != jobs.Waiting(w.clock.Now().Add(30*time.Second), "the checkout is in a commit whose end is not known") {
		t.Error("wrong outcome")
	}
	wantStates(t, w.checkout(open.ID), domain.CheckoutExpired, domain.OrderExpired)
	if err := w.AbortCommit(t.Context(), app.Abort{CheckoutID: committing.ID, CommitID: commit, Reason: "failed", Actor: "SERVICE:payment"}); err != nil {
		t.Fatal(err)
	}
	wantStates(t, w.checkout(committing.ID), domain.CheckoutExpired, domain.OrderExpired)
	wantReason(t, w.cancel("cancel-0", open.Orders[0].ID)[0], errs.OrderStateInvalid)

	paid := w.paid("request-2", "c")
	key := ids.Format(ids.Order, paid.Orders[0].ID)
	var due time.Time
	if err := w.db.QueryRowContext(t.Context(), `SELECT auto_confirm_time FROM orders WHERE id = ?`, paid.Orders[0].ID).Scan(&due); err != nil {
		t.Fatal(err)
	}
	if due != paid.Orders[0].PayTime.Add(15*24*time.Hour) {
		t.Errorf("auto-confirm is due %s", due)
	}
	if out, err := w.AutoConfirm(t.Context(), jobs.Job{Key: key}); err != nil || out != jobs.Done() {
		t.Errorf("auto-confirm: %v, %v", out, err)
	}
	wantStates(t, w.checkout(paid.ID), domain.CheckoutPaid, domain.OrderConfirmed)
}

func TestAWrongSettlementChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.generate("request-0", draft("a"))
	s := w.settlement(c, w.begin(c))
	s.Orders[0].Amount = idr(99)
	if err := w.apply(app.PaymentSucceeded{Settlement: s}); !errs.Is(err, errs.OrderStateInvalid) {
		t.Errorf("wrong amount: %v", err)
	}
	w.payment.say(app.CommitSucceeded, s)
	wantReason(t, w.confirm("confirm-0", c.Orders[0].ID)[0], errs.OrderStateInvalid)
	wantStates(t, w.checkout(c.ID), domain.CheckoutCommitting, domain.OrderCommitting)
}

func TestEachCallerSeesItsOwnOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.paid("request-0", "a")
	byNumber := app.OrderName{Number: app.OrderNumber{MerchantID: "m1", OutOrderNo: "a"}}
	for _, who := range []caller.Caller{{Kind: caller.SPM}, {Kind: caller.Admin}, payer("u1"), {Kind: caller.Merchant, MerchantID: "m1"}} {
		if o, err := w.GetOrder(t.Context(), who, byNumber); err != nil || o.ID != c.Orders[0].ID {
			t.Errorf("%s: %v", who, err)
		}
	}
	for _, who := range []caller.Caller{{}, payer("u2"), payer(""), {Kind: caller.Merchant, MerchantID: "m2"}, {Kind: caller.Service}} {
		if _, err := w.GetOrder(t.Context(), who, app.OrderName{ID: c.Orders[0].ID}); !errs.Is(err, errs.NotFound) {
			t.Errorf("%s: %v", who, err)
		}
	}
	token := w.Token(c.ID)
	if info, err := w.QueryCheckoutInfo(t.Context(), payer("u1"), app.CheckoutName{Token: token}); err != nil || info.Checkout.ID != c.ID {
		t.Errorf("own token: %v", err)
	}
	other := byte('A')
	if token[40] == other {
		other = 'B'
	}
	forged := token[:40] + string(other) + token[41:]
	for name, call := range map[string]struct {
		who  caller.Caller
		name app.CheckoutName
	}{"foreign": {payer("u2"), app.CheckoutName{Token: token}}, "forged": {payer("u1"), app.CheckoutName{Token: forged}},
		"short": {payer("u1"), app.CheckoutName{Token: "AAAA"}}, "unknown": {payer("u1"), app.CheckoutName{ID: w.IDs.New()}}} {
		if _, err := w.QueryCheckoutInfo(t.Context(), call.who, call.name); !errs.Is(err, errs.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPagesDegradeWithoutTheirPeers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	open, paid := w.generate("request-0", draft("a")), w.paid("request-1", "b")
	w.payment.say(app.CommitProcessing, domain.Settlement{})
	info, err := w.QueryCheckoutInfo(t.Context(), payer("u1"), app.CheckoutName{ID: open.ID})
	if err != nil || len(info.Quote.Plans) != 1 || !reflect.DeepEqual(info.Actions, []app.RequiredAction{app.ActionChooseChannel, app.ActionVerifyPIN, 3}) {
		t.Errorf("info %+v, error %v", info, err)
	}
	result, err := w.QueryCheckoutResult(t.Context(), payer("u1"), paid.ID)
	if err != nil || result.Plan == nil || result.NextDueDate != "2027-01-05" {
		t.Errorf("result %+v, error %v", result, err)
	}
	name := app.OrderName{ID: paid.Orders[0].ID}
	detail, err := w.GetOrderDetail(t.Context(), payer("u1"), name)
	if err != nil || len(detail.Unavailable) != 0 || len(detail.Legs) != 1 || detail.Loan == nil || len(detail.Timeline) != 4 || !reflect.DeepEqual(detail.Refunds, []string{"rfd_1"}) ||
		!reflect.DeepEqual(detail.Contracts, []string{"CP-1"}) {
		t.Errorf("detail %+v, error %v", detail, err)
	}
	w.bill.contractsErr = errs.NotYetAvailable.New("an older bill service")
	if detail, err = w.GetOrderDetail(t.Context(), payer("u1"), name); err != nil || detail.Loan == nil || !reflect.DeepEqual(detail.Unavailable, []string{"bill"}) {
		t.Errorf("detail %+v, error %v", detail, err)
	}
	w.payment.err, w.bill.err, w.refund.err = errs.DependencyUnavailable.New("away"), errs.DependencyUnavailable.New("away"), errs.DependencyUnavailable.New("away")
	if info, err = w.QueryCheckoutInfo(t.Context(), payer("u1"), app.CheckoutName{ID: open.ID}); err != nil || info.Quote.Reason != "DEPENDENCY_UNAVAILABLE" {
		t.Errorf("info %+v, error %v", info, err)
	}
	if result, err = w.QueryCheckoutResult(t.Context(), payer("u1"), paid.ID); err != nil || result.Plan != nil {
		t.Errorf("result %+v, error %v", result, err)
	}
	if detail, err = w.GetOrderDetail(t.Context(), payer("u1"), name); err != nil || !reflect.DeepEqual(detail.Unavailable, []string{"bill", "payment", "refund"}) {
		t.Errorf("detail %+v, error %v", detail, err)
	}
}

func TestRefundsAddUpAndCloseAnOrderOfWhichNothingIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.paid("request-1", "b")
	refund := func(amount int64) error {
		return w.apply(app.Refunded{OrderID: c.Orders[0].ID, Amount: idr(amount), Time: w.clock.Now()})
	}
	if err := refund(40); err != nil {
		t.Fatal(err)
	}
	if o := w.checkout(c.ID).Orders[0]; o.State != domain.OrderPaid || o.Refunded != idr(40) {
		t.Errorf("%s, %s refunded", o.State, o.Refunded)
	}
	if err := refund(61); !errs.Is(err, errs.OrderStateInvalid) {
		t.Errorf("more than was paid: %v", err)
	}
	if err := refund(60); err != nil {
		t.Fatal(err)
	}
	if err := w.apply(app.LoanReopened{OrderID: c.Orders[0].ID, Time: w.clock.Now()}); err != nil {
		t.Fatal(err)
	}
	if o := w.checkout(c.ID).Orders[0]; o.State != domain.OrderClosed || o.Refunded != idr(100) {
		t.Errorf("%s, %s refunded", o.State, o.Refunded)
	}
}

// A commit that cannot be withdrawn says why: a lost race and a peer that is down pass by themselves, a fault does not. None of them
// is remembered under the request's id.
func TestCancel_SaysWhyACommitCannotBeAsked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want errs.Reason
	}{
		"lost race":    {errs.ConcurrentChange.New("others were first"), errs.ConcurrentChange},
		"in flight":    {errs.RequestInFlight.New("at work"), errs.ConcurrentChange},
		"down":         {errs.DependencyUnavailable.New("away"), errs.DependencyUnavailable},
		"slow":         {errs.DeadlineTooShort.New("over"), errs.DependencyUnavailable},
		"limited":      {errs.RateLimited.New("too many"), errs.DependencyUnavailable},
		"cannot store": {errs.Internal.New("error 1366"), errs.Internal},
		"unknown":      {errs.NotFound.New("no such commit"), errs.Internal},
		"no reason":    {errors.New("?"), errs.Internal},
	} {
		w := newWorld(t)
		made := w.generate("g1", draft("A1"))
		w.begin(made)
		w.payment.err = c.err
		if got := w.cancel("c1", made.Orders[0].ID); got[0].Reason != c.want.Name() {
			t.Errorf("%s: %s, want %s", name, got[0].Reason, c.want.Name())
		}
		w.payment.say(app.CommitFailed, domain.Settlement{})
		if got := w.cancel("c1", made.Orders[0].ID); got[0].Reason == c.want.Name() {
			t.Errorf("%s: the same request answers %s still", name, got[0].Reason)
		}
	}
}
