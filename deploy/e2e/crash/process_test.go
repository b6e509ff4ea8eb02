package crash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/localbroker"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// brokerDirEnv makes the test binary a broker with its data in that directory, so that a test has a broker to kill.
const brokerDirEnv = "CREDITPAY_CRASH_TEST_BROKER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(brokerDirEnv); dir != "" {
		os.Exit(serveBroker(dir))
	}
	sweep()
	testkit.Main(m, func() error { return os.RemoveAll(programDir()) })
}

// programDir holds the built stack of this test binary.
func programDir() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("%s%d", programPrefix, os.Getpid()))
}

const programPrefix = "creditpay-crash-"

// sweep removes what test binaries that failed or were killed left behind.
func sweep() {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), programPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), programPrefix))
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(dir) // Best effort: what stays is tried again next time.
		}
	}
}

func serveBroker(dir string) int {
	b, err := localbroker.Start(localbroker.Config{Dir: dir, GroupSessionMin: time.Second})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("serves at", b.Addr())
	select {} // Until it is killed.
}

// program builds the development stack, once for all tests.
var program = sync.OnceValues(func() (string, error) {
	file := filepath.Join(programDir(), "devstack")
	out, err := exec.Command("go", "build", "-o", file, "github.com/creditpay/creditpay/deploy/devstack/cmd/devstack").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the stack: %w\n%s", err, out)
	}
	return file, nil
})

// output is what a process printed.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// process is a child that is going to be killed.
type process struct {
	cmd  *exec.Cmd
	out  output
	done chan struct{}
}

// run starts a program with only the given CREDITPAY_ variables and waits until it prints a text.
func run(file string, env []string, ready string) (*process, error) {
	p := &process{cmd: exec.Command(file), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = childAttributes()
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CREDITPAY_") {
			p.cmd.Env = append(p.cmd.Env, v)
		}
	}
	p.cmd.Env = append(p.cmd.Env, env...)
	started := make(chan error, 1)
	go func() {
		// The kernel's death signal comes when the starting thread ends, so that thread lives as long as the child.
		runtime.LockOSThread()
		defer close(p.done)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // A killed process has no other end.
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for !strings.Contains(p.out.String(), ready) {
		select {
		case <-tick.C:
		case <-p.done:
			return nil, fmt.Errorf("%s ended while it started:\n%s", filepath.Base(file), &p.out)
		case <-limit:
			p.kill()
			return nil, fmt.Errorf("%s did not start:\n%s", filepath.Base(file), &p.out)
		}
	}
	return p, nil
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // It fails only when the process has ended.
	<-p.done
}

// dead tells whether the process has ended.
func (p *process) dead() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// arm makes the process count its transactions from now on, and returns when it does.
func (p *process) arm(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	// The kernel's word that the signal was taken; the program needs microseconds from there, a call's way in takes longer.
	testkit.Eventually(t, 5*time.Second, func() error {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		if p.dead() {
			return nil // It was faster.
		}
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			name, mask, _ := strings.Cut(strings.TrimSpace(line), ":")
			if (name == "SigPnd" || name == "ShdPnd") && strings.Trim(mask, "\t0") != "" {
				return errors.New("the signal is pending")
			}
		}
		return nil
	})
}

// freeAddr finds a port below the range from which the kernel takes the ports of outgoing connections.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return addr
	}
	t.Fatal("no free port was found")
	return ""
}

// shortDir is a directory in memory where there is one, with a path that is short enough for sockets.
func shortDir(t *testing.T) string {
	t.Helper()
	base := "/dev/shm"
	if _, err := os.Stat(base); err != nil {
		base = os.TempDir()
	}
	dir, err := os.MkdirTemp(base, "cp-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// pause lets time pass while others work; false when ctx ended. It is not a wait for a condition: crashes come when they come.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
