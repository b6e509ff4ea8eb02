package app

import (
	"net/url"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// CashChannel is a way in which the marketplace collects cash.
type CashChannel struct {
	// Code is what callers send, Name what payers read.
	Code, Name string
}

// Cashier is the marketplace's desk that collects cash for us.
type Cashier struct {
	// URL is the page where a payer pays; the leg's reference is added to it.
	URL url.URL
	// Channels in the order in which a page shows them; none when no cash is collected.
	Channels []CashChannel
}

// Link is where a payer pays this leg; empty once it is not open.
func (c Cashier) Link(l domain.CashLeg) string {
	if l.State != domain.LegPending {
		return ""
	}
	page := c.URL
	query := page.Query()
	query.Set("reference", ids.Format(ids.Leg, l.ID))
	page.RawQuery = query.Encode()
	return page.String()
}

// offers refuses a channel that does not exist. Errors: CHANNEL_NOT_AVAILABLE.
func (c Cashier) offers(code string) error {
	for _, x := range c.Channels {
		if x.Code == code {
			return nil
		}
	}
	return errs.ChannelNotAvailable.New("cash channel %q is not offered", code)
}

// mayPayDown tells whether a channel fits what a plan asks for at once. Quote, dry run and commit ask it alike.
// Errors: DOWN_PAYMENT_REQUIRED, CHANNEL_NOT_AVAILABLE.
func (c Cashier) mayPayDown(asked money.Amount, channel string) error {
	switch {
	case !asked.IsPositive() && channel == "":
		return nil
	case !asked.IsPositive():
		return errs.ChannelNotAvailable.New("the plan asks for no down payment; leave down_payment_channel empty")
	case channel == "":
		return errs.DownPaymentRequired.New("the plan asks for a down payment of %s; name a cash channel in down_payment_channel", asked)
	default:
		return c.offers(channel)
	}
}

// ListCashChannels gives the channels that can collect now.
func (a *App) ListCashChannels() []CashChannel { return a.Cashier.Channels }
