package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	opsv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/ops/v1"

	"github.com/creditpay/creditpay/pkg/caller"

	"github.com/creditpay/creditpay/deploy/audit"
	"github.com/creditpay/creditpay/deploy/devstack"
	"github.com/creditpay/creditpay/deploy/keys"
)

// stack is a running development stack with the clients of its callers.
type stack struct {
	*devstack.Stack
	dir    string
	tokens *keys.Ring
	conn   *grpc.ClientConn
	http   *http.Client
	// healthy is how long it took from the beginning of the start until /healthz answered.
	healthy time.Duration

	cancel context.CancelFunc
	ended  chan error
	said   *lines
}

// lines takes what the stack says, for a test that fails.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// freePort finds a port below the range from which the kernel gives ports to outgoing connections: one of those could take it
// between this look and the stack's listen.
func freePort() (string, error) {
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		return addr, l.Close()
	}
	return "", errors.New("no free port was found")
}

// start starts a stack with its state in dir and waits until it serves and is seeded.
func start(dir string) (*stack, error) { return startAs(devstack.Config{StateDir: dir}) }

// startAs is start for a stack that is configured, but for its addresses, its log and its rate.
func startAs(c devstack.Config) (*stack, error) {
	httpAddr, err := freePort()
	if err != nil {
		return nil, err
	}
	grpcAddr, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &stack{dir: c.StateDir, ended: make(chan error, 1), said: &lines{}, http: &http.Client{Timeout: 30 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	begin := time.Now()
	c.HTTPAddr, c.GRPCAddr, c.LogLevel, c.CallerRate = httpAddr, grpcAddr, "error", 50_000
	s.Stack, err = devstack.New(ctx, c, s.said)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start the stack: %w\n%s", err, s.said)
	}
	go func() { s.ended <- s.Run(ctx) }()
	if err := s.waitUntilServing(begin); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	if s.tokens, err = keys.Open(devstack.KeysDir(c.StateDir)); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	// A plain client: it shows the wire as it is, without the suite's own translation of errors and without repeats.
	s.conn, err = grpc.NewClient(s.Info.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// waitUntilServing waits for /healthz, and then for the last line of the stack's welcome: the demo data is there.
func (s *stack) waitUntilServing(begin time.Time) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(60 * time.Second)
	for {
		if s.healthy == 0 && s.answers("/healthz") {
			s.healthy = time.Since(begin)
		}
		if s.healthy > 0 && strings.Contains(s.said.String(), "make audit") {
			return nil
		}
		select {
		case err := <-s.ended:
			s.ended <- err
			return fmt.Errorf("the stack ended while it started: %w\n%s", err, s.said)
		case <-limit:
			return fmt.Errorf("the stack did not start within a minute\n%s", s.said)
		case <-tick.C:
		}
	}
}

func (s *stack) answers(path string) bool {
	res, err := s.http.Get(s.Info.HTTP + path)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// stop ends the stack in order.
func (s *stack) stop() error {
	var err error
	if s.conn != nil {
		err = s.conn.Close()
	}
	s.cancel()
	return errors.Join(err, <-s.ended)
}

// as is a context that calls with a token; an empty one calls without.
func as(ctx context.Context, token string) context.Context {
	if token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

func (s *stack) spm(t testing.TB) context.Context { return as(t.Context(), s.Credentials.SPMToken) }

func (s *stack) admin(t testing.TB) context.Context { return as(t.Context(), s.Credentials.AdminToken) }

// mint makes a token for another caller.
func (s *stack) mint(t testing.TB, c caller.Caller) string {
	t.Helper()
	token, err := s.tokens.Mint(c, time.Hour, time.Now())
	if err != nil {
		t.Fatalf("make a token for %s: %v", c, err)
	}
	return token
}

// now is the time by the stack's clock.
func (s *stack) now(t testing.TB) time.Time {
	t.Helper()
	offset, err := devstack.ClockOffset(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	return time.Now().Add(offset)
}

// advance moves the stack's clock.
func (s *stack) advance(t testing.TB, d time.Duration) {
	t.Helper()
	if err := s.tryAdvance(s.admin(t), d); err != nil {
		t.Fatalf("advance the clock by %s: %v", d, err)
	}
}

func (s *stack) tryAdvance(ctx context.Context, d time.Duration) error {
	_, err := opsv1.NewOpsServiceClient(s.conn).AdvanceClock(ctx, &opsv1.AdvanceClockRequest{Duration: durationpb.New(d)})
	return told(err)
}

func (s *stack) auditConfig() (audit.Config, error) {
	offset, err := devstack.ClockOffset(s.dir)
	return audit.Config{Order: s.Info.Schemas["order"], Payment: s.Info.Schemas["payment"], Bill: s.Info.Schemas["bill"],
		Refund: s.Info.Schemas["refund"], Notification: s.Info.Schemas["notification"],
		Now: func() time.Time { return time.Now().Add(offset) }, Settle: -1}, err
}

// findings are what the audit finds now.
func (s *stack) findings(ctx context.Context) ([]audit.Finding, error) {
	c, err := s.auditConfig()
	if err != nil {
		return nil, err
	}
	r, err := audit.Run(ctx, c)
	if err == nil && r.Checks == 0 {
		err = errors.New("the audit looked at nothing")
	}
	return r.Findings, err
}

// lasting waits until every finding of the first look has vanished once, and gives those that have not within the time. What
// other tests move at the same moment comes and goes; what is wrong stays.
func (s *stack) lasting(ctx context.Context, within time.Duration) ([]audit.Finding, error) {
	deadline := time.Now().Add(within)
	left, err := s.findings(ctx)
	for err == nil && len(left) > 0 && time.Now().Before(deadline) {
		var again []audit.Finding
		again, err = s.findings(ctx)
		left = slices.DeleteFunc(left, func(f audit.Finding) bool {
			return !slices.ContainsFunc(again, func(g audit.Finding) bool { return f.Service == g.Service && f.Check == g.Check && f.ID == g.ID })
		})
	}
	return left, err
}

// proveBooks fails the test when the audit finds something that stays.
func (s *stack) proveBooks(t testing.TB) {
	t.Helper()
	left, err := s.lasting(t.Context(), 15*time.Second)
	if err != nil {
		t.Fatalf("audit: %v", err)
	}
	for _, f := range left {
		t.Errorf("audit: %s %s %s: %s", f.Service, f.Check, f.ID, f.Text)
	}
}

// The stacks that tests share. Isolation on the first is by user, merchant and order numbers. The second is for tests that move
// the clock, count rows or break something: one has it at a time.
var (
	sharedStack = &lazyStack{name: "shared"}
	aloneStack  = &lazyStack{name: "alone"}
)

// lazyStack is started by the first test that asks for it and stopped by TestMain.
type lazyStack struct {
	name  string
	once  sync.Once
	taken sync.Mutex
	s     *stack
	err   error
}

func (l *lazyStack) get(t testing.TB) *stack {
	t.Helper()
	l.once.Do(func() {
		var dir string
		if dir, l.err = stateDir(l.name); l.err == nil {
			l.s, l.err = start(dir)
		}
	})
	if l.err != nil {
		t.Fatal(l.err)
	}
	return l.s
}

// shared is the stack for tests that run beside each other.
func shared(t testing.TB) *stack { return sharedStack.get(t) }

// alone is the stack that the test has for itself until it ends.
func alone(t testing.TB) *stack {
	t.Helper()
	aloneStack.taken.Lock()
	t.Cleanup(aloneStack.taken.Unlock)
	return aloneStack.get(t)
}

// root is where all stacks of this test binary keep their state: in memory where there is such a place, because a sandbox's disk
// would be measured otherwise.
var root = sync.OnceValues(func() (string, error) {
	if dir, err := os.MkdirTemp("/dev/shm", "creditpay-e2e-"); err == nil {
		return dir, nil
	}
	return os.MkdirTemp("", "creditpay-e2e-")
})

func stateDir(name string) (string, error) {
	dir, err := root()
	return filepath.Join(dir, name), err
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := endStacks(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// endStacks proves the books of every stack once more, now that nothing moves, stops them and removes their state.
func endStacks() error {
	var wrong []error
	for _, l := range []*lazyStack{sharedStack, aloneStack} {
		if l.s == nil {
			continue
		}
		left, err := l.s.lasting(context.Background(), 15*time.Second)
		for _, f := range left {
			err = errors.Join(err, fmt.Errorf("audit of the %s stack: %s %s %s: %s", l.name, f.Service, f.Check, f.ID, f.Text))
		}
		wrong = append(wrong, err, l.s.stop())
	}
	if dir, err := root(); err == nil {
		wrong = append(wrong, os.RemoveAll(dir))
	}
	return errors.Join(wrong...)
}
