package payment

import (
	"errors"
	"time"

	"github.com/creditpay/creditpay/pkg/spine"
)

// Config is what the payment service is told from outside, read from CREDITPAY_*.
type Config struct {
	// Config of what every service has: MYSQL_DSN, KAFKA_BROKERS, …
	spine.Config
	// OrderAddr is the gRPC address of the order service. Used by the service's own process.
	OrderAddr string `env:"ORDER_ADDR" envDefault:"localhost:9090"`
	// BillAddr is the gRPC address of the bill service. Used by the service's own process.
	BillAddr string `env:"BILL_ADDR" envDefault:"localhost:9090"`
	// KeyringFile holds the keys that digest PINs. Used by the service's own process.
	KeyringFile string `env:"KEYRING_FILE"`
	// QuoteLife is how long a quote is locked.
	QuoteLife time.Duration `env:"QUOTE_LIFE" envDefault:"10m"`
	// RecoverAfter is when the recovery worker takes over a commit whose process may have died.
	RecoverAfter time.Duration `env:"RECOVER_AFTER" envDefault:"15s"`
	// Patience is how long a commit without an outcome is driven forward; after that its hold is released.
	Patience time.Duration `env:"PATIENCE" envDefault:"2m"`
}

// Validate tells what is wrong.
func (c Config) Validate() error {
	if c.QuoteLife <= 0 || c.RecoverAfter <= 0 || c.Patience <= c.RecoverAfter {
		return errors.New("QUOTE_LIFE and RECOVER_AFTER must be above zero, and PATIENCE longer than RECOVER_AFTER")
	}
	return c.Config.Validate()
}
