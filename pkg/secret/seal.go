package secret

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// MaxPlaintext bounds what Seal takes, in bytes: fields, not files.
const MaxPlaintext = 1 << 20

// version is the first byte of every envelope.
const version = 1

var (
	// ErrEnvelope is returned for bytes that are not an envelope of this package.
	ErrEnvelope = errors.New("malformed envelope")
	// ErrUnknownKey is returned for an envelope of a key that is not in the ring.
	ErrUnknownKey = errors.New("unknown key id")
	// ErrAuthentication is returned for an envelope that was changed, or that was
	// sealed with other additional data: moved from another row or column.
	ErrAuthentication = errors.New("envelope does not authenticate")
	// ErrTooLarge is returned for a plaintext above MaxPlaintext.
	ErrTooLarge = errors.New("plaintext is too large to seal")
)

// Seal encrypts plaintext with the active key (AES-256-GCM) into
//
//	version (1 byte) | n (1 byte) | key id (n bytes) | nonce (12) | ciphertext and tag
//
// aad is not stored but must be the same for Open: give the table, column and
// row id, so that an envelope copied into another place does not open. The
// version and key id are authenticated too. An envelope is 30 bytes plus the key
// id longer than its plaintext, and never the same twice.
//
// Nonces are random, so a key should seal at most 2^32 fields (NIST SP 800-38D
// §8.3). It fails with ErrTooLarge.
func (k *Keyring) Seal(plaintext, aad []byte) ([]byte, error) {
	if len(plaintext) > MaxPlaintext {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, len(plaintext), MaxPlaintext)
	}
	aead := k.keys[k.active].aead
	header := append([]byte{version, byte(len(k.active))}, k.active...)
	nonce := make([]byte, aead.NonceSize())
	// crypto/rand.Read never fails: it ends the program instead (Go 1.24).
	_, _ = rand.Read(nonce)
	envelope := slices.Concat(header, nonce)
	return aead.Seal(envelope, nonce, plaintext, slices.Concat(header, aad)), nil
}

// Open is the inverse of Seal, with the same aad, for every key of the ring. It
// fails with ErrEnvelope, ErrUnknownKey or ErrAuthentication.
func (k *Keyring) Open(envelope, aad []byte) ([]byte, error) {
	header, body, err := cut(envelope)
	if err != nil {
		return nil, fmt.Errorf("open envelope: %w", err)
	}
	id := string(header[2:])
	one, ok := k.keys[id]
	if !ok {
		return nil, fmt.Errorf("open envelope: %w %q", ErrUnknownKey, id)
	}
	size := one.aead.NonceSize()
	if len(body) < size+one.aead.Overhead() {
		return nil, fmt.Errorf("open envelope: %w: %d bytes", ErrEnvelope, len(envelope))
	}
	// The header says its own length, so header and aad cannot be confused.
	plaintext, err := one.aead.Open(nil, body[:size], body[size:], slices.Concat(header, aad))
	if err != nil {
		return nil, fmt.Errorf("open envelope of key %q: %w", id, ErrAuthentication)
	}
	return plaintext, nil
}

// NeedsRotation reports whether envelope should be opened and sealed anew: it is
// of another key than the active one, or not an envelope at all, in which case
// Open will say so.
func (k *Keyring) NeedsRotation(envelope []byte) bool {
	header, _, err := cut(envelope)
	return err != nil || string(header[2:]) != k.active
}

// cut separates an envelope's header from its nonce and ciphertext.
func cut(envelope []byte) (header, body []byte, err error) {
	if len(envelope) < 2 {
		return nil, nil, fmt.Errorf("%w: %d bytes", ErrEnvelope, len(envelope))
	}
	if envelope[0] != version {
		return nil, nil, fmt.Errorf("%w: version %d, want %d", ErrEnvelope, envelope[0], version)
	}
	size := 2 + int(envelope[1])
	if len(envelope) < size {
		return nil, nil, fmt.Errorf("%w: %d bytes", ErrEnvelope, len(envelope))
	}
	return envelope[:size], envelope[size:], nil
}

// MAC authenticates data for a purpose with the active key: HMAC-SHA256, 32
// bytes. Each purpose has its own key (HKDF-SHA256, RFC 5869), so a MAC made for
// one never verifies for another. The parts of data are framed by their number
// and lengths: ("ab","c") and ("a","bc") differ.
func (k *Keyring) MAC(purpose string, data ...[]byte) []byte {
	return k.keys[k.active].mac(purpose, data)
}

// VerifyMAC reports whether mac is the MAC of data for purpose by any key of the
// ring, comparing in constant time.
func (k *Keyring) VerifyMAC(purpose string, mac []byte, data ...[]byte) bool {
	for _, id := range k.ids {
		if hmac.Equal(mac, k.keys[id].mac(purpose, data)) {
			return true
		}
	}
	return false
}

// mac is MAC with this key.
func (k key) mac(purpose string, data [][]byte) []byte {
	derived, err := hkdf.Key(sha256.New, k.root, nil, "creditpay mac v1 "+purpose, sha256.Size)
	if err != nil {
		// Only a length above 255 hashes fails, and the length is constant.
		panic(fmt.Sprintf("secret: derive mac key: %v", err))
	}
	h := hmac.New(sha256.New, derived)
	var length [8]byte
	write := func(n int) {
		binary.BigEndian.PutUint64(length[:], uint64(n))
		_, _ = h.Write(length[:]) // a hash never fails
	}
	write(len(data))
	for _, part := range data {
		write(len(part))
		_, _ = h.Write(part)
	}
	return h.Sum(nil)
}
