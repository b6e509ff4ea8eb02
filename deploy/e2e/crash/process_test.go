package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/localbroker"
	"github.com/creditpay/creditpay/pkg/testkit"

	"github.com/creditpay/creditpay/deploy/devstack/program"
)

// brokerDirEnv makes the test binary a broker with its data in that directory, so that a test has a broker to kill.
const brokerDirEnv = "CREDITPAY_CRASH_TEST_BROKER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(brokerDirEnv); dir != "" {
		os.Exit(serveBroker(dir))
	}
	testkit.Main(m, program.Remove)
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

// process is a child that is going to be killed.
type process struct{ *program.Process }

// run starts a program with only the given CREDITPAY_ variables and waits until it prints a text.
func run(file string, env []string, ready string) (*process, error) {
	p, err := program.Start(file, env, ready)
	if err != nil {
		return nil, err
	}
	return &process{p}, nil
}

// arm makes the process count its transactions from now on, and returns when it does.
func (p *process) arm(t *testing.T) {
	t.Helper()
	if err := p.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	// The kernel's word that the signal was taken; the program needs microseconds from there, a call's way in takes longer.
	testkit.Eventually(t, 5*time.Second, func() error {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
		if p.Dead() {
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

func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := program.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// shortDir is a directory in memory that is removed when the test ends.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := program.MemoryDir()
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
