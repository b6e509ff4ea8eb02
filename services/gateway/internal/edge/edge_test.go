package edge

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
)

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

// nobody verifies no token.
type nobody struct{}

func (nobody) Verify(string, time.Time) (caller.Caller, error) {
	return caller.Caller{}, errs.TokenInvalid.New("unknown")
}

func TestRefusals_AreLoggedWithTheAddress(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	e, err := New(Config{
		CallerRate: 10, CallerBurst: 10, AddressRate: 1, AddressBurst: 1, LimitEntries: 10, ProxyHops: 1,
		Log: zap.New(core), Verifier: nobody{}, Registry: prometheus.NewRegistry(), Clock: clock.System(),
	})
	if err != nil {
		t.Fatal(err)
	}
	handler := e.All(e.API(http.NotFoundHandler()))
	for _, want := range []int64{http.StatusUnauthorized, http.StatusTooManyRequests} {
		r := httptest.NewRequest(http.MethodGet, "/h5/v1/bills", nil)
		r.Header.Set("X-Forwarded-For", "203.0.113.9")
		r.Header.Set("Authorization", "Bearer secret-token")
		handler.ServeHTTP(httptest.NewRecorder(), r)
		lines := logs.TakeAll()
		if len(lines) != 1 {
			t.Fatalf("%d lines for %d", len(lines), want)
		}
		got := lines[0].ContextMap()
		if got["status"] != want || got["address"] != "203.0.113.9" || got["caller"] != "NONE" {
			t.Errorf("logged %v, want %d from 203.0.113.9", got, want)
		}
		for key, value := range got {
			if text, ok := value.(string); ok && strings.Contains(text, "secret-token") {
				t.Errorf("%s holds the token", key)
			}
		}
	}
}
