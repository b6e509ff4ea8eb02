package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/testkit"

	"github.com/creditpay/creditpay/deploy/devstack"
	"github.com/creditpay/creditpay/deploy/signing"
)

// unsigned makes a user with an account and a PIN, who has signed nothing.
func (s *stack) unsigned(t *testing.T) *payer {
	t.Helper()
	p := s.stranger(t)
	p.openAccount(t, 1_000_000)
	p.setPin(t, rightPin)
	return p
}

// profile enters the payer's name and telephone.
func (p *payer) profile(t *testing.T) {
	t.Helper()
	var res billv1.SetSigningProfileResponse
	err := p.s.rest(t.Context(), http.MethodPost, "/admin/v1/credit-accounts/"+p.id+"/signing-profile", p.s.Credentials.AdminToken,
		map[string]any{"requestId": unique("profile"), "fullName": signing.Name, "phone": signing.PhoneOf(p.id), "reason": "e2e"}, &res)
	if err != nil || res.GetMaskedName() != "B*** S***" {
		t.Fatalf("SetSigningProfile: %v, %v", &res, err)
	}
}

// asksForCode gets a challenge and its code from the sandbox.
func (p *payer) asksForCode(t *testing.T, checkoutID string) (challenge, code string) {
	t.Helper()
	var sent billv1.SendEsignCheckResponse
	if err := p.call(t.Context(), http.MethodPost, "/h5/v1/esign/challenges", map[string]any{"requestId": unique("code"), "checkoutId": checkoutID}, &sent); err != nil {
		t.Fatalf("SendEsignCheck: %v", err)
	}
	if sent.GetMaskedTarget() != "+62 8** *** *123" || !sent.GetExpireTime().AsTime().After(sent.GetResendTime().AsTime()) {
		t.Errorf("SendEsignCheck: %v", &sent)
	}
	code, err := signing.AwaitCode(t.Context(), devstack.CodesDir(p.s.dir), p.id, sent.GetChallengeId())
	if err != nil {
		t.Fatal(err)
	}
	return sent.GetChallengeId(), code
}

func (p *payer) signsAndPays(t *testing.T, checkoutID string, body map[string]any) (*billv1.CommitAfterEsignResponse, error) {
	t.Helper()
	res := &billv1.CommitAfterEsignResponse{}
	err := p.call(t.Context(), http.MethodPost, "/h5/v1/checkouts/"+checkoutID+"/esign-commit", body, res)
	return res, err
}

func (p *payer) esignStatus(t *testing.T, checkoutID string) *billv1.PreEsignCheckResponse {
	t.Helper()
	res := &billv1.PreEsignCheckResponse{}
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/checkouts/"+checkoutID+"/esign", nil, res); err != nil {
		t.Fatalf("PreEsignCheck: %v", err)
	}
	return res
}

