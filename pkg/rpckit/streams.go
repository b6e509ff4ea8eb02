package rpckit

import (
	"strings"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/creditpay/creditpay/pkg/errs"
)

// openStreams bounds the streams of reflection.
const openStreams = 64

// unknownMethod answers calls of methods that this server does not have.
func unknownMethod(any, grpc.ServerStream) error {
	return ToStatus(errs.NotYetAvailable.New("this server does not offer the call"))
}

// streams lets streams of gRPC's reflection in where it is registered: so many, and each for streamTime. All others are refused:
// the suite has no streams, and health is asked for, not watched.
type streams struct {
	rules    map[string]Rule
	open     chan struct{}
	unknown  strangers
	refusals *Refusals
}

func newStreams(rules map[string]Rule, log *zap.Logger, unknown strangers) *streams {
	return &streams{rules: rules, open: make(chan struct{}, openStreams), unknown: unknown, refusals: NewRefusals(log)}
}

// access is the interceptor.
func (s *streams) access(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	defer arrivalOf(stream.Context()).arrived()
	if err := s.enter(stream, info.FullMethod); err != nil {
		s.refusals.Log(func() []zap.Field { return refusalFields(stream.Context(), info.FullMethod, err) })
		return ToStatus(err)
	}
	defer func() { <-s.open }()
	arrivalOf(stream.Context()).extend(streamTime)
	return handler(srv, stream)
}

// enter takes a place for the stream.
func (s *streams) enter(stream grpc.ServerStream, method string) *errs.Error {
	// gRPC brings calls of methods here that the server does not have: of the suite's, streams and those of another service.
	_, ours := s.rules[method]
	switch {
	case strings.HasPrefix(method, "/grpc.reflection."):
	case ours || strings.HasPrefix(method, "/grpc.health."):
		return errs.NotYetAvailable.New("this server does not serve the call, and nobody serves it as a stream; ask the service that owns it")
	default:
		return errs.NotYetAvailable.New("this server does not offer the call")
	}
	if s.unknown.public.Take(addressOf(stream.Context()), s.unknown.clock.Now()) > 0 {
		return tooOften()
	}
	select {
	case s.open <- struct{}{}:
		return nil
	default:
		return tooMany()
	}
}
