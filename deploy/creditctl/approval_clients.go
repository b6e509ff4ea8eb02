package creditctl

import (
	"context"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"
)

type billApprovals struct{ client billv1.BillAdminServiceClient }

func (billApprovals) name() string { return "bill" }

func (a billApprovals) list(ctx context.Context, state commonv1.ApprovalState, verb, token string, size int32) ([]*commonv1.Approval, string, error) {
	res, err := a.client.ListApprovals(ctx, &billv1.ListApprovalsRequest{State: state, Verb: verb, PageToken: token, PageSize: size})
	return res.GetApprovals(), res.GetNextPageToken(), err
}

func (a billApprovals) get(ctx context.Context, id string) (*commonv1.Approval, error) {
	res, err := a.client.GetApproval(ctx, &billv1.GetApprovalRequest{ApprovalId: id})
	return res.GetApproval(), err
}

func (a billApprovals) approve(ctx context.Context, id, comment string) (*commonv1.Approval, error) {
	res, err := a.client.ApproveRequest(ctx, &billv1.ApproveRequestRequest{RequestId: requestID(), ApprovalId: id, Comment: comment})
	return res.GetApproval(), err
}

func (a billApprovals) reject(ctx context.Context, id, comment string) (*commonv1.Approval, error) {
	res, err := a.client.RejectRequest(ctx, &billv1.RejectRequestRequest{RequestId: requestID(), ApprovalId: id, Comment: comment})
	return res.GetApproval(), err
}

func (a billApprovals) tiers(ctx context.Context) ([]*commonv1.ApprovalRule, []*commonv1.Approval, error) {
	res, err := a.client.ListApprovalTiers(ctx, &billv1.ListApprovalTiersRequest{})
	return res.GetRules(), res.GetChanges(), err
}

func (a billApprovals) setTiers(ctx context.Context, verb, currency string, tiers []*commonv1.ApprovalTier, reason string) (*commonv1.Approval, error) {
	res, err := a.client.SetApprovalTiers(ctx, &billv1.SetApprovalTiersRequest{RequestId: requestID(), Verb: verb, CurrencyCode: currency, Tiers: tiers, Reason: reason})
	return res.GetApproval(), err
}

type paymentApprovals struct {
	client paymentv1.PaymentAdminServiceClient
}

func (paymentApprovals) name() string { return "payment" }

func (a paymentApprovals) list(ctx context.Context, state commonv1.ApprovalState, verb, token string, size int32) ([]*commonv1.Approval, string, error) {
	res, err := a.client.ListApprovals(ctx, &paymentv1.ListApprovalsRequest{State: state, Verb: verb, PageToken: token, PageSize: size})
	return res.GetApprovals(), res.GetNextPageToken(), err
}

func (a paymentApprovals) get(ctx context.Context, id string) (*commonv1.Approval, error) {
	res, err := a.client.GetApproval(ctx, &paymentv1.GetApprovalRequest{ApprovalId: id})
	return res.GetApproval(), err
}

func (a paymentApprovals) approve(ctx context.Context, id, comment string) (*commonv1.Approval, error) {
	res, err := a.client.ApproveRequest(ctx, &paymentv1.ApproveRequestRequest{RequestId: requestID(), ApprovalId: id, Comment: comment})
	return res.GetApproval(), err
}

func (a paymentApprovals) reject(ctx context.Context, id, comment string) (*commonv1.Approval, error) {
	res, err := a.client.RejectRequest(ctx, &paymentv1.RejectRequestRequest{RequestId: requestID(), ApprovalId: id, Comment: comment})
	return res.GetApproval(), err
}

func (a paymentApprovals) tiers(ctx context.Context) ([]*commonv1.ApprovalRule, []*commonv1.Approval, error) {
	res, err := a.client.ListApprovalTiers(ctx, &paymentv1.ListApprovalTiersRequest{})
	return res.GetRules(), res.GetChanges(), err
}

func (a paymentApprovals) setTiers(ctx context.Context, verb, currency string, tiers []*commonv1.ApprovalTier, reason string) (*commonv1.Approval, error) {
	res, err := a.client.SetApprovalTiers(ctx, &paymentv1.SetApprovalTiersRequest{RequestId: requestID(), Verb: verb, CurrencyCode: currency, Tiers: tiers, Reason: reason})
	return res.GetApproval(), err
}

type refundApprovals struct{ client refundv1.RefundServiceClient }

func (refundApprovals) name() string { return "refund" }

func (a refundApprovals) list(ctx context.Context, state commonv1.ApprovalState, verb, token string, size int32) ([]*commonv1.Approval, string, error) {
	res, err := a.client.ListApprovals(ctx, &refundv1.ListApprovalsRequest{State: state, Verb: verb, PageToken: token, PageSize: size})
	return res.GetApprovals(), res.GetNextPageToken(), err
}

func (a refundApprovals) get(ctx context.Context, id string) (*commonv1.Approval, error) {
	res, err := a.client.GetApproval(ctx, &refundv1.GetApprovalRequest{ApprovalId: id})
	return res.GetApproval(), err
}

func (a refundApprovals) approve(ctx context.Context, id, comment string) (*commonv1.Approval, error) {
	res, err := a.client.ApproveRequest(ctx, &refundv1.ApproveRequestRequest{RequestId: requestID(), ApprovalId: id, Comment: comment})
	return res.GetApproval(), err
}

func (a refundApprovals) reject(ctx context.Context, id, comment string) (*commonv1.Approval, error) {
	res, err := a.client.RejectRequest(ctx, &refundv1.RejectRequestRequest{RequestId: requestID(), ApprovalId: id, Comment: comment})
	return res.GetApproval(), err
}

func (a refundApprovals) tiers(ctx context.Context) ([]*commonv1.ApprovalRule, []*commonv1.Approval, error) {
	res, err := a.client.ListApprovalTiers(ctx, &refundv1.ListApprovalTiersRequest{})
	return res.GetRules(), res.GetRuleChanges(), err
}

func (a refundApprovals) setTiers(ctx context.Context, verb, currency string, tiers []*commonv1.ApprovalTier, reason string) (*commonv1.Approval, error) {
	own := make([]*refundv1.ApprovalTier, len(tiers))
	for i, t := range tiers {
		own[i] = &refundv1.ApprovalTier{From: t.GetFrom(), Approvals: t.Approvals}
	}
	res, err := a.client.SetApprovalTiers(ctx, &refundv1.SetApprovalTiersRequest{RequestId: requestID(), Verb: verb, CurrencyCode: currency, Tiers: own, Reason: reason})
	return res.GetApproval(), err
}
