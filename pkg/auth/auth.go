// Package auth owns bearer tokens: their form, signing, verification, and the keys of both with their rotation.
//
// A token is a JSON Web Token (RFC 7519) signed with Ed25519 (RFC 8037) and nothing else. It must not decide who may call what
// (package rpckit does) and must not know people's passwords.
package auth

import (
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/creditpay/creditpay/pkg/caller"
)

const (
	// Issuer is the "iss" claim of every token.
	Issuer = "creditpay"
	// Audience is the "aud" claim of every token.
	Audience = "creditpay"
	// Leeway is how far "iat" and "nbf" may lie ahead of the verifier's clock. "exp" has none.
	Leeway = 30 * time.Second
	// MaxTokenLength bounds a token, in bytes.
	MaxTokenLength = 4096
	// LongestLifetime bounds every configured lifetime.
	LongestLifetime = 400 * 24 * time.Hour
)

// nameLength bounds names and ids in tokens, in bytes.
const nameLength = 64

// claims is the body of a token.
type claims struct {
	jwt.RegisteredClaims
	Kind       string   `json:"kind"`
	UserID     string   `json:"user_id,omitempty"`
	MerchantID string   `json:"merchant_id,omitempty"`
	Roles      []string `json:"roles,omitempty"`
}

// checkCaller holds c against what a token may say: a known kind; a name; a user for H5 and only there; a merchant for MERCHANT
// and only there; roles for ADMIN and only there. The same rule stands when a token is made and when it is read.
func checkCaller(c caller.Caller) error {
	if c.Kind.Proto() == 0 {
		return fmt.Errorf("kind %d is not a kind of caller", c.Kind)
	}
	if !identifier(c.Name) {
		return fmt.Errorf("sub must be 1 to %d characters of A-Z, a-z, 0-9, _ . @ and -", nameLength)
	}
	if (c.Kind == caller.Admin) != (c.Roles != 0) {
		return fmt.Errorf("roles belong to %s, who needs one at least; roles are %s", caller.Admin, strings.Join(caller.EveryRole().Names(), ", "))
	}
	if err := checkScope("user_id", c.UserID, c.Kind == caller.H5); err != nil {
		return err
	}
	return checkScope("merchant_id", c.MerchantID, c.Kind == caller.Merchant)
}

func checkScope(claim, value string, required bool) error {
	switch {
	case required && !identifier(value):
		return fmt.Errorf("%s must be 1 to %d characters of A-Z, a-z, 0-9, _ . @ and -", claim, nameLength)
	case !required && value != "":
		return fmt.Errorf("%s does not belong to this kind of caller", claim)
	default:
		return nil
	}
}

// identifier reports whether s may stand in logs and keys as it is. There is no colon, so that caller.Caller.String is unambiguous.
func identifier(s string) bool {
	if s == "" || len(s) > nameLength {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '_', c == '.', c == '@', c == '-':
		default:
			return false
		}
	}
	return true
}
