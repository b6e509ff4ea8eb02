package notification_test

import (
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/kafkax"
	"github.com/creditpay/creditpay/pkg/spine"
	"github.com/creditpay/creditpay/services/notification"
)

func TestConfigNamesItsMistakes(t *testing.T) {
	t.Parallel()
	good := notification.Config{Config: spine.Config{DSN: "u@tcp(localhost)/x", Brokers: []string{"localhost:9092"}, Security: kafkax.Security{Plaintext: true}}}
	if err := good.Validate(); err != nil {
		t.Errorf("what is absent takes its default: %v", err)
	}
	for name, change := range map[string]func(c *notification.Config){
		"no schema":       func(c *notification.Config) { c.DSN = "" },
		"no broker":       func(c *notification.Config) { c.Brokers = nil },
		"no places":       func(c *notification.Config) { c.PerEndpoint = -1 },
		"too many places": func(c *notification.Config) { c.PerEndpoint = 65 },
		"fewer in all":    func(c *notification.Config) { c.PerEndpoint, c.InFlight = 8, 7 },
		"too patient":     func(c *notification.Config) { c.AttemptTimeout = time.Minute },
		"too hasty":       func(c *notification.Config) { c.AttemptTimeout = time.Millisecond },
	} {
		c := good
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := notification.New(t.Context(), good, notification.Deps{}); err == nil {
		t.Error("secrets are kept without a key")
	}
}
