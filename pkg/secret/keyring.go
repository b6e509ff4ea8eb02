// Package secret owns the protection of fields at rest and in logs: sealing
// (AES-256-GCM), message authentication (HMAC-SHA256), the keys of both and
// their rotation, and texts that do not print.
//
// It must not decide which fields are secret, must not store anything, and must
// not be used for passwords and one-time codes, which want a slow hash.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
)

const (
	// KeySize is the length of a key of the ring, in bytes.
	KeySize = 32
	// MaxKeys bounds the keys of a ring: the active one and those it replaced.
	MaxKeys = 32
	// maxFileSize bounds a keyring file, in bytes.
	maxFileSize = 64 << 10
)

var (
	// ErrKeyring is returned for a keyring that is malformed.
	ErrKeyring = errors.New("malformed keyring")
	// ErrPermissions is returned for a keyring file that others may read.
	ErrPermissions = errors.New("keyring file is open to others")
)

// Keyring is named keys, one of which is active: it seals and signs, while the
// others still open and verify what they made. It is immutable, safe for
// concurrent use, and prints as "***".
type Keyring struct {
	active string
	ids    []string // the active one first, then sorted
	keys   map[string]key
}

// key is one key of the ring. Neither part is the key of the file itself: each
// use has a key derived for it, so that no key serves two algorithms.
type key struct {
	root []byte
	aead cipher.AEAD
}

// file is the JSON form of a Keyring.
type file struct {
	Active string            `json:"active"`
	Keys   map[string][]byte `json:"keys"` // encoding/json reads base64
}

// NewKeyring is the ring of keys, by key id, of which active seals. A key id is
// 1 to 32 characters of a–z, 0–9, "-" and "_", and is never given to another
// key; a key is KeySize random bytes. It fails with ErrKeyring.
func NewKeyring(active string, keys map[string][]byte) (*Keyring, error) {
	if len(keys) == 0 || len(keys) > MaxKeys {
		return nil, fmt.Errorf("%w: %d keys, want 1 to %d", ErrKeyring, len(keys), MaxKeys)
	}
	if _, ok := keys[active]; !ok {
		return nil, fmt.Errorf("%w: no key for the active id %q", ErrKeyring, active)
	}
	ring := &Keyring{active: active, keys: make(map[string]key, len(keys))}
	identifier := regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)
	for id, raw := range keys {
		if !identifier.MatchString(id) {
			return nil, fmt.Errorf("%w: key id %q is not 1 to 32 characters of a-z, 0-9, - and _", ErrKeyring, id)
		}
		if len(raw) != KeySize {
			return nil, fmt.Errorf("%w: key %q has %d bytes, want %d", ErrKeyring, id, len(raw), KeySize)
		}
		if !slices.ContainsFunc(raw, func(b byte) bool { return b != raw[0] }) {
			return nil, fmt.Errorf("%w: key %q is one byte repeated, not random", ErrKeyring, id)
		}
		k, err := newKey(raw)
		if err != nil {
			return nil, fmt.Errorf("derive key %q: %w", id, err)
		}
		ring.keys[id] = k
		if id != active {
			ring.ids = append(ring.ids, id)
		}
	}
	slices.Sort(ring.ids)
	ring.ids = slices.Insert(ring.ids, 0, active)
	return ring, nil
}

// newKey derives the sealing key from raw and keeps a copy of raw for the rest.
func newKey(raw []byte) (key, error) {
	sealing, err := hkdf.Key(sha256.New, raw, nil, "creditpay seal v1", KeySize)
	if err != nil {
		return key{}, err
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return key{}, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return key{}, err
	}
	return key{root: slices.Clone(raw), aead: aead}, nil
}

// GenerateKeyring is a new ring with one random key, "k1".
func GenerateKeyring() (*Keyring, error) {
	raw := make([]byte, KeySize)
	// crypto/rand.Read never fails: it ends the program instead (Go 1.24).
	_, _ = rand.Read(raw)
	return NewKeyring("k1", map[string][]byte{"k1": raw})
}

// Parse reads the JSON form of a ring, with standard base64:
//
//	{"active":"k1","keys":{"k1":"<base64 of 32 bytes>"}}
//
// It fails with ErrKeyring; no error shows any part of a key.
func Parse(data []byte) (*Keyring, error) {
	var f struct {
		Active string            `json:"active"`
		Keys   map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		// The decoder's message may quote the input, so it is not passed on.
		return nil, fmt.Errorf("%w: not JSON of the form {\"active\":…,\"keys\":{…}}", ErrKeyring)
	}
	keys := make(map[string][]byte, len(f.Keys))
	for id, text := range f.Keys {
		raw, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("%w: key %q is not base64", ErrKeyring, id)
		}
		keys[id] = raw
	}
	return NewKeyring(f.Active, keys)
}

// LoadFile reads a ring from a file, as Parse does. It fails with ErrPermissions
// when the file's group or others have any right to it.
func LoadFile(path string) (*Keyring, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open keyring: %w", err)
	}
	defer func() { _ = f.Close() }() // read only: nothing can be lost
	// Of the open file, not of the path: the path may change in between.
	stat, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open keyring: %w", err)
	}
	if mode := stat.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o; run: chmod 600 %s", ErrPermissions, path, mode, path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read keyring %s: %w", path, err)
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("read keyring %s: %w: larger than %d bytes", path, ErrKeyring, maxFileSize)
	}
	ring, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("read keyring %s: %w", path, err)
	}
	return ring, nil
}

// LoadOptional is LoadFile, and nil for no path.
func LoadOptional(path string) (*Keyring, error) {
	if path == "" {
		return nil, nil
	}
	return LoadFile(path)
}

// Reveal is the JSON form of the ring, with its keys: what Parse reads. Write it
// only to a file of mode 0600.
func (k *Keyring) Reveal() ([]byte, error) {
	f := file{Active: k.active, Keys: make(map[string][]byte, len(k.keys))}
	for id, one := range k.keys {
		f.Keys[id] = one.root
	}
	return json.MarshalIndent(f, "", "  ")
}

// Rotated is a ring with raw added under id and made active; k is unchanged. It
// fails with ErrKeyring, also when id is in use.
func (k *Keyring) Rotated(id string, raw []byte) (*Keyring, error) {
	if _, taken := k.keys[id]; taken {
		return nil, fmt.Errorf("%w: key id %q is in use", ErrKeyring, id)
	}
	keys := map[string][]byte{id: raw}
	for other, one := range k.keys {
		keys[other] = one.root
	}
	return NewKeyring(id, keys)
}

// ActiveID is the id of the key that seals.
func (k *Keyring) ActiveID() string { return k.active }

// Format writes "***" for every verb of fmt.
func (k Keyring) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, mask) }

// String is "***".
func (k Keyring) String() string { return mask }

// MarshalJSON gives "***" as a JSON string; Reveal gives the keys.
func (k Keyring) MarshalJSON() ([]byte, error) { return []byte(`"` + mask + `"`), nil }
