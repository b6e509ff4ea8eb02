package localdb_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/creditpay/creditpay/pkg/localdb"
)

// ownerDirEnv makes this test binary play a process that owns a database and
// is then killed; see TestKilledOwnerTakesTheServerDownAndLosesNothing.
const ownerDirEnv = "LOCALDB_TEST_OWNER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerDirEnv); dir != "" {
		ownUntilKilled(dir)
	}
	if _, err := localdb.FindOrInstall(context.Background(), func(line string) { fmt.Println(line) }); err != nil {
		fmt.Fprintln(os.Stderr, "no database to test with:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func ownUntilKilled(dir string) {
	db, err := localdb.Start(context.Background(), small(dir))
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(db.PID())
	select {} // until SIGKILL
}

func small(dir string) localdb.Config {
	return localdb.Config{Dir: dir, BufferPoolMB: 64, LogFileMB: 8}
}

// tempDir is short (unix sockets) and in memory where possible.
func tempDir(t *testing.T) string {
	t.Helper()
	base := "/dev/shm"
	if _, err := os.Stat(base); err != nil {
		base = ""
	}
	dir, err := os.MkdirTemp(base, "localdb-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func start(t *testing.T, cfg localdb.Config) *localdb.Instance {
	t.Helper()
	i, err := localdb.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.Kill(); _ = i.Stop(context.Background()) })
	return i
}

