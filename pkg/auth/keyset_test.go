package auth_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
)

// Every kind and name that a key is not bound to is refused, by the verifier and not only by the signer: an attacker who holds the
// private key has a signer of their own.
func TestVerify_KeyIsBoundToKindAndName(t *testing.T) {
	t.Parallel()
	bounds := map[string]auth.Bound{
		"order":   boundTo(caller.Service, "order"),
		"spm":     boundTo(caller.SPM, "marketplace", "second"),
		"admin":   boundTo(caller.Admin, auth.Any),
		"home":    boundTo(caller.H5, auth.Any),
		"payer-b": {Kinds: []caller.Kind{caller.H5}, Names: []string{auth.Any}, Owner: "b"},
		"shop-b":  {Kinds: []caller.Kind{caller.Merchant}, Names: []string{auth.Any}, Owner: "b"},
		"shops":   {Kinds: []caller.Kind{caller.Merchant}, Names: []string{"till"}, Owner: auth.Any},
	}
	callers := map[string]caller.Caller{
		"SERVICE order":    {Kind: caller.Service, Name: "order"},
		"SERVICE payment":  {Kind: caller.Service, Name: "payment"},
		"SPM marketplace":  {Kind: caller.SPM, Name: "marketplace"},
		"SPM second":       {Kind: caller.SPM, Name: "second", Owner: "second"},
		"SPM third":        {Kind: caller.SPM, Name: "third", Owner: "third"},
		"ADMIN alice":      {Kind: caller.Admin, Name: "alice", Roles: caller.EveryRole()},
		"H5 user":          {Kind: caller.H5, Name: "web", UserID: "u"},
		"H5 user of b":     {Kind: caller.H5, Name: "web", UserID: "b~u", Owner: "b"},
		"H5 user of c":     {Kind: caller.H5, Name: "web", UserID: "c~u", Owner: "c"},
		"MERCHANT home":    {Kind: caller.Merchant, Name: "till", MerchantID: "m"},
		"MERCHANT b":       {Kind: caller.Merchant, Name: "till", MerchantID: "m", Owner: "b"},
		"MERCHANT other":   {Kind: caller.Merchant, Name: "console", MerchantID: "m"},
		"CHANNEL wechat-1": {Kind: caller.Channel, Name: "wechat-1"},
	}
	want := map[string][]string{
		"order":   {"SERVICE order"},
		"spm":     {"SPM marketplace", "SPM second"},
		"admin":   {"ADMIN alice"},
		"home":    {"H5 user"},
		"payer-b": {"H5 user of b"},
		"shop-b":  {"MERCHANT b"},
		"shops":   {"MERCHANT b", "MERCHANT home"},
	}
	for id, bound := range bounds {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		honest, err := auth.NewSigner(id, private, bound)
		if err != nil {
			t.Fatal(err)
		}
		verifier := newVerifier(t, auth.VerifierConfig{}, honest)
		var opened []string
		for _, name := range slices.Sorted(maps.Keys(callers)) {
			c := callers[name]
			forger, err := auth.NewSigner(id, private, boundTo(c.Kind, c.Name))
			if err != nil {
				t.Fatal(err)
			}
			got, err := verifier.Verify(mint(t, forger, c, time.Hour, start), start)
			switch {
			case err == nil && got == c:
				opened = append(opened, name)
			case !errs.Is(err, errs.TokenInvalid):
				t.Errorf("key %s, %s: got %+v, %v", id, name, got, err)
			}
		}
		if !slices.Equal(opened, want[id]) {
			t.Errorf("key %s (%s) opens %v, want %v", id, bound, opened, want[id])
		}
	}
}

