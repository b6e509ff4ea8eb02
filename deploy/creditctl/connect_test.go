package creditctl_test

import (
	"bytes"
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

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/deploy/creditctl"
)

// forged is a reason that draws an approval and a new line, hides what follows, and turns a line around.
const forged = "gift\x1b[1A\r\n  2026-01-02T00:00:00.000Z  PENDING → APPROVED operator:bob: fine\x1b[8m\u009b2J\u202eesrever\x00"

// storyteller answers every question with texts of a caller who wants to be believed.
type storyteller struct {
	orderv1.UnimplementedOrderServiceServer
	refundv1.UnimplementedRefundServiceServer
}

func (storyteller) GetOrderDetail(context.Context, *orderv1.GetOrderDetailRequest) (*orderv1.GetOrderDetailResponse, error) {
	return &orderv1.GetOrderDetailResponse{Detail: &orderv1.OrderDetail{
		Order:       &orderv1.OrderBrief{OrderId: "ord_1", MerchantId: forged, OutOrderNo: forged},
		ContractIds: []string{forged},
		Timeline:    []*commonv1.TimelineEntry{{Actor: forged, Cause: forged, ToState: forged}}}}, nil
}

func (storyteller) GetRefund(context.Context, *refundv1.GetRefundRequest) (*refundv1.GetRefundResponse, error) {
	return &refundv1.GetRefundResponse{Refund: &refundv1.Refund{RefundId: "rfd_1", Reason: forged, Failure: forged, Requester: forged,
		ApprovalsNeeded: 1, Approvers: []string{forged}, Timeline: []*commonv1.TimelineEntry{{Actor: forged, Cause: forged}}}}, nil
}

// serve serves the storyteller and returns its address.
func serve(t *testing.T, options ...grpc.ServerOption) string {
	t.Helper()
	server := grpc.NewServer(options...)
	orderv1.RegisterOrderServiceServer(server, storyteller{})
	refundv1.RegisterRefundServiceServer(server, storyteller{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func run(t *testing.T, addr string, args ...string) (string, error) {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := creditctl.New(&out)
	cmd.SetArgs(append([]string{"--grpc", addr, "--token-file", token, "--timeout", "5s"}, args...))
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// What an approver reads has a line for each fact and nothing that a terminal obeys, whatever callers wrote.
func TestShow_PrintsForeignTextVisibly(t *testing.T) {
	t.Parallel()
	addr := serve(t)
	for _, c := range []struct {
		args  []string
		lines int
	}{{[]string{"order", "show", "ord_1"}, 8}, {[]string{"refund", "show", "rfd_1"}, 5}} {
		out, err := run(t, addr, c.args...)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out, "\n"); n != c.lines {
			t.Errorf("%v: %d lines, want %d:\n%q", c.args, n, c.lines, out)
		}
		if i := strings.IndexAny(out, "\x1b\r\x00\u009b\u202e"); i >= 0 || !strings.Contains(out, `gift\u{1b}[1A\u{d}\u{a}`) {
			t.Errorf("%v: a control character at %d of %q", c.args, i, out)
		}
	}
}

// authority makes certificates for a test and keeps them as files.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.issue("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue signs a certificate and writes it and its key as <name>.pem and <name>.key.
func (a *authority) issue(name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := c, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(a.file(file), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return made, key
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// server issues a server's certificate and returns its settings, which ask callers for one of ours.
func (a *authority) server() grpc.ServerOption {
	a.t.Helper()
	a.issue("server", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	pair, err := tls.LoadX509KeyPair(a.file("server.pem"), a.file("server.key"))
	if err != nil {
		a.t.Fatal(err)
	}
	callers := x509.NewCertPool()
	callers.AddCert(a.cert)
	return grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: callers,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}))
}

func TestConnect_SpeaksMutualTLS(t *testing.T) {
	t.Parallel()
	ours, others := newAuthority(t), newAuthority(t)
	addr := serve(t, ours.server())
	for _, a := range []*authority{ours, others} {
		a.issue("operator", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	}
	for name, c := range map[string]struct {
		flags []string
		ok    bool
	}{
		"mutual":                 {[]string{"--tls-ca", ours.file("ca.pem"), "--tls-cert", ours.file("operator.pem"), "--tls-key", ours.file("operator.key")}, true},
		"no certificate of ours": {[]string{"--tls-ca", ours.file("ca.pem")}, false},
		"another's certificate":  {[]string{"--tls-ca", ours.file("ca.pem"), "--tls-cert", others.file("operator.pem"), "--tls-key", others.file("operator.key")}, false},
		"an unknown server":      {[]string{"--tls-ca", others.file("ca.pem"), "--tls-cert", ours.file("operator.pem"), "--tls-key", ours.file("operator.key")}, false},
		"another name":           {[]string{"--tls-ca", ours.file("ca.pem"), "--tls-server-name", "pay.example", "--tls-cert", ours.file("operator.pem"), "--tls-key", ours.file("operator.key")}, false},
		"plaintext":              {[]string{"--plaintext"}, false},
		"both":                   {[]string{"--plaintext", "--tls-ca", ours.file("ca.pem")}, false},
		"half a pair":            {[]string{"--tls-cert", ours.file("operator.pem")}, false},
		"no such file":           {[]string{"--tls-ca", ours.file("nothing.pem")}, false},
		"not a certificate":      {[]string{"--tls-ca", ours.file("ca.key")}, false},
	} {
		if _, err := run(t, addr, append(c.flags, "--timeout", "2s", "refund", "show", "rfd_1")...); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Beyond this machine nothing, the token least of all, is sent in the open unless that was asked for.
func TestConnect_IsTLSBeyondThisMachine(t *testing.T) {
	t.Parallel()
	for addr, plain := range map[string]bool{"127.0.0.1:9090": true, "localhost:9090": true, "[::1]:9090": true, "10.0.0.7:9090": false,
		"pay.example:9090": false, "localhost.example:9090": false, "0.0.0.0:9090": false, "dns:///localhost:9090": false, "127.0.0.1": false} {
		if got := creditctl.Loopback(addr); got != plain {
			t.Errorf("%s: plaintext %v, want %v", addr, got, plain)
		}
	}
}
