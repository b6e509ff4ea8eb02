package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/checkoutproof"
	"github.com/creditpay/creditpay/pkg/ids"
)

// step is one of the calls of a purchase.
type step int

const (
	stepGenerate step = iota
	stepChoose
	stepCommit
	stepConfirm
	stepCount
)

func (s step) String() string {
	return [stepCount]string{"GeneratePayments", "ConfirmPayChannel", "DoCommitPayment", "ConfirmPayment"}[s]
}

const (
	currency       = "IDR"
	purchaseAmount = 100_000
	purchaseTenor  = 3
	defaultProduct = "SPL_ID"
	// confirmPatience bounds how long a ConfirmPayment that came before the payment's event is repeated.
	confirmPatience = 10 * time.Second
	confirmPause    = 5 * time.Millisecond
)

// payer makes the calls of the payer's page, over gRPC or over REST.
type payer interface {
	// quotes says that the page locks a quote before it commits, instead of naming the plan that it showed.
	quotes() bool
	// eager says that the goods are received in the moment in which they are paid.
	eager() bool
	choose(ctx context.Context, b *buyer, req *paymentv1.ConfirmPayChannelRequest) (*paymentv1.ConfirmPayChannelResponse, error)
	commit(ctx context.Context, b *buyer, req *paymentv1.DoCommitPaymentRequest) (*paymentv1.DoCommitPaymentResponse, error)
}

// grpcPayer calls the payment service.
type grpcPayer struct {
	client        paymentv1.PaymentServiceClient
	quoted, hasty bool
}

func (p grpcPayer) quotes() bool { return p.quoted }
func (p grpcPayer) eager() bool  { return p.hasty }

func (p grpcPayer) choose(ctx context.Context, b *buyer, req *paymentv1.ConfirmPayChannelRequest) (*paymentv1.ConfirmPayChannelResponse, error) {
	return p.client.ConfirmPayChannel(as(ctx, b.token), req)
}

func (p grpcPayer) commit(ctx context.Context, b *buyer, req *paymentv1.DoCommitPaymentRequest) (*paymentv1.DoCommitPaymentResponse, error) {
	return p.client.DoCommitPayment(as(ctx, b.token), req)
}

// restPayer calls the gateway.
type restPayer struct {
	base   string
	client *http.Client
}

func (p restPayer) quotes() bool { return false }
func (p restPayer) eager() bool  { return false }

func (p restPayer) choose(ctx context.Context, b *buyer, req *paymentv1.ConfirmPayChannelRequest) (*paymentv1.ConfirmPayChannelResponse, error) {
	var res paymentv1.ConfirmPayChannelResponse
	return &res, p.post(ctx, b, "/h5/v1/checkouts/"+req.GetCheckoutId()+"/quote",
		map[string]any{"requestId": req.GetRequestId(), "channel": req.GetChannel(), "tenorMonths": req.GetTenorMonths()}, &res)
}

func (p restPayer) commit(ctx context.Context, b *buyer, req *paymentv1.DoCommitPaymentRequest) (*paymentv1.DoCommitPaymentResponse, error) {
	var res paymentv1.DoCommitPaymentResponse
	c := req.GetChoice()
	choice := map[string]any{"channel": c.GetChannel(), "productCode": c.GetProductCode(), "productVersion": c.GetProductVersion(), "tenorMonths": c.GetTenorMonths(),
		"agreedTotal": map[string]any{"amountMinor": c.GetAgreedTotal().GetAmountMinor(), "currencyCode": c.GetAgreedTotal().GetCurrencyCode()}}
	return &res, p.post(ctx, b, "/h5/v1/checkouts/"+req.GetCheckoutId()+"/commit",
		map[string]any{"requestId": req.GetRequestId(), "choice": choice, "pin": req.GetPin(), "checkoutProof": req.GetCheckoutProof()}, &res)
}

func (p restPayer) post(ctx context.Context, b *buyer, path string, body map[string]any, into proto.Message) error {
	payload, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+path, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+b.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d: %s", res.StatusCode, text)
	}
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, into)
}

