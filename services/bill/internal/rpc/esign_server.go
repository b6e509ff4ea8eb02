package rpc

import (
	"context"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"

	"github.com/creditpay/creditpay/pkg/errs"
)

// EsignServer is EsignService. All of it is later work; QuotePlans asks nobody to sign.
type EsignServer struct {
	billv1.UnsafeEsignServiceServer
}

// PreEsignCheck implements EsignService.
func (s *EsignServer) PreEsignCheck(context.Context, *billv1.PreEsignCheckRequest) (*billv1.PreEsignCheckResponse, error) {
	return nil, noSigning()
}

// QueryEsignUserInfo implements EsignService.
func (s *EsignServer) QueryEsignUserInfo(context.Context, *billv1.QueryEsignUserInfoRequest) (*billv1.QueryEsignUserInfoResponse, error) {
	return nil, noSigning()
}

// SendEsignCheck implements EsignService.
func (s *EsignServer) SendEsignCheck(context.Context, *billv1.SendEsignCheckRequest) (*billv1.SendEsignCheckResponse, error) {
	return nil, noSigning()
}

// CommitAfterEsign implements EsignService.
func (s *EsignServer) CommitAfterEsign(context.Context, *billv1.CommitAfterEsignRequest) (*billv1.CommitAfterEsignResponse, error) {
	return nil, noSigning()
}

// BatchQueryContractByOrderId implements EsignService.
func (s *EsignServer) BatchQueryContractByOrderId(context.Context, *billv1.BatchQueryContractByOrderIdRequest) (*billv1.BatchQueryContractByOrderIdResponse, error) {
	return nil, noSigning()
}

func noSigning() error {
	return errs.NotYetAvailable.New("contracts are not signed electronically yet; purchases need no signature")
}
