// Command devstack runs the whole suite on one machine.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/creditpay/creditpay/pkg/text"

	"github.com/creditpay/creditpay/deploy/devstack"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // A second signal kills.
	config, err := devstack.LoadConfig()
	if err == nil {
		var stack *devstack.Stack
		if stack, err = devstack.New(ctx, config, os.Stdout); err == nil {
			err = stack.Run(ctx)
		}
	}
	if err != nil {
		text.FprintError(os.Stderr, "devstack", err)
		return 1
	}
	return 0
}
