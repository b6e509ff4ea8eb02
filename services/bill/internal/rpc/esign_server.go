package rpc

import (
	"context"
	"encoding/hex"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/approval/approvalrpc"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/enum"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/secret"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// EsignServer is EsignService.
type EsignServer struct {
	billv1.UnsafeEsignServiceServer
	App *app.App
}

// PreEsignCheck implements EsignService.
func (s *EsignServer) PreEsignCheck(ctx context.Context, req *billv1.PreEsignCheckRequest) (*billv1.PreEsignCheckResponse, error) {
	checkout, err := parseID("checkout_id", ids.Checkout, req.GetCheckoutId())
	if err != nil {
		return nil, err
	}
	status, err := s.App.PreEsignCheck(ctx, caller.FromContext(ctx).UserID, checkout)
	if err != nil {
		return nil, err
	}
	return &billv1.PreEsignCheckResponse{Signed: status.Signed, ContractVersion: status.ContractVersion, Missing: status.Missing}, nil
}

// QueryEsignUserInfo implements EsignService.
func (s *EsignServer) QueryEsignUserInfo(ctx context.Context, _ *billv1.QueryEsignUserInfoRequest) (*billv1.QueryEsignUserInfoResponse, error) {
	info, err := s.App.QueryEsignUserInfo(ctx, caller.FromContext(ctx).UserID)
	if err != nil {
		return nil, err
	}
	return &billv1.QueryEsignUserInfoResponse{MaskedName: info.Name, MaskedTarget: info.Target, CertificateActive: info.Certificate == domain.CertificateActive}, nil
}

// signRequest names a payer's call about a checkout.
func signRequest(ctx context.Context, requestID, checkoutID string) (app.SignRequest, error) {
	who := caller.FromContext(ctx)
	checkout, err := parseID("checkout_id", ids.Checkout, checkoutID)
	return app.SignRequest{UserID: who.UserID, Caller: who.String(), RequestID: requestID, CheckoutID: checkout}, err
}

// SendEsignCheck implements EsignService.
func (s *EsignServer) SendEsignCheck(ctx context.Context, req *billv1.SendEsignCheckRequest) (*billv1.SendEsignCheckResponse, error) {
	r, err := signRequest(ctx, req.GetRequestId(), req.GetCheckoutId())
	if err != nil {
		return nil, err
	}
	sent, err := s.App.SendEsignCheck(ctx, r)
	if err != nil {
		return nil, err
	}
	return &billv1.SendEsignCheckResponse{ChallengeId: ids.Format(ids.Challenge, sent.ChallengeID), MaskedTarget: sent.MaskedTarget,
		ExpireTime: timeOf(sent.ExpireTime), ResendTime: timeOf(sent.ResendTime)}, nil
}

// CommitAfterEsign implements EsignService.
func (s *EsignServer) CommitAfterEsign(ctx context.Context, req *billv1.CommitAfterEsignRequest) (*billv1.CommitAfterEsignResponse, error) {
	cmd := app.SignCommand{Code: secret.Masked(req.GetCode()), Pin: secret.Masked(req.GetPin())}
	var err error
	if cmd.SignRequest, err = signRequest(ctx, req.GetRequestId(), req.GetCheckoutId()); err != nil {
		return nil, err
	}
	if cmd.ChallengeID, err = parseID("challenge_id", ids.Challenge, req.GetChallengeId()); err != nil {
		return nil, err
	}
	if cmd.QuoteID, err = parseID("quote_id", ids.Quote, req.GetQuoteId()); err != nil {
		return nil, err
	}
	out, err := s.App.CommitAfterEsign(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return &billv1.CommitAfterEsignResponse{
		ContractId: out.ContractNumber, CommitState: out.Commit.State, CommitId: out.Commit.CommitID,
		FailureReason:  commonv1.ErrorReason(commonv1.ErrorReason_value["ERROR_REASON_"+out.Commit.FailureReason]),
		FailureMessage: out.Commit.FailureMessage, RedirectUrl: out.Commit.RedirectURL,
	}, nil
}

// BatchQueryContractByOrderId implements EsignService. A payer sees the contracts of the own orders only, a marketplace
// those of its users.
func (s *EsignServer) BatchQueryContractByOrderId(ctx context.Context, req *billv1.BatchQueryContractByOrderIdRequest) (*billv1.BatchQueryContractByOrderIdResponse, error) {
	orders, err := parseIDs("order_ids", ids.Order, req.GetOrderIds())
	if err != nil {
		return nil, err
	}
	who := caller.FromContext(ctx)
	if who.Kind == caller.H5 && who.UserID == "" {
		return nil, errs.CallerNotAllowed.New("the token names no user")
	}
	list, err := s.App.ContractsOfOrders(ctx, who, orders)
	if err != nil {
		return nil, err
	}
	resp := &billv1.BatchQueryContractByOrderIdResponse{}
	for _, c := range list {
		resp.Contracts = append(resp.Contracts, &billv1.Contract{
			ContractId: c.Number, OrderId: ids.Format(ids.Order, c.OrderID), ContractVersion: c.ContractVersion,
			Sha256Hex: hex.EncodeToString(c.PDFSHA256[:]), SignTime: timeOf(c.SignTime), DownloadUrl: c.URL,
		})
	}
	return resp, nil
}

// BatchGetContracts implements BillInternalService.
func (s *InternalServer) BatchGetContracts(ctx context.Context, req *billv1.BatchGetContractsRequest) (*billv1.BatchGetContractsResponse, error) {
	orders, err := parseIDs("order_ids", ids.Order, req.GetOrderIds())
	if err != nil {
		return nil, err
	}
	list, err := s.App.BatchGetContracts(ctx, orders)
	if err != nil {
		return nil, err
	}
	resp := &billv1.BatchGetContractsResponse{}
	for _, c := range list {
		resp.Contracts = append(resp.Contracts, &billv1.OrderContract{OrderId: ids.Format(ids.Order, c.OrderID), ContractId: c.Number})
	}
	return resp, nil
}

// GetContractFile implements BillInternalService.
func (s *InternalServer) GetContractFile(ctx context.Context, req *billv1.GetContractFileRequest) (*billv1.GetContractFileResponse, error) {
	pdf, err := s.App.ContractFile(ctx, req.GetContractId(), req.GetExpires(), req.GetSignature())
	if err != nil {
		return nil, err
	}
	return &billv1.GetContractFileResponse{Pdf: pdf}, nil
}

// SetSigningProfile implements BillAdminService.
func (s *AdminServer) SetSigningProfile(ctx context.Context, req *billv1.SetSigningProfileRequest) (*billv1.SetSigningProfileResponse, error) {
	r := accountRequest(ctx, req)
	r.Signer = app.Signer{Name: secret.Masked(req.GetFullName()), Phone: secret.Masked(req.GetPhone())}
	masked, asked, err := s.App.SetSigningProfile(ctx, r)
	if err != nil {
		return nil, err
	}
	return &billv1.SetSigningProfileResponse{MaskedName: masked.Name, MaskedTarget: masked.Target, Approval: approvalrpc.Waiting(asked)}, nil
}

// codePurpose reads what a code is for; the contract allows no other values.
func codePurpose(p billv1.CodePurpose) domain.CodePurpose { return enum.Of[domain.CodePurpose](p) }

// SendUserCode implements BillInternalService.
func (s *InternalServer) SendUserCode(ctx context.Context, req *billv1.SendUserCodeRequest) (*billv1.SendUserCodeResponse, error) {
	sent, err := s.App.SendUserCode(ctx, app.UserCode{UserID: req.GetUserId(), RequestID: req.GetRequestId(), Purpose: codePurpose(req.GetPurpose())})
	if err != nil {
		return nil, err
	}
	return &billv1.SendUserCodeResponse{ChallengeId: ids.Format(ids.Challenge, sent.ChallengeID), MaskedTarget: sent.MaskedTarget,
		ExpireTime: timeOf(sent.ExpireTime), ResendTime: timeOf(sent.ResendTime)}, nil
}

// CheckUserCode implements BillInternalService.
func (s *InternalServer) CheckUserCode(ctx context.Context, req *billv1.CheckUserCodeRequest) (*billv1.CheckUserCodeResponse, error) {
	challenge, err := parseID("challenge_id", ids.Challenge, req.GetChallengeId())
	if err != nil {
		return nil, err
	}
	err = s.App.CheckUserCode(ctx, app.CodeAnswer{UserID: req.GetUserId(), Purpose: codePurpose(req.GetPurpose()), ChallengeID: challenge,
		Code: secret.Masked(req.GetCode()), UseID: req.GetUseId()})
	if err != nil {
		return nil, err
	}
	return &billv1.CheckUserCodeResponse{}, nil
}
