package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"pgregory.net/rapid"

	"github.com/creditpay/creditpay/pkg/secret"
)

// rawKey is a key that is not one byte repeated.
func rawKey(seed byte) []byte {
	raw := make([]byte, secret.KeySize)
	for i := range raw {
		raw[i] = seed + byte(i)
	}
	return raw
}

// ring is a keyring of the ids given, the first of them active. The key of an id
// depends on the id alone.
func ring(t testing.TB, ids ...string) *secret.Keyring {
	t.Helper()
	keys := map[string][]byte{}
	for _, id := range ids {
		keys[id] = rawKey(id[len(id)-1])
	}
	k, err := secret.NewKeyring(ids[0], keys)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// seal is Seal that must work.
func seal(t testing.TB, k *secret.Keyring, plaintext, aad string) []byte {
	t.Helper()
	envelope, err := k.Seal([]byte(plaintext), []byte(aad))
	if err != nil {
		t.Fatal(err)
	}
	return envelope
}

func TestOpenGivesBackWhatWasSealed(t *testing.T) {
	t.Parallel()
	k := ring(t, "k1")
	rapid.Check(t, func(rt *rapid.T) {
		plaintext := rapid.SliceOf(rapid.Byte()).Draw(rt, "plaintext")
		aad := rapid.SliceOf(rapid.Byte()).Draw(rt, "aad")
		envelope, err := k.Seal(plaintext, aad)
		if err != nil {
			rt.Fatal(err)
		}
		got, err := k.Open(envelope, aad)
		if err != nil || !bytes.Equal(got, plaintext) {
			rt.Fatalf("Open = %x, %v; want %x", got, err, plaintext)
		}
		if len(envelope) != 30+len("k1")+len(plaintext) {
			rt.Fatalf("the envelope has %d bytes for %d", len(envelope), len(plaintext))
		}
	})
}

func TestTheSameTextNeverSealsTheSame(t *testing.T) {
	t.Parallel()
	k := ring(t, "k1")
	a, b := seal(t, k, "4111", "row"), seal(t, k, "4111", "row")
	if bytes.Equal(a, b) || bytes.Contains(a, []byte("4111")) {
		t.Errorf("envelopes %x and %x", a, b)
	}
}

func TestNoChangedByteOpens(t *testing.T) {
	t.Parallel()
	k := ring(t, "k1", "k2")
	envelope := seal(t, k, "081234567890", "user/phone/7")
	for i := range envelope {
		for _, flip := range []byte{1, 3, 0x80} {
			changed := slices.Clone(envelope)
			changed[i] ^= flip
			if got, err := k.Open(changed, []byte("user/phone/7")); err == nil {
				t.Errorf("byte %d changed by %x opens as %q", i, flip, got)
			}
		}
		if _, err := k.Open(envelope[:i], []byte("user/phone/7")); err == nil {
			t.Errorf("the first %d bytes open", i)
		}
	}
	if _, err := k.Open(append(slices.Clone(envelope), 0), []byte("user/phone/7")); !errors.Is(err, secret.ErrAuthentication) {
		t.Errorf("a byte more: %v, want ErrAuthentication", err)
	}
	// The header of another key of the ring: k1 becomes k2.
	if _, err := k.Open(bytes.Replace(envelope, []byte("k1"), []byte("k2"), 1), []byte("user/phone/7")); !errors.Is(err, secret.ErrAuthentication) {
		t.Errorf("another key id: %v, want ErrAuthentication", err)
	}
}

func TestAnEnvelopeMovedElsewhereDoesNotOpen(t *testing.T) {
	t.Parallel()
	k := ring(t, "k1")
	envelope := seal(t, k, "secret", "user/phone/7")
	for _, aad := range []string{"", "user/phone/8", "user/name/7", "user/phone/7 "} {
		if _, err := k.Open(envelope, []byte(aad)); !errors.Is(err, secret.ErrAuthentication) {
			t.Errorf("aad %q: %v, want ErrAuthentication", aad, err)
		}
	}
}

func TestOpenNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	k := ring(t, "k1")
	good := seal(t, k, "x", "")
	tests := []struct {
		name     string
		envelope []byte
		want     error
	}{
		{"nothing", nil, secret.ErrEnvelope},
		{"one byte", []byte{1}, secret.ErrEnvelope},
		{"another version", append([]byte{2}, good[1:]...), secret.ErrEnvelope},
		{"key id cut short", []byte{1, 9, 'k'}, secret.ErrEnvelope},
		{"no nonce", good[:4], secret.ErrEnvelope},
		{"no tag", good[:20], secret.ErrEnvelope},
		{"a key we do not have", seal(t, ring(t, "k9"), "x", ""), secret.ErrUnknownKey},
		{"empty key id", []byte{1, 0}, secret.ErrUnknownKey},
	}
	for _, tt := range tests {
		if _, err := k.Open(tt.envelope, nil); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := k.Seal(make([]byte, secret.MaxPlaintext+1), nil); !errors.Is(err, secret.ErrTooLarge) {
		t.Errorf("a large plaintext: %v, want ErrTooLarge", err)
	}
}

func TestRotationKeepsOldEnvelopesAndMACs(t *testing.T) {
	t.Parallel()
	before := ring(t, "k1")
	envelope := seal(t, before, "name", "row")
	mac := before.MAC("notify", []byte("body"))
	after, err := before.Rotated("k2", rawKey(99))
	if err != nil {
		t.Fatal(err)
	}
	if before.ActiveID() != "k1" || after.ActiveID() != "k2" {
		t.Errorf("active: %s, then %s", before.ActiveID(), after.ActiveID())
	}
	if before.NeedsRotation(envelope) || !after.NeedsRotation(envelope) {
		t.Error("only the old key's envelope, in the new ring, needs rotation")
	}
	if got, err := after.Open(envelope, []byte("row")); err != nil || string(got) != "name" {
		t.Errorf("Open after the rotation = %q, %v", got, err)
	}
	if fresh := seal(t, after, "name", "row"); after.NeedsRotation(fresh) || !before.NeedsRotation(fresh) {
		t.Error("a fresh envelope is of the new key")
	}
	if !after.VerifyMAC("notify", mac, []byte("body")) {
		t.Error("the old key's MAC does not verify in the new ring")
	}
	if newer := after.MAC("notify", []byte("body")); bytes.Equal(newer, mac) || before.VerifyMAC("notify", newer, []byte("body")) {
		t.Error("the new ring signs with the old key")
	}
	for _, garbage := range [][]byte{nil, {7, 7, 7}, []byte("plain text")} {
		if !after.NeedsRotation(garbage) {
			t.Errorf("%q passes for a fresh envelope", garbage)
		}
	}
	if _, err := after.Rotated("k1", rawKey(5)); !errors.Is(err, secret.ErrKeyring) {
		t.Errorf("a key id given twice: %v, want ErrKeyring", err)
	}
}

func TestMACFramesItsParts(t *testing.T) {
	t.Parallel()
	k := ring(t, "k1")
	parts := func(ss ...string) [][]byte {
		out := make([][]byte, len(ss))
		for i, s := range ss {
			out[i] = []byte(s)
		}
		return out
	}
	variants := [][][]byte{
		nil, parts(""), parts("", ""), parts("abc"), parts("ab", "c"), parts("a", "bc"), parts("abc", ""), parts("", "abc"),
	}
	seen := map[string]int{}
	for _, purpose := range []string{"notify", "index"} {
		for i, data := range variants {
			mac := k.MAC(purpose, data...)
			if previous, twice := seen[string(mac)]; twice || len(mac) != 32 {
				t.Errorf("%s variant %d has the MAC of variant %d, or %d bytes", purpose, i, previous, len(mac))
			}
			seen[string(mac)] = i
			if !k.VerifyMAC(purpose, mac, data...) {
				t.Errorf("%s variant %d does not verify", purpose, i)
			}
			if k.VerifyMAC(purpose+"2", mac, data...) || k.VerifyMAC(purpose, mac[:31], data...) || k.VerifyMAC(purpose, nil, data...) {
				t.Errorf("%s variant %d verifies for another purpose or cut short", purpose, i)
			}
		}
	}
}

// The vectors, for the key of bytes 0x31, 0x32 … 0x50, pin the derivation, framing
// and layout: a change would orphan every stored envelope and MAC. They were
// computed apart from this package, in Python with hmac and cryptography's AESGCM.
const (
	macVector      = "ec627d58131741e0db69eacde2257c32b4d18f7f2c6e4c89496cc3e981addc84"
	envelopeVector = "AQJrMQABAgMEBQYHCAkKC8furO9j5jnxxDViamP51vhRnptT"
)

func TestStoredFormsStayReadable(t *testing.T) {
	t.Parallel()
	k := ring(t, "k1")
	if got := fmt.Sprintf("%x", k.MAC("notify", []byte("ab"), []byte("c"))); got != macVector {
		t.Errorf("MAC = %s, want %s", got, macVector)
	}
	envelope, err := base64.StdEncoding.DecodeString(envelopeVector)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Open(envelope, []byte("user/name/7")); err != nil || string(got) != "Siti" {
		t.Errorf("Open = %q, %v", got, err)
	}
}

func TestMalformedKeyringsAreRefusedWithoutShowingKeys(t *testing.T) {
	t.Parallel()
	good := base64.StdEncoding.EncodeToString(rawKey(7))
	tests := map[string]string{
		"not JSON":        `{"active":"k1","keys":{"k1":"` + good,
		"wrong type":      `{"active":"k1","keys":"` + good + `"}`,
		"no keys":         `{"active":"k1"}`,
		"active missing":  `{"active":"k2","keys":{"k1":"` + good + `"}}`,
		"no active":       `{"keys":{"k1":"` + good + `"}}`,
		"short key":       `{"active":"k1","keys":{"k1":"` + good[:40] + `"}}`,
		"not base64":      `{"active":"k1","keys":{"k1":"` + good[:43] + `!"}}`,
		"zero key":        `{"active":"k1","keys":{"k1":"` + base64.StdEncoding.EncodeToString(make([]byte, 32)) + `"}}`,
		"bad key id":      `{"active":"K 1","keys":{"K 1":"` + good + `"}}`,
		"empty key id":    `{"active":"","keys":{"":"` + good + `"}}`,
		"too long key id": `{"active":"` + strings.Repeat("k", 33) + `","keys":{"` + strings.Repeat("k", 33) + `":"` + good + `"}}`,
	}
	for name, text := range tests {
		_, err := secret.Parse([]byte(text))
		if !errors.Is(err, secret.ErrKeyring) {
			t.Errorf("%s: %v, want ErrKeyring", name, err)
			continue
		}
		if strings.Contains(err.Error(), good[:16]) {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
	many := map[string][]byte{}
	for i := range secret.MaxKeys + 1 {
		many[fmt.Sprintf("k%d", i)] = rawKey(byte(i))
	}
	if _, err := secret.NewKeyring("k1", many); !errors.Is(err, secret.ErrKeyring) {
		t.Errorf("too many keys: %v, want ErrKeyring", err)
	}
}

func TestKeyringFilesMustBePrivate(t *testing.T) {
	t.Parallel()
	k, err := secret.GenerateKeyring()
	if err != nil {
		t.Fatal(err)
	}
	data, err := k.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keyring.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := secret.LoadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := loaded.Open(seal(t, k, "x", "y"), []byte("y")); err != nil || string(got) != "x" {
		t.Errorf("the loaded ring opens %q, %v", got, err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := secret.LoadFile(path)
		if !errors.Is(err, secret.ErrPermissions) || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %04o: %v, want ErrPermissions and the remedy", mode, err)
		}
	}
	if _, err := secret.LoadFile(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v, want ErrNotExist", err)
	}
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, bytes.Repeat([]byte(" "), 100<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.LoadFile(large); !errors.Is(err, secret.ErrKeyring) {
		t.Errorf("a large file: %v, want ErrKeyring", err)
	}
}

func TestGeneratedKeyringsDiffer(t *testing.T) {
	t.Parallel()
	a, errA := secret.GenerateKeyring()
	b, errB := secret.GenerateKeyring()
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a.MAC("x"), b.MAC("x")) {
		t.Error("two rings have one key")
	}
}

func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	const text = "s3cr3t-token"
	type config struct {
		Password secret.Masked
		Ring     *secret.Keyring
	}
	k := ring(t, "k1")
	c := config{Password: text, Ring: k}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%5.2f"} {
		fmt.Fprintf(&out, verb+"\n", c.Password)
		fmt.Fprintf(&out, verb+"\n", c)
		fmt.Fprintf(&out, verb+"\n", &c)
		fmt.Fprintf(&out, verb+"\n", *k)
	}
	fmt.Fprintln(&out, c.Password, c.Password.String(), c.Password.GoString(), k, k.String())
	data, err := json.Marshal(map[string]any{"c": c, "list": []secret.Masked{text}})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(data)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "password", c.Password, "config", c)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "password", c.Password, "config", c)
	logs := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&out), zap.DebugLevel))
	logs.Info("x", zap.Any("any", c.Password), zap.Stringer("stringer", c.Password), zap.Reflect("reflect", c),
		zap.Any("slice", []secret.Masked{text}),
		zap.Object("object", zapcore.ObjectMarshalerFunc(func(enc zapcore.ObjectEncoder) error {
			enc.AddString("string", c.Password.String())
			return enc.AddReflected("reflected", c)
		})))
	logs.Sugar().Infow("x", "password", c.Password, "config", c)
	for _, leak := range []string{
		text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text), "49 50 51",
		base64.StdEncoding.EncodeToString(rawKey('1'))[:16], fmt.Sprintf("%x", rawKey('1')[:8]),
	} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q is shown in:\n%s", leak, out.String())
		}
	}
	if got := strings.Count(out.String(), "***"); got < 50 {
		t.Errorf("only %d masks shown in:\n%s", got, out.String())
	}
	if c.Password.Reveal() != text {
		t.Errorf("Reveal = %q", c.Password.Reveal())
	}
}

