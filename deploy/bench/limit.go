package bench

import (
	"context"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/ids"
)

// limitMethod is the one method of the limit's server. It is no contract of the suite, so it has no .proto: a call carries
// bytes in and nothing back.
const limitMethod = "/creditpay.bench.Limit/Write"

// limitRequestBytes is about what a call of the suite carries.
const limitRequestBytes = 120

type limitServer interface {
	limitWrite(ctx context.Context) error
}

func (w *ledgerWriter) limitWrite(ctx context.Context) error { return w.write(ctx) }

// limitService describes the server to gRPC, as generated code would.
func limitService() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "creditpay.bench.Limit",
		HandlerType: (*limitServer)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Write", Handler: func(srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			if err := decode(new(wrapperspb.BytesValue)); err != nil {
				return nil, err
			}
			server, ok := srv.(limitServer)
			if !ok {
				return nil, errors.New("not a server of the limit")
			}
			return &emptypb.Empty{}, server.limitWrite(ctx)
		}}},
	}
}

// ServeLimit is the process of the limit: a gRPC server without interceptors whose one method commits one transaction of the
// floor. It serves on addr until ctx ends.
func ServeLimit(ctx context.Context, addr, dsn string) error {
	writer, err := newLedgerWriter(dsn, ids.NewGenerator(clock.System()))
	if err != nil {
		return err
	}
	defer writer.close()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("serve the limit: %w", err)
	}
	server := grpc.NewServer()
	server.RegisterService(limitService(), writer)
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	return server.Serve(listener)
}

// limitClient calls the limit's server over one connection, as a service calls its peer.
type limitClient struct {
	conn    *grpc.ClientConn
	request *wrapperspb.BytesValue
}

func dialLimit(addr string) (*limitClient, error) {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("dial the limit: %w", err)
	}
	return &limitClient{conn: conn, request: wrapperspb.Bytes(make([]byte, limitRequestBytes))}, nil
}

func (c *limitClient) step(ctx context.Context) error {
	return c.conn.Invoke(ctx, limitMethod, c.request, new(emptypb.Empty), grpc.WaitForReady(true))
}

func (c *limitClient) close() { _ = c.conn.Close() }
