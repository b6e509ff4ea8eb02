package auth

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// SigningKeyFile is the name of the private key's file in a key directory.
	SigningKeyFile = "signing-key.json"
	// KeySetFile is the name of the public keys' file in a key directory.
	KeySetFile = "token-keys.json"
)

// signingKey is the JSON form of a private key.
type signingKey struct {
	KeyID string `json:"kid"`
	Seed  []byte `json:"seed"` // encoding/json reads and writes base64
}

// WriteKeyPair makes a new key pair in dir, which must exist: the public key is added to KeySetFile (mode 0644), then the private
// one replaces SigningKeyFile (mode 0600). Calling it again rotates: tokens of the older keys stay valid until their keys are
// removed from the file. It gives the new key's Signer.
func WriteKeyPair(dir string) (*Signer, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key pair: %w", err)
	}
	sum := sha256.Sum256(public)
	id := "k" + hex.EncodeToString(sum[:8])

	byID := map[string]ed25519.PublicKey{}
	path := filepath.Join(dir, KeySetFile)
	file, err := os.Open(path)
	switch {
	case err == nil:
		byID, err = parseKeys(file)
		_ = file.Close() // it was only read
		if err != nil {
			return nil, fmt.Errorf("make key pair: read %s: %w", path, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("make key pair: %w", err)
	}
	byID[id] = public
	if err := checkKeys(byID); err != nil {
		return nil, fmt.Errorf("make key pair: %w", err)
	}
	// The public key first: a crash in between leaves a signer whose tokens verify.
	if err := replaceFile(path, byID, 0o644); err != nil {
		return nil, fmt.Errorf("make key pair: %w", err)
	}
	if err := replaceFile(filepath.Join(dir, SigningKeyFile), signingKey{KeyID: id, Seed: private.Seed()}, 0o600); err != nil {
		return nil, fmt.Errorf("make key pair: %w", err)
	}
	return NewSigner(id, private)
}

// LoadSigner reads a Signer from a file that WriteKeyPair wrote. It fails with fs.ErrNotExist when there is none, and with
// ErrKeyFile when the file is malformed or may be read by others than its owner and group.
func LoadSigner(path string) (*Signer, error) {
	stat, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("load signing key: %w", err)
	}
	if stat.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("load signing key: %w: mode %o lets everybody in, want 600", ErrKeyFile, stat.Mode().Perm())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load signing key: %w", err)
	}
	var stored signingKey
	if err := json.Unmarshal(raw, &stored); err != nil {
		return nil, fmt.Errorf("load signing key: %w: not the JSON of a key", ErrKeyFile)
	}
	if len(stored.Seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("load signing key: %w: seed has %d bytes, want %d", ErrKeyFile, len(stored.Seed), ed25519.SeedSize)
	}
	return NewSigner(stored.KeyID, ed25519.NewKeyFromSeed(stored.Seed))
}

// replaceFile writes v as JSON under path, whole or not at all.
func replaceFile(path string, v any, mode fs.FileMode) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(append(raw, '\n'))
	err = errors.Join(err, temporary.Chmod(mode), temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}
