// Package eventsigtest owns keys for tests that write or read events: one key for each service, made when it is asked for.
//
// It must not be part of a program.
package eventsigtest

import (
	"crypto/ed25519"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/eventsig"
)

// Keys is the keys of all services. The zero value is ready.
type Keys struct {
	mu    sync.Mutex
	byKey map[string]owned
	bySvc map[string]*Signer
}

type owned struct {
	service string
	public  ed25519.PublicKey
}

// Signer is the private key of a service.
type Signer struct {
	id  string
	key ed25519.PrivateKey
}

// KeyID implements eventsig.Signer.
func (s *Signer) KeyID() string { return s.id }

// SignDetached implements eventsig.Signer.
func (s *Signer) SignDetached(purpose string, message []byte) []byte {
	return ed25519.Sign(s.key, auth.Detached(purpose, message))
}

// Signer returns the signer of a service.
func (k *Keys) Signer(t testing.TB, service string) *Signer {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.bySvc[service]; s != nil {
		return s
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &Signer{id: "key-of-" + service, key: private}
	if k.byKey == nil {
		k.byKey, k.bySvc = map[string]owned{}, map[string]*Signer{}
	}
	k.byKey[s.id], k.bySvc[service] = owned{service, public}, s
	return s
}

// ServiceKey implements eventsig.Keys.
func (k *Keys) ServiceKey(service, keyID string, _ time.Time) (ed25519.PublicKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	o, ok := k.byKey[keyID]
	return o.public, ok && o.service == service
}

// Sign signs messages as the owner of each one's topic would, one by one.
func (k *Keys) Sign(t testing.TB, msgs ...kafka.Message) []kafka.Message {
	t.Helper()
	for i := range msgs {
		if err := eventsig.Sign(k.Signer(t, eventsig.Owner(msgs[i].Topic)), msgs[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	return msgs
}
