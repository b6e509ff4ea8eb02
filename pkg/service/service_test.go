package service_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	opsv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/ops/v1"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ratelimit"
	"github.com/creditpay/creditpay/pkg/rpckit"
	"github.com/creditpay/creditpay/pkg/service"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// everybodyIsAdmin verifies every token.
type everybodyIsAdmin struct{}

func (everybodyIsAdmin) Verify(string, time.Time) (caller.Caller, error) {
	return caller.Caller{Kind: caller.Admin, Name: "tester", Roles: caller.EveryRole()}, nil
}

// part records what a Host does with it.
type part struct {
	name  string
	run   func(context.Context) error
	ready error

	mu     sync.Mutex
	events []string
}

func (p *part) Name() string                   { return p.name }
func (p *part) Register(grpc.ServiceRegistrar) { p.note("register") }
func (p *part) Ready(context.Context) error    { return p.ready }
func (p *part) Close() error                   { p.note("close"); return nil }
func (p *part) Run(ctx context.Context) error {
	defer p.note("ran")
	if p.run != nil {
		return p.run(ctx)
	}
	<-ctx.Done()
	return ctx.Err()
}

func (p *part) note(event string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, event)
}

func (p *part) history() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.events, " ")
}

// blockingOps answers ListDeadLetters when released.
type blockingOps struct {
	opsv1.UnimplementedOpsServiceServer
	entered chan struct{}
	release chan struct{}
}

func (b *blockingOps) ListDeadLetters(context.Context, *opsv1.ListDeadLettersRequest) (*opsv1.ListDeadLettersResponse, error) {
	close(b.entered)
	<-b.release
	return &opsv1.ListDeadLettersResponse{NextPageToken: "answered"}, nil
}

func config() service.Config {
	c := service.Defaults()
	c.GRPCAddr, c.HTTPAddr, c.OpsAddr, c.DrainTime = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", 5*time.Second
	c.GRPCPlaintext = true
	return c
}

func deps() service.Deps {
	return service.Deps{Log: zap.NewNop(), Registry: prometheus.NewRegistry(), Verifier: everybodyIsAdmin{}}
}

// run starts a host; stop ends it and gives Run's answer.
func run(t *testing.T, c service.Config, d service.Deps, parts ...service.Part) (host *service.Host, stop context.CancelFunc, done <-chan error) {
	t.Helper()
	host, err := service.New(c, d, parts...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	result := make(chan error, 1)
	go func() { result <- host.Run(ctx) }()
	select {
	case <-host.Started():
	case err := <-result:
		select {
		case <-host.Started(): // it started and has ended already: that is for who reads done
			result <- err
		default:
			t.Fatalf("it did not start: %v", err)
		}
	}
	return host, cancel, result
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := rpckit.Dial(addr, rpckit.ClientConfig{Transport: rpckit.Plaintext})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestACallAtWorkIsAnsweredBeforeTheEndAndPartsEndInOrder(t *testing.T) {
	t.Parallel()
	p := &part{name: "order"}
	d := deps()
	ops := &blockingOps{entered: make(chan struct{}), release: make(chan struct{})}
	d.Ops = ops
	host, stop, done := run(t, config(), d, p)
	conn := dial(t, host.Addrs().GRPC)
	for _, name := range []string{"", "creditpay.ops.v1.OpsService"} {
		answer, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{Service: name})
		if err != nil || answer.GetStatus() != healthv1.HealthCheckResponse_SERVING {
			t.Fatalf("health of %q: %v, %v", name, answer, err)
		}
	}
	answered := make(chan error, 1)
	go func() {
		answer, err := opsv1.NewOpsServiceClient(conn).ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{})
		if err == nil && answer.GetNextPageToken() != "answered" {
			err = errors.New("another answer")
		}
		answered <- err
	}()
	<-ops.entered
	stop()
	close(ops.release)
	if err := <-answered; err != nil {
		t.Errorf("the call at work: %v", err)
	}
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
	if got := p.history(); got != "register ran close" {
		t.Errorf("the part saw %q", got)
	}
	if err := host.Run(t.Context()); err == nil {
		t.Error("it ran twice")
	}
}

