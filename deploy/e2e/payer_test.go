package e2e

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/testkit"

	"github.com/creditpay/creditpay/deploy/devstack"
	"github.com/creditpay/creditpay/deploy/signing"
)

const (
	rightPin = "482913"
	wrongPin = "739164"
)

// unique gives an id that no other test has.
func unique(prefix string) string { return prefix + "-" + strings.ToLower(rand.Text()[:16]) }

func idr(minor int64) *commonv1.Money {
	return &commonv1.Money{AmountMinor: new(minor), CurrencyCode: "IDR"}
}

// payer is a user with the token of the payer's page.
type payer struct {
	s     *stack
	id    string
	token string
	// market is the token of the payer's marketplace; empty for the home marketplace's.
	market string
}

// spm is a context of the payer's marketplace.
func (p *payer) spm(t testing.TB) context.Context {
	return as(t.Context(), cmp.Or(p.market, p.s.Credentials.SPMToken))
}

// stranger makes a user without an account and PIN.
func (s *stack) stranger(t testing.TB) *payer {
	t.Helper()
	return s.user(t, unique("user"))
}

// user makes a user of that id, without an account and PIN.
func (s *stack) user(t testing.TB, id string) *payer {
	t.Helper()
	p := &payer{s: s, id: id}
	p.token = s.mint(t, caller.Caller{Kind: caller.H5, Name: "h5", UserID: p.id, FactorTime: time.Now().Unix()})
	return p
}

// payer makes a user with a credit account of that limit, a signed contract of the default product, and a PIN.
func (s *stack) payer(t testing.TB, limit int64) *payer {
	t.Helper()
	return s.stranger(t).ready(t, limit)
}

// ready gives a user a credit account of that limit, a signed contract of the default product, and a PIN.
func (p *payer) ready(t testing.TB, limit int64) *payer {
	t.Helper()
	p.openAccount(t, limit)
	p.signContract(t, "")
	p.setPin(t, rightPin)
	return p
}

func (p *payer) openAccount(t testing.TB, limit int64) {
	t.Helper()
	var res billv1.OpenCreditAccountResponse
	body := map[string]any{"requestId": unique("open"), "userId": p.id, "limit": map[string]any{"amountMinor": fmt.Sprint(limit), "currencyCode": "IDR"}, "reason": "e2e"}
	if err := p.s.rest(t.Context(), http.MethodPost, "/admin/v1/credit-accounts", p.s.Credentials.AdminToken, body, &res); err != nil {
		t.Fatalf("open an account: %v", err)
	}
	if got := res.GetAccount().GetSummary().GetAvailable().GetAmountMinor(); got != limit {
		t.Fatalf("a new account has %d available, want %d", got, limit)
	}
}

// signContract signs for a product, the preferred one when none is named; the user has an account and no PIN yet.
func (p *payer) signContract(t testing.TB, product string) {
	t.Helper()
	desk := signing.Desk{Order: p.s.conn, Payment: p.s.conn, Bill: p.s.conn, SPMToken: cmp.Or(p.market, p.s.Credentials.SPMToken), AdminToken: p.s.Credentials.AdminToken,
		Codes: devstack.CodesDir(p.s.dir), Product: product}
	if err := desk.Sign(t.Context(), p.id, p.token); err != nil {
		t.Fatalf("sign the contract: %v", told(err))
	}
}

func (p *payer) setPin(t testing.TB, pin string) {
	t.Helper()
	var res paymentv1.SetPaymentPinResponse
	if err := p.call(t.Context(), http.MethodPost, "/h5/v1/pin", map[string]any{"requestId": unique("pin"), "newPin": pin}, &res); err != nil {
		t.Fatalf("set the PIN: %v", err)
	}
}

// call makes a REST call with the payer's token.
func (p *payer) call(ctx context.Context, method, path string, body map[string]any, into proto.Message) error {
	return p.s.rest(ctx, method, path, p.token, body, into)
}

// draft is a checkout over orders of these amounts, each of its own shop.
func (p *payer) draft(amounts ...int64) *orderv1.GeneratePaymentsRequest {
	req := &orderv1.GeneratePaymentsRequest{RequestId: unique("gen"), UserId: p.id, Business: "marketplace", CurrencyCode: "IDR",
		RedirectUrl: "https://shop.example/thanks", NotifyUrl: "https://shop.example/notify"}
	for i, amount := range amounts {
		req.Orders = append(req.Orders, &orderv1.OrderDraft{MerchantId: fmt.Sprintf("shop-%d", i+1), OutOrderNo: unique("no"), Amount: idr(amount),
			Title: fmt.Sprintf("Parcel %d", i+1), Items: []*orderv1.OrderItem{{Sku: "SKU-1", Name: "A thing", Quantity: 1, UnitPrice: idr(amount)}}})
	}
	return req
}

