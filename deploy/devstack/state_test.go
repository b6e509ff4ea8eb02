package devstack

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// stateOf is a state directory with its verifier.
func stateOf(t *testing.T, dir string) (*state, *auth.Verifier) {
	t.Helper()
	s, err := openState(dir)
	if err != nil {
		t.Fatal(err)
	}
	set, err := auth.LoadKeySet(s.tokens.KeySetFile(), nil)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := s.newVerifier(set, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, verifier
}

func TestCredentials_LastADayAndAreRenewed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, verifier := stateOf(t, dir)
	now := time.Now()
	first, err := s.credentials(verifier, now)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{"SPM": first.SPMToken, "H5": first.H5Token, "operator": first.AdminToken, "approver": first.ApproverToken,
		"second approver": first.SecondApproverToken} {
		if _, err := verifier.Verify(token, now.Add(24*time.Hour-2*time.Second)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := verifier.Verify(token, now.Add(24*time.Hour+time.Second)); !errs.Is(err, errs.TokenExpired) {
			t.Errorf("%s after a day: %v", name, err)
		}
	}
	if again, err := s.credentials(verifier, now.Add(11*time.Hour)); err != nil || again != first {
		t.Errorf("renewed with more than half a day left: %v", err)
	}
	if later, err := s.credentials(verifier, now.Add(13*time.Hour)); err != nil || later.AdminToken == first.AdminToken || later.SPMToken == first.SPMToken {
		t.Errorf("not renewed with less than half a day left: %v", err)
	}
}

// A stack that is left open makes new tokens in its credentials file, where creditctl finds them.
func TestCredentials_RunningStackRenewsThem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, verifier := stateOf(t, dir)
	old, err := s.credentials(verifier, time.Now().Add(-13*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.renewCredentials(ctx, verifier, 10*time.Millisecond, func(err error) { t.Error(err) })
	}()
	testkit.Eventually(t, 10*time.Second, func() bool {
		var c Credentials
		return readJSON(filepath.Join(dir, credentialsFile), &c) == nil && c.AdminToken != old.AdminToken
	})
	cancel()
	<-done
}

// A state directory of the last release has one key for everything, which opens nothing any more.
func TestOpenState_RemovesTheOldKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"signing-key.json", "token-keys.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(`{"k1":"AAAA"}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeJSON(filepath.Join(dir, credentialsFile), Credentials{SPMToken: "of the old key"}); err != nil {
		t.Fatal(err)
	}
	s, verifier := stateOf(t, dir)
	c, err := s.credentials(verifier, time.Now())
	if err != nil || c.SPMToken == "of the old key" {
		t.Errorf("credentials of the old key stay: %v", err)
	}
	for _, name := range []string{"signing-key.json", "token-keys.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
}
