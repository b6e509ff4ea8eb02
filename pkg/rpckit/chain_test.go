package rpckit

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	opsv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/ops/v1"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ratelimit"
)

// alwaysAdmin verifies in no time, so that the chain alone is measured.
type alwaysAdmin struct{}

func (alwaysAdmin) Verify(string, time.Time) (caller.Caller, error) {
	return caller.Caller{Kind: caller.Admin, Name: "bench", Roles: caller.EveryRole()}, nil
}

// BenchmarkChain measures what all interceptors together add to a call; the bound is 30 µs.
func BenchmarkChain(b *testing.B) {
	numbers, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	validator, err := newValidator()
	if err != nil {
		b.Fatal(err)
	}
	rates, err := ParseRates("ADMIN=1000000/1000000")
	if err != nil {
		b.Fatal(err)
	}
	unknown := newStrangers(ratelimit.Rate{PerSecond: 100, Burst: 200}, alwaysAdmin{}, clock.System())
	chain := []grpc.UnaryServerInterceptor{
		answer, numbers.unary, requestLog(zap.NewNop()), unknown.unary, identity(alwaysAdmin{}, clock.System(), unknown),
		access(AccessRules()), newCallerLimits(rates, clock.System()).unary, newReceiver(8).unary, newLimiter(8, 8).unary,
		decode(newCodec()), deadline, validation(validator),
	}
	info := &grpc.UnaryServerInfo{FullMethod: opsv1.OpsService_ListDeadLetters_FullMethodName}
	handler := func(context.Context, any) (any, error) { return nil, nil }
	for i := len(chain) - 1; i >= 0; i-- {
		next, interceptor := handler, chain[i]
		handler = func(ctx context.Context, req any) (any, error) { return interceptor(ctx, req, info, next) }
	}
	ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs("authorization", "Bearer x", "x-request-id", "req-1"))
	req := &opsv1.ListDeadLettersRequest{Service: "order", PageSize: 10}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := handler(ctx, req); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNewValidator measures the compilation of all rules, which a server pays once.
func BenchmarkNewValidator(b *testing.B) {
	for b.Loop() {
		if _, err := newValidator(); err != nil {
			b.Fatal(err)
		}
	}
}

func TestNoVerbBeginsWithoutTimeToEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), minBudget-time.Millisecond)
	defer cancel()
	_, err := deadline(ctx, nil, nil, func(context.Context, any) (any, error) { return nil, errors.New("reached") })
	if !errs.Is(err, errs.DeadlineTooShort) {
		t.Errorf("got %v", err)
	}
}

func TestOnlyHealthAndReflectionArePublic(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]bool{
		"/grpc.health.v1.Health/Check": true, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": true,
		"/grpc.channelz.v1.Channelz/GetServers": false, opsv1.OpsService_ListDeadLetters_FullMethodName: false, "": false,
	} {
		if IsPublic(method) != want {
			t.Errorf("IsPublic(%q) is not %v", method, want)
		}
	}
}
