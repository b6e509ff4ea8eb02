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

// KeySetFile is the usual name of a key set's file.
const KeySetFile = "token-keys.json"

// signingKey is the JSON form of a private key.
type signingKey struct {
	KeyID string   `json:"kid"`
	Seed  []byte   `json:"seed"` // encoding/json reads and writes base64
	Kinds []string `json:"kinds"`
	Names []string `json:"names"`
	Owner string   `json:"owner,omitempty"`
}

// NewKeyPair is what WriteKeyPair makes.
type NewKeyPair struct {
	// PrivateFile is where the private key goes, mode 0600. It must not exist: a key is never overwritten.
	PrivateFile string
	// KeySetFile is the key set to which the public key is added, mode 0644; it is made when it is missing, and keeps its other keys.
	KeySetFile string
	// Bound is what the key may speak for.
	Bound Bound
}

// WriteKeyPair makes a new key pair and returns its Signer. A key rotates by a second pair in another file: tokens of the first stay
// valid until its entry is removed from the key set. It fails with fs.ErrExist when the private file exists, and with ErrKeyFile for
// a bound that cannot be and for a key set that is malformed.
func WriteKeyPair(pair NewKeyPair) (*Signer, error) {
	signer, err := writeKeyPair(pair)
	if err != nil {
		return nil, fmt.Errorf("make key pair: %w", err)
	}
	return signer, nil
}

func writeKeyPair(pair NewKeyPair) (*Signer, error) {
	if err := pair.Bound.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	if _, err := os.Lstat(pair.PrivateFile); err == nil {
		return nil, fmt.Errorf("%s: %w; a key is not overwritten: name another file, and remove the old key from the key set when its last token is over",
			pair.PrivateFile, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(public)
	id := "k" + hex.EncodeToString(sum[:8])
	// The public key first: a crash in between leaves no signer whose tokens are refused.
	if err := addKey(pair.KeySetFile, id, Key{Public: public, Bound: pair.Bound}); err != nil {
		return nil, err
	}
	s := stored(Key{Bound: pair.Bound})
	if err := writeNew(pair.PrivateFile, signingKey{KeyID: id, Seed: private.Seed(), Kinds: s.Kinds, Names: s.Names, Owner: s.Owner}); err != nil {
		return nil, err
	}
	return NewSigner(id, private, pair.Bound)
}

// addKey adds a key to the key set in a file.
func addKey(path, id string, k Key) error {
	byID := map[string]Key{}
	raw, err := os.ReadFile(path)
	switch {
	case err == nil:
		if byID, err = parseKeys(raw); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	byID[id] = k
	if err := checkKeys(byID); err != nil {
		return err
	}
	form := make(map[string]storedKey, len(byID))
	for id, k := range byID {
		form[id] = stored(k)
	}
	return replaceFile(path, form, 0o644)
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
	var k signingKey
	if err := json.Unmarshal(raw, &k); err != nil {
		return nil, fmt.Errorf("load signing key: %w: not the JSON of a key", ErrKeyFile)
	}
	if len(k.Seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("load signing key: %w: seed has %d bytes, want %d", ErrKeyFile, len(k.Seed), ed25519.SeedSize)
	}
	b, err := storedKey{Kinds: k.Kinds, Names: k.Names, Owner: k.Owner}.bound()
	if err != nil {
		return nil, fmt.Errorf("load signing key: %w: %w; `creditctl keypair` makes a key for a kind and a name", ErrKeyFile, err)
	}
	return NewSigner(k.KeyID, ed25519.NewKeyFromSeed(k.Seed), b)
}

// replaceFile writes v as JSON under path, whole or not at all.
func replaceFile(path string, v any, mode fs.FileMode) error {
	temporary, err := writeTemporary(path, v, mode)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return nil
}

// writeNew writes v as JSON under path with mode 0600, whole or not at all; it fails with fs.ErrExist rather than overwrite.
func writeNew(path string, v any) error {
	temporary, err := writeTemporary(path, v, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(os.Link(temporary, path), os.Remove(temporary))
}

// writeTemporary writes v as JSON beside path and returns the file's name.
func writeTemporary(path string, v any, mode fs.FileMode) (string, error) {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return "", err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	_, err = temporary.Write(append(raw, '\n'))
	err = errors.Join(err, temporary.Chmod(mode), temporary.Sync(), temporary.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(temporary.Name()))
	}
	return temporary.Name(), nil
}
