package wire

import (
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

// Settlement reads the payments of a commit that succeeded. Its checkout and time are those of the first payment. Errors:
// errs.InvalidArgument for ids and currencies that cannot be read, and when there is no payment.
func Settlement(commit string, payments []*paymentv1.Payment) (domain.Settlement, error) {
	if len(payments) == 0 {
		return domain.Settlement{}, errs.InvalidArgument.New("the settlement holds no payment").With("field", "payments")
	}
	var s domain.Settlement
	var err error
	if s.CommitID, err = ID(ids.Commit, "commit_id", commit); err != nil {
		return s, err
	}
	if s.CheckoutID, err = ID(ids.Checkout, "payments.checkout_id", payments[0].GetCheckoutId()); err != nil {
		return s, err
	}
	s.PayTime = ReadTime(payments[0].GetPayTime())
	s.Orders = make([]domain.PaidOrder, len(payments))
	for i, p := range payments {
		o := &s.Orders[i]
		if o.OrderID, err = ID(ids.Order, "payments.order_id", p.GetOrderId()); err != nil {
			return s, err
		}
		if o.PaymentID, err = ID(ids.Payment, "payments.payment_id", p.GetPaymentId()); err != nil {
			return s, err
		}
		if o.Amount, err = Amount(p.GetAmount()); err != nil {
			return s, err
		}
	}
	return s, nil
}
