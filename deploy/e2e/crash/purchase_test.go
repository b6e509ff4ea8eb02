package crash

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/testkit"
)

// purchase is one checkout, of one order but for a basket.
type purchase struct {
	b      *buyer
	no     string
	months int32
	// desk is the channel of its down payment; empty when its plan asks for none.
	desk                   string
	checkout, order, quote string
	// orders are all of the checkout; order is the first.
	orders []string
	// commits counts the quotes that were locked, tries the commits that were aborted.
	commits, tries int
}

// open makes the checkout and chooses a plan.
func (b *buyer) open(ctx context.Context, no string) (*purchase, error) {
	return b.openBasket(ctx, no, 1, tenor)
}

// openBasket is open with that many orders, each of which becomes a loan of that many months.
func (b *buyer) openBasket(ctx context.Context, no string, orders int, months int32) (*purchase, error) {
	return b.openAt(ctx, "marketplace", &purchase{b: b, no: no, months: months}, orders)
}

// openAt opens the checkout of p, of that many orders, for a business, and chooses a plan.
func (b *buyer) openAt(ctx context.Context, business string, p *purchase, orders int) (*purchase, error) {
	no := p.no
	amount := &commonv1.Money{AmountMinor: new(int64(price)), CurrencyCode: "IDR"}
	req := &orderv1.GeneratePaymentsRequest{RequestId: "generate-" + no, UserId: b.user, Business: business, CurrencyCode: "IDR",
		RedirectUrl: "https://shop.example/thanks"}
	for i := range orders {
		outOrderNo := no
		if i > 0 {
			outOrderNo += fmt.Sprintf(".%d", i)
		}
		req.Orders = append(req.Orders, &orderv1.OrderDraft{MerchantId: "shop-1", OutOrderNo: outOrderNo, Title: "Shoes", Amount: amount,
			Items: []*orderv1.OrderItem{{Sku: "SHOE", Name: "Shoes", Quantity: 1, UnitPrice: amount}}})
	}
	err := keep(ctx, func(ctx context.Context) error {
		res, err := b.site.orders().GeneratePayments(as(ctx, b.spm), req)
		if err != nil {
			return err
		}
		p.checkout, p.orders = res.GetCheckout().GetCheckoutId(), nil
		for _, o := range res.GetCheckout().GetOrders() {
			p.orders = append(p.orders, o.GetOrderId())
		}
		p.order = p.orders[0]
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("GeneratePayments: %w", err)
	}
	return p, p.choose(ctx)
}

// choose locks a quote for the next commit.
func (p *purchase) choose(ctx context.Context) error {
	p.commits++
	err := keep(ctx, func(ctx context.Context) error {
		res, err := p.b.site.payments().ConfirmPayChannel(as(ctx, p.b.token), &paymentv1.ConfirmPayChannelRequest{
			RequestId: fmt.Sprintf("quote-%s-%d", p.no, p.commits), CheckoutId: p.checkout, Channel: "CREDIT", TenorMonths: p.months, DownPaymentChannel: p.desk})
		if err == nil {
			p.quote = res.GetQuote().GetQuoteId()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("ConfirmPayChannel: %w", err)
	}
	return nil
}

// commit makes the call once.
func (p *purchase) commit(ctx context.Context) (*paymentv1.DoCommitPaymentResponse, error) {
	return p.b.site.payments().DoCommitPayment(as(ctx, p.b.token), &paymentv1.DoCommitPaymentRequest{
		RequestId: fmt.Sprintf("commit-%s-%d", p.no, p.commits), CheckoutId: p.checkout, QuoteId: p.quote, Pin: buyerPIN})
}

var errProcessing = status.Error(codes.Unavailable, "the payment is still PROCESSING")

// outcome repeats the commit until its outcome is known: SUCCEEDED or FAILED.
func (p *purchase) outcome(ctx context.Context) (res *paymentv1.DoCommitPaymentResponse, err error) {
	err = keep(ctx, func(ctx context.Context) (err error) {
		if res, err = p.commit(ctx); err == nil && res.GetState() == paymentv1.PaymentState_PAYMENT_STATE_PROCESSING {
			err = errProcessing
		}
		return err
	})
	return res, err
}

// pay commits until the purchase is paid. A commit that failed because of a crash left the checkout payable: it is paid by a new one.
func (p *purchase) pay(ctx context.Context) error {
	for range 5 {
		res, err := p.outcome(ctx)
		if err == nil && res.GetState() == paymentv1.PaymentState_PAYMENT_STATE_SUCCEEDED {
			return nil
		}
		switch why := res.GetFailureReason(); {
		case err != nil && reason(err) != "COMMIT_ABORTED":
			return fmt.Errorf("DoCommitPayment of %s: %w", p.order, err)
		case err == nil && why != commonv1.ErrorReason_ERROR_REASON_COMMIT_ABORTED:
			return fmt.Errorf("DoCommitPayment of %s failed: %s %s", p.order, why, res.GetFailureMessage())
		}
		p.tries++
		if err := p.choose(ctx); err != nil {
			return err
		}
	}
	return errors.New("five commits were aborted")
}

// change makes a call about the order until it is done.
func (p *purchase) change(ctx context.Context, call func(ctx context.Context) ([]*orderv1.OrderResult, error)) (orderv1.OrderState, error) {
	var result *orderv1.OrderResult
	err := keep(ctx, func(ctx context.Context) error {
		results, err := call(ctx)
		if err != nil {
			return err
		}
		for _, result = range results {
			if result.GetReason() != 0 {
				break // It speaks for all.
			}
		}
		switch result.GetReason() {
		case commonv1.ErrorReason_ERROR_REASON_CHECKOUT_COMMITTING, commonv1.ErrorReason_ERROR_REASON_DEPENDENCY_UNAVAILABLE,
			commonv1.ErrorReason_ERROR_REASON_CONCURRENT_CHANGE:
			return status.Error(codes.Unavailable, result.GetMessage())
		}
		return nil
	})
	if err == nil && result.GetReason() != commonv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
		err = fmt.Errorf("%s of %s: %s", result.GetReason(), p.order, result.GetMessage())
	}
	return result.GetState(), err
}

func (p *purchase) confirmOnce(ctx context.Context) ([]*orderv1.OrderResult, error) {
	res, err := p.b.site.orders().ConfirmPayment(as(ctx, p.b.spm),
		&orderv1.ConfirmPaymentRequest{RequestId: "confirm-" + p.no, OrderIds: p.orders})
	return res.GetResults(), err
}

func (p *purchase) cancelOnce(ctx context.Context) ([]*orderv1.OrderResult, error) {
	res, err := p.b.site.orders().CancelPayments(as(ctx, p.b.spm),
		&orderv1.CancelPaymentsRequest{RequestId: "cancel-" + p.no, OrderIds: []string{p.order}, Reason: "out of stock"})
	return res.GetResults(), err
}

// state is the order's.
func (p *purchase) state(ctx context.Context) (state orderv1.OrderState, err error) {
	err = keep(ctx, func(ctx context.Context) error {
		res, err := p.b.site.orders().GetOrderInfo(as(ctx, p.b.spm), &orderv1.GetOrderInfoRequest{OrderId: p.order})
		state = res.GetOrder().GetState()
		return err
	})
	return state, err
}

// reaches waits until the order is in one of the states.
func (p *purchase) reaches(ctx context.Context, want ...orderv1.OrderState) error {
	deadline := time.Now().Add(settleTime)
	for {
		got, err := p.state(ctx)
		if err != nil {
			return err
		}
		for _, w := range want {
			if got == w {
				return nil
			}
		}
		if time.Now().After(deadline) || !pause(ctx, again) {
			return fmt.Errorf("order %s stays %s, want %s", p.order, got, want)
		}
	}
}

// whole is a purchase from the first call to the receipt of the goods.
func (b *buyer) whole(ctx context.Context, no string) (*purchase, error) {
	p, err := b.open(ctx, no)
	if err != nil {
		return p, err
	}
	return p, p.payAndTake(ctx)
}

// payAndTake pays and tells that the goods arrived.
func (p *purchase) payAndTake(ctx context.Context) error {
	if err := p.pay(ctx); err != nil {
		return err
	}
	got, err := p.change(ctx, p.confirmOnce)
	if err == nil && got != orderv1.OrderState_ORDER_STATE_CONFIRMED {
		err = fmt.Errorf("order %s is %s after its confirmation", p.order, got)
	}
	return err
}

// basketMonths is how long loans of a basket run: longer than any verb has steps.
const basketMonths = 12

// fillBasket buys so many things at once, each on a loan of its own.
func (b *buyer) fillBasket(t *testing.T, orders int) {
	t.Helper()
	p, err := b.openBasket(t.Context(), "basket-"+b.user, orders, basketMonths)
	if err == nil {
		err = p.payAndTake(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	b.begun(t)
}

// begun waits until nothing is held any more: what was bought is debt.
func (b *buyer) begun(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, settleTime, func() error {
		held, err := b.site.count(t.Context(), `SELECT held_minor FROM creditpay_bill.credit_accounts WHERE user_id = ?`, b.user)
		if err == nil && held != 0 {
			err = fmt.Errorf("the account of %s holds %d", b.user, held)
		}
		return err
	})
}