func TestMaskedReadsTheRealText(t *testing.T) {
	t.Parallel()
	var c struct{ Password secret.Masked }
	if err := json.Unmarshal([]byte(`{"Password":"abc"}`), &c); err != nil || c.Password.Reveal() != "abc" {
		t.Errorf("Unmarshal = %q, %v", c.Password.Reveal(), err)
	}
}

func FuzzOpen(f *testing.F) {
	k := ring(f, "k1", "k2")
	f.Add([]byte(nil), []byte(nil))
	f.Add([]byte{1, 2, 'k', '1'}, []byte("aad"))
	f.Add([]byte{1, 255}, []byte{})
	f.Fuzz(func(t *testing.T, envelope, aad []byte) {
		if got, err := k.Open(envelope, aad); err == nil {
			t.Errorf("a forged envelope opens as %x", got)
		}
		_ = k.NeedsRotation(envelope)
	})
}

func FuzzParseKeyring(f *testing.F) {
	f.Add([]byte(`{"active":"k1","keys":{"k1":"` + base64.StdEncoding.EncodeToString(rawKey(1)) + `"}}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := secret.Parse(data)
		if err != nil {
			return
		}
		out, err := k.Reveal()
		if err != nil {
			t.Fatal(err)
		}
		back, err := secret.Parse(out)
		if err != nil || !back.VerifyMAC("x", k.MAC("x")) || back.ActiveID() != k.ActiveID() {
			t.Errorf("%s reads back as %v, %v", out, back, err)
		}
	})
}
