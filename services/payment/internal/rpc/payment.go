// Package rpc owns the payment service's gRPC doors: messages to verbs and back, and nothing else.
package rpc

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
	"github.com/creditpay/creditpay/services/payment/internal/wire"
)

// Payment serves creditpay.payment.v1.PaymentService.
type Payment struct {
	paymentv1.UnsafePaymentServiceServer
	App *app.App
}

// waitMS is how long a page waits before it asks again for an outcome.
const waitMS = 1000

// QueryPayChannels gives the ways to pay a checkout.
func (s *Payment) QueryPayChannels(ctx context.Context, req *paymentv1.QueryPayChannelsRequest) (*paymentv1.QueryPayChannelsResponse, error) {
	channels, err := s.App.QueryPayChannels(ctx, caller.FromContext(ctx).UserID, req.GetCheckoutId())
	if err != nil {
		return nil, err
	}
	res := &paymentv1.QueryPayChannelsResponse{}
	for _, c := range channels {
		m := &paymentv1.PayChannel{Code: c.Code, Kind: paymentv1.ChannelKind(c.Kind), Name: "Pay later", Scenes: []string{"H5"}, Enabled: c.Disabled == nil,
			MinAmount: wire.Money(c.Min), MaxAmount: wire.Money(c.Max), Fee: wire.Money(c.Fee)}
		if r, ok := errs.ReasonOf(c.Disabled); ok {
			m.DisabledReason = r.Name()
		}
		res.Channels = append(res.Channels, m)
	}
	return res, nil
}

// ConfirmPayChannel locks a quote.
func (s *Payment) ConfirmPayChannel(ctx context.Context, req *paymentv1.ConfirmPayChannelRequest) (*paymentv1.ConfirmPayChannelResponse, error) {
	who := caller.FromContext(ctx)
	q, err := s.App.ConfirmPayChannel(ctx, who.UserID, who.String(), req.GetRequestId(), app.ChannelChoice{CheckoutID: req.GetCheckoutId(),
		Channel: req.GetChannel(), TenorMonths: req.GetTenorMonths(), ProductCode: req.GetProductCode(), DownPaymentChannel: req.GetDownPaymentChannel()})
	if err != nil {
		return nil, err
	}
	plan := &commonv1.Plan{}
	if err := proto.Unmarshal(q.Plan, plan); err != nil {
		return nil, errs.Internal.Wrap(err, "the plan cannot be read")
	}
	return &paymentv1.ConfirmPayChannelResponse{Quote: &paymentv1.Quote{QuoteId: ids.Format(ids.Quote, q.ID),
		CheckoutId: ids.Format(ids.Checkout, q.CheckoutID), Channel: q.Terms.Channel, Amount: wire.Money(q.Terms.Amount), Plan: plan,
		ExpireTime: timestamppb.New(q.ExpireTime)}}, nil
}

// CheckCommitPayment is a dry run of DoCommitPayment.
func (s *Payment) CheckCommitPayment(ctx context.Context, req *paymentv1.CheckCommitPaymentRequest) (*paymentv1.CheckCommitPaymentResponse, error) {
	ask, err := commitRequest(req.GetCheckoutId(), req.GetQuoteId(), req.GetChoice())
	if err != nil {
		return nil, err
	}
	r, err := s.App.CheckCommitPayment(ctx, caller.FromContext(ctx).UserID, ask)
	if err != nil {
		return nil, err
	}
	res := &paymentv1.CheckCommitPaymentResponse{Ready: r.Ready()}
	for _, a := range r.Actions {
		res.RequiredActions = append(res.RequiredActions, commonv1.RequiredAction(a))
	}
	for _, b := range r.Blocking {
		res.BlockingReasons = append(res.BlockingReasons, &paymentv1.BlockingReason{Reason: wire.Reason(b.Reason().Name()), Message: b.Message()})
	}
	return res, nil
}

func commitRequest(checkout, quote string, choice *paymentv1.PlanChoice) (app.CommitRequest, error) {
	req := app.CommitRequest{CheckoutID: checkout, QuoteID: quote}
	if choice == nil {
		return req, nil
	}
	total, err := wire.Amount(choice.GetAgreedTotal())
	if err != nil {
		return req, err
	}
	req.Choice = &app.PlanChoice{Channel: choice.GetChannel(), ProductCode: choice.GetProductCode(), ProductVersion: choice.GetProductVersion(),
		TenorMonths: choice.GetTenorMonths(), AgreedTotal: total, DownPaymentChannel: choice.GetDownPaymentChannel()}
	return req, nil
}

