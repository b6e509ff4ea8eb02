package app

import (
	"context"
	"crypto/rand"
	"strconv"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

// Request is who asks, and the caller's id of the request.
type Request struct {
	Caller, RequestID string
	// Version of the object that the caller has seen, for a change of one; zero for whatever it is.
	Version int64
}

func (r Request) key(verb string) idempotency.Key {
	return idempotency.Key{Verb: verb, Caller: r.Caller, RequestID: r.RequestID}
}

// RegisteredEndpoint is an endpoint with its secrets.
type RegisteredEndpoint struct {
	domain.Endpoint
	// Secrets that are good now, newest first; their text stays sealed.
	Secrets []domain.EndpointSecret
	// Text is the text of a secret that was made in this call; empty otherwise.
	Text secret.Masked
}

// EndpointFilter says which endpoints are listed.
type EndpointFilter struct {
	// Marketplace is of their owners, empty for the home marketplace; nil for all.
	Marketplace *string
	// MerchantID is of their owners; empty for all.
	MerchantID string
	// Below is the last endpoint of the page before; zero for the first page.
	Below ids.ID
}

// reference is what is recorded of a request: what it was about. The answer is read anew, so that no record holds a secret.
type reference struct {
	ID ids.ID `json:"id"`
}

// CreateEndpoint registers an endpoint and makes its secret, whose text is given once. It fails with INVALID_ARGUMENT,
// ENDPOINT_URL_REFUSED, and as idempotency.Do does.
func (a *App) CreateEndpoint(ctx context.Context, r Request, e domain.Endpoint) (RegisteredEndpoint, error) {
	now := a.now()
	if err := e.Check(a.Settings.Reach); err != nil {
		return RegisteredEndpoint{}, err
	}
	fp, err := idempotency.FingerprintOf(struct {
		Owner, URL, KeyName string
		Types               []string
		Profile             domain.Profile
		Marketplace         string `json:",omitzero"`
	}{e.Owner.MerchantID, e.URL, e.KeyName, e.Types, e.Profile, e.Owner.Marketplace})
	if err != nil {
		return RegisteredEndpoint{}, errs.Internal.Wrap(err, "digest the request")
	}
	e.ID, e.State, e.Version, e.CreateTime = a.IDs.New(), domain.EndpointEnabled, 1, now
	key := r.key("CreateEndpoint")
	var shown secret.Masked
	made, err := idempotency.Do(ctx, a.Store.Requests(), key, fp, func() (reference, error) {
		text, sealed, err := a.newSecret(e, now)
		if err != nil {
			return reference{}, err
		}
		err = a.Store.Do(ctx, func(tx Tx) error {
			tx.Remember(key, fp, reference{e.ID})
			tx.InsertEndpoint(e)
			tx.InsertSecret(sealed)
			return nil
		})
		if err == nil {
			shown = text
		}
		return reference{e.ID}, err
	})
	if err != nil {
		return RegisteredEndpoint{}, err
	}
	return a.registered(ctx, made.ID, shown)
}

// registered is an endpoint as it is now.
func (a *App) registered(ctx context.Context, id ids.ID, text secret.Masked) (RegisteredEndpoint, error) {
	e, secrets, err := a.Store.Endpoint(ctx, id)
	return RegisteredEndpoint{Endpoint: e, Secrets: domain.LiveSecrets(secrets, a.now()), Text: text}, err
}

// newSecret makes a secret of an endpoint, as text and sealed.
func (a *App) newSecret(e domain.Endpoint, now time.Time) (secret.Masked, domain.EndpointSecret, error) {
	random := make([]byte, domain.SecretSize)
	_, _ = rand.Read(random) // crypto/rand.Read never fails: it ends the program instead (Go 1.24).
	text := e.Profile.NewSecret(random)
	s := domain.EndpointSecret{ID: a.IDs.New(), EndpointID: e.ID, CreateTime: now}
	var err error
	if s.Sealed, err = a.Keys.Seal([]byte(text.Reveal()), sealedFor(s.ID)); err != nil {
		return "", s, errs.Internal.Wrap(err, "seal a secret")
	}
	return text, s, nil
}

// sealedFor binds an envelope to its row.
func sealedFor(id ids.ID) []byte { return []byte("endpoint_secrets.sealed:" + id.String()) }

// openSecrets gives the texts of secrets.
func (a *App) openSecrets(all []domain.EndpointSecret) ([]secret.Masked, error) {
	out := make([]secret.Masked, 0, len(all))
	for _, s := range all {
		text, err := a.Keys.Open(s.Sealed, sealedFor(s.ID))
		if err != nil {
			return nil, errs.Internal.Wrap(err, "open a secret of endpoint %s", ids.Format(ids.Endpoint, s.EndpointID))
		}
		out = append(out, secret.Masked(text))
	}
	return out, nil
}

// EndpointChange is what UpdateEndpoint changes of an endpoint. Its JSON is fingerprinted: what was added since is left out when zero.
type EndpointChange struct {
	// URL is the new address; empty for a callback endpoint.
	URL string
	// Types are the new types; empty for all that concern the owner.
	Types []string
	// KeepURL and KeepTypes leave the one or the other as it is.
	KeepURL   bool `json:",omitzero"`
	KeepTypes bool `json:",omitzero"`
}

// apply is an endpoint after the change. Errors: those of domain.Endpoint.With.
func (c EndpointChange) apply(e domain.Endpoint, reach domain.Reach) (domain.Endpoint, error) {
	url, types := c.URL, c.Types
	if c.KeepURL {
		url = e.URL
	}
	if c.KeepTypes {
		types = e.Types
	}
	return e.With(url, types, reach)
}

// UpdateEndpoint changes the address or the types of an endpoint; a callback endpoint stays one. It fails with NOT_FOUND, INVALID_ARGUMENT, ENDPOINT_URL_REFUSED,
// CONCURRENT_CHANGE, and as idempotency.Do does.
func (a *App) UpdateEndpoint(ctx context.Context, r Request, id ids.ID, c EndpointChange) (RegisteredEndpoint, error) {
	return a.changeEndpoint(ctx, r, "UpdateEndpoint", id, c, func(e domain.Endpoint) (domain.Endpoint, error) {
		return c.apply(e, a.Settings.Reach)
	})
}

// SetEndpointState disables an endpoint or enables it again. Deliveries on their way to a disabled one are stopped by the sender, each
// when it is due. It fails with NOT_FOUND, CONCURRENT_CHANGE, and as idempotency.Do does.
func (a *App) SetEndpointState(ctx context.Context, r Request, id ids.ID, state domain.EndpointState) (RegisteredEndpoint, error) {
	return a.changeEndpoint(ctx, r, "SetEndpointState", id, state, func(e domain.Endpoint) (domain.Endpoint, error) {
		if e.State == state {
			return e, nil
		}
		return e.Switched(state, "by "+r.Caller, a.now()), nil
	})
}

func (a *App) changeEndpoint(ctx context.Context, r Request, verb string, id ids.ID, content any, rule func(domain.Endpoint) (domain.Endpoint, error)) (RegisteredEndpoint, error) {
	fp, err := idempotency.FingerprintOf(struct {
		ID      ids.ID
		Content any
		Version int64 `json:",omitzero"`
	}{id, content, r.Version})
	if err != nil {
		return RegisteredEndpoint{}, errs.Internal.Wrap(err, "digest the request")
	}
	key := r.key(verb)
	_, err = idempotency.Do(ctx, a.Store.Requests(), key, fp, func() (reference, error) {
		before, _, err := a.Store.Endpoint(ctx, id)
		if err != nil {
			return reference{}, err
		}
		if r.Version != 0 && r.Version != before.Version {
			return reference{}, errs.ConcurrentChange.New("the endpoint has version %d, not %d: it changed since it was read; read it again, then repeat with its version",
				before.Version, r.Version).With("version", strconv.FormatInt(before.Version, 10))
		}
		after, err := rule(before)
		if err != nil {
			return reference{}, err
		}
		after.Version++
		return reference{id}, a.Store.Do(ctx, func(tx Tx) error {
			tx.Remember(key, fp, reference{id})
			tx.UpdateEndpoint(after)
			return nil
		})
	})
	if err != nil {
		return RegisteredEndpoint{}, err
	}
	return a.registered(ctx, id, "")
}

// ListEndpoints gives endpoints, newest first; more tells that there are others behind.
func (a *App) ListEndpoints(ctx context.Context, f EndpointFilter, size int) (page []RegisteredEndpoint, more bool, err error) {
	page, err = a.Store.Endpoints(ctx, f, size+1)
	for i := range page {
		page[i].Secrets = domain.LiveSecrets(page[i].Secrets, a.now())
	}
	return page[:min(len(page), size)], len(page) > size, err
}
