package crash

import (
	"context"
	"errors"
	"fmt"
	"testing"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// takeBack is a refund of everything that was paid of a purchase.
type takeBack struct {
	p *purchase
	// id is empty until the call was answered.
	id string
}

func (s *site) refunds() refundv1.RefundServiceClient { return refundv1.NewRefundServiceClient(s.conn) }

// ask asks for the refund; a repeat must find the same one.
func (r *takeBack) ask(ctx context.Context) error {
	b := r.p.b
	res, err := b.site.refunds().RefundPayment(as(ctx, b.spm), &refundv1.RefundPaymentRequest{RequestId: "refund-" + r.p.no, OutRefundNo: r.p.no, OrderId: r.p.order,
		Amount: &commonv1.Money{AmountMinor: new(int64(price)), CurrencyCode: "IDR"}, Reason: "sent back"})
	if err != nil {
		return err
	}
	if id := res.GetRefund().GetRefundId(); r.id != "" && r.id != id {
		return fmt.Errorf("the same request makes %s, then %s", r.id, id)
	} else {
		r.id = id
	}
	return nil
}

// giveBack is the marketplace, which gives back what it is asked for.
func (r *takeBack) giveBack(ctx context.Context) error {
	b := r.p.b
	res, err := b.site.refunds().GetRefund(as(ctx, b.spm), &refundv1.GetRefundRequest{RefundId: r.id})
	if err != nil {
		return err
	}
	legs := res.GetRefund().GetEffect().GetLegs()
	if len(legs) != 1 || legs[0].GetReference() == "" {
		return errNotAsked
	}
	_, err = b.site.payments().NotifyPaymentStatus(as(ctx, b.spm), &paymentv1.NotifyPaymentStatusRequest{RequestId: "given-back-" + r.p.no,
		ExternalReference: legs[0].GetReference(), Leg: paymentv1.ExternalLegKind_EXTERNAL_LEG_KIND_REPAYMENT, Status: tellRefunded, Amount: legs[0].GetAmount()})
	return err
}

// errNotAsked says that the marketplace was not asked to give anything back yet.
var errNotAsked = errors.New("the marketplace was not asked yet")

// askAndGiveBack is a refund as far as it gets.
func (r *takeBack) askAndGiveBack(ctx context.Context) {
	if r.ask(ctx) != nil {
		return
	}
	for errors.Is(r.giveBack(ctx), errNotAsked) && pause(ctx, again) {
	}
}

// gaveBackOnce repeats both calls as their callers do, and proves that the cash went back once.
func (r *takeBack) gaveBackOnce(t *testing.T) {
	t.Helper()
	s := r.p.b.site
	must(t, keep(t.Context(), r.ask))
	s.skipLeases(t)
	testkit.Eventually(t, settleTime, func() error { return keep(t.Context(), r.giveBack) })
	testkit.Eventually(t, settleTime, func() error {
		res, err := s.refunds().GetRefund(as(t.Context(), r.p.b.spm), &refundv1.GetRefundRequest{RefundId: r.id})
		if err == nil && res.GetRefund().GetState() != refundv1.RefundState_REFUND_STATE_SUCCEEDED {
			err = fmt.Errorf("the refund is %v", res.GetRefund())
		}
		return err
	})
	must(t, r.p.reaches(t.Context(), orderv1.OrderState_ORDER_STATE_CLOSED))
	order, err := ids.Parse(ids.Order, r.p.order)
	if err != nil {
		t.Fatal(err)
	}
	refund, err := ids.Parse(ids.Refund, r.id)
	if err != nil {
		t.Fatal(err)
	}
	made := s.mustCount(t, `SELECT COUNT(*) FROM creditpay_refund.refunds WHERE order_id = ?`, order)
	adjusted := s.mustCount(t, `SELECT COUNT(*) FROM creditpay_bill.loan_refunds WHERE order_id = ?`, order)
	returned := s.mustCount(t, `SELECT COUNT(*) FROM creditpay_payment.cash_returns WHERE refund_id = ?`, refund)
	if made != 1 || adjusted != 1 || returned != 1 {
		t.Errorf("%d refunds adjusted the loan %d times and gave cash back %d times", made, adjusted, returned)
	}
}

func TestKilledBetweenAnyTwoStepsOfARefund(t *testing.T) {
	t.Parallel()
	s, b := setup(t)
	eachStep(t, s, "refund",
		func(n int) *takeBack {
			r := b.settlement(t, fmt.Sprintf("refund-%03d", n))
			r.askAndPay(t.Context())
			r.paidOnce(t)
			must(t, r.p.reaches(t.Context(), orderv1.OrderState_ORDER_STATE_CLOSED))
			s.diesOrRests(t, briefRest)
			return &takeBack{p: r.p}
		},
		func(ctx context.Context, r *takeBack) { r.askAndGiveBack(ctx) },
		func(r *takeBack) { r.gaveBackOnce(t) })
}
