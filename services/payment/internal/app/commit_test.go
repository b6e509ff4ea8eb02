package app_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

func TestACommitPaysEveryOrderOnceAndARepeatGivesTheFirstAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setPin()
	quote := w.quote()
	first, err := w.commit("commit-1", quote)
	if err != nil {
		t.Fatal(err)
	}
	if first.State != domain.PaymentSucceeded || len(first.Payments) != 2 {
		t.Fatalf("answer %+v", first)
	}
	w.clock.Advance(time.Hour) // The quote is long expired: the record answers all the same.
	again, err := w.commit("commit-1", quote)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(first, again) {
		t.Fatalf("the repeat differs:\n%+v\n%+v", first, again)
	}
	if n := w.count(`SELECT COUNT(*) FROM payments`); n != 2 {
		t.Fatalf("%d payments", n)
	}
	if left := w.recoveries(); len(left) != 0 {
		t.Fatalf("timers left: %v", left)
	}
	st, err := w.QueryPaymentStatus(context.Background(), user, w.checkoutID())
	if err != nil || st.State != domain.PaymentSucceeded || len(st.Payments) != 2 {
		t.Fatalf("status %+v, %v", st, err)
	}
	_, err = w.commit("commit-2", quote)
	w.wantReason(err, errs.QuoteExpired)
	w.proveBooks()
}

func TestTheSameRequestWithOtherContentIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setPin()
	if _, err := w.commit("commit-1", w.quote()); err != nil {
		t.Fatal(err)
	}
	_, err := w.commit("commit-1", ids.Format(ids.Quote, w.gen.New()))
	w.wantReason(err, errs.RequestIDReused)
	w.proveBooks()
}

func TestFiftyCommitsOfOneCheckoutPayItOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setPin()
	quote := w.quote()
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 50 {
		wg.Go(func() {
			a, err := w.commit(fmt.Sprintf("commit-%04d", i), quote)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && a.State == domain.PaymentSucceeded:
				won++
			case err == nil:
				t.Errorf("answer %+v", a)
			case !errs.Is(err, errs.CheckoutCommitting) && !errs.Is(err, errs.CheckoutAlreadyPaid) && !errs.Is(err, errs.ConcurrentChange):
				t.Errorf("refused with %v", err)
			}
		})
	}
	wg.Wait()
	if won != 1 || w.bill.holds() != 2 {
		t.Fatalf("%d commits succeeded, %d holds", won, w.bill.holds())
	}
	w.proveBooks()
}

func TestFiftyCallersOfOneRequestGetOneCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setPin()
	quote := w.quote()
	var wg sync.WaitGroup
	var mu sync.Mutex
	commits := map[ids.ID]bool{}
	for range 50 {
		wg.Go(func() {
			a, err := w.commit("commit-1", quote)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				commits[a.CommitID] = true
			} else if !errs.Is(err, errs.RequestInFlight) {
				t.Errorf("refused with %v", err)
			}
		})
	}
	wg.Wait()
	if len(commits) != 1 || w.count(`SELECT COUNT(*) FROM commits`) != 1 {
		t.Fatalf("%d commits answered, %d stored", len(commits), w.count(`SELECT COUNT(*) FROM commits`))
	}
	w.proveBooks()
}

func TestARefusalGivesEverythingBackAndTheSameRequestMayBeSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setPin()
	quote := w.quote()
	w.bill.refuse = errs.LimitInsufficient.New("too much")
	_, err := w.commit("commit-1", quote)
	w.wantReason(err, errs.LimitInsufficient)
	if !w.orders.holder.IsZero() || w.bill.holds() != 0 {
		t.Fatal("the order or the limit is still held")
	}
	st, err := w.QueryPaymentStatus(context.Background(), user, w.checkoutID())
	if err != nil || st.State != domain.PaymentFailed || st.Failure.Reason() != errs.LimitInsufficient {
		t.Fatalf("status %+v, %v", st, err)
	}
	w.bill.refuse = nil
	if a, err := w.commit("commit-1", quote); err != nil || a.State != domain.PaymentSucceeded {
		t.Fatalf("%+v, %v", a, err)
	}
	w.proveBooks()
}

