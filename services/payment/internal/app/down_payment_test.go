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

func TestACommitWithADownPaymentWaitsForItAndIsPaidByIt(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ctx := context.Background()
	first, leg := w.awaiting("commit-1")
	want := "https://pay.example/cash?from=creditpay&reference=" + ids.Format(ids.Leg, leg.ID)
	if first.RedirectURL != want || leg.Amount != money.New(30, money.IDR()) || leg.ExpireTime != w.clock.Now().Add(30*minute) {
		t.Fatalf("sent to %s for %s until %s", first.RedirectURL, leg.Amount, leg.ExpireTime)
	}
	if again, err := w.DoCommitPayment(ctx, user, who, "commit-1", pin, w.cashChoice("VA_BCA")); err != nil || !reflect.DeepEqual(first, again) {
		t.Fatalf("the repeat differs: %+v, %v", again, err)
	}
	_, err := w.DoCommitPayment(ctx, user, who, "commit-1", pin, w.cashChoice("WALLET"))
	w.wantReason(err, errs.RequestIDReused)
	_, err = w.DoCommitPayment(ctx, user, who, "commit-2", pin, w.cashChoice("VA_BCA"))
	w.wantReason(err, errs.CheckoutCommitting)
	order := ids.Format(ids.Order, w.orders.checkout.OrderIDs[1])
	down, err := w.QueryDownPayResult(ctx, payer(user), order, "")
	if err != nil || down.Leg.State != domain.LegPending || down.Leg.Amount.Minor() != 20 || down.PaymentID != w.orders.checkout.Orders[1].PaymentID {
		t.Fatalf("down payment %+v, %v", down, err)
	}
	_, err = w.QueryDownPayResult(ctx, payer("user-2"), order, "")
	w.wantReason(err, errs.NotFound)
	w.proveBooks()

	w.orders.down, w.bill.away = true, true // Nobody else is needed any more.
	w.told(notice(leg, domain.CashPaid), domain.LegSucceeded, domain.OutcomeApplied)
	paid, err := w.DoCommitPayment(ctx, user, who, "commit-1", pin, w.cashChoice("VA_BCA"))
	if err != nil || paid.State != domain.PaymentSucceeded || len(paid.Payments) != 2 || paid.RedirectURL != "" {
		t.Fatalf("after the money: %+v, %v", paid, err)
	}
	for i, p := range paid.Payments {
		cash := p.Cash()
		if len(p.Legs) != 2 || cash == nil || cash.Amount.Minor() != int64(10*(i+1)) || cash.Reference != ids.Format(ids.Leg, leg.ID) ||
			p.Legs[0].Amount.Minor()+cash.Amount.Minor() != p.Amount.Minor() {
			t.Errorf("payment %+v", p)
		}
	}
	if c, k, m := w.balance("CASH_CLEARING"), w.balance("CREDIT_CLEARING"), w.balance("MERCHANT_PAYABLE"); c != 30 || k != 270 || m != -300 {
		t.Errorf("cash %d, credit %d, merchants %d", c, k, m)
	}
	if left := w.recoveries(); len(left) != 0 {
		t.Errorf("timers left: %v", left)
	}
	down, err = w.QueryDownPayResult(ctx, spm(), "", ids.Format(ids.Payment, paid.Payments[1].ID))
	if err != nil || down.Leg.State != domain.LegSucceeded || down.Leg.Amount.Minor() != 20 {
		t.Errorf("down payment %+v, %v", down, err)
	}
	w.wantEvents("PENDING>SUCCEEDED 30 chk")
	w.proveBooks()
}

