package rpckit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/creditpay/creditpay/pkg/errs"
)

// errTooLarge is what became of a message above MaxMessage.
var errTooLarge = errors.New("message too large")

// pending is a request that goes through the interceptors before it is taken off the wire: who may not call, or calls too often,
// must not cost the memory of a message. What cannot be decoded comes with it as well: gRPC would answer INTERNAL to that.
type pending struct {
	message any             // what the verb gets, empty until decode
	read    func(any) error // waits for the message and reads it
	raw     mem.BufferSlice // as it was received, until it is decoded
}

// free returns the received bytes to their pool.
func (p *pending) free() {
	p.raw.Free()
	p.raw = nil
}

// codec is gRPC's own for protobuf, and leaves pending requests as they were received.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	p, ok := v.(*pending)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	data.Ref()
	p.raw = data
	return nil
}

// registrar is what Registrar gives.
type registrar struct{ to grpc.ServiceRegistrar }

// Registrar wraps a server that was made with ServerOptions, so that calls go through its interceptors before their messages are
// received and decoded, and a request which cannot be decoded (bytes that are no message, text that is not UTF-8, more than
// MaxMessage) is answered INVALID_ARGUMENT.
func Registrar(to grpc.ServiceRegistrar) grpc.ServiceRegistrar { return registrar{to} }

// RegisterService registers a copy of desc whose methods leave decoding to the interceptors.
func (r registrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	wrapped := *desc
	wrapped.Methods = make([]grpc.MethodDesc, len(desc.Methods))
	for i, method := range desc.Methods {
		wrapped.Methods[i] = grpc.MethodDesc{MethodName: method.MethodName, Handler: undecoded(method.Handler)}
	}
	r.to.RegisterService(&wrapped, impl)
}

// undecoded has the generated handler go to the interceptors with a pending request.
func undecoded(handler grpc.MethodHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, read func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		later := func(any) error { return nil }
		return handler(srv, ctx, later, func(ctx context.Context, req any, info *grpc.UnaryServerInfo, verb grpc.UnaryHandler) (any, error) {
			return interceptor(ctx, &pending{message: req, read: read}, info, verb)
		})
	}
}

// receiver takes messages off the wire, so many at once.
type receiver struct{ places, publicPlaces chan struct{} }

func newReceiver(places int) *receiver {
	return &receiver{places: make(chan struct{}, places), publicPlaces: make(chan struct{}, publicPlaces)}
}

// publicPlaces is how many calls that need no token may wait for their messages.
const publicPlaces = 1024

// unary waits for the call's message and receives it.
func (r *receiver) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	p, ok := req.(*pending)
	if !ok { // registered without Registrar
		arrivalOf(ctx).arrived()
		return handler(ctx, req)
	}
	places := r.places
	if IsPublic(info.FullMethod) {
		places = r.publicPlaces
	}
	select {
	case places <- struct{}{}:
	default:
		return nil, tooMany()
	}
	err := p.read(p)
	<-places
	arrivalOf(ctx).arrived()
	if err != nil {
		return nil, notReceived(ctx, err)
	}
	defer p.free()
	return handler(ctx, p)
}

// decode makes the verb's request out of the received bytes.
func decode(codec codec) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		p, ok := req.(*pending)
		if !ok {
			return handler(ctx, req)
		}
		if p.raw.Len() > MaxMessage {
			return nil, undecodable(errTooLarge)
		}
		if err := codec.Unmarshal(p.raw, p.message); err != nil {
			return nil, undecodable(err)
		}
		p.free()
		return handler(ctx, p.message)
	}
}

// notReceived is the answer when no message came, or one that gRPC would not take.
func notReceived(ctx context.Context, cause error) error {
	switch {
	case errors.Is(context.Cause(ctx), errNoMessage):
		return errs.DeadlineTooShort.Wrap(errNoMessage, "the message did not arrive within %s of the call's headers; repeat with the same request_id", arrivalTime)
	case ctx.Err() != nil:
		return ctx.Err()
	case status.Code(cause) == codes.ResourceExhausted:
		return undecodable(errTooLarge)
	default:
		return undecodable(cause)
	}
}

// undecodable is the answer to bytes that are not the method's request.
func undecodable(cause error) error {
	text := "the request cannot be decoded"
	switch {
	case errors.Is(cause, errTooLarge):
		text = fmt.Sprintf("the request is larger than %d bytes", MaxMessage)
	case strings.Contains(cause.Error(), "UTF-8"):
		text = "the request holds text that is not UTF-8"
	}
	// The library's words can quote what was sent, which is nobody's business.
	return errs.InvalidArgument.Wrap(errors.New("decode request"), "%s", text)
}
