package auth_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
)

var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func payer() caller.Caller { return caller.Caller{Kind: caller.H5, Name: "web", UserID: "user-1"} }

func newSigner(tb testing.TB, keyID string) *auth.Signer {
	tb.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := auth.NewSigner(keyID, private)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func newVerifier(tb testing.TB, config auth.VerifierConfig, signers ...*auth.Signer) *auth.Verifier {
	tb.Helper()
	byID := map[string]ed25519.PublicKey{}
	for _, s := range signers {
		byID[s.KeyID()] = s.Public()
	}
	keys, err := auth.NewKeySet(byID)
	if err != nil {
		tb.Fatal(err)
	}
	v, err := auth.NewVerifier(keys, config)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func mint(tb testing.TB, s *auth.Signer, c caller.Caller, lifetime time.Duration, now time.Time) string {
	tb.Helper()
	token, err := s.Mint(c, lifetime, now)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

func wantReason(tb testing.TB, err error, want errs.Reason) {
	tb.Helper()
	if !errs.Is(err, want) {
		tb.Errorf("got %v, want %s", err, want.Name())
	}
}

func TestEveryKindOfCallerComesBackFromItsToken(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, "k1")
	verifier := newVerifier(t, auth.VerifierConfig{}, signer)
	for _, k := range caller.Kinds() {
		want := caller.Caller{Kind: k, Name: "someone"}
		if k == caller.H5 {
			want.UserID = "user-1"
		}
		if k == caller.Merchant {
			want.MerchantID = "shop-1"
		}
		if k == caller.Admin {
			want.Roles = caller.RolesOf(caller.View, caller.RefundApprove)
		}
		token := mint(t, signer, want, time.Hour, start)
		for range 2 { // verified, then remembered
			if got, err := verifier.Verify(token, start); err != nil || got != want {
				t.Errorf("%s: got %+v, %v", k, got, err)
			}
		}
	}
}

func TestATokenNeedsWhatItsKindNeedsAndNothingElse(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, "k1")
	for name, c := range map[string]caller.Caller{
		"no kind":                {Name: "x"},
		"no name":                {Kind: caller.SPM},
		"name with colon":        {Kind: caller.SPM, Name: "a:b"},
		"name too long":          {Kind: caller.SPM, Name: strings.Repeat("a", 65)},
		"H5 without user":        {Kind: caller.H5, Name: "web"},
		"H5 with merchant":       {Kind: caller.H5, Name: "web", UserID: "u", MerchantID: "m"},
		"MERCHANT without id":    {Kind: caller.Merchant, Name: "till"},
		"ADMIN with a user":      {Kind: caller.Admin, Name: "alice", UserID: "u", Roles: caller.EveryRole()},
		"ADMIN without a role":   {Kind: caller.Admin, Name: "alice"},
		"SPM with a role":        {Kind: caller.SPM, Name: "x", Roles: caller.RolesOf(caller.View)},
		"unknown kind of caller": {Kind: 77, Name: "x"},
	} {
		if token, err := signer.Mint(c, time.Hour, start); err == nil {
			t.Errorf("%s: got token %q", name, token)
		}
	}
	for _, lifetime := range []time.Duration{0, -time.Hour, auth.LongestLifetime + time.Second} {
		if _, err := signer.Mint(payer(), lifetime, start); err == nil {
			t.Errorf("lifetime %s was accepted", lifetime)
		}
	}
}

// body is the claims of a good H5 token, for tests to spoil.
func body() jwt.MapClaims {
	return jwt.MapClaims{
		"iss": "creditpay", "aud": "creditpay", "sub": "web", "kind": "H5", "user_id": "user-1",
		"iat": start.Unix(), "exp": start.Add(time.Hour).Unix(),
	}
}

func TestVerifyRefusesClaimsThatAreNotOurs(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := auth.NewKeySet(map[string]ed25519.PublicKey{"k1": public})
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := auth.NewVerifier(keys, auth.VerifierConfig{})
	if err != nil {
		t.Fatal(err)
	}
	sign := func(c jwt.MapClaims, header map[string]any) string {
		token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, c)
		token.Header["kid"] = "k1"
		for k, v := range header {
			token.Header[k] = v
		}
		s, err := token.SignedString(private)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if _, err := verifier.Verify(sign(body(), nil), start); err != nil {
		t.Fatalf("the good token: %v", err)
	}
	unix := func(d time.Duration) int64 { return start.Add(d).Unix() }
	for name, spoil := range map[string]func(jwt.MapClaims){
		"other issuer":       func(c jwt.MapClaims) { c["iss"] = "other" },
		"other audience":     func(c jwt.MapClaims) { c["aud"] = "other" },
		"no audience":        func(c jwt.MapClaims) { delete(c, "aud") },
		"no kind":            func(c jwt.MapClaims) { delete(c, "kind") },
		"unknown kind":       func(c jwt.MapClaims) { c["kind"] = "ROOT" },
		"no user":            func(c jwt.MapClaims) { delete(c, "user_id") },
		"user with newline":  func(c jwt.MapClaims) { c["user_id"] = "a\nb" },
		"no subject":         func(c jwt.MapClaims) { delete(c, "sub") },
		"no iat":             func(c jwt.MapClaims) { delete(c, "iat") },
		"no exp":             func(c jwt.MapClaims) { delete(c, "exp") },
		"too long a life":    func(c jwt.MapClaims) { c["exp"] = unix(24*time.Hour + time.Second) },
		"exp before iat":     func(c jwt.MapClaims) { c["exp"] = unix(-time.Second) },
		"exp out of range":   func(c jwt.MapClaims) { c["exp"] = 1e300 },
		"exp is a text":      func(c jwt.MapClaims) { c["exp"] = "soon" },
		"issued too far on":  func(c jwt.MapClaims) { c["iat"] = unix(31 * time.Second) },
		"not before too far": func(c jwt.MapClaims) { c["nbf"] = unix(31 * time.Second) },
	} {
		c := body()
		spoil(c)
		_, err := verifier.Verify(sign(c, nil), start)
		if !errs.Is(err, errs.TokenInvalid) {
			t.Errorf("%s: got %v, want TOKEN_INVALID", name, err)
		}
	}
	for name, header := range map[string]map[string]any{
		"unknown key":        {"kid": "k2"},
		"no key id":          {"kid": nil},
		"key id no text":     {"kid": 7},
		"critical extension": {"crit": []string{"b64"}},
	} {
		_, err := verifier.Verify(sign(body(), header), start)
		if !errs.Is(err, errs.TokenInvalid) {
			t.Errorf("%s: got %v, want TOKEN_INVALID", name, err)
		}
	}
	within := body()
	within["iat"], within["nbf"] = unix(30*time.Second), unix(30*time.Second)
	if _, err := verifier.Verify(sign(within, nil), start); err != nil {
		t.Errorf("iat and nbf within the leeway: %v", err)
	}
}

func TestVerifyRefusesOtherAlgorithms(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, "k1")
	verifier := newVerifier(t, auth.VerifierConfig{}, signer)
	none := jwt.NewWithClaims(jwt.SigningMethodNone, body())
	none.Header["kid"] = "k1"
	unsigned, err := none.SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	// The classic confusion: the public key used as an HMAC secret.
	hmac := jwt.NewWithClaims(jwt.SigningMethodHS256, body())
	hmac.Header["kid"] = "k1"
	confused, err := hmac.SignedString([]byte(signer.Public()))
	if err != nil {
		t.Fatal(err)
	}
	good := mint(t, signer, payer(), time.Hour, start)
	for name, token := range map[string]string{
		"alg none":         unsigned,
		"alg HS256":        confused,
		"garbage":          "not.a.token",
		"no signature":     good[:strings.LastIndex(good, ".")+1],
		"changed":          good[:len(good)-5] + "AAAAA",
		"other signer":     mint(t, newSigner(t, "k1"), payer(), time.Hour, start),
		"longer than ever": good + strings.Repeat("A", auth.MaxTokenLength),
	} {
		_, err := verifier.Verify(token, start)
		if !errs.Is(err, errs.TokenInvalid) {
			t.Errorf("%s: got %v, want TOKEN_INVALID", name, err)
		}
	}
	_, err = verifier.Verify("", start)
	wantReason(t, err, errs.TokenMissing)
}

