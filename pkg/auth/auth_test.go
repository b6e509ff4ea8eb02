package auth_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
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

// outsiders is the bound of a key that signs for everybody who needs no name of their own.
func outsiders() auth.Bound {
	return auth.Bound{Kinds: []caller.Kind{caller.H5, caller.Admin, caller.Merchant}, Names: []string{auth.Any}, Owner: auth.Any}
}

// boundTo is the bound of a key of one kind and name.
func boundTo(kind caller.Kind, names ...string) auth.Bound {
	return auth.Bound{Kinds: []caller.Kind{kind}, Names: names}
}

func newSigner(tb testing.TB, keyID string) *auth.Signer {
	tb.Helper()
	return newBoundSigner(tb, keyID, outsiders())
}

func newBoundSigner(tb testing.TB, keyID string, bound auth.Bound) *auth.Signer {
	tb.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := auth.NewSigner(keyID, private, bound)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func newVerifier(tb testing.TB, config auth.VerifierConfig, signers ...*auth.Signer) *auth.Verifier {
	tb.Helper()
	byID := map[string]auth.Key{}
	for _, s := range signers {
		byID[s.KeyID()] = s.Key()
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
	signers := map[caller.Kind]*auth.Signer{}
	var all []*auth.Signer
	for _, k := range caller.Kinds() {
		signers[k] = newBoundSigner(t, "k-"+k.String(), boundTo(k, "someone"))
		all = append(all, signers[k])
	}
	verifier := newVerifier(t, auth.VerifierConfig{Home: "someone"}, all...)
	for _, k := range caller.Kinds() {
		signer, want := signers[k], caller.Caller{Kind: k, Name: "someone"}
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
		"H5 of two owners":       {Kind: caller.H5, Name: "web", UserID: "a~b~u"},
		"H5 of no owner":         {Kind: caller.H5, Name: "web", UserID: "~u"},
		"H5 of another owner":    {Kind: caller.H5, Name: "web", UserID: "a~u", Owner: "b"},
		"merchant with a tilde":  {Kind: caller.Merchant, Name: "till", MerchantID: "b~m"},
		"owner with a tilde":     {Kind: caller.Merchant, Name: "till", MerchantID: "m", Owner: "a~b"},
		"ADMIN with an owner":    {Kind: caller.Admin, Name: "alice", Roles: caller.EveryRole(), Owner: "b"},
		"ADMIN with a factor":    {Kind: caller.Admin, Name: "alice", Roles: caller.EveryRole(), FactorTime: 1},
		"a negative factor time": {Kind: caller.H5, Name: "web", UserID: "u", FactorTime: -1},
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
		"jti": "0196c1f2-0000-7000-8000-000000000001", "iss": "creditpay", "aud": "creditpay", "sub": "web", "kind": "H5", "user_id": "user-1",
		"iat": start.Unix(), "exp": start.Add(time.Hour).Unix(),
	}
}

func TestVerifyRefusesClaimsThatAreNotOurs(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := auth.NewKeySet(map[string]auth.Key{"k1": {Public: public, Bound: outsiders()}})
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

// pair is a new key pair in dir for everybody who needs no name.
func pair(dir, name string) auth.NewKeyPair {
	return auth.NewKeyPair{PrivateFile: filepath.Join(dir, name), KeySetFile: filepath.Join(dir, auth.KeySetFile), Bound: outsiders()}
}

func TestKeysRotateThroughTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, auth.KeySetFile)
	old, err := auth.WriteKeyPair(pair(dir, "old.json"))
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
	fresh, err := auth.WriteKeyPair(pair(dir, "new.json"))
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
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	writeKeys(t, path, fresh)
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
	signer, err := auth.WriteKeyPair(pair(dir, "key.json"))
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

func TestASourceRenewsItsTokenAtHalfItsLife(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(start)
	source, err := auth.NewSource(newBoundSigner(t, "k1", boundTo(caller.Service, "order")), caller.Caller{Kind: caller.Service, Name: "order"}, time.Hour, clk)
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

// writeKeys writes the key set of those signers, as an operator would.
func writeKeys(tb testing.TB, path string, signers ...*auth.Signer) {
	tb.Helper()
	set := map[string]map[string]any{}
	for _, s := range signers {
		set[s.KeyID()] = map[string]any{"key": []byte(s.Public()), "kinds": []string{"H5", "ADMIN"}, "names": []string{"*"}}
	}
	raw, err := json.Marshal(set)
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
