package rpckit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	"github.com/creditpay/creditpay/pkg/errs"
)

// errTooLarge is what became of a message above MaxMessage.
var errTooLarge = errors.New("message too large")

// envelope takes a request off the wire together with what went wrong: gRPC writes its own answer, INTERNAL, as soon as a codec
// reports an error, before any interceptor runs.
type envelope struct {
	into any
	err  error
}

// codec is gRPC's own for protobuf, with envelopes.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	e, ok := v.(*envelope)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	if data.Len() > MaxMessage {
		e.err = errTooLarge
	} else {
		e.err = c.CodecV2.Unmarshal(data, e.into)
	}
	return nil
}

// registrar is what Registrar gives.
type registrar struct{ to grpc.ServiceRegistrar }

// Registrar wraps a server that was made with ServerOptions, so that a request which cannot be decoded (bytes that are no
// message, text that is not UTF-8, more than MaxMessage) goes through the interceptors and is answered INVALID_ARGUMENT.
func Registrar(to grpc.ServiceRegistrar) grpc.ServiceRegistrar { return registrar{to} }

// RegisterService registers a copy of desc whose methods report what they cannot decode.
func (r registrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	wrapped := *desc
	wrapped.Methods = make([]grpc.MethodDesc, len(desc.Methods))
	for i, method := range desc.Methods {
		wrapped.Methods[i] = grpc.MethodDesc{
			MethodName: method.MethodName,
			Handler:    reportUndecodable(method.Handler, "/"+desc.ServiceName+"/"+method.MethodName),
		}
	}
	r.to.RegisterService(&wrapped, impl)
}

func reportUndecodable(handler grpc.MethodHandler, fullMethod string) grpc.MethodHandler {
	return func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		return handler(srv, ctx, func(into any) error {
			e := &envelope{into: into}
			if err := decode(e); err != nil || e.err == nil {
				return err
			}
			refuse := func(context.Context, any) (any, error) { return nil, undecodable(e.err) }
			_, err := interceptor(ctx, nil, &grpc.UnaryServerInfo{Server: srv, FullMethod: fullMethod}, refuse)
			return err
		}, interceptor)
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
	return errs.InvalidArgument.Wrap(fmt.Errorf("decode request: %w", cause), "%s", text)
}
