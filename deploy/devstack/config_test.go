package devstack_test

import (
	"net/netip"
	"testing"

	"github.com/caarlos0/env/v11"

	"github.com/creditpay/creditpay/deploy/devstack"
)

// A stack that nobody configured is reached from its own machine only.
func TestConfig_ListensOnTheLoopback(t *testing.T) {
	t.Parallel()
	var c devstack.Config
	if err := env.ParseWithOptions(&c, env.Options{Environment: map[string]string{"none": ""}}); err != nil {
		t.Fatal(err)
	}
	for name, addr := range map[string]string{"HTTP": c.HTTPAddr, "GRPC": c.GRPCAddr, "OPS": c.OpsAddr, "CASHIER": c.CashierAddr} {
		if at, err := netip.ParseAddrPort(addr); err != nil || !at.Addr().IsLoopback() {
			t.Errorf("%s_ADDR is %q by default (%v), want an address of the loopback", name, addr, err)
		}
	}
}
