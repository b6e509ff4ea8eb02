package rpckit

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ratelimit"
)

const (
	// queueWait bounds the wait for a free place.
	queueWait = 200 * time.Millisecond
	// limitEntries is how many callers of a kind, and how many addresses, are remembered.
	limitEntries = 10_000
)

// limiter bounds the calls at work and those that wait.
type limiter struct {
	working chan struct{}
	waiting chan struct{}
}

func newLimiter(inFlight, queue int) *limiter {
	return &limiter{working: make(chan struct{}, inFlight), waiting: make(chan struct{}, queue)}
}

// unary lets a call in, or lets it wait for queueWait at most, or refuses it. Health checks always come through: a full server
// is not a dead one.
func (l *limiter) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if IsPublic(info.FullMethod) {
		return handler(ctx, req)
	}
	select {
	case l.working <- struct{}{}:
	default:
		if err := l.wait(ctx); err != nil {
			return nil, err
		}
	}
	defer func() { <-l.working }()
	return handler(ctx, req)
}

// wait takes a place when one becomes free in time.
func (l *limiter) wait(ctx context.Context) error {
	select {
	case l.waiting <- struct{}{}:
	default:
		return tooMany()
	}
	defer func() { <-l.waiting }()
	timer := time.NewTimer(queueWait)
	defer timer.Stop()
	select {
	case l.working <- struct{}{}:
		return nil
	case <-timer.C:
		return tooMany()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func tooMany() *errs.Error {
	return errs.RateLimited.New("too many calls are being worked on; repeat a little later")
}

// callerLimits bounds how often one caller calls. It comes behind identity and access.
type callerLimits struct {
	byKind []*ratelimit.Limits
	clock  clock.Clock
}

func newCallerLimits(rates Rates, clk clock.Clock) callerLimits {
	l := callerLimits{byKind: make([]*ratelimit.Limits, len(rates.byKind)), clock: clk}
	for kind, rate := range rates.byKind {
		l.byKind[kind] = ratelimit.New(rate, limitEntries)
	}
	return l
}

// unary refuses a caller who calls too often.
func (l callerLimits) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	c := caller.FromContext(ctx)
	if held := l.byKind[c.Kind]; held != nil && !IsPublic(info.FullMethod) {
		if held.Take(c.String(), l.clock.Now()) > 0 {
			return nil, errs.RateLimited.New("this caller calls too often; repeat a little later")
		}
	}
	return handler(ctx, req)
}

// strangers bounds how often an address calls without a good token. Callers that are known already are not held up by strangers
// who share their address.
type strangers struct {
	// bad counts bad tokens, public the calls that need none: a health check must not fail because somebody else guesses tokens.
	bad, public *ratelimit.Limits
	known       func(token string, now time.Time) bool
	clock       clock.Clock
}

// newStrangers returns the bound; a verifier that remembers tokens says which callers are known.
func newStrangers(rate ratelimit.Rate, verifier TokenVerifier, clk clock.Clock) strangers {
	s := strangers{
		bad: ratelimit.New(rate, limitEntries), public: ratelimit.New(rate, limitEntries), clock: clk,
		known: func(string, time.Time) bool { return false },
	}
	if v, ok := verifier.(interface {
		Known(token string, now time.Time) bool
	}); ok {
		s.known = v.Known
	}
	return s
}

// unary refuses calls of an address that has sent too many bad tokens, before a token is verified, and too many calls that need
// no token.
func (s strangers) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if IsPublic(info.FullMethod) {
		if s.public.Take(addressOf(ctx), s.clock.Now()) > 0 {
			return nil, tooOften()
		}
		return handler(ctx, req)
	}
	if s.bad.Empty(addressOf(ctx), s.clock.Now()) && !s.known(auth.Bearer(firstOf(ctx, authorizationKey)), s.clock.Now()) {
		return nil, tooOften()
	}
	return handler(ctx, req)
}

// came counts a call whose token was not good.
func (s strangers) came(ctx context.Context) { s.bad.Take(addressOf(ctx), s.clock.Now()) }

func tooOften() *errs.Error {
	return errs.RateLimited.New("too many calls without a good token come from this address; repeat a little later")
}

// addressOf is the network address of the call's other end, as a key of limits.
func addressOf(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		return ratelimit.Address(p.Addr.String())
	}
	return "unknown"
}
