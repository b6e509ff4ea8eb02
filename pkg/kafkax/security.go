package kafkax

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// Security is how connections to brokers are protected, read from CREDITPAY_KAFKA_*. Without Plaintext they use TLS, and this
// process shows the brokers who it is: by SASL, by a client certificate, or by both.
type Security struct {
	// Plaintext allows connections without TLS and without SASL: for a broker on this machine. Nothing else may be set then.
	Plaintext bool `env:"KAFKA_PLAINTEXT" envDefault:"false"`
	// CAFile holds the certificates, in PEM, that the brokers' certificates must come from; empty for the machine's own list.
	CAFile string `env:"KAFKA_TLS_CA_FILE"`
	// CertFile is the client certificate in PEM, read again for each connection; empty for none.
	CertFile string `env:"KAFKA_TLS_CERT_FILE"`
	// KeyFile is the private key of CertFile, in PEM.
	KeyFile string `env:"KAFKA_TLS_KEY_FILE"`
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty for no SASL.
	Mechanism string `env:"KAFKA_SASL_MECHANISM"`
	// User is the name for SASL.
	User string `env:"KAFKA_SASL_USER"`
	// PasswordFile holds the password for SASL, one line, read again for each connection; mode 600 or 640.
	PasswordFile string `env:"KAFKA_SASL_PASSWORD_FILE"`
}

// The full names of the variables, for messages.
const (
	envPlaintext = "CREDITPAY_KAFKA_PLAINTEXT"
	envCA        = "CREDITPAY_KAFKA_TLS_CA_FILE"
	envCert      = "CREDITPAY_KAFKA_TLS_CERT_FILE"
	envKey       = "CREDITPAY_KAFKA_TLS_KEY_FILE"
	envMechanism = "CREDITPAY_KAFKA_SASL_MECHANISM"
	envUser      = "CREDITPAY_KAFKA_SASL_USER"
	envPassword  = "CREDITPAY_KAFKA_SASL_PASSWORD_FILE"
)

// Mechanisms of SASL.
const (
	MechanismPlain       = "PLAIN"
	MechanismScramSHA256 = "SCRAM-SHA-256"
	MechanismScramSHA512 = "SCRAM-SHA-512"
)

// Validate names everything that is missing or contradicts itself, with the full names of the variables. It reads no file.
func (s Security) Validate() error {
	if s.Plaintext {
		if s != (Security{Plaintext: true}) {
			return fmt.Errorf("%s is true: unset it, or unset %s, %s, %s, %s, %s and %s", envPlaintext, envCA, envCert, envKey,
				envMechanism, envUser, envPassword)
		}
		return nil
	}
	var wrong []error
	if (s.CertFile == "") != (s.KeyFile == "") {
		wrong = append(wrong, fmt.Errorf("%s and %s go together: set both or none", envCert, envKey))
	}
	switch s.Mechanism {
	case "":
		if s.User != "" || s.PasswordFile != "" {
			wrong = append(wrong, fmt.Errorf("%s is not set, but %s or %s is: set it to %s, %s or %s", envMechanism, envUser, envPassword,
				MechanismPlain, MechanismScramSHA256, MechanismScramSHA512))
		} else if s.CertFile == "" {
			wrong = append(wrong, fmt.Errorf("the brokers cannot see who connects: set %s, %s and %s, or %s and %s; for a broker on this machine set %s=true",
				envMechanism, envUser, envPassword, envCert, envKey, envPlaintext))
		}
	case MechanismPlain, MechanismScramSHA256, MechanismScramSHA512:
		if s.User == "" {
			wrong = append(wrong, fmt.Errorf("%s is not set, but %s is", envUser, envMechanism))
		}
		if s.PasswordFile == "" {
			wrong = append(wrong, fmt.Errorf("%s is not set, but %s is", envPassword, envMechanism))
		}
	default:
		wrong = append(wrong, fmt.Errorf("%s is %q: want %s, %s or %s", envMechanism, s.Mechanism, MechanismPlain, MechanismScramSHA256, MechanismScramSHA512))
	}
	return errors.Join(wrong...)
}

// tlsConfig returns the settings of TLS; nil for plaintext.
func (s Security) tlsConfig() (*tls.Config, error) {
	if s.Plaintext {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", envCA, err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read %s: %s holds no certificate in PEM", envCA, s.CAFile)
		}
	}
	if s.CertFile == "" {
		return c, nil
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read %s and %s: %w", envCert, envKey, err)
		}
		return &pair, nil
	}
	if _, err := load(); err != nil {
		return nil, err
	}
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	return c, nil
}

// mechanism returns how this process shows who it is; nil for no SASL.
func (s Security) mechanism() (sasl.Mechanism, error) {
	if s.Mechanism == "" {
		return nil, nil
	}
	m := fromFile(s)
	_, err := m.now()
	if err != nil {
		return nil, err
	}
	return m, nil
}

// fromFile is a SASL mechanism that reads its password for each connection, so that passwords change without a restart.
type fromFile Security

// Name implements sasl.Mechanism.
func (f fromFile) Name() string { return f.Mechanism }

// Start implements sasl.Mechanism.
func (f fromFile) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	m, err := f.now()
	if err != nil {
		return nil, nil, err
	}
	return m.Start(ctx)
}

// now is the mechanism with the password as it stands in the file.
func (f fromFile) now() (sasl.Mechanism, error) {
	stat, err := os.Stat(f.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", envPassword, err)
	}
	if stat.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("read %s: %s has mode %o, which lets everybody read it: set 600 or 640", envPassword, f.PasswordFile, stat.Mode().Perm())
	}
	raw, err := os.ReadFile(f.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", envPassword, err)
	}
	password := strings.TrimRight(string(raw), "\r\n")
	if password == "" || strings.ContainsAny(password, "\r\n") {
		return nil, fmt.Errorf("read %s: %s must hold the password in one line", envPassword, f.PasswordFile)
	}
	switch f.Mechanism {
	case MechanismScramSHA256:
		return scram.Mechanism(scram.SHA256, f.User, password)
	case MechanismScramSHA512:
		return scram.Mechanism(scram.SHA512, f.User, password)
	default:
		return plain.Mechanism{Username: f.User, Password: password}, nil
	}
}
