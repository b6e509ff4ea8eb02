package rpc

import (
	"context"

	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
)

func noReturns() error { return errs.NotYetAvailable.New("payments cannot be refunded yet") }

// RefundOrderPayment implements PaymentInternalService.
func (s *Internal) RefundOrderPayment(context.Context, *paymentv1.RefundOrderPaymentRequest) (*paymentv1.RefundOrderPaymentResponse, error) {
	return nil, noReturns()
}

// ReturnRepayment implements PaymentInternalService.
func (s *Internal) ReturnRepayment(context.Context, *paymentv1.ReturnRepaymentRequest) (*paymentv1.ReturnRepaymentResponse, error) {
	return nil, noReturns()
}

// GetCashReturns implements PaymentInternalService.
func (s *Internal) GetCashReturns(context.Context, *paymentv1.GetCashReturnsRequest) (*paymentv1.GetCashReturnsResponse, error) {
	return nil, noReturns()
}

// RetryCashReturn implements PaymentInternalService.
func (s *Internal) RetryCashReturn(context.Context, *paymentv1.RetryCashReturnRequest) (*paymentv1.RetryCashReturnResponse, error) {
	return nil, noReturns()
}

// ResolveCashReturn implements PaymentInternalService.
func (s *Internal) ResolveCashReturn(context.Context, *paymentv1.ResolveCashReturnRequest) (*paymentv1.ResolveCashReturnResponse, error) {
	return nil, noReturns()
}
