// Package rpc owns the refund service's gRPC door. Until the service is built, every call answers NOT_YET_AVAILABLE.
package rpc

import (
	"context"

	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/errs"
)

// Refund serves creditpay.refund.v1.RefundService.
type Refund struct {
	refundv1.UnsafeRefundServiceServer
}

func later(what string) error {
	return errs.NotYetAvailable.New("%s is not offered yet; before the goods are confirmed, CancelPayments takes an order back", what)
}

// PreviewRefund is later work.
func (*Refund) PreviewRefund(context.Context, *refundv1.PreviewRefundRequest) (*refundv1.PreviewRefundResponse, error) {
	return nil, later("a refund's preview")
}

// RefundPayment is later work.
func (*Refund) RefundPayment(context.Context, *refundv1.RefundPaymentRequest) (*refundv1.RefundPaymentResponse, error) {
	return nil, later("a refund")
}

// AdminRefundPayment is later work.
func (*Refund) AdminRefundPayment(context.Context, *refundv1.AdminRefundPaymentRequest) (*refundv1.AdminRefundPaymentResponse, error) {
	return nil, later("a refund by an operator")
}

// ApproveRefund is later work.
func (*Refund) ApproveRefund(context.Context, *refundv1.ApproveRefundRequest) (*refundv1.ApproveRefundResponse, error) {
	return nil, later("the approval of refunds")
}

// RejectRefund is later work.
func (*Refund) RejectRefund(context.Context, *refundv1.RejectRefundRequest) (*refundv1.RejectRefundResponse, error) {
	return nil, later("the rejection of refunds")
}

// GetRefund is later work.
func (*Refund) GetRefund(context.Context, *refundv1.GetRefundRequest) (*refundv1.GetRefundResponse, error) {
	return nil, later("a refund's record")
}

// ListRefunds is later work.
func (*Refund) ListRefunds(context.Context, *refundv1.ListRefundsRequest) (*refundv1.ListRefundsResponse, error) {
	return nil, later("the list of refunds")
}
