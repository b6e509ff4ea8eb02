package rpckit

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ratelimit"
)

const (
	// MaxMessage bounds a received message, in bytes.
	MaxMessage = 1 << 20
	// defaultInFlight and defaultQueue bound a server's calls when nothing is configured.
	defaultInFlight = 256
	defaultQueue    = 64

	// connectionsWorth is how many connections' worth of calls may wait for their messages at the same time.
	connectionsWorth = 4
	// maxStreams bounds the calls of one connection. A client of gRPC waits for a place; what a stranger opens beyond it is not
	// even judged. With the bound of connections it is what a flood of headers can hold for a moment.
	maxStreams = 128
	// maxHeaders bounds a call's headers, in bytes, each with 32 bytes more as HTTP/2 counts them. A token has 8 KiB at most.
	maxHeaders = 16 << 10
	// handshakeTime bounds TLS and the first words of HTTP/2 on a new connection.
	handshakeTime = 10 * time.Second
	// streamWindow and connectionWindow are how much may be under way that was not read, in bytes.
	streamWindow     = 64 << 10
	connectionWindow = 1 << 20
)

// Config is what a server's calls go through.
type Config struct {
	// Log takes one line per call; nothing is logged when nil.
	Log *zap.Logger
	// Registry takes the metrics; they are kept to themselves when nil.
	Registry prometheus.Registerer
	// Verifier verifies bearer tokens. Required.
	Verifier TokenVerifier
	// Clock is what token lifetimes are held against: the machine's clock when nil. Never one that can be advanced.
	Clock clock.Clock
	// TracerProvider takes spans; there are none when nil.
	TracerProvider trace.TracerProvider
	// MaxInFlight bounds the calls at work; 256 when zero.
	MaxInFlight int
	// MaxQueue bounds the calls that wait up to 200 ms for a place; 64 when zero.
	MaxQueue int
	// Rates bounds how often one caller may call; nobody is limited by the zero Rates.
	Rates Rates
	// AddressRate bounds how often one address may call without a good token; it is not limited when zero.
	AddressRate ratelimit.Rate
}

// ServerOptions is the chain that every call of a server goes through, outermost first: trace, error mapping, metrics, log,
// recovery, rate of strangers, identity, access rule, rate of the caller, receipt of the message, concurrency limit, decoding,
// visibility of the answer, deadline, validation. Register services through Registrar: then nothing is received of who may not call. It fails when
// the Verifier is missing, a bound is negative, or a validation rule does not compile. It takes some 100 ms: the rules of all
// linked messages are compiled here.
func ServerOptions(config Config) ([]grpc.ServerOption, error) {
	if err := config.complete(); err != nil {
		return nil, fmt.Errorf("server options: %w", err)
	}
	numbers, err := newMetrics(config.Registry)
	if err != nil {
		return nil, fmt.Errorf("server options: %w", err)
	}
	validator, err := newValidator()
	if err != nil {
		return nil, fmt.Errorf("server options: %w", err)
	}
	rescue := recovery.WithRecoveryHandlerContext(func(_ context.Context, p any) error {
		numbers.panics.Inc()
		return errs.Internal.Wrap(fmt.Errorf("panic: %v\n%s", p, debug.Stack()), textInternal)
	})
	rules := AccessRules()
	unknown := newStrangers(config.AddressRate, config.Verifier, config.Clock)
	perConnection := config.MaxInFlight + config.MaxQueue // more at once would be refused anyway
	options := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(
			answer,
			numbers.unary,
			requestLog(config.Log),
			recovery.UnaryServerInterceptor(rescue),
			unknown.unary,
			identity(config.Verifier, config.Clock, unknown),
			access(rules),
			newCallerLimits(config.Rates, config.Clock).unary,
			newReceiver(connectionsWorth*perConnection).unary,
			newLimiter(config.MaxInFlight, config.MaxQueue).unary,
			decode(newCodec()),
			visibility,
			deadline,
			validation(validator),
		),
		grpc.ChainStreamInterceptor(recovery.StreamServerInterceptor(rescue), newStreams(rules, config.Log, unknown).access),
		grpc.UnknownServiceHandler(unknownMethod),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.InTapHandle(expectMessage),
		grpc.MaxConcurrentStreams(uint32(min(perConnection, maxStreams))), //nolint:gosec // bounded by maxStreams
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.ConnectionTimeout(handshakeTime),
		// A fixed window: one that grows would hold up to 16 MiB of a message that nobody reads.
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connectionWindow),
		// Workers keep the stacks that calls have grown; a new goroutine would grow its own each time.
		grpc.NumStreamWorkers(uint32(2*runtime.GOMAXPROCS(0) + 14)), //nolint:gosec // a few
		// Above MaxMessage the codec refuses, which callers understand; this is the bound of memory.
		grpc.MaxRecvMsgSize(2 * MaxMessage),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: 2 * time.Minute, Timeout: 20 * time.Second,
			MaxConnectionIdle: 15 * time.Minute, MaxConnectionAge: time.Hour, MaxConnectionAgeGrace: time.Minute,
		}),
		// Our clients ping every 30 s while a call is open; whoever pings more often than every 10 s is cut off.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	}
	if config.TracerProvider != nil {
		options = append(options, grpc.StatsHandler(otelgrpc.NewServerHandler(tracing(config.TracerProvider)...)))
	}
	return options, nil
}

// complete fills in what is absent.
func (c *Config) complete() error {
	if c.Verifier == nil {
		return errors.New("no token verifier")
	}
	if c.MaxInFlight < 0 || c.MaxQueue < 0 {
		return errors.New("a bound is negative")
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	if c.Clock == nil {
		c.Clock = clock.System()
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = defaultInFlight
	}
	if c.MaxQueue == 0 {
		c.MaxQueue = defaultQueue
	}
	return nil
}

// tracing is the options of otelgrpc: spans by W3C trace context, and no metrics of its own.
func tracing(provider trace.TracerProvider) []otelgrpc.Option {
	return []otelgrpc.Option{
		otelgrpc.WithTracerProvider(provider),
		otelgrpc.WithPropagators(propagation.TraceContext{}),
		otelgrpc.WithMeterProvider(noop.NewMeterProvider()),
	}
}