func TestAFirstPurchaseIsSignedWithACodeAndALaterOneIsNot(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.unsigned(t)
	c := p.checkout(t, 300_000)
	q := p.quote(t, c.GetCheckoutId())
	// Unsigned: the dry run asks for it, the commit refuses it, and nothing is held.
	if r := p.check(t, c.GetCheckoutId(), q.GetQuoteId()); r.GetReady() || len(r.GetBlockingReasons()) != 0 ||
		len(r.GetRequiredActions()) != 2 || r.GetRequiredActions()[1] != commonv1.RequiredAction_REQUIRED_ACTION_ESIGN {
		t.Errorf("CheckCommitPayment: %v", r)
	}
	_, err := p.tryCommit(t.Context(), commitCall{checkoutID: c.GetCheckoutId(), quoteID: q.GetQuoteId()})
	wantReason(t, err, errs.EsignRequired)
	p.wantCredit(t, 1_000_000, 0, 0)
	if st := p.esignStatus(t, c.GetCheckoutId()); st.GetSigned() || st.GetContractVersion() != "2026-01" || len(st.GetMissing()) != 1 {
		t.Errorf("PreEsignCheck without a profile: %v", st)
	}
	p.profile(t)
	if st := p.esignStatus(t, c.GetCheckoutId()); st.GetSigned() || len(st.GetMissing()) != 0 {
		t.Errorf("PreEsignCheck with a profile: %v", st)
	}
	challenge, code := p.asksForCode(t, c.GetCheckoutId())
	if out := s.does(t, "esign", "code", p.id); !strings.Contains(out, code) || !strings.Contains(out, challenge) {
		t.Errorf("creditctl esign code: %q", out)
	}
	var sent billv1.SendEsignCheckResponse
	err = p.call(t.Context(), http.MethodPost, "/h5/v1/esign/challenges", map[string]any{"requestId": unique("code"), "checkoutId": c.GetCheckoutId()}, &sent)
	wantReason(t, err, errs.EsignResendTooSoon)
	body := map[string]any{"requestId": unique("sign"), "challengeId": challenge, "code": "000000", "quoteId": q.GetQuoteId(), "pin": rightPin}
	if code == "000000" {
		body["code"] = "111111"
	}
	_, err = p.signsAndPays(t, c.GetCheckoutId(), body)
	wantReason(t, err, errs.EsignCodeWrong)
	body["code"] = code
	signed, err := p.signsAndPays(t, c.GetCheckoutId(), body)
	if err != nil || signed.GetCommitState() != "SUCCEEDED" || !strings.HasPrefix(signed.GetContractId(), "CP-") || signed.GetCommitId() == "" {
		t.Fatalf("CommitAfterEsign: %v, %v", signed, err)
	}
	if again, err := p.signsAndPays(t, c.GetCheckoutId(), body); err != nil || again.String() != signed.String() {
		t.Errorf("a repeat: %v, %v, want %v", again, err, signed)
	}
	body["requestId"] = unique("sign")
	_, err = p.signsAndPays(t, c.GetCheckoutId(), body)
	wantReason(t, err, errs.EsignCodeUsed)
	p.wantCredit(t, 1_000_000, 0, 300_000)
	s.awaitOrder(t, c.GetOrders()[0].GetOrderId(), orderv1.OrderState_ORDER_STATE_PAID)
	// The next purchase needs no signature.
	next := p.checkout(t, 50_000)
	if p.pay(t, next.GetCheckoutId()); !p.esignStatus(t, next.GetCheckoutId()).GetSigned() {
		t.Error("PreEsignCheck of a later purchase says unsigned")
	}
	p.seesContract(t, signed.GetContractId(), c.GetOrders()[0].GetOrderId(), next.GetOrders()[0].GetOrderId())
	s.proveBooks(t)
}

// seesContract asks for the contract of orders as each caller that may, and opens it by its link.
func (p *payer) seesContract(t *testing.T, number string, orders ...string) {
	t.Helper()
	s := p.s
	query := "?" + url.Values{"orderIds": orders}.Encode()
	var mine, operators, others billv1.BatchQueryContractByOrderIdResponse
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/contracts"+query, nil, &mine); err != nil {
		t.Fatal(err)
	}
	if err := s.rest(t.Context(), http.MethodGet, "/admin/v1/contracts"+query, s.Credentials.AdminToken, nil, &operators); err != nil {
		t.Fatal(err)
	}
	if err := s.stranger(t).call(t.Context(), http.MethodGet, "/h5/v1/contracts"+query, nil, &others); err != nil || len(others.GetContracts()) != 0 {
		t.Errorf("somebody else sees %v, %v", &others, err)
	}
	spm, err := billv1.NewEsignServiceClient(s.conn).BatchQueryContractByOrderId(s.spm(t), &billv1.BatchQueryContractByOrderIdRequest{OrderIds: orders})
	if err != nil || len(spm.GetContracts()) != len(orders) || len(operators.GetContracts()) != len(orders) || len(mine.GetContracts()) != len(orders) {
		t.Fatalf("%v; %v; %v, %v", &mine, &operators, spm, told(err))
	}
	for _, order := range orders {
		if d := p.detail(t, order); !slices.Equal(d.GetContractIds(), []string{number}) || len(d.GetUnavailableParts()) != 0 {
			t.Errorf("the detail of %s names the contracts %v, want %s", order, d.GetContractIds(), number)
		}
		if out := s.does(t, "order", "show", order); !strings.Contains(out, "contract  "+number) {
			t.Errorf("order show does not tell the contract:\n%s", out)
		}
	}
	link := ""
	for _, c := range mine.GetContracts() {
		if link = c.GetDownloadUrl(); c.GetContractId() != number || c.GetSignTime().AsTime().IsZero() {
			t.Errorf("contract %v, want %s", c, number)
		}
	}
	res, pdf := s.follow(t, link)
	sum := sha256.Sum256(pdf)
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/pdf" || res.Header.Get("Cache-Control") != "no-store" ||
		hex.EncodeToString(sum[:]) != mine.GetContracts()[0].GetSha256Hex() {
		t.Errorf("the link answers %d, %v, %d bytes", res.StatusCode, res.Header, len(pdf))
	}
	for _, want := range []string{number, "Rp 300.000", "IDR 300,000", signing.Name, p.id} {
		if !strings.Contains(string(pdf), want) {
			t.Errorf("the document does not show %q", want)
		}
	}
	if res, text := s.follow(t, link+"x"); res.StatusCode != http.StatusNotFound || !strings.Contains(string(text), "NOT_FOUND") {
		t.Errorf("a damaged link answers %d %s", res.StatusCode, text)
	}
}

