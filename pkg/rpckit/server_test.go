package rpckit_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	_ "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	opsv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/ops/v1"
	_ "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	_ "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	_ "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/rpckit"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// scriptedOps answers ListDeadLetters as the test says.
type scriptedOps struct {
	opsv1.UnimplementedOpsServiceServer
	list func(context.Context, *opsv1.ListDeadLettersRequest) (*opsv1.ListDeadLettersResponse, error)
}

func (s *scriptedOps) ListDeadLetters(ctx context.Context, req *opsv1.ListDeadLettersRequest) (*opsv1.ListDeadLettersResponse, error) {
	return s.list(ctx, req)
}

func empty(context.Context, *opsv1.ListDeadLettersRequest) (*opsv1.ListDeadLettersResponse, error) {
	return &opsv1.ListDeadLettersResponse{}, nil
}

// tokenIsKind is a verifier whose tokens are kinds: "ADMIN" is an operator.
type tokenIsKind struct{}

func (tokenIsKind) Verify(token string, _ time.Time) (caller.Caller, error) {
	if token == "" {
		return caller.Caller{}, errs.TokenMissing.New("send a token")
	}
	kind, ok := caller.ParseKind(token)
	if !ok {
		return caller.Caller{}, errs.TokenInvalid.New("no such kind")
	}
	c := caller.Caller{Kind: kind, Name: "tester"}
	if kind == caller.Admin {
		c.Roles = caller.EveryRole()
	}
	return c, nil
}

// Known says which tokens were seen before; this verifier has always seen operators.
func (tokenIsKind) Known(token string, _ time.Time) bool { return token == "ADMIN" }

// fixedToken is a TokenSource.
type fixedToken string

func (f fixedToken) Token(context.Context) (string, error) { return string(f), nil }

// stack is a server with scriptedOps and a way to call it.
type stack struct {
	registry *prometheus.Registry
	logs     *observer.ObservedLogs
	connect  func(context.Context) (net.Conn, error)
}

// lister is the verb of a scriptedOps.
type lister func(context.Context, *opsv1.ListDeadLettersRequest) (*opsv1.ListDeadLettersResponse, error)

func serve(tb testing.TB, config rpckit.Config, list lister) *stack {
	tb.Helper()
	memory := bufconn.Listen(1 << 20)
	return serveOn(tb, config, list, memory, memory.DialContext)
}

func serveOn(tb testing.TB, config rpckit.Config, list lister, on net.Listener, dial func(context.Context) (net.Conn, error)) *stack {
	tb.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	s := &stack{registry: prometheus.NewRegistry(), logs: logs, connect: dial}
	if config.Log == nil {
		config.Log = zap.New(core)
	}
	config.Registry, config.Verifier = s.registry, tokenIsKind{}
	options, err := rpckit.ServerOptions(config)
	if err != nil {
		tb.Fatal(err)
	}
	server := grpc.NewServer(options...)
	opsv1.RegisterOpsServiceServer(rpckit.Registrar(server), &scriptedOps{list: list})
	billv1.RegisterBillInternalServiceServer(rpckit.Registrar(server), billv1.UnimplementedBillInternalServiceServer{})
	healthv1.RegisterHealthServer(rpckit.Registrar(server), health.NewServer())
	done := make(chan error, 1)
	go func() { done <- server.Serve(on) }()
	tb.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			tb.Errorf("serve: %v", err)
		}
	})
	return s
}

