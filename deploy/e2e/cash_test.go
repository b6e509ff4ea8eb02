package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// asService calls as the service of that name does.
func (s *stack) asService(t testing.TB, name string) context.Context {
	t.Helper()
	return as(t.Context(), s.mint(t, caller.Caller{Kind: caller.Service, Name: name}))
}

// repaymentLeg is where a new user pays so much: without a debt it becomes credit balance.
func (s *stack) repaymentLeg(t testing.TB, minor int64) *paymentv1.CashLeg {
	t.Helper()
	p := s.stranger(t)
	p.openAccount(t, 1_000_000)
	return s.cashLeg(t, p.repay(t, map[string]any{"amount": map[string]any{"amountMinor": minor, "currencyCode": "IDR"}}).GetRepaymentId())
}

// repay begins a repayment of the payer.
func (p *payer) repay(t testing.TB, what map[string]any) *billv1.RepayBillsResponse {
	t.Helper()
	body := map[string]any{"requestId": unique("repay"), "channel": "VA_BCA"}
	maps.Copy(body, what)
	res := &billv1.RepayBillsResponse{}
	if err := p.call(t.Context(), http.MethodPost, "/h5/v1/repayments", body, res); err != nil {
		t.Fatalf("RepayBills: %v", err)
	}
	return res
}

func (s *stack) cashLeg(t testing.TB, subject string) *paymentv1.CashLeg {
	t.Helper()
	res, err := paymentv1.NewPaymentInternalServiceClient(s.conn).GetCashLeg(s.asService(t, "bill"), &paymentv1.GetCashLegRequest{SubjectId: subject})
	if err != nil {
		t.Fatalf("GetCashLeg: %v", told(err))
	}
	return res.GetLeg()
}

// press presses a button of the cash desk and gives its status and the leg that it shows then.
func (s *stack) press(t testing.TB, button string, form url.Values) (int, *paymentv1.CashLeg, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Info.Cashier+button, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	res, err := s.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var body struct {
		Leg    json.RawMessage `json:"leg"`
		Reason string          `json:"reason"`
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		t.Fatalf("HTTP %d: %v", res.StatusCode, err)
	}
	leg := &paymentv1.CashLeg{}
	if len(body.Leg) > 0 {
		if err := protojson.Unmarshal(body.Leg, leg); err != nil {
			t.Fatal(err)
		}
	}
	return res.StatusCode, leg, body.Reason
}

// notice is what the marketplace says of a leg when nothing is wrong with it.
func notice(l *paymentv1.CashLeg, status paymentv1.ExternalLegStatus) *paymentv1.NotifyPaymentStatusRequest {
	return &paymentv1.NotifyPaymentStatusRequest{RequestId: unique("notice"), ExternalReference: l.GetReference(), Leg: l.GetKind(), Status: status,
		Amount: l.GetAmount()}
}

func (s *stack) notify(t testing.TB, n *paymentv1.NotifyPaymentStatusRequest) (paymentv1.LegState, error) {
	t.Helper()
	res, err := paymentv1.NewPaymentServiceClient(s.conn).NotifyPaymentStatus(s.spm(t), n)
	return res.GetState(), told(err)
}

const (
	tellPaid     = paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_PAID
	tellRefunded = paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_REFUNDED
)

func TestARepaymentIsPaidAtTheCashDeskAndBounces(t *testing.T) {
	t.Parallel()
	s := shared(t)
	channels, err := paymentv1.NewPaymentInternalServiceClient(s.conn).ListCashChannels(s.asService(t, "bill"), &paymentv1.ListCashChannelsRequest{})
	if err != nil || len(channels.GetChannels()) < 3 || channels.GetChannels()[0].GetCode() != "VA_BCA" {
		t.Fatalf("ListCashChannels: %v, %v", channels, told(err))
	}
	leg := s.repaymentLeg(t, 125_000)
	if leg.GetRedirectUrl() != s.Info.Cashier+"?reference="+leg.GetReference() || leg.GetState() != paymentv1.LegState_LEG_STATE_PENDING {
		t.Fatalf("leg %v", leg)
	}
	res, err := s.http.Get(leg.GetRedirectUrl())
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(page), leg.GetReference()) || !strings.Contains(string(page), "PENDING") {
		t.Errorf("HTTP %d, %v: %s", res.StatusCode, err, page)
	}
	form := url.Values{"reference": {leg.GetReference()}}
	wrong := url.Values{"reference": {leg.GetReference()}, "amount": {"1"}}
	if code, got, reason := s.press(t, "pay", wrong); code != http.StatusBadRequest || reason != errs.LegAmountMismatch.Name() || got.GetState() != paymentv1.LegState_LEG_STATE_PENDING {
		t.Errorf("a wrong amount: HTTP %d %s, %v", code, reason, got)
	}
	for range 2 {
		if code, got, reason := s.press(t, "pay", form); code != http.StatusOK || got.GetState() != paymentv1.LegState_LEG_STATE_SUCCEEDED || got.GetPayTime() == nil {
			t.Errorf("pay: HTTP %d %s, %v", code, reason, got)
		}
	}
	if got := s.cashLeg(t, leg.GetSubjectId()); got.GetState() != paymentv1.LegState_LEG_STATE_SUCCEEDED || got.GetRedirectUrl() != "" {
		t.Errorf("leg %v", got)
	}
	if code, got, reason := s.press(t, "refund", form); code != http.StatusOK || got.GetState() != paymentv1.LegState_LEG_STATE_REVERSED {
		t.Errorf("refund: HTTP %d %s, %v", code, reason, got)
	}
	s.proveBooks(t)
}

