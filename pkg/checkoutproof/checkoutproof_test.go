package checkoutproof_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/checkoutproof"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/secret"
)

func TestProof_IsGoodForItsCheckoutPayerAndTime(t *testing.T) {
	t.Parallel()
	keys, err := secret.GenerateKeyring()
	if err != nil {
		t.Fatal(err)
	}
	other, err := secret.GenerateKeyring()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	checkout := ids.ID{1, 2, 3}
	proof := checkoutproof.Make(keys, checkout, "user-1", now.Add(time.Minute))
	if len(proof) == 0 || len(proof) > 200 {
		t.Fatalf("the proof has %d characters", len(proof))
	}
	raw := make([]byte, secret.KeySize)
	copy(raw, bytes.Repeat([]byte{1, 2, 3, 4}, 8))
	rotated, err := keys.Rotated("k2", raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		keys     *secret.Keyring
		proof    string
		checkout ids.ID
		user     string
		now      time.Time
		want     bool
	}{
		"its own":             {keys, proof, checkout, "user-1", now, true},
		"after a rotation":    {rotated, proof, checkout, "user-1", now, true},
		"another payer":       {keys, proof, checkout, "user-2", now, false},
		"another checkout":    {keys, proof, ids.ID{1, 2, 4}, "user-1", now, false},
		"its time is over":    {keys, proof, checkout, "user-1", now.Add(time.Minute), false},
		"another ring":        {other, proof, checkout, "user-1", now, false},
		"no ring":             {nil, proof, checkout, "user-1", now, false},
		"none":                {keys, "", checkout, "user-1", now, false},
		"a part":              {keys, proof[:10], checkout, "user-1", now, false},
		"a later time":        {keys, "7" + proof[1:], checkout, "user-1", now, false},
		"more after the code": {keys, proof + "AAAA", checkout, "user-1", now, false},
		"not base64":          {keys, strings.Repeat("!", 60), checkout, "user-1", now, false},
	} {
		if got := checkoutproof.Good(c.keys, c.proof, c.checkout, c.user, c.now); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	if got := checkoutproof.Make(nil, checkout, "user-1", now); got != "" {
		t.Errorf("without keys: got %q, want none", got)
	}
}
