package rpckit

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/ratelimit"
)

// DefaultRates is how often callers may call when nothing is configured: high for programs, low for a single payer.
// SERVICE is not limited, since our own services answer what others were let in for.
const DefaultRates = "SPM=5000/10000,H5=20/60,ADMIN=500/1000,MERCHANT=50/200,CHANNEL=500/1000"

// maxRate bounds a configured rate and burst.
const maxRate = 1_000_000

// Rates is how often one caller may call, by kind. A kind without an entry is not limited; the zero Rates limits nobody.
type Rates struct {
	byKind [int(caller.Service) + 1]ratelimit.Rate
}

// ParseRates reads "H5=20/60,SPM=5000/10000": for each kind how many calls a second on average, and how many at once.
func ParseRates(text string) (Rates, error) {
	var r Rates
	for _, entry := range strings.Split(text, ",") {
		name, numbers, _ := strings.Cut(strings.TrimSpace(entry), "=")
		perSecond, burst, _ := strings.Cut(numbers, "/")
		kind, known := caller.ParseKind(name)
		n, err1 := strconv.Atoi(perSecond)
		b, err2 := strconv.Atoi(burst)
		if !known || err1 != nil || err2 != nil || n < 1 || b < 1 || n > maxRate || b > maxRate {
			return Rates{}, fmt.Errorf(`%q is not a kind of caller with calls a second and at once, each 1 to %d, like "H5=20/60"`, entry, maxRate)
		}
		r.byKind[kind] = ratelimit.Rate{PerSecond: n, Burst: b}
	}
	return r, nil
}

// UnmarshalText implements encoding.TextUnmarshaler by ParseRates.
func (r *Rates) UnmarshalText(text []byte) error {
	parsed, err := ParseRates(string(text))
	if err == nil {
		*r = parsed
	}
	return err
}

// Of returns the rate of a kind; the zero Rate when it is not limited.
func (r Rates) Of(k caller.Kind) ratelimit.Rate {
	if int(k) >= len(r.byKind) {
		return ratelimit.Rate{}
	}
	return r.byKind[k]
}
