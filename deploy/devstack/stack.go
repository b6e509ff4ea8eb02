package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/kafkax"
	"github.com/creditpay/creditpay/pkg/localbroker"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/ops"
	"github.com/creditpay/creditpay/pkg/rpckit"
	"github.com/creditpay/creditpay/pkg/service"
	"github.com/creditpay/creditpay/pkg/spine"
	"github.com/creditpay/creditpay/pkg/text"

	"github.com/creditpay/creditpay/services/bill"
	"github.com/creditpay/creditpay/services/gateway"
	"github.com/creditpay/creditpay/services/notification"
	"github.com/creditpay/creditpay/services/order"
	"github.com/creditpay/creditpay/services/payment"
	"github.com/creditpay/creditpay/services/refund"

	"github.com/creditpay/creditpay/deploy/devstack/cashier"
)

// Stack is a development stack that is being started or runs.
type Stack struct {
	// Credentials open it.
	Credentials Credentials
	// Info is what tools need.
	Info Info

	config Config
	state  *state
	db     *database
	broker *localbroker.Broker
	desk   *cashier.Desk
	// peers are the connections of the services and of the gateway by name, each with a token of its own.
	peers    map[string]*peer
	verifier *auth.Verifier
	// marketplace is the connection by which the desk calls as the marketplace does.
	marketplace *grpc.ClientConn
	host        *service.Host
	say         func(format string, args ...any)
	out         io.Writer
}

// servicesWithSchema are those that own tables.
func servicesWithSchema() []string {
	return []string{order.Name, payment.Name, bill.Name, refund.Name, notification.Name}
}

// New starts the database and the broker, brings the schemas up to date and makes all services. Nothing is served before Run.
// What people should read goes to out.
func New(ctx context.Context, config Config, out io.Writer) (made *Stack, err error) {
	if err := config.prepare(); err != nil {
		return nil, err
	}
	s := &Stack{config: config, out: out}
	s.say = func(format string, args ...any) { _ = text.Fprintf(out, format+"\n", args...) }
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop(context.WithoutCancel(ctx)))
		}
	}()
	if s.state, err = openState(config.StateDir); err != nil {
		return nil, err
	}
	if s.db, err = openDatabase(ctx, config, servicesWithSchema(), s.say); err != nil {
		return nil, err
	}
	brokers, err := s.openBroker()
	if err != nil {
		return nil, err
	}
	if s.desk, err = cashier.Listen(config.CashierAddr); err != nil {
		return nil, err
	}
	return s, s.makeHost(ctx, brokers)
}

func (s *Stack) openBroker() ([]string, error) {
	if len(s.config.KafkaBrokers) > 0 {
		return s.config.KafkaBrokers, nil
	}
	broker, err := localbroker.Start(localbroker.Config{Dir: filepath.Join(s.config.StateDir, "kafka"), Port: s.config.KafkaPort, GroupSessionMin: time.Second})
	if err != nil {
		return nil, fmt.Errorf("start the broker: %w", err)
	}
	s.broker, s.config.KafkaSecurity = broker, kafkax.Security{Plaintext: true}
	return []string{broker.Addr()}, nil
}

// hostConfig is how the stack's servers listen.
func (s *Stack) hostConfig() service.Config {
	c := service.Defaults()
	c.GRPCAddr, c.HTTPAddr, c.OpsAddr = s.config.GRPCAddr, s.config.HTTPAddr, s.config.OpsAddr
	c.Reflection, c.CallRates = true, s.config.CallRates
	// Everything comes from one address here, and every token is new at its first call.
	c.AddressRate = max(c.AddressRate, min(10*s.config.CallerRate, 1_000_000))
	c.LogLevel, c.LogFormat = s.config.LogLevel, "console"
	c.DrainTime, c.GRPCPlaintext = 5*time.Second, true
	return c
}

