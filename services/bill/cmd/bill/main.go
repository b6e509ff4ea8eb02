// Command bill serves the bill service.
package main

import (
	"context"
	"os"

	"github.com/creditpay/creditpay/pkg/ops"
	"github.com/creditpay/creditpay/pkg/rpckit"
	"github.com/creditpay/creditpay/pkg/service"
	"github.com/creditpay/creditpay/pkg/spine"

	"github.com/creditpay/creditpay/services/bill"
)

func main() { os.Exit(service.Main(bill.Name, run)) }

func run(ctx context.Context, env service.Env) error {
	var cfg bill.Config
	if err := service.Parse(&cfg); err != nil {
		return err
	}
	peers, err := env.Client()
	if err != nil {
		return err
	}
	payment, err := rpckit.Dial(cfg.PaymentAddr, peers)
	if err != nil {
		return err
	}
	defer func() { _ = payment.Close() }()
	svc, err := bill.New(ctx, cfg, bill.Deps{Spine: spine.ProcessDeps(env), Payment: payment})
	if err != nil {
		return err
	}
	deps := env.Deps()
	deps.Ops = ops.New(nil, svc.Spine)
	host, err := service.New(env.Config, deps, svc)
	if err != nil {
		return err
	}
	return host.Run(ctx)
}
