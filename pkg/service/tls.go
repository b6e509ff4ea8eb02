package service

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/creditpay/creditpay/pkg/rpckit"
)

// checkTLS names what is wrong with the protection of connections, as far as it does not depend on whether gRPC listens.
func (c Config) checkTLS() error {
	var wrong []error
	check := func(ok bool, text string) {
		if !ok {
			wrong = append(wrong, errors.New(text))
		}
	}
	check((c.TLSCertFile == "") == (c.TLSKeyFile == ""), "CREDITPAY_TLS_CERT_FILE and CREDITPAY_TLS_KEY_FILE go together")
	check(c.TLSClientCAFile == "" || c.TLSCertFile != "", "CREDITPAY_TLS_CLIENT_CA_FILE needs CREDITPAY_TLS_CERT_FILE and CREDITPAY_TLS_KEY_FILE")
	check(!c.GRPCPlaintext || c.TLSCertFile == "", "CREDITPAY_GRPC_PLAINTEXT contradicts CREDITPAY_TLS_CERT_FILE; leave one of them out")
	check((c.PeerCertFile == "") == (c.PeerKeyFile == ""), "CREDITPAY_PEER_CERT_FILE and CREDITPAY_PEER_KEY_FILE go together")
	check(!c.PeerPlaintext || c.PeerCAFile == "" && c.PeerCertFile == "", "CREDITPAY_PEER_PLAINTEXT contradicts CREDITPAY_PEER_CA_FILE and CREDITPAY_PEER_CERT_FILE")
	return errors.Join(wrong...)
}

// serverTLS is how gRPC is protected; nil for plaintext, which must have been chosen. With TLSClientCAFile every client shows a
// certificate (mutual TLS).
func (c Config) serverTLS() (*tls.Config, error) {
	if c.TLSCertFile == "" {
		if !c.GRPCPlaintext {
			return nil, errors.New("gRPC has no certificate, and tokens must not travel in the open: set " + Prefix + "TLS_CERT_FILE and " + Prefix +
				"TLS_KEY_FILE, or " + Prefix + "GRPC_PLAINTEXT=true on the loopback and in a mesh that encrypts")
		}
		return nil, nil
	}
	pair, err := loadPair(c.TLSCertFile, c.TLSKeyFile)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.get(), nil }}
	if c.TLSClientCAFile != "" {
		if config.ClientCAs, err = loadCA(c.TLSClientCAFile); err != nil {
			return nil, err
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config, nil
}

// Peers is how connections to peers are protected: TLS with the authorities of PeerCAFile, or the system's, and with the certificate
// of PeerCertFile where peers want one; plaintext where that was chosen.
func (c Config) Peers() (rpckit.ClientConfig, error) {
	if c.PeerPlaintext {
		return rpckit.ClientConfig{Transport: rpckit.Plaintext}, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if c.PeerCAFile != "" {
		if config.RootCAs, err = loadCA(c.PeerCAFile); err != nil {
			return rpckit.ClientConfig{}, err
		}
	}
	if c.PeerCertFile != "" {
		pair, err := loadPair(c.PeerCertFile, c.PeerKeyFile)
		if err != nil {
			return rpckit.ClientConfig{}, err
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.get(), nil }
	}
	return rpckit.ClientConfig{Transport: rpckit.TLS, TLSConfig: config}, nil
}

// loadCA reads the certificates of authorities, in PEM.
func loadCA(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("load authorities: %s holds no certificate in PEM", path)
	}
	return pool, nil
}

// pair is a certificate with its key, read again when its file changes: certificates are renewed while a process runs.
type pair struct {
	certFile, keyFile string

	mu      sync.Mutex
	looked  time.Time
	modTime time.Time
	current *tls.Certificate
}

func loadPair(certFile, keyFile string) (*pair, error) {
	p := &pair{certFile: certFile, keyFile: keyFile}
	return p, p.read()
}

func (p *pair) read() error {
	stat, err := os.Stat(p.certFile)
	if err != nil {
		return fmt.Errorf("load certificate: %w", err)
	}
	loaded, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
	if err != nil {
		return fmt.Errorf("load certificate: %w", err)
	}
	p.modTime, p.current = stat.ModTime(), &loaded
	return nil
}

// get returns the certificate, and looks at its file at most once a second. While the files do not fit, as between two writes, the
// certificate read before stays.
func (p *pair) get() *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.looked) >= time.Second {
		p.looked = now
		if stat, err := os.Stat(p.certFile); err == nil && !stat.ModTime().Equal(p.modTime) {
			_ = p.read() // The next handshake looks again.
		}
	}
	return p.current
}
