// Package keys owns the token keys of a suite that runs on one machine: one file for each service, and one for each outside kind of
// caller, in a directory. The development stack, the load test and the harnesses make their tokens with it.
//
// It is not for production, where a service's key is made where the service runs and issuers keep theirs: whoever reads this
// directory speaks for everybody.
package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/caller"
)

// Ring is the keys in a directory. Each is made when it is first asked for. It is safe for concurrent use; two processes must not
// make keys at the same time.
type Ring struct {
	dir string

	mu      sync.Mutex
	signers map[string]*auth.Signer
}

// Open is the Ring in a directory, which is made when it is missing.
func Open(dir string) (*Ring, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the token keys: %w", err)
	}
	return &Ring{dir: dir, signers: map[string]*auth.Signer{}}, nil
}

// KeySetFile is the file with the public keys, for every process.
func (r *Ring) KeySetFile() string { return filepath.Join(r.dir, auth.KeySetFile) }

// ServiceFile is the file with the private key of the service of that name, for that process only.
func (r *Ring) ServiceFile(name string) string {
	return filepath.Join(r.dir, fileOf(caller.Caller{Kind: caller.Service, Name: name}))
}

// fileOf names the file of the key that speaks for c: one for each name where names are real, otherwise one for each kind and
// marketplace.
func fileOf(c caller.Caller) string {
	name := strings.ToLower(c.Kind.String())
	switch owner := ownerOf(c); {
	case named(c.Kind):
		name += "-" + c.Name
	case owner != "":
		name += "-of-" + owner
	}
	return name + ".json"
}

// named reports whether keys of that kind are each of one name.
func named(k caller.Kind) bool { return k == caller.Service || k == caller.SPM || k == caller.Channel }

// ownerOf is the marketplace that a payer or merchant belongs to; empty for the home marketplace and other kinds.
func ownerOf(c caller.Caller) string {
	switch c.Kind {
	case caller.H5:
		owner, _ := caller.SplitUserID(c.UserID)
		return owner
	case caller.Merchant:
		return c.Owner
	default:
		return ""
	}
}

// Signer returns the signer of the key that speaks for c, and makes the key when there is none.
func (r *Ring) Signer(c caller.Caller) (*auth.Signer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := fileOf(c)
	if s, ok := r.signers[name]; ok {
		return s, nil
	}
	path := filepath.Join(r.dir, name)
	s, err := auth.LoadSigner(path)
	if errors.Is(err, fs.ErrNotExist) {
		bound := auth.Bound{Kinds: []caller.Kind{c.Kind}, Names: []string{auth.Any}, Owner: ownerOf(c)}
		if named(c.Kind) {
			bound.Names[0] = c.Name
		}
		s, err = auth.WriteKeyPair(auth.NewKeyPair{PrivateFile: path, KeySetFile: r.KeySetFile(), Bound: bound})
	}
	if err != nil {
		return nil, fmt.Errorf("the token key of %s: %w", c, err)
	}
	r.signers[name] = s
	return s, nil
}

// Service returns the signer of the service of that name, and makes its key when there is none.
func (r *Ring) Service(name string) (*auth.Signer, error) {
	return r.Signer(caller.Caller{Kind: caller.Service, Name: name})
}

// Mint makes a token for c that is good from now for lifetime.
func (r *Ring) Mint(c caller.Caller, lifetime time.Duration, now time.Time) (string, error) {
	s, err := r.Signer(c)
	if err != nil {
		return "", err
	}
	return s.Mint(c, lifetime, now)
}