func TestVerify_OwnerOfEveryCaller(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, "k1")
	verifier := newVerifier(t, auth.VerifierConfig{Home: "nusantara"}, signer)
	for name, c := range map[string]struct {
		minted caller.Caller
		want   string
		bad    bool
	}{
		"a payer of the home":             {caller.Caller{Kind: caller.H5, Name: "web", UserID: "u"}, "", false},
		"a payer of another":              {caller.Caller{Kind: caller.H5, Name: "web", UserID: "b~u"}, "b", false},
		"a payer of the home by its name": {caller.Caller{Kind: caller.H5, Name: "web", UserID: "nusantara~u"}, "", true},
		"a shop of another":               {caller.Caller{Kind: caller.Merchant, Name: "till", MerchantID: "m", Owner: "b"}, "b", false},
		"a shop of the home by its name":  {caller.Caller{Kind: caller.Merchant, Name: "till", MerchantID: "m", Owner: "nusantara"}, "", true},
	} {
		c.minted.Owner, _ = caller.SplitUserID(c.minted.UserID)
		if c.minted.Kind == caller.Merchant {
			c.minted.Owner = map[bool]string{true: "nusantara", false: "b"}[c.bad]
		}
		got, err := verifier.Verify(mint(t, signer, c.minted, time.Hour, start), start)
		if (err != nil) != c.bad || got.Owner != c.want {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestVerify_FactorTimeOfOwnToken(t *testing.T) {
	t.Parallel()
	signer := newSigner(t, "k1")
	verifier := newVerifier(t, auth.VerifierConfig{}, signer)
	want := payer()
	want.FactorTime = start.Add(-time.Minute).Unix()
	if got, err := verifier.Verify(mint(t, signer, want, time.Hour, start), start); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	want.FactorTime = start.Add(time.Hour).Unix()
	_, err := verifier.Verify(mint(t, signer, want, time.Hour, start), start)
	wantReason(t, err, errs.TokenInvalid)
}

func TestLoadKeySet_RefusesWhatIsNoKeySet(t *testing.T) {
	t.Parallel()
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	entry := func(rest string) string { return `{"k1":{"key":"` + key + `"` + rest + `}}` }
	for name, c := range map[string]struct{ text, says string }{
		"empty":            {``, "malformed"},
		"no keys":          {`{}`, "0 keys"},
		"unbound":          {`{"k1":"` + key + `"}`, `"kinds": ["SERVICE"], "names": ["order"]`},
		"short key":        {`{"k1":{"key":"AAAA","kinds":["H5"],"names":["*"]}}`, "3 bytes"},
		"bad id":           {strings.Replace(entry(`,"kinds":["H5"],"names":["*"]`), "k1", "k 1", 1), "key id"},
		"no kinds":         {entry(`,"names":["*"]`), `"kinds" is empty`},
		"unknown kind":     {entry(`,"kinds":["KING"],"names":["*"]`), "KING"},
		"no names":         {entry(`,"kinds":["ADMIN"]`), `"names" is empty`},
		"empty name":       {entry(`,"kinds":["ADMIN"],"names":[""]`), "name"},
		"any and a name":   {entry(`,"kinds":["ADMIN"],"names":["*","alice"]`), "alone"},
		"any service":      {entry(`,"kinds":["SERVICE"],"names":["*"]`), "real names"},
		"any marketplace":  {entry(`,"kinds":["SPM"],"names":["*"]`), "real names"},
		"two services":     {entry(`,"kinds":["SERVICE"],"names":["order","payment"]`), "a key for each"},
		"service and H5":   {entry(`,"kinds":["SERVICE","H5"],"names":["order"]`), "no other kind"},
		"owner of a SPM":   {entry(`,"kinds":["SPM"],"names":["b"],"owner":"b"`), "its name"},
		"owner with tilde": {entry(`,"kinds":["H5"],"names":["*"],"owner":"a~b"`), "owner"},
		"unknown field":    {entry(`,"kinds":["H5"],"names":["*"],"expires":"2027"`), "expires"},
		"one key twice": {`{"k1":{"key":"` + key + `","kinds":["SERVICE"],"names":["order"]},"k2":{"key":"` + key +
			`","kinds":["SERVICE"],"names":["payment"]}}`, "one key"},
		"two values": {entry(`,"kinds":["H5"],"names":["*"]`) + "{}", "follows"},
		"too large":  {`{"k1":"` + strings.Repeat("A", 256<<10) + `"}`, "bytes"},
	} {
		path := filepath.Join(t.TempDir(), "keys.json")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := auth.LoadKeySet(path, nil); !errors.Is(err, auth.ErrKeyFile) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want ErrKeyFile with %q", name, err, c.says)
		}
	}
	if _, err := auth.LoadKeySet(filepath.Join(t.TempDir(), "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
}

func TestWriteKeyPair_LoadsAndIsClosedToOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	written, err := auth.WriteKeyPair(pair(dir, "key.json"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "key.json")
	loaded, err := auth.LoadSigner(path)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.KeyID() != written.KeyID() || !loaded.Public().Equal(written.Public()) {
		t.Error("another key came back")
	}
	if _, err := loaded.Mint(caller.Caller{Kind: caller.Service, Name: "order"}, time.Hour, start); err == nil {
		t.Error("a key of outsiders signed for a service")
	}
	if stat, err := os.Stat(path); err != nil || stat.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", stat.Mode(), err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.LoadSigner(path); !errors.Is(err, auth.ErrKeyFile) {
		t.Errorf("an open key file: got %v", err)
	}
	if _, err := auth.LoadSigner(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no key file: got %v", err)
	}
	// A private key of the form before keys were bound.
	old := filepath.Join(dir, "old.json")
	if err := os.WriteFile(old, []byte(`{"kid":"k1","seed":"`+base64.StdEncoding.EncodeToString(make([]byte, 32))+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.LoadSigner(old); !errors.Is(err, auth.ErrKeyFile) || !strings.Contains(err.Error(), "keypair") {
		t.Errorf("an unbound key: got %v", err)
	}
}

func TestWriteKeyPair_NeverOverwrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := auth.WriteKeyPair(pair(dir, "key.json")); err != nil {
		t.Fatal(err)
	}
	read := func() (out []string) {
		for _, name := range []string{"key.json", auth.KeySetFile} {
			raw, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, string(raw))
		}
		return out
	}
	before := read()
	if _, err := auth.WriteKeyPair(pair(dir, "key.json")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second key under the same name: %v", err)
	}
	wrong := pair(dir, "wrong.json")
	wrong.Bound = boundTo(caller.Service, auth.Any)
	if _, err := auth.WriteKeyPair(wrong); !errors.Is(err, auth.ErrKeyFile) {
		t.Errorf("a key of any service: %v", err)
	}
	if !slices.Equal(before, read()) {
		t.Error("what was refused changed a file")
	}
	// An unbound key set is refused and left as it is, too.
	if err := os.WriteFile(filepath.Join(dir, auth.KeySetFile), []byte(`{"k1":"AAAA"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	before = read()
	if _, err := auth.WriteKeyPair(pair(dir, "other.json")); !errors.Is(err, auth.ErrKeyFile) {
		t.Errorf("an unbound key set: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "other.json")); !errors.Is(err, fs.ErrNotExist) || !slices.Equal(before, read()) {
		t.Error("what was refused left a key behind")
	}
}
