package auth

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/caller"
)

const (
	// MaxKeys bounds the keys of a set.
	MaxKeys = 256
	// maxKeyFile bounds a key file, in bytes.
	maxKeyFile = 128 << 10
)

// KeySet is the public keys that tokens are verified with, by key id. Several live at once, so that keys rotate: add the new
// public key everywhere, sign with it, remove the old one when its last token is over. It is safe for concurrent use.
type KeySet struct {
	file *watched[map[string]Key]
}

// NewKeySet is a fixed set, for tests and for programs that hold their key anyway.
func NewKeySet(byID map[string]Key) (*KeySet, error) {
	if err := checkKeys(byID); err != nil {
		return nil, err
	}
	return &KeySet{file: fixed(maps.Clone(byID))}, nil
}

// LoadKeySet is the set in a file: a JSON object of key id to
//
//	{"key": "<32 bytes in base64>", "kinds": ["SERVICE"], "names": ["order"]}
//
// with an optional "owner" as Bound has it. The file is looked at again at most once a second, and at once (but no more than once a
// second) for an unknown key id. While it cannot be read, the keys read before stay; report, which may be nil, is called with the
// reason.
func LoadKeySet(path string, report func(error)) (*KeySet, error) {
	file, err := open(path, "key set", maxKeyFile, parseKeys, report)
	if err != nil {
		return nil, err
	}
	return &KeySet{file: file}, nil
}

// key finds the key of an id, and the state of the set in which it was found.
func (s *KeySet) key(id string, now time.Time) (Key, *snapshot[map[string]Key], bool) {
	state := s.file.get(now)
	k, ok := state.value[id]
	if !ok {
		state = s.file.again(now)
		k, ok = state.value[id]
	}
	return k, state, ok
}

// storedKey is the JSON form of a Key.
type storedKey struct {
	Key   []byte   `json:"key"` // encoding/json reads and writes base64
	Kinds []string `json:"kinds"`
	Names []string `json:"names"`
	Owner string   `json:"owner,omitempty"`
}

func stored(k Key) storedKey {
	s := storedKey{Key: k.Public, Names: k.Bound.Names, Owner: k.Bound.Owner}
	for _, kind := range k.Bound.Kinds {
		s.Kinds = append(s.Kinds, kind.String())
	}
	return s
}

// bound reads the bound of a stored key.
func (s storedKey) bound() (Bound, error) {
	b := Bound{Names: s.Names, Owner: s.Owner}
	for _, name := range s.Kinds {
		kind, ok := caller.ParseKind(name)
		if !ok {
			return b, fmt.Errorf("kind %q is none of %v", name, caller.Kinds())
		}
		b.Kinds = append(b.Kinds, kind)
	}
	return b, b.check()
}

// parseKeys reads a key file.
func parseKeys(raw []byte) (map[string]Key, error) {
	var entries map[string]json.RawMessage
	if err := decodeStrictly(raw, &entries); err != nil {
		return nil, err
	}
	byID := make(map[string]Key, len(entries))
	for id, text := range entries {
		if bytes.HasPrefix(bytes.TrimSpace(text), []byte(`"`)) {
			return nil, fmt.Errorf(`%w: key %q is bound to nothing; write "%s": {"key": %s, "kinds": ["SERVICE"], "names": ["order"]}, `+
				`with the kinds and names that it may sign for`, ErrKeyFile, id, id, text)
		}
		var s storedKey
		if err := decodeStrictly(text, &s); err != nil {
			return nil, fmt.Errorf("key %q: %w", id, err)
		}
		b, err := s.bound()
		if err != nil {
			return nil, fmt.Errorf("%w: key %q: %w", ErrKeyFile, id, err)
		}
		byID[id] = Key{Public: s.Key, Bound: b}
	}
	return byID, checkKeys(byID)
}

// decodeStrictly reads one JSON value and refuses fields that into does not have.
func decodeStrictly(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows the JSON value", ErrKeyFile)
	}
	return nil
}

func checkKeys(byID map[string]Key) error {
	if len(byID) == 0 || len(byID) > MaxKeys {
		return fmt.Errorf("%w: %d keys, want 1 to %d", ErrKeyFile, len(byID), MaxKeys)
	}
	seen := make(map[string]string, len(byID))
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		k := byID[id]
		if !identifier(id) {
			return fmt.Errorf("%w: key id %q", ErrKeyFile, id)
		}
		if len(k.Public) != ed25519.PublicKeySize {
			return fmt.Errorf("%w: key %q has %d bytes, want %d", ErrKeyFile, id, len(k.Public), ed25519.PublicKeySize)
		}
		if other, twice := seen[string(k.Public)]; twice {
			return fmt.Errorf("%w: %q and %q are one key: names with one secret are one identity, make a key for each", ErrKeyFile, other, id)
		}
		seen[string(k.Public)] = id
		if err := k.Bound.check(); err != nil {
			return fmt.Errorf("%w: key %q: %w", ErrKeyFile, id, err)
		}
	}
	return nil
}