func TestAPageThatIsLoadedAgainIsSentToTheSameCashDeskWhileItCanBePaid(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ctx := context.Background()
	sentTo := func(state domain.PaymentState, url string) {
		t.Helper()
		st, err := w.QueryPaymentStatus(ctx, user, w.checkoutID())
		if err != nil || st.State != state || st.RedirectURL != url {
			t.Errorf("status %+v, %v, want state %d at %q", st, err, state, url)
		}
	}
	w.bill.away = true // The outcome of the commit is not known: nothing is asked of the payer.
	if a, err := w.DoCommitPayment(ctx, user, who, "commit-0", pin, w.cashChoice("VA_BCA")); err != nil || a.State != domain.PaymentProcessing || a.RedirectURL != "" {
		t.Fatalf("%+v, %v", a, err)
	}
	sentTo(domain.PaymentProcessing, "")
	w.bill.away = false
	w.recoverAll()
	again, err := w.DoCommitPayment(ctx, user, who, "commit-0", pin, w.cashChoice("VA_BCA"))
	if err != nil || again.RedirectURL == "" {
		t.Fatalf("%+v, %v", again, err)
	}
	sentTo(domain.PaymentProcessing, again.RedirectURL)
	_, err = w.QueryPaymentStatus(ctx, "user-2", w.checkoutID())
	w.wantReason(err, errs.NotFound)

	w.clock.Advance(30*minute - time.Microsecond)
	sentTo(domain.PaymentProcessing, again.RedirectURL)
	w.clock.Advance(time.Microsecond) // The timer has not come yet.
	sentTo(domain.PaymentProcessing, "")
	if late, err := w.DoCommitPayment(ctx, user, who, "commit-0", pin, w.cashChoice("VA_BCA")); err != nil || late.State != domain.PaymentProcessing || late.RedirectURL != "" {
		t.Errorf("the repeat sends to %q, %v", late.RedirectURL, err)
	}
	w.recoverAll()
	sentTo(domain.PaymentFailed, "")

	a, leg := w.awaiting("commit-1")
	sentTo(domain.PaymentProcessing, a.RedirectURL)
	w.told(notice(leg, domain.CashPaid), domain.LegSucceeded, domain.OutcomeApplied)
	sentTo(domain.PaymentSucceeded, "")
	w.proveBooks()
}

func TestTheChannelOfADownPaymentIsAskedForAndCheckedAlike(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, c := range map[string]struct {
		asked   int64
		channel string
		want    errs.Reason
		action  bool
	}{
		"missing":              {100, "", errs.DownPaymentRequired, true},
		"unknown":              {100, "VA_NOBODY", errs.ChannelNotAvailable, false},
		"given though not due": {0, "VA_BCA", errs.ChannelNotAvailable, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := cashWorld(t)
			w.bill.down = c.asked
			choice := w.choice()
			choice.DownPaymentChannel = c.channel
			_, err := w.ConfirmPayChannel(ctx, user, who, "quote-0001", choice)
			w.wantReason(err, c.want)
			r, err := w.CheckCommitPayment(ctx, user, w.cashChoice(c.channel))
			switch {
			case err != nil || r.Ready():
				t.Errorf("dry run %+v, %v", r, err)
			case c.action && (len(r.Blocking) != 0 || r.Actions[len(r.Actions)-1] != app.ActionDownPayment):
				t.Errorf("dry run %+v", r)
			case !c.action && (len(r.Blocking) != 1 || r.Blocking[0].Reason() != c.want):
				t.Errorf("dry run %+v", r)
			}
			_, err = w.DoCommitPayment(ctx, user, who, "commit-1", pin, w.cashChoice(c.channel))
			w.wantReason(err, c.want)
			w.nothingHeld()
			w.proveBooks()
		})
	}
}

func TestAQuoteKeepsTheChannelOfItsDownPayment(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ctx := context.Background()
	choice := w.choice()
	choice.DownPaymentChannel = "WALLET"
	q, err := w.ConfirmPayChannel(ctx, user, who, "quote-0001", choice)
	if err != nil {
		t.Fatal(err)
	}
	req := app.CommitRequest{CheckoutID: w.checkoutID(), QuoteID: ids.Format(ids.Quote, q.ID)}
	if r, err := w.CheckCommitPayment(ctx, user, req); err != nil || !r.Ready() {
		t.Errorf("dry run %+v, %v", r, err)
	}
	a, err := w.DoCommitPayment(ctx, user, who, "commit-1", pin, req)
	if err != nil || a.RedirectURL == "" {
		t.Fatalf("%+v, %v", a, err)
	}
	if leg := w.legOf(ids.Format(ids.Commit, a.CommitID)); leg.Channel != "WALLET" {
		t.Errorf("leg %+v", leg)
	}
	w.proveBooks()
}

func TestADownPaymentIsNeverOpenLongerThanItsCheckout(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	w.orders.checkout.ExpireTime = w.clock.Now().Add(7 * minute)
	if _, leg := w.awaiting("commit-1"); leg.ExpireTime != w.clock.Now().Add(7*minute) {
		t.Errorf("open until %s", leg.ExpireTime)
	}
}

