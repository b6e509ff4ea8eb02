package rpckit

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/view"
)

// visibility takes out of every answer what its caller may not see.
func visibility(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	resp, err := handler(ctx, req)
	if m, ok := resp.(proto.Message); ok && err == nil {
		return view.For(caller.FromContext(ctx).Kind, m), nil
	}
	return resp, err
}