func exec1(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func text(t *testing.T, dsn, query string) string {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var got string
	if err := db.QueryRowContext(t.Context(), query).Scan(&got); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return got
}

func makeTable(t *testing.T, i *localdb.Instance) {
	t.Helper()
	exec1(t, i.AdminDSN(), "CREATE DATABASE s")
	exec1(t, i.DSN("s"), "CREATE TABLE r (id INT PRIMARY KEY)", "INSERT INTO r VALUES (1), (2)")
}

func TestCommittedRowsSurviveStopKillAndRestart(t *testing.T) {
	t.Parallel()
	cfg := small(tempDir(t))
	i := start(t, cfg)
	makeTable(t, i)
	pid := i.PID()
	i.Kill()
	if i.PID() != 0 {
		t.Error("killed server still has a process id")
	}
	if err := i.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if i.PID() == pid || i.PID() == 0 {
		t.Errorf("process id after restart: %d, before: %d", i.PID(), pid)
	}
	exec1(t, i.DSN("s"), "INSERT INTO r VALUES (3)")
	if rss, err := i.RSS(); err != nil || rss < 10<<20 || rss > 1<<30 {
		t.Errorf("RSS %d, %v", rss, err)
	}
	if err := i.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := i.Restart(t.Context()); err == nil {
		t.Error("Restart after Stop must be refused")
	}
	again := start(t, cfg)
	if got := text(t, again.DSN("s"), "SELECT COUNT(*) FROM r"); got != "3" {
		t.Errorf("%s rows, want 3", got)
	}
}

func TestTwoInstancesSideBySideDoNotMeet(t *testing.T) {
	t.Parallel()
	a, b := start(t, small(tempDir(t))), start(t, small(tempDir(t)))
	makeTable(t, a)
	if got := text(t, b.AdminDSN(), "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 's'"); got != "0" {
		t.Error("the second instance sees the first one's schema")
	}
}

func TestSettingsAreStrictUTCAndReadCommitted(t *testing.T) {
	t.Parallel()
	cfg := small(tempDir(t))
	cfg.Durability = localdb.Fast
	i := start(t, cfg)
	exec1(t, i.AdminDSN(), "CREATE DATABASE s")
	for query, want := range map[string]string{
		"SELECT @@tx_isolation":                           "READ-COMMITTED",
		"SELECT @@time_zone":                              "+00:00",
		"SELECT @@collation_database":                     "utf8mb4_bin",
		"SELECT @@collation_connection":                   "utf8mb4_bin",
		"SELECT @@innodb_lock_wait_timeout":               "5",
		"SELECT @@max_connections":                        "500",
		"SELECT @@max_allowed_packet":                     "16777216",
		"SELECT @@innodb_flush_log_at_trx_commit":         "0",
		"SELECT @@skip_networking":                        "1",
		"SELECT @@sql_mode LIKE '%STRICT_ALL_TABLES%'":    "1",
		"SELECT @@sql_mode LIKE '%ONLY_FULL_GROUP_BY%'":   "1",
		"SELECT @@innodb_buffer_pool_size DIV 1048576":    "64",
		"SELECT COUNT(*) FROM mysql.user WHERE user = ''": "0",
		"SELECT @@innodb_log_file_size DIV (1024 * 1024)": "8",
		"SELECT @@log_bin":                                "0",
	} {
		if got := text(t, i.DSN("s"), query); got != want {
			t.Errorf("%s = %s, want %s", query, got, want)
		}
	}
}

func TestUnfinishedBootstrapIsRedone(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	// What a crash in the middle of a bootstrap leaves.
	if err := os.MkdirAll(filepath.Join(dir, "data.new", "mysql"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data.new", "ibdata1"), []byte("half a page"), 0o600); err != nil {
		t.Fatal(err)
	}
	i := start(t, small(dir))
	makeTable(t, i)
	if _, err := os.Stat(filepath.Join(dir, "data.new")); !os.IsNotExist(err) {
		t.Errorf("data.new is still there: %v", err)
	}
}

func TestInterruptedBootstrapLeavesNoDataDirectory(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if i, err := localdb.Start(ctx, small(dir)); err == nil {
		i.Kill()
		t.Fatal("a start cannot be done in 30 ms")
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); !os.IsNotExist(err) {
		t.Fatalf("a half made data directory is in place: %v", err)
	}
	makeTable(t, start(t, small(dir)))
}

func TestSecondOwnerOfADirectoryIsRefused(t *testing.T) {
	t.Parallel()
	cfg := small(tempDir(t))
	i := start(t, cfg)
	for _, state := range []string{"running", "killed"} {
		_, err := localdb.Start(t.Context(), cfg)
		if err == nil || !strings.Contains(err.Error(), "in use") || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
			t.Fatalf("%s: error %v, want a refusal naming directory and process", state, err)
		}
		i.Kill()
	}
}

func TestLongOrOddDirectoryNamesStillGetASocket(t *testing.T) {
	t.Parallel()
	for _, name := range []string{strings.Repeat("long", 30), "odd (x)@/tcp"} {
		i := start(t, small(filepath.Join(tempDir(t), name)))
		makeTable(t, i)
		if err := i.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKilledOwnerTakesTheServerDownAndLosesNothing(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Log("other systems have no parent-death signal; see child_other.go")
		return
	}
	dir := tempDir(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ownerDirEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pid, convErr := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || convErr != nil {
		_ = cmd.Process.Kill()
		t.Fatalf("owner said %q, %v", line, err)
	}
	dsn := "root@unix(" + filepath.Join(dir, "s.sock") + ")/"
	exec1(t, dsn, "CREATE DATABASE s", "CREATE TABLE s.r (id INT PRIMARY KEY)", "INSERT INTO s.r VALUES (1)")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed"
	// The new owner waits for the orphan to end instead of refusing.
	i := start(t, small(dir))
	if err := syscall.Kill(pid, 0); err == nil && i.PID() != pid {
		state, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if !strings.Contains(string(state), ") Z ") { // a zombie nobody reaps is dead too
			t.Errorf("the server %d of the killed owner still runs", pid)
		}
	}
	if got := text(t, i.DSN("s"), "SELECT COUNT(*) FROM r"); got != "1" {
		t.Errorf("%s rows, want 1", got)
	}
}

func TestServerOutlivesTheThreadThatAskedForIt(t *testing.T) {
	t.Parallel()
	cfg := small(tempDir(t))
	started := make(chan *localdb.Instance)
	go func() {
		runtime.LockOSThread() // not unlocked: the thread ends with the goroutine
		i, err := localdb.Start(context.Background(), cfg)
		if err != nil {
			t.Error(err)
		}
		started <- i
	}()
	i := <-started
	if i == nil {
		t.FailNow()
	}
	t.Cleanup(func() { i.Kill(); _ = i.Stop(context.Background()) })
	select {
	case <-i.Exited():
		t.Fatal("the server got the parent-death signal although the process lives")
	case <-time.After(300 * time.Millisecond): // a clean stop takes 20 ms
	}
	makeTable(t, i)
}

func TestFailedStartShowsTheServersLog(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	cfg := small(dir)
	if err := start(t, cfg).Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "ibdata1"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := localdb.Start(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "ibdata1") {
		t.Fatalf("error %v, want the server's own words about ibdata1", err)
	}
}
