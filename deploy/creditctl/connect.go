package creditctl

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/creditpay/creditpay/pkg/rpckit"
)

// tlsFiles say how the connection is protected: TLS, unless the address is on this machine or --plaintext says otherwise.
type tlsFiles struct {
	ca, cert, key string
	serverName    string
	plaintext     bool
}

func (f *tlsFiles) flags(to *pflag.FlagSet) {
	to.StringVar(&f.ca, "tls-ca", env("CTL_TLS_CA_FILE", ""), "file with the authorities that the server is checked by, in PEM; the system's without it (CREDITPAY_CTL_TLS_CA_FILE)")
	to.StringVar(&f.cert, "tls-cert", env("CTL_TLS_CERT_FILE", ""), "file with our own certificate, in PEM, where the server asks for one (CREDITPAY_CTL_TLS_CERT_FILE)")
	to.StringVar(&f.key, "tls-key", env("CTL_TLS_KEY_FILE", ""), "file with the private key of --tls-cert (CREDITPAY_CTL_TLS_KEY_FILE)")
	to.StringVar(&f.serverName, "tls-server-name", env("CTL_TLS_SERVER_NAME", ""), "name in the server's certificate, where it is not the address's (CREDITPAY_CTL_TLS_SERVER_NAME)")
	to.BoolVar(&f.plaintext, "plaintext", false, "no TLS, also to an address beyond this machine: the token travels in the open unless a mesh encrypts it")
}

// asked reports whether a flag names anything of TLS.
func (f *tlsFiles) asked() bool {
	return f.ca != "" || f.cert != "" || f.key != "" || f.serverName != ""
}

// transport chooses how to connect to addr, and reads the files.
func (f *tlsFiles) transport(addr string) (rpckit.Transport, *tls.Config, error) {
	switch {
	case f.plaintext && f.asked():
		return 0, nil, errors.New("--plaintext and the --tls flags exclude each other")
	case f.plaintext, !f.asked() && loopback(addr):
		return rpckit.Plaintext, nil, nil
	case (f.cert == "") != (f.key == ""):
		return 0, nil, errors.New("--tls-cert and --tls-key go together")
	}
	config := &tls.Config{ServerName: f.serverName, MinVersion: tls.VersionTLS12}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return 0, nil, fmt.Errorf("--tls-ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return 0, nil, fmt.Errorf("--tls-ca: %s holds no certificate in PEM", f.ca)
		}
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return 0, nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return rpckit.TLS, config, nil
}

// loopback reports whether "host:port" is on this machine. What it cannot read is not.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (t *target) connect(ctx context.Context) (context.Context, *grpc.ClientConn, error) {
	if err := t.find(); err != nil {
		return ctx, nil, err
	}
	transport, config, err := t.tls.transport(t.grpcAddr)
	if err != nil {
		return ctx, nil, err
	}
	conn, err := rpckit.Dial(t.grpcAddr, rpckit.ClientConfig{Transport: transport, TLSConfig: config, Deadline: t.timeout})
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+t.token), conn, err
}
