package service_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/service"
)

// keyFor makes a key pair in a directory and returns the config of a process that holds it, and its signer.
func keyFor(t *testing.T, dir, file string, bound auth.Bound) (service.Config, *auth.Signer) {
	t.Helper()
	c := config()
	c.TokenKeysFile, c.TokenSigningKeyFile = filepath.Join(dir, "keys.json"), filepath.Join(dir, file)
	signer, err := auth.WriteKeyPair(auth.NewKeyPair{PrivateFile: c.TokenSigningKeyFile, KeySetFile: c.TokenKeysFile, Bound: bound})
	if err != nil {
		t.Fatal(err)
	}
	return c, signer
}

func one(kind caller.Kind, name string) auth.Bound {
	return auth.Bound{Kinds: []caller.Kind{kind}, Names: []string{name}}
}

func write(t *testing.T, path string, v any) {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A process signs with the key of its own name only, and says at the start which variable is wrong.
func TestTokenSource_KeyOfAnotherService(t *testing.T) {
	t.Parallel()
	c, _ := keyFor(t, t.TempDir(), "order.json", one(caller.Service, "order"))
	if _, err := service.NewTokenSource(c, "order"); err != nil {
		t.Error(err)
	}
	if _, err := service.NewTokenSource(c, "payment"); err == nil || !strings.Contains(err.Error(), "CREDITPAY_TOKEN_SIGNING_KEY_FILE") ||
		!strings.Contains(err.Error(), "SERVICE order") {
		t.Errorf("the payment service with the order service's key: %v", err)
	}
	if _, err := service.NewTokenSource(config(), "order"); err == nil || !strings.Contains(err.Error(), "CREDITPAY_TOKEN_SIGNING_KEY_FILE") {
		t.Errorf("without a key: %v", err)
	}
}

// The files that the environment names are the ones that the verifier goes by.
func TestVerifier_RevokedAndOutsideFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, signer := keyFor(t, dir, "admin.json", one(caller.Admin, auth.Any))
	now := time.Now()
	alice, err := signer.Mint(caller.Caller{Kind: caller.Admin, Name: "alice", Roles: caller.EveryRole()}, time.Hour, now)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwks := filepath.Join(dir, "jwks.json")
	write(t, jwks, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k"}}})
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": "https://id.example", "aud": "pay", "sub": "u1", "iat": now.Unix(),
		"exp": now.Add(time.Hour).Unix()})
	token.Header["kid"] = "k"
	payer, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}

	plain, err := service.NewVerifier(c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plain.Verify(alice, now); err != nil {
		t.Errorf("alice: %v", err)
	}
	if _, err := plain.Verify(payer, now); !errs.Is(err, errs.TokenInvalid) {
		t.Errorf("a payer of no issuer of ours: %v", err)
	}

	c.TokenRevokedFile, c.OIDCFile = filepath.Join(dir, "revoked.json"), filepath.Join(dir, "oidc.json")
	c.HomeMarketplace = "home"
	write(t, c.TokenRevokedFile, []auth.Revocation{{KeyID: signer.KeyID()}})
	write(t, c.OIDCFile, []auth.IssuerConfig{{Issuer: "https://id.example", Audience: "pay", JWKSFile: jwks, Kind: "H5", Owner: "home"}})
	full, err := service.NewVerifier(c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := full.Verify(alice, now); !errs.Is(err, errs.TokenInvalid) {
		t.Errorf("a token of a revoked key: %v", err)
	}
	if got, err := full.Verify(payer, now); err != nil || got != (caller.Caller{Kind: caller.H5, Name: "oidc", UserID: "u1"}) {
		t.Errorf("a payer of the issuer: %+v, %v", got, err)
	}
	for want, change := range map[string]func(*service.Config){
		"CREDITPAY_TOKEN_KEYS_FILE":    func(c *service.Config) { c.TokenKeysFile = c.OIDCFile },
		"CREDITPAY_TOKEN_REVOKED_FILE": func(c *service.Config) { c.TokenRevokedFile = c.OIDCFile },
		"CREDITPAY_OIDC_FILE":          func(c *service.Config) { c.OIDCFile = c.TokenKeysFile },
		"home marketplace":             func(c *service.Config) { c.HomeMarketplace = "a~b" },
	} {
		wrong := c
		change(&wrong)
		if _, err := service.NewVerifier(wrong, zap.NewNop()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
