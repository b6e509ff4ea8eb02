package domain

import (
	"bytes"
	"slices"
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
	// Owner is a merchant id, or Marketplace.
	Owner string
	URL   string
	// Types that it wants; empty for all that concern its owner.
	Types   []string
	Profile Profile
	// KeyName is the name under which the receiver knows the key; empty for Standard.
	KeyName    string
	State      EndpointState
	Version    int64
	CreateTime time.Time
}

// Check refuses an endpoint that could not be served.
func (e Endpoint) Check(reach Reach) error {
	if !slices.Contains(Profiles(), e.Profile) {
		return errs.InvalidArgument.New("profile: it is not known").With("field", "profile")
	}
	if e.Profile.NamesKey() != (e.KeyName != "") {
		return errs.InvalidArgument.New("key_name: %s needs one exactly when its receiver is told which key signed", e.Profile).With("field", "key_name")
	}
	if err := CheckTypes(e.Owner, e.Types); err != nil {
		return err
	}
	return reach.CheckURL(e.URL)
}

// Wants tells whether an endpoint of the right owner gets an event of a type.
func (e Endpoint) Wants(eventType string) bool {
	return e.State == EndpointEnabled && (len(e.Types) == 0 || slices.Contains(e.Types, eventType))
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
