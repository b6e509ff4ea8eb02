// Command creditctl operates a Credit Pay suite.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/creditpay/creditpay/pkg/text"

	"github.com/creditpay/creditpay/deploy/creditctl"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := creditctl.New(os.Stdout).ExecuteContext(ctx); err != nil {
		text.FprintError(os.Stderr, "creditctl", err)
		return 1
	}
	return 0
}
