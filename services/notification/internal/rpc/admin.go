package rpc

import (
	"context"
	"encoding/base64"
	"time"

	notificationv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/notification/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/enum"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/notification/internal/app"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
	"github.com/creditpay/creditpay/services/notification/internal/wire"
)

// Admin serves creditpay.notification.v1.NotificationAdminService.
type Admin struct {
	notificationv1.UnsafeNotificationAdminServiceServer
	App *app.App
	// Home is the name of the home marketplace, which is stored without one.
	Home string
}

// marketplace is a marketplace that an operator names, as it is stored.
func (s *Admin) marketplace(owner string) string {
	if owner == s.Home {
		return ""
	}
	return owner
}

const (
	pageSizeDefault = 50
	overlapDefault  = 24 * time.Hour
)

func request(ctx context.Context, m interface{ GetRequestId() string }) app.Request {
	r := app.Request{Caller: caller.FromContext(ctx).String(), RequestID: m.GetRequestId()}
	if seen, ok := m.(interface{ GetVersion() int64 }); ok {
		r.Version = seen.GetVersion()
	}
	return r
}

// CreateEndpoint registers an endpoint.
func (s *Admin) CreateEndpoint(ctx context.Context, req *notificationv1.CreateEndpointRequest) (*notificationv1.CreateEndpointResponse, error) {
	e, err := s.App.CreateEndpoint(ctx, request(ctx, req), domain.Endpoint{
		Owner: domain.Owner{Marketplace: s.marketplace(req.GetOwner()), MerchantID: req.GetMerchantId()}, URL: req.GetUrl(), Types: req.GetEventTypes(),
		Profile: enum.Of[domain.Profile](req.GetProfile()), KeyName: req.GetKeyName()})
	if err != nil {
		return nil, err
	}
	return &notificationv1.CreateEndpointResponse{Endpoint: wire.Endpoint(e), Secret: e.Text.Reveal()}, nil
}

// UpdateEndpoint changes the address or the types of an endpoint, and leaves what the request does not name.
func (s *Admin) UpdateEndpoint(ctx context.Context, req *notificationv1.UpdateEndpointRequest) (*notificationv1.UpdateEndpointResponse, error) {
	id, err := wire.ID(ids.Endpoint, "endpoint_id", req.GetEndpointId())
	if err != nil {
		return nil, err
	}
	e, err := s.App.UpdateEndpoint(ctx, request(ctx, req), id, app.EndpointChange{
		URL: req.GetUrl(), Types: req.GetEventTypes(),
		KeepURL: req.Url == nil, KeepTypes: len(req.GetEventTypes()) == 0 && !req.GetAllEventTypes(),
	})
	if err != nil {
		return nil, err
	}
	return &notificationv1.UpdateEndpointResponse{Endpoint: wire.Endpoint(e)}, nil
}

// SetEndpointState disables or enables an endpoint.
func (s *Admin) SetEndpointState(ctx context.Context, req *notificationv1.SetEndpointStateRequest) (*notificationv1.SetEndpointStateResponse, error) {
	id, err := wire.ID(ids.Endpoint, "endpoint_id", req.GetEndpointId())
	if err != nil {
		return nil, err
	}
	e, err := s.App.SetEndpointState(ctx, request(ctx, req), id, enum.Of[domain.EndpointState](req.GetState()))
	if err != nil {
		return nil, err
	}
	return &notificationv1.SetEndpointStateResponse{Endpoint: wire.Endpoint(e)}, nil
}

// RotateEndpointSecret makes a new secret.
func (s *Admin) RotateEndpointSecret(ctx context.Context, req *notificationv1.RotateEndpointSecretRequest) (*notificationv1.RotateEndpointSecretResponse, error) {
	id, err := wire.ID(ids.Endpoint, "endpoint_id", req.GetEndpointId())
	if err != nil {
		return nil, err
	}
	overlap := overlapDefault
	if req.GetOverlap() != nil {
		overlap = req.GetOverlap().AsDuration()
	}
	e, err := s.App.RotateSecret(ctx, request(ctx, req), id, overlap)
	if err != nil {
		return nil, err
	}
	return &notificationv1.RotateEndpointSecretResponse{Endpoint: wire.Endpoint(e), Secret: e.Text.Reveal()}, nil
}

