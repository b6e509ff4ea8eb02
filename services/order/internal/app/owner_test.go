package app_test

import (
	"strings"
	"testing"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/order/internal/app"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

// beta is a second marketplace.
func beta() caller.Caller { return caller.Caller{Kind: caller.SPM, Name: "beta", Owner: "beta"} }

// Two marketplaces have the same shop, the same number and the same name of a user. Each makes its order, and neither finds, confirms
// or cancels the other's.
func TestOwner_SameNamesInTwoMarketplaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	home := w.paid("request-0", "a")
	mine := draft("a")
	mine.UserID = "beta~u1"
	made, err := w.GeneratePayments(t.Context(), app.Generate{Caller: beta(), RequestID: "request-0", Draft: mine})
	if err != nil || made.CheckoutID == home.ID {
		t.Fatalf("beta's order: %+v, %v, want one of its own", made, err)
	}
	number := app.OrderName{Number: app.OrderNumber{Owner: "beta", MerchantID: "m1", OutOrderNo: "a"}}
	if o, err := w.GetOrder(t.Context(), beta(), number); err != nil || o.ID != made.Orders[0].OrderID || o.Owner != "beta" {
		t.Errorf("by number: %+v, %v, want beta's order", o, err)
	}
	for who, strange := range map[caller.Caller]ids.ID{
		beta(): home.Orders[0].ID, spm(): made.Orders[0].OrderID,
		{Kind: caller.Merchant, MerchantID: "m1"}:                made.Orders[0].OrderID,
		{Kind: caller.Merchant, MerchantID: "m1", Owner: "beta"}: home.Orders[0].ID,
	} {
		if _, err := w.GetOrder(t.Context(), who, app.OrderName{ID: strange}); !errs.Is(err, errs.NotFound) {
			t.Errorf("%s of %q reads the other's order: %v, want NOT_FOUND", who, who.Owner, err)
		}
	}
	confirmed, err := w.ConfirmPayment(t.Context(), app.Confirm{Caller: beta(), RequestID: "confirm-0", OrderIDs: []ids.ID{home.Orders[0].ID}})
	if err != nil || confirmed[0].Reason != errs.NotFound.Name() {
		t.Errorf("confirm: %+v, %v, want NOT_FOUND", confirmed, err)
	}
	cancelled, err := w.CancelPayments(t.Context(), app.Cancel{Caller: spm(), RequestID: "cancel-0", OrderIDs: []ids.ID{made.Orders[0].OrderID}, Reason: "mine"})
	if err != nil || cancelled[0].Reason != errs.NotFound.Name() {
		t.Errorf("cancel: %+v, %v, want NOT_FOUND", cancelled, err)
	}
	_, err = w.CancelPayments(t.Context(), app.Cancel{Caller: beta(), RequestID: "cancel-1", CheckoutID: home.ID, Reason: "mine"})
	wantErr(t, err, errs.NotFound)
	wantStates(t, w.checkout(home.ID), domain.CheckoutPaid, domain.OrderPaid)
	wantStates(t, w.checkout(made.CheckoutID), domain.CheckoutOpen, domain.OrderCreated)
}

func TestOwner_NamesItsOwnUsersOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		who        caller.Caller
		user, says string
	}{{beta(), "u1", "beta~<user>"}, {beta(), "gamma~u1", "beta~<user>"}, {spm(), "beta~u1", "without a marketplace"}} {
		d := draft("a")
		d.UserID = c.user
		_, err := w.GeneratePayments(t.Context(), app.Generate{Caller: c.who, RequestID: "request-0", Draft: d})
		if !errs.Is(err, errs.InvalidArgument) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s names %q: %v, want INVALID_ARGUMENT that says %q", c.who, c.user, err, c.says)
		}
	}
}

func wantErr(t *testing.T, err error, want errs.Reason) {
	t.Helper()
	if !errs.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}
