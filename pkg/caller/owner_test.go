package caller_test

import (
	"strings"
	"testing"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
)

func TestCaller_Sees(t *testing.T) {
	t.Parallel()
	home, beta := caller.Caller{Kind: caller.SPM, Name: "marketplace"}, caller.Caller{Kind: caller.SPM, Name: "beta", Owner: "beta"}
	shop := caller.Caller{Kind: caller.Merchant, MerchantID: "shop-1", Owner: "beta"}
	for _, c := range []struct {
		who  caller.Caller
		user string
		want bool
	}{
		{home, "u1", true}, {home, "beta~u1", false}, {home, "", false}, {beta, "beta~u1", true}, {beta, "u1", false}, {beta, "gamma~u1", false},
		{shop, "beta~u1", true}, {shop, "u1", false},
		{caller.Caller{Kind: caller.H5, UserID: "u1"}, "u1", true}, {caller.Caller{Kind: caller.H5, UserID: "u1"}, "beta~u1", false},
		{caller.Caller{Kind: caller.H5, UserID: "beta~u1", Owner: "beta"}, "u1", false}, {caller.Caller{Kind: caller.H5}, "", false},
		{caller.Caller{Kind: caller.Admin}, "beta~u1", true}, {caller.Caller{Kind: caller.Service}, "u1", true},
		{caller.Caller{Kind: caller.Channel}, "u1", false}, {caller.Caller{}, "u1", false},
	} {
		if got := c.who.Sees(c.user); got != c.want {
			t.Errorf("%s of %q sees %q: %v, want %v", c.who, c.who.Owner, c.user, got, c.want)
		}
	}
}

func TestCaller_CheckUserSaysWhatToWrite(t *testing.T) {
	t.Parallel()
	beta := caller.Caller{Kind: caller.SPM, Name: "beta", Owner: "beta"}
	if err := beta.CheckUser("user_id", "beta~u1"); err != nil {
		t.Error(err)
	}
	if err := (caller.Caller{Kind: caller.SPM}).CheckUser("user_id", "u1"); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		who        caller.Caller
		user, says string
	}{{beta, "u1", "write beta~<user>"}, {caller.Caller{Kind: caller.SPM}, "beta~u1", `without a marketplace and ~ in front`}} {
		if err := c.who.CheckUser("user_id", c.user); !errs.Is(err, errs.InvalidArgument) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q named by %q: %v, want INVALID_ARGUMENT that says %q", c.user, c.who.Owner, err, c.says)
		}
	}
}
