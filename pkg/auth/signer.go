package auth

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/clock"
)

// Signer makes tokens with one private key. It is immutable and safe for concurrent use.
type Signer struct {
	keyID string
	key   ed25519.PrivateKey
	bound Bound
}

// NewSigner is a Signer with the key of that id and what it may speak for. It fails for a malformed id (1 to 64 characters of A-Z,
// a-z, 0-9, _ . @ -), a key of the wrong length, and a bound that cannot be.
func NewSigner(keyID string, key ed25519.PrivateKey, bound Bound) (*Signer, error) {
	if !identifier(keyID) {
		return nil, fmt.Errorf("key id %q is malformed", keyID)
	}
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("private key has %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	if err := bound.check(); err != nil {
		return nil, fmt.Errorf("signing key %q: %w", keyID, err)
	}
	return &Signer{keyID: keyID, key: key, bound: bound}, nil
}

// KeyID is the id of the signer's key.
func (s *Signer) KeyID() string { return s.keyID }

// Public is the public half of the signer's key.
func (s *Signer) Public() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }

// Key is the public half with what it may speak for, as a KeySet has it.
func (s *Signer) Key() Key { return Key{Public: s.Public(), Bound: s.bound} }

// Mint makes a token for c that is valid from now for lifetime (whole seconds, 1 s to LongestLifetime; the verifiers' own maximum
// may be shorter). It fails when c lacks what its kind needs (a user for H5, a merchant for MERCHANT, a role for ADMIN) and when the
// key is not bound to its kind and name.
func (s *Signer) Mint(c caller.Caller, lifetime time.Duration, now time.Time) (string, error) {
	if err := checkCaller(c); err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	if lifetime < time.Second || lifetime > LongestLifetime {
		return "", fmt.Errorf("mint token: lifetime %s is not within 1s and %s", lifetime, LongestLifetime)
	}
	if !s.bound.names(c.Kind, c.Name) {
		return "", fmt.Errorf("mint token: the key %s is bound to %s, and verifiers refuse its token of %s %s", s.keyID, s.bound, c.Kind, c.Name)
	}
	issued := now.Truncate(time.Second)
	body := claims{
		RegisteredClaims: jwt.RegisteredClaims{
			ID:        uuid.NewString(),
			Issuer:    Issuer,
			Audience:  jwt.ClaimStrings{Audience},
			Subject:   c.Name,
			IssuedAt:  jwt.NewNumericDate(issued),
			ExpiresAt: jwt.NewNumericDate(issued.Add(lifetime.Truncate(time.Second))),
		},
		Kind:       c.Kind.String(),
		UserID:     c.UserID,
		MerchantID: c.MerchantID,
		Roles:      c.Roles.Names(),
	}
	if c.Kind == caller.Merchant {
		body.Owner = c.Owner
	}
	if c.FactorTime > 0 {
		body.AuthTime, body.AMR = jwt.NewNumericDate(time.Unix(c.FactorTime, 0)), []string{"mfa"}
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, body)
	token.Header["kid"] = s.keyID
	signed, err := token.SignedString(s.key)
	if err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	return signed, nil
}

// Source gives a program its own token and makes a new one when half of the lifetime is over. It is safe for concurrent use.
type Source struct {
	signer   *Signer
	caller   caller.Caller
	lifetime time.Duration
	clk      clock.Clock

	mu    sync.Mutex
	token string
	renew time.Time
	last  time.Time
}

// NewSource is a Source of tokens of that lifetime (at least 1 minute) for c, for example a service. clk must be the clock that
// the verifiers go by: the machine's.
func NewSource(signer *Signer, c caller.Caller, lifetime time.Duration, clk clock.Clock) (*Source, error) {
	if lifetime < time.Minute {
		return nil, fmt.Errorf("token source: lifetime %s is below 1m", lifetime)
	}
	s := &Source{signer: signer, caller: c, lifetime: lifetime, clk: clk}
	if _, err := s.Token(context.Background()); err != nil {
		return nil, err
	}
	return s, nil
}

// Token is a token with at least half of its lifetime left.
func (s *Source) Token(context.Context) (string, error) {
	now := s.clk.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	// A clock that was set back would make the held token one of the future.
	if s.token != "" && now.Before(s.renew) && !now.Before(s.last.Add(-Leeway)) {
		return s.token, nil
	}
	token, err := s.signer.Mint(s.caller, s.lifetime, now)
	if err != nil {
		return "", err
	}
	s.token, s.renew, s.last = token, now.Add(s.lifetime/2), now
	return token, nil
}