func as(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// tally is what one worker saw.
type tally struct {
	purchases int
	// early counts ConfirmPayment calls that came before the order was PAID and were repeated.
	early  int
	took   [stepCount][]time.Duration
	total  []time.Duration
	errors map[string]int
}

func (t *tally) time(s step, begin time.Time) { t.took[s] = append(t.took[s], time.Since(begin)) }

// sold is an order that is paid and whose goods are on their way.
type sold struct{ no, orderID string }

// purchase walks one purchase: the marketplace opens a checkout of one order, the payer pays by a plan that the page showed or
// locked. The marketplace reports the goods as received later, see confirm.
func (m *market) purchase(ctx context.Context, b *buyer, p payer, no string, t *tally) (sold, error) {
	begin := time.Now()
	out, err := m.order.GeneratePayments(as(ctx, m.spmToken), generateRequest(b.userID, no))
	if err != nil {
		return sold{}, fmt.Errorf("%s: %w", stepGenerate, err)
	}
	t.time(stepGenerate, begin)
	checkout := out.GetCheckout().GetCheckoutId()
	if len(out.GetCheckout().GetOrders()) != 1 {
		return sold{}, fmt.Errorf("%s: %d orders instead of 1", stepGenerate, len(out.GetCheckout().GetOrders()))
	}
	pay := &paymentv1.DoCommitPaymentRequest{RequestId: "c-" + no, CheckoutId: checkout, Choice: m.plan, Pin: buyerPIN}
	if pay.CheckoutProof, err = m.proof(checkout, b.userID); err != nil {
		return sold{}, fmt.Errorf("%s: %w", stepCommit, err)
	}
	if p.quotes() {
		at := time.Now()
		quote, err := p.choose(ctx, b, &paymentv1.ConfirmPayChannelRequest{RequestId: "q-" + no, CheckoutId: checkout, Channel: m.plan.GetChannel(),
			ProductCode: m.plan.GetProductCode(), TenorMonths: m.plan.GetTenorMonths()})
		if err != nil {
			return sold{}, fmt.Errorf("%s: %w", stepChoose, err)
		}
		t.time(stepChoose, at)
		pay.Choice, pay.QuoteId = nil, quote.GetQuote().GetQuoteId()
	}
	at := time.Now()
	paid, err := p.commit(ctx, b, pay)
	if err != nil {
		return sold{}, fmt.Errorf("%s: %w", stepCommit, err)
	}
	t.time(stepCommit, at)
	if paid.GetState() != paymentv1.PaymentState_PAYMENT_STATE_SUCCEEDED {
		return sold{}, fmt.Errorf("%s: %s %s", stepCommit, paid.GetState(), paid.GetFailureReason())
	}
	t.total = append(t.total, time.Since(begin))
	return sold{no: no, orderID: out.GetCheckout().GetOrders()[0].GetOrderId()}, nil
}

// proof is what the page got with the plans, of QueryCheckoutInfo. Looking at a page is no part of a purchase here: as the plan is known
// from before, the proof is made with the order service's own key.
func (m *market) proof(checkout, userID string) (string, error) {
	id, err := ids.Parse(ids.Checkout, checkout)
	return checkoutproof.Make(m.stack.proofs, id, userID, time.Now().Add(time.Minute)), err
}

// confirm reports the goods as received, which completes the purchase. The order becomes PAID by an event; a confirmation that
// overtakes it is answered by asking the payment service, and while that does not know either, it is told so and is repeated, as
// the marketplace would.
func (m *market) confirm(ctx context.Context, s sold, t *tally) error {
	if err := m.confirmOrder(ctx, s.orderID, s.no, t); err != nil {
		return fmt.Errorf("%s: %w", stepConfirm, err)
	}
	t.purchases++
	return nil
}

func (m *market) confirmOrder(ctx context.Context, orderID, no string, t *tally) error {
	deadline := time.Now().Add(confirmPatience)
	for attempt := 0; ; attempt++ {
		at := time.Now()
		res, err := m.order.ConfirmPayment(as(ctx, m.spmToken), &orderv1.ConfirmPaymentRequest{RequestId: fmt.Sprintf("g-%s-%d", no, attempt), OrderIds: []string{orderID}})
		if err != nil {
			return err
		}
		t.time(stepConfirm, at)
		if len(res.GetResults()) != 1 {
			return fmt.Errorf("%d results instead of 1", len(res.GetResults()))
		}
		r := res.GetResults()[0]
		if r.GetState() == orderv1.OrderState_ORDER_STATE_CONFIRMED {
			return nil
		}
		if r.GetReason() != commonv1.ErrorReason_ERROR_REASON_CHECKOUT_COMMITTING || time.Now().After(deadline) {
			return fmt.Errorf("%s %s", r.GetState(), r.GetReason())
		}
		t.early++
		pause := time.NewTimer(confirmPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
	}
}

func generateRequest(userID, no string) *orderv1.GeneratePaymentsRequest {
	amount := &commonv1.Money{AmountMinor: new(int64(purchaseAmount)), CurrencyCode: currency}
	return &orderv1.GeneratePaymentsRequest{
		RequestId: "n-" + no, UserId: userID, Business: "marketplace", CurrencyCode: currency, RedirectUrl: "https://shop.example/thanks",
		Orders: []*orderv1.OrderDraft{{MerchantId: merchantOf(no), OutOrderNo: no, Amount: amount, Title: "Running shoes",
			Items: []*orderv1.OrderItem{{Sku: "SHOE-42", Name: "Running shoes, 42", Quantity: 1, UnitPrice: amount}}}},
	}
}

// merchantOf spreads orders over 100 shops, by the last two characters of their number.
func merchantOf(no string) string {
	n := 0
	for _, c := range []byte(no[max(0, len(no)-2):]) {
		n = n*31 + int(c)
	}
	return fmt.Sprintf("shop-%02d", n%100)
}

// clients are the connections of the load generator.
type clients struct {
	order, payment, bill *grpc.ClientConn
}

func (c clients) close() {
	for _, conn := range []*grpc.ClientConn{c.order, c.payment, c.bill} {
		if conn != nil {
			_ = conn.Close()
		}
	}
}
