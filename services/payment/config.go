package payment

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/spine"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// Config is what the payment service is told from outside, read from CREDITPAY_*.
type Config struct {
	// Config of what every service has: MYSQL_DSN, KAFKA_BROKERS, …
	spine.Config
	// OrderAddr is the gRPC address of the order service. Used by the service's own process.
	OrderAddr string `env:"ORDER_ADDR" envDefault:"localhost:9090"`
	// BillAddr is the gRPC address of the bill service. Used by the service's own process.
	BillAddr string `env:"BILL_ADDR" envDefault:"localhost:9090"`
	// RefundAddr is the gRPC address of the refund service. Used by the service's own process.
	RefundAddr string `env:"REFUND_ADDR" envDefault:"localhost:9090"`
	// KeyringFile holds the keys that digest PINs. Used by the service's own process.
	KeyringFile string `env:"KEYRING_FILE"`
	// CheckoutProofKeyringFile holds the keys that check the order service's proofs of checkouts, which has the same file. Empty: the order
	// service is asked. Used by the service's own process.
	CheckoutProofKeyringFile string `env:"CHECKOUT_PROOF_KEYRING_FILE"`
	// QuoteLife is how long a quote is locked.
	QuoteLife time.Duration `env:"QUOTE_LIFE" envDefault:"10m"`
	// RecoverAfter is when the recovery worker takes over a commit whose process may have died.
	RecoverAfter time.Duration `env:"RECOVER_AFTER" envDefault:"15s"`
	// Patience is how long a commit without an outcome is driven forward; after that its hold is released.
	Patience time.Duration `env:"PATIENCE" envDefault:"2m"`
	// Approval is how changes of the tiers of approval take effect.
	Approval desk.Settings
	// CashURL is the marketplace's page where a payer pays cash; "?reference=leg_…" is added. Empty: no cash is collected, so there
	// are no cash channels and no plan with a down payment can be bought.
	CashURL string `env:"CASH_URL"`
	// CashChannels are the ways in which the marketplace collects cash, each CODE:name, in the order in which a page shows them.
	CashChannels []string `env:"CASH_CHANNELS" envDefault:"VA_BCA:BCA Virtual Account,VA_MANDIRI:Mandiri Virtual Account,VA_BRI:BRI Virtual Account,VA_BNI:BNI Virtual Account,QRIS:QRIS,WALLET:Marketplace wallet,RETAIL:Minimarket counter"`
	// DownPaymentLife is how long a payer has to pay a down payment; never longer than the checkout is open.
	DownPaymentLife time.Duration `env:"DOWN_PAYMENT_LIFE" envDefault:"30m"`
	// RepaymentLife is how long a payer has to pay a repayment.
	RepaymentLife time.Duration `env:"REPAYMENT_LIFE" envDefault:"24h"`
}

// Validate tells what is wrong.
func (c Config) Validate() error {
	if c.QuoteLife <= 0 || c.RecoverAfter <= 0 || c.Patience <= c.RecoverAfter {
		return errors.New("CREDITPAY_QUOTE_LIFE and CREDITPAY_RECOVER_AFTER must be above zero, and CREDITPAY_PATIENCE longer than CREDITPAY_RECOVER_AFTER")
	}
	if c.DownPaymentLife <= 0 || c.RepaymentLife <= 0 {
		return errors.New("CREDITPAY_DOWN_PAYMENT_LIFE and CREDITPAY_REPAYMENT_LIFE must be above zero")
	}
	if _, err := c.cashier(); err != nil {
		return err
	}
	return errors.Join(c.Config.Validate(), c.Approval.Validate())
}

// cashier reads where and how cash is collected; the zero Cashier when it is not.
func (c Config) cashier() (app.Cashier, error) {
	var out app.Cashier
	if c.CashURL == "" {
		return out, nil
	}
	page, err := url.Parse(c.CashURL)
	if err != nil || (page.Scheme != "https" && page.Scheme != "http") || page.Host == "" || page.User != nil {
		return out, errors.New("CREDITPAY_CASH_URL must be an address that begins with https:// or http://")
	}
	out.URL = *page
	code := regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,31}$`)
	seen := map[string]bool{}
	for _, text := range c.CashChannels {
		channel := app.CashChannel{}
		channel.Code, channel.Name, _ = strings.Cut(strings.TrimSpace(text), ":")
		if !code.MatchString(channel.Code) || channel.Code == domain.ChannelCredit || strings.TrimSpace(channel.Name) == "" || seen[channel.Code] {
			return app.Cashier{}, fmt.Errorf("CREDITPAY_CASH_CHANNELS: %q must be CODE:name, with a code of capitals, digits and underscores that comes once and is not %s",
				text, domain.ChannelCredit)
		}
		seen[channel.Code] = true
		out.Channels = append(out.Channels, channel)
	}
	return out, nil
}
