package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	notificationv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/notification/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/rpckit"
	"github.com/creditpay/creditpay/services/gateway"
)

// tokenIsKind is a verifier whose tokens are kinds; H5 tokens may name a user: "H5.user-2".
type tokenIsKind struct{}

func (tokenIsKind) Verify(token string, _ time.Time) (caller.Caller, error) {
	if token == "" {
		return caller.Caller{}, errs.TokenMissing.New("send a token")
	}
	name, user, _ := strings.Cut(token, ".")
	kind, ok := caller.ParseKind(name)
	if !ok {
		return caller.Caller{}, errs.TokenInvalid.New("no such kind")
	}
	c := caller.Caller{Kind: kind, Name: "tester", UserID: user}
	switch kind {
	case caller.Admin:
		c.Roles = caller.EveryRole()
	case caller.Service:
		c.Name = "gateway"
	}
	return c, nil
}

type fakeOrders struct {
	orderv1.UnimplementedOrderServiceServer
}

// QueryCheckoutInfo tells by the id what to answer.
func (fakeOrders) QueryCheckoutInfo(ctx context.Context, req *orderv1.QueryCheckoutInfoRequest) (*orderv1.QueryCheckoutInfoResponse, error) {
	switch req.GetCheckoutId() {
	case "chk_expired":
		return nil, errs.CheckoutExpired.New("start again").With("state", "EXPIRED")
	case "chk_busy":
		return nil, errs.RequestInFlight.New("repeat")
	case "chk_panic":
		panic("secret")
	case "chk_request":
		return &orderv1.QueryCheckoutInfoResponse{CheckoutId: rpckit.RequestID(ctx)}, nil
	case "chk_deadline":
		end, _ := ctx.Deadline()
		return &orderv1.QueryCheckoutInfoResponse{CheckoutId: time.Until(end).Truncate(time.Second).String()}, nil
	default:
		return &orderv1.QueryCheckoutInfoResponse{CheckoutId: req.GetCheckoutId() + req.GetToken(), State: orderv1.CheckoutState_CHECKOUT_STATE_OPEN}, nil
	}
}

type fakePayments struct {
	paymentv1.UnimplementedPaymentServiceServer
}

func (fakePayments) ConfirmPayChannel(_ context.Context, req *paymentv1.ConfirmPayChannelRequest) (*paymentv1.ConfirmPayChannelResponse, error) {
	return &paymentv1.ConfirmPayChannelResponse{Quote: &paymentv1.Quote{QuoteId: req.GetCheckoutId()}}, nil
}

type fakeRefunds struct {
	refundv1.UnimplementedRefundServiceServer
}

func (fakeRefunds) GetRefund(context.Context, *refundv1.GetRefundRequest) (*refundv1.GetRefundResponse, error) {
	return &refundv1.GetRefundResponse{}, nil
}

type fakeNotifications struct {
	notificationv1.UnimplementedNotificationServiceServer
}

func (fakeNotifications) ListEvents(_ context.Context, req *notificationv1.ListEventsRequest) (*notificationv1.ListEventsResponse, error) {
	return &notificationv1.ListEventsResponse{NextAfter: req.GetAfter()}, nil
}

// backends serves the fakes on real loopback and gives their address.
func backends(t *testing.T) string {
	t.Helper()
	options, err := rpckit.ServerOptions(rpckit.Config{Verifier: tokenIsKind{}})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	registrar := rpckit.Registrar(server)
	orderv1.RegisterOrderServiceServer(registrar, fakeOrders{})
	paymentv1.RegisterPaymentServiceServer(registrar, fakePayments{})
	refundv1.RegisterRefundServiceServer(registrar, fakeRefunds{})
	notificationv1.RegisterNotificationServiceServer(registrar, fakeNotifications{})
	billv1.RegisterBillServiceServer(registrar, billv1.UnimplementedBillServiceServer{})
	billv1.RegisterBillInternalServiceServer(registrar, fakeContracts{})
	healthv1.RegisterHealthServer(server, health.NewServer())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return listener.Addr().String()
}

func config(addr string) gateway.Config {
	return gateway.Config{
		OrderAddr: addr, PaymentAddr: addr, BillAddr: addr, RefundAddr: addr, NotificationAddr: addr,
		CallerRate: 1000, CallerBurst: 1000, AddressRate: 1000, AddressBurst: 1000, LimitEntries: 100,
		Peer: rpckit.ClientConfig{Transport: rpckit.Plaintext},
	}
}

