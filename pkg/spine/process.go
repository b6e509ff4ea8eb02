package spine

import (
	"errors"
	"fmt"
	"os"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/service"
)

// ProcessDeps returns the deps of a process that hosts one service: it signs events with the key of its own token, and verifies others'
// with the token keys.
func ProcessDeps(env service.Env) (Deps, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	if env.Config.TokenSigningKeyFile == "" || env.Config.TokenKeysFile == "" {
		return Deps{}, errors.New("CREDITPAY_TOKEN_SIGNING_KEY_FILE or CREDITPAY_TOKEN_KEYS_FILE is not set: events are signed with the one and verified with the other")
	}
	signer, err := auth.LoadSigner(env.Config.TokenSigningKeyFile)
	if err != nil {
		return Deps{}, err
	}
	keys, err := auth.LoadKeySet(env.Config.TokenKeysFile, func(err error) { env.Log.Warn("token keys", zap.Error(err)) })
	if err != nil {
		return Deps{}, err
	}
	return Deps{Log: env.Log, Clock: env.Clock, IDs: ids.NewGenerator(env.Clock), Owner: fmt.Sprintf("%s/%d", host, os.Getpid()),
		Signer: signer, EventKeys: keys, Registry: env.Registry}, nil
}
