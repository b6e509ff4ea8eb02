// Package refund is the door of the refund service. Its contract stands; the service itself is later work, and each call says so.
package refund

import (
	"context"

	"google.golang.org/grpc"

	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/services/refund/internal/rpc"
)

// Name of the service.
const Name = "refund"

// Service is the refund service.
type Service struct{}

// New makes the service. It owns no database yet.
func New() *Service { return &Service{} }

// Name of the service.
func (*Service) Name() string { return Name }

// Register adds the service's RPCs to a server.
func (*Service) Register(r grpc.ServiceRegistrar) {
	refundv1.RegisterRefundServiceServer(r, &rpc.Refund{})
}

// Run has nothing to do in the background.
func (*Service) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Ready is always so.
func (*Service) Ready(context.Context) error { return nil }

// Close has nothing to free.
func (*Service) Close() error { return nil }
