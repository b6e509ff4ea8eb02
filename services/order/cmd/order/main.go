// Command order serves the order service.
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

	"github.com/creditpay/creditpay/services/order"
)

func main() { os.Exit(service.Main(order.Name, run)) }

func run(ctx context.Context, env service.Env) error {
	var cfg order.Config
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
	payment, err := rpckit.Dial(cfg.PaymentAddr, peers)
	if err != nil {
		return err
	}
	defer func() { _ = payment.Close() }()
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
	svc, err := order.New(ctx, cfg, order.Deps{Spine: shared, Keyring: keys, Proofs: proofs, Payment: payment, Bill: bill, Refund: refund})
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
