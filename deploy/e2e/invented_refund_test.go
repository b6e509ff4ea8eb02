package e2e

import (
	"net/http"
	"testing"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
)

// With the refund service's own token, bill and payment move nothing for a refund that the refund service does not know, that waits for its
// approvers, or that is of other parts. One that is over is still answered.
func TestInventedRefund_MovesNothing(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const limit, amount = 10_000_000, 600_000
	p := s.payer(t, limit)
	orderID, elsewhere := p.buys(t, amount), p.buys(t, amount)
	adjust := func(id, order string, minor int64) error {
		_, err := billv1.NewBillInternalServiceClient(s.conn).AdjustForRefund(s.asService(t, "refund"),
			&billv1.AdjustForRefundRequest{RefundId: id, OrderId: order, Amount: rupiah(minor)})
		return told(err)
	}
	pay := func(id, order string, minor int64) error {
		_, err := paymentv1.NewPaymentInternalServiceClient(s.conn).RefundOrderPayment(s.asService(t, "refund"),
			&paymentv1.RefundOrderPaymentRequest{RefundId: id, OrderId: order, CreditAmount: rupiah(minor), CashAmount: rupiah(0)})
		return told(err)
	}
	want := func(what, id, order string, minor int64, reason string) {
		t.Helper()
		for name, call := range map[string]func(id, order string, minor int64) error{"AdjustForRefund": adjust, "RefundOrderPayment": pay} {
			if got := reasonOf(t, call(id, order, minor)); got != reason {
				t.Errorf("%s: %s answers %q, want %q", what, name, got, reason)
			}
		}
	}
	want("invented", newRefund(), orderID, amount, errs.NotFound.Name())
	requester := s.mint(t, caller.Caller{Kind: caller.Admin, Name: unique("clerk"), Roles: caller.EveryRole()})
	var asked refundv1.AdminRefundPaymentResponse
	body := map[string]any{"requestId": unique("admin"), "orderId": orderID, "amount": map[string]any{"amountMinor": amount, "currencyCode": "IDR"},
		"reason": "the shop closed", "reasonCode": "REFUND_REASON_CODE_OUT_OF_STOCK"}
	if err := s.rest(t.Context(), http.MethodPost, "/admin/v1/refunds", requester, body, &asked); err != nil {
		t.Fatal(err)
	}
	pending := asked.GetRefund().GetRefundId()
	want("not approved", pending, orderID, amount, errs.RefundStateInvalid.Name())
	want("other parts", pending, orderID, amount-1, errs.LegAmountMismatch.Name())
	want("another order", pending, elsewhere, amount, errs.LegAmountMismatch.Name())
	p.wantCredit(t, limit, 0, 2*amount)
	over, _ := s.refund(t, elsewhere, amount)
	s.awaitRefund(t, over.GetRefundId(), refundSucceeded)
	want("over, the same again", over.GetRefundId(), elsewhere, amount, "")
	want("over, another amount", over.GetRefundId(), elsewhere, 1, errs.RequestIDReused.Name())
	p.wantCredit(t, limit, 0, amount)
	s.proveBooks(t)
}
