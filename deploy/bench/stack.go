package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/creditpay/creditpay/pkg/localbroker"
	"github.com/creditpay/creditpay/pkg/localdb"
	"github.com/creditpay/creditpay/pkg/secret"

	"github.com/creditpay/creditpay/deploy/keys"
)

const servicesModule = "github.com/creditpay/creditpay/services"

// The processes of a stack beside MariaDB. Those that own tables come first.
const (
	orderProcess   = "order"
	paymentProcess = "payment"
	billProcess    = "bill"
	refundProcess  = "refund"
	// notificationProcess runs in the measurement of webhooks only.
	notificationProcess = "notification"
	gatewayProcess      = "gateway"
	brokerProcess       = "broker"
	limitProcess        = "limit"
)

func servicesWithSchema() []string {
	return []string{orderProcess, paymentProcess, billProcess, refundProcess}
}

// suite is every process that is built from the services module, in the order of their starts. Refund takes no part in a purchase
// but the gateway is ready only when it is there.
func suite() []string { return append(servicesWithSchema(), gatewayProcess) }

func schemaOf(service string) string { return "creditpay_" + service }

// stack is the suite as in production: every service a process of its own, plain loopback between them.
type stack struct {
	dir    string
	bin    string
	db     *localdb.Instance
	admin  *sql.DB
	tokens *keys.Ring
	// proofs are the keys by which the order service proves checkouts.
	proofs *secret.Keyring
	dsns   map[string]string

	grpcAddr, httpAddr, opsAddr map[string]string
	brokerAddr                  string
	limitAddr                   string

	processes []*process
	// healthAfter is the time from a process's start to its first healthy answer.
	healthAfter map[string]time.Duration
}

// buildServices builds the binaries into bin.
func buildServices(ctx context.Context, bin string) error {
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return fmt.Errorf("build the services: %w", err)
	}
	args := []string{"build", "-o", bin + string(filepath.Separator)}
	for _, name := range append(suite(), notificationProcess) {
		args = append(args, servicesModule+"/"+name+"/cmd/"+name)
	}
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("build the services: %w\n%s", err, out)
	}
	return nil
}

// openStack starts MariaDB with the yardsticks' schema and one for each service. startServices starts the rest.
func openStack(ctx context.Context, dir, bin string, bufferPoolMB int) (s *stack, err error) {
	server, err := localdb.FindOrInstall(ctx, func(line string) { fmt.Fprintln(os.Stderr, line) })
	if err != nil {
		return nil, err
	}
	s = &stack{
		dir: dir, bin: bin, dsns: map[string]string{}, grpcAddr: map[string]string{}, httpAddr: map[string]string{},
		opsAddr: map[string]string{}, healthAfter: map[string]time.Duration{},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.db, err = localdb.Start(ctx, localdb.Config{Dir: filepath.Join(dir, "mysql"), Server: server, BufferPoolMB: bufferPoolMB, LogFileMB: 1024})
	if err != nil {
		return s, fmt.Errorf("start MariaDB: %w", err)
	}
	if s.admin, err = sql.Open("mysql", s.db.AdminDSN()); err != nil {
		return s, err
	}
	// Counts transactions that wrote; off by default.
	if _, err := s.admin.ExecContext(ctx, `SET GLOBAL innodb_monitor_enable = 'trx_rw_commits'`); err != nil {
		return s, fmt.Errorf("switch the transaction counter on: %w", err)
	}
	if err := prepareYardstick(ctx, s.db.AdminDSN()); err != nil {
		return s, err
	}
	return s, s.prepareSchemas(ctx)
}

// prepareSchemas gives every service its own schema and its own user, as in production.
func (s *stack) prepareSchemas(ctx context.Context) error {
	for _, name := range append(servicesWithSchema(), notificationProcess) {
		schema, password := schemaOf(name), fmt.Sprintf("bench-%d-%s", os.Getpid(), name)
		for _, q := range []string{
			"CREATE DATABASE " + schema + " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
			"CREATE USER '" + schema + "'@'localhost' IDENTIFIED BY '" + password + "'",
			"GRANT ALL ON " + schema + ".* TO '" + schema + "'@'localhost'",
		} {
			if _, err := s.admin.ExecContext(ctx, q); err != nil {
				return fmt.Errorf("prepare the schema of %s: %w", name, err)
			}
		}
		config, err := mysql.ParseDSN(s.db.DSN(schema))
		if err != nil {
			return err
		}
		config.User, config.Passwd = schema, password
		s.dsns[name] = config.FormatDSN()
	}
	return nil
}

// startLimit starts the server of the limit.
func (s *stack) startLimit(ctx context.Context, free *ports) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if s.limitAddr, err = free.addr(); err != nil {
		return err
	}
	p, err := s.start(limitProcess, self, []string{LimitCommand, s.limitAddr, s.db.DSN(yardstickSchema)}, nil)
	if err != nil {
		return err
	}
	_, err = p.until(ctx, 10*time.Second, listensAt(s.limitAddr))
	return err
}

