package domain_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

type vectors struct {
	PayProtocolSelf struct{ Secret, String, Sign string } `json:"pay_protocol_self"`
	GMSelf          struct {
		Canonical string `json:"canonical"`
		AppKey    string `json:"appKey"`
		GM2       string `json:"gm2"`
	} `json:"gm_self"`
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
	if got := domain.SignGM2(secret.Masked(v.AppKey), canonical); got != v.GM2 {
		t.Errorf("%s, want %s", got, v.GM2)
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
	want := domain.SignPayProtocol("new", stamp().Time, "POST", "/hooks/pay?shop=1", []byte(`{"a":1}`))
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
		{domain.Profile(9), 200, "", false, false},
	} {
		if why := c.profile.Acknowledged(domain.Answer{Status: c.status, Body: []byte(c.body), Cut: c.cut}); (why == "") != c.ok {
			t.Errorf("%s %d %q: %q", c.profile, c.status, c.body, why)
		}
	}
}
