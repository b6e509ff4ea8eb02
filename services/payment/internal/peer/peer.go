// Package peer owns the payment service's view of its neighbours: the order and bill services by their generated clients, behind
// the interfaces of app.
package peer

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"

	"github.com/creditpay/creditpay/pkg/enum"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
	"github.com/creditpay/creditpay/services/payment/internal/wire"
)

// Orders is the order service.
type Orders struct {
	client orderv1.OrderInternalServiceClient
}

// NewOrders makes a client.
func NewOrders(conn grpc.ClientConnInterface) *Orders {
	return &Orders{client: orderv1.NewOrderInternalServiceClient(conn)}
}

// Checkout by id.
func (o *Orders) Checkout(ctx context.Context, id ids.ID) (app.Checkout, error) {
	res, err := o.client.GetCheckout(ctx, &orderv1.GetCheckoutRequest{CheckoutId: ids.Format(ids.Checkout, id)})
	if err != nil {
		return app.Checkout{}, err
	}
	c := app.Checkout{ID: id, UserID: res.GetUserId(), Business: res.GetBusiness(), ExpireTime: res.GetExpireTime().AsTime()}
	if c.Amount, err = wire.Amount(res.GetPayableAmount()); err != nil {
		return app.Checkout{}, err
	}
	for _, x := range res.GetOrders() {
		q, err := payable(x)
		if err != nil {
			return app.Checkout{}, err
		}
		c.OrderIDs = append(c.OrderIDs, q.OrderID)
		if s := x.GetState(); s == orderv1.OrderState_ORDER_STATE_CREATED || s == orderv1.OrderState_ORDER_STATE_COMMITTING {
			c.Orders = append(c.Orders, q)
		}
	}
	c.Open, c.Why = openness(res.GetState())
	return c, nil
}

func payable(x *orderv1.PayableOrder) (domain.PayableOrder, error) {
	q := domain.PayableOrder{MerchantID: x.GetMerchantId()}
	var err error
	if q.OrderID, err = ids.Parse(ids.Order, x.GetOrderId()); err != nil {
		return q, errs.Internal.Wrap(err, "the order service gave a malformed id")
	}
	if q.PaymentID, err = ids.Parse(ids.Payment, x.GetPaymentId()); err != nil {
		return q, errs.Internal.Wrap(err, "the order service gave a malformed id")
	}
	q.Amount, err = wire.Amount(x.GetAmount())
	return q, err
}

func openness(s orderv1.CheckoutState) (bool, error) {
	switch s {
	case orderv1.CheckoutState_CHECKOUT_STATE_OPEN:
		return true, nil
	case orderv1.CheckoutState_CHECKOUT_STATE_PROCESSING:
		return false, errs.CheckoutCommitting.New("a commit of this checkout is under way; ask QueryPaymentStatus for its outcome")
	case orderv1.CheckoutState_CHECKOUT_STATE_PAID:
		return false, errs.CheckoutAlreadyPaid.New("the checkout is paid")
	case orderv1.CheckoutState_CHECKOUT_STATE_CANCELLED:
		return false, errs.CheckoutCancelled.New("the checkout was cancelled")
	default:
		return false, errs.CheckoutExpired.New("the checkout's time is over")
	}
}

// BeginCommit takes the checkout for a commit.
func (o *Orders) BeginCommit(ctx context.Context, c domain.Commit) (app.Begun, error) {
	req := &orderv1.BeginCommitRequest{CheckoutId: ids.Format(ids.Checkout, c.CheckoutID), CommitId: ids.Format(ids.Commit, c.ID), UserId: c.UserID}
	if c.Terms.Amount.IsPositive() {
		req.ExpectedAmount = wire.Money(c.Terms.Amount)
	}
	res, err := o.client.BeginCommit(ctx, req)
	if err != nil {
		return app.Begun{}, err
	}
	out := app.Begun{Business: res.GetBusiness(), Orders: make([]domain.PayableOrder, len(res.GetOrders()))}
	for i, x := range res.GetOrders() {
		if out.Orders[i], err = payable(x); err != nil {
			return app.Begun{}, err
		}
	}
	return out, nil
}

