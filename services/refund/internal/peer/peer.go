// Package peer owns the refund service's view of its neighbours: order, payment and bill by their generated clients, behind the interfaces
// of app.
//
// It must not decide anything: it translates.
package peer

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/refund/internal/app"
	"github.com/creditpay/creditpay/services/refund/internal/domain"
	"github.com/creditpay/creditpay/services/refund/internal/wire"
)

// Orders implements app.Orders.
type Orders struct {
	client orderv1.OrderInternalServiceClient
}

// NewOrders makes a client on a connection of package rpckit, whose errors are the suite's own.
func NewOrders(conn grpc.ClientConnInterface) *Orders {
	return &Orders{client: orderv1.NewOrderInternalServiceClient(conn)}
}

// Order implements app.Orders.
func (o *Orders) Order(ctx context.Context, id ids.ID) (app.Order, error) {
	res, err := o.client.BatchGetOrders(ctx, &orderv1.BatchGetOrdersRequest{OrderIds: []string{ids.Format(ids.Order, id)}})
	if err != nil {
		return app.Order{}, err
	}
	if len(res.GetOrders()) == 0 {
		return app.Order{}, errs.NotFound.New("there is no such order")
	}
	m := res.GetOrders()[0]
	paid, err := wire.Amount(m.GetPaidAmount())
	if err != nil {
		return app.Order{}, errs.Internal.Wrap(err, "the order service gave an amount that cannot be read")
	}
	checkout, err := ids.Parse(ids.Checkout, m.GetCheckoutId())
	if err != nil {
		return app.Order{}, errs.Internal.Wrap(err, "the order service named a checkout that cannot be read")
	}
	return app.Order{UserID: m.GetUserId(), CheckoutID: checkout, MerchantID: m.GetMerchantId(), OutOrderNo: m.GetOutOrderNo(), State: strings.TrimPrefix(m.GetState().String(), "ORDER_STATE_"), Paid: paid,
		NotifyURL: res.GetNotifyUrls()[m.GetOrderId()]}, nil
}

// Payments implements app.Payments.
type Payments struct {
	client paymentv1.PaymentInternalServiceClient
}

// NewPayments makes a client.
func NewPayments(conn grpc.ClientConnInterface) *Payments {
	return &Payments{client: paymentv1.NewPaymentInternalServiceClient(conn)}
}

// DownPayment implements app.Payments.
func (p *Payments) DownPayment(ctx context.Context, orderID ids.ID) (money.Amount, error) {
	res, err := p.client.BatchGetPayments(ctx, &paymentv1.BatchGetPaymentsRequest{OrderIds: []string{ids.Format(ids.Order, orderID)}})
	if err != nil {
		return money.Amount{}, err
	}
	if len(res.GetPayments()) == 0 {
		return money.Amount{}, errs.NotFound.New("the order was not paid")
	}
	m := res.GetPayments()[0]
	total, err := wire.Amount(m.GetAmount())
	if err != nil {
		return total, errs.Internal.Wrap(err, "the payment service gave an amount that cannot be read")
	}
	down := money.Zero(total.Currency())
	for _, l := range m.GetLegs() {
		if l.GetKind() != paymentv1.ChannelKind_CHANNEL_KIND_CASH {
			continue
		}
		part, err := wire.Amount(l.GetAmount())
		if err == nil {
			down, err = down.Add(part)
		}
		if err != nil {
			return down, errs.Internal.Wrap(err, "the payment service gave an amount that cannot be read")
		}
	}
	return down, nil
}

// RefundOrder implements app.Payments.
func (p *Payments) RefundOrder(ctx context.Context, r domain.Refund) (app.Return, bool, error) {
	res, err := p.client.RefundOrderPayment(ctx, &paymentv1.RefundOrderPaymentRequest{
		RefundId: ids.Format(ids.Refund, r.ID), OrderId: ids.Format(ids.Order, r.OrderID), CreditAmount: wire.Money(r.Share.Credit), CashAmount: wire.Money(r.Share.Cash),
	})
	if err != nil || res.GetCashReturn() == nil {
		return app.Return{}, false, err
	}
	return wire.Return(res.GetCashReturn()), true, nil
}

// ReturnRepayment implements app.Payments.
func (p *Payments) ReturnRepayment(ctx context.Context, refundID, repaymentID ids.ID, amount money.Amount) (app.Return, error) {
	res, err := p.client.ReturnRepayment(ctx, &paymentv1.ReturnRepaymentRequest{
		RefundId: ids.Format(ids.Refund, refundID), RepaymentId: ids.Format(ids.Repayment, repaymentID), Amount: wire.Money(amount),
	})
	return wire.Return(res.GetCashReturn()), err
}

