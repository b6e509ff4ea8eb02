package localdb

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// pipeDelay bounds the wait for output pipes after the process has ended.
const pipeDelay = 5 * time.Second

// child is a started process; err may be read after done is closed.
type child struct {
	process *os.Process
	done    chan struct{}
	err     error
}

// startChild starts cmd in its own process group, to be ended by the kernel
// when this process dies.
//
// The parent-death signal (PR_SET_PDEATHSIG) fires when the OS thread that
// forked the child ends, not the process. The Go runtime ends threads (for
// example when a goroutine exits while locked to one), so the child is started
// from a goroutine that locks its thread and lives as long as the child.
//
// Its own process group keeps Ctrl-C in a terminal away from the child: the
// owner stops the database last, after those who use it.
func startChild(cmd *exec.Cmd) (*child, error) {
	cmd.SysProcAttr = childAttributes()
	cmd.WaitDelay = pipeDelay
	c := &child{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		defer close(c.done)
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		c.process = cmd.Process
		started <- nil
		c.err = cmd.Wait()
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// alive reports whether the process has not been reaped yet.
func (c *child) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// kill ends the process with SIGKILL and waits until it is gone.
func (c *child) kill() {
	_ = c.process.Kill() // fails only if it has already ended
	<-c.done
}

func terminate(process *os.Process) error { return process.Signal(syscall.SIGTERM) }

// tail is an io.Writer that keeps the last limit bytes written to it.
type tail struct {
	mu    sync.Mutex
	limit int
	buf   []byte
}

func newTail(limit int) *tail { return &tail{limit: limit} }

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - t.limit; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

// String is the kept text without surrounding space.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.buf))
}
