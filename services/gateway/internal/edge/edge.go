// Package edge owns what happens to an HTTP request before it becomes a call: its id, headers, origin, size, rate, token and
// deadline, and the log and metrics of it.
//
// It must not know routes or messages; package rest does.
package edge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ratelimit"
	"github.com/creditpay/creditpay/pkg/rpckit"

	"github.com/creditpay/creditpay/services/gateway/internal/rest"
)

const (
	// MaxBody bounds a request's body, in bytes.
	MaxBody = 256 << 10
	// slow is the time from which an answer is worth a line at Info.
	slow = time.Second
)

// Config is the bounds and the parts of an Edge; all are required, and package gateway has validated them.
type Config struct {
	// CallerRate (requests a second) and CallerBurst bound one caller.
	CallerRate, CallerBurst int
	// AddressRate (requests a second) and AddressBurst bound one network address.
	AddressRate, AddressBurst int
	// LimitEntries bounds how many callers and addresses are remembered.
	LimitEntries int
	// ProxyHops is how many proxies of ours stand in front.
	ProxyHops int
	// Origins are the web origins that may call.
	Origins []string
	// Log takes one line per request.
	Log *zap.Logger
	// Verifier verifies bearer tokens.
	Verifier rpckit.TokenVerifier
	// Registry takes the metrics.
	Registry prometheus.Registerer
	// Clock is the machine's clock.
	Clock clock.Clock
}

// Edge is the guard at the door. It is safe for concurrent use.
type Edge struct {
	config    Config
	callers   *ratelimit.Limits
	addresses *ratelimit.Limits
	refusals  *rpckit.Refusals
	seconds   *prometheus.HistogramVec
}

// New is an Edge. It fails when its metrics are registered already.
func New(config Config) (*Edge, error) {
	e := &Edge{
		config:    config,
		callers:   ratelimit.New(ratelimit.Rate{PerSecond: config.CallerRate, Burst: config.CallerBurst}, config.LimitEntries),
		addresses: ratelimit.New(ratelimit.Rate{PerSecond: config.AddressRate, Burst: config.AddressBurst}, config.LimitEntries),
		refusals:  rpckit.NewRefusals(config.Log),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "creditpay_http_seconds",
			Help:    "Time to answer an HTTP request, by first path segment and status.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		}, []string{"path", "status"}),
	}
	return e, config.Registry.Register(e.seconds)
}

// record is what All learns from the handlers inside.
type record struct {
	http.ResponseWriter
	status int
	caller caller.Caller
}

func (r *record) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *record) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

type recordKey struct{}

// All is what every request goes through: id, security headers, recovery, log, metrics, origin.
func (e *Edge) All(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		id := rpckit.CleanRequestID(r.Header.Get(rpckit.RequestIDKey))
		r.Header.Set(rpckit.RequestIDKey, id)
		h := w.Header()
		h.Set(rpckit.RequestIDKey, id)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		rec := &record{ResponseWriter: w}
		defer func() {
			if p := recover(); p != nil {
				e.config.Log.Error("panic", zap.Any("panic", p), zap.String("request_id", id), zap.ByteString("stack", debug.Stack()))
				if rec.status == 0 {
					rest.Write(rec, errs.Internal.New("internal error; the log has it under the request's id"))
				}
			}
			e.finish(r, rec, id, time.Since(begin))
		}()
		if e.origin(rec, r) {
			next.ServeHTTP(rec, r.WithContext(context.WithValue(r.Context(), recordKey{}, rec)))
		}
	})
}

// finish counts and logs a request; who may not call, or calls too often, is logged with the address. The path can hold a checkout's token, so only its first segment is logged.
func (e *Edge) finish(r *http.Request, rec *record, id string, elapsed time.Duration) {
	path := rest.Path(r)
	e.seconds.WithLabelValues(path, strconv.Itoa(rec.status)).Observe(elapsed.Seconds())
	switch rec.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		e.refusals.Log(func() []zap.Field {
			return []zap.Field{
				zap.String("path", path), zap.Int("status", rec.status), zap.Stringer("caller", rec.caller),
				zap.String("address", clientAddress(r, e.config.ProxyHops)), zap.String("request_id", id),
			}
		})
		return
	}
	level := zapcore.DebugLevel
	if rec.status >= http.StatusInternalServerError || elapsed > slow {
		level = zapcore.InfoLevel
	}
	if line := e.config.Log.Check(level, "request"); line != nil {
		line.Write(zap.String("path", path), zap.Int("status", rec.status), zap.Stringer("caller", rec.caller),
			zap.String("request_id", id), zap.Duration("elapsed", elapsed))
	}
}