// until sets the checkout's end.
func until(req *orderv1.GeneratePaymentsRequest, at time.Time) *orderv1.GeneratePaymentsRequest {
	req.ExpireTime = timestamppb.New(at)
	return req
}

// generate makes a checkout as the home marketplace does.
func (s *stack) generate(t testing.TB, req *orderv1.GeneratePaymentsRequest) *orderv1.Checkout {
	t.Helper()
	return (&payer{s: s}).generate(t, req)
}

// generate makes a checkout as the payer's marketplace does.
func (p *payer) generate(t testing.TB, req *orderv1.GeneratePaymentsRequest) *orderv1.Checkout {
	t.Helper()
	res, err := orderv1.NewOrderServiceClient(p.s.conn).GeneratePayments(p.spm(t), req)
	if err != nil {
		t.Fatalf("GeneratePayments: %v", told(err))
	}
	return res.GetCheckout()
}

// checkout makes a checkout over orders of these amounts.
func (p *payer) checkout(t testing.TB, amounts ...int64) *orderv1.Checkout {
	t.Helper()
	return p.generate(t, p.draft(amounts...))
}

func (p *payer) tryQuote(ctx context.Context, checkoutID string, tenor int) (*paymentv1.Quote, error) {
	var res paymentv1.ConfirmPayChannelResponse
	err := p.call(ctx, http.MethodPost, "/h5/v1/checkouts/"+checkoutID+"/quote",
		map[string]any{"requestId": unique("quote"), "channel": "CREDIT", "tenorMonths": tenor}, &res)
	return res.GetQuote(), err
}

// quote locks the plan over three months.
func (p *payer) quote(t testing.TB, checkoutID string) *paymentv1.Quote {
	t.Helper()
	q, err := p.tryQuote(t.Context(), checkoutID, 3)
	if err != nil {
		t.Fatalf("ConfirmPayChannel: %v", err)
	}
	return q
}

// commitCall is one DoCommitPayment: by a quote, or by a choice.
type commitCall struct {
	checkoutID, quoteID, pin, requestID string
	choice                              map[string]any
}

func (p *payer) tryCommit(ctx context.Context, c commitCall) (*paymentv1.DoCommitPaymentResponse, error) {
	res := &paymentv1.DoCommitPaymentResponse{}
	if c.requestID == "" {
		c.requestID = unique("commit")
	}
	if c.pin == "" {
		c.pin = rightPin
	}
	body := map[string]any{"requestId": c.requestID, "quoteId": c.quoteID, "pin": c.pin}
	if c.choice != nil {
		body["choice"] = c.choice
	}
	err := p.call(ctx, http.MethodPost, "/h5/v1/checkouts/"+c.checkoutID+"/commit", body, res)
	return res, err
}

// pay locks a plan and commits it; the payment must succeed.
func (p *payer) pay(t testing.TB, checkoutID string) *paymentv1.DoCommitPaymentResponse {
	t.Helper()
	return p.payQuote(t, checkoutID, p.quote(t, checkoutID).GetQuoteId())
}

func (p *payer) payQuote(t testing.TB, checkoutID, quoteID string) *paymentv1.DoCommitPaymentResponse {
	t.Helper()
	res, err := p.tryCommit(t.Context(), commitCall{checkoutID: checkoutID, quoteID: quoteID})
	if err != nil || res.GetState() != paymentv1.PaymentState_PAYMENT_STATE_SUCCEEDED {
		t.Fatalf("DoCommitPayment: %v, %v", res, err)
	}
	return res
}

func (p *payer) check(t testing.TB, checkoutID, quoteID string) *paymentv1.CheckCommitPaymentResponse {
	t.Helper()
	path := "/h5/v1/checkouts/" + checkoutID + "/commit-check"
	if quoteID != "" {
		path += "?quoteId=" + quoteID
	}
	res := &paymentv1.CheckCommitPaymentResponse{}
	if err := p.call(t.Context(), http.MethodGet, path, nil, res); err != nil {
		t.Fatalf("CheckCommitPayment: %v", err)
	}
	return res
}

func (p *payer) result(t testing.TB, checkoutID string) *orderv1.QueryCheckoutResultResponse {
	t.Helper()
	res := &orderv1.QueryCheckoutResultResponse{}
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/checkouts/"+checkoutID+"/result", nil, res); err != nil {
		t.Fatalf("QueryCheckoutResult: %v", err)
	}
	return res
}

