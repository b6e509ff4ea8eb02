package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/secret"
)

// checkoutTypes are the types that CheckoutJSP tells: its protocol has a status for these and for nothing else.
func checkoutTypes() []string { return []string{"order.paid", "order.cancelled", "order.expired"} }

// Checkout is the body of a CheckoutJSP callback, a merchant console's answer about an order. All fields are texts; what is not known
// is left out. The order of the fields is part of the frozen body.
type Checkout struct {
	MerchantID      string `json:"merchant_id"`
	MerchantOrderID string `json:"merchant_order_id"`
	// RequestType is the request that it answers; a callback's is PAY.
	RequestType string `json:"request_type"`
	Currency    string `json:"currency,omitempty"`
	// OrderAmount and PayAmount are in major units with the currency's decimals.
	OrderAmount string `json:"order_amount,omitempty"`
	PayAmount   string `json:"pay_amount,omitempty"`
	ShopperID   string `json:"shopper_id,omitempty"`
	Email       string `json:"email,omitempty"`
	ShopperName string `json:"shopper_name,omitempty"`
	// Status is PAID or CANCELLED.
	Status        string `json:"status"`
	PaymentMethod string `json:"payment_method,omitempty"`
	AccountName   string `json:"account_name,omitempty"`
	AccountNumber string `json:"account_number,omitempty"`
	QRCodeImage   string `json:"qr_code_image,omitempty"`
	// PayTime and ConfirmTime are RFC 3339 in UTC.
	PayTime     string `json:"pay_time,omitempty"`
	ConfirmTime string `json:"confirm_time,omitempty"`
}

// checkout is the body of a notice of a type that CheckoutJSP tells.
func (n Notice) checkout() Checkout {
	c := Checkout{MerchantID: n.MerchantID, MerchantOrderID: n.OutOrderNo, RequestType: "PAY", Currency: n.Order.Amount.Currency().Code(),
		OrderAmount: decimal(n.Order.Amount), ShopperID: n.Order.UserID, Status: "CANCELLED", PaymentMethod: n.Order.PaymentMethod}
	if n.Type == "order.paid" {
		c.Status, c.PayAmount = "PAID", decimal(n.Order.Paid)
		if !n.Order.PayTime.IsZero() {
			c.PayTime = n.Order.PayTime.UTC().Format(time.RFC3339Nano)
		}
	}
	return c
}

// decimal is an amount as a text; empty when it is not known.
func decimal(a money.Amount) string {
	if a.Currency().IsZero() {
		return ""
	}
	return a.Decimal()
}

// Digest is encryption_data: lower-case hex of SHA-256 over seven fields and the key, without anything between them, as the console's
// protocol asks for. It covers neither pay_amount nor status, and two different orders can have one digest: a receiver goes by
// X-Signature-V2.
func (c Checkout) Digest(key secret.Masked) string {
	sum := sha256.Sum256([]byte(c.MerchantID + c.MerchantOrderID + c.RequestType + c.Currency + c.OrderAmount + c.PaymentMethod + c.ShopperID + key.Reveal()))
	return hex.EncodeToString(sum[:])
}

// SignCheckoutV2 is X-Signature-V2: lower-case hex of HMAC-SHA256 over timestamp (unix seconds), nonce, method, path with query, and the
// hex of the body's SHA-256, joined by line feeds.
func SignCheckoutV2(key secret.Masked, at time.Time, nonce, method, path string, body []byte) string {
	sum := sha256.Sum256(body)
	text := strings.Join([]string{strconv.FormatInt(at.Unix(), 10), nonce, method, path, hex.EncodeToString(sum[:])}, "\n")
	return hex.EncodeToString(hmacSHA256([]byte(key.Reveal()), text))
}

// signCheckout adds encryption_data to a frozen body, which stays as it is, and signs all of it in the headers.
func signCheckout(body []byte, s Stamp) (Message, error) {
	var c Checkout
	if err := json.Unmarshal(body, &c); err != nil {
		return Message{}, fmt.Errorf("read the body: %w", err)
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return Message{}, fmt.Errorf("read the address: %w", err)
	}
	posted := withFields(body, true, [][2]string{{"encryption_data", c.Digest(s.known())}})
	return Message{Body: posted, Headers: map[string]string{"X-Timestamp": strconv.FormatInt(s.Time.Unix(), 10), "X-Nonce": s.nonce(),
		"X-Signature-V2": SignCheckoutV2(s.known(), s.Time, s.nonce(), "POST", u.RequestURI(), posted)}}, nil
}
