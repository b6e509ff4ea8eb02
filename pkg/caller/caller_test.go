package caller_test

import (
	"context"
	"testing"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/caller"
)

func TestEveryKindOfTheContractHasAKindWithItsNameAndBack(t *testing.T) {
	t.Parallel()
	for number, name := range commonv1.CallerKind_name {
		if number == 0 {
			continue
		}
		k := caller.KindOf(commonv1.CallerKind(number))
		if "CALLER_KIND_"+k.String() != name || k.Proto() != commonv1.CallerKind(number) {
			t.Errorf("%s became %v and went back as %v", name, k, k.Proto())
		}
		if back, ok := caller.ParseKind(k.String()); !ok || back != k {
			t.Errorf("ParseKind(%q) = %v, %v", k, back, ok)
		}
	}
	if len(caller.Kinds()) != len(commonv1.CallerKind_name)-1 {
		t.Errorf("%d kinds, the contract has %d", len(caller.Kinds()), len(commonv1.CallerKind_name)-1)
	}
}

func TestUnknownKindsAreNobody(t *testing.T) {
	t.Parallel()
	if k := caller.KindOf(99); k != 0 {
		t.Errorf("KindOf(99) = %v", k)
	}
	if p := caller.Kind(99).Proto(); p != commonv1.CallerKind_CALLER_KIND_UNSPECIFIED {
		t.Errorf("Kind(99).Proto() = %v", p)
	}
	for _, name := range []string{"", "NONE", "spm"} {
		if k, ok := caller.ParseKind(name); ok {
			t.Errorf("ParseKind(%q) = %v", name, k)
		}
	}
}

func TestStringNamesWhomTheCallerSpeaksFor(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]caller.Caller{
		"NONE":              {},
		"SPM:marketplace":   {Kind: caller.SPM, Name: "marketplace"},
		"H5:user-1":         {Kind: caller.H5, Name: "web", UserID: "user-1"},
		"MERCHANT:shop-1":   {Kind: caller.Merchant, Name: "till-3", MerchantID: "shop-1"},
		"MERCHANT:b~shop-1": {Kind: caller.Merchant, Name: "till-3", MerchantID: "shop-1", Owner: "b"},
		"ADMIN:alice":       {Kind: caller.Admin, Name: "alice"},
		"SERVICE:payment":   {Kind: caller.Service, Name: "payment"},
		"CHANNEL:wechat-1":  {Kind: caller.Channel, Name: "wechat-1"},
	} {
		if got := c.String(); got != want {
			t.Errorf("String = %q, want %q", got, want)
		}
	}
}

func TestContextCarriesTheCaller(t *testing.T) {
	t.Parallel()
	if got := caller.FromContext(context.Background()); got != (caller.Caller{}) {
		t.Errorf("an empty context gave %v", got)
	}
	want := caller.Caller{Kind: caller.H5, Name: "web", UserID: "user-1"}
	if got := caller.FromContext(caller.NewContext(context.Background(), want)); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
