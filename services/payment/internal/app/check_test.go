package app_test

import (
	"context"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/app"
)

func TestTheDryRunNamesWhatTheCommitIsRefusedFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrange func(w *world, quote string) string // gives the quote to use
		want    errs.Reason
	}{
		"quote expired":  {func(w *world, q string) string { w.clock.Advance(11 * time.Minute); return q }, errs.QuoteExpired},
		"quote replaced": {func(w *world, q string) string { w.quote(); return q }, errs.QuoteReplaced},
		"limit":          {func(w *world, q string) string { w.bill.refuse = errs.LimitInsufficient.New("x"); return q }, errs.LimitInsufficient},
		"frozen":         {func(w *world, q string) string { w.bill.refuse = errs.AccountFrozen.New("x"); return q }, errs.AccountFrozen},
		"checkout expired": {func(w *world, q string) string {
			w.orders.refuse = errs.CheckoutExpired.New("x")
			w.orders.checkout.Open, w.orders.checkout.Why = false, w.orders.refuse
			return q
		}, errs.CheckoutExpired},
		"pin locked": {func(w *world, q string) string {
			for range 5 {
				_, _ = w.DoCommitPayment(context.Background(), user, who, "wrong-"+w.gen.New().String(), "999000", app.CommitRequest{CheckoutID: w.checkoutID(), QuoteID: q})
			}
			return q
		}, errs.PinLocked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.setPin()
			quote := c.arrange(w, w.quote())
			r, err := w.CheckCommitPayment(context.Background(), user, app.CommitRequest{CheckoutID: w.checkoutID(), QuoteID: quote})
			if err != nil {
				t.Fatal(err)
			}
			if r.Ready() || len(r.Blocking) != 1 || r.Blocking[0].Reason() != c.want {
				t.Fatalf("dry run %+v, want %s", r, c.want.Name())
			}
			_, err = w.commit("commit-1", quote)
			w.wantReason(err, c.want)
			w.proveBooks()
		})
	}
}

func TestTheDryRunAsksForWhatThePayerMustDoAndChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	r, err := w.CheckCommitPayment(ctx, user, app.CommitRequest{CheckoutID: w.checkoutID(), QuoteID: ""})
	if err != nil || r.Ready() || len(r.Actions) != 2 || r.Actions[0] != app.ActionSetPin || r.Actions[1] != app.ActionChooseChannel {
		t.Fatalf("%+v, %v", r, err)
	}
	w.setPin()
	quote := w.quote()
	r, err = w.CheckCommitPayment(ctx, user, app.CommitRequest{CheckoutID: w.checkoutID(), QuoteID: quote})
	if err != nil || !r.Ready() {
		t.Fatalf("%+v, %v", r, err)
	}
	if n := w.count(`SELECT COUNT(*) FROM commits`); n != 0 {
		t.Fatalf("the dry run made %d commits", n)
	}
}

func TestNothingOfAnothersCheckoutIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	w.setPin()
	quote := w.quote()
	stranger, asStranger := "user-2", "H5:user-2"
	if err := w.SetPaymentPin(ctx, setPin(stranger, asStranger, "pin-0001", pin, "")); err != nil {
		t.Fatal(err)
	}
	unknown := ids.Format(ids.Checkout, w.gen.New())
	for _, checkout := range []string{w.checkoutID(), unknown} {
		_, err := w.QueryPayChannels(ctx, stranger, checkout)
		w.wantReason(err, errs.NotFound)
		choice := w.choice()
		choice.CheckoutID = checkout
		_, err = w.ConfirmPayChannel(ctx, stranger, asStranger, "quote-0001", choice)
		w.wantReason(err, errs.NotFound)
		_, err = w.CheckCommitPayment(ctx, stranger, app.CommitRequest{CheckoutID: checkout, QuoteID: quote})
		w.wantReason(err, errs.NotFound)
		_, err = w.DoCommitPayment(ctx, stranger, asStranger, "commit-0001", pin, app.CommitRequest{CheckoutID: checkout, QuoteID: quote})
		w.wantReason(err, errs.NotFound)
		_, err = w.QueryPaymentStatus(ctx, stranger, checkout)
		w.wantReason(err, errs.NotFound)
	}
	a, err := w.commit("commit-1", quote)
	if err != nil {
		t.Fatal(err)
	}
	payment, order := ids.Format(ids.Payment, a.Payments[0].ID), ids.Format(ids.Order, a.Payments[0].OrderID)
	_, err = w.QueryPayment(ctx, stranger, payment)
	w.wantReason(err, errs.NotFound)
	_, err = w.QueryDownPayResult(ctx, payer(stranger), order, "")
	w.wantReason(err, errs.NotFound)
	if leg, err := w.QueryDownPayResult(ctx, payer(user), "", payment); err != nil || leg != nil {
		t.Fatalf("leg %+v, %v", leg, err)
	}
	h, err := w.BatchGetPayments(ctx, []string{order})
	if err != nil || len(h.Payments) != 1 || len(h.Commits) != 1 {
		t.Fatalf("%+v, %v", h, err)
	}
}

func TestAChoiceThatIsNotOfferedIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		change func(*app.ChannelChoice)
		want   errs.Reason
	}{
		"unknown channel": {func(c *app.ChannelChoice) { c.Channel = "CASH_X" }, errs.ChannelNotAvailable},
		"down payment":    {func(c *app.ChannelChoice) { c.DownPaymentChannel = "VA" }, errs.ChannelNotAvailable},
		"no tenor":        {func(c *app.ChannelChoice) { c.TenorMonths = 0 }, errs.TenorNotOffered},
		"other product":   {func(c *app.ChannelChoice) { c.ProductCode = "GOLD" }, errs.TenorNotOffered},
		"other tenor":     {func(c *app.ChannelChoice) { c.TenorMonths = 7 }, errs.TenorNotOffered},
		"malformed id":    {func(c *app.ChannelChoice) { c.CheckoutID = "ord_x" }, errs.InvalidArgument},
	} {
		choice := w.choice()
		c.change(&choice)
		_, err := w.ConfirmPayChannel(context.Background(), user, who, "quote-"+w.gen.New().String(), choice)
		if !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want.Name())
		}
	}
	if n := w.count(`SELECT COUNT(*) FROM quotes`) + w.count(`SELECT COUNT(*) FROM idempotency`); n != 0 {
		t.Fatalf("refused choices left %d rows", n)
	}
	if cs, err := w.QueryPayChannels(context.Background(), user, w.checkoutID()); err != nil || len(cs) != 1 || cs[0].Disabled != nil {
		t.Fatalf("%+v, %v", cs, err)
	}
	w.bill.away = true
	if cs, err := w.QueryPayChannels(context.Background(), user, w.checkoutID()); err != nil || !errs.Is(cs[0].Disabled, errs.DependencyUnavailable) {
		t.Fatalf("with bill away: %+v, %v", cs, err)
	}
}
