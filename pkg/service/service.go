// Package service owns the skeleton of every process: configuration, log, traces, the gRPC and HTTP servers, health and
// readiness, the start and the orderly end of its parts. One process hosts one service, or all of them in the development stack.
//
// It must not know a service or a business rule.
package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	opsv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/ops/v1"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/ratelimit"
	"github.com/creditpay/creditpay/pkg/rpckit"
)

// Part is one service inside a process.
type Part interface {
	// Name is the service's name, unique in the process.
	Name() string
	// Register registers the service's gRPC handlers; nothing when it has none.
	Register(grpc.ServiceRegistrar)
	// Run does the background work until ctx ends, then waits for it and returns nil or the context's error. Returning nil earlier
	// means that there is none; an error before ctx ends brings the whole process to its orderly end.
	Run(ctx context.Context) error
	// Ready reports why calls would fail now; nil when they would not.
	Ready(ctx context.Context) error
	// Close frees what the part holds. It is called once, after Run has returned.
	Close() error
}

// Deps is what a Host works with.
type Deps struct {
	// Log is the process's log. Required.
	Log *zap.Logger
	// Registry takes and shows the metrics. Required.
	Registry *prometheus.Registry
	// Verifier verifies bearer tokens. Required when gRPC listens.
	Verifier rpckit.TokenVerifier
	// Clock is what token lifetimes are held against: the machine's clock when nil, never one that can be advanced.
	Clock clock.Clock
	// TracerProvider takes spans; nil for none.
	TracerProvider trace.TracerProvider
	// HTTP serves everything on HTTPAddr but /healthz and /readyz; nil for nothing else.
	HTTP http.Handler
	// Ops serves opsv1.OpsService; nil for none.
	Ops opsv1.OpsServiceServer
}

// Host is a process: servers and parts.
type Host struct {
	config Config
	deps   Deps
	parts  []Part

	grpc   *grpc.Server
	health *health.Server
	http   *http.Server
	ops    *http.Server

	addrs    Addrs
	started  chan struct{}
	draining atomic.Bool
	ran      atomic.Bool
	asked    readiness
}

// Addrs is where a Host listens; empty where it does not.
type Addrs struct {
	// GRPC is "host:port".
	GRPC string
	// HTTP is "host:port".
	HTTP string
	// Ops is "host:port".
	Ops string
}

// New prepares a Host; nothing listens yet. From then on the Host owns the parts and closes them at the end of Run. It fails for
// a config that is invalid, for deps that are missing and for two parts of one name.
func New(config Config, deps Deps, parts ...Part) (*Host, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("new host: %w", err)
	}
	if deps.Log == nil || deps.Registry == nil {
		return nil, errors.New("new host: log and registry are required")
	}
	names := map[string]bool{}
	for _, part := range parts {
		if names[part.Name()] {
			return nil, fmt.Errorf("new host: two parts are named %q", part.Name())
		}
		names[part.Name()] = true
	}
	h := &Host{config: config, deps: deps, parts: parts, started: make(chan struct{})}
	if listens(config.GRPCAddr) {
		if err := h.newGRPC(); err != nil {
			return nil, fmt.Errorf("new host: %w", err)
		}
	}
	if listens(config.HTTPAddr) {
		h.newHTTP()
	}
	if listens(config.OpsAddr) {
		h.newOps()
	}
	return h, nil
}

// newGRPC makes the gRPC server with all parts, operations and health, and with reflection where it is configured.
func (h *Host) newGRPC() error {
	options, err := rpckit.ServerOptions(rpckit.Config{
		Log:            h.deps.Log,
		Registry:       h.deps.Registry,
		Verifier:       h.deps.Verifier,
		Clock:          h.deps.Clock,
		TracerProvider: h.deps.TracerProvider,
		MaxInFlight:    h.config.MaxInFlight,
		Rates:          h.config.CallRates,
		AddressRate:    ratelimit.Rate{PerSecond: h.config.AddressRate, Burst: 2 * h.config.AddressRate},
	})
	if err != nil {
		return err
	}
	certificate, err := h.config.serverTLS()
	if err != nil {
		return err
	}
	if certificate != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(certificate)))
	}
	h.grpc = grpc.NewServer(options...)
	registrar := rpckit.Registrar(h.grpc)
	for _, part := range h.parts {
		part.Register(registrar)
	}
	if h.deps.Ops != nil {
		opsv1.RegisterOpsServiceServer(registrar, h.deps.Ops)
	}
	h.health = health.NewServer()
	for name := range h.grpc.GetServiceInfo() {
		h.health.SetServingStatus(name, healthv1.HealthCheckResponse_SERVING)
	}
	healthv1.RegisterHealthServer(registrar, h.health)
	if h.config.Reflection {
		reflection.Register(h.grpc)
	}
	return nil
}

// Started is closed when the Host listens and its parts were started.
func (h *Host) Started() <-chan struct{} { return h.started }

// Addrs is where the Host listens, with real ports. It is complete once Started is closed.
func (h *Host) Addrs() Addrs { return h.addrs }