// makeHost makes services and servers. They call each other over the stack's own gRPC port, as they would over a network.
func (s *Stack) makeHost(ctx context.Context, brokers []string) error {
	hostConfig := s.hostConfig()
	log, err := service.NewLogger(hostConfig, "devstack")
	if err != nil {
		return err
	}
	keySet, err := auth.LoadKeySet(s.state.tokens.KeySetFile(), func(err error) { log.Warn("token keys", zap.Error(err)) })
	if err != nil {
		return err
	}
	if s.verifier, err = s.state.newVerifier(keySet, func(err error) { log.Warn("revoked tokens", zap.Error(err)) }); err != nil {
		return err
	}
	if s.Credentials, err = s.state.credentials(s.verifier, time.Now()); err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	if err := errors.Join(registry.Register(collectors.NewGoCollector()),
		registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))); err != nil {
		return err
	}
	self := loopback(s.config.GRPCAddr)
	if err := s.dialPeers(self); err != nil {
		return err
	}
	parts, spines, err := s.makeServices(ctx, spine.Deps{Log: log, EventKeys: keySet, Registry: registry}, brokers)
	if err != nil {
		return err
	}
	defer func() {
		if s.host == nil {
			for _, p := range parts {
				_ = p.Close() // Something else failed, which is what the caller hears of.
			}
		}
	}()
	edge, err := gateway.New(gateway.Config{OrderAddr: self, PaymentAddr: self, BillAddr: self, RefundAddr: self, NotificationAddr: self,
		CallerRate: s.config.CallerRate, CallerBurst: 2 * s.config.CallerRate, AddressRate: 10 * s.config.CallerRate, AddressBurst: 20 * s.config.CallerRate,
		LimitEntries: 10_000, Peer: rpckit.ClientConfig{Transport: rpckit.Plaintext}},
		gateway.Deps{Log: log, Verifier: s.verifier, Registry: registry, Clock: clock.System(), Tokens: s.peers[gatewayName].tokens})
	if err != nil {
		return err
	}
	s.host, err = service.New(hostConfig, service.Deps{Log: log, Registry: registry, Verifier: s.verifier, HTTP: edge,
		Ops: ops.New(s.state.advance, spines...)}, append(parts, edge)...)
	if err != nil {
		return err
	}
	s.Info = Info{HTTP: "http://" + loopback(s.config.HTTPAddr), GRPC: self, Schemas: s.db.schemas, PID: os.Getpid(), KafkaAddr: brokers[0], Cashier: s.desk.URL()}
	if s.db.instance != nil {
		s.Info.MariaDBPID = s.db.instance.PID()
	}
	return writeJSON(s.state.path(stackFile), s.Info)
}

// ownerOf names a stack in leases by its state directory; a lease's owner has 64 characters at most.
func ownerOf(stateDir string) string {
	return "devstack" + stateDir[max(0, len(stateDir)-56):]
}

// makeServices makes all services; shared holds what they have in common besides the clock.
func (s *Stack) makeServices(ctx context.Context, shared spine.Deps, brokers []string) ([]service.Part, []*spine.Spine, error) {
	observer, ofNotifications := s.observers(ctx)
	shared.Clock, shared.IDs, shared.TxObserver = s.state.clock, ids.NewGenerator(s.state.clock), observer
	// One stack at a time holds the state directory, so the next one may take its leases over at once, also after a kill.
	shared.Owner = ownerOf(s.config.StateDir)
	orderConfig := defaults[order.Config]()
	orderConfig.Config = s.spineConfig(order.Name, brokers)
	orderConfig.AllowLoopback = true // shops under development listen here
	orderConfig.CashierURL = "http://" + loopback(s.config.HTTPAddr) + "/checkout"
	orders, err := order.New(ctx, orderConfig, order.Deps{Spine: s.signing(shared, order.Name), Keyring: s.state.keys, Proofs: s.state.proofs, Payment: s.as(order.Name), Bill: s.as(order.Name), Refund: s.as(order.Name)})
	if err != nil {
		return nil, nil, err
	}
	paymentConfig := defaults[payment.Config]()
	paymentConfig.Config = s.spineConfig(payment.Name, brokers)
	paymentConfig.RecoverAfter = 5 * time.Second // People watch: what a crash left is finished soon after the restart.
	paymentConfig.CashURL = s.desk.URL()
	payments, err := payment.New(ctx, paymentConfig, payment.Deps{Spine: s.signing(shared, payment.Name), Keys: s.state.keys, Proofs: s.state.proofs, Order: s.as(payment.Name), Bill: s.as(payment.Name), Refund: s.as(payment.Name)})
	if err != nil {
		return nil, nil, errors.Join(err, orders.Close())
	}
	billConfig := defaults[bill.Config]()
	billConfig.Config = s.spineConfig(bill.Name, brokers)
	billConfig.Esign.SandboxDir, billConfig.Esign.LinkBase = CodesDir(s.config.StateDir), "http://"+loopback(s.config.HTTPAddr)
	bills, err := bill.New(ctx, billConfig, bill.Deps{Spine: s.signing(shared, bill.Name), Keys: s.state.keys, Payment: s.as(bill.Name), Refund: s.as(bill.Name)})
	if err != nil {
		return nil, nil, errors.Join(err, orders.Close(), payments.Close())
	}
	refundConfig := defaults[refund.Config]()
	refundConfig.Config = s.spineConfig(refund.Name, brokers)
	refunds, err := refund.New(ctx, refundConfig, refund.Deps{Spine: s.signing(shared, refund.Name), Order: s.as(refund.Name), Payment: s.as(refund.Name), Bill: s.as(refund.Name)})
	if err != nil {
		return nil, nil, errors.Join(err, orders.Close(), payments.Close(), bills.Close())
	}
	shared.TxObserver = ofNotifications
	notifications, err := s.makeNotifications(ctx, shared, brokers)
	if err != nil {
		return nil, nil, errors.Join(err, orders.Close(), payments.Close(), bills.Close(), refunds.Close())
	}
	return []service.Part{orders, payments, bills, refunds, notifications},
		[]*spine.Spine{orders.Spine, payments.Spine, bills.Spine, refunds.Spine, notifications.Spine}, nil
}

