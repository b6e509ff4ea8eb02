package domain

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
)

// Marketplace is the owner of endpoints that hear of everything; other owners are merchants by their id.
const Marketplace = ""

// orderTypes are the types that concern a merchant too: they are about one order of that merchant.
func orderTypes() []string {
	return []string{"order.paid", "order.confirmed", "order.cancel_requested", "order.cancelled", "order.expired", "order.closed", "refund.changed"}
}

// marketplaceTypes are the types that concern the marketplace only: the payer's payments, credit and cash are none of a merchant's
// business.
func marketplaceTypes() []string {
	return []string{"payment.succeeded", "payment.failed", "payment.reversed", "cash_leg.changed", "cash_return.changed",
		"loan.activated", "loan.voided", "loan.settled", "loan.reopened", "loan.overdue_changed", "bill.changed", "repayment.changed"}
}

// EventTypes gives every type that an owner can hear of.
func EventTypes(owner string) []string {
	if owner == Marketplace {
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
	// MerchantID is whose order it is about; empty when it concerns the marketplace only.
	MerchantID string
	// OrderID is the order that it is about; zero when it is about none or several. OutOrderNo is the marketplace's number of it.
	OrderID    ids.ID
	OutOrderNo string
	// Time when it happened, ReceiveTime when it was received here.
	Time, ReceiveTime time.Time
	// Payload is the event as JSON.
	Payload json.RawMessage
}

// Owners are whose endpoints hear of it.
func (n Notice) Owners() []string {
	if n.MerchantID != "" && slices.Contains(orderTypes(), n.Type) {
		return []string{Marketplace, n.MerchantID}
	}
	return []string{Marketplace}
}

// Body is the frozen body under a profile: the same bytes at every attempt.
func (n Notice) Body(p Profile) ([]byte, error) {
	id := ids.Format(ids.Event, n.EventID)
	var body any
	if p == CashierDesk {
		body = struct {
			EventID    string          `json:"eventId"`
			EventType  string          `json:"eventType"`
			EventTime  string          `json:"eventTime"`
			OutTradeNo string          `json:"outTradeNo,omitempty"`
			Data       json.RawMessage `json:"data"`
		}{id, n.Type, n.Time.UTC().Format(time.RFC3339Nano), n.OutOrderNo, n.Payload}
	} else {
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

// CheckTypes refuses types that an owner cannot hear of.
func CheckTypes(owner string, types []string) error {
	for _, t := range types {
		if !slices.Contains(EventTypes(owner), t) {
			return errs.InvalidArgument.New("event_types: %q is none of %v", t, EventTypes(owner)).With("field", "event_types")
		}
	}
	return nil
}
