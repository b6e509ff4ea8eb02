package rpckit

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// serviceConfig spreads calls over all addresses of a peer and repeats what did not get through (UNAVAILABLE), three attempts in
// all. All calls inside the suite are idempotent by their ids, so repeating is safe. See the gRPC proposal A6.
const serviceConfig = `{
	"loadBalancingConfig": [{"round_robin": {}}],
	"methodConfig": [{
		"name": [{}],
		"retryPolicy": {
			"maxAttempts": 3,
			"initialBackoff": "0.05s",
			"maxBackoff": "0.5s",
			"backoffMultiplier": 2,
			"retryableStatusCodes": ["UNAVAILABLE"]
		}
	}]
}`

// TokenSource gives a program's own bearer token. *auth.Source is one.
type TokenSource interface {
	Token(ctx context.Context) (string, error)
}

// Transport says how a connection is protected.
type Transport uint8

const (
	// TLS protects the connection; the default.
	TLS Transport = iota
	// Plaintext sends everything, tokens included, as it is: for loopback and for meshes that encrypt below us.
	Plaintext
)

// ClientConfig is how to call a peer.
type ClientConfig struct {
	// TokenSource gives the token of every call; nil for calls that carry their own "authorization" metadata.
	TokenSource TokenSource
	// Transport is TLS unless Plaintext is chosen.
	Transport Transport
	// TLSConfig is for TLS; the system's roots when nil.
	TLSConfig *tls.Config
	// Deadline is the time of a call whose context has none; DefaultDeadline when zero.
	Deadline time.Duration
	// TracerProvider takes spans; there are none when nil.
	TracerProvider trace.TracerProvider
	// Dialer replaces the network, for tests in memory; nil otherwise.
	Dialer func(context.Context, string) (net.Conn, error)
}

// Dial prepares a connection to addr ("host:port" or a gRPC target such as "dns:///order:9090"); the network is touched by the
// first call. Errors of its calls are the suite's own, as FromStatus makes them. Calls are repeated up to three times while the
// peer is unreachable. The caller closes the connection. It fails for a config or address that can never work.
func Dial(addr string, config ClientConfig) (*grpc.ClientConn, error) {
	if addr == "" {
		return nil, errors.New("dial: no address")
	}
	if config.Deadline < 0 {
		return nil, fmt.Errorf("dial %s: deadline %s is negative", addr, config.Deadline)
	}
	if config.Deadline == 0 {
		config.Deadline = DefaultDeadline
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(config.transport()),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDisableServiceConfig(), // a DNS record does not decide how we retry
		grpc.WithChainUnaryInterceptor(invoke(config.Deadline)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(4 * MaxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		// A peer that restarts is found again within seconds.
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second}, MinConnectTimeout: 5 * time.Second}),
	}
	if config.TokenSource != nil {
		options = append(options, grpc.WithPerRPCCredentials(bearer{config.TokenSource, config.Transport}))
	}
	if config.TracerProvider != nil {
		options = append(options, grpc.WithStatsHandler(otelgrpc.NewClientHandler(tracing(config.TracerProvider)...)))
	}
	if config.Dialer != nil {
		options = append(options, grpc.WithContextDialer(config.Dialer))
	}
	conn, err := grpc.NewClient(addr, options...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	return conn, nil
}

func (c *ClientConfig) transport() credentials.TransportCredentials {
	if c.Transport == Plaintext {
		return insecure.NewCredentials()
	}
	config := &tls.Config{}
	if c.TLSConfig != nil {
		config = c.TLSConfig.Clone()
	}
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	return credentials.NewTLS(config)
}

// invoke gives a call its deadline and the id of the call that it belongs to, and makes the suite's error out of the answer.
func invoke(limit time.Duration) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoker grpc.UnaryInvoker, options ...grpc.CallOption) error {
		if _, ok := ctx.Deadline(); !ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, limit)
			defer cancel()
		}
		return FromStatus(invoker(outgoing(ctx), method, req, reply, conn, options...))
	}
}

// bearer adds the program's token to every call.
type bearer struct {
	source    TokenSource
	transport Transport
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := b.source.Token(ctx)
	if err != nil {
		return nil, fmt.Errorf("get token: %w", err)
	}
	return map[string]string{authorizationKey: "Bearer " + token}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials: no token travels in the open unless that was chosen.
func (b bearer) RequireTransportSecurity() bool { return b.transport != Plaintext }
