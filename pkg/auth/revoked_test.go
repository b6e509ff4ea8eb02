package auth_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
)

// tokenIDOf reads the id out of a token.
func tokenIDOf(tb testing.TB, token string) string {
	tb.Helper()
	var body jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &body); err != nil || body.ID == "" {
		tb.Fatalf("the token has the id %q, %v", body.ID, err)
	}
	return body.ID
}

// Each way to revoke ends the token that it names, also when the token was remembered, and leaves the others.
func TestRevocations_EndWhatTheyName(t *testing.T) {
	t.Parallel()
	second := start.Add(time.Second)
	alice := caller.Caller{Kind: caller.Admin, Name: "alice", Roles: caller.EveryRole()}
	shop := caller.Caller{Kind: caller.Merchant, Name: "till", MerchantID: "m", Owner: "b"}
	for name, c := range map[string]struct {
		who   caller.Caller
		entry func(s *auth.Signer, token string) auth.Revocation
		other caller.Caller
	}{
		"one token": {alice, func(_ *auth.Signer, token string) auth.Revocation {
			return auth.Revocation{TokenID: tokenIDOf(t, token), Reason: "stolen laptop"}
		}, alice},
		"an operator": {alice, func(*auth.Signer, string) auth.Revocation {
			return auth.Revocation{Kind: "ADMIN", Name: "alice", IssuedBefore: second}
		}, caller.Caller{Kind: caller.Admin, Name: "bob", Roles: caller.EveryRole()}},
		"a payer": {payer(), func(*auth.Signer, string) auth.Revocation {
			return auth.Revocation{Kind: "H5", UserID: "user-1", IssuedBefore: second}
		}, caller.Caller{Kind: caller.H5, Name: "web", UserID: "user-2"}},
		"a merchant of another marketplace": {shop, func(*auth.Signer, string) auth.Revocation {
			return auth.Revocation{Kind: "MERCHANT", MerchantID: "b~m", IssuedBefore: second}
		}, caller.Caller{Kind: caller.Merchant, Name: "till", MerchantID: "m"}},
	} {
		path := filepath.Join(t.TempDir(), "revoked.json")
		if err := os.WriteFile(path, []byte("[]"), 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := auth.LoadRevocations(path, func(err error) { t.Errorf("%s: reload: %v", name, err) })
		if err != nil {
			t.Fatal(err)
		}
		signer := newSigner(t, "k1")
		verifier := newVerifier(t, auth.VerifierConfig{Revoked: list}, signer)
		token, other := mint(t, signer, c.who, time.Hour, start), mint(t, signer, c.other, time.Hour, start)
		later := mint(t, signer, c.who, time.Hour, start.Add(5*time.Second))
		for _, token := range []string{token, other} {
			if _, err := verifier.Verify(token, start); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if err := auth.Revoke(path, c.entry(signer, token)); err != nil {
			t.Fatal(err)
		}
		now := start.Add(5 * time.Second)
		_, err = verifier.Verify(token, now)
		wantReason(t, err, errs.TokenInvalid)
		if err == nil || !strings.Contains(err.Error(), "revoked") {
			t.Errorf("%s: the refusal says %v", name, err)
		}
		for what, token := range map[string]string{"somebody else's": other, "a later": later} {
			if _, err := verifier.Verify(token, now); err != nil {
				t.Errorf("%s: %s token: %v", name, what, err)
			}
		}
	}
}

func TestRevocations_EndAKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "revoked.json")
	if err := auth.Revoke(path, auth.Revocation{KeyID: "k1"}); err != nil {
		t.Fatal(err)
	}
	list, err := auth.LoadRevocations(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	bad, good := newSigner(t, "k1"), newSigner(t, "k2")
	verifier := newVerifier(t, auth.VerifierConfig{Revoked: list}, bad, good)
	_, err = verifier.Verify(mint(t, bad, payer(), time.Hour, start), start)
	wantReason(t, err, errs.TokenInvalid)
	if _, err := verifier.Verify(mint(t, good, payer(), time.Hour, start), start); err != nil {
		t.Error(err)
	}
}

func TestRevocations_RefuseWhatIsNoEntry(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty":                `[{}]`,
		"two at once":          `[{"jti":"a","kid":"k1"}]`,
		"unknown field":        `[{"jti":"a","until":"2027"}]`,
		"unknown kind":         `[{"kind":"KING","name":"a","issued_before":"2026-01-01T00:00:00Z"}]`,
		"kind without a name":  `[{"kind":"ADMIN","issued_before":"2026-01-01T00:00:00Z"}]`,
		"name without a kind":  `[{"jti":"a","name":"alice"}]`,
		"without a time":       `[{"kind":"ADMIN","name":"alice"}]`,
		"a payer who is ADMIN": `[{"kind":"ADMIN","user_id":"u","issued_before":"2026-01-01T00:00:00Z"}]`,
		"no array":             `{}`,
		"two arrays":           `[][]`,
	} {
		path := filepath.Join(t.TempDir(), "revoked.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := auth.LoadRevocations(path, nil); !errors.Is(err, auth.ErrKeyFile) {
			t.Errorf("%s: got %v", name, err)
		}
		if err := auth.Revoke(path, auth.Revocation{KeyID: "k"}); err == nil {
			t.Errorf("%s: an entry was added to it", name)
		}
	}
	if _, err := auth.LoadRevocations(filepath.Join(t.TempDir(), "none"), nil); err == nil || !strings.Contains(err.Error(), "[]") {
		t.Errorf("no file: got %v", err)
	}
	if err := auth.Revoke(filepath.Join(t.TempDir(), "none"), auth.Revocation{}); err == nil {
		t.Error("an empty entry was added")
	}
}

func TestRevocations_BrokenListKeepsTheOldOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "revoked.json")
	signer := newSigner(t, "k1")
	token := mint(t, signer, payer(), time.Hour, start)
	if err := auth.Revoke(path, auth.Revocation{TokenID: tokenIDOf(t, token)}); err != nil {
		t.Fatal(err)
	}
	reports := 0
	list, err := auth.LoadRevocations(path, func(error) { reports++ })
	if err != nil {
		t.Fatal(err)
	}
	verifier := newVerifier(t, auth.VerifierConfig{Revoked: list}, signer)
	if err := os.WriteFile(path, []byte(`[{`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = verifier.Verify(token, start.Add(2*time.Second))
	wantReason(t, err, errs.TokenInvalid)
	if reports != 1 {
		t.Errorf("%d reports of a broken list", reports)
	}
}

func TestVerify_TokenNeedsAnID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "1", "urn:uuid:0196c1f2-0000-7000-8000-000000000001", "{0196c1f2-0000-7000-8000-000000000001}",
		"0196C1F2-0000-7000-8000-000000000001"} {
		signer, sign := rawSigner(t)
		claims := body()
		claims["jti"] = id
		_, err := newVerifier(t, auth.VerifierConfig{}, signer).Verify(sign(claims), start)
		wantReason(t, err, errs.TokenInvalid)
	}
	signer := newSigner(t, "k1")
	if a, b := mint(t, signer, payer(), time.Hour, start), mint(t, signer, payer(), time.Hour, start); tokenIDOf(t, a) == tokenIDOf(t, b) {
		t.Error("two tokens have one id")
	}
}
