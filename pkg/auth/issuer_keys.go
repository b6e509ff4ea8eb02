package auth

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/sync/errgroup"

	"github.com/creditpay/creditpay/pkg/caller"
)

const (
	// fetchTime bounds one look at an issuer's keys, and maxJWKS the answer in bytes.
	fetchTime = 3 * time.Second
	maxJWKS   = 512 << 10
	// fetchEvery is how often the keys are looked at in the background, and unknownEvery how often at most for an unknown key.
	fetchEvery   = 5 * time.Minute
	unknownEvery = 30 * time.Second
	// minRSA is the least length of an RSA key, in bits.
	minRSA = 2048
)

// issuerAlgorithms are the signatures that are accepted from outside (RFC 7518, RFC 8037): asymmetric ones only.
func issuerAlgorithms() []string {
	return []string{jwt.SigningMethodRS256.Alg(), jwt.SigningMethodES256.Alg(), jwt.SigningMethodEdDSA.Alg()}
}

// issuerKeys is one state of an issuer's public keys. Its address identifies it.
type issuerKeys struct {
	byID map[string]issuerKey
	raw  []byte
}

// issuerKey is a public key with the one signature that it is for.
type issuerKey struct {
	algorithm string
	public    any
}

// outsideIssuer is an issuer with its keys.
type outsideIssuer struct {
	config IssuerConfig
	kind   caller.Kind
	report func(error)

	// file holds the keys of JWKSFile; nil for JWKSURL.
	file   *watched[*issuerKeys]
	client *http.Client
	held   atomic.Pointer[issuerKeys]

	mu      sync.Mutex // one fetch at a time; guards fetched
	fetched time.Time
}

func newOutsideIssuer(c IssuerConfig, report func(error)) (*outsideIssuer, error) {
	i := &outsideIssuer{config: c, report: report}
	i.kind, _ = caller.ParseKind(c.Kind)
	if c.JWKSFile != "" {
		var err error
		i.file, err = open(c.JWKSFile, "keys of "+c.Issuer, maxJWKS, parseIssuerKeys, report)
		return i, err
	}
	i.client = &http.Client{Timeout: fetchTime, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > 3 {
			return errors.New("more than 3 redirects")
		}
		return checkKeysURL(r.URL.String())
	}}
	return i, nil
}

// checkKeysURL reports why keys are not read from an address: it must be https, or http on the loopback.
func checkKeysURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return errors.New("want https://host/path, without a user")
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme == "https" || u.Scheme == "http" && loopback {
		return nil
	}
	return errors.New("want https: whoever changes these keys on their way signs in as anybody")
}

// state is the keys as they stand; nil when none were read yet.
func (i *outsideIssuer) state(now time.Time) *issuerKeys {
	if i.file != nil {
		return i.file.get(now).value
	}
	return i.held.Load()
}

// key finds the key of an id. For an unknown one the issuer is asked, at most every unknownEvery, by one caller: the others are not
// held up, or forged ids would hold up everybody. The state is nil when no keys were read yet.
func (i *outsideIssuer) key(id string, now time.Time) (issuerKey, *issuerKeys, bool) {
	state := i.state(now)
	if k, ok := state.find(id); ok {
		return k, state, true
	}
	switch {
	case i.file != nil:
		state = i.file.again(now).value
	case i.mu.TryLock():
		if elapsed := now.Sub(i.fetched); elapsed < 0 || elapsed >= unknownEvery {
			i.fetched = now
			i.refresh(context.Background())
		}
		i.mu.Unlock()
		state = i.held.Load()
	}
	k, ok := state.find(id)
	return k, state, ok
}

func (s *issuerKeys) find(id string) (issuerKey, bool) {
	if s == nil {
		return issuerKey{}, false
	}
	k, ok := s.byID[id]
	return k, ok
}

// refresh reads the keys from JWKSURL. What it cannot read it reports, and the keys read before stay. The caller holds the lock.
func (i *outsideIssuer) refresh(ctx context.Context) {
	raw, err := i.fetch(ctx)
	held := i.held.Load()
	// Other keys end what was verified before, so the same ones are left as they are.
	if err == nil && (held == nil || !bytes.Equal(held.raw, raw)) {
		var keys *issuerKeys
		if keys, err = parseIssuerKeys(raw); err == nil {
			i.held.Store(keys)
		}
	}
	if err != nil && ctx.Err() == nil {
		i.report(fmt.Errorf("read the keys of %s, keeping those read before: %w", i.config.Issuer, err))
	}
}

func (i *outsideIssuer) fetch(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, i.config.JWKSURL, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	answer, err := i.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %s", answer.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxJWKS+1))
	if err == nil && len(raw) > maxJWKS {
		err = fmt.Errorf("answered with more than %d bytes", maxJWKS)
	}
	return raw, err
}

// parseIssuerKeys reads a JSON Web Key Set. Keys that are not for signatures, or of a kind that is not accepted, are left out.
func parseIssuerKeys(raw []byte) (*issuerKeys, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil || set.Keys == nil {
		return nil, fmt.Errorf("%w: not a JSON Web Key Set", ErrKeyFile)
	}
	keys := &issuerKeys{byID: map[string]issuerKey{}, raw: raw}
	for _, text := range set.Keys {
		var k jose.JSONWebKey
		if err := json.Unmarshal(text, &k); err != nil || !k.IsPublic() || k.Use != "" && k.Use != "sig" {
			continue
		}
		algorithm := algorithmOf(k.Key)
		if algorithm == "" || k.Algorithm != "" && k.Algorithm != algorithm {
			continue
		}
		if _, twice := keys.byID[k.KeyID]; twice {
			return nil, fmt.Errorf("%w: the key id %q is there twice", ErrKeyFile, k.KeyID)
		}
		keys.byID[k.KeyID] = issuerKey{algorithm: algorithm, public: k.Key}
	}
	return keys, nil
}

// algorithmOf is the one signature that a public key is used for; empty for a key that is not accepted.
func algorithmOf(public any) string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() >= minRSA {
			return jwt.SigningMethodRS256.Alg()
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return jwt.SigningMethodES256.Alg()
		}
	case ed25519.PublicKey:
		return jwt.SigningMethodEdDSA.Alg()
	}
	return ""
}

// Run reads the issuers' keys at once and then every five minutes, so that a key that an issuer took back ends, until ctx ends.
// Without it keys are read when a token names an unknown one.
func (o *Outside) Run(ctx context.Context) error {
	var group errgroup.Group
	for _, issuers := range o.byName {
		for _, i := range issuers {
			if i.file == nil {
				group.Go(func() error { i.run(ctx); return nil })
			}
		}
	}
	return group.Wait()
}

func (i *outsideIssuer) run(ctx context.Context) {
	tick := time.NewTicker(fetchEvery)
	defer tick.Stop()
	for {
		i.mu.Lock()
		i.refresh(ctx)
		i.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