func TestANotificationIsRefusedForWhatIsWrongWithIt(t *testing.T) {
	t.Parallel()
	s := shared(t)
	leg := s.repaymentLeg(t, 50_000)
	for name, c := range map[string]struct {
		change func(*paymentv1.NotifyPaymentStatusRequest)
		want   errs.Reason
	}{
		"unknown reference": {func(n *paymentv1.NotifyPaymentStatusRequest) {
			n.ExternalReference = ids.Format(ids.Leg, ids.NewGenerator(clock.System()).New())
		}, errs.NotFound},
		"malformed reference": {func(n *paymentv1.NotifyPaymentStatusRequest) { n.ExternalReference = "leg_x" }, errs.InvalidArgument},
		"another kind": {func(n *paymentv1.NotifyPaymentStatusRequest) {
			n.Leg = paymentv1.ExternalLegKind_EXTERNAL_LEG_KIND_DOWN_PAYMENT
		}, errs.InvalidArgument},
		"another amount": {func(n *paymentv1.NotifyPaymentStatusRequest) { n.Amount = idr(49_999) }, errs.LegAmountMismatch},
		"another currency": {func(n *paymentv1.NotifyPaymentStatusRequest) {
			n.Amount = &commonv1.Money{AmountMinor: new(int64(50_000)), CurrencyCode: "USD"}
		}, errs.LegAmountMismatch},
		"no status": {func(n *paymentv1.NotifyPaymentStatusRequest) { n.Status = 0 }, errs.InvalidArgument},
	} {
		n := notice(leg, tellPaid)
		c.change(n)
		if _, err := s.notify(t, n); reasonOf(t, err) != c.want.Name() {
			t.Errorf("%s: %v, want %s", name, err, c.want.Name())
		}
	}
	n := notice(leg, tellPaid)
	for range 2 {
		if state, err := s.notify(t, n); err != nil || state != paymentv1.LegState_LEG_STATE_SUCCEEDED {
			t.Errorf("%s, %v", state, err)
		}
	}
	n.Status = tellRefunded
	_, err := s.notify(t, n)
	wantReason(t, err, errs.RequestIDReused)
	s.proveBooks(t)
}

func TestAPlanWithoutADownPaymentTakesNoChannelForOne(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 1_000_000)
	c := p.checkout(t, 100_000)
	res := &paymentv1.ConfirmPayChannelResponse{}
	err := p.call(t.Context(), http.MethodPost, "/h5/v1/checkouts/"+c.GetCheckoutId()+"/quote", map[string]any{"requestId": unique("quote"),
		"channel": "CREDIT", "tenorMonths": 3, "downPaymentChannel": "VA_BCA"}, res)
	wantReason(t, err, errs.ChannelNotAvailable)
	paid := p.pay(t, c.GetCheckoutId())
	down := &paymentv1.QueryDownPayResultResponse{}
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/payments/"+paid.GetPayments()[0].GetPaymentId()+"/down-payment", nil, down); err != nil || down.GetLeg() != nil {
		t.Errorf("QueryDownPayResult: %v, %v", down, err)
	}
}

func TestARepaymentThatNobodyPaysExpiresByTheClockAndLateMoneyGoesBack(t *testing.T) {
	t.Parallel()
	s := alone(t)
	leg := s.repaymentLeg(t, 70_000)
	s.advance(t, 25*time.Hour)
	testkit.Eventually(t, 15*time.Second, func() error {
		if got := s.cashLeg(t, leg.GetSubjectId()).GetState(); got != paymentv1.LegState_LEG_STATE_FAILED {
			return fmt.Errorf("the leg is %s", got)
		}
		return nil
	})
	form := url.Values{"reference": {leg.GetReference()}}
	if code, got, reason := s.press(t, "pay", form); code != http.StatusOK || got.GetState() != paymentv1.LegState_LEG_STATE_RETURNING {
		t.Errorf("pay: HTTP %d %s, %v", code, reason, got)
	}
	if code, got, reason := s.press(t, "refund", form); code != http.StatusOK || got.GetState() != paymentv1.LegState_LEG_STATE_REVERSED {
		t.Errorf("refund: HTTP %d %s, %v", code, reason, got)
	}
	s.proveBooks(t)
}
