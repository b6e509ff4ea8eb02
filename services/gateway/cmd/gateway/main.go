// Command gateway serves the REST edge of the suite.
package main

import (
	"context"
	"os"

	"github.com/creditpay/creditpay/pkg/service"

	"github.com/creditpay/creditpay/services/gateway"
)

func main() { os.Exit(service.Main("gateway", run)) }

func run(ctx context.Context, env service.Env) error {
	config, err := gateway.LoadConfig()
	if err != nil {
		return err
	}
	if config.Peer, err = env.Config.Peers(); err != nil {
		return err
	}
	config.Peer.TracerProvider = env.TracerProvider
	gatewayDeps := gateway.Deps{Log: env.Log, Verifier: env.Verifier, Registry: env.Registry, Clock: env.Clock}
	if env.Config.TokenSigningKeyFile != "" {
		// Without a key of its own the gateway serves everything but contracts behind links.
		if gatewayDeps.Tokens, err = service.NewTokenSource(env.Config, env.Name); err != nil {
			return err
		}
	}
	edge, err := gateway.New(config, gatewayDeps)
	if err != nil {
		return err
	}
	env.Config.GRPCAddr = service.Off // it speaks gRPC only to its backends
	deps := env.Deps()
	deps.HTTP = edge
	host, err := service.New(env.Config, deps, edge)
	if err != nil {
		return err
	}
	return host.Run(ctx)
}