// Run listens, runs the parts, and serves until ctx ends, a part fails or a server fails. Then it ends in order: health says
// NOT_SERVING, calls at work are finished (DrainTime at most), the parts' background work is cancelled and waited for (DrainTime
// at most), everything is closed. It returns nil after an orderly end by ctx, otherwise what failed. It runs once.
func (h *Host) Run(ctx context.Context) error {
	if h.ran.Swap(true) {
		return errors.New("run host: it ran before")
	}
	listeners, err := h.listen(ctx)
	if err != nil {
		return errors.Join(fmt.Errorf("run host: %w", err), h.close())
	}
	// Parts outlive ctx: they work while the last calls are answered.
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	group, failed := errgroup.WithContext(background)
	for _, part := range h.parts {
		group.Go(func() error { return named(part, part.Run(failed)) })
	}
	h.serve(group, listeners)
	h.deps.Log.Info("started", zap.String("grpc", h.addrs.GRPC), zap.String("http", h.addrs.HTTP), zap.String("ops", h.addrs.Ops))
	close(h.started)

	select {
	case <-ctx.Done():
	case <-failed.Done(): // a part or a server failed
	}
	h.drain()
	cancel()
	err = h.wait(group)
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, ctx.Err())) {
		err = nil
	}
	err = errors.Join(err, h.close())
	h.deps.Log.Info("ended", zap.Error(err))
	return err
}

// named adds the part's name to its error.
func named(part Part, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", part.Name(), err)
}

// listeners are the open ports of a Host; nil where it does not listen.
type listeners struct{ grpc, http, ops net.Listener }

// close closes those that are open.
func (l listeners) close() {
	for _, one := range []net.Listener{l.grpc, l.http, l.ops} {
		if one != nil {
			_ = one.Close() // nothing was accepted
		}
	}
}

// listen opens the listeners; all or none.
func (h *Host) listen(ctx context.Context) (listeners, error) {
	var (
		network net.ListenConfig
		open    listeners
	)
	refusals := rpckit.NewRefusals(h.deps.Log)
	for _, one := range []struct {
		name, addr string
		wanted     bool
		into       *net.Listener
		bound      *string
	}{
		{"gRPC", h.config.GRPCAddr, h.grpc != nil, &open.grpc, &h.addrs.GRPC},
		{"HTTP", h.config.HTTPAddr, h.http != nil, &open.http, &h.addrs.HTTP},
		{"operations (CREDITPAY_OPS_ADDR; \"off\" for none)", h.config.OpsAddr, h.ops != nil, &open.ops, &h.addrs.Ops},
	} {
		if !one.wanted {
			continue
		}
		made, err := network.Listen(ctx, "tcp", one.addr)
		if err != nil {
			open.close()
			return listeners{}, fmt.Errorf("listen for %s: %w", one.name, err)
		}
		*one.into = newBoundedListener(made, h.config.MaxConnections, h.config.MaxAddressConnections, refusals)
		*one.bound = made.Addr().String()
	}
	return open, nil
}

// serve begins to answer on the listeners.
func (h *Host) serve(group *errgroup.Group, open listeners) {
	if open.grpc != nil {
		group.Go(func() error {
			// ErrServerStopped: the end came before the server had begun.
			if err := h.grpc.Serve(open.grpc); !errors.Is(err, grpc.ErrServerStopped) {
				return err
			}
			return nil
		})
	}
	for server, listener := range map[*http.Server]net.Listener{h.http: open.http, h.ops: open.ops} {
		if listener == nil {
			continue
		}
		group.Go(func() error {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
}

// drain lets calls at work end, for DrainTime at most. HTTP comes first: its calls become gRPC calls.
func (h *Host) drain() {
	h.deps.Log.Info("draining", zap.Duration("at_most", h.config.DrainTime))
	h.draining.Store(true)
	if h.health != nil {
		h.health.Shutdown()
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.config.DrainTime)
	defer cancel()
	if h.http != nil {
		if err := h.http.Shutdown(ctx); err != nil {
			h.deps.Log.Warn("HTTP calls were cut off", zap.Error(err))
			_ = h.http.Close() // the connections are lost either way
		}
	}
	h.drainGRPC(ctx)
	if h.ops != nil {
		_ = h.ops.Close() // nobody waits for a scrape or a profile
	}
}

// drainGRPC lets gRPC calls at work end until ctx does.
func (h *Host) drainGRPC(ctx context.Context) {
	if h.grpc == nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.grpc.GracefulStop()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		h.deps.Log.Warn("gRPC calls were cut off")
		h.grpc.Stop() // ends GracefulStop as well
		<-done
	}
}

// wait waits for parts and servers, for DrainTime at most.
func (h *Host) wait(group *errgroup.Group) error {
	done := make(chan error, 1)
	go func() { done <- group.Wait() }()
	timer := time.NewTimer(h.config.DrainTime)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return fmt.Errorf("background work did not end within %s", h.config.DrainTime)
	}
}

// close closes the parts, last first.
func (h *Host) close() error {
	var failed []error
	for i := len(h.parts) - 1; i >= 0; i-- {
		if err := h.parts[i].Close(); err != nil {
			failed = append(failed, fmt.Errorf("close %s: %w", h.parts[i].Name(), err))
		}
	}
	return errors.Join(failed...)
}
