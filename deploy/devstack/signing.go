package devstack

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"path/filepath"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/deploy/signing"
)

// CodesDir is where a stack with its state in a directory puts the one-time codes that it does not send.
func CodesDir(stateDir string) string { return filepath.Join(stateDir, "codes") }

// signed reports whether the contract of the locked plan is signed.
func (s *script) signed(ctx context.Context, c *orderv1.Checkout) (bool, error) {
	path := "/h5/v1/checkouts/" + c.GetCheckoutId() + "/esign"
	s.head("H5", "GET "+path, "the page asks whether the credit contract is signed: once for each of its versions")
	var res billv1.PreEsignCheckResponse
	if err := s.call(ctx, http.MethodGet, path, nil, &res); err != nil {
		return false, err
	}
	s.back("version %s, signed: %t", res.GetContractVersion(), res.GetSigned())
	return res.GetSigned(), nil
}

// sign asks for a code, reads it from the sandbox, signs with it and pays.
func (s *script) sign(ctx context.Context, c *orderv1.Checkout, q *paymentv1.Quote) error {
	s.head("H5", "POST /h5/v1/esign/challenges", "a one-time code goes to the payer's telephone")
	var sent billv1.SendEsignCheckResponse
	if err := s.call(ctx, http.MethodPost, "/h5/v1/esign/challenges", map[string]any{"requestId": "code-" + rand.Text(), "checkoutId": c.GetCheckoutId()}, &sent); err != nil {
		return err
	}
	code, err := signing.AwaitCode(ctx, s.codes, s.creds.H5UserID, sent.GetChallengeId())
	if err != nil {
		return err
	}
	s.back("challenge %s to %s; this stack sends nothing, the code is %s (creditctl esign code %s)", sent.GetChallengeId(), sent.GetMaskedTarget(), code, s.creds.H5UserID)
	path := "/h5/v1/checkouts/" + c.GetCheckoutId() + "/esign-commit"
	s.head("H5", "POST "+path, "the payer signs with the code and pays with the PIN; the limit is held and the order is paid")
	var res billv1.CommitAfterEsignResponse
	if err := s.call(ctx, http.MethodPost, path, map[string]any{"requestId": "sign-" + rand.Text(), "challengeId": sent.GetChallengeId(), "code": code,
		"quoteId": q.GetQuoteId(), "pin": s.creds.H5Pin}, &res); err != nil {
		return err
	}
	s.back("contract %s, payment %s", res.GetContractId(), res.GetCommitState())
	if res.GetCommitState() != "SUCCEEDED" {
		return fmt.Errorf("the demo purchase was not paid: %s", res.GetFailureMessage())
	}
	return nil
}
