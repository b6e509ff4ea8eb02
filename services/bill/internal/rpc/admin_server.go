package rpc

import (
	"context"
	"encoding/base64"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"

	"github.com/creditpay/creditpay/pkg/approval/approvalrpc"
	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/secret"

	"github.com/creditpay/creditpay/services/bill/internal/app"
)

// AdminServer is BillAdminService.
type AdminServer struct {
	billv1.UnsafeBillAdminServiceServer
	App *app.App
	// Desk is the approvals.
	Desk *desk.Desk
	// Home is the name of the home marketplace, whose users are named without it.
	Home string
}

// accountCommand is what every change of an account is asked with.
type accountCommand interface {
	GetRequestId() string
	GetUserId() string
	GetReason() string
}

func accountRequest(ctx context.Context, c accountCommand) app.AccountRequest {
	r := app.AccountRequest{
		RequestID: c.GetRequestId(), Actor: caller.FromContext(ctx).String(), UserID: c.GetUserId(), Reason: c.GetReason(),
	}
	if seen, ok := c.(interface{ GetVersion() int64 }); ok {
		r.Version = seen.GetVersion()
	}
	return r
}

// OpenCreditAccount implements BillAdminService.
func (s *AdminServer) OpenCreditAccount(ctx context.Context, req *billv1.OpenCreditAccountRequest) (*billv1.OpenCreditAccountResponse, error) {
	limit, err := parseAmount("limit", req.GetLimit())
	if err != nil {
		return nil, err
	}
	// Nobody can sign in as such a user: the account would be of no use.
	if owner, user := caller.SplitUserID(req.GetUserId()); owner == s.Home {
		return nil, invalid("user_id", nil, "users of the home marketplace are named without it; write %s", user)
	}
	r := accountRequest(ctx, req)
	r.Signer = app.Signer{Name: secret.Masked(req.GetFullName()), Phone: secret.Masked(req.GetPhone())}
	account, err := s.App.OpenCreditAccount(ctx, r, limit)
	if err != nil {
		return nil, err
	}
	return &billv1.OpenCreditAccountResponse{Account: accountOf(account)}, nil
}

// GetCreditAccount implements BillAdminService.
func (s *AdminServer) GetCreditAccount(ctx context.Context, req *billv1.GetCreditAccountRequest) (*billv1.GetCreditAccountResponse, error) {
	account, err := s.App.GetCreditAccount(ctx, req.GetUserId())
	if err != nil {
		return nil, err
	}
	return &billv1.GetCreditAccountResponse{Account: accountOf(account)}, nil
}

// SetCreditLimit implements BillAdminService.
func (s *AdminServer) SetCreditLimit(ctx context.Context, req *billv1.SetCreditLimitRequest) (*billv1.SetCreditLimitResponse, error) {
	limit, err := parseAmount("limit", req.GetLimit())
	if err != nil {
		return nil, err
	}
	account, err := s.App.SetCreditLimit(ctx, accountRequest(ctx, req), limit)
	if err != nil {
		return nil, err
	}
	return &billv1.SetCreditLimitResponse{Account: accountOf(account)}, nil
}

// FreezeCreditAccount implements BillAdminService.
func (s *AdminServer) FreezeCreditAccount(ctx context.Context, req *billv1.FreezeCreditAccountRequest) (*billv1.FreezeCreditAccountResponse, error) {
	account, err := s.App.FreezeCreditAccount(ctx, accountRequest(ctx, req))
	if err != nil {
		return nil, err
	}
	return &billv1.FreezeCreditAccountResponse{Account: accountOf(account)}, nil
}

// UnfreezeCreditAccount implements BillAdminService.
func (s *AdminServer) UnfreezeCreditAccount(ctx context.Context, req *billv1.UnfreezeCreditAccountRequest) (*billv1.UnfreezeCreditAccountResponse, error) {
	account, err := s.App.UnfreezeCreditAccount(ctx, accountRequest(ctx, req))
	if err != nil {
		return nil, err
	}
	return &billv1.UnfreezeCreditAccountResponse{Account: accountOf(account)}, nil
}

// pageSizeDefault is the size of a page when none is asked for.
const pageSizeDefault = 50

// ListProducts implements BillAdminService. A page token is the last code of the page before, in base 64.
func (s *AdminServer) ListProducts(ctx context.Context, req *billv1.ListProductsRequest) (*billv1.ListProductsResponse, error) {
	after, err := base64.RawURLEncoding.DecodeString(req.GetPageToken())
	if err != nil {
		return nil, errs.PageTokenInvalid.Wrap(err, "start from the first page")
	}
	size := int(req.GetPageSize())
	if size <= 0 {
		size = pageSizeDefault
	}
	page, more, err := s.App.ListProducts(ctx, string(after), size)
	if err != nil {
		return nil, err
	}
	resp := &billv1.ListProductsResponse{}
	for _, p := range page {
		resp.Products = append(resp.Products, productOf(p))
	}
	if more {
		resp.NextPageToken = base64.RawURLEncoding.EncodeToString([]byte(page[len(page)-1].Code))
	}
	return resp, nil
}

