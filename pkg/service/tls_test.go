package service_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/creditpay/creditpay/pkg/rpckit"
	"github.com/creditpay/creditpay/pkg/service"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// authority signs certificates for a test; its own is in the file ca.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	ca   string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{ca: filepath.Join(t.TempDir(), "ca.pem"), cert: &x509.Certificate{SerialNumber: big.NewInt(1),
		Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	a.write(t, a.ca, a.cert, &a.key.PublicKey)
	return a
}

func (a *authority) write(t *testing.T, path string, template *x509.Certificate, public *ecdsa.PublicKey) {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// issue writes a certificate for 127.0.0.1, which serves both ends of a connection, and its key.
func (a *authority) issue(t *testing.T, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	a.write(t, certFile, &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "peer"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, &key.PublicKey)
}

// leaf is a new certificate with its key, in files.
func (a *authority) leaf(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	a.issue(t, certFile, keyFile)
	return certFile, keyFile
}

// protected is a config without plaintext, which a test fills in.
func protected() service.Config {
	c := config()
	c.GRPCPlaintext = false
	return c
}

// health asks a host for its health the way a process with config c calls its peers.
func health(t *testing.T, addr string, c service.Config) error {
	t.Helper()
	client, err := c.Peers()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := rpckit.Dial(addr, client)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	answer, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{})
	if err == nil && answer.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		return errors.New(answer.GetStatus().String())
	}
	return err
}

func TestTLS_NoCertificateNeedsTheFlag(t *testing.T) {
	t.Parallel()
	_, err := service.New(protected(), deps())
	for _, want := range []string{"CREDITPAY_TLS_CERT_FILE", "CREDITPAY_TLS_KEY_FILE", "CREDITPAY_GRPC_PLAINTEXT"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
	off := protected()
	off.GRPCAddr = service.Off
	if _, err := service.New(off, deps()); err != nil {
		t.Errorf("a process without gRPC: %v", err)
	}
}

func TestTLS_ContradictionsAreRefused(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*service.Config){
		"TLS_KEY_FILE":       func(c *service.Config) { c.TLSCertFile = "x" },
		"TLS_CLIENT_CA_FILE": func(c *service.Config) { c.TLSClientCAFile = "x" },
		"GRPC_PLAINTEXT":     func(c *service.Config) { c.GRPCPlaintext, c.TLSCertFile, c.TLSKeyFile = true, "x", "y" },
		"PEER_KEY_FILE":      func(c *service.Config) { c.PeerCertFile = "x" },
		"PEER_PLAINTEXT":     func(c *service.Config) { c.PeerPlaintext, c.PeerCAFile = true, "x" },
	} {
		c := protected()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := protected()
	c.PeerCAFile = empty
	if _, err := c.Peers(); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("authorities that are none: %v", err)
	}
}

// Plaintext meets TLS in both directions, and a certificate of nobody's authority both ways: no call comes through.
func TestTLS_PlaintextIsRefusedBothWays(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	serverCert, serverKey := ours.leaf(t)
	clientCert, clientKey := ours.leaf(t)
	foreignCert, foreignKey := theirs.leaf(t)

	plain, tls, mutual := config(), protected(), protected()
	tls.TLSCertFile, tls.TLSKeyFile = serverCert, serverKey
	mutual.TLSCertFile, mutual.TLSKeyFile, mutual.TLSClientCAFile = serverCert, serverKey, ours.ca
	servers := map[string]string{}
	for name, c := range map[string]service.Config{"plain": plain, "tls": tls, "mutual": mutual} {
		host, _, _ := run(t, c, deps())
		servers[name] = host.Addrs().GRPC
	}
	client := func(change func(*service.Config)) service.Config {
		c := protected()
		change(&c)
		return c
	}
	clients := map[string]service.Config{
		"plain":       client(func(c *service.Config) { c.PeerPlaintext = true }),
		"system's":    client(func(*service.Config) {}),
		"authority":   client(func(c *service.Config) { c.PeerCAFile = ours.ca }),
		"certificate": client(func(c *service.Config) { c.PeerCAFile, c.PeerCertFile, c.PeerKeyFile = ours.ca, clientCert, clientKey }),
		"foreign": client(func(c *service.Config) {
			c.PeerCAFile, c.PeerCertFile, c.PeerKeyFile = ours.ca, foreignCert, foreignKey
		}),
	}
	want := map[string]string{"plain": "plain", "tls": "authority certificate foreign", "mutual": "certificate"}
	for server, addr := range servers {
		for name, c := range clients {
			err := health(t, addr, c)
			if allowed := strings.Contains(" "+want[server]+" ", " "+name+" "); (err == nil) != allowed {
				t.Errorf("client %q at server %q: %v, allowed is %t", name, server, err, allowed)
			}
		}
	}
}

func TestTLS_RenewedCertificateIsTaken(t *testing.T) {
	t.Parallel()
	old, fresh := newAuthority(t), newAuthority(t)
	c := protected()
	c.TLSCertFile, c.TLSKeyFile = old.leaf(t)
	host, _, _ := run(t, c, deps())
	client := protected()
	client.PeerCAFile = fresh.ca
	if err := health(t, host.Addrs().GRPC, client); err == nil {
		t.Fatal("a certificate of another authority was taken")
	}
	fresh.issue(t, c.TLSCertFile, c.TLSKeyFile)
	testkit.Eventually(t, 20*time.Second, func() error { return health(t, host.Addrs().GRPC, client) })
}
