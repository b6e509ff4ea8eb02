package service

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"go.opentelemetry.io/otel/attribute"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/rpckit"
	"github.com/creditpay/creditpay/pkg/text"
)

// Prefix stands before the name of every environment variable of the suite.
const Prefix = "CREDITPAY_"

// Off is the address that means "do not listen".
const Off = "off"

// Config is what every process of the suite is told by its environment. What is absent is safe.
type Config struct {
	// GRPCAddr is where gRPC listens, "host:port"; "off" for a process without gRPC.
	GRPCAddr string `env:"GRPC_ADDR" envDefault:":9090"`
	// HTTPAddr is where /healthz and a bare /readyz listen, and REST where there is any; "off" for none.
	HTTPAddr string `env:"HTTP_ADDR" envDefault:":8080"`
	// OpsAddr is where /metrics, /readyz with the names of what is not ready, and /debug/pprof listen: an address that only
	// operators reach. "off" for none.
	OpsAddr string `env:"OPS_ADDR" envDefault:"127.0.0.1:8081"`
	// Reflection offers gRPC reflection, without a token, to whoever reaches GRPCAddr: for development.
	Reflection bool `env:"GRPC_REFLECTION" envDefault:"false"`
	// LogLevel is the least level that is logged: debug, info, warn or error.
	LogLevel string `env:"LOG_LEVEL" envDefault:"info"`
	// LogFormat is json, or console for people.
	LogFormat string `env:"LOG_FORMAT" envDefault:"json"`
	// OTLPEndpoint is the URL of an OpenTelemetry collector (OTLP over gRPC), such as http://collector:4317; no traces when empty.
	OTLPEndpoint string `env:"OTLP_ENDPOINT"`
	// TracePercent is how many of 100 new traces are kept.
	TracePercent int `env:"TRACE_PERCENT" envDefault:"10"`
	// DrainTime bounds each step of an orderly end: calls at work, then background work.
	DrainTime time.Duration `env:"DRAIN_TIME" envDefault:"10s"`
	// MaxInFlight bounds the calls at work at the same time.
	MaxInFlight int `env:"MAX_IN_FLIGHT" envDefault:"256"`
	// MaxConnections bounds the open connections of gRPC, and those of HTTP.
	MaxConnections int `env:"MAX_CONNECTIONS" envDefault:"2048"`
	// MaxAddressConnections bounds those of one network address. Behind a balancer that hides addresses set it to MaxConnections.
	MaxAddressConnections int `env:"MAX_ADDRESS_CONNECTIONS" envDefault:"256"`
	// CallRates is how often one caller may call gRPC, by kind: calls a second on average and at once. A kind that is not named is
	// not limited. Each process counts for itself.
	CallRates rpckit.Rates `env:"CALL_RATES" envDefault:"SPM=5000/10000,H5=20/60,ADMIN=500/1000,MERCHANT=50/200,CHANNEL=500/1000"`
	// AddressRate is how many gRPC calls a second one network address may make without a good token, twice as many at once.
	AddressRate int `env:"ADDRESS_RATE" envDefault:"100"`
	// TokenKeysFile holds the public keys of bearer tokens and what each may sign for (auth.LoadKeySet). Required by Main.
	TokenKeysFile string `env:"TOKEN_KEYS_FILE"`
	// TokenMaxLifetime is the longest lifetime of a token that is accepted.
	TokenMaxLifetime time.Duration `env:"TOKEN_MAX_LIFETIME" envDefault:"24h"`
	// TokenRevokedFile is the list of tokens that are refused though they are good (auth.LoadRevocations); none when empty.
	TokenRevokedFile string `env:"TOKEN_REVOKED_FILE"`
	// OIDCFile names the outside issuers whose tokens operators and payers may bring (auth.IssuerConfig); none when empty.
	OIDCFile string `env:"OIDC_FILE"`
	// HomeMarketplace is the name of the marketplace whose payers, orders and merchants have no owner before their names.
	HomeMarketplace string `env:"HOME_MARKETPLACE" envDefault:"marketplace"`
	// TokenSigningKeyFile holds the private key with which this process signs its own token, for calls to its peers.
	TokenSigningKeyFile string `env:"TOKEN_SIGNING_KEY_FILE"`
	// GRPCPlaintext lets gRPC listen without a certificate: for loopback and meshes that encrypt below us.
	GRPCPlaintext bool `env:"GRPC_PLAINTEXT" envDefault:"false"`
	// TLSCertFile protects gRPC, in PEM; read again when it changes.
	TLSCertFile string `env:"TLS_CERT_FILE"`
	// TLSKeyFile is the private key of TLSCertFile.
	TLSKeyFile string `env:"TLS_KEY_FILE"`
	// TLSClientCAFile holds the authorities whose certificates every client of gRPC must show (mutual TLS); none are asked for when
	// empty.
	TLSClientCAFile string `env:"TLS_CLIENT_CA_FILE"`
	// PeerPlaintext allows calls to peers without TLS: for loopback and meshes that encrypt below us.
	PeerPlaintext bool `env:"PEER_PLAINTEXT" envDefault:"false"`
	// PeerCAFile holds the authorities that peers' certificates are verified with; the system's when empty.
	PeerCAFile string `env:"PEER_CA_FILE"`
	// PeerCertFile is the certificate that this process shows its peers, in PEM; none when empty.
	PeerCertFile string `env:"PEER_CERT_FILE"`
	// PeerKeyFile is the private key of PeerCertFile.
	PeerKeyFile string `env:"PEER_KEY_FILE"`
}

