package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
)

// rawSigner is a key, and a way to sign any claims with it.
func rawSigner(tb testing.TB) (*auth.Signer, func(jwt.MapClaims) string) {
	tb.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := auth.NewSigner("k1", private, outsiders())
	if err != nil {
		tb.Fatal(err)
	}
	return signer, func(c jwt.MapClaims) string { return signed(tb, jwt.SigningMethodEdDSA, "k1", private, c) }
}

func signed(tb testing.TB, method jwt.SigningMethod, keyID string, key any, c jwt.MapClaims) string {
	tb.Helper()
	token := jwt.NewWithClaims(method, c)
	if keyID != "" {
		token.Header["kid"] = keyID
	}
	text, err := token.SignedString(key)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// provider is an issuer on the loopback. Its keys can be changed while it runs.
type provider struct {
	server *httptest.Server
	looks  atomic.Int64
	// looked is closed at the first look.
	looked chan struct{}
	set    atomic.Pointer[jose.JSONWebKeySet]
	answer atomic.Pointer[http.HandlerFunc]
	rsa    *rsa.PrivateKey
	ecdsa  *ecdsa.PrivateKey
	eddsa  ed25519.PrivateKey
	short  *rsa.PrivateKey
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{looked: make(chan struct{})}
	var errList [4]error
	p.rsa, errList[0] = rsa.GenerateKey(rand.Reader, 2048)
	p.ecdsa, errList[1] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, p.eddsa, errList[2] = ed25519.GenerateKey(rand.Reader)
	p.short, errList[3] = rsa.GenerateKey(rand.Reader, 1024)
	if err := errors.Join(errList[:]...); err != nil {
		t.Fatal(err)
	}
	p.publish(map[string]crypto.PublicKey{"rsa": p.rsa.Public(), "ecdsa": p.ecdsa.Public(), "eddsa": p.eddsa.Public(), "short": p.short.Public()})
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.looks.Add(1) == 1 {
			close(p.looked)
		}
		if other := p.answer.Load(); other != nil {
			(*other)(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(p.set.Load())
	}))
	t.Cleanup(p.server.Close)
	return p
}

func (p *provider) publish(keys map[string]crypto.PublicKey) {
	set := &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: []byte("a shared secret of sixteen bytes"), KeyID: "hmac", Use: "sig"}}}
	for id, k := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k, KeyID: id, Use: "sig"})
	}
	p.set.Store(set)
}

func (p *provider) operators() auth.IssuerConfig {
	return auth.IssuerConfig{Issuer: "https://login.example", Audience: "creditpay-ops", JWKSURL: p.server.URL, Kind: "ADMIN",
		SubjectClaim: "preferred_username", RolesClaim: "realm_access.roles",
		RoleMap: map[string][]string{"payment-view": {"VIEW"}, "payment-cash": {"VIEW", "CASH"}}}
}

func (p *provider) payers(owner string) auth.IssuerConfig {
	return auth.IssuerConfig{Issuer: "https://login.example", Audience: "creditpay-h5", JWKSURL: p.server.URL, Kind: "H5", Owner: owner}
}

func verifierOf(t *testing.T, report func(error), configs ...auth.IssuerConfig) *auth.Verifier {
	t.Helper()
	outside, err := auth.NewOutside(configs, report)
	if err != nil {
		t.Fatal(err)
	}
	return newVerifier(t, auth.VerifierConfig{Outside: outside}, newSigner(t, "k1"))
}

func operator() jwt.MapClaims {
	return jwt.MapClaims{"iss": "https://login.example", "aud": "creditpay-ops", "sub": "0b1c", "preferred_username": "alice",
		"realm_access": map[string]any{"roles": []string{"payment-cash", "something-else"}}, "iat": start.Unix(), "exp": start.Add(time.Hour).Unix()}
}

func outsidePayer() jwt.MapClaims {
	return jwt.MapClaims{"iss": "https://login.example", "aud": []string{"creditpay-h5", "account"}, "sub": "user-1",
		"iat": start.Unix(), "exp": start.Add(time.Hour).Unix()}
}

func TestOutside_OperatorByEveryAlgorithm(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	v := verifierOf(t, func(err error) { t.Error(err) }, p.operators(), p.payers(""))
	want := caller.Caller{Kind: caller.Admin, Name: "alice", Roles: caller.RolesOf(caller.View, caller.Cash)}
	for name, token := range map[string]string{
		"RS256": signed(t, jwt.SigningMethodRS256, "rsa", p.rsa, operator()),
		"ES256": signed(t, jwt.SigningMethodES256, "ecdsa", p.ecdsa, operator()),
		"EdDSA": signed(t, jwt.SigningMethodEdDSA, "eddsa", p.eddsa, operator()),
	} {
		for range 2 { // verified, then remembered
			if got, err := v.Verify(token, start); err != nil || got != want {
				t.Errorf("%s: got %+v, %v, want %+v", name, got, err, want)
			}
		}
	}
	if n := p.looks.Load(); n != 1 {
		t.Errorf("the keys were read %d times", n)
	}
}

