package domain

import (
	"bytes"
	"crypto/sha256"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
)

// EndpointState is whether an endpoint gets deliveries; the numbers are stored and those of the contract.
type EndpointState int8

// The states of an endpoint.
const (
	EndpointEnabled  EndpointState = 1
	EndpointDisabled EndpointState = 2
)

// Endpoint is a subscriber's address.
type Endpoint struct {
	ID ids.ID
	// Owner is whose events it receives.
	Owner Owner
	// URL is where it is posted; empty for a callback endpoint, whose events go where the checkout of their order named.
	URL string
	// Types that it wants; empty for all that concern its owner.
	Types   []string
	Profile Profile
	// KeyName is the name under which the receiver knows the key; empty for Standard.
	KeyName string
	State   EndpointState
	// StateReason is why it has its state, StateTime since when; empty and the zero time for one that never changed it.
	StateReason string
	StateTime   time.Time
	Version     int64
	CreateTime  time.Time
}

// Switched is the endpoint in another state, for a reason.
func (e Endpoint) Switched(to EndpointState, reason string, now time.Time) Endpoint {
	e.State, e.StateReason, e.StateTime = to, reason, now
	return e
}

// Gone is the endpoint after it answered 410: the receiver wants nothing more. A callback endpoint stays what it is, since only the
// address of one checkout is gone.
func (e Endpoint) Gone(now time.Time) (after Endpoint, ended bool) {
	if e.Callback() || e.State != EndpointEnabled {
		return e, false
	}
	return e.Switched(EndpointDisabled, "the receiver answered HTTP 410: it is gone", now), true
}

// Check refuses an endpoint that could not be served.
func (e Endpoint) Check(reach Reach) error {
	if !slices.Contains(Profiles(), e.Profile) {
		return errs.InvalidArgument.New("profile: it is not known").With("field", "profile")
	}
	if e.Profile.NamesKey() != (e.KeyName != "") {
		return errs.InvalidArgument.New("key_name: %s needs one exactly when its receiver is told which key signed", e.Profile).With("field", "key_name")
	}
	if err := e.checkTypes(); err != nil {
		return err
	}
	if e.Callback() {
		if e.Owner.IsMerchant() {
			return errs.EndpointURLRefused.New("url: a merchant's endpoint needs an address; only the marketplace's may be without one, "+
				"as a callback endpoint").With("field", "url")
		}
		return nil
	}
	return CheckURL(reach, e.URL)
}

// checkTypes refuses types that it could never get.
func (e Endpoint) checkTypes() error {
	for _, t := range e.Types {
		var err *errs.Error
		switch {
		case !slices.Contains(EventTypes(e.Owner), t):
			err = errs.InvalidArgument.New("event_types: %q is none of %v", t, EventTypes(e.Owner))
		case e.Callback() && !slices.Contains(orderTypes(), t):
			err = errs.InvalidArgument.New("event_types: %q is not about one order, so no checkout names an address for it; a callback endpoint hears of %v", t, orderTypes())
		case !e.Profile.Tells(t):
			err = errs.InvalidArgument.New("event_types: %s cannot tell %q, it tells only %v", e.Profile, t, checkoutTypes())
		default:
			continue
		}
		return err.With("field", "event_types")
	}
	return nil
}

// Callback tells whether it has no address of its own: what is about an order goes where the order's checkout named.
func (e Endpoint) Callback() bool { return e.URL == "" }

// With gives the endpoint with another address and other types. A callback endpoint stays one, and one with an address keeps one:
// deliveries on their way know where they go by it.
func (e Endpoint) With(address string, types []string, reach Reach) (Endpoint, error) {
	if e.Callback() != (address == "") {
		return e, errs.InvalidArgument.New("url: an endpoint with an address keeps one, and a callback endpoint never gets one; register another").With("field", "url")
	}
	e.URL, e.Types = address, types
	return e, e.Check(reach)
}

// Wants tells whether the endpoint gets a notice.
func (e Endpoint) Wants(n Notice) bool {
	return e.State == EndpointEnabled && slices.Contains(n.Owners(), e.Owner) && e.Profile.Tells(n.Type) &&
		(len(e.Types) == 0 || slices.Contains(e.Types, n.Type)) &&
		(!e.Callback() || (n.NotifyURL != "" && slices.Contains(orderTypes(), n.Type)))
}

// laneOf is the lane of a host under a callback endpoint: hosts that checkouts name have nothing to do with each other, and one that
// is dead must not hold up the others.
func (e Endpoint) laneOf(address string) ids.ID {
	host := address
	if u, err := url.Parse(address); err == nil {
		host = strings.ToLower(u.Scheme + "://" + u.Host)
	}
	sum := sha256.Sum256(append(e.ID[:], host...))
	return ids.ID(sum[:len(ids.ID{})])
}

// EndpointSecret is a secret of an endpoint, sealed.
type EndpointSecret struct {
	ID         ids.ID
	EndpointID ids.ID
	Sealed     []byte
	CreateTime time.Time
	// ExpireTime is when it ends; the zero time for the one that stays.
	ExpireTime time.Time
}

// secretsLive is how many secrets of an endpoint may be good at once.
const secretsLive = 2

// LiveSecrets are those that are good now, the newest first.
func LiveSecrets(all []EndpointSecret, now time.Time) []EndpointSecret {
	live := slices.DeleteFunc(slices.Clone(all), func(s EndpointSecret) bool { return !s.ExpireTime.IsZero() && !now.Before(s.ExpireTime) })
	slices.SortFunc(live, func(a, b EndpointSecret) int { return bytes.Compare(b.ID[:], a.ID[:]) }) // Ids go by time.
	return live[:min(len(live), secretsLive)]
}

// Overlapped gives the secrets that end because a new one is made: the newest stays good for the overlap, older ones end at once.
func Overlapped(all []EndpointSecret, now time.Time, overlap time.Duration) []EndpointSecret {
	live := LiveSecrets(all, now)
	for i := range live {
		live[i].ExpireTime = now
		if i == 0 {
			live[i].ExpireTime = now.Add(overlap)
		}
	}
	return live
}