func TestADownPaymentThatNeverComesReleasesEverythingAndWhatComesLaterGoesBack(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ctx := context.Background()
	a, leg := w.awaiting("commit-1")
	commitText := ids.Format(ids.Commit, a.CommitID)
	if again, err := w.RecoverCommit(ctx, commitText); err != nil || again != leg.ExpireTime {
		t.Fatalf("before the time: again at %s, %v", again, err)
	}
	w.clock.Advance(30 * minute)
	w.bill.away = true // The failure is decided; what is held is given back when that is possible.
	if _, err := w.RecoverCommit(ctx, commitText); !errs.Is(err, errs.DependencyUnavailable) {
		t.Fatalf("with bill away: %v", err)
	}
	if s := w.commitState(a.CommitID); s != domain.CommitFailing {
		t.Fatalf("commit is %s", s)
	}
	w.proveBooks()
	w.bill.away = false
	w.recoverAll()
	w.nothingHeld()
	failed, err := w.DoCommitPayment(ctx, user, who, "commit-1", pin, w.cashChoice("VA_BCA"))
	if err != nil || failed.State != domain.PaymentFailed || failed.FailureReason != errs.CommitAborted.Name() {
		t.Fatalf("after the time: %+v, %v", failed, err)
	}
	_, second := w.awaiting("commit-2")
	w.told(notice(second, domain.CashPaid), domain.LegSucceeded, domain.OutcomeApplied)

	w.told(notice(leg, domain.CashFailed), domain.LegFailed, domain.OutcomeRepeated)
	w.told(notice(leg, domain.CashPaid), domain.LegReturning, domain.OutcomeLate)
	if c := w.balance("CASH_RETURNABLE"); c != -30 {
		t.Errorf("owed to the payer: %d", c)
	}
	w.told(notice(leg, domain.CashPaid), domain.LegReturning, domain.OutcomeRepeated)
	w.told(notice(leg, domain.CashFailed), domain.LegReturning, domain.OutcomeContradiction)
	w.told(notice(leg, domain.CashRefunded), domain.LegReversed, domain.OutcomeApplied)
	w.told(notice(leg, domain.CashRefunded), domain.LegReversed, domain.OutcomeRepeated)
	w.told(notice(leg, domain.CashPaid), domain.LegReversed, domain.OutcomeRepeated)
	if c, k := w.balance("CASH_RETURNABLE"), w.balance("CASH_CLEARING"); c != 0 || k != 30 {
		t.Errorf("owed to the payer %d, held by the marketplace %d", c, k)
	}
	w.wantEvents("PENDING>FAILED 30 chk", "PENDING>SUCCEEDED 30 chk", "FAILED>RETURNING 30 chk", "RETURNING>REVERSED 30 chk")
	w.proveBooks()
}

func TestMoneyThatMovedAfterTheTimeIsGivenBackAlsoBeforeTheTimerSaw(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	a, leg := w.awaiting("commit-1")
	w.clock.Advance(31 * minute)
	w.told(notice(leg, domain.CashPaid), domain.LegReturning, domain.OutcomeLate)
	if s := w.commitState(a.CommitID); s != domain.CommitFailed {
		t.Errorf("commit is %s", s)
	}
	w.nothingHeld()
	w.wantEvents("PENDING>FAILED 30 chk", "FAILED>RETURNING 30 chk")
	w.proveBooks()
}

func TestMoneyThatMovedInTimeCountsWhenItIsToldLateUnlessTheTimerWasFirst(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	a, leg := w.awaiting("commit-1")
	w.clock.Advance(31 * minute)
	n := notice(leg, domain.CashPaid)
	n.PayTime = leg.ExpireTime.Add(-time.Second)
	w.told(n, domain.LegSucceeded, domain.OutcomeApplied)
	if got := w.legOf(n.Reference); got.PayTime != n.PayTime || w.commitState(a.CommitID) != domain.CommitSucceeded {
		t.Errorf("leg %+v, commit %s", got, w.commitState(a.CommitID))
	}
	w.proveBooks()
}

func TestAFailedDownPaymentFailsItsCommitAndTheOrderIsPayableAgain(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	a, leg := w.awaiting("commit-1")
	n := notice(leg, domain.CashFailed)
	n.Minor = 0 // Nothing moved.
	w.told(n, domain.LegFailed, domain.OutcomeApplied)
	if s := w.commitState(a.CommitID); s != domain.CommitFailed {
		t.Errorf("commit is %s", s)
	}
	w.nothingHeld()
	down, err := w.QueryDownPayResult(context.Background(), payer(user), ids.Format(ids.Order, w.orders.checkout.OrderIDs[0]), "")
	if err != nil || down.Leg.State != domain.LegFailed {
		t.Errorf("down payment %+v, %v", down, err)
	}
	_, again := w.awaiting("commit-2")
	w.told(notice(again, domain.CashPaid), domain.LegSucceeded, domain.OutcomeApplied)
	w.proveBooks()
}

