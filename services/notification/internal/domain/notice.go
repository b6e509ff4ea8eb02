package domain

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// Owner is who receives events by endpoints and feed: a marketplace, which receives all that are its own, or one of its merchants. The zero
// Owner is the home marketplace.
type Owner struct {
	// Marketplace is empty for the home marketplace.
	Marketplace string
	// MerchantID is empty for the marketplace itself.
	MerchantID string
}

// IsMerchant reports whether it is a merchant.
func (o Owner) IsMerchant() bool { return o.MerchantID != "" }

// orderTypes are the types that are about one order: they concern its merchant too, and go to the address that its checkout named.
func orderTypes() []string {
	return []string{"order.paid", "order.confirmed", "order.cancel_requested", "order.cancelled", "order.expired", "order.closed", "refund.changed"}
}

// marketplaceTypes are the types that concern the marketplace only: the payer's payments, credit and cash are none of a merchant's
// business.
func marketplaceTypes() []string {
	return []string{"payment.succeeded", "payment.failed", "payment.reversed", "cash_leg.changed", "cash_return.changed", "payment.pin_changed",
		"loan.activated", "loan.voided", "loan.settled", "loan.reopened", "loan.overdue_changed", "bill.changed", "repayment.changed"}
}

// EventTypes gives every type that an owner can hear of.
func EventTypes(owner Owner) []string {
	if !owner.IsMerchant() {
		return append(orderTypes(), marketplaceTypes()...)
	}
	return orderTypes()
}

// Notice is an event as it is told outside.
type Notice struct {
	// ID is its place in the feed.
	ID ids.ID
	// EventID is the event's own, the same in Kafka.
	EventID ids.ID
	// Type, one of EventTypes.
	Type string
	// Marketplace is in which it happened; empty for the home marketplace.
	Marketplace string
	// MerchantID is whose order it is about; empty when it concerns the marketplace only.
	MerchantID string
	// OrderID is the order that it is about; zero when it is about none or several. OutOrderNo is the marketplace's number of it.
	OrderID    ids.ID
	OutOrderNo string
	// Time when it happened, ReceiveTime when it was received here.
	Time, ReceiveTime time.Time
	// Payload is the event as JSON, as the marketplace sees it.
	Payload json.RawMessage
	// MerchantPayload is the event as the order's merchant sees it; nil when that is the same. It is not kept in the feed.
	MerchantPayload json.RawMessage
	// NotifyURL is where the order's checkout wants it told; empty for nowhere. It may hold a secret of the marketplace: it is in no
	// payload and is not kept in the feed.
	NotifyURL string
	// Order is what the event says of its order, for bodies that are made of fields. It is not kept in the feed.
	Order OrderFacts
}

// OrderFacts is what is known of an order; what is zero is not known.
type OrderFacts struct {
	// UserID is the buyer.
	UserID string
	// Amount that was ordered for, Paid that was paid.
	Amount, Paid money.Amount
	// PaymentMethod by which it is paid: "CREDIT" for instalments.
	PaymentMethod string
	PayTime       time.Time
}

// Owners are whose endpoints hear of it.
func (n Notice) Owners() []Owner {
	own := []Owner{{Marketplace: n.Marketplace}}
	if n.MerchantID != "" && slices.Contains(orderTypes(), n.Type) {
		own = append(own, Owner{Marketplace: n.Marketplace, MerchantID: n.MerchantID})
	}
	return own
}

// SeenBy returns the notice with the payload that an owner of endpoints sees.
func (n Notice) SeenBy(owner Owner) Notice {
	if owner.IsMerchant() && n.MerchantPayload != nil {
		n.Payload = n.MerchantPayload
	}
	return n
}

// Body is the frozen body under a profile: the same bytes at every attempt.
func (n Notice) Body(p Profile) ([]byte, error) {
	id := ids.Format(ids.Event, n.EventID)
	var body any
	switch {
	case p == CheckoutJSP:
		body = n.checkout()
	case p.cashierDesk():
		body = struct {
			EventID    string          `json:"eventId"`
			EventType  string          `json:"eventType"`
			EventTime  string          `json:"eventTime"`
			OutTradeNo string          `json:"outTradeNo,omitempty"`
			Data       json.RawMessage `json:"data"`
		}{id, n.Type, n.Time.UTC().Format(time.RFC3339Nano), n.OutOrderNo, n.Payload}
	default:
		body = struct {
			ID        string          `json:"id"`
			Type      string          `json:"type"`
			Timestamp string          `json:"timestamp"`
			Data      json.RawMessage `json:"data"`
		}{id, n.Type, n.Time.UTC().Format(time.RFC3339Nano), n.Payload}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("write the body of %s: %w", id, err)
	}
	return text, nil
}
