package kafkax_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/creditpay/creditpay/pkg/kafkax"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// authority makes certificates in a directory.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.cert, a.key = template, nil
	a.key = a.issue(t, template, "ca")
	return a
}

// issue writes name.pem and name.key.
func (a *authority) issue(t *testing.T, template *x509.Certificate, name string) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer := a.key
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, a.file(name+".pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, a.file(name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})))
	return key
}

func (a *authority) leaf(t *testing.T, name string, usage x509.ExtKeyUsage) {
	t.Helper()
	a.issue(t, &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{usage}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, name)
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// server returns the broker's side of TLS; it asks for a client certificate when it has to.
func (a *authority) server(t *testing.T, clients tls.ClientAuthType) *tls.Config {
	t.Helper()
	a.leaf(t, "broker", x509.ExtKeyUsageServerAuth)
	pair, err := tls.LoadX509KeyPair(a.file("broker.pem"), a.file("broker.key"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(a.file("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: clients, ClientCAs: pool, MinVersion: tls.VersionTLS12}
}

func cluster(t *testing.T, opts ...kfake.Opt) string {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Second)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.ListenAddrs()[0]
}

// works makes the topic, writes and reads: every kind of connection that a service has.
func works(ctx context.Context, broker string, s kafkax.Security) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	c, err := kafkax.New(kafkax.Config{Brokers: []string{broker}, Security: s})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.EnsureTopics(ctx, topic); err != nil {
		return err
	}
	w := c.Producer()
	defer func() { _ = w.Close() }()
	if err := w.WriteMessages(ctx, kafka.Message{Topic: topic, Key: []byte("k"), Value: []byte("v")}); err != nil {
		return err
	}
	r := c.Reader("creditpay.test", []string{topic})
	defer func() { _ = r.Close() }()
	m, err := r.FetchMessage(ctx)
	if err != nil {
		return err
	}
	return r.CommitMessages(ctx, m)
}

func TestSecurity_TLSAndEachMechanism(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{kafkax.MechanismPlain, kafkax.MechanismScramSHA256, kafkax.MechanismScramSHA512} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			a := newAuthority(t)
			broker := cluster(t, kfake.TLS(a.server(t, tls.NoClientCert)), kfake.EnableSASL(), kfake.Superuser(mechanism, "bill", "the password"))
			write(t, a.file("password"), "the password\n")
			good := kafkax.Security{CAFile: a.file("ca.pem"), Mechanism: mechanism, User: "bill", PasswordFile: a.file("password")}
			if err := works(t.Context(), broker, good); err != nil {
				t.Errorf("with the right password: %v", err)
			}
			write(t, a.file("wrong"), "another password\n")
			wrong := good
			wrong.PasswordFile = a.file("wrong")
			if err := works(t.Context(), broker, wrong); err == nil {
				t.Error("it works with a wrong password")
			}
			strange := good
			strange.CAFile = newAuthority(t).file("ca.pem")
			if err := works(t.Context(), broker, strange); err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("with a broker of another authority: %v", err)
			}
			if err := works(t.Context(), broker, kafkax.Security{Plaintext: true}); err == nil {
				t.Error("it works in plaintext")
			}
		})
	}
}

func TestSecurity_ClientCertificate(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	broker := cluster(t, kfake.TLS(a.server(t, tls.RequireAndVerifyClientCert)))
	a.leaf(t, "bill", x509.ExtKeyUsageClientAuth)
	if err := works(t.Context(), broker, kafkax.Security{CAFile: a.file("ca.pem"), CertFile: a.file("bill.pem"), KeyFile: a.file("bill.key")}); err != nil {
		t.Errorf("with a certificate of the authority: %v", err)
	}
	other := newAuthority(t)
	other.leaf(t, "bill", x509.ExtKeyUsageClientAuth)
	if err := works(t.Context(), broker, kafkax.Security{CAFile: a.file("ca.pem"), CertFile: other.file("bill.pem"), KeyFile: other.file("bill.key")}); err == nil {
		t.Error("it works with a certificate of another authority")
	}
}

