package rpckit

import (
	"context"
	"time"

	"google.golang.org/grpc"
)

const (
	// DefaultDeadline is the time a call gets when its caller sets none.
	DefaultDeadline = 10 * time.Second
	// minBudget is the least time with which work begins.
	minBudget = 50 * time.Millisecond
	// maxDeadline bounds the time that a caller may ask for.
	maxDeadline = 2 * time.Minute
	// maxReserve bounds the slice of the deadline that is kept to report a failure.
	maxReserve = 500 * time.Millisecond
)

// deadline gives the verb what is left of the call's time, which began with its headers, less a reserve of a tenth (at most maxReserve), so that there is time
// to report that the time is over. It refuses calls that begin with less than minBudget.
func deadline(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	left := DefaultDeadline - arrivalOf(ctx).elapsed()
	if end, ok := ctx.Deadline(); ok {
		if left = min(time.Until(end), maxDeadline); left < minBudget {
			return nil, tooShort()
		}
	}
	ctx, cancel := context.WithTimeout(ctx, left-min(left/10, maxReserve))
	defer cancel()
	return handler(ctx, req)
}
