package service

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/rpckit"
	"github.com/creditpay/creditpay/pkg/text"
)

// Env is what Main prepared for a process.
type Env struct {
	// Name is the process's name, "order".
	Name string
	// Config is the part of the configuration that all processes share.
	Config Config
	// Log is the process's log.
	Log *zap.Logger
	// Registry takes the metrics; those of Go and of the process are in it.
	Registry *prometheus.Registry
	// Clock is the machine's clock.
	Clock clock.Clock
	// Verifier verifies bearer tokens.
	Verifier *auth.Verifier
	// TracerProvider takes spans; nil when no collector is configured.
	TracerProvider trace.TracerProvider
}

// Deps is the Env as a Host wants it.
func (e Env) Deps() Deps {
	return Deps{Log: e.Log, Registry: e.Registry, Verifier: e.Verifier, Clock: e.Clock, TracerProvider: e.TracerProvider}
}

// Client is how this process calls its peers, with its own token.
func (e Env) Client() (rpckit.ClientConfig, error) {
	client, err := e.Config.Peers()
	if err != nil {
		return rpckit.ClientConfig{}, err
	}
	tokens, err := NewTokenSource(e.Config, e.Name)
	if err != nil {
		return rpckit.ClientConfig{}, err
	}
	client.TokenSource, client.TracerProvider = tokens, e.TracerProvider
	return client, nil
}

// Main is the body of every main: it reads the configuration, makes log, metrics, traces and token verifier, calls run with a
// context that ends at SIGINT or SIGTERM (a second signal kills), and gives the exit code: 0 after an orderly end, 1 otherwise.
//
//	func main() { os.Exit(service.Main("order", run)) }
func Main(name string, run func(context.Context, Env) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	config, err := LoadConfig()
	if err != nil {
		text.FprintError(os.Stderr, name, err)
		return 1
	}
	log, err := NewLogger(config, name)
	if err != nil {
		text.FprintError(os.Stderr, name, err)
		return 1
	}
	defer func() { _ = log.Sync() }() // fails on terminals, harmlessly
	if err := runWith(ctx, name, config, log, run); err != nil {
		log.Error("ended with an error", zap.Error(err))
		return 1
	}
	return 0
}

// garbagePercent lets the heap grow to five times what lives before it is collected. What lives is a few megabytes, so the default
// of 100 would collect many times a second, for a fifth of the processor.
const garbagePercent = 400

func runWith(ctx context.Context, name string, config Config, log *zap.Logger, run func(context.Context, Env) error) (err error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	verifier, err := NewVerifier(config, log)
	if err != nil {
		return err
	}
	tracer, flush, err := Tracing(ctx, config, name)
	if err != nil {
		return err
	}
	defer func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		// Lost spans are worth a line, not an exit code.
		if flushed := flush(bounded); flushed != nil {
			log.Warn("send the last spans", zap.Error(flushed))
		}
	}()
	registry := prometheus.NewRegistry()
	if err := errors.Join(registry.Register(collectors.NewGoCollector()), registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))); err != nil {
		return err
	}
	verifying, stop := context.WithCancel(ctx)
	var background errgroup.Group
	background.Go(func() error { return verifier.Run(verifying) })
	defer func() { stop(); err = errors.Join(err, background.Wait()) }()
	return run(ctx, Env{
		Name: name, Config: config, Log: log, Registry: registry, Clock: clock.System(), Verifier: verifier, TracerProvider: tracer,
	})
}
