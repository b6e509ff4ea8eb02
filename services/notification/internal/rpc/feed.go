// Package rpc owns the gRPC door of the notification service: it turns messages into the app's requests and its answers into messages.
//
// It must not hold a rule, keep state, or know SQL. What a field may hold is said in the .proto and checked before a method runs.
package rpc

import (
	"context"

	notificationv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/notification/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/notification/internal/app"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
	"github.com/creditpay/creditpay/services/notification/internal/wire"
)

// Feed serves creditpay.notification.v1.NotificationService.
type Feed struct {
	notificationv1.UnsafeNotificationServiceServer
	App *app.App
}

// feedSizeDefault is how many events are given when the caller does not say.
const feedSizeDefault = 100

// ListEvents returns to a merchant the events of its own orders, and a marketplace all that are its own.
func (s *Feed) ListEvents(ctx context.Context, req *notificationv1.ListEventsRequest) (*notificationv1.ListEventsResponse, error) {
	who := caller.FromContext(ctx)
	owner := domain.Owner{Marketplace: who.Owner, MerchantID: who.MerchantID}
	if who.Kind != caller.SPM && !owner.IsMerchant() {
		return nil, errs.CallerNotAllowed.New("the token names no merchant")
	}
	var after ids.ID
	if text := req.GetAfter(); text != "" {
		var err error
		if after, err = ids.Parse(ids.Notice, text); err != nil {
			return nil, errs.PageTokenInvalid.Wrap(err, "after is not a next_after of this feed; leave it out to begin at the oldest event")
		}
	}
	notices, err := s.App.ListEvents(ctx, owner, after, sizeOr(req.GetPageSize(), feedSizeDefault))
	if err != nil {
		return nil, err
	}
	res := &notificationv1.ListEventsResponse{NextAfter: req.GetAfter()}
	for _, n := range notices {
		e, err := wire.FeedEvent(who.Kind, n)
		if err != nil {
			return nil, err
		}
		res.Events = append(res.Events, e)
		res.NextAfter = ids.Format(ids.Notice, n.ID)
	}
	return res, nil
}

// sizeOr is the size of a page.
func sizeOr(asked int32, otherwise int) int {
	if asked <= 0 {
		return otherwise
	}
	return int(asked)
}
