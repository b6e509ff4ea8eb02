package devstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/secret"

	"github.com/creditpay/creditpay/deploy/keys"
)

// Names of the files in the state directory.
const (
	credentialsFile = "dev-credentials.json"
	stackFile       = "stack.json"
	clockFile       = "clock.json"
	keyringFile     = "keyring.json"
	proofsFile      = "checkout-proof-keyring.json"
	revokedFile     = "revoked.json"
)

// DemoUser is the payer that the stack is seeded with, and DemoPin the PIN of that payer.
const (
	DemoUser = "user-demo"
	DemoPin  = "482913"
)

// Credentials open the development stack. Tokens last a day; a stack that runs makes new ones in time, in the same file.
type Credentials struct {
	SPMToken string `json:"spm_token"`
	H5Token  string `json:"h5_token"`
	H5UserID string `json:"h5_user_id"`
	H5Pin    string `json:"h5_pin"`
	// AdminToken is an operator's with every role. What that operator asks for is approved by the others, who may do nothing else.
	AdminToken          string `json:"admin_token"`
	ApproverToken       string `json:"approver_token"`
	SecondApproverToken string `json:"second_approver_token"`
}

// Info is what tools need to find a running stack.
type Info struct {
	// HTTP is the base URL of REST.
	HTTP string `json:"http"`
	// GRPC is the address of gRPC.
	GRPC string `json:"grpc"`
	// Schemas gives each service's DSN.
	Schemas map[string]string `json:"schemas"`
	// PID of the stack.
	PID int `json:"pid"`
	// MariaDBPID is the private database's; 0 when an outside one is used.
	MariaDBPID int `json:"mariadb_pid"`
	// KafkaAddr is a broker.
	KafkaAddr string `json:"kafka"`
	// Cashier is the page of the simulated cash desk.
	Cashier string `json:"cashier"`
}

// state is the state directory.
type state struct {
	dir    string
	tokens *keys.Ring
	keys   *secret.Keyring
	// proofs prove checkouts between the order and the payment service.
	proofs *secret.Keyring
	clock  *clock.Adjustable
}

// KeysDir is the directory with the token keys of a stack with its state in a directory.
func KeysDir(stateDir string) string { return filepath.Join(stateDir, "keys") }

func openState(dir string) (*state, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state directory: %w", err)
	}
	s := &state{dir: dir}
	var err error
	if s.tokens, err = openTokenKeys(dir); err != nil {
		return nil, err
	}
	if s.keys, err = loadKeyring(s.path(keyringFile)); err != nil {
		return nil, err
	}
	if s.proofs, err = loadKeyring(s.path(proofsFile)); err != nil {
		return nil, err
	}
	s.clock, err = loadClock(s.path(clockFile))
	return s, err
}

func (s *state) path(name string) string { return filepath.Join(s.dir, name) }

// openTokenKeys makes the keys of all services and of the issuers of outside callers. A key file of the form before keys were bound opens nothing any more and is removed.
func openTokenKeys(dir string) (*keys.Ring, error) {
	for _, old := range []string{"signing-key.json", "token-keys.json"} {
		if err := os.Remove(filepath.Join(dir, old)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("remove the old token key: %w", err)
		}
	}
	ring, err := keys.Open(KeysDir(dir))
	if err != nil {
		return nil, err
	}
	for _, name := range append(servicesWithSchema(), gatewayName) {
		if _, err := ring.Service(name); err != nil {
			return nil, err
		}
	}
	for _, c := range []caller.Caller{theMarketplace(), {Kind: caller.H5}, {Kind: caller.Admin}, {Kind: caller.Merchant}} {
		if _, err := ring.Signer(c); err != nil {
			return nil, err
		}
	}
	return ring, nil
}

// newVerifier makes the verifier of the stack's tokens, with the revocation list in the state directory.
func (s *state) newVerifier(keySet *auth.KeySet, report func(error)) (*auth.Verifier, error) {
	path := s.path(revokedFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := writeFile(path, []byte("[]\n")); err != nil {
			return nil, err
		}
	}
	revoked, err := auth.LoadRevocations(path, report)
	if err != nil {
		return nil, err
	}
	return auth.NewVerifier(keySet, auth.VerifierConfig{MaxLifetime: tokenLife, Revoked: revoked})
}

func loadKeyring(path string) (*secret.Keyring, error) {
	keys, err := secret.LoadFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	if keys, err = secret.GenerateKeyring(); err != nil {
		return nil, err
	}
	text, err := keys.Reveal()
	if err != nil {
		return nil, err
	}
	return keys, writeFile(path, text)
}

