package order

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/creditpay/creditpay/pkg/spine"
)

// What counts when the configuration does not say.
const (
	defaultCheckoutExpiry  = 24 * time.Hour
	defaultAutoConfirmDays = 15
	defaultPeerTimeout     = 2 * time.Second
	defaultDetailTimeout   = 800 * time.Millisecond
	defaultTimeZone        = "Asia/Jakarta"
	defaultHome            = "marketplace"
	defaultProofLife       = 15 * time.Minute

	expiryMin, expiryMax = time.Minute, 30 * 24 * time.Hour
	autoConfirmDaysMax   = 365
	day                  = 24 * time.Hour
)

// Config is what the order service is told from outside, read from CREDITPAY_*. A field that is absent takes its default, also when
// the struct is filled by a program.
type Config struct {
	// Config of what every service has: MYSQL_DSN, KAFKA_BROKERS, …
	spine.Config
	// PaymentAddr is the gRPC address of the payment service. Used by the service's own process.
	PaymentAddr string `env:"PAYMENT_ADDR" envDefault:"localhost:9090"`
	// BillAddr is the gRPC address of the bill service. Used by the service's own process.
	BillAddr string `env:"BILL_ADDR" envDefault:"localhost:9090"`
	// RefundAddr is the gRPC address of the refund service. Used by the service's own process.
	RefundAddr string `env:"REFUND_ADDR" envDefault:"localhost:9090"`
	// KeyringFile holds the keys that authenticate checkout tokens. Used by the service's own process.
	KeyringFile string `env:"KEYRING_FILE"`
	// CheckoutProofKeyringFile holds the keys that prove checkouts to the payment service, which has the same file. A rotation adds a key to
	// both files first and makes it the active one after that. Empty: no proofs, and the payment service asks. Used by the service's own
	// process.
	CheckoutProofKeyringFile string `env:"CHECKOUT_PROOF_KEYRING_FILE"`
	// CheckoutProofLife is how long such a proof is good, up to 1 hour.
	CheckoutProofLife time.Duration `env:"CHECKOUT_PROOF_LIFE" envDefault:"15m"`
	// CashierURL is the payer's page, an absolute http or https address; the token is added as a query parameter. Required.
	CashierURL string `env:"CASHIER_URL"`
	// AllowLoopback lets redirect_url and notify_url be on this machine, by http too. For development only.
	AllowLoopback bool `env:"CHECKOUT_ALLOW_LOOPBACK" envDefault:"false"`
	// CheckoutExpiry is how long a checkout can be paid when its request does not say: 1 minute to 30 days.
	CheckoutExpiry time.Duration `env:"CHECKOUT_EXPIRY" envDefault:"24h"`
	// AutoConfirmDays is how many days after its payment an order is confirmed by itself, 1 to 365.
	AutoConfirmDays int `env:"AUTO_CONFIRM_DAYS" envDefault:"15"`
	// AutoConfirmDaysByBusiness overrides AutoConfirmDays for business lines: "marketplace:15,travel:30".
	AutoConfirmDaysByBusiness map[string]int `env:"AUTO_CONFIRM_DAYS_BY_BUSINESS"`
	// PeerTimeout bounds a question to another service that a verb needs.
	PeerTimeout time.Duration `env:"PEER_TIMEOUT" envDefault:"2s"`
	// DetailTimeout bounds the questions that only complete the detail of an order.
	DetailTimeout time.Duration `env:"DETAIL_TIMEOUT" envDefault:"800ms"`
	// HomeMarketplace is the name of the marketplace that is stored without one: operators may name it so.
	HomeMarketplace string `env:"HOME_MARKETPLACE" envDefault:"marketplace"`
	// TimeZone is the zone of due dates.
	TimeZone string `env:"TIME_ZONE" envDefault:"Asia/Jakarta"`
}

// withDefaults fills what is absent.
func (c Config) withDefaults() Config {
	if c.CheckoutExpiry == 0 {
		c.CheckoutExpiry = defaultCheckoutExpiry
	}
	if c.AutoConfirmDays == 0 {
		c.AutoConfirmDays = defaultAutoConfirmDays
	}
	if c.PeerTimeout == 0 {
		c.PeerTimeout = defaultPeerTimeout
	}
	if c.DetailTimeout == 0 {
		c.DetailTimeout = defaultDetailTimeout
	}
	if c.CheckoutProofLife == 0 {
		c.CheckoutProofLife = defaultProofLife
	}
	if c.HomeMarketplace == "" {
		c.HomeMarketplace = defaultHome
	}
	if c.TimeZone == "" {
		c.TimeZone = defaultTimeZone
	}
	return c
}

// Validate tells what is wrong, all at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	wrong := []error{c.Config.Validate()}
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	u, err := url.Parse(c.CashierURL)
	check(err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https"), "CREDITPAY_CASHIER_URL is not an absolute http(s) address: give the payer's page")
	check(c.CheckoutExpiry >= expiryMin && c.CheckoutExpiry <= expiryMax, "CREDITPAY_CHECKOUT_EXPIRY %s is not within %s and %s", c.CheckoutExpiry, expiryMin, expiryMax)
	check(c.AutoConfirmDays >= 1 && c.AutoConfirmDays <= autoConfirmDaysMax, "CREDITPAY_AUTO_CONFIRM_DAYS %d is not within 1 and %d", c.AutoConfirmDays, autoConfirmDaysMax)
	for business, days := range c.AutoConfirmDaysByBusiness {
		check(days >= 1 && days <= autoConfirmDaysMax, "CREDITPAY_AUTO_CONFIRM_DAYS_BY_BUSINESS %s:%d is not within 1 and %d", business, days, autoConfirmDaysMax)
	}
	check(c.PeerTimeout > 0 && c.DetailTimeout > 0, "CREDITPAY_PEER_TIMEOUT and CREDITPAY_DETAIL_TIMEOUT must be above zero")
	check(c.CheckoutProofLife > 0 && c.CheckoutProofLife <= time.Hour, "CREDITPAY_CHECKOUT_PROOF_LIFE %s is not above 0 and at most 1h", c.CheckoutProofLife)
	_, err = time.LoadLocation(c.TimeZone)
	check(err == nil, "CREDITPAY_TIME_ZONE %q is not known", c.TimeZone)
	return errors.Join(wrong...)
}

// autoConfirmByBusiness is the overrides as durations.
func (c Config) autoConfirmByBusiness() map[string]time.Duration {
	out := make(map[string]time.Duration, len(c.AutoConfirmDaysByBusiness))
	for business, days := range c.AutoConfirmDaysByBusiness {
		out[business] = time.Duration(days) * day
	}
	return out
}
