package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
)

const (
	// defaultMaxLifetime is the longest lifetime of a token when none is configured.
	defaultMaxLifetime = 24 * time.Hour
	// defaultCacheEntries is how many verified tokens are remembered when it is not configured.
	defaultCacheEntries = 10_000
)

// VerifierConfig bounds a Verifier. The zero value is safe.
type VerifierConfig struct {
	// MaxLifetime is the longest "exp" minus "iat" that is accepted, at most LongestLifetime; 24 hours when zero.
	MaxLifetime time.Duration
	// CacheEntries is how many verified tokens are remembered; 10,000 when zero.
	CacheEntries int
	// Home is the name of the home marketplace: an SPM of that name has no owner; HomeMarketplace when empty.
	Home string
	// Revoked are the tokens that are refused though they are good; nil for none.
	Revoked *Revocations
	// Outside are the outside issuers whose tokens are accepted too; nil for none.
	Outside *Outside
}

// Verifier verifies tokens. It remembers those that it verified, since a signature costs more than the rest of a call's entry.
// It is safe for concurrent use.
type Verifier struct {
	keys   *KeySet
	config VerifierConfig
	parser *jwt.Parser

	mu       sync.RWMutex
	verified map[[sha256.Size]byte]verdict
}

// verdict is what is known of a token that was verified. It holds as long as the keys and the revocations are the ones that it was
// found with.
type verdict struct {
	caller    caller.Caller
	notBefore time.Time
	expires   time.Time
	keys      *snapshot[map[string]Key]
	// issuer and its keys, for a token from outside.
	issuer     *outsideIssuer
	issuerKeys *issuerKeys
	revoked    *snapshot[*revocations]
}

// holds reports whether a verdict is as good as a new one.
func (v *Verifier) holds(known *verdict, now time.Time) bool {
	if now.Before(known.notBefore) || !now.Before(known.expires) || known.revoked != v.config.Revoked.state(now) {
		return false
	}
	if known.issuer != nil {
		return known.issuer.state(now) == known.issuerKeys
	}
	return v.keys.file.get(now) == known.keys
}

// NewVerifier is a Verifier with the keys of that set. It fails for bounds that are negative or too large.
func NewVerifier(keys *KeySet, config VerifierConfig) (*Verifier, error) {
	if config.MaxLifetime == 0 {
		config.MaxLifetime = defaultMaxLifetime
	}
	if config.CacheEntries == 0 {
		config.CacheEntries = defaultCacheEntries
	}
	if config.MaxLifetime < 0 || config.MaxLifetime > LongestLifetime {
		return nil, fmt.Errorf("token verifier: lifetime %s is not within 0 and %s", config.MaxLifetime, LongestLifetime)
	}
	if config.CacheEntries < 0 || config.CacheEntries > 1_000_000 {
		return nil, fmt.Errorf("token verifier: %d cache entries, want 1 to 1000000", config.CacheEntries)
	}
	config.Home = cmp.Or(config.Home, HomeMarketplace)
	if !identifier(config.Home) {
		return nil, fmt.Errorf("token verifier: the home marketplace %q is not 1 to %d characters of A-Z, a-z, 0-9, _ . @ and -", config.Home, nameLength)
	}
	return &Verifier{
		keys:   keys,
		config: config,
		// The library's own checks of the claims give one leeway to all times; ours is in check.
		parser:   jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithoutClaimsValidation(), jwt.WithStrictDecoding()),
		verified: make(map[[sha256.Size]byte]verdict),
	}, nil
}

// Run keeps the keys of outside issuers fresh until ctx ends; see Outside.Run. Without outside issuers it returns at once.
func (v *Verifier) Run(ctx context.Context) error {
	if v.config.Outside == nil {
		return nil
	}
	return v.config.Outside.Run(ctx)
}

// Verify returns the caller of a token, at the time now. Errors: errs.TokenMissing for an empty token, errs.TokenExpired,
// errs.DependencyUnavailable for a token of an outside issuer whose keys were never read, and errs.TokenInvalid for everything else. Now must be the machine's time, not that of a clock advanced for a demonstration.
func (v *Verifier) Verify(token string, now time.Time) (caller.Caller, error) {
	if token == "" {
		return caller.Caller{}, errs.TokenMissing.New(`send "authorization: Bearer <token>"`)
	}
	if len(token) > MaxTokenLength {
		return caller.Caller{}, errs.TokenInvalid.New("the token is longer than %d bytes", MaxTokenLength)
	}
	sum := sha256.Sum256([]byte(token))
	v.mu.RLock()
	known, ok := v.verified[sum]
	v.mu.RUnlock()
	if ok {
		if v.holds(&known, now) {
			return known.caller, nil
		}
		v.forget(sum)
	}
	fresh, err := v.verify(token, now)
	if err != nil {
		return caller.Caller{}, err
	}
	v.remember(sum, fresh, now)
	return fresh.caller, nil
}

// Known reports whether a token was verified before and is good at the time now. It verifies nothing.
func (v *Verifier) Known(token string, now time.Time) bool {
	sum := sha256.Sum256([]byte(token))
	v.mu.RLock()
	known, ok := v.verified[sum]
	v.mu.RUnlock()
	return ok && !now.Before(known.notBefore) && now.Before(known.expires)
}

