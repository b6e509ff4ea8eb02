package gateway

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/creditpay/creditpay/pkg/rpckit"
	"github.com/creditpay/creditpay/pkg/service"
)

// Config is what the gateway is told by its environment.
type Config struct {
	// OrderAddr is the gRPC address of the order service.
	OrderAddr string `env:"ORDER_ADDR" envDefault:"localhost:9090"`
	// PaymentAddr is the gRPC address of the payment service.
	PaymentAddr string `env:"PAYMENT_ADDR" envDefault:"localhost:9090"`
	// BillAddr is the gRPC address of the bill service.
	BillAddr string `env:"BILL_ADDR" envDefault:"localhost:9090"`
	// RefundAddr is the gRPC address of the refund service.
	RefundAddr string `env:"REFUND_ADDR" envDefault:"localhost:9090"`
	// NotificationAddr is the gRPC address of the notification service.
	NotificationAddr string `env:"NOTIFICATION_ADDR" envDefault:"localhost:9090"`

	// CallerRate is how many requests a second one caller may send on average.
	CallerRate int `env:"GATEWAY_CALLER_RATE" envDefault:"50"`
	// CallerBurst is how many requests one caller may send at once.
	CallerBurst int `env:"GATEWAY_CALLER_BURST" envDefault:"100"`
	// AddressRate is how many requests a second one network address may send, before its token is looked at. Many callers can
	// share an address, so it is wider.
	AddressRate int `env:"GATEWAY_ADDRESS_RATE" envDefault:"500"`
	// AddressBurst is how many requests one network address may send at once.
	AddressBurst int `env:"GATEWAY_ADDRESS_BURST" envDefault:"1000"`
	// LimitEntries bounds how many callers, and how many addresses, are remembered.
	LimitEntries int `env:"GATEWAY_LIMIT_ENTRIES" envDefault:"10000"`
	// ProxyHops is how many proxies of ours stand in front: the client's address is that many places from the right end of
	// X-Forwarded-For. 0 takes the connection's address and believes no header.
	ProxyHops int `env:"GATEWAY_PROXY_HOPS" envDefault:"0"`
	// Origins are the web origins whose pages may call, exactly as browsers send them ("https://pay.example"); none by default.
	Origins []string `env:"GATEWAY_ORIGINS"`

	// Peer is how the backends are called, without a token: the caller's own is passed on. Not read from the environment.
	Peer rpckit.ClientConfig `env:"-"`
}

// LoadConfig reads Config from the environment. It fails, naming all mistakes.
func LoadConfig() (Config, error) {
	var c Config
	if err := service.Parse(&c); err != nil {
		return Config{}, err
	}
	return c, c.Validate()
}

// Validate names everything that is wrong with c.
func (c Config) Validate() error {
	var wrong []error
	for name, addr := range map[string]string{"ORDER_ADDR": c.OrderAddr, "PAYMENT_ADDR": c.PaymentAddr, "BILL_ADDR": c.BillAddr, "REFUND_ADDR": c.RefundAddr,
		"NOTIFICATION_ADDR": c.NotificationAddr} {
		if addr == "" {
			wrong = append(wrong, fmt.Errorf("CREDITPAY_%s is empty", name))
		}
	}
	for name, n := range map[string]int{
		"GATEWAY_CALLER_RATE": c.CallerRate, "GATEWAY_CALLER_BURST": c.CallerBurst, "GATEWAY_ADDRESS_RATE": c.AddressRate,
		"GATEWAY_ADDRESS_BURST": c.AddressBurst, "GATEWAY_LIMIT_ENTRIES": c.LimitEntries,
	} {
		if n < 1 || n > 1_000_000 {
			wrong = append(wrong, fmt.Errorf("CREDITPAY_%s %d is not within 1 and 1000000", name, n))
		}
	}
	if c.ProxyHops < 0 || c.ProxyHops > 10 {
		wrong = append(wrong, fmt.Errorf("CREDITPAY_GATEWAY_PROXY_HOPS %d is not within 0 and 10", c.ProxyHops))
	}
	for _, origin := range c.Origins {
		u, err := url.Parse(origin)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Scheme+"://"+u.Host != origin || u.Host == "" {
			wrong = append(wrong, fmt.Errorf("CREDITPAY_GATEWAY_ORIGINS: %q is not scheme://host", origin))
		}
	}
	return errors.Join(wrong...)
}
