// Command bill serves the bill service.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/creditpay/creditpay/pkg/ops"
	"github.com/creditpay/creditpay/pkg/rpckit"
	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/pkg/service"
	"github.com/creditpay/creditpay/pkg/spine"

	"github.com/creditpay/creditpay/services/bill"
)

func main() { os.Exit(service.Main(bill.Name, run)) }

func run(ctx context.Context, env service.Env) error {
	var cfg bill.Config
	err := service.Parse(&cfg)
	if err != nil {
		return err
	}
	var billDeps bill.Deps
	if billDeps.Spine, err = spine.ProcessDeps(env); err != nil {
		return err
	}
	if cfg.KeyringFile != "" {
		if billDeps.Keys, err = secret.LoadFile(cfg.KeyringFile); err != nil {
			return fmt.Errorf("CREDITPAY_KEYRING_FILE: %w", err)
		}
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
	refund, err := rpckit.Dial(cfg.RefundAddr, peers)
	if err != nil {
		return err
	}
	defer func() { _ = refund.Close() }()
	billDeps.Payment, billDeps.Refund = payment, refund
	svc, err := bill.New(ctx, cfg, billDeps)
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
