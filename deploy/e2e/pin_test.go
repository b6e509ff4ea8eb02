package e2e

import (
	"net/http"
	"testing"

	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"

	"github.com/creditpay/creditpay/deploy/devstack"
	"github.com/creditpay/creditpay/deploy/signing"
)

// A forgotten PIN is set anew with a code that went to the payer's telephone, and buys.
func TestPin_ForgottenOneIsSetWithACode(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 1_000_000)
	const forgotten = "602481"
	body := map[string]any{"requestId": unique("pin"), "newPin": forgotten}
	wantReason(t, p.call(t.Context(), http.MethodPost, "/h5/v1/pin", body, &paymentv1.SetPaymentPinResponse{}), errs.PinWrong)
	var sent paymentv1.SendPinCodeResponse
	if err := p.call(t.Context(), http.MethodPost, "/h5/v1/pin/codes", map[string]any{"requestId": unique("code")}, &sent); err != nil {
		t.Fatal(err)
	}
	if sent.GetMaskedTarget() != "+62 8** *** *123" || !sent.GetExpireTime().AsTime().After(sent.GetResendTime().AsTime()) {
		t.Errorf("got %v", &sent)
	}
	code, err := signing.AwaitCode(t.Context(), devstack.CodesDir(s.dir), p.id, sent.GetChallengeId())
	if err != nil {
		t.Fatal(err)
	}
	body["challengeId"], body["code"] = sent.GetChallengeId(), code
	for range 2 {
		if err := p.call(t.Context(), http.MethodPost, "/h5/v1/pin", body, &paymentv1.SetPaymentPinResponse{}); err != nil {
			t.Fatal(err)
		}
	}
	body["requestId"] = unique("pin")
	wantReason(t, p.call(t.Context(), http.MethodPost, "/h5/v1/pin", body, &paymentv1.SetPaymentPinResponse{}), errs.EsignCodeUsed)
	c := p.checkout(t, 100_000)
	q := p.quote(t, c.GetCheckoutId())
	_, err = p.tryCommit(t.Context(), commitCall{checkoutID: c.GetCheckoutId(), quoteID: q.GetQuoteId(), pin: rightPin})
	wantReason(t, err, errs.PinWrong)
	if _, err := p.tryCommit(t.Context(), commitCall{checkoutID: c.GetCheckoutId(), quoteID: q.GetQuoteId(), pin: forgotten}); err != nil {
		t.Fatal(err)
	}
	s.proveBooks(t)
}