// CreateProductVersion implements BillAdminService.
func (s *AdminServer) CreateProductVersion(ctx context.Context, req *billv1.CreateProductVersionRequest) (*billv1.CreateProductVersionResponse, error) {
	p, err := parseProduct(req.GetProduct())
	if err != nil {
		return nil, err
	}
	added, err := s.App.CreateProductVersion(ctx, caller.FromContext(ctx).String(), req.GetRequestId(), p)
	if err != nil {
		return nil, err
	}
	return &billv1.CreateProductVersionResponse{Product: productOf(added)}, nil
}

func operation(ctx context.Context, requestID, reason string) app.Operation {
	return app.Operation{Actor: caller.FromContext(ctx).String(), RequestID: requestID, Reason: reason}
}

// WriteOffLoan implements BillAdminService.
func (s *AdminServer) WriteOffLoan(ctx context.Context, req *billv1.WriteOffLoanRequest) (*billv1.WriteOffLoanResponse, error) {
	id, err := parseID("loan_id", ids.Loan, req.GetLoanId())
	if err != nil {
		return nil, err
	}
	l, asked, err := s.App.WriteOffLoan(ctx, id, operation(ctx, req.GetRequestId(), req.GetReason()))
	if err != nil {
		return nil, err
	}
	return &billv1.WriteOffLoanResponse{Loan: loanOf(l), Approval: approvalrpc.Waiting(asked)}, nil
}

// WaiveFee implements BillAdminService.
func (s *AdminServer) WaiveFee(ctx context.Context, req *billv1.WaiveFeeRequest) (*billv1.WaiveFeeResponse, error) {
	id, err := parseID("loan_id", ids.Loan, req.GetLoanId())
	if err != nil {
		return nil, err
	}
	op := operation(ctx, req.GetRequestId(), req.GetReason())
	if op.Amount, err = parseAmount("amount", req.GetAmount()); err != nil {
		return nil, err
	}
	l, asked, err := s.App.WaiveFee(ctx, id, op)
	if err != nil {
		return nil, err
	}
	return &billv1.WaiveFeeResponse{Loan: loanOf(l), Approval: approvalrpc.Waiting(asked)}, nil
}

// RecordRecovery implements BillAdminService.
func (s *AdminServer) RecordRecovery(ctx context.Context, req *billv1.RecordRecoveryRequest) (*billv1.RecordRecoveryResponse, error) {
	id, err := parseID("loan_id", ids.Loan, req.GetLoanId())
	if err != nil {
		return nil, err
	}
	op := operation(ctx, req.GetRequestId(), req.GetReason())
	if op.Amount, err = parseAmount("amount", req.GetAmount()); err != nil {
		return nil, err
	}
	l, asked, err := s.App.RecordRecovery(ctx, id, op)
	if err != nil {
		return nil, err
	}
	return &billv1.RecordRecoveryResponse{Loan: loanOf(l), Approval: approvalrpc.Waiting(asked)}, nil
}

// ReverseRepayment implements BillAdminService.
func (s *AdminServer) ReverseRepayment(ctx context.Context, req *billv1.ReverseRepaymentRequest) (*billv1.ReverseRepaymentResponse, error) {
	id, err := parseID("repayment_id", ids.Repayment, req.GetRepaymentId())
	if err != nil {
		return nil, err
	}
	r, asked, err := s.App.ReverseRepayment(ctx, id, operation(ctx, req.GetRequestId(), req.GetReason()))
	if err != nil {
		return nil, err
	}
	return &billv1.ReverseRepaymentResponse{Repayment: repaymentOf(r), Approval: approvalrpc.Waiting(asked)}, nil
}

// PayOutCreditBalance implements BillAdminService.
func (s *AdminServer) PayOutCreditBalance(ctx context.Context, req *billv1.PayOutCreditBalanceRequest) (*billv1.PayOutCreditBalanceResponse, error) {
	op := operation(ctx, req.GetRequestId(), req.GetReason())
	var err error
	if op.Amount, err = parseAmount("amount", req.GetAmount()); err != nil {
		return nil, err
	}
	left, asked, err := s.App.PayOutCreditBalance(ctx, req.GetUserId(), op)
	if err != nil {
		return nil, err
	}
	return &billv1.PayOutCreditBalanceResponse{CreditBalance: moneyOf(left), Approval: approvalrpc.Waiting(asked)}, nil
}
