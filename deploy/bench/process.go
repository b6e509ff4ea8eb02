package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a child of the bench.
type process struct {
	name    string
	logPath string
	started time.Time
	cmd     *exec.Cmd
	done    chan struct{}
	err     error
}

// startProcess starts a program with only the given CREDITPAY_ variables; what it prints goes to logPath.
func startProcess(name, program string, args []string, env map[string]string, logPath string) (*process, error) {
	log, err := os.Create(logPath)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer func() { _ = log.Close() }() // the child has its own
	p := &process{name: name, logPath: logPath, started: time.Now(), done: make(chan struct{})}
	// No context ends a child: stop does, in order.
	p.cmd = exec.CommandContext(context.Background(), program, args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = childAttributes()
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CREDITPAY_") {
			p.cmd.Env = append(p.cmd.Env, v)
		}
	}
	for k, v := range env {
		p.cmd.Env = append(p.cmd.Env, k+"="+v)
	}
	started := make(chan error, 1)
	go func() {
		// The death signal comes when the starting thread ends, so that thread must live as long as the child.
		runtime.LockOSThread()
		defer close(p.done)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop asks the process to end and kills it if it does not within 20 s.
func (p *process) stop() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s had ended by itself: %w\n%s", p.name, p.err, tail(p.logPath))
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	t := time.NewTimer(20 * time.Second)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end within 20 s and was killed", p.name)
	}
	if p.err != nil {
		return fmt.Errorf("%s ended: %w\n%s", p.name, p.err, tail(p.logPath))
	}
	return nil
}

// kill ends the process at once, as a fault of the machine would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// until waits for ready to hold and tells how long that was after the start.
func (p *process) until(ctx context.Context, within time.Duration, ready func(context.Context) error) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return time.Since(p.started), nil
		}
		select {
		case <-p.done:
			return 0, fmt.Errorf("%s ended at its start: %w\n%s", p.name, p.err, tail(p.logPath))
		case <-ctx.Done():
			return 0, fmt.Errorf("%s was not ready within %s: %w\n%s", p.name, within, err, tail(p.logPath))
		case <-ticker.C:
		}
	}
}

// tail is the end of a log, for an error message.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// answers gives a condition for until: GET url answers 200.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := get(ctx, url)
		return err
	}
}

// listensAt gives a condition for until: addr takes connections.
func listensAt(addr string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: HTTP %d", url, res.StatusCode)
	}
	return string(body), err
}

// Free ports are looked for below the range from which the kernel takes the ports of outgoing connections.
const (
	portFrom = 21_000
	portTo   = 32_000
)

// ports gives loopback addresses that are free now, each once.
type ports struct{ next int }

func newPorts() *ports { return &ports{next: portFrom + os.Getpid()*7%(portTo-portFrom)} }

func (p *ports) addr() (string, error) {
	for range portTo - portFrom {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(p.next))
		if p.next++; p.next >= portTo {
			p.next = portFrom
		}
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
		if err != nil {
			continue
		}
		return addr, l.Close()
	}
	return "", errors.New("no free port")
}

// clockTick is the unit of CPU times in /proc, see proc(5): USER_HZ is 100 on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// cpuTime is the processor time that a process has used, user and system, of all its threads (proc_pid_stat(5)).
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the program's name in parentheses and may hold anything; utime and stime are fields 14 and 15.
	end := strings.LastIndexByte(string(text), ')')
	fields := strings.Fields(string(text)[end+1:])
	if end < 0 || len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has an unknown form", pid)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick, errors.Join(err1, err2)
}

// residentMB is the resident memory of a process in MB (10^6 bytes), from VmRSS of proc_pid_status(5).
func residentMB(pid int) (float64, error) {
	kib, err := procField(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:")
	return float64(kib) * 1024 / 1e6, err
}

// procField reads "name: number unit" from a file of /proc.
func procField(path, name string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			if fields := strings.Fields(rest); len(fields) > 0 {
				return strconv.ParseInt(fields[0], 10, 64)
			}
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, name)
}

// mentions reports whether a log holds a text.
func mentions(path, text string) error {
	log, err := os.ReadFile(path)
	if err == nil && !strings.Contains(string(log), text) {
		err = fmt.Errorf("%s does not say %q", path, text)
	}
	return err
}
