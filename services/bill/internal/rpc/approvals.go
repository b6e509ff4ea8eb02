package rpc

import (
	"context"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"

	"github.com/creditpay/creditpay/pkg/approval/approvalrpc"
)

// ListApprovals lists requests, newest first.
func (s *AdminServer) ListApprovals(ctx context.Context, req *billv1.ListApprovalsRequest) (*billv1.ListApprovalsResponse, error) {
	page, next, err := approvalrpc.List(ctx, s.Desk, req)
	if err != nil {
		return nil, err
	}
	return &billv1.ListApprovalsResponse{Approvals: page, NextPageToken: next}, nil
}

// GetApproval returns a request.
func (s *AdminServer) GetApproval(ctx context.Context, req *billv1.GetApprovalRequest) (*billv1.GetApprovalResponse, error) {
	m, err := approvalrpc.Get(ctx, s.Desk, req.GetApprovalId())
	if err != nil {
		return nil, err
	}
	return &billv1.GetApprovalResponse{Approval: m}, nil
}

// ApproveRequest adds the caller's approval.
func (s *AdminServer) ApproveRequest(ctx context.Context, req *billv1.ApproveRequestRequest) (*billv1.ApproveRequestResponse, error) {
	m, err := approvalrpc.Approve(ctx, s.Desk, req)
	if err != nil {
		return nil, err
	}
	return &billv1.ApproveRequestResponse{Approval: m}, nil
}

// RejectRequest ends a request without an effect.
func (s *AdminServer) RejectRequest(ctx context.Context, req *billv1.RejectRequestRequest) (*billv1.RejectRequestResponse, error) {
	m, err := approvalrpc.Reject(ctx, s.Desk, req)
	if err != nil {
		return nil, err
	}
	return &billv1.RejectRequestResponse{Approval: m}, nil
}

// ListApprovalTiers returns the tiers and the changes of them that were asked for.
func (s *AdminServer) ListApprovalTiers(ctx context.Context, _ *billv1.ListApprovalTiersRequest) (*billv1.ListApprovalTiersResponse, error) {
	rules, changes, err := approvalrpc.Tiers(ctx, s.Desk)
	if err != nil {
		return nil, err
	}
	return &billv1.ListApprovalTiersResponse{Rules: rules, Changes: changes}, nil
}

// SetApprovalTiers asks for other tiers.
func (s *AdminServer) SetApprovalTiers(ctx context.Context, req *billv1.SetApprovalTiersRequest) (*billv1.SetApprovalTiersResponse, error) {
	m, err := approvalrpc.SetTiers(ctx, s.Desk, req, req.GetTiers())
	if err != nil {
		return nil, err
	}
	return &billv1.SetApprovalTiersResponse{Approval: m}, nil
}
