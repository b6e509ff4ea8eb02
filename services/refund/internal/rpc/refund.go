// Package rpc owns the refund service's gRPC door: messages on one side, verbs on the other, and nothing else.
//
// Access rules, validation of fields and the mapping of errors are done by the interceptors of package rpckit.
package rpc

import (
	"context"
	"fmt"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/approval/approvalrpc"
	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/enum"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/refund/internal/app"
	"github.com/creditpay/creditpay/services/refund/internal/domain"
	"github.com/creditpay/creditpay/services/refund/internal/wire"
)

// Refund serves creditpay.refund.v1.RefundService.
type Refund struct {
	// A missing method fails the build.
	refundv1.UnsafeRefundServiceServer
	App *app.App
	// Desk is the approvals of what is no refund.
	Desk *desk.Desk
}

const (
	pageDefault = 20
	pageMax     = 100
)

func parseID(field string, prefix ids.Prefix, text string) (ids.ID, error) {
	id, err := ids.Parse(prefix, text)
	if err != nil {
		return id, errs.InvalidArgument.Wrap(err, "%s: give an id of the form %s_…", field, prefix)
	}
	return id, nil
}

// PreviewRefund tells what a refund would do.
func (s *Refund) PreviewRefund(ctx context.Context, req *refundv1.PreviewRefundRequest) (*refundv1.PreviewRefundResponse, error) {
	order, err := parseID("order_id", ids.Order, req.GetOrderId())
	if err != nil {
		return nil, err
	}
	amount, err := wire.Amount(req.GetAmount())
	if err != nil {
		return nil, err
	}
	p, err := s.App.PreviewRefund(ctx, caller.FromContext(ctx), order, amount)
	if err != nil {
		return nil, err
	}
	for i := range p.Legs {
		p.Legs[i].State = 0 // Nothing was asked for.
	}
	return &refundv1.PreviewRefundResponse{Effect: wire.Effect(p.Amount, p.Share, p.Effect, p.Legs)}, nil
}

// RefundPayment asks for a refund of the marketplace.
func (s *Refund) RefundPayment(ctx context.Context, req *refundv1.RefundPaymentRequest) (*refundv1.RefundPaymentResponse, error) {
	in := app.Request{Requester: caller.FromContext(ctx).String(), RequestID: req.GetRequestId(), OutRefundNo: req.GetOutRefundNo(),
		ReasonCode: int32(req.GetReasonCode()), Reason: req.GetReason()}
	if in.ReasonCode == 0 {
		in.ReasonCode = int32(refundv1.RefundReasonCode_REFUND_REASON_CODE_OTHER)
	}
	r, err := s.request(ctx, in, req.GetOrderId(), req.GetAmount())
	if err != nil {
		return nil, err
	}
	return &refundv1.RefundPaymentResponse{Refund: r}, nil
}

// AdminRefundPayment asks for a refund of an operator.
func (s *Refund) AdminRefundPayment(ctx context.Context, req *refundv1.AdminRefundPaymentRequest) (*refundv1.AdminRefundPaymentResponse, error) {
	in := app.Request{Requester: caller.FromContext(ctx).String(), RequestID: req.GetRequestId(), ReasonCode: int32(req.GetReasonCode()), Reason: req.GetReason()}
	r, err := s.request(ctx, in, req.GetOrderId(), req.GetAmount())
	if err != nil {
		return nil, err
	}
	return &refundv1.AdminRefundPaymentResponse{Refund: r}, nil
}

func (s *Refund) request(ctx context.Context, in app.Request, orderID string, amount *commonv1.Money) (*refundv1.Refund, error) {
	in.Caller = caller.FromContext(ctx)
	var err error
	if in.OrderID, err = parseID("order_id", ids.Order, orderID); err != nil {
		return nil, err
	}
	if in.Amount, err = wire.Amount(amount); err != nil {
		return nil, err
	}
	r, err := s.App.RefundPayment(ctx, in)
	if err != nil {
		return nil, err
	}
	return wire.Refund(r), nil
}

// ApproveRefund approves refunds.
func (s *Refund) ApproveRefund(ctx context.Context, req *refundv1.ApproveRefundRequest) (*refundv1.ApproveRefundResponse, error) {
	results, err := s.decide(ctx, req.GetRequestId(), req.GetRefundIds(), req.GetComment(), s.App.ApproveRefund)
	return &refundv1.ApproveRefundResponse{Results: results}, err
}

// RejectRefund rejects refunds.
func (s *Refund) RejectRefund(ctx context.Context, req *refundv1.RejectRefundRequest) (*refundv1.RejectRefundResponse, error) {
	results, err := s.decide(ctx, req.GetRequestId(), req.GetRefundIds(), req.GetComment(), s.App.RejectRefund)
	return &refundv1.RejectRefundResponse{Results: results}, err
}

