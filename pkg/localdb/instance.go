package localdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/creditpay/creditpay/pkg/internal/filelock"
)

// orphanTimeout is how long Start waits for the server of a killed owner: it
// is being stopped by its parent-death signal and still holds the lock.
const orphanTimeout = 30 * time.Second

// Instance is one server with its directory. It keeps the directory's lock
// from Start to Stop, also between Kill and Restart. Methods may be called
// from several goroutines.
type Instance struct {
	cfg       Config
	lock      *filelock.Lock
	socket    string
	socketDir string // to be removed; empty if the socket lies in cfg.Dir

	mu      sync.Mutex
	proc    *child // the last started process, running or not
	stopped bool
}

// Start creates the database in cfg.Dir if it is not there, starts the server
// and waits until it answers. It refuses a directory that another instance
// uses (the error wraps a message naming the owner's process id). On failure
// nothing is left running and the error carries the end of the server's log.
func Start(ctx context.Context, cfg Config) (*Instance, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.tmpDir(), 0o700); err != nil {
		return nil, fmt.Errorf("localdb: create directory: %w", err)
	}
	lock, err := lockDir(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("localdb: directory %s is in use: %w", cfg.Dir, err)
	}
	i := &Instance{cfg: cfg, lock: lock}
	if err := i.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("localdb: %w", err), i.close())
	}
	return i, nil
}

func lockDir(ctx context.Context, cfg Config) (*filelock.Lock, error) {
	ctx, cancel := context.WithTimeout(ctx, orphanTimeout)
	defer cancel()
	return filelock.WaitIfOwnerGone(ctx, cfg.lockPath())
}

func (i *Instance) open(ctx context.Context) error {
	if err := bootstrap(ctx, i.cfg, i.lock.File()); err != nil {
		return err
	}
	var err error
	if i.socket, i.socketDir, err = socketPath(i.cfg.Dir); err != nil {
		return err
	}
	return i.launch(ctx)
}

// close gives back all but the data. The process has ended before.
func (i *Instance) close() error {
	var err error
	if i.socketDir != "" {
		err = os.RemoveAll(i.socketDir)
	}
	return errors.Join(err, i.lock.Release())
}

// launch starts the server and waits until it answers; if it does not, it is
// killed. The caller holds mu or is the only owner.
func (i *Instance) launch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, i.cfg.ReadyTimeout)
	defer cancel()
	// A killed server leaves its socket: the new one must be told from the old.
	if err := os.Remove(i.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove old socket: %w", err)
	}
	logStart := fileSize(i.cfg.errorLog())
	// ctx bounds the start; the server lives until Stop.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), i.cfg.Server.Binary, i.cfg.serverFlags(i.socket)...)
	cmd.Dir = i.cfg.Dir
	cmd.Env = serverEnv()
	// The server holds the directory's lock too: if this process is killed, the
	// next owner waits until the server is really gone.
	cmd.ExtraFiles = []*os.File{i.lock.File()}
	out := newTail(outputTailBytes)
	cmd.Stdout, cmd.Stderr = out, out
	proc, err := startChild(cmd)
	if err != nil {
		return fmt.Errorf("start server: %w", err)
	}
	i.proc = proc
	if err := i.waitReady(ctx, proc); err != nil {
		proc.kill()
		return fmt.Errorf("server did not become ready: %w; its log ends: %s %s",
			err, out, logTail(i.cfg.errorLog(), logStart))
	}
	return nil
}

// Stop ends the server cleanly (SIGTERM) within the smaller of ctx and
// Config.StopTimeout, else kills it and says so, and releases the directory.
// The instance cannot be used afterwards. A second call does nothing.
func (i *Instance) Stop(ctx context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stopped {
		return nil
	}
	i.stopped = true
	if err := errors.Join(i.terminate(ctx), i.close()); err != nil {
		return fmt.Errorf("localdb: stop: %w", err)
	}
	return nil
}

// terminate ends a running process; see Stop.
func (i *Instance) terminate(ctx context.Context) error {
	if !i.proc.alive() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, i.cfg.StopTimeout)
	defer cancel()
	if err := terminate(i.proc.process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		i.proc.kill()
		return fmt.Errorf("signal server: %w", err)
	}
	select {
	case <-i.proc.done:
		return nil
	case <-ctx.Done():
		i.proc.kill()
		return fmt.Errorf("server was killed because it did not stop in time: %w", ctx.Err())
	}
}

// Kill ends the server with SIGKILL and waits until it is gone, as a crash
// would; Restart brings it back. It does nothing if the server is not running.
func (i *Instance) Kill() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.proc.alive() {
		i.proc.kill()
	}
}

// Restart starts the server again on the same directory and socket: after Kill
// or a crash with recovery, else after a clean stop. DSNs stay valid.
func (i *Instance) Restart(ctx context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stopped {
		return errors.New("localdb: restart: the instance was stopped")
	}
	if err := i.terminate(ctx); err != nil {
		return fmt.Errorf("localdb: restart: %w", err)
	}
	if err := i.launch(ctx); err != nil {
		return fmt.Errorf("localdb: restart: %w", err)
	}
	return nil
}

// Exited is closed when the process that now runs has ended, for whatever
// reason. After Restart, ask again.
func (i *Instance) Exited() <-chan struct{} {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.proc.done
}

// PID is the server's process id, or 0 if it is not running.
func (i *Instance) PID() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.proc.alive() {
		return 0
	}
	return i.proc.process.Pid
}

// socketPathMax is the longest path of a unix socket: sun_path less its final
// zero, by unix(7) on Linux 107 bytes; the BSDs and macOS have 103.
const socketPathMax = 103

// socketPath chooses where the socket lies: in dir, or if that path is too
// long or has characters that a DSN cannot carry, in a new short directory,
// which is returned too.
func socketPath(dir string) (socket, temporary string, err error) {
	socket = filepath.Join(dir, "s.sock")
	if len(socket) <= socketPathMax && !strings.ContainsFunc(socket, notPlain) {
		return socket, "", nil
	}
	base := os.TempDir()
	if len(base) > socketPathMax/2 || strings.ContainsFunc(base, notPlain) {
		base = "/tmp"
	}
	temporary, err = os.MkdirTemp(base, "creditpay-db-") // mode 0700
	if err != nil {
		return "", "", fmt.Errorf("create socket directory: %w", err)
	}
	return filepath.Join(temporary, "s.sock"), temporary, nil
}

// notPlain reports characters outside A-Z a-z 0-9 / . _ -; a DSN gives
// others, for example @ and ), a meaning.
func notPlain(r rune) bool {
	return !strings.ContainsRune("/._-", r) &&
		(r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

func fileSize(path string) int64 {
	stat, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return stat.Size()
}

// logTail reads the end of a log file, but nothing before start; best effort.
func logTail(path string, start int64) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	start = max(start, fileSize(path)-outputTailBytes)
	text, err := io.ReadAll(io.NewSectionReader(file, start, outputTailBytes))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
