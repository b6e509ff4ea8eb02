// Command payment serves the payment service.
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

	"github.com/creditpay/creditpay/services/payment"
)

func main() { os.Exit(service.Main(payment.Name, run)) }

func run(ctx context.Context, env service.Env) error {
	var cfg payment.Config
	if err := service.Parse(&cfg); err != nil {
		return err
	}
	keys, err := secret.LoadFile(cfg.KeyringFile)
	if err != nil {
		return fmt.Errorf("CREDITPAY_KEYRING_FILE: %w", err)
	}
	proofs, err := secret.LoadOptional(cfg.CheckoutProofKeyringFile)
	if err != nil {
		return fmt.Errorf("CREDITPAY_CHECKOUT_PROOF_KEYRING_FILE: %w", err)
	}
	peers, err := env.Client()
	if err != nil {
		return err
	}
	order, err := rpckit.Dial(cfg.OrderAddr, peers)
	if err != nil {
		return err
	}
	defer func() { _ = order.Close() }()
	bill, err := rpckit.Dial(cfg.BillAddr, peers)
	if err != nil {
		return err
	}
	defer func() { _ = bill.Close() }()
	refund, err := rpckit.Dial(cfg.RefundAddr, peers)
	if err != nil {
		return err
	}
	defer func() { _ = refund.Close() }()
	shared, err := spine.ProcessDeps(env)
	if err != nil {
		return err
	}
	svc, err := payment.New(ctx, cfg, payment.Deps{Spine: shared, Keys: keys, Proofs: proofs, Order: order, Bill: bill, Refund: refund})
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
