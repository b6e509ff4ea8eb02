package rpc

import (
	"context"

	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/approval/approvalrpc"
)

// ListApprovals lists requests, newest first.
func (s *Admin) ListApprovals(ctx context.Context, req *paymentv1.ListApprovalsRequest) (*paymentv1.ListApprovalsResponse, error) {
	page, next, err := approvalrpc.List(ctx, s.Desk, req)
	if err != nil {
		return nil, err
	}
	return &paymentv1.ListApprovalsResponse{Approvals: page, NextPageToken: next}, nil
}

// GetApproval returns a request.
func (s *Admin) GetApproval(ctx context.Context, req *paymentv1.GetApprovalRequest) (*paymentv1.GetApprovalResponse, error) {
	m, err := approvalrpc.Get(ctx, s.Desk, req.GetApprovalId())
	if err != nil {
		return nil, err
	}
	return &paymentv1.GetApprovalResponse{Approval: m}, nil
}

// ApproveRequest adds the caller's approval.
func (s *Admin) ApproveRequest(ctx context.Context, req *paymentv1.ApproveRequestRequest) (*paymentv1.ApproveRequestResponse, error) {
	m, err := approvalrpc.Approve(ctx, s.Desk, req)
	if err != nil {
		return nil, err
	}
	return &paymentv1.ApproveRequestResponse{Approval: m}, nil
}

// RejectRequest ends a request without an effect.
func (s *Admin) RejectRequest(ctx context.Context, req *paymentv1.RejectRequestRequest) (*paymentv1.RejectRequestResponse, error) {
	m, err := approvalrpc.Reject(ctx, s.Desk, req)
	if err != nil {
		return nil, err
	}
	return &paymentv1.RejectRequestResponse{Approval: m}, nil
}

// ListApprovalTiers returns the tiers and the changes of them that were asked for.
func (s *Admin) ListApprovalTiers(ctx context.Context, _ *paymentv1.ListApprovalTiersRequest) (*paymentv1.ListApprovalTiersResponse, error) {
	rules, changes, err := approvalrpc.Tiers(ctx, s.Desk)
	if err != nil {
		return nil, err
	}
	return &paymentv1.ListApprovalTiersResponse{Rules: rules, Changes: changes}, nil
}

// SetApprovalTiers asks for other tiers.
func (s *Admin) SetApprovalTiers(ctx context.Context, req *paymentv1.SetApprovalTiersRequest) (*paymentv1.SetApprovalTiersResponse, error) {
	m, err := approvalrpc.SetTiers(ctx, s.Desk, req, req.GetTiers())
	if err != nil {
		return nil, err
	}
	return &paymentv1.SetApprovalTiersResponse{Approval: m}, nil
}
