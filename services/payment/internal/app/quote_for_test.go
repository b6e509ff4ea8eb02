package app_test

import (
	"context"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
)

func TestAQuoteIsGivenToItsPayerOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	_, err := w.QuoteFor(ctx, user, w.checkoutID())
	w.wantReason(err, errs.QuoteNotFound)
	quote := w.quote()
	got, err := w.QuoteFor(ctx, user, w.checkoutID())
	if err != nil || ids.Format(ids.Quote, got.ID) != quote || len(got.Plan) == 0 {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = w.QuoteFor(ctx, "somebody-else", w.checkoutID())
	w.wantReason(err, errs.NotFound)
	_, err = w.QuoteFor(ctx, user, "chk_nonsense")
	w.wantReason(err, errs.InvalidArgument)
	w.clock.Advance(time.Hour)
	if late, err := w.QuoteFor(ctx, user, w.checkoutID()); err != nil || late.ID != got.ID {
		t.Errorf("a quote whose time is over: %+v, %v", late, err)
	}
}
