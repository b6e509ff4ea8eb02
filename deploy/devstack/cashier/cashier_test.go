package cashier_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"

	"github.com/creditpay/creditpay/deploy/devstack/cashier"
)

const reference = "leg_01h455vb4pex5vsknk084sn02q"

// oneLeg is a payment service with one leg, which remembers what it was told.
type oneLeg struct {
	leg    *paymentv1.CashLeg
	told   []*paymentv1.NotifyPaymentStatusRequest
	refuse error
}

func (o *oneLeg) GetCashLeg(_ context.Context, in *paymentv1.GetCashLegRequest, _ ...grpc.CallOption) (*paymentv1.GetCashLegResponse, error) {
	if in.GetSubjectId() != o.leg.GetReference() {
		return nil, errs.NotFound.New("no such cash leg")
	}
	return &paymentv1.GetCashLegResponse{Leg: o.leg}, nil
}

func (o *oneLeg) NotifyPaymentStatus(_ context.Context, in *paymentv1.NotifyPaymentStatusRequest, _ ...grpc.CallOption) (*paymentv1.NotifyPaymentStatusResponse, error) {
	o.told = append(o.told, in)
	if o.refuse != nil {
		return nil, o.refuse
	}
	o.leg.State = paymentv1.LegState_LEG_STATE_SUCCEEDED
	return &paymentv1.NotifyPaymentStatusResponse{State: o.leg.GetState()}, nil
}

func newDesk() (*oneLeg, http.Handler) {
	o := &oneLeg{leg: &paymentv1.CashLeg{Reference: reference, Kind: paymentv1.ExternalLegKind_EXTERNAL_LEG_KIND_REPAYMENT, SubjectId: "rpy_x",
		UserId: "<script>alert(1)</script>", Channel: "WALLET", Amount: &commonv1.Money{AmountMinor: new(int64(5000)), CurrencyCode: "IDR"},
		State: paymentv1.LegState_LEG_STATE_PENDING, ExpireTime: timestamppb.Now()}}
	return o, cashier.Handler(o, o)
}

// ask makes one request from the loopback.
func ask(h http.Handler, method, target string, form url.Values, header map[string]string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, "http://127.0.0.1:4000"+target, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	if host, ok := header["Host"]; ok {
		req.Host = host
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec
}

func TestAPageShowsALegAndEscapesIt(t *testing.T) {
	t.Parallel()
	_, h := newDesk()
	rec := ask(h, http.MethodGet, "/?reference="+reference, nil, nil)
	body := rec.Body.String()
	if rec.Code != http.StatusOK || !strings.Contains(body, reference) || !strings.Contains(body, "PENDING") || strings.Contains(body, "<script>") {
		t.Errorf("HTTP %d: %s", rec.Code, body)
	}
	if policy := rec.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("policy %q", policy)
	}
	for target, want := range map[string]int{"/": 200, "/?reference=leg_other": 404, "/?reference=%3Cb%3E": 400, "/nowhere": 404} {
		if rec := ask(h, http.MethodGet, target, nil, nil); rec.Code != want || strings.Contains(rec.Body.String(), "<b>") {
			t.Errorf("%s: HTTP %d: %s", target, rec.Code, rec.Body)
		}
	}
}

func TestAPageSaysWhatIsToBeGivenBack(t *testing.T) {
	t.Parallel()
	o, h := newDesk()
	for state, back := range map[paymentv1.LegState]bool{paymentv1.LegState_LEG_STATE_PENDING: false, paymentv1.LegState_LEG_STATE_RETURNING: true} {
		o.leg.State = state
		if body := ask(h, http.MethodGet, "/?reference="+reference, nil, nil).Body.String(); strings.Contains(body, "To be given back") != back ||
			strings.Contains(body, "To be paid until") == back {
			t.Errorf("%s: %s", state, body)
		}
	}
}

func TestAButtonTellsThePaymentServiceWhatTheLegSays(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]paymentv1.ExternalLegStatus{
		"/pay":    paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_PAID,
		"/fail":   paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_FAILED,
		"/refund": paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_REFUNDED,
	} {
		o, h := newDesk()
		rec := ask(h, http.MethodPost, path, url.Values{"reference": {reference}}, map[string]string{"Accept": "application/json"})
		var got struct{ Leg struct{ State string } }
		if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || rec.Code != http.StatusOK || got.Leg.State != "LEG_STATE_SUCCEEDED" {
			t.Errorf("%s: HTTP %d %s, %v", path, rec.Code, rec.Body, err)
		}
		if len(o.told) != 1 || o.told[0].GetStatus() != want || o.told[0].GetAmount().GetAmountMinor() != 5000 || o.told[0].GetLeg() != o.leg.GetKind() ||
			o.told[0].GetExternalReference() != reference {
			t.Errorf("%s told %v", path, o.told)
		}
	}
}

func TestAWrongAmountCanBeTriedAndTheRefusalIsShown(t *testing.T) {
	t.Parallel()
	o, h := newDesk()
	o.refuse = errs.LegAmountMismatch.New("another amount")
	rec := ask(h, http.MethodPost, "/pay", url.Values{"reference": {reference}, "amount": {"4999"}, "currency": {"USD"}}, map[string]string{"Accept": "application/json"})
	if rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), `"reason":"LEG_AMOUNT_MISMATCH"`) {
		t.Errorf("HTTP %d %s", rec.Code, rec.Body)
	}
	if a := o.told[0].GetAmount(); a.GetAmountMinor() != 4999 || a.GetCurrencyCode() != "USD" {
		t.Errorf("told %v", a)
	}
}

func TestNobodyElsesPageCanPressAButton(t *testing.T) {
	t.Parallel()
	form := url.Values{"reference": {reference}}
	for name, c := range map[string]struct {
		method string
		header map[string]string
		want   int
	}{
		"another origin":       {http.MethodPost, map[string]string{"Origin": "https://evil.example"}, http.StatusForbidden},
		"another site":         {http.MethodPost, map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
		"a name pointed here":  {http.MethodPost, map[string]string{"Host": "evil.example:4000"}, http.StatusForbidden},
		"a link":               {http.MethodGet, nil, http.StatusMethodNotAllowed},
		"its own page":         {http.MethodPost, map[string]string{"Origin": "http://127.0.0.1:4000", "Sec-Fetch-Site": "same-origin"}, http.StatusOK},
		"a program without it": {http.MethodPost, nil, http.StatusOK},
	} {
		o, h := newDesk()
		target := "/pay"
		if c.method == http.MethodGet {
			target += "?reference=" + reference
		}
		rec := ask(h, c.method, target, form, c.header)
		if rec.Code != c.want || (len(o.told) == 1) != (c.want == http.StatusOK) {
			t.Errorf("%s: HTTP %d, told %d times", name, rec.Code, len(o.told))
		}
	}
}

func TestADeskIsOnTheLoopbackOnly(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "nonsense"} {
		if d, err := cashier.Listen(addr); err == nil {
			t.Errorf("%s is accepted", addr)
			_ = d.Close(t.Context())
		}
	}
	d, err := cashier.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o, _ := newDesk()
	d.Serve(o, o)
	res, err := http.Get(d.URL() + "?reference=" + reference)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%v, %v", res, err)
	}
	if err == nil {
		_ = res.Body.Close()
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
