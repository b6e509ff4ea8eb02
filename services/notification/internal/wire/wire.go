// Package wire owns the translation between this service's values and the contract's messages: endpoints, deliveries, attempts, feed,
// amounts.
//
// It must not know a verb, and decides nothing.
package wire

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	notificationv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/notification/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/notification/internal/app"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

// Time gives a time in the contract's form; nil for the zero time.
func Time(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// ReadTime reads a time; the zero time when it is not set.
func ReadTime(field string, t *timestamppb.Timestamp) (time.Time, error) {
	switch {
	case t == nil:
		return time.Time{}, nil
	case !t.IsValid():
		return time.Time{}, errs.InvalidArgument.New("%s is no time between the years 1 and 9999", field).With("field", field)
	default:
		return t.AsTime(), nil
	}
}

// Amount reads an amount; the zero Amount when it is not set.
func Amount(m *commonv1.Money) (money.Amount, error) {
	if m == nil {
		return money.Amount{}, nil
	}
	c, err := money.CurrencyOf(m.GetCurrencyCode())
	if err != nil {
		return money.Amount{}, errs.InvalidArgument.Wrap(err, "the currency %q is not known", m.GetCurrencyCode())
	}
	return money.New(m.GetAmountMinor(), c), nil
}

// ID reads a typed id; the zero id when it is empty.
func ID(p ids.Prefix, field, text string) (ids.ID, error) {
	if text == "" {
		return ids.ID{}, nil
	}
	id, err := ids.Parse(p, text)
	if err != nil {
		return ids.ID{}, errs.InvalidArgument.Wrap(err, "%s is not an id of the form %s_…", field, p).With("field", field)
	}
	return id, nil
}

// Endpoint gives an endpoint in the contract's form, without the text of its secrets.
func Endpoint(e app.RegisteredEndpoint) *notificationv1.Endpoint {
	m := &notificationv1.Endpoint{EndpointId: ids.Format(ids.Endpoint, e.ID), Owner: e.Owner.Marketplace, MerchantId: e.Owner.MerchantID, Url: e.URL, EventTypes: e.Types,
		Profile: notificationv1.DeliveryProfile(e.Profile), KeyName: e.KeyName, State: notificationv1.EndpointState(e.State), Version: e.Version,
		CreateTime: Time(e.CreateTime), StateReason: e.StateReason, StateTime: Time(e.StateTime)}
	for _, s := range e.Secrets {
		m.Secrets = append(m.Secrets, &notificationv1.EndpointSecret{CreateTime: Time(s.CreateTime), ExpireTime: Time(s.ExpireTime)})
	}
	return m
}

// Delivery gives a delivery in the contract's form.
func Delivery(d domain.Delivery) *notificationv1.Delivery {
	m := &notificationv1.Delivery{DeliveryId: ids.Format(ids.Delivery, d.ID), EndpointId: ids.Format(ids.Endpoint, d.EndpointID),
		EventId: ids.Format(ids.Event, d.EventID), EventType: d.Type, State: notificationv1.DeliveryState(d.State), Attempts: int32(d.Attempts), Round: int32(d.Round),
		NextTime: Time(d.DueTime), CreateTime: Time(d.CreateTime), FinishTime: Time(d.FinishTime), LastError: d.LastError, Url: d.URL}
	if !d.OrderID.IsZero() {
		m.OrderId = ids.Format(ids.Order, d.OrderID)
	}
	return m
}

// Attempt gives an attempt in the contract's form.
func Attempt(a domain.Attempt) *notificationv1.DeliveryAttempt {
	return &notificationv1.DeliveryAttempt{AttemptNo: int32(a.No), Round: int32(a.Round), StartTime: Time(a.StartTime), LatencyUs: a.Latency.Microseconds(),
		HttpStatus: int32(a.Status), Answer: a.Answer, Error: a.Error}
}

// FeedEvent returns a stored notice in the contract's form, as receivers of that kind see it.
func FeedEvent(kind caller.Kind, n domain.Notice) (*notificationv1.FeedEvent, error) {
	var err error
	if n.Payload, err = SeenBy(kind, n.Type, n.Payload); err != nil {
		return nil, err
	}
	body, err := n.Body(domain.Standard)
	if err != nil {
		return nil, errs.Internal.Wrap(err, "write an event")
	}
	return &notificationv1.FeedEvent{EventId: ids.Format(ids.Event, n.EventID), EventType: n.Type, OccurredTime: Time(n.Time), Body: string(body)}, nil
}