// Returns implements app.Payments.
func (p *Payments) Returns(ctx context.Context, refundID ids.ID) ([]app.Return, error) {
	res, err := p.client.GetCashReturns(ctx, &paymentv1.GetCashReturnsRequest{RefundId: ids.Format(ids.Refund, refundID)})
	if err != nil {
		return nil, err
	}
	out := make([]app.Return, len(res.GetCashReturns()))
	for i, m := range res.GetCashReturns() {
		out[i] = wire.Return(m)
	}
	return out, nil
}

// Retry implements app.Payments.
func (p *Payments) Retry(ctx context.Context, reference string) (app.Return, error) {
	res, err := p.client.RetryCashReturn(ctx, &paymentv1.RetryCashReturnRequest{Reference: reference})
	return wire.Return(res.GetCashReturn()), err
}

// Resolve implements app.Payments.
func (p *Payments) Resolve(ctx context.Context, reference string, givenBack bool, actor, evidence string) (app.Return, error) {
	res, err := p.client.ResolveCashReturn(ctx, &paymentv1.ResolveCashReturnRequest{Reference: reference, GivenBack: &givenBack, Actor: actor, Evidence: evidence})
	return wire.Return(res.GetCashReturn()), err
}

// Bills implements app.Bills.
type Bills struct {
	client billv1.BillInternalServiceClient
}

// NewBills makes a client.
func NewBills(conn grpc.ClientConnInterface) *Bills {
	return &Bills{client: billv1.NewBillInternalServiceClient(conn)}
}

// Preview implements app.Bills.
func (b *Bills) Preview(ctx context.Context, orderID ids.ID, credit money.Amount) (domain.Effect, error) {
	res, err := b.client.PreviewRefundAdjustment(ctx, &billv1.PreviewRefundAdjustmentRequest{OrderId: ids.Format(ids.Order, orderID), Amount: wire.Money(credit)})
	if err != nil {
		return domain.Effect{}, err
	}
	return effectOf(res.GetAdjustment())
}

// Adjust implements app.Bills.
func (b *Bills) Adjust(ctx context.Context, refundID, orderID ids.ID, credit money.Amount, expected string) (domain.Effect, error) {
	res, err := b.client.AdjustForRefund(ctx, &billv1.AdjustForRefundRequest{RefundId: ids.Format(ids.Refund, refundID), OrderId: ids.Format(ids.Order, orderID), Amount: wire.Money(credit),
		ExpectedFingerprint: expected})
	if err != nil {
		return domain.Effect{}, err
	}
	return effectOf(res.GetAdjustment())
}

// KeepAsCredit implements app.Bills.
func (b *Bills) KeepAsCredit(ctx context.Context, refundID, repaymentID ids.ID) error {
	_, err := b.client.KeepRefundAsCredit(ctx, &billv1.KeepRefundAsCreditRequest{RefundId: ids.Format(ids.Refund, refundID), RepaymentId: ids.Format(ids.Repayment, repaymentID)})
	return err
}

// effectOf reads what the bill service does.
func effectOf(m *billv1.RefundAdjustment) (domain.Effect, error) {
	minor := func(a *commonv1.Money) int64 { return a.GetAmountMinor() }
	e := domain.Effect{
		PrincipalReduced: minor(m.GetPrincipalReleased()), InterestReduced: minor(m.GetInterestReleased()), FeeReduced: minor(m.GetFeeReleased()),
		LimitFreed: minor(m.GetLimitFreed()), CreditBalance: minor(m.GetCreditBalanceAmount()), Fingerprint: m.GetFingerprint(),
	}
	sum := e.CreditBalance
	for _, s := range m.GetSources() {
		id, err := ids.Parse(ids.Repayment, s.GetRepaymentId())
		if err != nil {
			return e, errs.Internal.Wrap(err, "the bill service gave a malformed id")
		}
		e.Sources = append(e.Sources, domain.Source{RepaymentID: id, Amount: minor(s.GetAmount())})
		sum += minor(s.GetAmount())
	}
	if sum != minor(m.GetCashAmount()) {
		return e, errs.Internal.New("the bill service gives %d back by ways that add up to %d", minor(m.GetCashAmount()), sum)
	}
	for _, in := range m.GetInstalments() {
		e.Instalments = append(e.Instalments, domain.InstalmentChange{Sequence: int(in.GetSequence()), DueDate: in.GetDueDate(),
			OpenBefore: minor(in.GetOpenBefore()), OpenAfter: minor(in.GetOpenAfter())})
	}
	if m.GetPlanAfter() != nil {
		plan, err := protojson.Marshal(m.GetPlanAfter())
		if err != nil {
			return e, errs.Internal.Wrap(err, "keep the plan after a refund")
		}
		e.Plan = plan
	}
	return e, nil
}
