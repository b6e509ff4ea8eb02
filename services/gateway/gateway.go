// Package gateway is the door of the REST edge: it turns /h5/v1, /merchant/v1 and /admin/v1 into gRPC calls of the services, checks tokens and
// limits before they cost a service anything, and serves the documentation.
//
// It owns no business rule and no data: whether this payer may see that order is the services' decision.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	notificationv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/notification/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/rpckit"

	"github.com/creditpay/creditpay/services/gateway/internal/docs"
	"github.com/creditpay/creditpay/services/gateway/internal/edge"
	"github.com/creditpay/creditpay/services/gateway/internal/rest"
)

// MaxBody bounds the body of a request, in bytes.
const MaxBody = edge.MaxBody

// Deps is what the gateway works with; all but Tokens are required.
type Deps struct {
	// Log is the process's log.
	Log *zap.Logger
	// Verifier verifies bearer tokens.
	Verifier rpckit.TokenVerifier
	// Registry takes the metrics.
	Registry prometheus.Registerer
	// Clock is the machine's clock: token lifetimes and rate limits go by it.
	Clock clock.Clock
	// Tokens are the gateway's own, for documents behind links; nil where none are served. Every other call carries its caller's.
	Tokens rpckit.TokenSource
}

// Gateway is the REST edge: an http.Handler, and a part of a service.Host without gRPC handlers of its own.
type Gateway struct {
	handler http.Handler
	conns   map[string]*grpc.ClientConn
}

// New prepares the gateway; backends are first contacted by the first request. It fails for an invalid config.
func New(config Config, deps Deps) (*Gateway, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("new gateway: %w", err)
	}
	if deps.Log == nil || deps.Verifier == nil || deps.Registry == nil || deps.Clock == nil { // Tokens may be missing
		return nil, errors.New("new gateway: a dependency is missing")
	}
	g := &Gateway{conns: map[string]*grpc.ClientConn{}}
	api, err := g.routes(config)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("new gateway: %w", err), g.Close())
	}
	guard, err := edge.New(edge.Config{
		CallerRate: config.CallerRate, CallerBurst: config.CallerBurst,
		AddressRate: config.AddressRate, AddressBurst: config.AddressBurst,
		LimitEntries: config.LimitEntries, ProxyHops: config.ProxyHops, Origins: config.Origins,
		Log: deps.Log, Verifier: deps.Verifier, Registry: deps.Registry, Clock: deps.Clock,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("new gateway: %w", err), g.Close())
	}
	mux := http.NewServeMux()
	pages := docs.Handler()
	mux.Handle("/{$}", pages)
	mux.Handle("/docs", pages)
	mux.Handle("/docs/", pages)
	mux.Handle(rest.ContractPattern, guard.Link(rest.Contract(billv1.NewBillInternalServiceClient(g.conns[config.BillAddr]), deps.Tokens)))
	mux.Handle("/h5/", guard.API(api))
	mux.Handle("/merchant/", guard.API(api))
	mux.Handle("/admin/", guard.API(api))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { rest.WriteNotFound(w, r) })
	g.handler = guard.All(mux)
	return g, nil
}

// routes connects every REST route to its service.
func (g *Gateway) routes(config Config) (*runtime.ServeMux, error) {
	mux := rest.NewMux()
	ctx := context.Background()
	var failed error
	conn := func(addr string) *grpc.ClientConn {
		if held, ok := g.conns[addr]; ok {
			return held
		}
		made, err := rpckit.Dial(addr, config.Peer)
		if err != nil {
			failed = errors.Join(failed, err)
			return nil
		}
		g.conns[addr] = made
		return made
	}
	order, payment, bill, refund := conn(config.OrderAddr), conn(config.PaymentAddr), conn(config.BillAddr), conn(config.RefundAddr)
	notification := conn(config.NotificationAddr)
	if failed != nil {
		return nil, failed
	}
	return mux, errors.Join(
		orderv1.RegisterOrderServiceHandlerClient(ctx, mux, orderv1.NewOrderServiceClient(order)),
		paymentv1.RegisterPaymentServiceHandlerClient(ctx, mux, paymentv1.NewPaymentServiceClient(payment)),
		paymentv1.RegisterPaymentAdminServiceHandlerClient(ctx, mux, paymentv1.NewPaymentAdminServiceClient(payment)),
		billv1.RegisterBillServiceHandlerClient(ctx, mux, billv1.NewBillServiceClient(bill)),
		billv1.RegisterEsignServiceHandlerClient(ctx, mux, billv1.NewEsignServiceClient(bill)),
		billv1.RegisterBillAdminServiceHandlerClient(ctx, mux, billv1.NewBillAdminServiceClient(bill)),
		refundv1.RegisterRefundServiceHandlerClient(ctx, mux, refundv1.NewRefundServiceClient(refund)),
		notificationv1.RegisterNotificationServiceHandlerClient(ctx, mux, notificationv1.NewNotificationServiceClient(notification)),
		notificationv1.RegisterNotificationAdminServiceHandlerClient(ctx, mux, notificationv1.NewNotificationAdminServiceClient(notification)),
	)
}

// ServeHTTP serves the edge.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.handler.ServeHTTP(w, r) }

// Name is "gateway".
func (g *Gateway) Name() string { return "gateway" }

// Register registers nothing: the gateway has no gRPC handlers.
func (g *Gateway) Register(grpc.ServiceRegistrar) {}

// Run returns at once: the gateway has no background work.
func (g *Gateway) Run(context.Context) error { return nil }

// Ready asks every backend for its health; it names the address of one that does not serve.
func (g *Gateway) Ready(ctx context.Context) error {
	for addr, conn := range g.conns {
		answer, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{})
		if err != nil {
			return fmt.Errorf("ask %s for its health: %w", addr, err)
		}
		if s := answer.GetStatus(); s != healthv1.HealthCheckResponse_SERVING {
			return fmt.Errorf("%s is %s", addr, s)
		}
	}
	return nil
}

// Close closes the connections to the backends.
func (g *Gateway) Close() error {
	var failed error
	for _, conn := range g.conns {
		failed = errors.Join(failed, conn.Close())
	}
	return failed
}