func (s *stack) dial(tb testing.TB, token string) *grpc.ClientConn {
	tb.Helper()
	config := rpckit.ClientConfig{
		Transport: rpckit.Plaintext,
		Dialer:    func(ctx context.Context, _ string) (net.Conn, error) { return s.connect(ctx) },
	}
	if token != "" {
		config.TokenSource = fixedToken(token)
	}
	conn, err := rpckit.Dial("passthrough:///memory", config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (s *stack) ops(tb testing.TB, token string) opsv1.OpsServiceClient {
	tb.Helper()
	return opsv1.NewOpsServiceClient(s.dial(tb, token))
}

// refusal is err as an error of that reason; the test ends when it is none.
func refusal(tb testing.TB, err error, want errs.Reason) *errs.Error {
	tb.Helper()
	var e *errs.Error
	if !errors.As(err, &e) || e.Reason() != want {
		tb.Fatalf("got %v, want %s", err, want.Name())
	}
	return e
}

func wantReason(tb testing.TB, err error, want errs.Reason) {
	tb.Helper()
	_ = refusal(tb, err, want)
}

func TestOnlyTheKindsOfTheRuleComeThrough(t *testing.T) {
	t.Parallel()
	s := serve(t, rpckit.Config{}, func(ctx context.Context, _ *opsv1.ListDeadLettersRequest) (*opsv1.ListDeadLettersResponse, error) {
		if c := caller.FromContext(ctx); c.Kind != caller.Admin || c.Name != "tester" {
			return nil, errs.Internal.New("the verb sees %v", c)
		}
		return &opsv1.ListDeadLettersResponse{}, nil
	})
	for _, k := range caller.Kinds() {
		_, err := s.ops(t, k.String()).ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{})
		if k == caller.Admin {
			if err != nil {
				t.Errorf("%s: %v", k, err)
			}
			continue
		}
		wantReason(t, err, errs.CallerNotAllowed)
	}
	_, err := s.ops(t, "").ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{})
	wantReason(t, err, errs.TokenMissing)
	_, err = s.ops(t, "ROOT").ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{})
	wantReason(t, err, errs.TokenInvalid)
}

