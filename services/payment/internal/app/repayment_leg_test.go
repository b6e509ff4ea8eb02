package app_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

func TestARepaymentsLegIsOpenedOncePerSubject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	ask := w.ask()
	var mu sync.Mutex
	var wg sync.WaitGroup
	legs := map[ids.ID]bool{}
	for range 20 {
		wg.Go(func() {
			leg, err := w.OpenCashLeg(ctx, ask)
			if err != nil {
				t.Errorf("open: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			legs[leg.ID] = true
		})
	}
	wg.Wait()
	leg := w.legOf(ask.SubjectID)
	if len(legs) != 1 || !legs[leg.ID] || leg.State != domain.LegPending || leg.ExpireTime != w.clock.Now().Add(24*time.Hour) {
		t.Fatalf("%d legs, %+v", len(legs), leg)
	}
	for name, c := range map[string]struct {
		change func(*app.CashAsk)
		want   errs.Reason
	}{
		"other amount":   {func(a *app.CashAsk) { a.Amount = money.New(5001, money.IDR()) }, errs.RequestIDReused},
		"other user":     {func(a *app.CashAsk) { a.UserID = "user-2" }, errs.RequestIDReused},
		"other channel":  {func(a *app.CashAsk) { a.Channel = "VA_BCA" }, errs.RequestIDReused},
		"no channel":     {func(a *app.CashAsk) { a.Channel, a.SubjectID = "VA_X", w.ask().SubjectID }, errs.ChannelNotAvailable},
		"nothing to pay": {func(a *app.CashAsk) { a.Amount, a.SubjectID = money.Zero(money.IDR()), w.ask().SubjectID }, errs.InvalidArgument},
		"too much":       {func(a *app.CashAsk) { a.Amount = money.New(money.MaxMinor+1, money.IDR()) }, errs.InvalidArgument},
		"a commit's":     {func(a *app.CashAsk) { a.SubjectID = ids.Format(ids.Commit, w.gen.New()) }, errs.InvalidArgument},
		"down payment":   {func(a *app.CashAsk) { a.Kind = domain.CashDownPayment }, errs.InvalidArgument},
	} {
		other := ask
		c.change(&other)
		if _, err := w.OpenCashLeg(ctx, other); !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want.Name())
		}
	}
	if n := w.count(`SELECT COUNT(*) FROM cash_legs`); n != 1 {
		t.Errorf("%d legs", n)
	}
	w.proveBooks()
}

func TestARepaymentArrivesBouncesAndIsToldToTheBillService(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	leg := w.repayment()
	w.told(notice(leg, domain.CashPaid), domain.LegSucceeded, domain.OutcomeApplied)
	if c := w.balance("REPAYMENT_CLEARING"); c != -5000 || w.balance("CASH_CLEARING") != 5000 {
		t.Errorf("for the bill service %d", c)
	}
	w.proveBooks()
	w.clock.Advance(72 * time.Hour)
	w.tick() // Its timer has ended with it.
	w.told(notice(leg, domain.CashRefunded), domain.LegReversed, domain.OutcomeApplied)
	w.told(notice(leg, domain.CashPaid), domain.LegReversed, domain.OutcomeRepeated)
	if c := w.balance("REPAYMENT_CLEARING"); c != 0 || w.balance("CASH_CLEARING") != 0 {
		t.Errorf("for the bill service %d", c)
	}
	w.wantEvents("PENDING>SUCCEEDED 5000 user-1", "SUCCEEDED>REVERSED 5000 user-1")
	w.proveBooks()
}

func TestARepaymentThatNobodyPaysExpiresAndWhatComesLaterGoesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ask := w.ask()
	leg, err := w.OpenCashLeg(context.Background(), ask)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := w.TickCashLeg(context.Background(), ids.Format(ids.Leg, leg.ID)); err != nil || again != leg.ExpireTime {
		t.Fatalf("before the time: again at %s, %v", again, err)
	}
	w.clock.Advance(24 * time.Hour)
	w.tick()
	if got, err := w.OpenCashLeg(context.Background(), ask); err != nil || got.State != domain.LegFailed || w.Cashier.Link(got) != "" {
		t.Errorf("the repeat gives %+v, %v", got, err)
	}
	w.told(notice(leg, domain.CashPaid), domain.LegReturning, domain.OutcomeLate)
	w.told(notice(leg, domain.CashRefunded), domain.LegReversed, domain.OutcomeApplied)
	w.wantEvents("PENDING>FAILED 5000 user-1", "FAILED>RETURNING 5000 user-1", "RETURNING>REVERSED 5000 user-1")
	w.proveBooks()
}

func TestANotificationOfNothingThatWeKnowIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	leg := w.repayment()
	unknown, malformed, otherKind := notice(leg, domain.CashPaid), notice(leg, domain.CashPaid), notice(leg, domain.CashPaid)
	unknown.Reference, malformed.Reference, otherKind.Kind = ids.Format(ids.Leg, w.gen.New()), "leg_nonsense", domain.CashDownPayment
	for name, c := range map[string]struct {
		notice app.CashNotice
		want   errs.Reason
	}{"unknown": {unknown, errs.NotFound}, "malformed": {malformed, errs.InvalidArgument}, "another kind": {otherKind, errs.InvalidArgument}} {
		if _, err := w.notify(c.notice); !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want.Name())
		}
	}
	for _, subject := range []string{ids.Format(ids.Commit, w.gen.New()), ids.Format(ids.Commit, leg.SubjectID), ids.Format(ids.Leg, w.gen.New())} {
		_, err := w.CashLeg(context.Background(), subject)
		w.wantReason(err, errs.NotFound)
	}
	if n := w.count(`SELECT COUNT(*) FROM leg_notifications`); n != 0 || w.legOf(ids.Format(ids.Leg, leg.ID)).State != domain.LegPending {
		t.Errorf("%d notifications kept", n)
	}
}

func TestExpiryAndPaymentOfARepaymentLeaveOneWinner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ends := map[domain.LegState]int{}
	for round := range 50 {
		leg := w.repayment()
		n := notice(leg, domain.CashPaid)
		n.PayTime = w.clock.Now()
		w.clock.Advance(24 * time.Hour)
		race(t, round, []func() error{
			func() error { _, err := w.notify(n); return err },
			func() error { _, err := w.TickCashLeg(context.Background(), n.Reference); return err },
		})
		if s := w.legOf(n.Reference).State; s != domain.LegSucceeded && s != domain.LegReturning {
			t.Fatalf("round %d: leg %s", round, s)
		} else {
			ends[s]++
		}
	}
	if len(ends) < 2 {
		t.Errorf("the races always end the same way, so they prove nothing: %v", ends)
	}
	w.proveBooks()
}
