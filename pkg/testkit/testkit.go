// Package testkit gives tests a real database, a real broker and a way to wait
// for a condition. It owns their life: one private MariaDB per test binary,
// started at first use and removed at the end, one fresh schema per test.
//
// It must be imported by tests only, must know no schema of the project, and
// never skips: a test that needs a database and gets none fails.
//
// A package that uses Database, MySQL or MySQLInstance says in one of its tests:
//
//	func TestMain(m *testing.M) { testkit.Main(m) }
package testkit

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/creditpay/creditpay/pkg/kafkax"
	"github.com/creditpay/creditpay/pkg/localbroker"
)

// EnvDSN names a server to test against instead of a private one, in the form
// of github.com/go-sql-driver/mysql; its user must be allowed to create and
// drop schemas. Its schema name is ignored.
const EnvDSN = "CREDITPAY_TEST_MYSQL_DSN"

// shared is the test binary's database. It is the one global of this package:
// the testing package hands nothing from TestMain to the tests.
var shared = newServer(os.Getenv)

// Main runs the tests, stops what they started, runs the checks in after (only
// if the tests passed) and exits the process. Nothing is started before a test
// asks for it.
func Main(m *testing.M, after ...func() error) {
	os.Exit(runMain(m, shared, after))
}

func runMain(m interface{ Run() int }, s *server, after []func() error) int {
	s.enable()
	code := m.Run()
	if err := s.close(); err != nil {
		fmt.Fprintln(os.Stderr, "testkit: stop the test database:", err)
		code = max(code, 1)
	}
	if code != 0 {
		return code
	}
	for _, check := range after {
		if err := check(); err != nil {
			fmt.Fprintln(os.Stderr, "testkit:", err)
			code = 1
		}
	}
	return code
}

// Leaks is a check for Main: it reports goroutines that outlive the tests.
func Leaks() error { return goleak.Find() }

// Broker starts an in-memory Kafka-protocol broker for this test, with the
// given topics, and returns its address (host:port). Consumer groups may use
// session timeouts down to 1 s. It is closed when the test ends.
func Broker(t testing.TB, topics ...localbroker.Topic) string {
	t.Helper()
	b, err := localbroker.Start(localbroker.Config{GroupSessionMin: time.Second})
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("testkit: close broker: %v", err)
		}
	})
	if err := b.EnsureTopics(t.Context(), topics); err != nil {
		t.Fatalf("testkit: %v", err)
	}
	return b.Addr()
}

// Kafka is a client of a broker of this machine, closed when the test ends.
func Kafka(t testing.TB, addr string) *kafkax.Client {
	t.Helper()
	c, err := kafkax.New(kafkax.Config{Brokers: []string{addr}, Security: kafkax.Security{Plaintext: true}})
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

// pollInterval is how often Eventually looks.
const pollInterval = 5 * time.Millisecond

// Condition is what Eventually waits for: true, or no error.
type Condition interface{ func() bool | func() error }

// Eventually calls condition every few milliseconds until it holds, and fails
// the test if it does not within the given time, showing its last error. It
// runs condition on the caller's goroutine.
func Eventually[C Condition](t testing.TB, within time.Duration, condition C) {
	t.Helper()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for expired := false; ; {
		err := holds(condition)
		if err == nil {
			return
		}
		if expired {
			t.Fatalf("condition not met within %s: %v", within, err)
			return
		}
		select {
		case <-ticker.C:
		case <-deadline.C:
			expired = true // look a last time: the goroutine may have been late
		}
	}
}

func holds[C Condition](condition C) error {
	switch condition := any(condition).(type) {
	case func() error:
		return condition()
	case func() bool:
		if !condition() {
			return fmt.Errorf("it is false")
		}
	}
	return nil
}
