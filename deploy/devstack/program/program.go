// Package program owns the development stack as a process of its own, for tests that kill it, or that want it without the race detector
// that they run under themselves: it is built once for a test binary, started, watched and killed.
//
// It must not know what a test does with it.
package program

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
	"time"
)

const (
	dirPrefix = "creditpay-program-"
	// startTime bounds how long a process may take until it says that it is ready.
	startTime = time.Minute
)

// dir holds the built stack of this test binary.
func dir() string { return filepath.Join(os.TempDir(), fmt.Sprintf("%s%d", dirPrefix, os.Getpid())) }

var build = sync.OnceValues(func() (string, error) {
	sweep()
	file := filepath.Join(dir(), "devstack")
	out, err := exec.CommandContext(context.Background(), "go", "build", "-o", file, "github.com/creditpay/creditpay/deploy/devstack/cmd/devstack").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the stack: %w\n%s", err, out)
	}
	return file, nil
})

// Devstack builds the development stack, once, and gives its file. Remove removes it.
func Devstack() (string, error) { return build() }

// Remove removes what Devstack built.
func Remove() error { return os.RemoveAll(dir()) }

// sweep removes what test binaries that failed or were killed left behind.
func sweep() {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), dirPrefix))
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(dir) // Best effort: what stays is tried again next time.
		}
	}
}

// Output is what a process printed.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String is everything that was printed so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Process is a child. It dies with its parent.
type Process struct {
	// Out is what it printed.
	Out Output
	// Done is closed when it has ended.
	Done chan struct{}

	cmd *exec.Cmd
}

// Start starts a program with only the given CREDITPAY_ variables and waits until it prints a text.
func Start(file string, env []string, ready string) (*Process, error) {
	p := &Process{cmd: exec.CommandContext(context.Background(), file), Done: make(chan struct{})} // No context ends it: Kill and End do.
	p.cmd.Stdout, p.cmd.Stderr = &p.Out, &p.Out
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
		defer close(p.Done)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // A killed process has no other end.
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, p.await(ready)
}

func (p *Process) await(ready string) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(startTime)
	name := filepath.Base(p.cmd.Path)
	for !strings.Contains(p.Out.String(), ready) {
		select {
		case <-tick.C:
		case <-p.Done:
			return fmt.Errorf("%s ended while it started:\n%s", name, &p.Out)
		case <-limit:
			p.Kill()
			return fmt.Errorf("%s did not start:\n%s", name, &p.Out)
		}
	}
	return nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Kill is kill -9.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // It fails only when the process has ended.
	<-p.Done
}

// Dead tells whether the process has ended.
func (p *Process) Dead() bool {
	select {
	case <-p.Done:
		return true
	default:
		return false
	}
}

// End asks the process to end in order, and kills it when it has not after a while.
func (p *Process) End(within time.Duration) error {
	if p.Dead() {
		return fmt.Errorf("%s had ended by itself:\n%s", filepath.Base(p.cmd.Path), &p.Out)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	limit := time.NewTimer(within)
	defer limit.Stop()
	select {
	case <-p.Done:
		return nil
	case <-limit.C:
		p.Kill()
		return fmt.Errorf("%s did not end within %s:\n%s", filepath.Base(p.cmd.Path), within, &p.Out)
	}
}

// FreeAddr finds a port below the range from which the kernel takes the ports of outgoing connections.
func FreeAddr() (string, error) {
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000))
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
		if err != nil {
			continue
		}
		return addr, l.Close()
	}
	return "", errors.New("no free port was found")
}

// MemoryDir makes a directory in memory where there is one, with a path that is short enough for sockets.
func MemoryDir() (string, error) {
	base := "/dev/shm"
	if _, err := os.Stat(base); err != nil {
		base = os.TempDir()
	}
	return os.MkdirTemp(base, "cp-")
}
