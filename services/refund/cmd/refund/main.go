// Command refund serves the refund service.
package main

import (
	"context"
	"os"

	"github.com/creditpay/creditpay/pkg/service"

	"github.com/creditpay/creditpay/services/refund"
)

func main() { os.Exit(service.Main(refund.Name, run)) }

func run(ctx context.Context, env service.Env) error {
	host, err := service.New(env.Config, env.Deps(), refund.New())
	if err != nil {
		return err
	}
	return host.Run(ctx)
}