func TestAnUnknownOutcomeIsProcessingAndIsDrivenToItsEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		breakIt func(*world)
		mend    func(*world)
		wait    time.Duration
		want    domain.PaymentState
	}{
		"order away, then back": {func(w *world) { w.orders.down = true }, func(w *world) { w.orders.down = false }, 0, domain.PaymentSucceeded},
		"answer of order lost":  {func(w *world) { w.orders.lost = true }, func(w *world) { w.orders.lost = false }, 0, domain.PaymentSucceeded},
		"bill away, then back":  {func(w *world) { w.bill.away = true }, func(w *world) { w.bill.away = false }, 0, domain.PaymentSucceeded},
		"bill away too long":    {func(w *world) { w.bill.away = true }, func(w *world) { w.bill.away = false }, 3 * time.Minute, domain.PaymentFailed},
		"bill back, refuses": {func(w *world) { w.bill.away = true },
			func(w *world) { w.bill.away, w.bill.refuse = false, errs.AccountFrozen.New("frozen") }, 0, domain.PaymentFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.setPin()
			quote := w.quote()
			c.breakIt(w)
			a, err := w.commit("commit-1", quote)
			if err != nil || a.State != domain.PaymentProcessing {
				t.Fatalf("%+v, %v", a, err)
			}
			_, err = w.commit("commit-1", quote)
			w.wantReason(err, errs.RequestInFlight)
			_, err = w.commit("commit-2", quote)
			w.wantReason(err, errs.CheckoutCommitting)
			c.mend(w)
			w.clock.Advance(c.wait)
			w.recoverAll()
			a, err = w.commit("commit-1", quote)
			if err != nil || a.State != c.want {
				t.Fatalf("after recovery: %+v, %v", a, err)
			}
			if c.want == domain.PaymentFailed && (w.bill.holds() != 0 || !w.orders.holder.IsZero()) {
				t.Fatal("a failed commit still holds something")
			}
			w.proveBooks()
		})
	}
}

func TestAWithdrawalDuringACommitWinsOrLosesNeverBoth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setPin()
	quote := w.quote()
	w.bill.before = func(c domain.Commit) {
		w.bill.before = nil
		got, _, err := w.WithdrawCommit(context.Background(), ids.Format(ids.Commit, c.ID), "changed my mind")
		if err != nil || got.State != domain.CommitFailed {
			t.Errorf("withdrawal: %+v, %v", got, err)
		}
	}
	lost, err := w.commit("commit-1", quote)
	if err != nil || lost.State != domain.PaymentFailed || lost.FailureReason != errs.CommitAborted.Name() {
		t.Fatalf("%+v, %v", lost, err)
	}
	if strings.Contains(lost.FailureMessage, "changed my mind") {
		t.Errorf("the payer reads why the marketplace cancelled: %q", lost.FailureMessage)
	}
	if w.bill.holds() != 0 || !w.orders.holder.IsZero() {
		t.Fatal("a withdrawn commit still holds something")
	}
	a, err := w.commit("commit-2", w.quote())
	if err != nil || a.State != domain.PaymentSucceeded {
		t.Fatalf("%+v, %v", a, err)
	}
	got, payments, err := w.WithdrawCommit(context.Background(), ids.Format(ids.Commit, a.CommitID), "too late")
	if err != nil || got.State != domain.CommitSucceeded || len(payments) != 2 {
		t.Fatalf("a late withdrawal: %+v, %v", got, err)
	}
	w.proveBooks()
}

func TestWrongPinsAreCountedAlsoInParallelAndLock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setPin()
	quote := w.quote()
	wrong := func() error {
		_, err := w.DoCommitPayment(context.Background(), user, who, "commit-"+w.gen.New().String(), "111222",
			app.CommitRequest{CheckoutID: w.checkoutID(), QuoteID: quote})
		return err
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := wrong(); !errs.Is(err, errs.PinWrong) && !errs.Is(err, errs.PinLocked) && !errs.Is(err, errs.ConcurrentChange) {
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	for i := 0; i < domain.PinTriesMax && !errs.Is(wrong(), errs.PinLocked); i++ {
	}
	_, err := w.commit("commit-1", quote)
	w.wantReason(err, errs.PinLocked)
	if n := w.count(`SELECT COUNT(*) FROM commits`); n != 0 {
		t.Fatalf("%d commits", n)
	}
	w.clock.Advance(domain.PinLockTime)
	if _, err := w.commit("commit-1", w.quote()); err != nil {
		t.Fatal(err)
	}
	w.proveBooks()
}

func TestChangingThePinNeedsTheOldOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	w.setPin()
	w.wantReason(w.SetPaymentPin(ctx, setPin(user, who, "pin-0002", "602481", "")), errs.PinWrong)
	w.wantReason(w.SetPaymentPin(ctx, setPin(user, who, "pin-0003", "602481", "999000")), errs.PinWrong)
	w.wantReason(w.SetPaymentPin(ctx, setPin(user, who, "pin-0004", "123456", pin)), errs.PinTooWeak)
	if err := w.SetPaymentPin(ctx, setPin(user, who, "pin-0005", "602481", pin)); err != nil {
		t.Fatal(err)
	}
	if err := w.SetPaymentPin(ctx, setPin(user, who, "pin-0005", "602481", pin)); err != nil {
		t.Fatalf("the repeat is refused: %v", err)
	}
	w.wantReason(w.SetPaymentPin(ctx, setPin(user, who, "pin-0005", "777310", pin)), errs.RequestIDReused)
	_, err := w.commit("commit-1", w.quote())
	w.wantReason(err, errs.PinWrong)
	var stored []byte
	if err := w.db.QueryRowContext(ctx, `SELECT CONCAT(mac, salt) FROM pins`).Scan(&stored); err != nil || len(stored) < 40 {
		t.Fatalf("%d bytes, %v", len(stored), err)
	}
}