func TestOutside_PayerWithOwnerAndFactor(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	signedIn := start.Add(-time.Minute).Unix()
	with := func(more jwt.MapClaims) jwt.MapClaims {
		c := outsidePayer()
		for k, v := range more {
			c[k] = v
		}
		return c
	}
	for name, c := range map[string]struct {
		owner string
		claim jwt.MapClaims
		want  caller.Caller
	}{
		"home":             {"", with(nil), caller.Caller{Kind: caller.H5, Name: "oidc", UserID: "user-1"}},
		"home by its name": {"marketplace", with(nil), caller.Caller{Kind: caller.H5, Name: "oidc", UserID: "user-1"}},
		"another":          {"b", with(nil), caller.Caller{Kind: caller.H5, Name: "oidc", UserID: "b~user-1", Owner: "b"}},
		"a second factor": {"", with(jwt.MapClaims{"auth_time": signedIn, "amr": []string{"pwd", "otp"}}),
			caller.Caller{Kind: caller.H5, Name: "oidc", UserID: "user-1", FactorTime: signedIn}},
		"a password alone": {"", with(jwt.MapClaims{"auth_time": signedIn, "amr": []string{"pwd"}}), caller.Caller{Kind: caller.H5, Name: "oidc", UserID: "user-1"}},
		"no time":          {"", with(jwt.MapClaims{"amr": []string{"mfa"}}), caller.Caller{Kind: caller.H5, Name: "oidc", UserID: "user-1"}},
		"no methods":       {"", with(jwt.MapClaims{"auth_time": signedIn}), caller.Caller{Kind: caller.H5, Name: "oidc", UserID: "user-1"}},
	} {
		v := verifierOf(t, func(err error) { t.Error(err) }, p.payers(c.owner))
		if got, err := v.Verify(signed(t, jwt.SigningMethodRS256, "rsa", p.rsa, c.claim), start); err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, c.want)
		}
	}
}

func TestOutside_RefusesWhatIsNotGood(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	v := verifierOf(t, func(err error) { t.Error(err) }, p.operators(), p.payers(""))
	spoil := func(claims jwt.MapClaims, name string, value any) jwt.MapClaims {
		if value == nil {
			delete(claims, name)
		} else {
			claims[name] = value
		}
		return claims
	}
	rs := func(c jwt.MapClaims) string { return signed(t, jwt.SigningMethodRS256, "rsa", p.rsa, c) }
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := json.Marshal(p.set.Load())
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"another's key":           signed(t, jwt.SigningMethodRS256, "rsa", stranger, operator()),
		"unknown key":             signed(t, jwt.SigningMethodRS256, "other", p.rsa, operator()),
		"no key id":               signed(t, jwt.SigningMethodRS256, "", p.rsa, operator()),
		"short key":               signed(t, jwt.SigningMethodRS256, "short", p.short, operator()),
		"HS256 with a shared key": signed(t, jwt.SigningMethodHS256, "hmac", []byte("a shared secret of sixteen bytes"), operator()),
		"HS256 with the keys":     signed(t, jwt.SigningMethodHS256, "rsa", public, operator()),
		"PS256":                   signed(t, jwt.SigningMethodPS256, "rsa", p.rsa, operator()),
		"RS512":                   signed(t, jwt.SigningMethodRS512, "rsa", p.rsa, operator()),
		"none":                    signed(t, jwt.SigningMethodNone, "rsa", jwt.UnsafeAllowNoneSignatureType, operator()),
		"another audience":        rs(spoil(operator(), "aud", "shop")),
		"two audiences of ours":   rs(spoil(operator(), "aud", []string{"creditpay-ops", "creditpay-h5"})),
		"no audience":             rs(spoil(operator(), "aud", nil)),
		"another issuer":          rs(spoil(operator(), "iss", "https://login.example/")),
		"our own issuer":          rs(spoil(spoil(operator(), "iss", "creditpay"), "aud", "creditpay")),
		"no iat":                  rs(spoil(operator(), "iat", nil)),
		"no exp":                  rs(spoil(operator(), "exp", nil)),
		"of tomorrow":             rs(spoil(operator(), "iat", start.Add(time.Minute).Unix())),
		"nbf tomorrow":            rs(spoil(operator(), "nbf", start.Add(time.Minute).Unix())),
		"too long":                rs(spoil(operator(), "exp", start.Add(25*time.Hour).Unix())),
		"no name":                 rs(spoil(operator(), "preferred_username", nil)),
		"a name that is a number": rs(spoil(operator(), "preferred_username", 7)),
		"a name with a space":     rs(spoil(operator(), "preferred_username", "alice smith")),
		"no roles":                rs(spoil(operator(), "realm_access", nil)),
		"no mapped role":          rs(spoil(operator(), "realm_access", map[string]any{"roles": []string{"VIEW", "ADMINISTER"}})),
		"a logout token":          rs(spoil(operator(), "events", map[string]any{})),
		"a user of another owner": rs(spoil(outsidePayer(), "sub", "b~user-1")),
		"no user":                 rs(spoil(outsidePayer(), "sub", nil)),
		"a factor of tomorrow":    rs(spoil(spoil(outsidePayer(), "auth_time", start.Add(time.Hour).Unix()), "amr", []string{"mfa"})),
	} {
		got, err := v.Verify(token, start)
		if !errs.Is(err, errs.TokenInvalid) {
			t.Errorf("%s: got %+v, %v, want TOKEN_INVALID", name, got, err)
		}
	}
	_, err = v.Verify(rs(operator()), start.Add(time.Hour))
	wantReason(t, err, errs.TokenExpired)
}

