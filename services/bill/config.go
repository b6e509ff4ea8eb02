package bill

import (
	"errors"
	"time"

	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/spine"
)

// Config is what the bill service is told from outside, read from CREDITPAY_*.
type Config struct {
	spine.Config
	// SeedProducts adds the default products at start when they are not there; versions that are there are never changed.
	SeedProducts bool `env:"SEED_PRODUCTS" envDefault:"true"`
	// ProductRefresh is how old the list of current products may be: a new version is offered that much later at most.
	ProductRefresh time.Duration `env:"PRODUCT_REFRESH" envDefault:"5s"`
	// PlanCacheSize is how many plans are kept in memory, about; a plan of twelve months takes some 2 kB.
	PlanCacheSize int `env:"PLAN_CACHE_SIZE" envDefault:"2000"`
	// Approval is how changes of the tiers of approval take effect.
	Approval desk.Settings
	// OpenRepaymentsMax is how many repayments of a user may wait for their money at once, 1 to 1000.
	OpenRepaymentsMax int `env:"OPEN_REPAYMENTS_MAX" envDefault:"20"`
	// Esign is how contracts are signed.
	Esign EsignConfig `envPrefix:"ESIGN_"`
	// KeyringFile holds the keys that seal and digest what signing keeps. Used by the service's own process.
	KeyringFile string `env:"KEYRING_FILE"`
	// HomeMarketplace is the name of the marketplace whose users are named without one.
	HomeMarketplace string `env:"HOME_MARKETPLACE" envDefault:"marketplace"`
	// PaymentAddr is the gRPC address of the payment service. Used by the service's own process.
	PaymentAddr string `env:"PAYMENT_ADDR" envDefault:"localhost:9090"`
	// RefundAddr is the gRPC address of the refund service. Used by the service's own process.
	RefundAddr string `env:"REFUND_ADDR" envDefault:"localhost:9090"`
}

// Validate tells what is missing or out of bounds.
func (c Config) Validate() error {
	err := c.Config.Validate()
	if c.ProductRefresh < 0 || c.ProductRefresh > time.Hour {
		err = errors.Join(err, errors.New("CREDITPAY_PRODUCT_REFRESH must be 0 to 1h"))
	}
	if c.PlanCacheSize < 0 || c.PlanCacheSize > 1_000_000 {
		err = errors.Join(err, errors.New("CREDITPAY_PLAN_CACHE_SIZE must be 0 to 1000000"))
	}
	if c.OpenRepaymentsMax < 0 || c.OpenRepaymentsMax > 1000 {
		err = errors.Join(err, errors.New("CREDITPAY_OPEN_REPAYMENTS_MAX must be 1 to 1000"))
	}
	return errors.Join(err, c.Approval.Validate(), c.Esign.Validate())
}