func TestHealthNeedsNoToken(t *testing.T) {
	t.Parallel()
	s := serve(t, rpckit.Config{}, empty)
	got, err := healthv1.NewHealthClient(s.dial(t, "")).Check(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil || got.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestEveryMethodOfTheSuiteHasARuleForSomebody(t *testing.T) {
	t.Parallel()
	rules := rpckit.AccessRules()
	if len(rules) < 40 {
		t.Fatalf("only %d rules", len(rules))
	}
	for method, rule := range rules {
		if !strings.HasPrefix(method, "/creditpay.") || len(rule.Kinds()) == 0 {
			t.Errorf("%s allows %v", method, rule.Kinds())
		}
		if rule.Allows(caller.Caller{}) {
			t.Errorf("%s allows nobody in particular", method)
		}
		if rule.AllowsKind(caller.Admin) != (rule.Roles != 0) {
			t.Errorf("%s names %v and the roles %v: operators need a role, others have none", method, rule.Kinds(), rule.Roles.Names())
		}
		if rule.AllowsKind(caller.Service) != (len(rule.Services) > 0) {
			t.Errorf("%s names %v and the services %q: a service needs its name, others have none", method, rule.Kinds(), rule.Services)
		}
	}
	if diff := cmp.Diff([]caller.Kind{caller.SPM, caller.H5, caller.Admin, caller.Merchant}, rules["/creditpay.order.v1.OrderService/GetOrderInfo"].Kinds()); diff != "" {
		t.Error(diff)
	}
	if (rpckit.Rule{}).Allows(caller.Caller{Kind: caller.Admin, Roles: caller.EveryRole()}) {
		t.Error("no rule allows an operator")
	}
	approve := rules["/creditpay.refund.v1.RefundService/ApproveRefund"]
	for _, role := range caller.AllRoles() {
		if approve.Allows(caller.Caller{Kind: caller.Admin, Roles: caller.RolesOf(role)}) != (role == caller.RefundApprove) {
			t.Errorf("approving is open to %s", role)
		}
	}
	if approve.Allows(caller.Caller{Kind: caller.SPM, Roles: caller.EveryRole()}) {
		t.Error("roles open what the kind does not")
	}
}

func TestAccess_ServiceNeedsItsName(t *testing.T) {
	t.Parallel()
	rule := rpckit.AccessRules()["/creditpay.bill.v1.BillInternalService/KeepCashAsCredit"]
	for name, want := range map[string]bool{"payment": true, "gateway": false, "order": false, "": false, "Payment": false} {
		if got := rule.Allows(caller.Caller{Kind: caller.Service, Name: name}); got != want {
			t.Errorf("service %q: %v, want %v", name, got, want)
		}
	}
	if rule.Allows(caller.Caller{Kind: caller.SPM, Name: "payment"}) {
		t.Error("the name of a service opens what the kind does not")
	}
	// A rule that names the kind and no service, which the contract must not have, lets none in.
	rule.Services = nil
	if rule.Allows(caller.Caller{Kind: caller.Service, Name: "payment"}) {
		t.Error("a rule without services lets one in")
	}
}

func TestAccess_RefusalNamesTheServices(t *testing.T) {
	t.Parallel()
	s := serve(t, rpckit.Config{}, empty)
	_, err := billv1.NewBillInternalServiceClient(s.dial(t, caller.Service.String())).BatchGetLoans(t.Context(), &billv1.BatchGetLoansRequest{})
	if e := refusal(t, err, errs.CallerNotAllowed); !strings.Contains(e.Message(), "order") || !strings.Contains(e.Message(), "tester") {
		t.Errorf("the refusal says %q, which names neither what is needed nor who called", e.Message())
	}
}

func TestAPanicIsAnsweredCountedAndLoggedAndTheServerLivesOn(t *testing.T) {
	t.Parallel()
	first := true
	s := serve(t, rpckit.Config{}, func(context.Context, *opsv1.ListDeadLettersRequest) (*opsv1.ListDeadLettersResponse, error) {
		if first {
			first = false
			panic("card 4111")
		}
		return &opsv1.ListDeadLettersResponse{}, nil
	})
	ops := s.ops(t, "ADMIN")
	_, err := ops.ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{})
	e := refusal(t, err, errs.Internal)
	if strings.Contains(e.Error(), "4111") || e.Metadata()["request_id"] == "" {
		t.Errorf("the caller got %v with %v", e, e.Metadata())
	}
	if _, err := ops.ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{}); err != nil {
		t.Errorf("the next call: %v", err)
	}
	if diff := testutil.ToFloat64(gathered(t, s.registry, "creditpay_rpc_panics_total")); diff != 1 {
		t.Errorf("%v panics counted", diff)
	}
	line := s.logs.FilterMessage("call").FilterField(zap.String("request_id", e.Metadata()["request_id"])).All()
	if len(line) != 1 || line[0].Level != zapcore.ErrorLevel || !strings.Contains(line[0].ContextMap()["cause"].(string), "4111") {
		t.Errorf("logged %v", line)
	}
}

// gathered is the one counter of that name, as a collector that testutil reads.
func gathered(tb testing.TB, registry *prometheus.Registry, name string) prometheus.Collector {
	tb.Helper()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: "Calls that ended in a panic."})
	var held prometheus.AlreadyRegisteredError
	if err := registry.Register(c); !errors.As(err, &held) {
		tb.Fatalf("%s is not registered: %v", name, err)
	}
	return held.ExistingCollector
}

func TestValidationNamesFieldAndRule(t *testing.T) {
	t.Parallel()
	s := serve(t, rpckit.Config{}, empty)
	_, err := s.ops(t, "ADMIN").ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{PageSize: 501, Service: strings.Repeat("x", 33)})
	e := refusal(t, err, errs.InvalidArgument)
	var got rpckit.FieldViolations
	if !errors.As(err, &got) {
		t.Fatalf("no violations in %v", err)
	}
	fields := map[string]string{}
	for _, v := range got {
		fields[v.Field] = v.Rule
		if !strings.Contains(e.Message(), v.Field) || v.Text == "" {
			t.Errorf("%q does not tell %+v", e.Message(), v)
		}
	}
	if diff := cmp.Diff(map[string]string{"service": "string.max_len", "page_size": "int32.gte_lte"}, fields); diff != "" {
		t.Error(diff)
	}
	_, err = s.ops(t, "ADMIN").AdvanceClock(t.Context(), &opsv1.AdvanceClockRequest{Duration: durationpb.New(-time.Second)})
	wantReason(t, err, errs.InvalidArgument)
	// Identity comes first: a stranger learns nothing about the rules.
	_, err = s.ops(t, "").ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{PageSize: 501})
	wantReason(t, err, errs.TokenMissing)
}