// AbortCommit gives the checkout back.
func (o *Orders) AbortCommit(ctx context.Context, c domain.Commit) error {
	_, err := o.client.AbortCommit(ctx, &orderv1.AbortCommitRequest{CheckoutId: ids.Format(ids.Checkout, c.CheckoutID),
		CommitId: ids.Format(ids.Commit, c.ID), Reason: c.FailureReason})
	return err
}

// Bill is the bill service.
type Bill struct {
	client billv1.BillInternalServiceClient
}

// NewBill makes a client.
func NewBill(conn grpc.ClientConnInterface) *Bill {
	return &Bill{client: billv1.NewBillInternalServiceClient(conn)}
}

func financed(orders []domain.PayableOrder) []*billv1.FinancedOrder {
	out := make([]*billv1.FinancedOrder, len(orders))
	for i, q := range orders {
		out[i] = &billv1.FinancedOrder{OrderId: ids.Format(ids.Order, q.OrderID), Amount: wire.Money(q.Amount), MerchantId: q.MerchantID}
	}
	return out
}

// QuotePlans for the orders of a checkout.
func (b *Bill) QuotePlans(ctx context.Context, c app.Checkout, pick app.Pick) (app.Offers, error) {
	res, err := b.client.QuotePlans(ctx, &billv1.QuotePlansRequest{UserId: c.UserID, Business: c.Business, Orders: financed(c.Orders),
		ProductCode: pick.ProductCode, TenorMonths: pick.TenorMonths, ProductVersion: pick.ProductVersion})
	if err != nil {
		return app.Offers{}, err
	}
	out := app.Offers{Allowed: res.GetAllowed()}
	if !out.Allowed {
		out.Why = wire.Refusal(res.GetReason(), whyNoCredit(res.GetReason()))
	}
	if m := res.GetCredit().GetAvailable(); m != nil {
		available, err := wire.Amount(m)
		if err != nil {
			return app.Offers{}, err
		}
		out.Available = &available
	}
	for _, a := range res.GetRequiredActions() {
		out.Actions = append(out.Actions, enum.Of[app.Action](a))
	}
	for _, offer := range res.GetOffers() {
		t := offer.GetTotal()
		p := app.Plan{TenorMonths: t.GetTenorMonths(), ProductCode: t.GetProductCode(), ProductVersion: t.GetProductVersion()}
		if p.Amount, err = wire.Amount(t.GetPrincipal()); err != nil {
			return app.Offers{}, err
		}
		if p.Total, err = wire.Amount(t.GetTotal()); err != nil {
			return app.Offers{}, err
		}
		if p.DownPayment, err = downPayment(t.GetDownPayment(), p.Total); err != nil {
			return app.Offers{}, err
		}
		if p.Blob, err = proto.Marshal(t); err != nil {
			return app.Offers{}, errs.Internal.Wrap(err, "the plan cannot be kept")
		}
		out.Plans = append(out.Plans, p)
	}
	return out, nil
}

// downPayment reads a down payment; none is zero in the currency of the other amount.
func downPayment(m *commonv1.Money, like money.Amount) (money.Amount, error) {
	if m.GetAmountMinor() == 0 {
		return money.Zero(like.Currency()), nil
	}
	return wire.Amount(m)
}

// whyNoCredit says what the payer can do about a refusal of credit.
func whyNoCredit(r commonv1.ErrorReason) string {
	switch r {
	case commonv1.ErrorReason_ERROR_REASON_ACCOUNT_NOT_FOUND:
		return "the user has no credit account; apply for one first"
	case commonv1.ErrorReason_ERROR_REASON_ACCOUNT_FROZEN:
		return "the credit account is frozen; ask customer service"
	case commonv1.ErrorReason_ERROR_REASON_ACCOUNT_OVERDUE:
		return "pay the overdue bills first"
	case commonv1.ErrorReason_ERROR_REASON_LIMIT_INSUFFICIENT:
		return "the available limit is smaller than the amount"
	case commonv1.ErrorReason_ERROR_REASON_TENOR_NOT_OFFERED:
		return "this tenor is not offered for the amount; QueryCheckoutInfo lists the plans"
	default:
		return "credit is not offered for this purchase"
	}
}

