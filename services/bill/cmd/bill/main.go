// Command bill serves the bill service.
package main

import (
	"context"
	"os"

	"github.com/creditpay/creditpay/pkg/ops"
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
	svc, err := bill.New(ctx, cfg, bill.Deps{Spine: spine.ProcessDeps(env)})
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
