package rpckit

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
)

const (
	authorizationKey = "authorization"
	// RequestIDKey is the metadata key and HTTP header of a call's id.
	RequestIDKey = "x-request-id"
)

// TokenVerifier tells whose token it is; errors are errs.TokenMissing, TokenInvalid and TokenExpired. *auth.Verifier is one.
type TokenVerifier interface {
	Verify(token string, now time.Time) (caller.Caller, error)
}

// identity verifies the bearer token and puts the caller into the context.
func identity(verifier TokenVerifier, clk clock.Clock, unknown strangers) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if IsPublic(info.FullMethod) {
			return handler(ctx, req)
		}
		c, err := verifier.Verify(auth.Bearer(firstOf(ctx, authorizationKey)), clk.Now())
		if err != nil {
			if reason, ok := errs.ReasonOf(err); ok && reason.Kind() == errs.KindUnauthenticated {
				unknown.came(ctx)
			}
			return nil, err
		}
		if call := callOf(ctx); call != nil {
			call.caller = c
		}
		return handler(caller.NewContext(ctx, c), req)
	}
}

// firstOf is the first value of an incoming metadata key; empty when there is none.
func firstOf(ctx context.Context, key string) string {
	values := metadata.ValueFromIncomingContext(ctx, key)
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