func TestAnotherAmountOrCurrencyChangesNothingAndIsKept(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ctx := context.Background()
	a, leg := w.awaiting("commit-1")
	short, foreign, negative := notice(leg, domain.CashPaid), notice(leg, domain.CashPaid), notice(leg, domain.CashPaid)
	short.Minor, foreign.Currency, negative.Minor = 29, "XXX", -30
	for _, n := range []app.CashNotice{short, foreign, negative} {
		w.told(n, domain.LegPending, domain.OutcomeMismatch)
	}
	for range 2 {
		_, err := w.NotifyPaymentStatus(ctx, spm(), "notice-0001", short)
		w.wantReason(err, errs.LegAmountMismatch)
	}
	_, err := w.NotifyPaymentStatus(ctx, spm(), "notice-0001", notice(leg, domain.CashPaid))
	w.wantReason(err, errs.RequestIDReused)
	if n := w.count(`SELECT COUNT(*) FROM leg_notifications`); n != 4 {
		t.Errorf("%d notifications kept, want 4", n)
	}
	if s := w.commitState(a.CommitID); s != domain.CommitAwaitingCash || w.balance("CASH_CLEARING") != 0 {
		t.Errorf("commit is %s", s)
	}
	w.told(notice(leg, domain.CashPaid), domain.LegSucceeded, domain.OutcomeApplied)
	w.told(short, domain.LegSucceeded, domain.OutcomeMismatch)
	w.proveBooks()
}

func TestARefundThatIsToldBeforeThePaymentEndsTheLegForGood(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	a, leg := w.awaiting("commit-1")
	w.told(notice(leg, domain.CashRefunded), domain.LegReversed, domain.OutcomeApplied)
	w.told(notice(leg, domain.CashPaid), domain.LegReversed, domain.OutcomeRepeated)
	if s := w.commitState(a.CommitID); s != domain.CommitFailed || w.balance("CASH_CLEARING") != 0 {
		t.Errorf("commit is %s, cash %d", s, w.balance("CASH_CLEARING"))
	}
	w.nothingHeld()
	w.wantEvents("PENDING>FAILED 30 chk", "FAILED>REVERSED 30 chk")
	w.proveBooks()
}

func TestWhatCannotBeTrueOfAPaidDownPaymentIsKeptAndChangesNothing(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	_, leg := w.awaiting("commit-1")
	w.told(notice(leg, domain.CashPaid), domain.LegSucceeded, domain.OutcomeApplied)
	w.told(notice(leg, domain.CashRefunded), domain.LegSucceeded, domain.OutcomeContradiction)
	w.told(notice(leg, domain.CashFailed), domain.LegSucceeded, domain.OutcomeContradiction)
	w.told(notice(leg, domain.CashPaid), domain.LegSucceeded, domain.OutcomeRepeated)
	w.wantEvents("PENDING>SUCCEEDED 30 chk")
	w.proveBooks()
}

func TestAWithdrawalFailsTheLegAndWhatComesLaterGoesBack(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ctx := context.Background()
	a, leg := w.awaiting("commit-1")
	for range 2 {
		c, _, err := w.WithdrawCommit(ctx, ids.Format(ids.Commit, a.CommitID), "order cancelled")
		if err != nil || c.State != domain.CommitFailed {
			t.Fatalf("%+v, %v", c, err)
		}
	}
	w.nothingHeld()
	w.told(notice(leg, domain.CashPaid), domain.LegReturning, domain.OutcomeLate)
	w.told(notice(leg, domain.CashRefunded), domain.LegReversed, domain.OutcomeApplied)
	w.proveBooks()
	_, second := w.awaiting("commit-2")
	w.told(notice(second, domain.CashPaid), domain.LegSucceeded, domain.OutcomeApplied)
	c, payments, err := w.WithdrawCommit(ctx, ids.Format(ids.Commit, second.SubjectID), "too late")
	if err != nil || c.State != domain.CommitSucceeded || len(payments) != 2 {
		t.Errorf("a late withdrawal: %+v, %v", c, err)
	}
	w.proveBooks()
}