func TestATokenExpiresToTheSecondAlsoWhenRemembered(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, "k1")
	verifier := newVerifier(t, auth.VerifierConfig{}, signer)
	token := mint(t, signer, payer(), time.Minute, start)
	if _, err := verifier.Verify(token, start.Add(time.Minute-time.Nanosecond)); err != nil {
		t.Fatal(err)
	}
	_, err := verifier.Verify(token, start.Add(time.Minute))
	wantReason(t, err, errs.TokenExpired)
	_, err = newVerifier(t, auth.VerifierConfig{}, signer).Verify(token, start.Add(time.Minute))
	wantReason(t, err, errs.TokenExpired)
	// A remembered token is not valid before its time either: the clock was set back.
	if _, err = verifier.Verify(token, start); err != nil {
		t.Fatal(err)
	}
	_, err = verifier.Verify(token, start.Add(-time.Hour))
	wantReason(t, err, errs.TokenInvalid)
}

func TestAFullCacheStillVerifies(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, "k1")
	verifier := newVerifier(t, auth.VerifierConfig{CacheEntries: 4}, signer)
	tokens := make([]string, 16)
	for i := range tokens {
		tokens[i] = mint(t, signer, payer(), time.Duration(i+1)*time.Minute, start)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for _, token := range tokens {
				if got, err := verifier.Verify(token, start); err != nil || got != payer() {
					t.Errorf("got %v, %v", got, err)
				}
			}
		})
	}
	group.Wait()
}

func TestKeysRotateThroughTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, auth.KeySetFile)
	old, err := auth.WriteKeyPair(dir)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := auth.LoadKeySet(path, func(err error) { t.Errorf("reload: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := auth.NewVerifier(keys, auth.VerifierConfig{})
	if err != nil {
		t.Fatal(err)
	}
	oldToken := mint(t, old, payer(), time.Hour, start)
	if _, err := verifier.Verify(oldToken, start); err != nil {
		t.Fatal(err)
	}
	// A new key is found at once, by its unknown id.
	fresh, err := auth.WriteKeyPair(dir)
	if err != nil {
		t.Fatal(err)
	}
	newToken := mint(t, fresh, payer(), time.Hour, start)
	for name, token := range map[string]string{"old": oldToken, "new": newToken} {
		if _, err := verifier.Verify(token, start); err != nil {
			t.Errorf("%s key's token: %v", name, err)
		}
	}
	// The old key is removed: its remembered token dies with it, no later than a second after.
	writeKeys(t, path, map[string]ed25519.PublicKey{fresh.KeyID(): fresh.Public()})
	_, err = verifier.Verify(oldToken, start.Add(time.Second))
	wantReason(t, err, errs.TokenInvalid)
	if _, err := verifier.Verify(newToken, start.Add(time.Second)); err != nil {
		t.Errorf("new key's token: %v", err)
	}
}

func TestABrokenKeyFileKeepsTheKeysAndIsReported(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, auth.KeySetFile)
	signer, err := auth.WriteKeyPair(dir)
	if err != nil {
		t.Fatal(err)
	}
	var reported []error
	keys, err := auth.LoadKeySet(path, func(err error) { reported = append(reported, err) })
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := auth.NewVerifier(keys, auth.VerifierConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(`{"k1":`), 0o600); err != nil {
		t.Fatal(err)
	}
	token := mint(t, signer, payer(), time.Hour, start)
	for range 10 {
		if _, err := verifier.Verify(token, start); err != nil {
			t.Fatal(err)
		}
	}
	if len(reported) != 1 || !errors.Is(reported[0], auth.ErrKeyFile) {
		t.Errorf("ten calls within a second reported %v, want one malformed file", reported)
	}
}

func TestKeyFilesThatAreNoKeySetAreRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty":     ``,
		"no keys":   `{}`,
		"short key": `{"k1":"AAAA"}`,
		"bad id":    `{"k 1":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`,
		"too large": `{"k1":"` + strings.Repeat("A", 65<<10) + `"}`,
	} {
		path := filepath.Join(t.TempDir(), "keys.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := auth.LoadKeySet(path, nil); !errors.Is(err, auth.ErrKeyFile) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := auth.LoadKeySet(filepath.Join(t.TempDir(), "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
}

func TestTheWrittenSigningKeyLoadsAndIsClosedToOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	written, err := auth.WriteKeyPair(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, auth.SigningKeyFile)
	loaded, err := auth.LoadSigner(path)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.KeyID() != written.KeyID() || !loaded.Public().Equal(written.Public()) {
		t.Error("another key came back")
	}
	if stat, err := os.Stat(path); err != nil || stat.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", stat.Mode(), err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.LoadSigner(path); !errors.Is(err, auth.ErrKeyFile) {
		t.Errorf("an open key file: got %v", err)
	}
	if _, err := auth.LoadSigner(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no key file: got %v", err)
	}
}