func TestAMethodWithoutAVerbIsNotYetAvailable(t *testing.T) {
	t.Parallel()
	s := serve(t, rpckit.Config{}, empty)
	_, err := s.ops(t, "ADMIN").AdvanceClock(t.Context(), &opsv1.AdvanceClockRequest{Duration: durationpb.New(time.Second)})
	wantReason(t, err, errs.NotYetAvailable)
}

// rawBytes is a codec that sends bytes as they are.
type rawBytes struct{}

func (rawBytes) Marshal(v any) ([]byte, error)   { return v.([]byte), nil }
func (rawBytes) Unmarshal(_ []byte, _ any) error { return nil }
func (rawBytes) Name() string                    { return "proto" }

func TestRequestsThatCannotBeDecodedAreTheCallersFault(t *testing.T) {
	t.Parallel()
	s := serve(t, rpckit.Config{}, empty)
	for name, raw := range map[string][]byte{
		"not UTF-8":  {0x0a, 0x01, 0xff},
		"no message": {0xff, 0xff, 0xff},
	} {
		err := s.dial(t, "ADMIN").Invoke(t.Context(), opsv1.OpsService_ListDeadLetters_FullMethodName, raw, &emptypb.Empty{}, grpc.ForceCodec(rawBytes{}))
		e := refusal(t, err, errs.InvalidArgument)
		if name == "not UTF-8" && !strings.Contains(e.Message(), "UTF-8") {
			t.Errorf("%s: %v", name, e)
		}
	}
	err := s.dial(t, "").Invoke(t.Context(), opsv1.OpsService_ListDeadLetters_FullMethodName, []byte{0xff}, &emptypb.Empty{}, grpc.ForceCodec(rawBytes{}))
	wantReason(t, err, errs.TokenMissing)
}

func TestAnOversizeRequestDoesNotReachTheVerb(t *testing.T) {
	t.Parallel()
	reached := false
	s := serve(t, rpckit.Config{}, func(context.Context, *opsv1.ListDeadLettersRequest) (*opsv1.ListDeadLettersResponse, error) {
		reached = true
		return &opsv1.ListDeadLettersResponse{}, nil
	})
	_, err := s.ops(t, "ADMIN").ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{PageToken: strings.Repeat("x", rpckit.MaxMessage+1)})
	wantReason(t, err, errs.InvalidArgument)
	if reached {
		t.Error("the verb was reached")
	}
	_, err = s.ops(t, "ADMIN").ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{PageToken: strings.Repeat("x", 3*rpckit.MaxMessage)})
	if err == nil || reached {
		t.Errorf("got %v, reached %v", err, reached)
	}
}

