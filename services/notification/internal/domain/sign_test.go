package domain_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

type vectors struct {
	PayProtocolSelf struct{ Secret, String, Sign string } `json:"pay_protocol_self"`
	GMSelf          struct {
		Canonical string `json:"canonical"`
		AppKey    string `json:"appKey"`
		GM1       string `json:"gm1"`
		GM2       string `json:"gm2"`
	} `json:"gm_self"`
	SeedBSelf struct {
		Fields         [7]string `json:"fields"`
		APIKey, SHA256 string
	} `json:"seed_b_self"`
	Ladder      []int `json:"ladder_24h4m_s"`
	PayProtocol []int `json:"payprotocol_sends_s"`
}

func load(t *testing.T) vectors {
	t.Helper()
	text, err := os.ReadFile("testdata/protocols.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// The examples that the Standard Webhooks libraries publish for their own signers.
func TestStandardWebhooksExamples(t *testing.T) {
	t.Parallel()
	for _, v := range []struct {
		key, id string
		at      int64
		body    string
		want    string
	}{
		{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, `{"test": 2432232314}`, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
		{"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1649367553, `{"email":"test@example.com","username":"test_user"}`, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="},
	} {
		got, err := domain.SignStandard(secret.Masked(v.key), v.id, time.Unix(v.at, 0), []byte(v.body))
		if err != nil || got != v.want {
			t.Errorf("%s: %s, %v; want %s", v.id, got, err, v.want)
		}
	}
	for _, bad := range []secret.Masked{"", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base64"} {
		if _, err := domain.SignStandard(bad, "x", time.Unix(0, 0), nil); err == nil {
			t.Errorf("a secret of another form was taken")
		}
	}
}

func TestVectorPayProtocolSelf(t *testing.T) {
	t.Parallel()
	v := load(t).PayProtocolSelf
	const method, path = "POST", "/api/mer/payment/createPaymentOrder"
	body, ok := strings.CutPrefix(v.String, "1700000000"+method+path)
	if !ok {
		t.Fatal(v.String)
	}
	if got := domain.SignPayProtocol(secret.Masked(v.Secret), time.Unix(1700000000, 0), method, path, []byte(body)); got != v.Sign {
		t.Errorf("%s, want %s", got, v.Sign)
	}
}

func TestVectorGMSelf(t *testing.T) {
	t.Parallel()
	v := load(t).GMSelf
	canonical := domain.GMCanonical(map[string]string{"timestamp": "1617096420811", "outTradeNo": "110", "nonce": "1617095820812", "appId": "10123",
		"signature": "not a part", "empty": ""})
	if canonical != v.Canonical {
		t.Errorf("%s, want %s", canonical, v.Canonical)
	}
	if got := domain.SignGM1(secret.Masked(v.AppKey), canonical); got != v.GM1 {
		t.Errorf("GM1: %s, want %s", got, v.GM1)
	}
	if got := domain.SignGM2(secret.Masked(v.AppKey), canonical); got != v.GM2 {
		t.Errorf("GM2: %s, want %s", got, v.GM2)
	}
}

func TestVectorSeedBSelf(t *testing.T) {
	t.Parallel()
	v := load(t).SeedBSelf
	f := v.Fields
	c := domain.Checkout{MerchantID: f[0], MerchantOrderID: f[1], RequestType: f[2], Currency: f[3], OrderAmount: f[4], PaymentMethod: f[5], ShopperID: f[6]}
	if got := c.Digest(secret.Masked(v.APIKey)); got != v.SHA256 {
		t.Errorf("%s, want %s", got, v.SHA256)
	}
}

// Computed with another program: printf '1700000000\n1700000000000000042\nPOST\n/told?shop=1\n%s' "$(printf '{"a":"1"}' | sha256sum | cut -d' ' -f1)" |
// openssl dgst -sha256 -hmac testkey.
func TestVectorSignatureV2(t *testing.T) {
	t.Parallel()
	got := domain.SignCheckoutV2("testkey", time.Unix(1700000000, 0), "1700000000000000042", "POST", "/told?shop=1", []byte(`{"a":"1"}`))
	if want := "ae57cbefda8906dcc1b0c7e525f6aa210dd136a8416c34afe7e96ba9a112b0dc"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func stamp(keys ...secret.Masked) domain.Stamp {
	return domain.Stamp{EventID: "evt_1", URL: "https://shop.example/hooks/pay?shop=1", KeyName: "app-7", Keys: keys, Time: time.UnixMilli(1617095820812), Nonce: "000042"}
}

func TestUnderStandardEveryLiveKeySignsTheNewestFirst(t *testing.T) {
	t.Parallel()
	fresh, old := domain.Standard.NewSecret(make([]byte, domain.SecretSize)), domain.Standard.NewSecret([]byte(strings.Repeat("x", domain.SecretSize)))
	body := []byte(`{"a":1}`)
	m, err := domain.Standard.Sign(body, stamp(fresh, old))
	if err != nil {
		t.Fatal(err)
	}
	one, _ := domain.SignStandard(fresh, "evt_1", stamp().Time, body)
	two, _ := domain.SignStandard(old, "evt_1", stamp().Time, body)
	if m.Headers["webhook-signature"] != one+" "+two || m.Headers["webhook-id"] != "evt_1" || m.Headers["webhook-timestamp"] != "1617095820" || string(m.Body) != `{"a":1}` {
		t.Errorf("%v", m)
	}
	for _, p := range domain.Profiles() {
		if _, err := p.Sign(body, stamp()); err == nil {
			t.Errorf("%s signs without a key", p)
		}
	}
}

func TestPayProtocolSignsPathWithQueryAndBody(t *testing.T) {
	t.Parallel()
	m, err := domain.PayProtocol.Sign([]byte(`{"a":1}`), stamp("new", "old"))
	want := domain.SignPayProtocol("old", stamp().Time, "POST", "/hooks/pay?shop=1", []byte(`{"a":1}`))
	if err != nil || m.Headers["X-PAY-SIGN"] != want || m.Headers["X-PAY-KEY"] != "app-7" || m.Headers["X-PAY-TIMESTAMP"] != "1617095820" {
		t.Errorf("%v, %v", m, err)
	}
}

func TestACashierDesksMessageIsItsFrozenBodyWithSignedFields(t *testing.T) {
	t.Parallel()
	m, err := domain.CashierDesk.Sign([]byte(`{"outTradeNo":"110","amount":5,"none":null,"data":{"x":1}}`), stamp("000000"))
	if err != nil {
		t.Fatal(err)
	}
	canonical := "amount=5&appId=app-7&nonce=1617095820812000042&outTradeNo=110&timestamp=1617096420812"
	want := `{"outTradeNo":"110","amount":5,"none":null,"data":{"x":1},"appId":"app-7","nonce":"1617095820812000042","timestamp":"1617096420812","signature":"` +
		domain.SignGM2("000000", canonical) + `"}`
	if string(m.Body) != want || !json.Valid(m.Body) {
		t.Errorf("%s\nwant %s", m.Body, want)
	}
}

func TestTheOlderCashierDeskDiffersInItsSignatureOnly(t *testing.T) {
	t.Parallel()
	body := []byte(`{"outTradeNo":"110"}`)
	m, err := domain.CashierDeskGM1.Sign(body, stamp("000000"))
	canonical := "appId=app-7&nonce=1617095820812000042&outTradeNo=110&timestamp=1617096420812"
	want := `{"outTradeNo":"110","appId":"app-7","nonce":"1617095820812000042","timestamp":"1617096420812","signature":"` + domain.SignGM1("000000", canonical) + `"}`
	if err != nil || string(m.Body) != want {
		t.Errorf("%s\nwant %s, %v", m.Body, want, err)
	}
}

// paidNotice is of an order that was paid by instalments.
func paidNotice(c money.Currency) domain.Notice {
	return domain.Notice{Type: "order.paid", MerchantID: "M001", OutOrderNo: "ORD20221218001", Payload: []byte(`{"order":{}}`), NotifyURL: "https://market.example/?key=1",
		Order: domain.OrderFacts{UserID: "S1", Amount: money.New(100000, c), Paid: money.New(100000, c), PaymentMethod: "CREDIT", PayTime: noon().Add(time.Millisecond)}}
}

func TestAConsolesBodyIsFlatAndInItsOrder(t *testing.T) {
	t.Parallel()
	unknown := paidNotice(money.IDR())
	unknown.Order = domain.OrderFacts{}
	for _, c := range []struct {
		notice domain.Notice
		change string
		want   string
	}{
		{paidNotice(money.IDR()), "order.paid", `{"merchant_id":"M001","merchant_order_id":"ORD20221218001","request_type":"PAY","currency":"IDR","order_amount":"100000",` +
			`"pay_amount":"100000","shopper_id":"S1","status":"PAID","payment_method":"CREDIT","pay_time":"2026-03-01T12:00:00.001Z"}`},
		{paidNotice(money.USD()), "order.paid", `{"merchant_id":"M001","merchant_order_id":"ORD20221218001","request_type":"PAY","currency":"USD","order_amount":"1000.00",` +
			`"pay_amount":"1000.00","shopper_id":"S1","status":"PAID","payment_method":"CREDIT","pay_time":"2026-03-01T12:00:00.001Z"}`},
		{paidNotice(money.IDR()), "order.cancelled", `{"merchant_id":"M001","merchant_order_id":"ORD20221218001","request_type":"PAY","currency":"IDR","order_amount":"100000",` +
			`"shopper_id":"S1","status":"CANCELLED","payment_method":"CREDIT"}`},
		{paidNotice(money.IDR()), "order.expired", `{"merchant_id":"M001","merchant_order_id":"ORD20221218001","request_type":"PAY","currency":"IDR","order_amount":"100000",` +
			`"shopper_id":"S1","status":"CANCELLED","payment_method":"CREDIT"}`},
		{unknown, "order.paid", `{"merchant_id":"M001","merchant_order_id":"ORD20221218001","request_type":"PAY","status":"PAID"}`},
	} {
		c.notice.Type = c.change
		if body, err := c.notice.Body(domain.CheckoutJSP); err != nil || string(body) != c.want {
			t.Errorf("%s\nwant %s, %v", body, c.want, err)
		}
	}
	full, err := json.Marshal(domain.Checkout{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"})
	if want := `{"merchant_id":"1","merchant_order_id":"2","request_type":"3","currency":"4","order_amount":"5","pay_amount":"6","shopper_id":"7","email":"8",` +
		`"shopper_name":"9","status":"10","payment_method":"11","account_name":"12","account_number":"13","qr_code_image":"14","pay_time":"15","confirm_time":"16"}`; err != nil ||
		string(full) != want {
		t.Errorf("%s\nwant %s, %v", full, want, err)
	}
}

// A receiver checks the digest over the texts that it reads, and the headers' signature over the bytes that it got.
func TestAConsolesCallbackCarriesTheLegacyDigestAndASignatureOfAllOfIt(t *testing.T) {
	t.Parallel()
	body, err := paidNotice(money.IDR()).Body(domain.CheckoutJSP)
	if err != nil {
		t.Fatal(err)
	}
	m, err := domain.CheckoutJSP.Sign(body, stamp("next", "fresh"))
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("M001" + "ORD20221218001" + "PAY" + "IDR" + "100000" + "CREDIT" + "S1" + "fresh"))
	if want := string(body[:len(body)-1]) + `,"encryption_data":"` + hex.EncodeToString(digest[:]) + `"}`; string(m.Body) != want || !json.Valid(m.Body) {
		t.Errorf("%s\nwant %s", m.Body, want)
	}
	want := map[string]string{"X-Timestamp": "1617095820", "X-Nonce": "1617095820812000042",
		"X-Signature-V2": domain.SignCheckoutV2("fresh", stamp().Time, "1617095820812000042", "POST", "/hooks/pay?shop=1", m.Body)}
	if !maps.Equal(m.Headers, want) {
		t.Errorf("%v, want %v", m.Headers, want)
	}
	if _, err := domain.CheckoutJSP.Sign([]byte(`[]`), stamp("fresh")); err == nil {
		t.Error("a body that is no object was signed")
	}
}

func TestWhatAcknowledges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		profile domain.Profile
		status  int
		body    string
		cut, ok bool
	}{
		{domain.Standard, 200, "", false, true}, {domain.Standard, 204, "anything", true, true}, {domain.Standard, 302, "", false, false},
		{domain.Standard, 199, "", false, false}, {domain.Standard, 300, "", false, false}, {domain.Standard, 500, "", false, false},
		{domain.PayProtocol, 200, "success", false, true}, {domain.PayProtocol, 200, "success\n", false, true}, {domain.PayProtocol, 200, "SUCCESS", false, false},
		{domain.PayProtocol, 200, `"success"`, false, false}, {domain.PayProtocol, 200, "success", true, false}, {domain.PayProtocol, 201, "success", false, false},
		{domain.CashierDesk, 200, `{"code":1000}`, false, true}, {domain.CashierDesk, 200, `{"code": 1000, "msg": "ok"}`, false, true},
		{domain.CashierDesk, 200, `{"code":"1000"}`, false, false}, {domain.CashierDesk, 200, `{"code":1001}`, false, false}, {domain.CashierDesk, 200, `code=1000`, false, false},
		{domain.CashierDesk, 201, `{"code":1000}`, false, false}, {domain.CashierDesk, 200, `[1000]`, false, false}, {domain.CashierDesk, 200, ``, false, false},
		{domain.CashierDeskGM1, 200, `{"code":1000}`, false, true}, {domain.CashierDeskGM1, 200, `{"code":1001}`, false, false},
		{domain.CheckoutJSP, 200, "whatever", true, true}, {domain.CheckoutJSP, 204, "", false, true}, {domain.CheckoutJSP, 302, "", false, false}, {domain.CheckoutJSP, 500, "", false, false},
		{domain.Profile(9), 200, "", false, false},
	} {
		if why := c.profile.Acknowledged(domain.Answer{Status: c.status, Body: []byte(c.body), Cut: c.cut}); (why == "") != c.ok {
			t.Errorf("%s %d %q: %q", c.profile, c.status, c.body, why)
		}
	}
}
