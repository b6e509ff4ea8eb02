package keys_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/caller"

	"github.com/creditpay/creditpay/deploy/keys"
)

// Each service and each outside kind has a key of its own, a second look finds the same ones, and the tokens of all verify.
func TestRing_AKeyForEachCaller(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	callers := []caller.Caller{
		{Kind: caller.Service, Name: "order"}, {Kind: caller.Service, Name: "payment"}, {Kind: caller.SPM, Name: "marketplace"},
		{Kind: caller.SPM, Name: "b", Owner: "b"}, {Kind: caller.H5, Name: "h5", UserID: "u"}, {Kind: caller.H5, Name: "h5", UserID: "b~u", Owner: "b"},
		{Kind: caller.Admin, Name: "alice", Roles: caller.EveryRole()}, {Kind: caller.Merchant, Name: "till", MerchantID: "m"},
		{Kind: caller.Merchant, Name: "till", MerchantID: "m", Owner: "b"}, {Kind: caller.Channel, Name: "wechat-1"},
	}
	seen := map[string]caller.Caller{}
	now := time.Now()
	for range 2 {
		ring, err := keys.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range callers {
			s, err := ring.Signer(c)
			if err != nil {
				t.Fatal(err)
			}
			if other, ok := seen[s.KeyID()]; ok && other != c {
				t.Errorf("%v and %v have one key", c, other)
			}
			seen[s.KeyID()] = c
			token, err := ring.Mint(c, time.Hour, now)
			if err != nil {
				t.Fatal(err)
			}
			set, err := auth.LoadKeySet(ring.KeySetFile(), nil)
			if err != nil {
				t.Fatal(err)
			}
			verifier, err := auth.NewVerifier(set, auth.VerifierConfig{})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := verifier.Verify(token, now); err != nil || got != c {
				t.Errorf("%v came back as %+v, %v", c, got, err)
			}
		}
	}
	if len(seen) != len(callers) {
		t.Errorf("%d keys for %d callers", len(seen), len(callers))
	}
	ring, _ := keys.Open(dir)
	if _, err := os.Stat(ring.ServiceFile("order")); err != nil {
		t.Error(err)
	}
}
