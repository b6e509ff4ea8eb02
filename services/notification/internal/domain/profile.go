package domain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Profile is how a receiver is spoken to: its ladder, its signature, the form of its body, and what acknowledges. The numbers are
// stored and those of the contract's DeliveryProfile.
type Profile int8

// The profiles.
const (
	// Standard is Standard Webhooks.
	Standard Profile = 1
	// PayProtocol signs with X-PAY-SIGN and wants the text "success".
	PayProtocol Profile = 2
	// CashierDesk signs in the body and wants {"code": 1000}.
	CashierDesk Profile = 3
	// CheckoutJSP is the merchant console's callback: a flat body of the order's fields.
	CheckoutJSP Profile = 4
	// CashierDeskGM1 is CashierDesk with the older of its two signatures.
	CashierDeskGM1 Profile = 5
)

// Profiles gives every profile.
func Profiles() []Profile {
	return []Profile{Standard, PayProtocol, CashierDesk, CheckoutJSP, CashierDeskGM1}
}

// String is the profile's name.
func (p Profile) String() string {
	switch p {
	case Standard:
		return "STANDARD"
	case PayProtocol:
		return "PAY_PROTOCOL"
	case CashierDesk:
		return "CASHIER_DESK"
	case CheckoutJSP:
		return "CHECKOUT_JSP"
	case CashierDeskGM1:
		return "CASHIER_DESK_GM1"
	default:
		return fmt.Sprintf("PROFILE_%d", int8(p))
	}
}

// Ladder is the pauses between attempts, each counted from the end of the one before.
func (p Profile) Ladder() []time.Duration {
	if p == PayProtocol {
		return ladderPayProtocol()
	}
	return ladder24h4m()
}

// InOrder tells whether the notices of an order are sent one after the other: a later one waits until the one before was acknowledged
// or given up. Receivers of Standard Webhooks tell them apart by id and time; the others keep what came last.
func (p Profile) InOrder() bool { return p != Standard }

// NamesKey tells whether the receiver must be told by name which key signed.
func (p Profile) NamesKey() bool { return p == PayProtocol || p.cashierDesk() }

// cashierDesk tells whether it is one of the cashier desk's two, which differ in their signature only.
func (p Profile) cashierDesk() bool { return p == CashierDesk || p == CashierDeskGM1 }

// Tells whether a profile has a body for events of a type.
func (p Profile) Tells(eventType string) bool {
	return p != CheckoutJSP || slices.Contains(checkoutTypes(), eventType)
}

// AnswerMax is how much of an answer is read, in bytes. An acknowledgement is shorter; of what is longer, the rest is not read.
const AnswerMax = 16 << 10

// Answer is what a receiver answered.
type Answer struct {
	// Status of HTTP.
	Status int
	// Body, AnswerMax bytes at most.
	Body []byte
	// Cut tells that there was more.
	Cut bool
	// RetryAfter is how long the receiver wants to be left alone; 0 when it does not say.
	RetryAfter time.Duration
}

// retryAfterMax bounds how long a receiver can put off its deliveries.
const retryAfterMax = 24 * time.Hour

// Gone reports that the receiver wants nothing more at this address (RFC 9110 §15.5.11).
func (a Answer) Gone() bool { return a.Status == 410 }

// Pause is how long the receiver is left alone, retryAfterMax at most.
func (a Answer) Pause() time.Duration { return min(max(a.RetryAfter, 0), retryAfterMax) }

// ReadRetryAfter reads a Retry-After header (RFC 9110 §10.2.3): seconds, or a time in one of HTTP's three forms. It is 0 for
// anything else, and for what is over.
func ReadRetryAfter(header string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	for _, form := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", time.RFC850, time.ANSIC} {
		if at, err := time.Parse(form, header); err == nil {
			return max(at.Sub(now), 0)
		}
	}
	return 0
}

// Acknowledged says why an answer is no acknowledgement; empty when it is one.
func (p Profile) Acknowledged(a Answer) (why string) {
	switch p {
	case Standard, CheckoutJSP: // The console's protocol states no acknowledgement; a status is what every receiver gives.
		if a.Status < 200 || a.Status > 299 {
			return fmt.Sprintf("answered HTTP %d, not 2xx", a.Status)
		}
		return ""
	case PayProtocol:
		return acknowledgedByText(a)
	case CashierDesk, CashierDeskGM1:
		return acknowledgedByCode(a)
	default:
		return "the profile is not known"
	}
}

func acknowledgedByText(a Answer) string {
	switch {
	case a.Status != 200:
		return fmt.Sprintf("answered HTTP %d, not 200", a.Status)
	case a.Cut || string(bytes.TrimSpace(a.Body)) != "success":
		return `did not answer the text "success"`
	default:
		return ""
	}
}

// codeDone is the code of a cashier desk's acknowledgement.
const codeDone = "1000"

func acknowledgedByCode(a Answer) string {
	if a.Status != 200 {
		return fmt.Sprintf("answered HTTP %d, not 200", a.Status)
	}
	var said struct {
		Code json.RawMessage `json:"code"`
	}
	if a.Cut || json.Unmarshal(a.Body, &said) != nil || string(said.Code) != codeDone {
		return `did not answer JSON with "code": 1000`
	}
	return ""
}