// LoadConfig reads Config from the environment. It fails, naming all mistakes, when a value is malformed.
func LoadConfig() (Config, error) {
	var c Config
	if err := Parse(&c); err != nil {
		return Config{}, err
	}
	return c, c.Validate()
}

// Parse reads any config struct with env tags from the environment, with Prefix before each name: a service's own config.
func Parse(into any) error {
	if err := env.ParseWithOptions(into, env.Options{Prefix: Prefix}); err != nil {
		return fmt.Errorf("read environment: %w", err)
	}
	return nil
}

// Validate names everything that is wrong with c.
func (c Config) Validate() error {
	var wrong []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	_, levelError := zapcore.ParseLevel(c.LogLevel)
	check(levelError == nil, "CREDITPAY_LOG_LEVEL %q is not debug, info, warn or error", c.LogLevel)
	check(c.LogFormat == "json" || c.LogFormat == "console", "CREDITPAY_LOG_FORMAT %q is not json or console", c.LogFormat)
	if c.OTLPEndpoint != "" {
		u, err := url.Parse(c.OTLPEndpoint)
		check(err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https"), "CREDITPAY_OTLP_ENDPOINT is not an http(s) URL")
	}
	check(c.TracePercent >= 0 && c.TracePercent <= 100, "CREDITPAY_TRACE_PERCENT %d is not within 0 and 100", c.TracePercent)
	check(c.DrainTime > 0 && c.DrainTime <= 5*time.Minute, "CREDITPAY_DRAIN_TIME %s is not within 0 and 5m", c.DrainTime)
	check(c.MaxInFlight > 0 && c.MaxInFlight <= 100_000, "CREDITPAY_MAX_IN_FLIGHT %d is not within 1 and 100000", c.MaxInFlight)
	check(c.MaxConnections > 0 && c.MaxConnections <= 1_000_000, "CREDITPAY_MAX_CONNECTIONS %d is not within 1 and 1000000", c.MaxConnections)
	check(c.MaxAddressConnections > 0, "CREDITPAY_MAX_ADDRESS_CONNECTIONS %d is not 1 or more", c.MaxAddressConnections)
	check(c.AddressRate > 0 && c.AddressRate <= 1_000_000, "CREDITPAY_ADDRESS_RATE %d is not within 1 and 1000000", c.AddressRate)
	check(c.TokenMaxLifetime > 0 && c.TokenMaxLifetime <= auth.LongestLifetime, "CREDITPAY_TOKEN_MAX_LIFETIME %s is not within 0 and %s", c.TokenMaxLifetime, auth.LongestLifetime)
	return errors.Join(append(wrong, c.checkTLS())...)
}

// Defaults is Config when the environment says nothing, for tests and for the one-process stack.
func Defaults() Config {
	var c Config
	// No environment, only the defaults of the tags: that cannot fail but by a mistake in them, which the tests see.
	_ = env.ParseWithOptions(&c, env.Options{Environment: map[string]string{"none": ""}})
	return c
}

// listens reports whether an address is to be listened on.
func listens(addr string) bool { return addr != "" && !strings.EqualFold(addr, Off) }

// NewLogger is the log of a process, with its name in every line. It fails for an unknown level or format.
func NewLogger(c Config, name string) (*zap.Logger, error) {
	level, err := zap.ParseAtomicLevel(c.LogLevel)
	if err != nil {
		return nil, fmt.Errorf("make logger: %w", err)
	}
	config := zap.NewProductionConfig()
	if c.LogFormat == "console" {
		config = zap.NewDevelopmentConfig()
		config.DisableStacktrace = true
	}
	config.Level = level
	// Sampling would drop lines that an operator looks for.
	config.Sampling = nil
	config.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	config.EncoderConfig.EncodeDuration = zapcore.StringDurationEncoder
	log, err := config.Build(zap.WrapCore(func(zapcore.Core) zapcore.Core {
		encoder := zapcore.NewJSONEncoder(config.EncoderConfig)
		if c.LogFormat == "console" {
			encoder = zapcore.NewConsoleEncoder(config.EncoderConfig)
		}
		return zapcore.NewCore(text.LogEncoder(encoder), zapcore.Lock(os.Stderr), level)
	}))
	if err != nil {
		return nil, fmt.Errorf("make logger: %w", err)
	}
	return log.Named(name), nil
}

// Tracing is where spans go, and what to call at the end so that the last ones are sent. The provider is nil when no collector
// is configured.
func Tracing(ctx context.Context, c Config, name string) (trace.TracerProvider, func(context.Context) error, error) {
	if c.OTLPEndpoint == "" {
		return nil, func(context.Context) error { return nil }, nil
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(c.OTLPEndpoint))
	if err != nil {
		return nil, nil, fmt.Errorf("set up tracing: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "creditpay-"+name))),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(float64(c.TracePercent)/100))),
	)
	return provider, provider.Shutdown, nil
}

// NewVerifier is the verifier of bearer tokens: with the keys of TokenKeysFile, and the revocation list and outside issuers that are
// configured. Run it, so that the keys of outside issuers stay fresh.
func NewVerifier(c Config, log *zap.Logger) (*auth.Verifier, error) {
	if c.TokenKeysFile == "" {
		return nil, errors.New(Prefix + "TOKEN_KEYS_FILE is not set: the public keys of tokens, see creditctl keypair")
	}
	config := auth.VerifierConfig{MaxLifetime: c.TokenMaxLifetime, Home: c.HomeMarketplace}
	keys, err := auth.LoadKeySet(c.TokenKeysFile, func(err error) { log.Warn("token keys", zap.Error(err)) })
	if err != nil {
		return nil, fmt.Errorf("%sTOKEN_KEYS_FILE %s: %w", Prefix, c.TokenKeysFile, err)
	}
	if c.TokenRevokedFile != "" {
		config.Revoked, err = auth.LoadRevocations(c.TokenRevokedFile, func(err error) { log.Error("revoked tokens", zap.Error(err)) })
		if err != nil {
			return nil, fmt.Errorf("%sTOKEN_REVOKED_FILE %s: %w", Prefix, c.TokenRevokedFile, err)
		}
	}
	if c.OIDCFile != "" {
		config.Outside, err = auth.LoadOutside(c.OIDCFile, func(err error) { log.Warn("outside issuers", zap.Error(err)) })
		if err != nil {
			return nil, fmt.Errorf("%sOIDC_FILE %s: %w", Prefix, c.OIDCFile, err)
		}
	}
	return auth.NewVerifier(keys, config)
}

// NewTokenSource makes the process of that name its own SERVICE token, renewed every half hour, signed with TokenSigningKeyFile. It
// fails when that key is of another service.
func NewTokenSource(c Config, name string) (*auth.Source, error) {
	if c.TokenSigningKeyFile == "" {
		return nil, errors.New(Prefix + "TOKEN_SIGNING_KEY_FILE is not set: the private key of this service, see creditctl keypair")
	}
	signer, err := auth.LoadSigner(c.TokenSigningKeyFile)
	if err != nil {
		return nil, err
	}
	source, err := auth.NewSource(signer, caller.Caller{Kind: caller.Service, Name: name}, time.Hour, clock.System())
	if err != nil {
		return nil, fmt.Errorf("%sTOKEN_SIGNING_KEY_FILE %s: %w", Prefix, c.TokenSigningKeyFile, err)
	}
	return source, nil
}