func start(t *testing.T, c gateway.Config) (*gateway.Gateway, *httptest.Server) {
	t.Helper()
	clk := clock.NewFake(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	g, err := gateway.New(c, gateway.Deps{Log: zap.NewNop(), Verifier: tokenIsKind{}, Registry: prometheus.NewRegistry(), Clock: clk, Tokens: serviceToken{}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g)
	t.Cleanup(func() {
		server.Close()
		if err := g.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return g, server
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

func (a answer) problem() map[string]any {
	p, _ := a.body["error"].(map[string]any)
	return p
}

func ask(t *testing.T, server *httptest.Server, method, path, token, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, text: string(raw)}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(raw, &a.body); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
	}
	return a
}

const quote = `{"requestId":"req-12345678","channel":"CREDIT","tenorMonths":3}`

func TestRequestsReachTheirServiceAndOnlyWithTheRightKindOfToken(t *testing.T) {
	t.Parallel()
	_, server := start(t, config(backends(t)))
	for name, one := range map[string]struct {
		method, path, token, body string
		status                    int
		reason                    string
	}{
		"h5":                 {"GET", "/h5/v1/checkouts/chk_1", "H5.u", "", 200, ""},
		"h5 by token":        {"GET", "/h5/v1/checkout-tokens/abc", "H5.u", "", 200, ""},
		"h5 with a body":     {"POST", "/h5/v1/checkouts/chk_1/quote", "H5.u", quote, 200, ""},
		"admin":              {"GET", "/admin/v1/refunds/rfd_1", "ADMIN", "", 200, ""},
		"merchant":           {"GET", "/merchant/v1/events?after=ntc_1", "MERCHANT", "", 200, ""},
		"payer at merchant":  {"GET", "/merchant/v1/events", "H5.u", "", 403, "CALLER_NOT_ALLOWED"},
		"operator at it":     {"GET", "/merchant/v1/events", "ADMIN", "", 403, "CALLER_NOT_ALLOWED"},
		"merchant at admin":  {"GET", "/admin/v1/deliveries", "MERCHANT", "", 403, "CALLER_NOT_ALLOWED"},
		"no token":           {"GET", "/h5/v1/checkouts/chk_1", "", "", 401, "TOKEN_MISSING"},
		"bad token":          {"GET", "/h5/v1/checkouts/chk_1", "ROOT", "", 401, "TOKEN_INVALID"},
		"operator at h5":     {"GET", "/h5/v1/checkouts/chk_1", "ADMIN", "", 403, "CALLER_NOT_ALLOWED"},
		"payer at admin":     {"GET", "/admin/v1/refunds/rfd_1", "H5.u", "", 403, "CALLER_NOT_ALLOWED"},
		"marketplace at h5":  {"GET", "/h5/v1/checkouts/chk_1", "SPM", "", 403, "CALLER_NOT_ALLOWED"},
		"not offered yet":    {"GET", "/h5/v1/bill-businesses", "H5.u", "", 501, "NOT_YET_AVAILABLE"},
		"no such route":      {"GET", "/h5/v1/nothing", "H5.u", "", 404, "NOT_FOUND"},
		"no such page":       {"GET", "/nothing", "", "", 404, "NOT_FOUND"},
		"other method":       {"DELETE", "/h5/v1/checkouts/chk_1", "H5.u", "", 405, "INVALID_ARGUMENT"},
		"refused by a rule":  {"GET", "/h5/v1/checkouts/chk_expired", "H5.u", "", 400, "CHECKOUT_EXPIRED"},
		"in flight":          {"GET", "/h5/v1/checkouts/chk_busy", "H5.u", "", 409, "REQUEST_IN_FLIGHT"},
		"a fault":            {"GET", "/h5/v1/checkouts/chk_panic", "H5.u", "", 500, "INTERNAL"},
		"unknown field":      {"POST", "/h5/v1/checkouts/chk_1/quote", "H5.u", `{"colour":"red"}`, 400, "INVALID_ARGUMENT"},
		"malformed JSON":     {"POST", "/h5/v1/checkouts/chk_1/quote", "H5.u", `{"channel":`, 400, "INVALID_ARGUMENT"},
		"two objects":        {"POST", "/h5/v1/checkouts/chk_1/quote", "H5.u", quote + quote, 400, "INVALID_ARGUMENT"},
		"not UTF-8":          {"POST", "/h5/v1/checkouts/chk_1/quote", "H5.u", "{\"channel\":\"\xff\"}", 400, "INVALID_ARGUMENT"},
		"breaks a rule":      {"POST", "/h5/v1/checkouts/chk_1/quote", "H5.u", `{"channel":"credit"}`, 400, "INVALID_ARGUMENT"},
		"no body":            {"POST", "/h5/v1/checkouts/chk_1/quote", "H5.u", "", 400, "INVALID_ARGUMENT"},
		"too large":          {"POST", "/h5/v1/checkouts/chk_1/quote", "H5.u", strings.Repeat(" ", 256<<10+1), 413, "INVALID_ARGUMENT"},
		"as large as may be": {"POST", "/h5/v1/checkouts/chk_1/quote", "H5.u", quote + strings.Repeat(" ", 256<<10-len(quote)), 200, ""},
	} {
		a := ask(t, server, one.method, one.path, one.token, one.body)
		if a.status != one.status {
			t.Errorf("%s: status %d, want %d: %s", name, a.status, one.status, a.text)
			continue
		}
		if one.reason != "" && (a.problem()["reason"] != one.reason || a.problem()["request_id"] == "" || a.problem()["code"] == "") {
			t.Errorf("%s: got %s, want %s", name, a.text, one.reason)
		}
		if strings.Contains(a.text, "secret") {
			t.Errorf("%s: %s", name, a.text)
		}
	}
}

func TestErrorsHaveTheDocumentedForm(t *testing.T) {
	t.Parallel()
	_, server := start(t, config(backends(t)))
	a := ask(t, server, "GET", "/h5/v1/checkouts/chk_expired", "H5.u", "", "X-Request-Id", "req-7")
	want := map[string]any{"error": map[string]any{
		"code": "FAILED_PRECONDITION", "reason": "CHECKOUT_EXPIRED", "message": "start again",
		"metadata": map[string]any{"state": "EXPIRED"}, "fields": []any{}, "request_id": "req-7",
	}}
	if diff := cmp.Diff(want, a.body); diff != "" {
		t.Error(diff)
	}
	a = ask(t, server, "POST", "/h5/v1/checkouts/chk_1/quote", "H5.u", `{"requestId":"req-12345678","channel":"credit"}`)
	fields, _ := a.problem()["fields"].([]any)
	if len(fields) != 1 || fields[0].(map[string]any)["field"] != "channel" || fields[0].(map[string]any)["rule"] != "string.pattern" {
		t.Errorf("fields %v in %s", fields, a.text)
	}
	a = ask(t, server, "POST", "/h5/v1/checkouts/chk_1/quote", "H5.u", `{"colour":"red"}`)
	if text, _ := a.problem()["message"].(string); !strings.Contains(text, `unknown field "colour"`) || strings.HasPrefix(text, "proto") {
		t.Errorf("message %q", text)
	}
	if a = ask(t, server, "GET", "/h5/v1/checkouts/chk_busy", "H5.u", ""); a.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
}

func TestRequestIDAndDeadlineTravel(t *testing.T) {
	t.Parallel()
	_, server := start(t, config(backends(t)))
	a := ask(t, server, "GET", "/h5/v1/checkouts/chk_request", "H5.u", "", "X-Request-Id", "req-42")
	if a.body["checkoutId"] != "req-42" || a.header.Get("X-Request-Id") != "req-42" {
		t.Errorf("got %s and %q", a.text, a.header.Get("X-Request-Id"))
	}
	a = ask(t, server, "GET", "/h5/v1/checkouts/chk_request", "H5.u", "", "X-Request-Id", "no spaces please")
	if id := a.header.Get("X-Request-Id"); len(id) != 24 || a.body["checkoutId"] != id {
		t.Errorf("got %s and %q", a.text, id)
	}
	for given, want := range map[string]string{"": "9s", "5S": "4s", "99H": "29s"} {
		headers := []string{}
		if given != "" {
			headers = []string{"Grpc-Timeout", given}
		}
		if a := ask(t, server, "GET", "/h5/v1/checkouts/chk_deadline", "H5.u", "", headers...); a.body["checkoutId"] != want {
			t.Errorf("Grpc-Timeout %q gave the service %s, want %s", given, a.text, want)
		}
	}
	if a := ask(t, server, "GET", "/h5/v1/checkouts/chk_1", "H5.u", "", "Grpc-Timeout", "soon"); a.status != 400 {
		t.Errorf("a malformed Grpc-Timeout: %d", a.status)
	}
}

func TestEachCallerHasItsOwnRateAndAddressesHaveTheirs(t *testing.T) {
	t.Parallel()
	c := config(backends(t))
	c.CallerRate, c.CallerBurst, c.AddressRate, c.AddressBurst = 1, 2, 1, 4
	_, server := start(t, c)
	statuses := func(token string, n int) (got []int) {
		for range n {
			a := ask(t, server, "GET", "/h5/v1/checkouts/chk_1", token, "")
			if a.status == http.StatusTooManyRequests && (a.header.Get("Retry-After") != "1" || a.problem()["reason"] != "RATE_LIMITED") {
				t.Errorf("429 with Retry-After %q: %s", a.header.Get("Retry-After"), a.text)
			}
			got = append(got, a.status)
		}
		return got
	}
	if diff := cmp.Diff([]int{200, 200, 429}, statuses("H5.one", 3)); diff != "" {
		t.Error(diff)
	}
	// Another caller of the same address has one request left of the address's four; strangers have none either.
	if diff := cmp.Diff([]int{200, 429}, statuses("H5.two", 2)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{429}, statuses("", 1)); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyConfiguredOriginsMayCallFromPages(t *testing.T) {
	t.Parallel()
	c := config(backends(t))
	c.Origins = []string{"https://pay.example"}
	_, server := start(t, c)
	for origin, allowed := range map[string]bool{"https://pay.example": true, "https://pay.example.evil": false, "http://pay.example": false, "null": false} {
		a := ask(t, server, "OPTIONS", "/h5/v1/checkouts/chk_1", "", "", "Origin", origin, "Access-Control-Request-Method", "GET")
		if (a.status == 204) != allowed || (a.header.Get("Access-Control-Allow-Origin") == origin) != allowed {
			t.Errorf("preflight of %s: %d, %q", origin, a.status, a.header.Get("Access-Control-Allow-Origin"))
		}
		a = ask(t, server, "GET", "/h5/v1/checkouts/chk_1", "H5.u", "", "Origin", origin)
		if (a.header.Get("Access-Control-Allow-Origin") == origin) != allowed {
			t.Errorf("request of %s: %q", origin, a.header.Get("Access-Control-Allow-Origin"))
		}
	}
}

func TestPagesWorkOfflineUnderTheirOwnPolicy(t *testing.T) {
	t.Parallel()
	_, server := start(t, config("localhost:1"))
	for path, want := range map[string]string{
		"/": `href="/docs"`, "/docs": `src="/docs/docs.js"`, "/docs/": "docs.css", "/docs/docs.js": "openapi.json", "/docs/docs.css": "body", "/docs/openapi.json": `"swagger"`,
	} {
		a := ask(t, server, "GET", path, "", "")
		if a.status != 200 || !strings.Contains(a.text, want) {
			t.Errorf("%s: %d without %q", path, a.status, want)
		}
		policy := a.header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "script-src 'self'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
		if path != "/docs/openapi.json" && (strings.Contains(a.text, "http://") || strings.Contains(a.text, "https://")) {
			t.Errorf("%s needs another host", path)
		}
		if strings.Contains(a.text, "<script>") || strings.Contains(a.text, "onclick=") || strings.Contains(a.text, "style=") {
			t.Errorf("%s has inline parts that its policy forbids", path)
		}
	}
}

func TestEveryAnswerHasTheSecurityHeaders(t *testing.T) {
	t.Parallel()
	_, server := start(t, config("localhost:1"))
	for _, path := range []string{"/", "/docs", "/nothing", "/h5/v1/checkouts/chk_1"} {
		a := ask(t, server, "GET", path, "", "")
		if a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Referrer-Policy") != "no-referrer" ||
			!strings.Contains(a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s: %v", path, a.header)
		}
	}
}

func TestReadinessFollowsTheBackends(t *testing.T) {
	t.Parallel()
	g, server := start(t, config(backends(t)))
	if err := g.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	down, _ := start(t, config("127.0.0.1:1"))
	if err := down.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("got %v", err)
	}
	_ = server
	_, off := start(t, config("127.0.0.1:1"))
	if a := ask(t, off, "GET", "/h5/v1/checkouts/chk_1", "H5.u", ""); a.status != 503 || a.problem()["reason"] != "DEPENDENCY_UNAVAILABLE" || a.header.Get("Retry-After") == "" {
		t.Errorf("got %d %s", a.status, a.text)
	}
}

func TestConfigNamesItsMistakes(t *testing.T) {
	t.Parallel()
	c := config("")
	c.CallerRate, c.ProxyHops, c.Origins = 0, 11, []string{"*", "https://a.example/"}
	err := c.Validate()
	for _, want := range []string{"ORDER_ADDR", "GATEWAY_CALLER_RATE", "GATEWAY_PROXY_HOPS", `"*"`, `"https://a.example/"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}