// ListEndpoints gives endpoints, newest first.
func (s *Admin) ListEndpoints(ctx context.Context, req *notificationv1.ListEndpointsRequest) (*notificationv1.ListEndpointsResponse, error) {
	below, err := readToken(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	f := app.EndpointFilter{MerchantID: req.GetMerchantId(), Below: below}
	if req.GetOwner() != "" {
		owner := s.marketplace(req.GetOwner())
		f.Marketplace = &owner
	}
	page, more, err := s.App.ListEndpoints(ctx, f, sizeOr(req.GetPageSize(), pageSizeDefault))
	if err != nil {
		return nil, err
	}
	res := &notificationv1.ListEndpointsResponse{}
	for _, e := range page {
		res.Endpoints = append(res.Endpoints, wire.Endpoint(e))
	}
	if more {
		res.NextPageToken = writeToken(page[len(page)-1].ID)
	}
	return res, nil
}

// ListDeliveries gives deliveries, newest first. A page token is the last delivery of the page before, in base 64.
func (s *Admin) ListDeliveries(ctx context.Context, req *notificationv1.ListDeliveriesRequest) (*notificationv1.ListDeliveriesResponse, error) {
	f := app.DeliveryFilter{Type: req.GetEventType(), State: enum.Of[domain.DeliveryState](req.GetState())}
	var err error
	if f.EndpointID, err = wire.ID(ids.Endpoint, "endpoint_id", req.GetEndpointId()); err != nil {
		return nil, err
	}
	if f.OrderID, err = wire.ID(ids.Order, "order_id", req.GetOrderId()); err != nil {
		return nil, err
	}
	if f.From, err = wire.ReadTime("from_time", req.GetFromTime()); err != nil {
		return nil, err
	}
	if f.To, err = wire.ReadTime("to_time", req.GetToTime()); err != nil {
		return nil, err
	}
	if f.Below, err = readToken(req.GetPageToken()); err != nil {
		return nil, err
	}
	page, more, err := s.App.ListDeliveries(ctx, f, sizeOr(req.GetPageSize(), pageSizeDefault))
	if err != nil {
		return nil, err
	}
	res := &notificationv1.ListDeliveriesResponse{}
	for _, d := range page {
		res.Deliveries = append(res.Deliveries, wire.Delivery(d))
	}
	if more {
		res.NextPageToken = writeToken(page[len(page)-1].ID)
	}
	return res, nil
}

// GetDelivery gives a delivery with its body and its attempts.
func (s *Admin) GetDelivery(ctx context.Context, req *notificationv1.GetDeliveryRequest) (*notificationv1.GetDeliveryResponse, error) {
	id, err := wire.ID(ids.Delivery, "delivery_id", req.GetDeliveryId())
	if err != nil {
		return nil, err
	}
	d, attempts, err := s.App.GetDelivery(ctx, id)
	if err != nil {
		return nil, err
	}
	res := &notificationv1.GetDeliveryResponse{Delivery: wire.Delivery(d), Body: string(d.Body)}
	for _, a := range attempts {
		res.Attempts = append(res.Attempts, wire.Attempt(a))
	}
	return res, nil
}

// ResendDelivery sends a delivery again.
func (s *Admin) ResendDelivery(ctx context.Context, req *notificationv1.ResendDeliveryRequest) (*notificationv1.ResendDeliveryResponse, error) {
	id, err := wire.ID(ids.Delivery, "delivery_id", req.GetDeliveryId())
	if err != nil {
		return nil, err
	}
	d, err := s.App.ResendDelivery(ctx, request(ctx, req), id)
	if err != nil {
		return nil, err
	}
	return &notificationv1.ResendDeliveryResponse{Delivery: wire.Delivery(d)}, nil
}

// ResendDeliveries sends a range of deliveries again.
func (s *Admin) ResendDeliveries(ctx context.Context, req *notificationv1.ResendDeliveriesRequest) (*notificationv1.ResendDeliveriesResponse, error) {
	f := app.ResendRange{Delivered: req.GetIncludeDelivered()}
	var err error
	if f.EndpointID, err = wire.ID(ids.Endpoint, "endpoint_id", req.GetEndpointId()); err != nil {
		return nil, err
	}
	if f.From, err = wire.ReadTime("from_time", req.GetFromTime()); err != nil {
		return nil, err
	}
	if f.To, err = wire.ReadTime("to_time", req.GetToTime()); err != nil {
		return nil, err
	}
	if f.Above, err = readToken(req.GetPageToken()); err != nil {
		return nil, err
	}
	resent, err := s.App.ResendDeliveries(ctx, request(ctx, req), f)
	if err != nil {
		return nil, err
	}
	res := &notificationv1.ResendDeliveriesResponse{Resent: int32(resent.Count), More: resent.More}
	if resent.More {
		res.NextPageToken = writeToken(resent.Last)
	}
	return res, nil
}

func writeToken(id ids.ID) string { return base64.RawURLEncoding.EncodeToString([]byte(id.String())) }

func readToken(token string) (below ids.ID, err error) {
	if token == "" {
		return below, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = below.UnmarshalText(raw)
	}
	if err != nil {
		return below, errs.PageTokenInvalid.Wrap(err, "the page token is not one of this list; start from the first page")
	}
	return below, nil
}
