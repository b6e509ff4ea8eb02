// Package auth owns bearer tokens: their form, signing, verification, revocation, and the keys with their rotation. README.md lists
// every claim.
//
// A token of the suite is a JSON Web Token (RFC 7519) signed with Ed25519 (RFC 8037) by a key that is bound to kinds of callers and
// names. Tokens of outside issuers (OpenID Connect) are accepted for operators and payers where they are configured. It must not
// decide who may call what (package rpckit does) and must not know people's passwords.
package auth

import (
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/creditpay/creditpay/pkg/caller"
)

const (
	// Issuer is the "iss" claim of every token of the suite.
	Issuer = "creditpay"
	// Audience is the "aud" claim of every token of the suite.
	Audience = "creditpay"
	// Leeway is how far "iat" and "nbf" may lie ahead of the verifier's clock. "exp" has none.
	Leeway = 30 * time.Second
	// MaxTokenLength bounds a token, in bytes.
	MaxTokenLength = 8192
	// LongestLifetime bounds every configured lifetime.
	LongestLifetime = 400 * 24 * time.Hour
	// HomeMarketplace is the name of the home marketplace where none is configured.
	HomeMarketplace = "marketplace"
)

// nameLength bounds names and ids in tokens, in bytes.
const nameLength = 64

// claims is the body of a token of the suite.
type claims struct {
	jwt.RegisteredClaims
	Kind       string           `json:"kind"`
	UserID     string           `json:"user_id,omitempty"`
	MerchantID string           `json:"merchant_id,omitempty"`
	Owner      string           `json:"owner,omitempty"`
	Roles      []string         `json:"roles,omitempty"`
	AuthTime   *jwt.NumericDate `json:"auth_time,omitempty"`
	AMR        []string         `json:"amr,omitempty"`
}

// checkCaller holds c against what a token may say: a known kind; a name; a user for H5 and only there; a merchant for MERCHANT
// and only there; roles for ADMIN and only there; a second factor for H5 only. The same rule stands when a token is made and when it
// is read.
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
	if c.FactorTime != 0 && c.Kind != caller.H5 || c.FactorTime < 0 {
		return fmt.Errorf("auth_time with a second factor belongs to %s, in seconds since 1970", caller.H5)
	}
	if err := checkOwner(c); err != nil {
		return err
	}
	if err := checkScope("user_id", c.UserID, c.Kind == caller.H5); err != nil {
		return err
	}
	return checkScope("merchant_id", c.MerchantID, c.Kind == caller.Merchant)
}

// checkOwner holds the marketplace of a caller against its kind: an SPM's is its name, a payer's stands in the user id.
func checkOwner(c caller.Caller) error {
	ofUser, _ := caller.SplitUserID(c.UserID)
	switch {
	case c.Owner == "" && ofUser == "":
		return nil
	case c.Kind == caller.SPM && c.Owner == c.Name, c.Kind == caller.H5 && c.Owner == ofUser, c.Kind == caller.Merchant && identifier(c.Owner):
		return nil
	case c.Kind == caller.Merchant:
		return fmt.Errorf("owner must be 1 to %d characters of A-Z, a-z, 0-9, _ . @ and -", nameLength)
	default:
		return fmt.Errorf("owner %q does not fit a caller of kind %s: an SPM acts in the marketplace of its name, a payer in that of the user id",
			c.Owner, c.Kind)
	}
}

func checkScope(claim, value string, required bool) error {
	switch {
	case !required && value != "":
		return fmt.Errorf("%s does not belong to this kind of caller", claim)
	case required && claim == "user_id" && !userIdentifier(value):
		return fmt.Errorf(`user_id must be 1 to %d characters of A-Z, a-z, 0-9, _ . @ and -, with "<owner>~" in front for a payer of another marketplace`,
			nameLength)
	case required && claim != "user_id" && !identifier(value):
		return fmt.Errorf("%s must be 1 to %d characters of A-Z, a-z, 0-9, _ . @ and -", claim, nameLength)
	default:
		return nil
	}
}

// userIdentifier reports whether s is a user of the home marketplace, or "<owner>~<user>".
func userIdentifier(s string) bool {
	owner, user, qualified := strings.Cut(s, "~")
	if !qualified {
		return identifier(s)
	}
	return identifier(owner) && identifier(user) && len(s) <= nameLength
}

// identifier reports whether s may stand in logs and keys as it is. There is no colon, so that caller.Caller.String is unambiguous,
// and no tilde, which parts an owner from a user.
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

// tokenID reports whether s is the id of a token: a UUID (RFC 9562) in its usual form, in lower case.
func tokenID(s string) bool {
	id, err := uuid.Parse(s)
	return err == nil && id.String() == s
}
