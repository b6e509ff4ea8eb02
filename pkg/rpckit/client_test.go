package rpckit_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	opsv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/ops/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/rpckit"
)

func TestAnUnreachablePeerLeavesTheOutcomeUnknownWithinTheDeadline(t *testing.T) {
	t.Parallel()
	// A port that was free a moment ago and that nobody listens on.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	conn, err := rpckit.Dial(addr, rpckit.ClientConfig{Transport: rpckit.Plaintext, Deadline: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = opsv1.NewOpsServiceClient(conn).ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{})
	wantReason(t, err, errs.DependencyUnavailable)
}

func TestACallIsRepeatedWhileThePeerIsUnavailableThreeTimesInAll(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]struct {
		failures, attempts int32
		code               codes.Code
		works              bool
	}{
		"two failures":             {2, 3, codes.Unavailable, true},
		"three failures":           {3, 3, codes.Unavailable, false},
		"a refusal is not retried": {1, 1, codes.Internal, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var attempts atomic.Int32
			server := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
				if attempts.Add(1) <= one.failures {
					return nil, status.Error(one.code, "not now")
				}
				return handler(ctx, req)
			}))
			opsv1.RegisterOpsServiceServer(server, &scriptedOps{list: empty})
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- server.Serve(listener) }()
			defer func() {
				server.Stop()
				if err := <-done; err != nil {
					t.Errorf("serve: %v", err)
				}
			}()
			conn, err := rpckit.Dial(listener.Addr().String(), rpckit.ClientConfig{Transport: rpckit.Plaintext})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			_, err = opsv1.NewOpsServiceClient(conn).ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{})
			if (err == nil) != one.works || attempts.Load() != one.attempts {
				t.Errorf("%d attempts, then %v", attempts.Load(), err)
			}
			if err != nil {
				wantReason(t, err, errs.DependencyUnavailable)
			}
		})
	}
}

func TestATokenNeverTravelsInTheOpenUnlessChosen(t *testing.T) {
	t.Parallel()
	s := serve(t, rpckit.Config{}, empty)
	// TLS is the default, and the server speaks none: the call must fail rather than fall back.
	conn, err := rpckit.Dial("passthrough:///memory", rpckit.ClientConfig{
		TokenSource: fixedToken("ADMIN"), Deadline: time.Second,
		Dialer: func(ctx context.Context, _ string) (net.Conn, error) { return s.connect(ctx) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = opsv1.NewOpsServiceClient(conn).ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{})
	wantReason(t, err, errs.DependencyUnavailable)
	if _, err := rpckit.Dial("", rpckit.ClientConfig{}); err == nil {
		t.Error("an empty address was accepted")
	}
}