// DoCommitPayment pays a checkout.
func (s *Payment) DoCommitPayment(ctx context.Context, req *paymentv1.DoCommitPaymentRequest) (*paymentv1.DoCommitPaymentResponse, error) {
	ask, err := commitRequest(req.GetCheckoutId(), req.GetQuoteId(), req.GetChoice())
	if err != nil {
		return nil, err
	}
	ask.Proof = req.GetCheckoutProof()
	who := caller.FromContext(ctx)
	a, err := s.App.DoCommitPayment(ctx, who.UserID, who.String(), req.GetRequestId(), req.GetPin(), ask)
	if err != nil {
		return nil, err
	}
	res := &paymentv1.DoCommitPaymentResponse{State: paymentv1.PaymentState(a.State), CommitId: ids.Format(ids.Commit, a.CommitID),
		Payments: wire.Payments(a.Payments)}
	switch a.State {
	case domain.PaymentProcessing:
		if res.NextAction = payersAction(a.RedirectURL); res.NextAction == nil {
			res.NextAction = &paymentv1.NextAction{Action: &paymentv1.NextAction_Wait{Wait: &paymentv1.WaitAction{RetryAfterMs: waitMS}}}
		}
	case domain.PaymentFailed:
		res.FailureReason, res.FailureMessage = wire.Reason(a.FailureReason), a.FailureMessage
	default: // SUCCEEDED says everything by its payments.
	}
	return res, nil
}

// payersAction is what the payer has to do for a payment under way; nil when nothing is asked.
func payersAction(redirectURL string) *paymentv1.NextAction {
	if redirectURL == "" {
		return nil
	}
	return &paymentv1.NextAction{Action: &paymentv1.NextAction_Redirect{Redirect: &paymentv1.RedirectAction{Url: redirectURL}}}
}

// QueryPaymentStatus tells how far a payment is.
func (s *Payment) QueryPaymentStatus(ctx context.Context, req *paymentv1.QueryPaymentStatusRequest) (*paymentv1.QueryPaymentStatusResponse, error) {
	user := caller.FromContext(ctx).UserID
	var st app.Status
	var err error
	if req.GetPaymentId() != "" {
		st, err = s.App.QueryPayment(ctx, user, req.GetPaymentId())
	} else {
		st, err = s.App.QueryPaymentStatus(ctx, user, req.GetCheckoutId())
	}
	if err != nil {
		return nil, err
	}
	res := &paymentv1.QueryPaymentStatusResponse{State: paymentv1.PaymentState(st.State), Payments: wire.Payments(st.Payments),
		NextAction: payersAction(st.RedirectURL)}
	if st.Failure != nil {
		res.FailureReason = wire.Reason(st.Failure.Reason().Name())
	}
	return res, nil
}

// SendPinCode sends a one-time code to the caller's telephone.
func (s *Payment) SendPinCode(ctx context.Context, req *paymentv1.SendPinCodeRequest) (*paymentv1.SendPinCodeResponse, error) {
	sent, err := s.App.SendPinCode(ctx, caller.FromContext(ctx).UserID, req.GetRequestId())
	if err != nil {
		return nil, err
	}
	res := &paymentv1.SendPinCodeResponse{ChallengeId: sent.ChallengeID, MaskedTarget: sent.MaskedTarget, ExpireTime: timestamppb.New(sent.ExpireTime)}
	if !sent.ResendTime.IsZero() {
		res.ResendTime = timestamppb.New(sent.ResendTime)
	}
	return res, nil
}

// SetPaymentPin sets or changes the caller's PIN.
func (s *Payment) SetPaymentPin(ctx context.Context, req *paymentv1.SetPaymentPinRequest) (*paymentv1.SetPaymentPinResponse, error) {
	who := caller.FromContext(ctx)
	set := app.SetPin{UserID: who.UserID, Caller: who.String(), RequestID: req.GetRequestId(), NewPin: req.GetNewPin(), OldPin: req.GetOldPin(),
		ChallengeID: req.GetChallengeId(), Code: req.GetCode()}
	// What a token says goes by the machine's clock, like its lifetime.
	set.FactorShown = who.FactorTime > 0 && time.Since(time.Unix(who.FactorTime, 0)) < domain.PinFactorLife
	if err := s.App.SetPaymentPin(ctx, set); err != nil {
		return nil, err
	}
	return &paymentv1.SetPaymentPinResponse{}, nil
}
