package rpckit

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/creditpay/creditpay/pkg/errs"
)

// queueWait bounds the wait for a free place.
const queueWait = 200 * time.Millisecond

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

func tooMany() error {
	return errs.RateLimited.New("too many calls are being worked on; repeat a little later")
}
