package devstack

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/rpckit"
	"github.com/creditpay/creditpay/pkg/text"

	"github.com/creditpay/creditpay/deploy/signing"
)

// script is one purchase seen from outside: the marketplace over gRPC, the payer's page over REST. Each step prints what it
// called and what came back.
type script struct {
	out   io.Writer
	rest  string
	conn  *grpc.ClientConn
	creds Credentials
	http  *http.Client
	codes string
	step  int
}

const (
	demoAmount = 300_000
	demoTenor  = 3
)

// refusal is a rule's answer to a step.
type refusal struct {
	Code    string `json:"code"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

func (r *refusal) Error() string { return r.Reason + ": " + r.Message }

// run walks the purchase. What a rule refuses ends the walk and not the stack: the demo payer may be overdue or frozen since an
// earlier run, whose data stays.
func (s *script) run(ctx context.Context) error {
	err := s.walk(ctx)
	var r *refusal
	if errors.As(err, &r) {
		s.back("refused, %s: %s", r.Reason, r.Message)
		return nil
	}
	return err
}

func (s *script) walk(ctx context.Context) error {
	s.say("\nOne purchase, step by step. The marketplace (SPM) calls gRPC, the payer's page (H5) calls REST.\n")
	checkout, err := s.generate(ctx)
	if err != nil {
		return err
	}
	if err := s.look(ctx, checkout); err != nil {
		return err
	}
	quote, err := s.choose(ctx, checkout)
	if err != nil {
		return err
	}
	signed, err := s.signed(ctx, checkout)
	if err != nil {
		return err
	}
	pay := s.pay
	if !signed {
		pay = s.sign
	}
	if err := pay(ctx, checkout, quote); err != nil {
		return err
	}
	orderID := checkout.GetOrders()[0].GetOrderId()
	if err := s.confirm(ctx, orderID); err != nil {
		return err
	}
	return s.show(ctx, orderID)
}

func (s *script) generate(ctx context.Context) (*orderv1.Checkout, error) {
	no := "DEMO-" + strings.ToUpper(rand.Text()[:10])
	req := &orderv1.GeneratePaymentsRequest{RequestId: "demo-" + no, UserId: s.creds.H5UserID, Business: "marketplace", CurrencyCode: "IDR",
		RedirectUrl: "https://shop.example/thanks", Orders: []*orderv1.OrderDraft{{MerchantId: "shop-1", OutOrderNo: no, Title: "Running shoes",
			Amount: &commonv1.Money{AmountMinor: new(int64(demoAmount)), CurrencyCode: "IDR"},
			Items: []*orderv1.OrderItem{{Sku: "SHOE-42", Name: "Running shoes, 42", Quantity: 1,
				UnitPrice: &commonv1.Money{AmountMinor: new(int64(demoAmount)), CurrencyCode: "IDR"}}}}}}
	s.head("SPM", "gRPC creditpay.order.v1.OrderService/GeneratePayments", "the marketplace opens a checkout over Rp300,000")
	res, err := orderv1.NewOrderServiceClient(s.conn).GeneratePayments(s.as(ctx, s.creds.SPMToken), req)
	if err != nil {
		return nil, fmt.Errorf("GeneratePayments: %w", err)
	}
	s.back("checkout %s, order %s, state %s", res.GetCheckout().GetCheckoutId(), res.GetCheckout().GetOrders()[0].GetOrderId(),
		short(res.GetCheckout().GetOrders()[0].GetState().String(), "ORDER_STATE_"))
	return res.GetCheckout(), nil
}

func (s *script) look(ctx context.Context, c *orderv1.Checkout) error {
	path := "/h5/v1/checkouts/" + c.GetCheckoutId()
	s.head("H5", "GET "+path, "the page shows the credit line and the plans on offer")
	var res orderv1.QueryCheckoutInfoResponse
	if err := s.call(ctx, http.MethodGet, path, nil, &res); err != nil {
		return err
	}
	s.back("available %s", rupiah(res.GetCredit().GetAvailable()))
	for _, p := range res.GetPlans() {
		if n := len(p.GetInstalments()); n > 0 {
			s.more("%-16s over %2d mo.: first %s, last %s, total %s (effective %.2f %% a year)", p.GetProductCode(), p.GetTenorMonths(),
				rupiah(p.GetInstalments()[0].GetTotal()), rupiah(p.GetInstalments()[n-1].GetTotal()), rupiah(p.GetTotal()),
				float64(p.GetEffectiveAnnualRatePpm())/10_000)
		}
	}
	return nil
}

func (s *script) choose(ctx context.Context, c *orderv1.Checkout) (*paymentv1.Quote, error) {
	path := "/h5/v1/checkouts/" + c.GetCheckoutId() + "/quote"
	s.head("H5", "POST "+path, fmt.Sprintf("the payer picks credit over %d months; the quote is locked", demoTenor))
	var res paymentv1.ConfirmPayChannelResponse
	body := map[string]any{"requestId": "quote-" + rand.Text(), "channel": "CREDIT", "tenorMonths": demoTenor}
	if err := s.call(ctx, http.MethodPost, path, body, &res); err != nil {
		return nil, err
	}
	s.back("quote %s, total %s, valid until %s", res.GetQuote().GetQuoteId(), rupiah(res.GetQuote().GetPlan().GetTotal()),
		res.GetQuote().GetExpireTime().AsTime().Format(time.TimeOnly))
	return res.GetQuote(), nil
}

func (s *script) pay(ctx context.Context, c *orderv1.Checkout, q *paymentv1.Quote) error {
	path := "/h5/v1/checkouts/" + c.GetCheckoutId() + "/commit"
	s.head("H5", "POST "+path, "the payer enters the PIN; the limit is held and the order is paid")
	var res paymentv1.DoCommitPaymentResponse
	body := map[string]any{"requestId": "commit-" + rand.Text(), "quoteId": q.GetQuoteId(), "pin": s.creds.H5Pin}
	if err := s.call(ctx, http.MethodPost, path, body, &res); err != nil {
		return err
	}
	s.back("payment %s", short(res.GetState().String(), "PAYMENT_STATE_"))
	if res.GetState() != paymentv1.PaymentState_PAYMENT_STATE_SUCCEEDED {
		return fmt.Errorf("the demo purchase was not paid: %s", res.GetFailureMessage())
	}
	return nil
}

func (s *script) confirm(ctx context.Context, orderID string) error {
	s.head("SPM", "gRPC creditpay.order.v1.OrderService/ConfirmPayment", "the goods arrived: the hold becomes a loan")
	res, err := orderv1.NewOrderServiceClient(s.conn).ConfirmPayment(s.as(ctx, s.creds.SPMToken),
		&orderv1.ConfirmPaymentRequest{RequestId: "confirm-" + rand.Text(), OrderIds: []string{orderID}})
	if err != nil {
		return fmt.Errorf("ConfirmPayment: %w", err)
	}
	r := res.GetResults()[0]
	s.back("order %s", short(r.GetState().String(), "ORDER_STATE_"))
	if r.GetState() != orderv1.OrderState_ORDER_STATE_CONFIRMED {
		return fmt.Errorf("the demo order was not confirmed: %s", r.GetMessage())
	}
	return nil
}

// show waits until the event has made the loan active, then prints its due dates and the timeline.
func (s *script) show(ctx context.Context, orderID string) error {
	path := "/h5/v1/orders/" + orderID + "/detail"
	s.head("H5", "GET "+path, "what the order has become")
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	var res orderv1.GetOrderDetailResponse
	for {
		if err := s.call(ctx, http.MethodGet, path, nil, &res); err != nil {
			return err
		}
		if res.GetDetail().GetLoanState() == "ACTIVE" {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the demo loan did not become active in time; it is %q", res.GetDetail().GetLoanState())
		case <-ticker.C:
		}
	}
	d := res.GetDetail()
	s.back("loan %s is %s", d.GetLoanId(), d.GetLoanState())
	for _, i := range d.GetPlan().GetInstalments() {
		s.more("due %s: %s (principal %s, interest %s, fee %s)", i.GetDueDate(), rupiah(i.GetTotal()), rupiah(i.GetPrincipal()),
			rupiah(i.GetInterest()), rupiah(i.GetFee()))
	}
	s.more("timeline:")
	for _, e := range d.GetTimeline() {
		s.more("  %s %-8s %-10s → %-10s %s", e.GetTime().AsTime().Format("15:04:05.000"), e.GetService(), e.GetFromState(), e.GetToState(), e.GetActor())
	}
	return nil
}

// seed opens the demo user's account, enters who signs, and sets the PIN. All calls are idempotent, so every start makes them.
func (s *script) seed(ctx context.Context) error {
	admin := billv1.NewBillAdminServiceClient(s.conn)
	_, err := admin.OpenCreditAccount(s.as(ctx, s.creds.AdminToken), &billv1.OpenCreditAccountRequest{RequestId: "seed-demo-account",
		UserId: s.creds.H5UserID, Limit: &commonv1.Money{AmountMinor: new(int64(50_000_000)), CurrencyCode: "IDR"}, Reason: "demo account of the development stack"})
	if err != nil {
		return fmt.Errorf("open the demo account: %w", err)
	}
	_, err = admin.SetSigningProfile(s.as(ctx, s.creds.AdminToken), &billv1.SetSigningProfileRequest{RequestId: "seed-demo-profile",
		UserId: s.creds.H5UserID, FullName: signing.Name, Phone: signing.PhoneOf(s.creds.H5UserID), Reason: "demo account of the development stack"})
	if err != nil {
		return fmt.Errorf("enter who signs for the demo account: %w", err)
	}
	if err := s.seedPin(ctx); err != nil {
		return fmt.Errorf("set the demo PIN: %w", err)
	}
	return nil
}

// seedPin sets the demo user's PIN. The demo token says that its user has just signed in with a second factor, which is proof enough for
// some minutes after it was made; later a one-time code is.
func (s *script) seedPin(ctx context.Context) error {
	payments := paymentv1.NewPaymentServiceClient(s.conn)
	set := &paymentv1.SetPaymentPinRequest{RequestId: "seed-demo-pin", NewPin: s.creds.H5Pin}
	_, err := payments.SetPaymentPin(s.as(ctx, s.creds.H5Token), set)
	if !errs.Is(err, errs.PinProofRequired) && !errs.Is(rpckit.FromStatus(err), errs.PinProofRequired) {
		return err
	}
	sent, err := payments.SendPinCode(s.as(ctx, s.creds.H5Token), &paymentv1.SendPinCodeRequest{RequestId: "pin-" + rand.Text()})
	if err != nil {
		return err
	}
	set.RequestId, set.ChallengeId = "seed-demo-pin-code", sent.GetChallengeId()
	if set.Code, err = signing.AwaitCode(ctx, s.codes, s.creds.H5UserID, sent.GetChallengeId()); err != nil {
		return err
	}
	_, err = payments.SetPaymentPin(s.as(ctx, s.creds.H5Token), set)
	return err
}

func (s *script) as(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

func (s *script) call(ctx context.Context, method, path string, body map[string]any, into proto.Message) error {
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.rest+path, payload)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.creds.H5Token)
	req.Header.Set("Content-Type", "application/json")
	res, err := s.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if res.StatusCode != http.StatusOK {
		var answer struct {
			Error refusal `json:"error"`
		}
		if err := json.Unmarshal(text, &answer); err == nil && (answer.Error.Code == "FAILED_PRECONDITION" || answer.Error.Code == "PERMISSION_DENIED") {
			return &answer.Error
		}
		return fmt.Errorf("%s %s: HTTP %d: %s", method, path, res.StatusCode, text)
	}
	proto.Reset(into)
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, into)
}

func (s *script) say(format string, args ...any) { _ = text.Fprintf(s.out, format+"\n", args...) }

func (s *script) head(who, call, what string) {
	s.step++
	s.say("%d. %-4s %s", s.step, who, call)
	s.say("        %s", what)
}

func (s *script) back(format string, args ...any) { s.say("     ←  "+format, args...) }

func (s *script) more(format string, args ...any) { s.say("        "+format, args...) }

func short(name, prefix string) string { return strings.TrimPrefix(name, prefix) }

// rupiah writes an amount of IDR as Indonesians do in English text: Rp1,234,567.
func rupiah(m *commonv1.Money) string {
	if m == nil {
		return "none"
	}
	digits := fmt.Sprint(m.GetAmountMinor())
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return "Rp" + digits
}