func TestTheRecoveryWorkerAlsoBringsACommitToItsDownPayment(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ctx := context.Background()
	w.bill.away = true
	a, err := w.DoCommitPayment(ctx, user, who, "commit-1", pin, w.cashChoice("VA_BCA"))
	if err != nil || a.State != domain.PaymentProcessing || a.RedirectURL != "" {
		t.Fatalf("%+v, %v", a, err)
	}
	w.bill.away = false
	again, err := w.RecoverCommit(ctx, ids.Format(ids.Commit, a.CommitID))
	if leg := w.legOf(ids.Format(ids.Commit, a.CommitID)); err != nil || again != leg.ExpireTime {
		t.Fatalf("again at %s, %v", again, err)
	}
	if a, err = w.DoCommitPayment(ctx, user, who, "commit-1", pin, w.cashChoice("VA_BCA")); err != nil || a.RedirectURL == "" {
		t.Fatalf("the repeat: %+v, %v", a, err)
	}
	w.proveBooks()
}

func TestTheCashOfACancelledOrderGoesBackOnceUnderItsOwnReference(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ctx := context.Background()
	a, leg := w.awaiting("commit-1")
	w.told(notice(leg, domain.CashPaid), domain.LegSucceeded, domain.OutcomeApplied)
	paid, err := w.DoCommitPayment(ctx, user, who, "commit-1", pin, w.cashChoice("VA_BCA"))
	if err != nil {
		t.Fatal(err)
	}
	var returns []domain.CashLeg
	for _, p := range paid.Payments {
		w.cancelled(p)
		down, err := w.QueryDownPayResult(ctx, payer(user), ids.Format(ids.Order, p.OrderID), "")
		if err != nil || down.Leg.State != domain.LegReturning || down.Leg.Reference == ids.Format(ids.Leg, leg.ID) {
			t.Fatalf("down payment %+v, %v", down, err)
		}
		returns = append(returns, w.legOf(down.Leg.Reference))
		w.proveBooks()
	}
	if w.bill.holds() != 0 || w.balance("CASH_RETURNABLE") != -30 || w.balance("MERCHANT_PAYABLE") != 0 {
		t.Errorf("%d holds, owed to the payer %d", w.bill.holds(), w.balance("CASH_RETURNABLE"))
	}
	w.told(notice(leg, domain.CashRefunded), domain.LegSucceeded, domain.OutcomeContradiction) // Which of the two?
	w.told(notice(returns[0], domain.CashPaid), domain.LegReturning, domain.OutcomeContradiction)
	w.told(notice(returns[0], domain.CashFailed), domain.LegFailed, domain.OutcomeApplied)
	if down, err := w.QueryDownPayResult(ctx, payer(user), "", ids.Format(ids.Payment, paid.Payments[0].ID)); err != nil || down.Leg.State != domain.LegReturning {
		t.Errorf("the payer is not owed any more what could not be given back: %+v, %v", down, err)
	}
	w.proveBooks()
	if b, err := w.RetryCashReturn(ctx, ids.Format(ids.Leg, returns[0].ID)); err != nil || b.Return.State != domain.ReturnReturning {
		t.Errorf("asked for again: %+v, %v", b, err)
	}
	wrong := notice(returns[0], domain.CashRefunded)
	wrong.Minor++
	w.told(wrong, domain.LegReturning, domain.OutcomeMismatch)
	w.told(notice(returns[0], domain.CashRefunded), domain.LegReversed, domain.OutcomeApplied)
	w.told(notice(returns[0], domain.CashRefunded), domain.LegReversed, domain.OutcomeRepeated)
	if w.balance("CASH_RETURNABLE") != -20 || w.balance("CASH_CLEARING") != 20 {
		t.Errorf("owed to the payer %d, held %d", w.balance("CASH_RETURNABLE"), w.balance("CASH_CLEARING"))
	}
	w.told(notice(returns[1], domain.CashRefunded), domain.LegReversed, domain.OutcomeApplied)
	down, err := w.QueryDownPayResult(ctx, payer(user), "", ids.Format(ids.Payment, paid.Payments[1].ID))
	if err != nil || down.Leg.State != domain.LegReversed {
		t.Errorf("down payment %+v, %v", down, err)
	}
	w.wantEvents("PENDING>SUCCEEDED 30 chk", "SUCCEEDED>RETURNING 10 chk", "SUCCEEDED>RETURNING 20 chk", "RETURNING>FAILED 10 chk",
		"FAILED>RETURNING 10 chk", "RETURNING>REVERSED 10 chk", "RETURNING>REVERSED 20 chk")
	if again, err := w.DoCommitPayment(ctx, user, who, "commit-1", pin, w.cashChoice("VA_BCA")); err != nil || !reflect.DeepEqual(again, paid) {
		t.Errorf("the repeat differs: %+v, %v; commit %s", again, err, w.commitState(a.CommitID))
	}
	w.proveBooks()
}

