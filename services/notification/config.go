package notification

import (
	"errors"
	"time"

	"github.com/creditpay/creditpay/pkg/spine"
)

// What counts when the configuration does not say.
const (
	defaultPerEndpoint    = 4
	defaultInFlight       = 256
	defaultHome           = "marketplace"
	defaultAttemptTimeout = 10 * time.Second
)

// Config is what the notification service is told from outside, read from CREDITPAY_*. A field that is absent takes its default, also
// when the struct is filled by a program.
type Config struct {
	// Config of what every service has: MYSQL_DSN, KAFKA_BROKERS, …
	spine.Config
	// KeyringFile holds the keys that seal the secrets of endpoints. Used by the service's own process.
	KeyringFile string `env:"KEYRING_FILE"`
	// PerEndpoint is how many deliveries of one endpoint, or of one host of a callback endpoint, this process sends at once, 1 to 64.
	PerEndpoint int `env:"NOTIFICATION_PER_ENDPOINT" envDefault:"4"`
	// InFlight is how many deliveries this process sends at once in all, PER_ENDPOINT to 4096.
	InFlight int `env:"NOTIFICATION_IN_FLIGHT" envDefault:"256"`
	// AttemptTimeout bounds an attempt, from connecting to the end of the answer, 1s to 30s.
	AttemptTimeout time.Duration `env:"NOTIFICATION_ATTEMPT_TIMEOUT" envDefault:"10s"`
	// HomeMarketplace is the name of the marketplace that is stored without one: operators may name it so.
	HomeMarketplace string `env:"HOME_MARKETPLACE" envDefault:"marketplace"`
	// AllowLoopback lets endpoints be on this machine, by http too. For development only.
	AllowLoopback bool `env:"NOTIFICATION_ALLOW_LOOPBACK" envDefault:"false"`
}

// withDefaults fills what is absent.
func (c Config) withDefaults() Config {
	if c.PerEndpoint == 0 {
		c.PerEndpoint = defaultPerEndpoint
	}
	if c.HomeMarketplace == "" {
		c.HomeMarketplace = defaultHome
	}
	if c.InFlight == 0 {
		c.InFlight = defaultInFlight
	}
	if c.AttemptTimeout == 0 {
		c.AttemptTimeout = defaultAttemptTimeout
	}
	return c
}

// Validate tells what is wrong, all at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	wrong := []error{c.Config.Validate()}
	if c.PerEndpoint < 1 || c.PerEndpoint > 64 {
		wrong = append(wrong, errors.New("CREDITPAY_NOTIFICATION_PER_ENDPOINT must be 1 to 64"))
	}
	if c.InFlight < c.PerEndpoint || c.InFlight > 4096 {
		wrong = append(wrong, errors.New("CREDITPAY_NOTIFICATION_IN_FLIGHT must be CREDITPAY_NOTIFICATION_PER_ENDPOINT to 4096"))
	}
	if c.AttemptTimeout < time.Second || c.AttemptTimeout > 30*time.Second {
		wrong = append(wrong, errors.New("CREDITPAY_NOTIFICATION_ATTEMPT_TIMEOUT must be 1s to 30s"))
	}
	return errors.Join(wrong...)
}
