package rpc

import (
	"context"
	"errors"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
	"github.com/creditpay/creditpay/services/payment/internal/wire"
)

// Internal serves creditpay.payment.v1.PaymentInternalService.
type Internal struct {
	paymentv1.UnsafePaymentInternalServiceServer
	App *app.App
}

// GetCommit tells the outcome of a commit.
func (s *Internal) GetCommit(ctx context.Context, req *paymentv1.GetCommitRequest) (*paymentv1.GetCommitResponse, error) {
	c, ps, err := s.App.Commit(ctx, req.GetCommitId())
	if err != nil {
		return nil, err
	}
	return &paymentv1.GetCommitResponse{State: paymentv1.PaymentState(c.State.SeenState()), Payments: wire.Payments(ps)}, nil
}

// WithdrawCommit stops a commit that has not succeeded.
func (s *Internal) WithdrawCommit(ctx context.Context, req *paymentv1.WithdrawCommitRequest) (*paymentv1.WithdrawCommitResponse, error) {
	c, ps, err := s.App.WithdrawCommit(ctx, req.GetCommitId(), req.GetReason())
	var refused *errs.Error
	if err != nil && (c.ID.IsZero() || errors.As(err, &refused) && refused.Reason() == errs.NotFound) {
		return nil, err
	}
	// An error on the way back leaves the commit FAILING: the caller sees PROCESSING and asks again.
	return &paymentv1.WithdrawCommitResponse{State: paymentv1.PaymentState(c.State.SeenState()), Payments: wire.Payments(ps)}, nil
}

// BatchGetPayments gives payments of orders with their timelines.
func (s *Internal) BatchGetPayments(ctx context.Context, req *paymentv1.BatchGetPaymentsRequest) (*paymentv1.BatchGetPaymentsResponse, error) {
	h, err := s.App.BatchGetPayments(ctx, req.GetOrderIds())
	if err != nil {
		return nil, err
	}
	return &paymentv1.BatchGetPaymentsResponse{Payments: wire.Payments(h.Payments), Timeline: timeline(h)}, nil
}

// timeline tells what happened, from the times that the rows keep.
func timeline(h app.History) []*commonv1.TimelineEntry {
	var out []*commonv1.TimelineEntry
	for _, c := range h.Commits {
		id := ids.Format(ids.Commit, c.ID)
		out = append(out, &commonv1.TimelineEntry{Time: timestamppb.New(c.CreateTime), Service: "payment", ObjectId: id,
			ToState: domain.CommitStarted.String(), Actor: c.Caller, Cause: "commit started"})
		if !c.FinishTime.IsZero() {
			cause := "order taken and credit reserved"
			if c.State == domain.CommitFailed {
				cause = c.FailureReason
			}
			out = append(out, &commonv1.TimelineEntry{Time: timestamppb.New(c.FinishTime), Service: "payment", ObjectId: id,
				FromState: domain.CommitStarted.String(), ToState: c.State.String(), Actor: "SERVICE:payment", Cause: cause})
		}
	}
	for _, p := range h.Payments {
		id := ids.Format(ids.Payment, p.ID)
		out = append(out, &commonv1.TimelineEntry{Time: timestamppb.New(p.PayTime), Service: "payment", ObjectId: id,
			ToState: domain.PaymentSucceeded.String(), Actor: "SERVICE:payment", Cause: "paid"})
		if !p.ReverseTime.IsZero() {
			out = append(out, &commonv1.TimelineEntry{Time: timestamppb.New(p.ReverseTime), Service: "payment", ObjectId: id,
				FromState: domain.PaymentReversing.String(), ToState: domain.PaymentReversed.String(), Actor: "SERVICE:payment", Cause: "order cancelled"})
		}
	}
	return out
}
