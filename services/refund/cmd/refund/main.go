// Command refund serves the refund service.
package main

import (
	"context"
	"os"

	"google.golang.org/grpc"

	"github.com/creditpay/creditpay/pkg/ops"
	"github.com/creditpay/creditpay/pkg/rpckit"
	"github.com/creditpay/creditpay/pkg/service"
	"github.com/creditpay/creditpay/pkg/spine"

	"github.com/creditpay/creditpay/services/refund"
)

func main() { os.Exit(service.Main(refund.Name, run)) }

func run(ctx context.Context, env service.Env) error {
	var cfg refund.Config
	if err := service.Parse(&cfg); err != nil {
		return err
	}
	peers, err := env.Client()
	if err != nil {
		return err
	}
	shared, err := spine.ProcessDeps(env)
	if err != nil {
		return err
	}
	deps := refund.Deps{Spine: shared}
	for addr, conn := range map[*string]*grpc.ClientConnInterface{&cfg.OrderAddr: &deps.Order, &cfg.PaymentAddr: &deps.Payment, &cfg.BillAddr: &deps.Bill} {
		dialed, err := rpckit.Dial(*addr, peers)
		if err != nil {
			return err
		}
		defer func() { _ = dialed.Close() }()
		*conn = dialed
	}
	svc, err := refund.New(ctx, cfg, deps)
	if err != nil {
		return err
	}
	host := env.Deps()
	host.Ops = ops.New(nil, svc.Spine)
	server, err := service.New(env.Config, host, svc)
	if err != nil {
		return err
	}
	return server.Run(ctx)
}