// writeFile replaces a file by rename, readable by its owner only.
func writeFile(path string, content []byte) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, content, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(text, '\n'))
}

func readJSON(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	return nil
}

// clockState is what is kept of the adjustable clock: time never goes back, not over a restart either.
type clockState struct {
	OffsetSeconds int64 `json:"offset_seconds"`
}

func loadClock(path string) (*clock.Adjustable, error) {
	clk := clock.NewAdjustable()
	var kept clockState
	switch err := readJSON(path, &kept); {
	case errors.Is(err, fs.ErrNotExist):
		return clk, nil
	case err != nil:
		return nil, err
	}
	if kept.OffsetSeconds > 0 {
		if err := clk.Advance(time.Duration(kept.OffsetSeconds) * time.Second); err != nil {
			return nil, fmt.Errorf("set the kept clock: %w", err)
		}
	}
	return clk, nil
}

// advance moves the clock, and keeps the move before it takes effect.
func (s *state) advance(d time.Duration) (time.Time, error) {
	d = d.Round(time.Second)
	if d <= 0 {
		return time.Time{}, errors.New("the clock moves forward only, by a second or more")
	}
	kept := clockState{OffsetSeconds: int64((s.clock.Offset() + d) / time.Second)}
	if err := writeJSON(s.path(clockFile), kept); err != nil {
		return time.Time{}, err
	}
	if err := s.clock.Advance(d); err != nil {
		return time.Time{}, err
	}
	return s.clock.Now(), nil
}

// tokenLife is how long the tokens of the credentials file last. They are renewed when half of it is over.
const tokenLife = 24 * time.Hour

// credentials reads the credentials file, or makes it; tokens that would soon end, or that another key signed, are made anew.
func (s *state) credentials(verifier *auth.Verifier, now time.Time) (Credentials, error) {
	var c Credentials
	path := s.path(credentialsFile)
	err := readJSON(path, &c)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	good := err == nil
	for _, t := range []string{c.SPMToken, c.H5Token, c.AdminToken, c.ApproverToken, c.SecondApproverToken} {
		if _, err := verifier.Verify(t, now.Add(tokenLife/2)); err != nil {
			good = false
		}
	}
	if good {
		return c, nil
	}
	c = Credentials{H5UserID: DemoUser, H5Pin: DemoPin}
	approver := caller.RolesOf(caller.View, caller.RefundApprove, caller.Approve, caller.Administer)
	for _, x := range []struct {
		into *string
		who  caller.Caller
	}{
		{&c.SPMToken, theMarketplace()},
		{&c.H5Token, caller.Caller{Kind: caller.H5, Name: "h5", UserID: DemoUser, FactorTime: now.Unix()}},
		{&c.AdminToken, caller.Caller{Kind: caller.Admin, Name: "dev-operator", Roles: caller.EveryRole()}},
		{&c.ApproverToken, caller.Caller{Kind: caller.Admin, Name: "dev-approver", Roles: approver}},
		{&c.SecondApproverToken, caller.Caller{Kind: caller.Admin, Name: "dev-approver-2", Roles: approver}},
	} {
		if *x.into, err = s.tokens.Mint(x.who, tokenLife, now); err != nil {
			return c, fmt.Errorf("make credentials: %w", err)
		}
	}
	return c, writeJSON(path, c)
}

// theMarketplace is the caller that the stack's own desk and demo speak for.
func theMarketplace() caller.Caller {
	return caller.Caller{Kind: caller.SPM, Name: auth.HomeMarketplace}
}

// renewCredentials looks at the credentials file at every tick until ctx ends, so that a stack that is left open goes on.
func (s *state) renewCredentials(ctx context.Context, verifier *auth.Verifier, every time.Duration, report func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if _, err := s.credentials(verifier, time.Now()); err != nil {
				report(err)
			}
		}
	}
}

// ReadInfo reads what a running stack wrote for tools.
func ReadInfo(stateDir string) (Info, Credentials, error) {
	var info Info
	var c Credentials
	if err := readJSON(filepath.Join(stateDir, stackFile), &info); err != nil {
		return info, c, fmt.Errorf("no development stack was started with state in %s: %w", stateDir, err)
	}
	return info, c, readJSON(filepath.Join(stateDir, credentialsFile), &c)
}

// ClockOffset tells how far a stack's clock is ahead of the system's.
func ClockOffset(stateDir string) (time.Duration, error) {
	var kept clockState
	err := readJSON(filepath.Join(stateDir, clockFile), &kept)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return time.Duration(kept.OffsetSeconds) * time.Second, err
}