func TestTheVerbGetsTheDeadlineLessAReserve(t *testing.T) {
	t.Parallel()
	var left time.Duration
	s := serve(t, rpckit.Config{}, func(ctx context.Context, _ *opsv1.ListDeadLettersRequest) (*opsv1.ListDeadLettersResponse, error) {
		end, ok := ctx.Deadline()
		if !ok {
			return nil, errs.Internal.New("no deadline")
		}
		left = time.Until(end)
		return &opsv1.ListDeadLettersResponse{}, nil
	})
	ops := s.ops(t, "ADMIN")
	for name, one := range map[string]struct{ given, atMost, atLeast time.Duration }{
		"a tenth is kept":             {2 * time.Second, 1800 * time.Millisecond, time.Second},
		"at most half a second":       {20 * time.Second, 19500 * time.Millisecond, 18500 * time.Millisecond},
		"ten seconds when none given": {0, 9500 * time.Millisecond, 8500 * time.Millisecond},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		if one.given > 0 {
			ctx, cancel = context.WithTimeout(t.Context(), one.given)
		}
		if _, err := ops.ListDeadLetters(ctx, &opsv1.ListDeadLettersRequest{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		if left > one.atMost || left < one.atLeast {
			t.Errorf("%s: the verb had %s", name, left)
		}
	}
}

func TestAVerbThatRunsOutOfTimeCanStillSaySo(t *testing.T) {
	t.Parallel()
	s := serve(t, rpckit.Config{}, func(ctx context.Context, _ *opsv1.ListDeadLettersRequest) (*opsv1.ListDeadLettersResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	// This client gives no deadline, so that the server's default counts: however busy the machine is, the client waits for the answer.
	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return s.connect(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer ADMIN")
	begin := time.Now()
	_, err = opsv1.NewOpsServiceClient(conn).ListDeadLetters(ctx, &opsv1.ListDeadLettersRequest{})
	wantReason(t, rpckit.FromStatus(err), errs.DeadlineTooShort)
	if left := rpckit.DefaultDeadline - time.Since(begin); left < -5*time.Second {
		t.Errorf("it was said %s after the time was over", -left)
	}
}

func TestCallsBeyondTheLimitWaitBrieflyThenAreRefused(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}, 8), make(chan struct{})
	s := serve(t, rpckit.Config{MaxInFlight: 1, MaxQueue: 1}, func(context.Context, *opsv1.ListDeadLettersRequest) (*opsv1.ListDeadLettersResponse, error) {
		entered <- struct{}{}
		<-release
		return &opsv1.ListDeadLettersResponse{}, nil
	})
	ops := s.ops(t, "ADMIN")
	results := make(chan error, 8)
	ask := func() {
		_, err := ops.ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{})
		results <- err
	}
	go ask()
	<-entered
	for range 3 {
		go ask()
	}
	for range 3 {
		wantReason(t, <-results, errs.RateLimited)
	}
	if _, err := healthv1.NewHealthClient(s.dial(t, "")).Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Errorf("health of a full server: %v", err)
	}
	close(release)
	if err := <-results; err != nil {
		t.Errorf("the call at work: %v", err)
	}
	go ask()
	if err := <-results; err != nil {
		t.Errorf("the place was not given back: %v", err)
	}
}

func TestTheLogHoldsIdsAndReasonsButNoBodiesAndNoTokens(t *testing.T) {
	t.Parallel()
	s := serve(t, rpckit.Config{}, func(ctx context.Context, req *opsv1.ListDeadLettersRequest) (*opsv1.ListDeadLettersResponse, error) {
		if rpckit.RequestID(ctx) != "req-12345678" {
			return nil, errs.Internal.New("the verb sees request id %q", rpckit.RequestID(ctx))
		}
		if req.GetService() == "none" {
			return nil, errs.NotFound.Wrap(errors.New("sent-by-caller"), "no such service")
		}
		return &opsv1.ListDeadLettersResponse{}, nil
	})
	ctx := rpckit.WithRequestID(t.Context(), "req-12345678")
	ops := s.ops(t, "ADMIN")
	if _, err := ops.ListDeadLetters(ctx, &opsv1.ListDeadLettersRequest{PageToken: "body-text"}); err != nil {
		t.Fatal(err)
	}
	_, err := ops.ListDeadLetters(ctx, &opsv1.ListDeadLettersRequest{Service: "none"})
	wantReason(t, err, errs.NotFound)
	lines := s.logs.FilterMessage("call").All()
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	if lines[0].Level != zapcore.DebugLevel || lines[1].Level != zapcore.InfoLevel {
		t.Errorf("levels %s and %s", lines[0].Level, lines[1].Level)
	}
	got := lines[1].ContextMap()
	delete(got, "elapsed")
	if diff := cmp.Diff(map[string]any{
		"method": opsv1.OpsService_ListDeadLetters_FullMethodName, "code": "NotFound", "reason": "NOT_FOUND",
		"request_id": "req-12345678", "caller": "ADMIN:tester",
	}, got); diff != "" {
		t.Error(diff)
	}
	for _, line := range lines {
		for key, value := range line.ContextMap() {
			if text, ok := value.(string); ok && (strings.Contains(text, "body-text") || strings.Contains(text, "Bearer")) {
				t.Errorf("%s = %q", key, text)
			}
		}
	}
}

func TestAMalformedRequestIDIsReplaced(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "a b", "a\nb", strings.Repeat("a", 65), "ü"} {
		if got := rpckit.CleanRequestID(id); got == id || len(got) != 24 {
			t.Errorf("CleanRequestID(%q) = %q", id, got)
		}
	}
	if got := rpckit.CleanRequestID("A-1_2.3:4"); got != "A-1_2.3:4" {
		t.Errorf("a good id became %q", got)
	}
}

