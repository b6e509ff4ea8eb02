// Package eventsig owns the proof that a Kafka message was written by the service that owns its topic: the header "signature".
//
// A relay signs a batch at once, the root of a Merkle tree over its messages, and each message carries its way to the root: a
// purchase pays a part of a signature for each of its events, and a receiver checks one signature for all that it reads of a batch.
// The form is creditpay.common.v1.EventSignature. The package must not know a service or what an event means.
package eventsig

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/protobuf/proto"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/auth"
)

// Header is the name of the message header.
const Header = "signature"

// purpose keeps signatures of events apart from all other signatures of the same key.
const purpose = "creditpay events v1"

// Overhead bounds the bytes that a signature adds to a message of a batch of up to 1,024.
const Overhead = 600

// Signer signs with the private key of one service; auth.Signer is one.
type Signer interface {
	KeyID() string
	SignDetached(purpose string, message []byte) []byte
}

// Keys finds the public key of an id, if the service of that name may sign with it now; auth.KeySet is one.
type Keys interface {
	ServiceKey(service, keyID string, now time.Time) (ed25519.PublicKey, bool)
}

// Owner returns the service that owns a topic: the second part of "creditpay.<service>.events.v1"; empty for topics of another form.
func Owner(topic string) string {
	parts := strings.Split(topic, ".")
	if len(parts) != 4 || parts[0] != "creditpay" || parts[2] != "events" {
		return ""
	}
	return parts[1]
}

// leaf is the hash of a message in the tree: its topic, key and value.
func leaf(m *kafka.Message, buffer []byte) (tlog.Hash, []byte) {
	b := buffer[:0]
	for _, part := range [][]byte{[]byte(m.Topic), m.Key} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	b = append(b, m.Value...)
	return tlog.RecordHash(b), b
}

// statement is what is signed of a batch.
func statement(size int64, root []byte) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(root)), uint64(size)), root...)
}

// Sign adds the header to all messages, with one signature for all of them. Topic, key and value must not change afterwards.
func Sign(s Signer, msgs []kafka.Message) error {
	if len(msgs) == 0 {
		return nil
	}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = stored[x]
		}
		return out, nil
	})
	var buffer []byte
	for i := range msgs {
		var h tlog.Hash
		h, buffer = leaf(&msgs[i], buffer)
		hashes, err := tlog.StoredHashesForRecordHash(int64(i), h, reader)
		if err != nil {
			return fmt.Errorf("sign events: %w", err)
		}
		stored = append(stored, hashes...)
	}
	size := int64(len(msgs))
	root, err := tlog.TreeHash(size, reader)
	if err != nil {
		return fmt.Errorf("sign events: %w", err)
	}
	signature := s.SignDetached(purpose, statement(size, root[:]))
	for i := range msgs {
		path, err := tlog.ProveRecord(size, int64(i), reader)
		if err != nil {
			return fmt.Errorf("sign events: %w", err)
		}
		m := &commonv1.EventSignature{KeyId: s.KeyID(), BatchSize: size, Index: int64(i), Root: root[:], Signature: signature}
		for j := range path {
			m.Path = append(m.Path, path[j][:])
		}
		value, err := proto.Marshal(m)
		if err != nil {
			return fmt.Errorf("sign events: %w", err)
		}
		msgs[i].Headers = append(msgs[i].Headers, kafka.Header{Key: Header, Value: value})
	}
	return nil
}

// Reason says why a message is refused, in a word for metrics.
type Reason string

// The reasons.
const (
	// Unsigned is a message without the header: of a release before signatures, or forged.
	Unsigned Reason = "unsigned"
	// Malformed is a header that cannot be read.
	Malformed Reason = "malformed"
	// ForeignTopic is a message on a topic that no service owns.
	ForeignTopic Reason = "foreign_topic"
	// WrongKey is a key that is not known here, or not of the service that owns the topic.
	WrongKey Reason = "wrong_key"
	// WrongSignature is a signature that does not fit the key, or a message that does not fit the signature.
	WrongSignature Reason = "wrong_signature"
)