func (p *payer) detail(t testing.TB, orderID string) *orderv1.OrderDetail {
	t.Helper()
	res := &orderv1.GetOrderDetailResponse{}
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/orders/"+orderID+"/detail", nil, res); err != nil {
		t.Fatalf("GetOrderDetail: %v", err)
	}
	return res.GetDetail()
}

// detail is an order as operators see it.
func (s *stack) detail(t testing.TB, orderID string) *orderv1.OrderDetail {
	t.Helper()
	res := &orderv1.GetOrderDetailResponse{}
	if err := s.rest(t.Context(), http.MethodGet, "/admin/v1/orders/"+orderID+"/detail", s.Credentials.AdminToken, nil, res); err != nil {
		t.Fatalf("GetOrderDetail: %v", err)
	}
	return res.GetDetail()
}

// credit is the payer's limit as the marketplace sees it.
func (p *payer) credit(t testing.TB) *commonv1.CreditSummary {
	t.Helper()
	res, err := billv1.NewBillServiceClient(p.s.conn).QueryUserInstalmentInfo(p.s.spm(t),
		&billv1.QueryUserInstalmentInfoRequest{UserId: p.id, Amount: idr(100_000), Business: "marketplace"})
	if err != nil {
		t.Fatalf("QueryUserInstalmentInfo: %v", told(err))
	}
	return res.GetCredit()
}

// wantCredit waits until the limit's figures are these: some of them follow events.
func (p *payer) wantCredit(t testing.TB, limit, used, held int64) {
	t.Helper()
	testkit.Eventually(t, 10*time.Second, func() error {
		c := p.credit(t)
		if c.GetLimit().GetAmountMinor() != limit || c.GetUsed().GetAmountMinor() != used || c.GetHeld().GetAmountMinor() != held ||
			c.GetAvailable().GetAmountMinor() != limit-used-held {
			return fmt.Errorf("credit %v, want limit %d used %d held %d", c, limit, used, held)
		}
		return nil
	})
}

// confirm says that goods were received and gives the results.
func (s *stack) confirm(t testing.TB, orderIDs ...string) []*orderv1.OrderResult {
	t.Helper()
	res, err := orderv1.NewOrderServiceClient(s.conn).ConfirmPayment(s.spm(t), &orderv1.ConfirmPaymentRequest{RequestId: unique("confirm"), OrderIds: orderIDs})
	if err != nil {
		t.Fatalf("ConfirmPayment: %v", told(err))
	}
	return res.GetResults()
}

// takeBack takes orders back and gives the results.
func (s *stack) takeBack(t testing.TB, orderIDs ...string) []*orderv1.OrderResult {
	t.Helper()
	res, err := orderv1.NewOrderServiceClient(s.conn).CancelPayments(s.spm(t),
		&orderv1.CancelPaymentsRequest{RequestId: unique("cancel"), OrderIds: orderIDs, Reason: "changed my mind"})
	if err != nil {
		t.Fatalf("CancelPayments: %v", told(err))
	}
	return res.GetResults()
}

// order reads an order as the marketplace does.
func (s *stack) order(t testing.TB, orderID string) *orderv1.OrderBrief {
	t.Helper()
	res, err := orderv1.NewOrderServiceClient(s.conn).GetOrderInfo(s.spm(t), &orderv1.GetOrderInfoRequest{OrderId: orderID})
	if err != nil {
		t.Fatalf("GetOrderInfo: %v", told(err))
	}
	return res.GetOrder()
}

// awaitOrder waits until an order is in a state.
func (s *stack) awaitOrder(t testing.TB, orderID string, want orderv1.OrderState) {
	t.Helper()
	testkit.Eventually(t, 15*time.Second, func() error {
		if got := s.order(t, orderID).GetState(); got != want {
			return fmt.Errorf("order %s is %s, want %s", orderID, got, want)
		}
		return nil
	})
}

// awaitLoan waits until the loan of an order is in a state, and gives the order.
func (p *payer) awaitLoan(t testing.TB, orderID, want string) *orderv1.OrderDetail {
	t.Helper()
	var d *orderv1.OrderDetail
	testkit.Eventually(t, 15*time.Second, func() error {
		if d = p.detail(t, orderID); d.GetLoanState() != want {
			return fmt.Errorf("the loan is %q, want %q", d.GetLoanState(), want)
		}
		return nil
	})
	return d
}