// verify checks a token that is not remembered.
func (v *Verifier) verify(token string, now time.Time) (verdict, error) {
	if v.config.Outside != nil {
		if issuer, err := v.config.Outside.issuerOf(token); issuer != nil || err != nil {
			if err != nil {
				return verdict{}, err
			}
			return v.verifyOutside(token, issuer, now)
		}
	}
	var (
		body  claims
		found verdict
		key   Key
		keyID string
	)
	_, err := v.parser.ParseWithClaims(token, &body, func(t *jwt.Token) (any, error) {
		// RFC 7515 §4.1.11: an extension that is not understood makes the token invalid.
		if _, ok := t.Header["crit"]; ok {
			return nil, errors.New("critical header parameters")
		}
		keyID, _ = t.Header["kid"].(string)
		var ok bool
		key, found.keys, ok = v.keys.key(keyID, now)
		if !ok {
			return nil, errors.New("unknown key")
		}
		return key.Public, nil
	})
	if err != nil {
		return verdict{}, errs.TokenInvalid.Wrap(err, "the token is malformed or not signed by a known key")
	}
	if found.caller, err = v.callerOf(&body); err != nil {
		return verdict{}, errs.TokenInvalid.New("the token is not usable: %v", err)
	}
	if !key.Bound.permits(found.caller, v.config.Home) {
		return verdict{}, errs.TokenInvalid.New("the key that signed the token may not sign for %s %s; it is bound to %s",
			found.caller.Kind, found.caller.Name, key.Bound)
	}
	if found.notBefore, found.expires, err = v.checkTimes(&body, now); err != nil {
		return verdict{}, err
	}
	found.revoked = v.config.Revoked.state(now)
	return found, refuseRevoked(found.revoked, keyID, body.RegisteredClaims, found.caller)
}

// callerOf reads the caller out of a token's body.
func (v *Verifier) callerOf(body *claims) (caller.Caller, error) {
	kind, ok := caller.ParseKind(body.Kind)
	if !ok {
		return caller.Caller{}, fmt.Errorf("%.20q is no known kind of caller", body.Kind)
	}
	roles, err := caller.ParseRoles(body.Roles)
	if err != nil {
		return caller.Caller{}, err
	}
	if !tokenID(body.ID) {
		return caller.Caller{}, errors.New("jti must be a UUID in lower case, another in each token")
	}
	c := caller.Caller{Kind: kind, Name: body.Subject, UserID: body.UserID, MerchantID: body.MerchantID, Roles: roles, Owner: body.Owner}
	switch {
	case kind == caller.Merchant:
	case body.Owner != "":
		return c, fmt.Errorf("owner belongs to %s: an SPM acts in the marketplace of its name, a payer in that of the user id", caller.Merchant)
	case kind == caller.SPM && c.Name != v.config.Home:
		c.Owner = c.Name
	case kind == caller.H5:
		c.Owner, _ = caller.SplitUserID(c.UserID)
	}
	if c.Owner == v.config.Home {
		return c, fmt.Errorf("%s is the home marketplace, whose payers and merchants are named without it", c.Owner)
	}
	if kind == caller.H5 && body.AuthTime != nil && anyFactor(body.AMR, secondFactors()) {
		if body.IssuedAt != nil && body.AuthTime.After(body.IssuedAt.Add(Leeway)) {
			return c, errors.New("auth_time is later than iat")
		}
		c.FactorTime = body.AuthTime.Unix()
	}
	return c, checkCaller(c)
}

// checkTimes checks the audience and the times of the token, and returns the times between which it is valid.
func (v *Verifier) checkTimes(body *claims, now time.Time) (from, to time.Time, err error) {
	if body.Issuer != Issuer || !slices.Contains(body.Audience, Audience) {
		return from, to, errs.TokenInvalid.New("the token is not for this suite")
	}
	return v.lifetime(body.RegisteredClaims, now)
}

// lifetime returns the times between which a token is valid, and fails when now is not between them.
func (v *Verifier) lifetime(body jwt.RegisteredClaims, now time.Time) (from, to time.Time, err error) {
	if body.IssuedAt == nil || body.ExpiresAt == nil {
		return from, to, errs.TokenInvalid.New("the token lacks iat or exp")
	}
	issued := body.IssuedAt.Time
	from, to = issued, body.ExpiresAt.Time
	if body.NotBefore != nil && body.NotBefore.After(from) {
		from = body.NotBefore.Time
	}
	from = from.Add(-Leeway)
	lifetime := to.Sub(issued)
	switch {
	case lifetime <= 0 || lifetime > v.config.MaxLifetime:
		return from, to, errs.TokenInvalid.New("the token's lifetime is not within 0 and %s", v.config.MaxLifetime)
	case now.Before(from):
		return from, to, errs.TokenInvalid.New("the token is not valid yet")
	case !now.Before(to):
		return from, to, errs.TokenExpired.New("the token expired; ask for a new one")
	}
	return from, to, nil
}

// remember keeps a verdict. A full cache drops an entry first: an expired one among a few, otherwise any.
func (v *Verifier) remember(sum [sha256.Size]byte, fresh verdict, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.verified) >= v.config.CacheEntries {
		var victim [sha256.Size]byte
		looked := 0
		for sum, held := range v.verified { // in random order
			victim = sum
			if looked++; looked == 8 || !now.Before(held.expires) {
				break
			}
		}
		delete(v.verified, victim)
	}
	v.verified[sum] = fresh
}

func (v *Verifier) forget(sum [sha256.Size]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.verified, sum)
}

// Bearer takes the token out of an "authorization" header or metadata value. It is empty when there is none or the scheme is
// another one; the scheme's case does not matter (RFC 9110 §11.1).
func Bearer(header string) string {
	const scheme = "bearer "
	if len(header) <= len(scheme) || !strings.EqualFold(header[:len(scheme)], scheme) {
		return ""
	}
	return header[len(scheme):]
}
