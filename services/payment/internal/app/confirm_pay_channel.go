package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// ChannelChoice is what the payer chose.
type ChannelChoice struct {
	CheckoutID  string
	Channel     string
	TenorMonths int32
	// ProductCode is empty for the preferred product.
	ProductCode        string
	DownPaymentChannel string
}

// ConfirmPayChannel locks a quote for the payer's choice, in place of the one before.
// Errors: CHANNEL_NOT_AVAILABLE, DOWN_PAYMENT_REQUIRED, TENOR_NOT_OFFERED, what forbids buying on credit, and what forbids paying the checkout.
func (a *App) ConfirmPayChannel(ctx context.Context, userID, caller, requestID string, choice ChannelChoice) (domain.Quote, error) {
	key := idempotency.Key{Verb: "ConfirmPayChannel", Caller: caller, RequestID: requestID}
	fp, err := idempotency.FingerprintOf(choice)
	if err != nil {
		return domain.Quote{}, err
	}
	return idempotency.Do(ctx, a.Store.Requests(), key, fp, func() (domain.Quote, error) {
		quote, err := a.makeQuote(ctx, userID, choice)
		if err != nil {
			return domain.Quote{}, err
		}
		return quote, a.Store.Do(ctx, func(tx Tx) error {
			tx.PutQuote(quote, a.now())
			tx.Remember(key, fp, quote)
			return nil
		})
	})
}

func (a *App) makeQuote(ctx context.Context, userID string, choice ChannelChoice) (domain.Quote, error) {
	checkoutID, err := parseID(ids.Checkout, "checkout_id", choice.CheckoutID)
	if err != nil {
		return domain.Quote{}, err
	}
	checkout, err := a.ownCheckout(ctx, checkoutID, userID)
	if err != nil {
		return domain.Quote{}, err
	}
	if choice.Channel != domain.ChannelCredit {
		return domain.Quote{}, unknownChannel(choice.Channel)
	}
	if choice.TenorMonths == 0 {
		return domain.Quote{}, errs.TenorNotOffered.New("choose a tenor: one of the plans of QueryCheckoutInfo")
	}
	if !checkout.Open {
		return domain.Quote{}, checkout.Why
	}
	offers, err := a.Bill.QuotePlans(ctx, checkout, Pick{ProductCode: choice.ProductCode, TenorMonths: choice.TenorMonths})
	if err != nil {
		return domain.Quote{}, err
	}
	if !offers.Allowed {
		return domain.Quote{}, offers.Why
	}
	if len(offers.Plans) == 0 {
		return domain.Quote{}, errs.TenorNotOffered.New("this plan is not offered for the amount; QueryCheckoutInfo lists those that are")
	}
	plan := offers.Plans[0]
	if err := a.Cashier.mayPayDown(plan.DownPayment, choice.DownPaymentChannel); err != nil {
		return domain.Quote{}, err
	}
	quote := domain.Quote{
		ID: a.IDs.New(), CheckoutID: checkout.ID, UserID: userID, Plan: plan.Blob, ExpireTime: a.now().Add(a.Limits.QuoteLife),
		Terms: domain.Terms{
			Channel: domain.ChannelCredit, ProductCode: plan.ProductCode, ProductVersion: plan.ProductVersion,
			TenorMonths: plan.TenorMonths, Amount: checkout.Amount, DownPaymentChannel: choice.DownPaymentChannel,
		},
	}
	if checkout.ExpireTime.Before(quote.ExpireTime) {
		quote.ExpireTime = checkout.ExpireTime
	}
	return quote, quote.Terms.Check()
}

func unknownChannel(code string) error {
	return errs.ChannelNotAvailable.New("channel %q is not offered; QueryPayChannels lists what is", code)
}