func TestASourceRenewsItsTokenAtHalfItsLife(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(start)
	source, err := auth.NewSource(newSigner(t, "k1"), caller.Caller{Kind: caller.Service, Name: "order"}, time.Hour, clk)
	if err != nil {
		t.Fatal(err)
	}
	take := func() string {
		token, err := source.Token(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	first := take()
	clk.Advance(30*time.Minute - time.Second)
	if take() != first {
		t.Error("renewed too early")
	}
	clk.Advance(time.Second)
	second := take()
	if second == first {
		t.Error("not renewed at half its life")
	}
	clk.Set(start)
	if take() == second {
		t.Error("kept a token of the future after the clock was set back")
	}
}

func TestBearerTakesOnlyBearerTokens(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Bearer abc": "abc", "bearer abc": "abc", "BEARER abc": "abc",
		"": "", "Bearer": "", "Bearer ": "", "Basic abc": "", "abc": "",
	} {
		if got := auth.Bearer(header); got != want {
			t.Errorf("Bearer(%q) = %q, want %q", header, got, want)
		}
	}
}

func writeKeys(tb testing.TB, path string, byID map[string]ed25519.PublicKey) {
	tb.Helper()
	raw, err := json.Marshal(byID)
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		tb.Fatal(err)
	}
}

func FuzzVerifyNeverPanicsAndAcceptsOnlyTheMintedToken(f *testing.F) {
	signer := newSigner(f, "k1")
	verifier := newVerifier(f, auth.VerifierConfig{CacheEntries: 8}, signer)
	good := mint(f, signer, payer(), time.Hour, start)
	f.Add(good)
	f.Add("")
	f.Add("a.b.c")
	f.Add(good + ".x")
	f.Add(strings.ToUpper(good))
	f.Fuzz(func(t *testing.T, token string) {
		got, err := verifier.Verify(token, start)
		if err == nil && (token != good || got != payer()) {
			t.Fatalf("accepted %q as %v", token, got)
		}
		if _, ok := errs.ReasonOf(err); err != nil && !ok {
			t.Fatalf("%v carries no reason", err)
		}
	})
}

func BenchmarkVerifyRemembered(b *testing.B) {
	signer := newSigner(b, "k1")
	verifier := newVerifier(b, auth.VerifierConfig{}, signer)
	token := mint(b, signer, payer(), time.Hour, start)
	for b.Loop() {
		if _, err := verifier.Verify(token, start); err != nil {
			b.Fatal(err)
		}
	}
}
