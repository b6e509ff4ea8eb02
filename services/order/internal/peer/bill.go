package peer

import (
	"context"
	"strings"

	"google.golang.org/grpc"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/order/internal/app"
	"github.com/creditpay/creditpay/services/order/internal/domain"
	"github.com/creditpay/creditpay/services/order/internal/wire"
)

// Bill asks the bill service.
type Bill struct {
	client billv1.BillInternalServiceClient
}

// NewBill makes a client on a connection of package rpckit, whose errors are the suite's own.
func NewBill(conn grpc.ClientConnInterface) *Bill {
	return &Bill{client: billv1.NewBillInternalServiceClient(conn)}
}

// Quote tells the credit of a user and the plans for orders, shortest first.
func (b *Bill) Quote(ctx context.Context, userID, business string, orders []domain.Order) (app.Quote, error) {
	req := &billv1.QuotePlansRequest{UserId: userID, Business: business}
	for _, o := range orders {
		req.Orders = append(req.Orders, &billv1.FinancedOrder{OrderId: ids.Format(ids.Order, o.ID), Amount: wire.Money(o.Amount), MerchantId: o.MerchantID})
	}
	answer, err := b.client.QuotePlans(ctx, req)
	if err != nil {
		return app.Quote{}, err
	}
	var out app.Quote
	if !answer.GetAllowed() {
		out.Reason = wire.ReasonName(answer.GetReason())
	}
	if c := answer.GetCredit(); c != nil {
		var r wire.Amounts
		out.Credit = &app.Credit{State: int32(c.GetState()), Limit: r.Read(c.GetLimit()), Used: r.Read(c.GetUsed()), Held: r.Read(c.GetHeld()),
			Available: r.Read(c.GetAvailable())}
		if err := r.Err(); err != nil {
			return app.Quote{}, err
		}
	}
	for _, offer := range answer.GetOffers() {
		plan, err := wire.ReadPlan(offer.GetTotal())
		if err != nil {
			return app.Quote{}, err
		}
		out.Plans = append(out.Plans, plan)
	}
	for _, a := range answer.GetRequiredActions() {
		out.Actions = append(out.Actions, app.RequiredAction(a))
	}
	return out, nil
}

// Contracts reads the numbers of the signed contracts that an order's loans rest on, oldest first.
func (b *Bill) Contracts(ctx context.Context, order ids.ID) ([]string, error) {
	answer, err := b.client.BatchGetContracts(ctx, &billv1.BatchGetContractsRequest{OrderIds: orderIDs([]ids.ID{order})})
	if err != nil {
		return nil, err
	}
	var numbers []string
	for _, c := range answer.GetContracts() {
		numbers = append(numbers, c.GetContractId())
	}
	return numbers, nil
}

// Loans reads the loans of orders with their history.
func (b *Bill) Loans(ctx context.Context, orders []ids.ID) (app.Loans, error) {
	answer, err := b.client.BatchGetLoans(ctx, &billv1.BatchGetLoansRequest{OrderIds: orderIDs(orders)})
	if err != nil {
		return app.Loans{}, err
	}
	out := app.Loans{Timeline: timeline(answer.GetTimeline())}
	for _, l := range answer.GetLoans() {
		plan, err := wire.ReadPlan(l.GetPlan())
		if err != nil {
			return app.Loans{}, err
		}
		state := l.GetState()
		out.Loans = append(out.Loans, app.Loan{
			ID: l.GetLoanId(), State: strings.TrimPrefix(state.String(), "LOAN_STATE_"), Plan: plan, Void: state == billv1.LoanState_LOAN_STATE_VOID,
			Running: state == billv1.LoanState_LOAN_STATE_ACTIVE || state == billv1.LoanState_LOAN_STATE_OVERDUE,
		})
	}
	return out, nil
}
