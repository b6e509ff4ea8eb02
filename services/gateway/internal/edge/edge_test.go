package edge

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
)

func TestTheLimitsForgetTheKeyThatWasSeenLongestAgo(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := newLimits(1, 1, 2)
	if l.take("a", now) != 0 || l.take("b", now) != 0 || l.take("a", now) != time.Second {
		t.Fatal("one each a second")
	}
	for i := range 100 {
		l.take(strconv.Itoa(i), now)
	}
	if len(l.byKey) != 2 || l.recent.Len() != 2 {
		t.Errorf("%d keys are held", len(l.byKey))
	}
	if l.take("99", now.Add(time.Second)) != 0 {
		t.Error("the bucket did not fill again")
	}
}

func TestTheAddressIsTheConnectionsUnlessProxiesOfOursStandInFront(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]struct {
		remote, forwarded string
		hops              int
		want              string
	}{
		"v4":                       {"192.0.2.1:5", "203.0.113.9", 0, "192.0.2.1"},
		"v6 is its /64":            {"[2001:db8:1:2:3:4:5:6]:5", "", 0, "2001:db8:1:2::/64"},
		"v4 in v6":                 {"[::ffff:192.0.2.1]:5", "", 0, "192.0.2.1"},
		"one proxy":                {"10.0.0.1:5", "198.51.100.7, 203.0.113.9", 1, "203.0.113.9"},
		"two proxies":              {"10.0.0.1:5", "198.51.100.7, 203.0.113.9", 2, "198.51.100.7"},
		"fewer hops than proxies":  {"10.0.0.1:5", "203.0.113.9", 2, "10.0.0.1"},
		"the header is no address": {"10.0.0.1:5", "nonsense", 1, "unknown"},
	} {
		r := &http.Request{RemoteAddr: one.remote, Header: http.Header{}}
		if one.forwarded != "" {
			r.Header.Set("X-Forwarded-For", one.forwarded)
		}
		if got := address(r, one.hops); got != one.want {
			t.Errorf("%s: %q, want %q", name, got, one.want)
		}
	}
}

func TestTheTimeLimitIsReadAsGRPCDefinesItAndBounded(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{"": 10 * time.Second, "5S": 5 * time.Second, "250m": 250 * time.Millisecond, "7u": 7 * time.Microsecond, "1n": 1, "1H": maxTime, "99999999M": maxTime, "31S": maxTime} {
		if got, err := timeLimit(header); err != nil || got != want {
			t.Errorf("%q: %s, %v", header, got, err)
		}
	}
	for _, header := range []string{"S", "5", "5s", "-5S", "+5S", "999999999S", "5.5S", " "} {
		if got, err := timeLimit(header); !errs.Is(err, errs.InvalidArgument) {
			t.Errorf("%q: %s, %v", header, got, err)
		}
	}
}