// Reserve holds the limit and drafts the loans.
func (b *Bill) Reserve(ctx context.Context, c domain.Commit, pays app.Begun) ([]domain.Loan, error) {
	t := c.Terms
	req := &billv1.ReserveCreditRequest{CommitId: ids.Format(ids.Commit, c.ID), UserId: c.UserID,
		Business: pays.Business, Orders: financed(pays.Orders), ProductCode: t.ProductCode, ProductVersion: t.ProductVersion, TenorMonths: t.TenorMonths}
	if t.AgreedTotal.IsPositive() {
		req.AgreedTotal = wire.Money(t.AgreedTotal)
	}
	res, err := b.client.ReserveCredit(ctx, req)
	if err != nil {
		return nil, err
	}
	loans := make([]domain.Loan, len(res.GetLoans()))
	for i, l := range res.GetLoans() {
		id, err := ids.Parse(ids.Order, l.GetOrderId())
		if err != nil {
			return nil, errs.Internal.Wrap(err, "the bill service gave a malformed id")
		}
		loans[i] = domain.Loan{OrderID: id, LoanID: l.GetLoanId()}
		if m := l.GetDownPayment(); m.GetAmountMinor() != 0 {
			if loans[i].DownPayment, err = wire.Amount(m); err != nil {
				return nil, err
			}
		}
	}
	return loans, nil
}

// Release gives holds back.
func (b *Bill) Release(ctx context.Context, commitID ids.ID, orderIDs []ids.ID, reason string) error {
	req := &billv1.ReleaseCreditRequest{CommitId: ids.Format(ids.Commit, commitID), Reason: reason}
	for _, id := range orderIDs {
		req.OrderIds = append(req.OrderIds, ids.Format(ids.Order, id))
	}
	_, err := b.client.ReleaseCredit(ctx, req)
	return err
}

// KeepCash turns cash that could not go back into credit balance.
func (b *Bill) KeepCash(ctx context.Context, reference ids.ID, userID string, amount money.Amount) error {
	_, err := b.client.KeepCashAsCredit(ctx, &billv1.KeepCashAsCreditRequest{Reference: ids.Format(ids.Leg, reference), UserId: userID, Amount: wire.Money(amount)})
	return err
}

// Repayment is a repayment as the bill service knows it.
func (b *Bill) Repayment(ctx context.Context, id ids.ID) (app.Repayment, error) {
	res, err := b.client.GetRepayment(ctx, &billv1.GetRepaymentRequest{RepaymentId: ids.Format(ids.Repayment, id)})
	if err != nil {
		return app.Repayment{}, err
	}
	r := app.Repayment{UserID: res.GetUserId(), Channel: res.GetChannel(), Pending: res.GetState() == billv1.RepaymentState_REPAYMENT_STATE_PENDING}
	r.Amount, err = wire.Amount(res.GetAmount())
	return r, err
}

// RefundReturn is what a refund gives back by a repayment.
func (b *Bill) RefundReturn(ctx context.Context, refundID, repaymentID ids.ID) (app.RefundReturn, error) {
	res, err := b.client.GetRefundReturn(ctx, &billv1.GetRefundReturnRequest{RefundId: ids.Format(ids.Refund, refundID),
		RepaymentId: ids.Format(ids.Repayment, repaymentID)})
	if err != nil {
		return app.RefundReturn{}, err
	}
	r := app.RefundReturn{Kept: res.GetKept()}
	r.Amount, err = wire.Amount(res.GetAmount())
	return r, err
}
