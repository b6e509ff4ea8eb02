package spine

import (
	"fmt"
	"os"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/service"
)

// ProcessDeps gives the deps of a process that hosts one service.
func ProcessDeps(env service.Env) Deps {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return Deps{Log: env.Log, Clock: env.Clock, IDs: ids.NewGenerator(env.Clock), Owner: fmt.Sprintf("%s/%d", host, os.Getpid())}
}