func TestACancelledOrderIsReversedOnceAndItsHoldReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	w.setPin()
	a, err := w.commit("commit-1", w.quote())
	if err != nil {
		t.Fatal(err)
	}
	p := a.Payments[0]
	for range 2 { // The event may come twice.
		now, err := w.store.PaymentsOfOrders(ctx, []ids.ID{p.OrderID})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.store.Do(ctx, func(tx app.Tx) error { return w.BeginReversal(tx, now) }); err != nil {
			t.Fatal(err)
		}
	}
	w.bill.away = true
	w.wantReason(w.ReversePayment(ctx, ids.Format(ids.Payment, p.ID)), errs.DependencyUnavailable)
	w.bill.away = false
	for range 2 {
		if err := w.ReversePayment(ctx, ids.Format(ids.Payment, p.ID)); err != nil {
			t.Fatal(err)
		}
	}
	if w.bill.holds() != 1 {
		t.Fatalf("%d holds left of 2", w.bill.holds())
	}
	got, err := w.store.Payment(ctx, p.ID)
	if err != nil || got.State != domain.PaymentReversed || got.Legs[0].State != domain.LegReversed {
		t.Fatalf("%+v, %v", got, err)
	}
	w.proveBooks()
}

func (w *world) chosen(total int64) app.CommitRequest {
	return app.CommitRequest{CheckoutID: w.checkoutID(), Choice: &app.PlanChoice{Channel: "CREDIT", ProductCode: "SPL_ID", ProductVersion: 1, TenorMonths: 3,
		AgreedTotal: money.New(total, money.IDR())}}
}

func TestAPlanThatThePageShowedIsPaidWithoutAQuote(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setPin()
	ctx := context.Background()
	if r, err := w.CheckCommitPayment(ctx, user, w.chosen(planTotal)); err != nil || !r.Ready() {
		t.Fatalf("dry run %+v, %v", r, err)
	}
	first, err := w.DoCommitPayment(ctx, user, who, "commit-1", pin, w.chosen(planTotal))
	if err != nil || first.State != domain.PaymentSucceeded || len(first.Payments) != 2 {
		t.Fatalf("answer %+v, %v", first, err)
	}
	again, err := w.DoCommitPayment(ctx, user, who, "commit-1", pin, w.chosen(planTotal))
	if err != nil || !reflect.DeepEqual(first, again) {
		t.Fatalf("the repeat differs:\n%+v\n%+v, %v", first, again, err)
	}
	_, err = w.DoCommitPayment(ctx, user, who, "commit-1", pin, w.chosen(planTotal+1))
	w.wantReason(err, errs.RequestIDReused)
	w.proveBooks()
}

func TestAPlanThatIsNotWhatWasAgreedHoldsNothingAndMayBeChosenAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setPin()
	ctx := context.Background()
	for name, c := range map[string]struct {
		change func(*app.CommitRequest)
		want   errs.Reason
	}{
		"another total":   {func(r *app.CommitRequest) { r.Choice.AgreedTotal = money.New(planTotal-1, money.IDR()) }, errs.PlanChanged},
		"no total":        {func(r *app.CommitRequest) { r.Choice.AgreedTotal = money.Zero(money.IDR()) }, errs.InvalidArgument},
		"unknown channel": {func(r *app.CommitRequest) { r.Choice.Channel = "CASH" }, errs.ChannelNotAvailable},
		"another's":       {func(r *app.CommitRequest) { r.CheckoutID = ids.Format(ids.Checkout, w.gen.New()) }, errs.NotFound},
	} {
		req := w.chosen(planTotal)
		c.change(&req)
		if _, err := w.DoCommitPayment(ctx, user, who, "commit-1", pin, req); !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want.Name())
		}
		if c.want == errs.PlanChanged {
			if r, err := w.CheckCommitPayment(ctx, user, req); err != nil || len(r.Blocking) != 1 || r.Blocking[0].Reason() != c.want {
				t.Errorf("%s: dry run %+v, %v", name, r, err)
			}
		}
	}
	if w.bill.holds() != 0 || !w.orders.holder.IsZero() {
		t.Errorf("%d holds, checkout held by %s", w.bill.holds(), w.orders.holder)
	}
	if a, err := w.DoCommitPayment(ctx, user, who, "commit-1", pin, w.chosen(planTotal)); err != nil || a.State != domain.PaymentSucceeded {
		t.Errorf("after all of them: %+v, %v", a, err)
	}
	w.proveBooks()
}
