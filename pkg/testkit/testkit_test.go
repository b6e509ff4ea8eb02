package testkit

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/localbroker"
)

func TestMain(m *testing.M) { Main(m, Leaks) }

// failing records the first Fatalf instead of failing the real test.
type failing struct {
	testing.TB
	message string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.message = strings.TrimSpace(format)
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			f.message += " " + err.Error()
		}
	}
	runtime.Goexit()
}

// failure runs body on its own goroutine and returns how it failed, or "".
func failure(t *testing.T, body func(testing.TB)) string {
	t.Helper()
	f := &failing{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		body(f)
	}()
	<-done
	return f.message
}

func TestEachCallGetsItsOwnEmptySchemaThatIsDroppedAfterwards(t *testing.T) {
	t.Parallel()
	if first, second := Database(t), Database(t); first == second {
		t.Fatal("two calls got one schema")
	}
	var schema string
	t.Run("user", func(t *testing.T) {
		db := MySQL(t)
		if _, err := db.ExecContext(t.Context(), "CREATE TABLE r (id INT PRIMARY KEY)"); err != nil {
			t.Fatal(err)
		}
		if err := db.QueryRowContext(t.Context(), "SELECT DATABASE()").Scan(&schema); err != nil {
			t.Fatal(err)
		}
	})
	var left int
	query := "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?"
	if err := MySQL(t).QueryRowContext(t.Context(), query, schema).Scan(&left); err != nil || left != 0 {
		t.Errorf("schema %s: %d left, %v", schema, left, err)
	}
}

func TestPrivateInstanceKeepsCommitsOverAKill(t *testing.T) {
	t.Parallel()
	i := MySQLInstance(t)
	if err := execute(i.AdminDSN(), "CREATE DATABASE s"); err != nil {
		t.Fatal(err)
	}
	i.Kill()
	if err := i.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := execute(i.DSN("s"), "CREATE TABLE r (id INT PRIMARY KEY)"); err != nil {
		t.Error(err)
	}
}

func TestExternalServerIsUsedWhenGiven(t *testing.T) {
	t.Parallel()
	i := MySQLInstance(t)
	s := newServer(func(name string) string { return map[string]string{EnvDSN: i.DSN("ignored")}[name] })
	dsn := s.database(t)
	if err := execute(dsn, "CREATE TABLE r (id INT PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	if s.instance != nil || s.root != nil {
		t.Error("a private server was started too")
	}
	if !strings.Contains(dsn, "parseTime=true") || !strings.Contains(dsn, "clientFoundRows=true") {
		t.Errorf("lax DSN %s", dsn)
	}
}

func TestAMissingDatabaseFailsTheTest(t *testing.T) {
	t.Parallel()
	s := newServer(func(name string) string {
		return map[string]string{EnvDSN: "root@unix(/nonexistent/s.sock)/"}[name]
	})
	if got := failure(t, func(tb testing.TB) { s.database(tb) }); !strings.Contains(got, "/nonexistent/s.sock") {
		t.Errorf("failure %q", got)
	}
	forgotten := newServer(func(string) string { return "" })
	if got := failure(t, func(tb testing.TB) { forgotten.database(tb) }); !strings.Contains(got, "testkit.Main") {
		t.Errorf("failure %q", got)
	}
}

func TestBrokerHasTheTopicsAskedFor(t *testing.T) {
	t.Parallel()
	a := Broker(t, localbroker.Topic{Name: "orders", Partitions: 2})
	if b := Broker(t); a == b {
		t.Errorf("two brokers at %s", a)
	}
}

func TestEventuallyReturnsWhenTrueAndFailsWithTheLastError(t *testing.T) {
	t.Parallel()
	calls := 0
	Eventually(t, 10*time.Second, func() bool { calls++; return calls == 3 })
	if calls != 3 {
		t.Errorf("%d calls", calls)
	}
	got := failure(t, func(tb testing.TB) {
		Eventually(tb, 20*time.Millisecond, func() error { return errors.New("still 2 of 3") })
	})
	if !strings.Contains(got, "still 2 of 3") {
		t.Errorf("failure %q", got)
	}
	if failure(t, func(tb testing.TB) { Eventually(tb, time.Millisecond, func() bool { return false }) }) == "" {
		t.Error("a false condition did not fail")
	}
}

func TestDirectoriesOfDeadRunsAreSweptAndOthersKept(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	const deadPID = 1 << 30 // above the largest process id of Linux (2^22)
	for _, name := range []string{
		rootPrefix + strconv.Itoa(deadPID) + "-1",
		rootPrefix + strconv.Itoa(os.Getpid()) + "-1",
		rootPrefix + "other", "foreign-" + strconv.Itoa(deadPID),
	} {
		if err := os.MkdirAll(filepath.Join(base, name, "shared"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	root, err := newRootDir(base)
	if err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(base)
	if err != nil || len(left) != 4 { // three kept, one new
		t.Errorf("left %v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(base, rootPrefix+strconv.Itoa(deadPID)+"-1")); !os.IsNotExist(err) {
		t.Errorf("the dead run's directory: %v", err)
	}
	if err := root.remove(); err != nil {
		t.Fatal(err)
	}
}

type runFunc func() int

func (f runFunc) Run() int { return f() }

func TestMainFailsWhenACheckFailsAndRemovesTheDatabase(t *testing.T) {
	t.Parallel()
	s := newServer(func(string) string { return "" })
	var root string
	code := runMain(runFunc(func() int {
		if _, err := s.start(); err != nil {
			t.Error(err)
			return 1
		}
		root = s.root.path
		return 0
	}), s, []func() error{func() error { return errors.New("a leak, on purpose") }})
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if _, err := os.Stat(root); root == "" || !os.IsNotExist(err) {
		t.Errorf("directory %q: %v", root, err)
	}
}