func TestReadinessNamesThePartsThatAreNotReady(t *testing.T) {
	t.Parallel()
	d := deps()
	d.HTTP = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "rest") })
	host, stop, done := run(t, config(), d, &part{name: "order"}, &part{name: "bill", ready: errors.New("password of database wrong")})
	base, ops := "http://"+host.Addrs().HTTP, "http://"+host.Addrs().Ops
	for _, addr := range []string{base, ops} {
		if status, text := get(t, addr+"/healthz"); status != 200 {
			t.Errorf("healthz: %d %s", status, text)
		}
	}
	status, text := get(t, ops+"/readyz")
	if status != 503 || !strings.Contains(text, "bill") || strings.Contains(text, "order") || strings.Contains(text, "password") {
		t.Errorf("readyz for operators: %d %s", status, text)
	}
	if status, text := get(t, base+"/readyz"); status != 503 || strings.TrimSpace(text) != `{"ready":false}` {
		t.Errorf("readyz for the public: %d %s", status, text)
	}
	for path, want := range map[string]string{"/metrics": "creditpay_rpc_in_flight", "/debug/pprof/": "goroutine"} {
		if status, text := get(t, ops+path); status != 200 || !strings.Contains(text, want) {
			t.Errorf("%s for operators: %d %s", path, status, text)
		}
		if status, text := get(t, base+path); status != 200 || text != "rest" {
			t.Errorf("%s is open to the public: %d %s", path, status, text)
		}
	}
	if status, _ := get(t, ops+"/h5/v1/x"); status != 404 {
		t.Errorf("REST on the operators' address: %d", status)
	}
	if status, text := get(t, base+"/h5/v1/x"); status != 200 || text != "rest" {
		t.Errorf("beside it: %d %s", status, text)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestReflection_OnlyWhereConfigured(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{false, true} {
		c := config()
		c.Reflection = on
		host, stop, done := run(t, c, deps(), &part{name: "order"})
		stream, err := reflectionv1.NewServerReflectionClient(dial(t, host.Addrs().GRPC)).ServerReflectionInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		list := &reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}
		// EOF says that the stream was refused already; Recv says why.
		if err := stream.Send(list); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if _, err = stream.Recv(); (err == nil) != on {
			t.Errorf("reflection configured %t: %v", on, err)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestAFailingPartEndsTheProcessWithItsError(t *testing.T) {
	t.Parallel()
	broken := errors.New("lease lost")
	other := &part{name: "bill"}
	_, _, done := run(t, config(), deps(), other, &part{name: "order", run: func(context.Context) error { return broken }})
	if err := <-done; !errors.Is(err, broken) || !strings.Contains(err.Error(), "order") {
		t.Errorf("got %v", err)
	}
	if got := other.history(); got != "register ran close" {
		t.Errorf("the other part saw %q", got)
	}
}

func TestBackgroundWorkThatDoesNotEndIsNotWaitedForForever(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	c := config()
	c.DrainTime = 50 * time.Millisecond
	_, stop, done := run(t, c, deps(), &part{name: "stuck", run: func(context.Context) error { <-release; return nil }})
	stop()
	if err := <-done; err == nil {
		t.Error("it ended as if nothing were stuck")
	}
}

func TestAnEndBeforeTheBeginningIsOrderly(t *testing.T) {
	t.Parallel()
	host, err := service.New(config(), deps(), &part{name: "order"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := host.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	bad := config()
	bad.LogLevel, bad.TLSCertFile, bad.DrainTime, bad.OTLPEndpoint = "loud", "x.pem", 0, "collector:4317"
	_, err := service.New(bad, deps())
	for _, want := range []string{"LOG_LEVEL", "TLS_CERT_FILE", "DRAIN_TIME", "OTLP_ENDPOINT"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
	if _, err := service.New(config(), deps(), &part{name: "a"}, &part{name: "a"}); err == nil {
		t.Error("two parts of one name were accepted")
	}
	if _, err := service.New(config(), service.Deps{}); err == nil {
		t.Error("no deps were accepted")
	}
}

func TestDefaultsAreValidAndTracingIsOffWithoutACollector(t *testing.T) {
	t.Parallel()
	c := service.Defaults()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if c.OpsAddr != "127.0.0.1:8081" || c.Reflection {
		t.Errorf("metrics and profiles are on %s, reflection %t; want loopback and none", c.OpsAddr, c.Reflection)
	}
	if c.GRPCAddr != ":9090" || c.DrainTime != 10*time.Second {
		t.Errorf("got %+v", c)
	}
	provider, flush, err := service.Tracing(t.Context(), c, "order")
	if provider != nil || err != nil || flush(t.Context()) != nil {
		t.Errorf("got %v, %v", provider, err)
	}
	for _, format := range []string{"json", "console"} {
		c.LogFormat = format
		if _, err := service.NewLogger(c, "order"); err != nil {
			t.Error(err)
		}
	}
}

func TestConnections_OneTooManyIsClosed(t *testing.T) {
	t.Parallel()
	c := config()
	c.MaxAddressConnections = 3
	d := deps()
	core, logs := observer.New(zap.WarnLevel)
	d.Log = zap.New(core)
	host, stop, done := run(t, c, d, &part{name: "order"})
	var held []net.Conn
	for range 3 {
		held = append(held, connect(t, host.Addrs().GRPC))
	}
	one := connect(t, host.Addrs().GRPC)
	if n, err := one.Read(make([]byte, 1)); err == nil {
		t.Errorf("the fourth connection of an address was told %d bytes", n)
	}
	if logs.FilterMessage("refused").Len() == 0 {
		t.Error("the refusal is not in the log")
	}
	for _, conn := range held {
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, 5*time.Second, func() error {
		_, err := healthv1.NewHealthClient(dial(t, host.Addrs().GRPC)).Check(t.Context(), &healthv1.HealthCheckRequest{})
		return err
	})
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func connect(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestReadiness_IsNotAskedOfTheDatabaseEachTime(t *testing.T) {
	t.Parallel()
	asked := &countedPart{part: part{name: "order"}}
	host, stop, done := run(t, config(), deps(), asked)
	for range 100 {
		get(t, "http://"+host.Addrs().HTTP+"/readyz")
	}
	if n := asked.count.Load(); n < 1 || n > 50 {
		t.Errorf("100 requests asked %d times", n)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// countedPart counts how often it is asked whether it is ready.
type countedPart struct {
	part
	count atomic.Int64
}

func (p *countedPart) Ready(context.Context) error { p.count.Add(1); return nil }

func TestConfig_CallRatesReachTheServer(t *testing.T) {
	t.Parallel()
	c := config()
	if c.CallRates.Of(caller.H5) != (ratelimit.Rate{PerSecond: 20, Burst: 60}) || c.CallRates.Of(caller.Service) != (ratelimit.Rate{}) {
		t.Errorf("payers %v, services %v by default", c.CallRates.Of(caller.H5), c.CallRates.Of(caller.Service))
	}
	if want, err := rpckit.ParseRates(rpckit.DefaultRates); err != nil || c.CallRates != want {
		t.Errorf("the default of the config is %v, of rpckit %v", c.CallRates, want)
	}
	var err error
	if c.CallRates, err = rpckit.ParseRates("ADMIN=1/2"); err != nil {
		t.Fatal(err)
	}
	d := deps()
	d.Ops = opsv1.UnimplementedOpsServiceServer{}
	host, stop, done := run(t, c, d, &part{name: "order"})
	ops := opsv1.NewOpsServiceClient(dial(t, host.Addrs().GRPC))
	var last error
	for range 4 {
		_, last = ops.ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{})
	}
	if !errs.Is(last, errs.RateLimited) {
		t.Errorf("the fourth call at two at once: %v", last)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
