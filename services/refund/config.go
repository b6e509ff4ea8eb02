package refund

import (
	"errors"
	"time"

	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/spine"
)

const defaultPeerTimeout = 5 * time.Second

// Config is what the refund service is told from outside, read from CREDITPAY_*.
type Config struct {
	// Config of what every service has: MYSQL_DSN, KAFKA_BROKERS, …
	spine.Config
	// OrderAddr, PaymentAddr and BillAddr are the gRPC addresses of the neighbours. Used by the service's own process.
	OrderAddr   string `env:"ORDER_ADDR" envDefault:"localhost:9090"`
	PaymentAddr string `env:"PAYMENT_ADDR" envDefault:"localhost:9090"`
	BillAddr    string `env:"BILL_ADDR" envDefault:"localhost:9090"`
	// Approval is how changes of the tiers of approval take effect.
	Approval desk.Settings
	// PeerTimeout bounds a call to another service.
	PeerTimeout time.Duration `env:"PEER_TIMEOUT" envDefault:"5s"`
}

// Validate tells what is wrong, all at once.
func (c Config) Validate() error {
	wrong := []error{c.Config.Validate(), c.Approval.Validate()}
	if c.PeerTimeout < 0 {
		wrong = append(wrong, errors.New("CREDITPAY_PEER_TIMEOUT must be above zero"))
	}
	return errors.Join(wrong...)
}
