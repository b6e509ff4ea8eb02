package payment

import (
	"testing"

	"github.com/creditpay/creditpay/services/payment/internal/app"
)

func TestTheCashierIsReadFromTheConfigOrRefused(t *testing.T) {
	t.Parallel()
	good := Config{CashURL: "https://pay.example/cash", CashChannels: []string{"VA_BCA:Virtual account BCA", " QRIS:QRIS"}}
	got, err := good.cashier()
	if err != nil || len(got.Channels) != 2 || got.Channels[0] != (app.CashChannel{Code: "VA_BCA", Name: "Virtual account BCA"}) || got.Channels[1].Code != "QRIS" {
		t.Errorf("%+v, %v", got, err)
	}
	if none, err := (Config{CashChannels: []string{"QRIS:QRIS"}}).cashier(); err != nil || len(none.Channels) != 0 {
		t.Errorf("without an address: %+v, %v", none, err)
	}
	for name, change := range map[string]func(*Config){
		"no scheme":    func(c *Config) { c.CashURL = "pay.example/cash" },
		"script":       func(c *Config) { c.CashURL = "javascript:alert(1)" },
		"password":     func(c *Config) { c.CashURL = "https://a:b@pay.example" },
		"lower case":   func(c *Config) { c.CashChannels = []string{"va:VA"} },
		"no name":      func(c *Config) { c.CashChannels = []string{"VA"} },
		"twice":        func(c *Config) { c.CashChannels = []string{"VA:a", "VA:b"} },
		"our own code": func(c *Config) { c.CashChannels = []string{"CREDIT:a"} },
	} {
		c := good
		change(&c)
		if _, err := c.cashier(); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