func TestMetricsCountByMethodAndCode(t *testing.T) {
	t.Parallel()
	s := serve(t, rpckit.Config{}, empty)
	for _, token := range []string{"ADMIN", "ADMIN", "SPM"} {
		_, err := s.ops(t, token).ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{})
		if token == "ADMIN" && err != nil {
			t.Fatal(err)
		}
	}
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for _, family := range families {
		if family.GetName() != "creditpay_rpc_seconds" {
			continue
		}
		for _, m := range family.GetMetric() {
			got[m.GetLabel()[0].GetValue()] += m.GetHistogram().GetSampleCount()
		}
	}
	if diff := cmp.Diff(map[string]uint64{"OK": 2, "PermissionDenied": 1}, got); diff != "" {
		t.Error(diff)
	}
}

func TestOptionsNeedAVerifierAndSaneBounds(t *testing.T) {
	t.Parallel()
	if _, err := rpckit.ServerOptions(rpckit.Config{}); err == nil {
		t.Error("no verifier was accepted")
	}
	if _, err := rpckit.ServerOptions(rpckit.Config{Verifier: tokenIsKind{}, MaxInFlight: -1}); err == nil {
		t.Error("a negative bound was accepted")
	}
}

func TestRefusals_NameCallerAndAddress(t *testing.T) {
	t.Parallel()
	s := serve(t, rpckit.Config{}, empty)
	for token, want := range map[string]map[string]any{
		"nobody": {"code": "Unauthenticated", "reason": "TOKEN_INVALID", "caller": "NONE"},
		"SPM":    {"code": "PermissionDenied", "reason": "CALLER_NOT_ALLOWED", "caller": "SPM:tester"},
	} {
		ctx := rpckit.WithRequestID(t.Context(), "refused-"+token)
		if _, err := s.ops(t, token).ListDeadLetters(ctx, &opsv1.ListDeadLettersRequest{}); err == nil {
			t.Fatalf("%s came through", token)
		}
		lines := s.logs.FilterMessage("refused").FilterField(zap.String("request_id", "refused-"+token)).All()
		if len(lines) != 1 {
			t.Fatalf("%s: %d lines", token, len(lines))
		}
		got := lines[0].ContextMap()
		if got["address"] == "" {
			t.Errorf("%s: no address in %v", token, got)
		}
		for key, value := range want {
			if got[key] != value {
				t.Errorf("%s: %s is %v, want %v", token, key, got[key], value)
			}
		}
	}
}

func TestRefusals_AFloodDoesNotFillTheLog(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	refusals := rpckit.NewRefusals(zap.New(core))
	const flood = 5000
	for range flood {
		refusals.Log(func() []zap.Field { return nil })
	}
	testkit.Eventually(t, 5*time.Second, func() error { // the count follows when the second is over
		told := logs.FilterMessage("refused").Len()
		for _, line := range logs.FilterMessage("refused more than are logged one by one").All() {
			told += int(line.ContextMap()["refusals"].(int64))
		}
		if logs.Len() > 30 || told != flood {
			return fmt.Errorf("%d refusals made %d lines, which tell of %d", flood, logs.Len(), told)
		}
		return nil
	})
}