// Refused is why a message is not of the service that owns its topic.
type Refused struct {
	Reason Reason
	// KeyID is the key that the message names; empty when it names none.
	KeyID string
	text  string
}

// Error implements error.
func (r *Refused) Error() string { return r.text }

// cacheSize bounds the batches that a verifier remembers; receivers read a few producers' batches in turn.
const cacheSize = 256

// Verifier checks the signatures of messages. It remembers the roots whose signature it has checked, and nothing else: a message
// still has to lead to that root, and the key still has to be the service's. It is safe for concurrent use.
type Verifier struct {
	keys Keys

	mu    sync.Mutex
	known map[batch]ed25519.PublicKey
	order []batch // oldest first
}

// batch names a signed root.
type batch struct {
	keyID string
	size  int64
	root  tlog.Hash
}

// NewVerifier returns a verifier by these keys.
func NewVerifier(keys Keys) *Verifier {
	return &Verifier{keys: keys, known: make(map[batch]ed25519.PublicKey, cacheSize)}
}

// Verify returns a *Refused unless the message was signed by the service that owns its topic. Now is the machine's time.
func (v *Verifier) Verify(m *kafka.Message, now time.Time) error {
	i := slices.IndexFunc(m.Headers, func(h kafka.Header) bool { return h.Key == Header })
	if i < 0 {
		return &Refused{Reason: Unsigned, text: "the message is not signed"}
	}
	var s commonv1.EventSignature
	if err := proto.Unmarshal(m.Headers[i].Value, &s); err != nil {
		return &Refused{Reason: Malformed, text: "the message's signature cannot be read"}
	}
	refuse := func(reason Reason, format string, args ...any) error {
		return &Refused{Reason: reason, KeyID: s.GetKeyId(), text: fmt.Sprintf(format, args...)}
	}
	owner := Owner(m.Topic)
	if owner == "" {
		return refuse(ForeignTopic, "no service owns the topic %q", m.Topic)
	}
	key, ok := v.keys.ServiceKey(owner, s.GetKeyId(), now)
	if !ok {
		return refuse(WrongKey, "the message is signed with key %q, which is not one of the %s service", s.GetKeyId(), owner)
	}
	root, err := leads(m, &s)
	if err != nil {
		return refuse(WrongSignature, "the message is not the one that was signed: %v", err)
	}
	b := batch{keyID: s.GetKeyId(), size: s.GetBatchSize(), root: root}
	if v.knows(b, key) {
		return nil
	}
	if !ed25519.Verify(key, auth.Detached(purpose, statement(b.size, root[:])), s.GetSignature()) {
		return refuse(WrongSignature, "the signature is not of key %q", s.GetKeyId())
	}
	v.remember(b, key)
	return nil
}

// leads returns the root to which the message's way leads.
func leads(m *kafka.Message, s *commonv1.EventSignature) (tlog.Hash, error) {
	var root tlog.Hash
	if len(s.GetRoot()) != len(root) || len(s.GetPath()) > 64 {
		return root, errors.New("root or path is malformed")
	}
	copy(root[:], s.GetRoot())
	path := make(tlog.RecordProof, len(s.GetPath()))
	for i, h := range s.GetPath() {
		if len(h) != len(path[i]) {
			return root, errors.New("path is malformed")
		}
		copy(path[i][:], h)
	}
	h, _ := leaf(m, nil)
	return root, tlog.CheckRecord(path, s.GetBatchSize(), root, s.GetIndex(), h)
}

func (v *Verifier) knows(b batch, key ed25519.PublicKey) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	held, ok := v.known[b]
	return ok && held.Equal(key)
}

func (v *Verifier) remember(b batch, key ed25519.PublicKey) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.known[b]; !ok {
		if len(v.order) == cacheSize {
			delete(v.known, v.order[0])
			v.order = v.order[1:]
		}
		v.order = append(v.order, b)
	}
	v.known[b] = key
}