// observers gives those of the transactions of the notification service and of all others: one is a crash plan, if there is one. Crash tests
// step through what a purchase causes, or through what is told of it.
func (s *Stack) observers(ctx context.Context) (others, notifications mysqlx.Observer) {
	plan := newCrashPlan(ctx, s.config.CrashAfterTx)
	switch {
	case plan == nil:
		return nil, nil
	case s.config.CrashInNotification:
		return nil, plan
	default:
		return plan, nil
	}
}

// makeNotifications makes the notification service; receivers may run on this machine.
func (s *Stack) makeNotifications(ctx context.Context, shared spine.Deps, brokers []string) (*notification.Service, error) {
	config := defaults[notification.Config]()
	config.Config = s.spineConfig(notification.Name, brokers)
	config.AllowLoopback = true
	return notification.New(ctx, config, notification.Deps{Spine: s.signing(shared, notification.Name), Keys: s.state.keys})
}

func (s *Stack) spineConfig(name string, brokers []string) spine.Config {
	c := defaults[spine.Config]()
	c.DSN, c.DBConns, c.Brokers, c.Security = s.db.schemas[name], 16, brokers, s.config.KafkaSecurity
	return c
}

// defaults is a service's config as its tags give it when the environment says nothing.
func defaults[T any]() T {
	var c T
	// Only a mistake in the tags can fail, and every start of the stack would show it in the service's own validation.
	_ = env.ParseWithOptions(&c, env.Options{Environment: map[string]string{"none": ""}})
	return c
}

// loopback gives the address at which this machine reaches a listen address.
func loopback(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// Run serves until ctx ends; then everything is stopped in order. It seeds the demo data and walks the scripted purchase.
func (s *Stack) Run(ctx context.Context) error {
	ran := make(chan error, 1)
	hostCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { ran <- s.host.Run(hostCtx) }()
	var renewal sync.WaitGroup
	renewal.Go(func() {
		s.state.renewCredentials(hostCtx, s.verifier, time.Hour, func(err error) { s.say("renew the credentials: %v", err) })
	})
	defer renewal.Wait()
	defer cancel()
	select {
	case err := <-ran:
		return errors.Join(err, s.stop(context.WithoutCancel(ctx)))
	case <-s.host.Started():
	}
	// The desk finds legs as the bill service does, who may; the marketplace's own desk knows its legs from the payer's page.
	s.desk.Serve(paymentv1.NewPaymentInternalServiceClient(s.as(bill.Name)), paymentv1.NewPaymentServiceClient(s.marketplace))
	demo := s.welcome(ctx)
	if demo != nil && ctx.Err() == nil {
		cancel()
		return errors.Join(demo, <-ran, s.stop(context.WithoutCancel(ctx)))
	}
	err := <-ran
	return errors.Join(err, s.stop(context.WithoutCancel(ctx)))
}

// welcome seeds, shows a purchase and prints where everything is.
func (s *Stack) welcome(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	// The script calls as the outside does, with its own tokens, so it has a connection of its own.
	conn, err := rpckit.Dial(s.Info.GRPC, rpckit.ClientConfig{Transport: rpckit.Plaintext})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	sc := &script{out: s.out, rest: s.Info.HTTP, conn: conn, creds: s.Credentials, http: &http.Client{Timeout: 15 * time.Second},
		codes: CodesDir(s.config.StateDir)}
	if err := sc.seed(ctx); err != nil {
		return err
	}
	if s.config.Purchase {
		if err := sc.run(ctx); err != nil {
			return err
		}
	}
	s.say("\nCredit Pay is running. Ctrl-C stops it; all data stays in %s.\n", s.config.StateDir)
	s.say("  REST          %s/h5/v1, /merchant/v1 and /admin/v1", s.Info.HTTP)
	s.say("  API pages     %s/docs", s.Info.HTTP)
	s.say("  health        %s/healthz  /readyz", s.Info.HTTP)
	if ops := s.host.Addrs().Ops; ops != "" {
		s.say("  operations    http://%s/metrics  /readyz  /debug/pprof", ops)
	}
	s.say("  gRPC          %s (reflection is on)", s.Info.GRPC)
	s.say("  cash desk     %s?reference=leg_… (simulates the marketplace's)", s.Info.Cashier)
	s.say("  credentials   %s", s.state.path(credentialsFile))
	s.say("  books         make audit\n")
	return nil
}

// stop ends what the host does not own.
func (s *Stack) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var errList []error
	if s.desk != nil {
		errList = append(errList, s.desk.Close(ctx))
	}
	for _, p := range s.peers {
		errList = append(errList, p.conn.Close())
	}
	if s.marketplace != nil {
		errList = append(errList, s.marketplace.Close())
	}
	if s.broker != nil {
		errList = append(errList, s.broker.Close())
	}
	return errors.Join(append(errList, s.db.stop(ctx))...)
}
