package auth

import (
	"crypto/ed25519"
	"time"

	"github.com/creditpay/creditpay/pkg/caller"
)

// SignDetached signs a message that is no token. The purpose stands before it with a zero byte, which no token holds, so that a
// signature for one purpose is none for another and none of a token.
func (s *Signer) SignDetached(purpose string, message []byte) []byte {
	return ed25519.Sign(s.key, Detached(purpose, message))
}

// Detached is what SignDetached signs.
func Detached(purpose string, message []byte) []byte {
	out := make([]byte, 0, len(purpose)+1+len(message))
	out = append(append(out, purpose...), 0)
	return append(out, message...)
}

// ServiceKey returns the key of an id when the service of that name may sign with it now. The time decides whether the key file is
// due for another look; it is the machine's.
func (s *KeySet) ServiceKey(service, keyID string, now time.Time) (ed25519.PublicKey, bool) {
	k, _, ok := s.key(keyID, now)
	if !ok || !k.Bound.names(caller.Service, service) {
		return nil, false
	}
	return k.Public, true
}