// A key that the issuer adds is found by its unknown id, not more often than twice a minute; one that it takes back ends.
func TestOutside_KeysRotate(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	v := verifierOf(t, func(err error) { t.Error(err) }, p.operators())
	old := signed(t, jwt.SigningMethodRS256, "rsa", p.rsa, operator())
	if _, err := v.Verify(old, start); err != nil {
		t.Fatal(err)
	}
	p.publish(map[string]crypto.PublicKey{"fresh": p.eddsa.Public()})
	fresh := signed(t, jwt.SigningMethodEdDSA, "fresh", p.eddsa, operator())
	for range 100 {
		_, err := v.Verify(fresh, start.Add(time.Second))
		wantReason(t, err, errs.TokenInvalid)
	}
	if n := p.looks.Load(); n != 1 {
		t.Errorf("a hundred unknown keys within half a minute: %d looks", n)
	}
	later := start.Add(31 * time.Second)
	if _, err := v.Verify(fresh, later); err != nil {
		t.Errorf("the new key: %v", err)
	}
	_, err := v.Verify(old, later)
	wantReason(t, err, errs.TokenInvalid)
}

func TestOutside_IssuerGoneWrongKeepsTheKeys(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	var reports atomic.Int64
	v := verifierOf(t, func(error) { reports.Add(1) }, p.operators())
	good := signed(t, jwt.SigningMethodRS256, "rsa", p.rsa, operator())
	if _, err := v.Verify(good, start); err != nil {
		t.Fatal(err)
	}
	now := start
	for name, answer := range map[string]http.HandlerFunc{
		"500":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"a page":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"no keys": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) },
		"too much": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"keys":[` + strings.Repeat(" ", 1<<20) + `]}`))
		},
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://login.example/keys", http.StatusFound)
		},
	} {
		p.answer.Store(&answer)
		now = now.Add(time.Minute)
		before := reports.Load()
		_, err := v.Verify(signed(t, jwt.SigningMethodRS256, "unknown", p.rsa, operator()), now)
		wantReason(t, err, errs.TokenInvalid)
		if reports.Load() != before+1 {
			t.Errorf("%s: %d reports", name, reports.Load()-before)
		}
		if _, err := v.Verify(good, now); err != nil {
			t.Errorf("%s: the key read before: %v", name, err)
		}
	}
}

// An issuer that was never reached says nothing about a token: the caller may repeat it, and is not signed out.
func TestOutside_KeysThatWereNeverRead(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	down := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	p.answer.Store(&down)
	v := verifierOf(t, nil, p.operators())
	token := signed(t, jwt.SigningMethodRS256, "rsa", p.rsa, operator())
	for range 3 {
		_, err := v.Verify(token, start)
		wantReason(t, err, errs.DependencyUnavailable)
	}
	if n := p.looks.Load(); n != 1 {
		t.Errorf("%d looks within half a minute", n)
	}
	p.answer.Store(nil)
	if _, err := v.Verify(token, start.Add(31*time.Second)); err != nil {
		t.Error(err)
	}
}

// While one caller waits for the issuer, others with unknown keys are refused at once, and known keys go on.
func TestOutside_SlowIssuerHoldsUpOneCaller(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	v := verifierOf(t, func(err error) { t.Error(err) }, p.operators())
	good := signed(t, jwt.SigningMethodRS256, "rsa", p.rsa, operator())
	if _, err := v.Verify(good, start); err != nil {
		t.Fatal(err)
	}
	entered, release := make(chan struct{}), make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_ = json.NewEncoder(w).Encode(p.set.Load())
	})
	p.answer.Store(&slow)
	unknown := func() error {
		_, err := v.Verify(signed(t, jwt.SigningMethodRS256, "unknown", p.rsa, operator()), start.Add(time.Minute))
		return err
	}
	first := make(chan error, 1)
	go func() { first <- unknown() }()
	<-entered
	for range 10 {
		wantReason(t, unknown(), errs.TokenInvalid)
	}
	if _, err := v.Verify(good, start.Add(time.Minute)); err != nil {
		t.Errorf("a known key: %v", err)
	}
	close(release)
	wantReason(t, <-first, errs.TokenInvalid)
}

func TestOutside_RunReadsTheKeysAndEnds(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	v := verifierOf(t, func(err error) { t.Error(err) }, p.operators())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	<-p.looked
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := newVerifier(t, auth.VerifierConfig{}, newSigner(t, "k1")).Run(t.Context()); err != nil {
		t.Errorf("without outside issuers: %v", err)
	}
}

func TestLoadOutside_KeysFromAFile(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	dir := t.TempDir()
	raw, err := json.Marshal(p.set.Load())
	if err != nil {
		t.Fatal(err)
	}
	config := p.operators()
	config.JWKSURL, config.JWKSFile = "", filepath.Join(dir, "jwks.json")
	text, err := json.Marshal([]auth.IssuerConfig{config})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{config.JWKSFile: raw, filepath.Join(dir, "oidc.json"): text} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	outside, err := auth.LoadOutside(filepath.Join(dir, "oidc.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	v := newVerifier(t, auth.VerifierConfig{Outside: outside}, newSigner(t, "k1"))
	if _, err := v.Verify(signed(t, jwt.SigningMethodES256, "ecdsa", p.ecdsa, operator()), start); err != nil {
		t.Error(err)
	}
}

func TestLoadOutside_NamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	good := `{"issuer":"https://a","audience":"b","jwks_url":"https://a/keys","kind":"H5"}`
	for text, says := range map[string]string{
		`[]`:              "0 issuers",
		`{}`:              "malformed",
		`[{"issuer":1}]`:  "malformed",
		`[{"isuer":"x"}]`: "isuer",
		`[{"audience":"b","jwks_url":"https://a","kind":"H5"}]`:                                                "issuer must be set",
		`[{"issuer":"creditpay","audience":"b","jwks_url":"https://a","kind":"H5"}]`:                           "issuer",
		`[{"issuer":"https://a","jwks_url":"https://a","kind":"H5"}]`:                                          "audience",
		`[{"issuer":"https://a","audience":"b","kind":"H5"}]`:                                                  "jwks_url",
		`[{"issuer":"https://a","audience":"b","jwks_url":"http://a/keys","kind":"H5"}]`:                       "https",
		`[{"issuer":"https://a","audience":"b","jwks_url":"https://u:p@a/keys","kind":"H5"}]`:                  "https",
		`[{"issuer":"https://a","audience":"b","jwks_url":"https://a","kind":"SPM"}]`:                          "neither ADMIN nor H5",
		`[{"issuer":"https://a","audience":"b","jwks_url":"https://a","kind":"SERVICE"}]`:                      "neither ADMIN nor H5",
		`[{"issuer":"https://a","audience":"b","jwks_url":"https://a","kind":"ADMIN"}]`:                        "role_map",
		`[{"issuer":"https://a","audience":"b","jwks_url":"https://a","kind":"ADMIN","role_map":{"x":["K"]}}]`: "role_map",
		`[{"issuer":"https://a","audience":"b","jwks_url":"https://a","kind":"H5","role_map":{"x":["VIEW"]}}]`: "belong to ADMIN",
		`[{"issuer":"https://a","audience":"b","jwks_url":"https://a","kind":"H5","owner":"a~b"}]`:             "owner",
		`[` + good + `,` + good + `]`: "twice",
	} {
		path := filepath.Join(t.TempDir(), "oidc.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := auth.LoadOutside(path, nil); !errors.Is(err, auth.ErrKeyFile) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want %q", text, err, says)
		}
	}
}