func (s *Refund) decide(ctx context.Context, requestID string, refundIDs []string, comment string, verb func(context.Context, app.Decision) ([]app.Decided, error)) ([]*refundv1.RefundResult, error) {
	who := caller.FromContext(ctx)
	d := app.Decision{Approver: who.String(), RequestID: requestID, Comment: comment, RefundIDs: make([]ids.ID, len(refundIDs)),
		OnlyOwn: !who.Roles.Meets(caller.RolesOf(caller.RefundApprove))}
	for i, text := range refundIDs {
		var err error
		if d.RefundIDs[i], err = parseID(fmt.Sprintf("refund_ids[%d]", i), ids.Refund, text); err != nil {
			return nil, err
		}
	}
	decided, err := verb(ctx, d)
	if err != nil {
		return nil, err
	}
	out := make([]*refundv1.RefundResult, len(decided))
	for i, one := range decided {
		out[i] = &refundv1.RefundResult{RefundId: ids.Format(ids.Refund, one.RefundID), State: refundv1.RefundState(one.State), Reason: one.Reason}
	}
	return out, nil
}

// GetRefund gives a refund with its timeline.
func (s *Refund) GetRefund(ctx context.Context, req *refundv1.GetRefundRequest) (*refundv1.GetRefundResponse, error) {
	id, err := parseID("refund_id", ids.Refund, req.GetRefundId())
	if err != nil {
		return nil, err
	}
	r, changes, err := s.App.GetRefund(ctx, caller.FromContext(ctx), id)
	if err != nil {
		return nil, err
	}
	return &refundv1.GetRefundResponse{Refund: withTimeline(r, changes)}, nil
}

// withTimeline writes a refund with what happened to it.
func withTimeline(r domain.Refund, changes []app.Change) *refundv1.Refund {
	out := wire.Refund(r)
	for _, c := range changes {
		out.Timeline = append(out.Timeline, &commonv1.TimelineEntry{
			Time: wire.Time(c.Time), Service: "refund", ObjectId: out.GetRefundId(), FromState: c.From.String(), ToState: stateAndStep(c), Actor: c.Actor, Cause: c.Cause,
		})
	}
	return out
}

// stateAndStep names a state, with the step of one that is carried out.
func stateAndStep(c app.Change) string {
	if c.Step == domain.StepNone {
		return c.To.String()
	}
	return c.To.String() + "/" + c.Step.String()
}

// ListRefunds lists refunds, newest first.
func (s *Refund) ListRefunds(ctx context.Context, req *refundv1.ListRefundsRequest) (*refundv1.ListRefundsResponse, error) {
	who := caller.FromContext(ctx)
	f := app.Filter{MerchantID: who.MerchantID, State: enum.Of[domain.State](req.GetState()), Limit: int(req.GetPageSize())}
	if f.Limit == 0 {
		f.Limit = pageDefault
	}
	f.Limit = min(f.Limit, pageMax)
	if who.Kind != caller.Admin {
		f.Owner = &who.Owner
	}
	var err error
	if req.GetOrderId() != "" {
		if f.OrderID, err = parseID("order_id", ids.Order, req.GetOrderId()); err != nil {
			return nil, err
		}
	}
	if req.GetPageToken() != "" {
		if f.Before, err = ids.Parse(ids.Refund, req.GetPageToken()); err != nil {
			return nil, errs.PageTokenInvalid.Wrap(err, "start from the first page")
		}
	}
	f.Limit++ // One more tells whether there is another page.
	list, err := s.App.ListRefunds(ctx, f)
	if err != nil {
		return nil, err
	}
	res := &refundv1.ListRefundsResponse{}
	if len(list) == f.Limit {
		list = list[:f.Limit-1]
		res.NextPageToken = ids.Format(ids.Refund, list[len(list)-1].ID)
	}
	for _, r := range list {
		res.Refunds = append(res.Refunds, wire.Refund(r))
	}
	return res, nil
}

// RetryRefundLeg asks for a leg once more.
func (s *Refund) RetryRefundLeg(ctx context.Context, req *refundv1.RetryRefundLegRequest) (*refundv1.RetryRefundLegResponse, error) {
	id, err := parseID("refund_id", ids.Refund, req.GetRefundId())
	if err != nil {
		return nil, err
	}
	r, err := s.App.RetryRefundLeg(ctx, caller.FromContext(ctx).String(), id, req.GetReference())
	if err != nil {
		return nil, err
	}
	return &refundv1.RetryRefundLegResponse{Refund: wire.Refund(r)}, nil
}

// ResolveRefundLeg ends a leg.
func (s *Refund) ResolveRefundLeg(ctx context.Context, req *refundv1.ResolveRefundLegRequest) (*refundv1.ResolveRefundLegResponse, error) {
	id, err := parseID("refund_id", ids.Refund, req.GetRefundId())
	if err != nil {
		return nil, err
	}
	in := app.ResolveLeg{RefundID: id, Reference: req.GetReference(), GivenBack: req.GetGivenBack(), Evidence: req.GetEvidence()}
	r, asked, err := s.App.ResolveRefundLeg(ctx, caller.FromContext(ctx).String(), in)
	if err != nil {
		return nil, err
	}
	return &refundv1.ResolveRefundLegResponse{Refund: wire.Refund(r), Approval: approvalrpc.Waiting(asked)}, nil
}
