// Command notification serves the notification service.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/creditpay/creditpay/pkg/ops"
	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/pkg/service"
	"github.com/creditpay/creditpay/pkg/spine"

	"github.com/creditpay/creditpay/services/notification"
)

func main() { os.Exit(service.Main(notification.Name, run)) }

func run(ctx context.Context, env service.Env) error {
	var cfg notification.Config
	if err := service.Parse(&cfg); err != nil {
		return err
	}
	keys, err := secret.LoadFile(cfg.KeyringFile)
	if err != nil {
		return fmt.Errorf("CREDITPAY_KEYRING_FILE: %w", err)
	}
	shared, err := spine.ProcessDeps(env)
	if err != nil {
		return err
	}
	svc, err := notification.New(ctx, cfg, notification.Deps{Spine: shared, Keys: keys})
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