// Money, timer, withdrawal and bad news meet; exactly one of them wins, and the books hold whoever does.
func TestNotificationTimerAndWithdrawalLeaveOneWinner(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ctx := context.Background()
	ends := map[string]int{}
	for round := range 50 {
		w.newCheckout()
		a, leg := w.awaiting(fmt.Sprintf("commit-%04d", round))
		inTime := notice(leg, domain.CashPaid)
		inTime.PayTime = w.clock.Now()
		w.clock.Advance(30 * minute)
		commitText := ids.Format(ids.Commit, a.CommitID)
		runners := []func() error{
			func() error { _, err := w.notify(inTime); return err },
			func() error { _, err := w.RecoverCommit(ctx, commitText); return err },
			func() error { _, _, err := w.WithdrawCommit(ctx, commitText, "race"); return err },
			func() error { _, err := w.notify(notice(leg, domain.CashFailed)); return err },
		}
		if round%2 == 0 {
			runners = runners[:2+round%3/2] // Often only two meet.
		}
		race(t, round, runners)
		w.recoverAll()
		commit, got := w.commitState(a.CommitID), w.legOf(commitText).State
		ends[commit.String()+" "+got.String()]++
		paid := w.count(`SELECT COUNT(*) FROM payments WHERE commit_id = ?`, a.CommitID)
		switch {
		case commit == domain.CommitSucceeded && got == domain.LegSucceeded && paid == 2:
		case commit == domain.CommitFailed && got == domain.LegReturning && paid == 0:
		default:
			t.Fatalf("round %d: commit %s, leg %s, %d payments", round, commit, got, paid)
		}
	}
	t.Logf("ends: %v", ends)
	if len(ends) < 2 {
		t.Errorf("the races always end the same way, so they prove nothing: %v", ends)
	}
	w.proveBooks()
}

// race starts all at once, each round another one a little earlier.
func race(t *testing.T, round int, runners []func() error) {
	t.Helper()
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for i := range runners {
		run := runners[(i+round)%len(runners)]
		wg.Go(func() {
			<-gate
			if err := run(); err != nil && !errs.Is(err, errs.ConcurrentChange) {
				t.Errorf("round %d: %v", round, err)
			}
		})
	}
	close(gate)
	wg.Wait()
}

func TestTheSameNotificationFromTwentyCallersIsAppliedOnce(t *testing.T) {
	t.Parallel()
	for name, requestID := range map[string]func(i int) string{
		"one request":     func(int) string { return "notice-0001" },
		"twenty requests": func(i int) string { return fmt.Sprintf("notice-%04d", i) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := cashWorld(t)
			_, leg := w.awaiting("commit-1")
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() {
					s, err := w.NotifyPaymentStatus(context.Background(), spm(), requestID(i), notice(leg, domain.CashPaid))
					if err != nil || s != domain.LegSucceeded {
						t.Errorf("%s, %v", s, err)
					}
				})
			}
			wg.Wait()
			if n := w.count(`SELECT COUNT(*) FROM leg_notifications WHERE outcome = 'APPLIED'`); n != 1 || w.balance("CASH_CLEARING") != 30 {
				t.Errorf("applied %d times, cash %d", n, w.balance("CASH_CLEARING"))
			}
			w.wantEvents("PENDING>SUCCEEDED 30 chk")
			w.proveBooks()
		})
	}
}

// A reason of any letters withdraws a commit that waits for its down payment: cut by bytes it could not be stored, for ever.
func TestWithdrawCommit_TakesAReasonOfEmoji(t *testing.T) {
	t.Parallel()
	for name, reason := range map[string]string{"100": strings.Repeat("😀", 100), "200": strings.Repeat("👨‍👩‍👧", 40), "bytes": "x\xff\xf0\x9f"} {
		w := cashWorld(t)
		a, _ := w.awaiting("commit-1")
		c, _, err := w.WithdrawCommit(context.Background(), ids.Format(ids.Commit, a.CommitID), reason)
		if err != nil || c.State != domain.CommitFailed {
			t.Errorf("%s: %s, %v; want FAILED", name, c.State, err)
		}
		w.nothingHeld()
		w.proveBooks()
	}
}
