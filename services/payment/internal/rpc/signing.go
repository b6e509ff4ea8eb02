package rpc

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/wire"
)

// GetQuote gives the quote that is locked for a user's checkout.
func (s *Internal) GetQuote(ctx context.Context, req *paymentv1.GetQuoteRequest) (*paymentv1.GetQuoteResponse, error) {
	q, err := s.App.QuoteFor(ctx, req.GetUserId(), req.GetCheckoutId())
	if err != nil {
		return nil, err
	}
	plan := &commonv1.Plan{}
	if err := proto.Unmarshal(q.Plan, plan); err != nil {
		return nil, errs.Internal.Wrap(err, "the plan cannot be read")
	}
	return &paymentv1.GetQuoteResponse{Quote: &paymentv1.Quote{QuoteId: ids.Format(ids.Quote, q.ID),
		CheckoutId: ids.Format(ids.Checkout, q.CheckoutID), Channel: q.Terms.Channel, Amount: wire.Money(q.Terms.Amount), Plan: plan,
		ExpireTime: timestamppb.New(q.ExpireTime)}}, nil
}

// CommitFor pays a checkout for a payer who called another service. It is DoCommitPayment itself with the payer as the caller, so
// that checks, records of requests and answers are the same by whichever door the payer came.
func (s *Internal) CommitFor(ctx context.Context, req *paymentv1.CommitForRequest) (*paymentv1.CommitForResponse, error) {
	payer := caller.Caller{Kind: caller.H5, Name: caller.FromContext(ctx).Name, UserID: req.GetUserId()}
	res, err := (&Payment{App: s.App}).DoCommitPayment(caller.NewContext(ctx, payer), &paymentv1.DoCommitPaymentRequest{
		RequestId: req.GetRequestId(), CheckoutId: req.GetCheckoutId(), QuoteId: req.GetQuoteId(), Pin: req.GetPin()})
	if err != nil {
		return nil, err
	}
	return &paymentv1.CommitForResponse{State: res.GetState(), NextAction: res.GetNextAction(), FailureReason: res.GetFailureReason(),
		FailureMessage: res.GetFailureMessage(), CommitId: res.GetCommitId(), Payments: res.GetPayments()}, nil
}