// TestSecurity_PasswordChangesWhileRunning: the next connection uses the password that the file holds then.
func TestSecurity_PasswordChangesWhileRunning(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	broker := cluster(t, kfake.TLS(a.server(t, tls.NoClientCert)), kfake.EnableSASL(), kfake.Superuser("PLAIN", "bill", "new"))
	write(t, a.file("password"), "old")
	c, err := kafkax.New(kafkax.Config{Brokers: []string{broker},
		Security: kafkax.Security{CAFile: a.file("ca.pem"), Mechanism: "PLAIN", User: "bill", PasswordFile: a.file("password")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.EnsureTopics(t.Context(), topic); err == nil {
		t.Fatal("it works with the old password")
	}
	write(t, a.file("password"), "new")
	testkit.Eventually(t, 20*time.Second, func() error { return c.EnsureTopics(t.Context(), topic) })
}

// TestEnsureTopics_WithoutTheRightToMakeThem: a service with least rights finds the topics that an operator made, and says which is missing.
func TestEnsureTopics_WithoutTheRightToMakeThem(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	write(t, a.file("password"), "p")
	see := kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: topic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationDescribe, Allow: true}
	missing := see
	missing.Name = "creditpay.none.events.v1"
	broker := cluster(t, kfake.TLS(a.server(t, tls.NoClientCert)), kfake.EnableSASL(), kfake.EnableACLs(), kfake.SeedTopics(1, topic),
		kfake.User("PLAIN", "bill", "p", see, missing))
	c, err := kafkax.New(kafkax.Config{Brokers: []string{broker},
		Security: kafkax.Security{CAFile: a.file("ca.pem"), Mechanism: "PLAIN", User: "bill", PasswordFile: a.file("password")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.EnsureTopics(t.Context(), topic); err != nil {
		t.Errorf("a topic that exists: %v", err)
	}
	if err := c.EnsureTopics(t.Context(), topic, missing.Name); err == nil || !strings.Contains(err.Error(), missing.Name) {
		t.Errorf("a topic that does not exist: %v", err)
	}
}

func TestSecurity_WhatIsMissingIsNamedInFull(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		security kafkax.Security
		want     []string // in the error; none for no error
	}{
		"nothing":               {kafkax.Security{}, []string{"CREDITPAY_KAFKA_SASL_MECHANISM", "CREDITPAY_KAFKA_TLS_CERT_FILE", "CREDITPAY_KAFKA_PLAINTEXT=true"}},
		"plaintext":             {kafkax.Security{Plaintext: true}, nil},
		"plaintext and a CA":    {kafkax.Security{Plaintext: true, CAFile: "ca"}, []string{"CREDITPAY_KAFKA_PLAINTEXT", "CREDITPAY_KAFKA_TLS_CA_FILE"}},
		"plaintext and a user":  {kafkax.Security{Plaintext: true, User: "u"}, []string{"CREDITPAY_KAFKA_SASL_USER"}},
		"a CA only":             {kafkax.Security{CAFile: "ca"}, []string{"cannot see who connects"}},
		"a certificate, no key": {kafkax.Security{CertFile: "c"}, []string{"CREDITPAY_KAFKA_TLS_KEY_FILE"}},
		"a certificate":         {kafkax.Security{CertFile: "c", KeyFile: "k"}, nil},
		"a user only":           {kafkax.Security{User: "u", PasswordFile: "p"}, []string{"CREDITPAY_KAFKA_SASL_MECHANISM", "SCRAM-SHA-512"}},
		"a mechanism only":      {kafkax.Security{Mechanism: "PLAIN"}, []string{"CREDITPAY_KAFKA_SASL_USER", "CREDITPAY_KAFKA_SASL_PASSWORD_FILE"}},
		"another mechanism":     {kafkax.Security{Mechanism: "GSSAPI", User: "u", PasswordFile: "p"}, []string{"GSSAPI", "SCRAM-SHA-256"}},
		"a mechanism":           {kafkax.Security{Mechanism: "SCRAM-SHA-256", User: "u", PasswordFile: "p"}, nil},
	} {
		err := c.security.Validate()
		if (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
		for _, word := range c.want {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q does not name %s", name, err, word)
			}
		}
	}
}

func TestSecurity_FilesAreReadAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty, open, secret := filepath.Join(dir, "empty"), filepath.Join(dir, "open"), filepath.Join(dir, "secret")
	write(t, empty, "\n")
	write(t, secret, "p")
	write(t, open, "p")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	with := func(password string) kafkax.Security {
		return kafkax.Security{Mechanism: "PLAIN", User: "u", PasswordFile: password}
	}
	noCA := with(secret)
	noCA.CAFile = empty
	for name, c := range map[string]struct {
		security kafkax.Security
		want     string
	}{
		"no such password file":   {with(filepath.Join(dir, "none")), "CREDITPAY_KAFKA_SASL_PASSWORD_FILE"},
		"an empty password":       {with(empty), "one line"},
		"a password that is open": {with(open), "set 600"},
		"a CA without one":        {noCA, "CREDITPAY_KAFKA_TLS_CA_FILE"},
		"no certificate":          {kafkax.Security{CertFile: empty, KeyFile: empty}, "CREDITPAY_KAFKA_TLS_CERT_FILE"},
	} {
		if _, err := kafkax.New(kafkax.Config{Brokers: []string{"127.0.0.1:1"}, Security: c.security}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