// startServices starts the broker, the services and the gateway, and waits until all are ready.
func (s *stack) startServices(ctx context.Context, free *ports) error {
	if err := s.makeKeys(); err != nil {
		return err
	}
	if err := s.startBroker(ctx, free); err != nil {
		return err
	}
	for _, name := range suite() {
		var err1, err2, err3 error
		s.grpcAddr[name], err1 = free.addr()
		s.httpAddr[name], err2 = free.addr()
		s.opsAddr[name], err3 = free.addr()
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
	}
	// One after the other, so that each start is timed on a quiet machine.
	for _, name := range suite() {
		p, err := s.start(name, filepath.Join(s.bin, name), nil, s.environment(name))
		if err != nil {
			return err
		}
		if s.healthAfter[name], err = p.until(ctx, 30*time.Second, answers("http://"+s.httpAddr[name]+"/healthz")); err != nil {
			return err
		}
	}
	for _, p := range s.processes {
		if addr := s.httpAddr[p.name]; addr != "" {
			if _, err := p.until(ctx, 30*time.Second, answers("http://"+addr+"/readyz")); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *stack) start(name, program string, args []string, env map[string]string) (*process, error) {
	p, err := startProcess(name, program, args, env, filepath.Join(s.dir, name+".log"))
	if err == nil {
		s.processes = append(s.processes, p)
	}
	return p, err
}

// killAndRestart ends a service at once and starts it again at its addresses.
func (s *stack) killAndRestart(ctx context.Context, name string) error {
	i := slices.IndexFunc(s.processes, func(p *process) bool { return p.name == name })
	if i < 0 {
		return fmt.Errorf("kill %s: it does not run", name)
	}
	s.processes[i].kill()
	s.processes = slices.Delete(s.processes, i, i+1)
	p, err := s.start(name, filepath.Join(s.bin, name), nil, s.environment(name))
	if err != nil {
		return err
	}
	_, err = p.until(ctx, 30*time.Second, answers("http://"+s.httpAddr[name]+"/healthz"))
	return err
}

func (s *stack) startBroker(ctx context.Context, free *ports) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if s.brokerAddr, err = free.addr(); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(s.brokerAddr)
	if err != nil {
		return err
	}
	p, err := s.start(brokerProcess, self, []string{BrokerCommand, filepath.Join(s.dir, "kafka"), port}, nil)
	if err != nil {
		return err
	}
	_, err = p.until(ctx, 10*time.Second, listensAt(s.brokerAddr))
	return err
}

// makeKeys writes what the services read their secrets from.
func (s *stack) makeKeys() error {
	var err error
	if s.tokens, err = keys.Open(filepath.Join(s.dir, "keys")); err != nil {
		return err
	}
	for _, name := range append(suite(), notificationProcess) {
		if _, err := s.tokens.Service(name); err != nil {
			return err
		}
	}
	if _, err := makeKeyring(s.keyringFile()); err != nil {
		return err
	}
	s.proofs, err = makeKeyring(s.proofsFile())
	return err
}

func makeKeyring(path string) (*secret.Keyring, error) {
	ring, err := secret.GenerateKeyring()
	if err != nil {
		return nil, err
	}
	text, err := ring.Reveal()
	if err != nil {
		return nil, err
	}
	return ring, os.WriteFile(path, text, 0o600)
}

func (s *stack) keyringFile() string { return filepath.Join(s.dir, "keyring.json") }

func (s *stack) proofsFile() string { return filepath.Join(s.dir, "checkout-proof-keyring.json") }

// environment is the configuration of a service.
func (s *stack) environment(name string) map[string]string {
	env := map[string]string{
		"CREDITPAY_GRPC_ADDR": s.grpcAddr[name],
		"CREDITPAY_HTTP_ADDR": s.httpAddr[name],
		"CREDITPAY_OPS_ADDR":  s.opsAddr[name],
		"CREDITPAY_LOG_LEVEL": "warn",
		// The load is of many payers; the one operator opens all their accounts at once.
		"CREDITPAY_MAX_ADDRESS_CONNECTIONS":     "2048",
		"CREDITPAY_ADDRESS_RATE":                "1000000", // health checks are a measure here
		"CREDITPAY_CALL_RATES":                  "ADMIN=100000/100000,SPM=100000/100000,H5=1000/1000",
		"CREDITPAY_TOKEN_KEYS_FILE":             s.tokens.KeySetFile(),
		"CREDITPAY_TOKEN_SIGNING_KEY_FILE":      s.tokens.ServiceFile(name),
		"CREDITPAY_PEER_PLAINTEXT":              "true",
		"CREDITPAY_GRPC_PLAINTEXT":              "true",
		"CREDITPAY_KEYRING_FILE":                s.keyringFile(),
		"CREDITPAY_CHECKOUT_PROOF_KEYRING_FILE": s.proofsFile(),
		"CREDITPAY_KAFKA_BROKERS":               s.brokerAddr,
		"CREDITPAY_KAFKA_PLAINTEXT":             "true",
		"CREDITPAY_ORDER_ADDR":                  s.grpcAddr[orderProcess],
		"CREDITPAY_PAYMENT_ADDR":                s.grpcAddr[paymentProcess],
		"CREDITPAY_BILL_ADDR":                   s.grpcAddr[billProcess],
		"CREDITPAY_REFUND_ADDR":                 s.grpcAddr[refundProcess],
		// Notification takes no part in a purchase and does not run here; its routes are called by nobody.
		"CREDITPAY_NOTIFICATION_ADDR": s.grpcAddr[refundProcess],
		// The load is of payers who signed long ago, and its million orders are copies of one purchase: nobody signs here.
		"CREDITPAY_ESIGN_REQUIRED": "false",
		"CREDITPAY_CASHIER_URL":    "http://" + s.httpAddr[gatewayProcess] + "/pay",
	}
	if dsn := s.dsns[name]; dsn != "" {
		env["CREDITPAY_MYSQL_DSN"] = dsn
	}
	if name == gatewayProcess {
		// All buyers come from one address here, and the limits are for abuse, not for load.
		env["CREDITPAY_GATEWAY_CALLER_RATE"], env["CREDITPAY_GATEWAY_CALLER_BURST"] = "1000000", "1000000"
		env["CREDITPAY_GATEWAY_ADDRESS_RATE"], env["CREDITPAY_GATEWAY_ADDRESS_BURST"] = "1000000", "1000000"
	}
	return env
}

// pids gives the processes that a purchase keeps busy, by name: the load generator is "bench".
func (s *stack) pids() map[string]int {
	out := map[string]int{"mariadb": s.db.PID(), "bench": os.Getpid()}
	for _, p := range s.processes {
		out[p.name] = p.pid()
	}
	return out
}

// close ends everything, the services before the broker and the database.
func (s *stack) close() error {
	var wrong error
	for _, p := range slices.Backward(s.processes) {
		if p.name != brokerProcess {
			wrong = errors.Join(wrong, p.stop())
		}
	}
	for _, p := range s.processes {
		if p.name == brokerProcess {
			wrong = errors.Join(wrong, p.stop())
		}
	}
	s.processes = nil
	if s.admin != nil {
		_ = s.admin.Close()
	}
	if s.db != nil {
		wrong = errors.Join(wrong, s.db.Stop(context.Background()))
	}
	return wrong
}

// ServeBroker is the process of the broker: it keeps its data in dir and serves on 127.0.0.1:port until ctx ends.
func ServeBroker(ctx context.Context, dir, port string) error {
	number, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("serve the broker: %w", err)
	}
	broker, err := localbroker.Start(localbroker.Config{Dir: dir, Port: number, GroupSessionMin: time.Second, Log: func(line string) { fmt.Fprintln(os.Stderr, line) }})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return broker.Close()
}
