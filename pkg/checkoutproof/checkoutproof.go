// Package checkoutproof owns the text by which the order service says, without being asked again, that a checkout exists, belongs to
// a payer and can be paid. The order service makes it, the payment service checks it; both hold the same keyring.
//
// It must not decide who gets a proof, and a proof is no permission: the commit still asks the order service for the checkout.
package checkoutproof

import (
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/secret"
)

// purpose separates these authentication codes from every other use of a keyring.
const purpose = "checkout-proof"

// timeSize is the length of the expire time in front of the code, in bytes.
const timeSize = 8

// Make returns a proof that is good until expire: base64url of the expire time in Unix seconds and of the authentication code
// (HMAC-SHA256) of checkout, payer and time. It is empty without keys.
func Make(keys *secret.Keyring, checkout ids.ID, userID string, expire time.Time) string {
	if keys == nil {
		return ""
	}
	head := binary.BigEndian.AppendUint64(nil, uint64(expire.Unix()))
	return base64.RawURLEncoding.EncodeToString(append(head, keys.MAC(purpose, checkout[:], []byte(userID), head)...))
}

// Good reports whether the proof is of this checkout and payer and its time is not over. A proof that a replaced key of the ring made
// is good, too. Without keys none is.
func Good(keys *secret.Keyring, proof string, checkout ids.ID, userID string, now time.Time) bool {
	if keys == nil || proof == "" {
		return false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(proof)
	if err != nil || len(raw) <= timeSize {
		return false
	}
	head, mac := raw[:timeSize], raw[timeSize:]
	return now.Unix() < int64(binary.BigEndian.Uint64(head)) && keys.VerifyMAC(purpose, mac, checkout[:], []byte(userID), head)
}