// follow opens a link as a browser does, without a token.
func (s *stack) follow(t *testing.T, link string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, text
}

func TestCodesAndLinksEndByTheClock(t *testing.T) {
	t.Parallel()
	s := alone(t)
	p := s.unsigned(t)
	p.profile(t)
	c := p.checkout(t, 300_000)
	q := p.quote(t, c.GetCheckoutId())
	challenge, code := p.asksForCode(t, c.GetCheckoutId())
	s.advance(t, 5*time.Minute)
	body := map[string]any{"requestId": unique("sign"), "challengeId": challenge, "code": code, "quoteId": q.GetQuoteId(), "pin": rightPin}
	_, err := p.signsAndPays(t, c.GetCheckoutId(), body)
	wantReason(t, err, errs.EsignCodeExpired)
	q = p.quote(t, c.GetCheckoutId())
	var second billv1.SendEsignCheckResponse
	if err := p.call(t.Context(), http.MethodPost, "/h5/v1/esign/challenges", map[string]any{"requestId": unique("code"), "checkoutId": c.GetCheckoutId()}, &second); err != nil {
		t.Fatal(err)
	}
	if second.GetChallengeId() != challenge {
		t.Errorf("another code is of challenge %s, the first was of %s", second.GetChallengeId(), challenge)
	}
	var fresh string
	testkit.Eventually(t, 10*time.Second, func() error {
		got, err := signing.ReadCode(devstack.CodesDir(s.dir), p.id)
		if err == nil && !got.ExpireTime.Equal(second.GetExpireTime().AsTime()) {
			err = errors.New("the second code was not sent yet")
		}
		fresh = got.Code
		return err
	})
	body["code"], body["quoteId"] = fresh, q.GetQuoteId()
	signed, err := p.signsAndPays(t, c.GetCheckoutId(), body)
	if err != nil || signed.GetCommitState() != "SUCCEEDED" {
		t.Fatalf("CommitAfterEsign: %v, %v", signed, err)
	}
	var mine billv1.BatchQueryContractByOrderIdResponse
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/contracts?orderIds="+c.GetOrders()[0].GetOrderId(), nil, &mine); err != nil || len(mine.GetContracts()) != 1 {
		t.Fatalf("%v, %v", &mine, err)
	}
	s.advance(t, 5*time.Minute+time.Second)
	if res, text := s.follow(t, mine.GetContracts()[0].GetDownloadUrl()); res.StatusCode != http.StatusUnauthorized || !strings.Contains(string(text), "TOKEN_EXPIRED") {
		t.Errorf("a link that is over answers %d %s", res.StatusCode, text)
	}
	s.proveBooks(t)
}

// The first PIN takes a second factor of the last ten minutes for a proof, and neither an older one nor a token alone.
func TestPin_FirstOneTakesAFreshFactor(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for ago, want := range map[time.Duration]string{0: errs.PinProofRequired.Name(), 11 * time.Minute: errs.PinProofRequired.Name(), 9 * time.Minute: ""} {
		p := s.stranger(t)
		who := caller.Caller{Kind: caller.H5, Name: "h5", UserID: p.id}
		if ago > 0 {
			who.FactorTime = time.Now().Add(-ago).Unix()
		}
		p.token = s.mint(t, who)
		var res paymentv1.SetPaymentPinResponse
		err := p.call(t.Context(), http.MethodPost, "/h5/v1/pin", map[string]any{"requestId": unique("pin"), "newPin": rightPin}, &res)
		if got := reasonOf(t, err); got != want {
			t.Errorf("a factor shown %s ago (0: never): got %q, want %q", ago, got, want)
		}
	}
}
