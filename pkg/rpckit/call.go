package rpckit

import (
	"context"
	"crypto/rand"
	"encoding/hex"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
)

// call is what the outer interceptors learn of a call from the inner ones. It belongs to one call.
type call struct {
	requestID string
	caller    caller.Caller
}

type (
	callKey      struct{}
	requestIDKey struct{}
)

// callOf is the record of the call that ctx belongs to; nil outside of one.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// RequestID is the id of the call that ctx belongs to, as in the log; empty when there is none. It is for logs and support, and
// is not the request_id of an idempotent request.
func RequestID(ctx context.Context) string {
	if c := callOf(ctx); c != nil {
		return c.requestID
	}
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// WithRequestID is ctx with the id that outgoing calls carry, for work that is not a call itself. An id that CleanRequestID
// would not keep is not sent.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// CleanRequestID is id when it is 1 to 64 characters of A-Z, a-z, 0-9, _ . : and -, and a new random id otherwise: what stands
// in every log line is not left to callers.
func CleanRequestID(id string) string {
	if wellFormedID(id) {
		return id
	}
	var raw [12]byte
	// crypto/rand.Read never fails: it ends the program instead (Go 1.24).
	_, _ = rand.Read(raw[:])
	return hex.EncodeToString(raw[:])
}

func wellFormedID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '_', c == '.', c == ':', c == '-':
		default:
			return false
		}
	}
	return true
}

// answer is the outermost interceptor: it opens the call's record and turns the verb's error into the wire's, once. An INTERNAL
// names the request's id, so that the caller can report it. What the answer repeats of the request is bounded by echoed.
func answer(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	defer arrivalOf(ctx).arrived() // a call that was refused before it was received must not hold its timer
	c := &call{requestID: CleanRequestID(firstOf(ctx, RequestIDKey))}
	resp, err := handler(context.WithValue(ctx, callKey{}, c), req)
	if err == nil {
		return resp, nil
	}
	refused := echoed(req, classify(err))
	if codeOfKind(refused.Reason().Kind()) == codes.Internal {
		refused = refused.With("request_id", c.requestID)
	}
	return nil, ToStatus(refused)
}

// outgoing adds the request's id to the metadata of a call that ctx makes.
func outgoing(ctx context.Context) context.Context {
	id := RequestID(ctx)
	if !wellFormedID(id) {
		return ctx
	}
	if held, ok := metadata.FromOutgoingContext(ctx); ok && len(held.Get(RequestIDKey)) > 0 {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, RequestIDKey, id)
}

// tooShort is the refusal for want of time.
func tooShort() error {
	return errs.DeadlineTooShort.New("less than %s of the deadline is left; repeat with a longer one", minBudget)
}
