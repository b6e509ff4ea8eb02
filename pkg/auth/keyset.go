package auth

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// MaxKeys bounds the keys of a set.
	MaxKeys = 64
	// maxKeyFile bounds a key file, in bytes.
	maxKeyFile = 64 << 10
	// lookEvery is how often a key file is looked at, at most.
	lookEvery = time.Second
)

// ErrKeyFile is returned for a key file that is malformed.
var ErrKeyFile = errors.New("malformed key file")

// KeySet is the public keys that tokens are verified with, by key id. Several live at once, so that keys rotate: add the new
// public key everywhere, sign with it, remove the old one when its last token is over. It is safe for concurrent use.
type KeySet struct {
	path    string
	report  func(error)
	current atomic.Pointer[keys]

	mu          sync.Mutex // guards the looks at the file
	lastLook    time.Time
	lastUnknown time.Time
}

// keys is one state of the set.
type keys struct {
	byID    map[string]ed25519.PublicKey
	modTime time.Time
	size    int64
}

// NewKeySet is a fixed set, for tests and for programs that hold their key anyway.
func NewKeySet(byID map[string]ed25519.PublicKey) (*KeySet, error) {
	if err := checkKeys(byID); err != nil {
		return nil, err
	}
	s := &KeySet{}
	s.current.Store(&keys{byID: maps.Clone(byID)})
	return s, nil
}

// LoadKeySet is the set in a file: a JSON object of key id to public key (32 bytes in base64). The file is looked at again at
// most once a second, and at once (but no more than once a second) for an unknown key id. While it cannot be read, the keys read
// before stay; report, which may be nil, is told why.
func LoadKeySet(path string, report func(error)) (*KeySet, error) {
	s := &KeySet{path: path, report: report}
	if err := s.read(); err != nil {
		return nil, fmt.Errorf("load key set: %w", err)
	}
	return s, nil
}

// key finds the key of an id. Now decides whether the file is due for another look.
func (s *KeySet) key(id string, now time.Time) (ed25519.PublicKey, bool) {
	if s.path == "" {
		k, ok := s.current.Load().byID[id]
		return k, ok
	}
	// Only one caller looks; the others go on with the keys they have.
	if s.mu.TryLock() {
		s.look(&s.lastLook, now)
		s.mu.Unlock()
	}
	if k, ok := s.current.Load().byID[id]; ok {
		return k, true
	}
	s.mu.Lock()
	s.look(&s.lastUnknown, now)
	s.mu.Unlock()
	k, ok := s.current.Load().byID[id]
	return k, ok
}

// look reads the file again when it changed, unless last is less than lookEvery ago. The caller holds the lock.
func (s *KeySet) look(last *time.Time, now time.Time) {
	if elapsed := now.Sub(*last); elapsed >= 0 && elapsed < lookEvery {
		return
	}
	*last = now
	stat, err := os.Stat(s.path)
	if err == nil {
		held := s.current.Load()
		if stat.ModTime().Equal(held.modTime) && stat.Size() == held.size {
			return
		}
		err = s.read()
	}
	if err != nil && s.report != nil {
		s.report(fmt.Errorf("reload key set, keeping the keys: %w", err))
	}
}

// read takes over the file's keys.
func (s *KeySet) read() error {
	file, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	stat, err := file.Stat()
	if err != nil {
		return err
	}
	byID, err := parseKeys(file)
	if err != nil {
		return err
	}
	s.current.Store(&keys{byID: byID, modTime: stat.ModTime(), size: stat.Size()})
	return nil
}

// parseKeys reads a key file.
func parseKeys(r io.Reader) (map[string]ed25519.PublicKey, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxKeyFile {
		return nil, fmt.Errorf("%w: above %d bytes", ErrKeyFile, maxKeyFile)
	}
	byID := map[string]ed25519.PublicKey{} // encoding/json reads base64
	if err := json.Unmarshal(raw, &byID); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	return byID, checkKeys(byID)
}

func checkKeys(byID map[string]ed25519.PublicKey) error {
	if len(byID) == 0 || len(byID) > MaxKeys {
		return fmt.Errorf("%w: %d keys, want 1 to %d", ErrKeyFile, len(byID), MaxKeys)
	}
	for id, key := range byID {
		if !identifier(id) {
			return fmt.Errorf("%w: key id %q", ErrKeyFile, id)
		}
		if len(key) != ed25519.PublicKeySize {
			return fmt.Errorf("%w: key %q has %d bytes, want %d", ErrKeyFile, id, len(key), ed25519.PublicKeySize)
		}
	}
	return nil
}
