package rpc

import (
	"context"

	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/approval/approvalrpc"
)

// ListApprovals lists requests, newest first.
func (s *Refund) ListApprovals(ctx context.Context, req *refundv1.ListApprovalsRequest) (*refundv1.ListApprovalsResponse, error) {
	page, next, err := approvalrpc.List(ctx, s.Desk, req)
	if err != nil {
		return nil, err
	}
	return &refundv1.ListApprovalsResponse{Approvals: page, NextPageToken: next}, nil
}

// GetApproval returns a request.
func (s *Refund) GetApproval(ctx context.Context, req *refundv1.GetApprovalRequest) (*refundv1.GetApprovalResponse, error) {
	m, err := approvalrpc.Get(ctx, s.Desk, req.GetApprovalId())
	if err != nil {
		return nil, err
	}
	return &refundv1.GetApprovalResponse{Approval: m}, nil
}

// ApproveRequest adds the caller's approval.
func (s *Refund) ApproveRequest(ctx context.Context, req *refundv1.ApproveRequestRequest) (*refundv1.ApproveRequestResponse, error) {
	m, err := approvalrpc.Approve(ctx, s.Desk, req)
	if err != nil {
		return nil, err
	}
	return &refundv1.ApproveRequestResponse{Approval: m}, nil
}

// RejectRequest ends a request without an effect.
func (s *Refund) RejectRequest(ctx context.Context, req *refundv1.RejectRequestRequest) (*refundv1.RejectRequestResponse, error) {
	m, err := approvalrpc.Reject(ctx, s.Desk, req)
	if err != nil {
		return nil, err
	}
	return &refundv1.RejectRequestResponse{Approval: m}, nil
}
