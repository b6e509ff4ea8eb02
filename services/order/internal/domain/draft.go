package domain

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

const (
	// OrdersMax is how many orders a checkout or a call may name.
	OrdersMax = 50
	// ItemsMax is how many lines an order may have.
	ItemsMax = 100
	// ExpiryMin is the least time that a checkout can be paid.
	ExpiryMin = time.Minute
	// ExpiryMax is the longest.
	ExpiryMax = 30 * 24 * time.Hour
)

// OrderDraft is what the marketplace sends for one shop's order.
type OrderDraft struct {
	// MerchantID and OutOrderNo name it.
	MerchantID, OutOrderNo string
	// Amount to be paid.
	Amount money.Amount
	// Title is one line that the payer recognises.
	Title string
	// Items are its lines.
	Items []Item
}

// Draft is what the marketplace sends for a checkout. As JSON, without its expire time, it is the content that an idempotent request is
// compared by.
type Draft struct {
	// UserID is the buyer, Business the business line.
	UserID, Business string
	// CurrencyCode is the one currency of all amounts, ISO 4217.
	CurrencyCode string
	// Orders, 1 to OrdersMax.
	Orders []OrderDraft
	// RedirectURL and NotifyURL as CheckAddresses allows them; NotifyURL may be empty.
	RedirectURL, NotifyURL string
	// ExpireTime until when it can be paid; zero for the default.
	ExpireTime time.Time
}

// Validate checks the draft but for its addresses, and returns its total. Errors: errs.InvalidArgument, CurrencyMismatch, AmountOutOfRange,
// ExpireTimeInvalid.
func (d Draft) Validate(now time.Time) (money.Amount, error) {
	currency, err := money.CurrencyOf(d.CurrencyCode)
	if err != nil {
		return money.Amount{}, invalid("currency_code", "this currency is not supported")
	}
	if len(d.Orders) == 0 || len(d.Orders) > OrdersMax {
		return money.Amount{}, invalid("orders", "send 1 to %d orders", OrdersMax)
	}
	if ahead := d.ExpireTime.Sub(now); !d.ExpireTime.IsZero() && (ahead < ExpiryMin || ahead > ExpiryMax) {
		return money.Amount{}, errs.ExpireTimeInvalid.New("the expire time must be %s to %s ahead", ExpiryMin, ExpiryMax)
	}
	seen := make(map[[2]string]bool, len(d.Orders))
	amounts := make([]money.Amount, len(d.Orders))
	for i, o := range d.Orders {
		if err := o.validate(i, currency); err != nil {
			return money.Amount{}, err
		}
		number := [2]string{o.MerchantID, o.OutOrderNo}
		if seen[number] {
			return money.Amount{}, invalid(fmt.Sprintf("orders[%d].out_order_no", i), "this merchant_id and out_order_no stand in the request twice")
		}
		seen[number] = true
		amounts[i] = o.Amount
	}
	total, err := money.Sum(currency, amounts...)
	if err != nil || money.Bounded(total) != nil {
		return money.Amount{}, errs.AmountOutOfRange.New("the sum of the orders is above %d minor units", money.MaxMinor)
	}
	return total, nil
}

func (o OrderDraft) validate(i int, currency money.Currency) error {
	if o.MerchantID == "" || o.OutOrderNo == "" {
		return invalid(fmt.Sprintf("orders[%d].out_order_no", i), "merchant_id and out_order_no are both needed")
	}
	if o.Amount.Currency() != currency {
		return errs.CurrencyMismatch.New("orders[%d] is in %s, the checkout in %s", i, o.Amount.Currency(), currency)
	}
	if !o.Amount.IsPositive() {
		return invalid(fmt.Sprintf("orders[%d].amount", i), "the amount must be above zero")
	}
	if money.Bounded(o.Amount) != nil {
		return errs.AmountOutOfRange.New("orders[%d] is above %d minor units", i, money.MaxMinor)
	}
	if len(o.Items) > ItemsMax {
		return invalid(fmt.Sprintf("orders[%d].items", i), "send at most %d items", ItemsMax)
	}
	for j, item := range o.Items {
		if item.UnitPrice.Currency() != currency {
			return errs.CurrencyMismatch.New("orders[%d].items[%d] is in %s, the checkout in %s", i, j, item.UnitPrice.Currency(), currency)
		}
		if item.UnitPrice.IsNegative() || money.Bounded(item.UnitPrice) != nil {
			return invalid(fmt.Sprintf("orders[%d].items[%d].unit_price", i, j), "the price must be zero to %d minor units", money.MaxMinor)
		}
	}
	return nil
}

// ContentHash digests what makes the i-th order what it is: buyer, business, addresses and the order itself. The expire time is
// left out: callers that repeat a request compute it anew.
func (d Draft) ContentHash(i int) ([sha256.Size]byte, error) {
	content := struct {
		UserID, Business, RedirectURL, NotifyURL string
		Order                                    OrderDraft
	}{d.UserID, d.Business, d.RedirectURL, d.NotifyURL, d.Orders[i]}
	b, err := json.Marshal(content)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("digest order: %w", err)
	}
	return sha256.Sum256(b), nil
}

// invalid names the field that must be mended, as package rpckit expects it.
func invalid(field, format string, args ...any) error {
	return errs.InvalidArgument.New(format, args...).With("field", field)
}