// origin answers to browsers of other origins: yes for those configured, exactly; preflights end here. It reports whether the
// request goes on. A plain request of an unknown origin goes on without the headers: the browser keeps the answer from the page.
func (e *Edge) origin(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	known := origin != "" && slices.Contains(e.config.Origins, origin)
	if known {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Expose-Headers", "X-Request-Id, Retry-After")
	}
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return true
	}
	if !known {
		rest.Write(w, errs.CallerNotAllowed.New("this origin may not call"))
		return false
	}
	w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
	w.Header().Set("Access-Control-Allow-Headers", "authorization, content-type, grpc-timeout, traceparent, x-request-id")
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return false
}

// API is what a request of /h5/, /merchant/ or /admin/ goes through besides: rate by address, token and its kind, rate by caller, body,
// deadline.
func (e *Edge) API(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !within(w, e.addresses.Take(address(r, e.config.ProxyHops), e.config.Clock.Now())) {
			return
		}
		c, err := e.config.Verifier.Verify(auth.Bearer(r.Header.Get("Authorization")), e.config.Clock.Now())
		if err != nil {
			rest.Write(w, err)
			return
		}
		if rec, ok := r.Context().Value(recordKey{}).(*record); ok {
			rec.caller = c
		}
		wanted := caller.H5
		switch rest.Path(r) {
		case "admin":
			wanted = caller.Admin
		case "merchant":
			wanted = caller.Merchant
		}
		if c.Kind != wanted {
			rest.Write(w, errs.CallerNotAllowed.New("this address wants a token of kind %s, not %s", wanted, c.Kind))
			return
		}
		if !within(w, e.callers.Take(c.String(), e.config.Clock.Now())) || !addressIsText(w, r) || !readBody(w, r) {
			return
		}
		limit, err := timeLimit(r.Header.Get("Grpc-Timeout"))
		if err == nil && limit == 0 {
			err = errs.DeadlineTooShort.New("Grpc-Timeout leaves no time; repeat with a longer one, or without it")
		}
		if err != nil {
			rest.Write(w, err)
			return
		}
		r.Header.Del("Grpc-Timeout") // the deadline says it
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// Link is what a request goes through whose address is its permission, and that has no token: rate by address, deadline.
func (e *Edge) Link(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !within(w, e.addresses.Take(address(r, e.config.ProxyHops), e.config.Clock.Now())) || !addressIsText(w, r) {
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), rpckit.DefaultDeadline)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// within answers 429 when there is a time to wait, and reports whether there is none.
func within(w http.ResponseWriter, wait time.Duration) bool {
	if wait <= 0 {
		return true
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	rest.Write(w, errs.RateLimited.New("too many requests; repeat after the time in Retry-After"))
	return false
}

// addressIsText refuses an address whose path or query is not UTF-8: no call could carry it. It reports whether the request goes on.
func addressIsText(w http.ResponseWriter, r *http.Request) bool {
	query, err := url.QueryUnescape(r.URL.RawQuery)
	if err != nil || !utf8.ValidString(query) || !utf8.ValidString(r.URL.Path) {
		rest.Write(w, errs.InvalidArgument.New("the address is malformed or not UTF-8"))
		return false
	}
	return true
}

// readBody reads the body, bounded, before anything looks at it. It reports whether the request goes on.
func readBody(w http.ResponseWriter, r *http.Request) bool {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		rest.WriteStatus(w, http.StatusRequestEntityTooLarge, errs.InvalidArgument.New("the body is larger than %d bytes", MaxBody))
	case err != nil:
		rest.Write(w, errs.InvalidArgument.Wrap(err, "the body could not be read"))
	case !utf8.Valid(raw):
		rest.Write(w, errs.InvalidArgument.New("the body is not UTF-8"))
	default:
		r.Body = io.NopCloser(bytes.NewReader(raw))
		return true
	}
	return false
}
