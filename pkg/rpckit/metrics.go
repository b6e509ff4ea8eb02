package rpckit

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// metrics are the server's numbers. Their labels are bounded: registered methods and gRPC codes.
type metrics struct {
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	panics   prometheus.Counter

	observers sync.Map // observerKey → prometheus.Observer: the vector's own look-up costs more
}

type observerKey struct {
	method string
	code   codes.Code
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "creditpay_rpc_seconds",
			Help:    "Time to answer a call, by method and gRPC code.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		}, []string{"method", "code"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "creditpay_rpc_in_flight", Help: "Calls being answered."}),
		panics:   prometheus.NewCounter(prometheus.CounterOpts{Name: "creditpay_rpc_panics_total", Help: "Calls that ended in a panic."}),
	}
	var err error
	if m.seconds, err = register(registry, m.seconds); err != nil {
		return nil, err
	}
	if m.inFlight, err = register(registry, m.inFlight); err != nil {
		return nil, err
	}
	m.panics, err = register(registry, m.panics)
	return m, err
}

// register registers c, or gives the collector that another server of this process registered.
func register[C prometheus.Collector](registry prometheus.Registerer, c C) (C, error) {
	err := registry.Register(c)
	var held prometheus.AlreadyRegisteredError
	if errors.As(err, &held) {
		if same, ok := held.ExistingCollector.(C); ok {
			return same, nil
		}
	}
	return c, err
}

// unary counts and times every call.
func (m *metrics) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	begin := time.Now()
	m.inFlight.Inc()
	resp, err := handler(ctx, req)
	m.inFlight.Dec()
	m.observer(info.FullMethod, CodeOf(err)).Observe(time.Since(begin).Seconds())
	return resp, err
}

func (m *metrics) observer(method string, code codes.Code) prometheus.Observer {
	key := observerKey{method, code}
	if held, ok := m.observers.Load(key); ok {
		return held.(prometheus.Observer)
	}
	made := m.seconds.WithLabelValues(method, code.String())
	m.observers.Store(key, made)
	return made
}
