package rpc

import (
	"context"
	"encoding/base64"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/approval/approvalrpc"
	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/enum"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
	"github.com/creditpay/creditpay/services/payment/internal/wire"
)

// Admin serves creditpay.payment.v1.PaymentAdminService.
type Admin struct {
	paymentv1.UnsafePaymentAdminServiceServer
	App *app.App
	// Desk is the approvals.
	Desk *desk.Desk
}

// pageSizeDefault is the size of a page when none is asked for.
const pageSizeDefault = 50

// ListUnfitNotifications gives the notifications that did not fit. A page token is the last notification of the page before, in base 64.
func (s *Admin) ListUnfitNotifications(ctx context.Context, req *paymentv1.ListUnfitNotificationsRequest) (*paymentv1.ListUnfitNotificationsResponse, error) {
	f := app.UnfitFilter{Outcome: outcomeOf(req.GetMisfit()), Kind: enum.Of[domain.CashKind](req.GetLeg())}
	var err error
	if f.From, err = readTime("from_time", req.GetFromTime()); err != nil {
		return nil, err
	}
	if f.To, err = readTime("to_time", req.GetToTime()); err != nil {
		return nil, err
	}
	if f.Below, err = readToken(req.GetPageToken()); err != nil {
		return nil, err
	}
	size := int(req.GetPageSize())
	if size <= 0 {
		size = pageSizeDefault
	}
	page, more, err := s.App.ListUnfitNotices(ctx, f, size)
	if err != nil {
		return nil, err
	}
	res := &paymentv1.ListUnfitNotificationsResponse{}
	for _, n := range page {
		res.Notifications = append(res.Notifications, s.unfit(n))
	}
	if more {
		res.NextPageToken = writeToken(page[len(page)-1].ID)
	}
	return res, nil
}

func (s *Admin) unfit(n app.UnfitNotice) *paymentv1.UnfitNotification {
	m := &paymentv1.UnfitNotification{NotificationId: ids.Format(ids.Notification, n.ID), Misfit: misfitOf(n.Answer.Outcome),
		Status: paymentv1.ExternalLegStatus(n.Notice.Status), Amount: &commonv1.Money{AmountMinor: new(n.Notice.Minor), CurrencyCode: n.Notice.Currency},
		StateThen: paymentv1.LegState(n.Answer.State), Leg: wire.CashLeg(n.Leg, s.App.Cashier.Link(n.Leg)), Caller: n.Caller, RequestId: n.RequestID,
		CreateTime: timestamppb.New(n.Time)}
	if !n.Notice.PayTime.IsZero() {
		m.PayTime = timestamppb.New(n.Notice.PayTime)
	}
	return m
}

// ListCashReturns gives returns of cash. A page token is the last return of the page before, in base 64.
func (s *Admin) ListCashReturns(ctx context.Context, req *paymentv1.ListCashReturnsRequest) (*paymentv1.ListCashReturnsResponse, error) {
	f := app.ReturnFilter{State: wire.ReadReturnState(req.GetState())}
	var err error
	if text := req.GetOrderId(); text != "" {
		if f.OrderID, err = ids.Parse(ids.Order, text); err != nil {
			return nil, errs.InvalidArgument.Wrap(err, "order_id is not an id of the form ord_…").With("field", "order_id")
		}
	}
	if f.Below, err = readToken(req.GetPageToken()); err != nil {
		return nil, err
	}
	size := int(req.GetPageSize())
	if size <= 0 {
		size = pageSizeDefault
	}
	page, more, err := s.App.ListCashReturns(ctx, f, size)
	if err != nil {
		return nil, err
	}
	res := &paymentv1.ListCashReturnsResponse{}
	for _, b := range page {
		e := &paymentv1.CashReturnEntry{CashReturn: cashReturn(&b), UserId: b.Leg.UserID, Channel: b.Leg.Channel, AskTime: timestamppb.New(b.Return.AskTime),
			Operator: b.Return.Actor, Evidence: b.Return.Evidence}
		if due := b.Return.DueTime(); !due.IsZero() {
			e.NextAskTime = timestamppb.New(due)
		}
		res.Returns = append(res.Returns, e)
	}
	if more {
		res.NextPageToken = writeToken(page[len(page)-1].Return.ID)
	}
	return res, nil
}

// RetryCancelReturn asks the marketplace once more for a cancelled order's share.
func (s *Admin) RetryCancelReturn(ctx context.Context, req *paymentv1.RetryCancelReturnRequest) (*paymentv1.RetryCancelReturnResponse, error) {
	b, err := s.App.RetryCancelReturn(ctx, req.GetReference())
	if err != nil {
		return nil, err
	}
	return &paymentv1.RetryCancelReturnResponse{CashReturn: cashReturn(&b)}, nil
}

// ResolveCancelReturn ends the return of a cancelled order's share by the operator's word.
func (s *Admin) ResolveCancelReturn(ctx context.Context, req *paymentv1.ResolveCancelReturnRequest) (*paymentv1.ResolveCancelReturnResponse, error) {
	b, asked, err := s.App.ResolveCancelReturn(ctx, req.GetReference(), ruling(req.GetGivenBack(), caller.FromContext(ctx).String(), req.GetEvidence()))
	if err != nil {
		return nil, err
	}
	return &paymentv1.ResolveCancelReturnResponse{CashReturn: cashReturn(&b), Approval: approvalrpc.Waiting(asked)}, nil
}

func misfitOf(o domain.Outcome) paymentv1.Misfit {
	switch o {
	case domain.OutcomeMismatch:
		return paymentv1.Misfit_MISFIT_MISMATCH
	case domain.OutcomeContradiction:
		return paymentv1.Misfit_MISFIT_CONTRADICTION
	case domain.OutcomeTwice:
		return paymentv1.Misfit_MISFIT_PAID_TWICE
	default:
		return paymentv1.Misfit_MISFIT_UNSPECIFIED
	}
}

func outcomeOf(m paymentv1.Misfit) domain.Outcome {
	switch m {
	case paymentv1.Misfit_MISFIT_MISMATCH:
		return domain.OutcomeMismatch
	case paymentv1.Misfit_MISFIT_CONTRADICTION:
		return domain.OutcomeContradiction
	case paymentv1.Misfit_MISFIT_PAID_TWICE:
		return domain.OutcomeTwice
	default:
		return ""
	}
}

// readTime reads a bound; the zero time when it is not set.
func readTime(field string, t *timestamppb.Timestamp) (time.Time, error) {
	switch {
	case t == nil:
		return time.Time{}, nil
	case !t.IsValid():
		return time.Time{}, errs.InvalidArgument.New("%s is no time between the years 1 and 9999", field).With("field", field)
	default:
		return t.AsTime(), nil
	}
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
