package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// QuoteFor is the quote that is locked for a user's checkout, also when its time is over. Errors: errs.NotFound for a checkout that
// does not exist or is another's, errs.QuoteNotFound.
func (a *App) QuoteFor(ctx context.Context, userID, checkoutText string) (domain.Quote, error) {
	checkoutID, err := parseID(ids.Checkout, "checkout_id", checkoutText)
	if err != nil {
		return domain.Quote{}, err
	}
	quote, err := a.Store.Quote(ctx, checkoutID)
	if err != nil {
		return domain.Quote{}, err
	}
	if quote != nil && quote.UserID == userID {
		return *quote, nil
	}
	if _, err := a.ownCheckout(ctx, checkoutID, userID); err != nil {
		return domain.Quote{}, err
	}
	return domain.Quote{}, errs.QuoteNotFound.New("no plan was chosen for this checkout; call ConfirmPayChannel")
}
