// Package devstack owns the development stack: all services, the gateway, a private MariaDB and an embedded Kafka-protocol
// broker on one machine, with their data in one directory.
//
// It must not hold a business rule: everything it does to the services goes through their doors.
package devstack

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/creditpay/creditpay/pkg/kafkax"
	"github.com/creditpay/creditpay/pkg/rpckit"
	"github.com/creditpay/creditpay/pkg/service"
)

// Config is what the development stack is told by its environment.
type Config struct {
	// StateDir holds everything that outlives a restart: database, broker log, keys, credentials, clock.
	StateDir string `env:"STATE_DIR" envDefault:".local"`
	// HTTPAddr is where REST, the documentation, /healthz and /readyz listen. Whoever names another address than the loopback
	// opens the stack to that network.
	HTTPAddr string `env:"HTTP_ADDR" envDefault:"127.0.0.1:8080"`
	// GRPCAddr is where gRPC of all services listens, with reflection.
	GRPCAddr string `env:"GRPC_ADDR" envDefault:"127.0.0.1:9090"`
	// OpsAddr is where /metrics, /readyz in detail and /debug/pprof listen; "off", or empty, for none.
	OpsAddr string `env:"OPS_ADDR" envDefault:"127.0.0.1:8081"`
	// CashierAddr is where the simulator of the marketplace's cash desk listens, on the loopback; port 0 chooses a free one.
	CashierAddr string `env:"CASHIER_ADDR" envDefault:"127.0.0.1:0"`
	// MySQLDSN names a MySQL or MariaDB server to use instead of a private one (go-sql-driver form). Its user must be allowed to
	// create schemas; schemas creditpay_<service> are made on it.
	MySQLDSN string `env:"MYSQL_DSN"`
	// KafkaBrokers names brokers to use instead of the embedded one.
	KafkaBrokers []string `env:"KAFKA_BROKERS"`
	// KafkaSecurity is how connections to KafkaBrokers are protected; the embedded broker listens on the loopback in plaintext.
	KafkaSecurity kafkax.Security
	// KafkaPort is the embedded broker's port; 0 chooses a free one at the first start and keeps it.
	KafkaPort int `env:"KAFKA_PORT" envDefault:"0"`
	// LogLevel is the least level that is logged.
	LogLevel string `env:"LOG_LEVEL" envDefault:"warn"`
	// Purchase runs one scripted purchase after the start and prints it.
	Purchase bool `env:"DEMO_PURCHASE" envDefault:"true"`
	// CrashAfterTx makes the process kill itself after so many committed transactions, counted from the first SIGUSR1 on. For
	// crash tests; 0 never.
	CrashAfterTx int `env:"CRASH_AFTER_TX" envDefault:"0"`
	// CrashInNotification has the notification service's transactions counted for that, instead of those of all others.
	CrashInNotification bool `env:"CRASH_IN_NOTIFICATION" envDefault:"false"`
	// CallerRate is how many REST requests a second one caller may send.
	CallerRate int `env:"GATEWAY_CALLER_RATE" envDefault:"50"`
	// CallRates is how often one caller may call gRPC, by kind; nobody is limited by the zero value.
	CallRates rpckit.Rates `env:"CALL_RATES" envDefault:"SPM=5000/10000,H5=20/60,ADMIN=500/1000,MERCHANT=50/200,CHANNEL=500/1000"`
}

// LoadConfig reads Config from the environment.
func LoadConfig() (Config, error) {
	var c Config
	if err := service.Parse(&c); err != nil {
		return Config{}, err
	}
	return c, c.prepare()
}

// prepare checks the config and makes its paths absolute.
func (c *Config) prepare() error {
	if c.StateDir == "" {
		return errors.New("CREDITPAY_STATE_DIR is empty: name a directory for the stack's data")
	}
	abs, err := filepath.Abs(c.StateDir)
	if err != nil {
		return fmt.Errorf("find the state directory: %w", err)
	}
	c.StateDir = abs
	if c.CashierAddr == "" {
		c.CashierAddr = "127.0.0.1:0"
	}
	if c.CallerRate < 1 {
		return errors.New("CREDITPAY_GATEWAY_CALLER_RATE must be 1 or more")
	}
	return nil
}
