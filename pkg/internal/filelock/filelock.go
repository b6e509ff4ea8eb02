// Package filelock owns advisory locks between processes of one machine
// (flock(2) on a file that also names its owner).
//
// It must not be used as a lock between goroutines that share data (use
// sync.Mutex) nor on network file systems, where flock may be a no-op.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pollInterval is how often Wait looks again; flock has no wait with a deadline.
const pollInterval = 20 * time.Millisecond

// HeldError says that somebody else holds the lock.
type HeldError struct {
	// Path is the lock file.
	Path string
	// OwnerPID is the process that wrote itself into the file; 0 if unknown.
	OwnerPID int
	// OwnerGone is true when OwnerPID no longer runs: then a child of it still
	// holds the inherited descriptor and the lock will be free when that ends.
	OwnerGone bool
}

// Error names the file and the owner.
func (e *HeldError) Error() string {
	switch {
	case e.OwnerPID == 0:
		return fmt.Sprintf("%s is locked by another process", e.Path)
	case e.OwnerGone:
		return fmt.Sprintf("%s is still locked by a child of the dead process %d", e.Path, e.OwnerPID)
	default:
		return fmt.Sprintf("%s is locked by process %d, which is running", e.Path, e.OwnerPID)
	}
}

// Lock is a held lock. The zero value is not usable; see Try and Wait.
type Lock struct{ file *os.File }

// Try takes the lock at path (created with mode 0600 if absent) or fails at
// once with a *HeldError. It also refuses a second lock by the same process.
func Try(path string) (*Lock, error) {
	// O_NOFOLLOW: the path may lie in a directory others can write to.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		held := heldError(file, path)
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, held
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := writeOwner(file); err != nil {
		_ = file.Close()
		return nil, err
	}
	return &Lock{file: file}, nil
}

// Wait is Try repeated until it succeeds, fails for another reason than being
// held, or ctx ends; then the error wraps both ctx's error and the *HeldError.
func Wait(ctx context.Context, path string) (*Lock, error) {
	return wait(ctx, path, func(*HeldError) bool { return true })
}

// WaitIfOwnerGone waits like Wait, but only while the owner named in the file
// is dead; a living owner is refused at once with a *HeldError.
func WaitIfOwnerGone(ctx context.Context, path string) (*Lock, error) {
	return wait(ctx, path, func(held *HeldError) bool { return held.OwnerGone })
}

func wait(ctx context.Context, path string, worthWaiting func(*HeldError) bool) (*Lock, error) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		lock, err := Try(path)
		var held *HeldError
		if !errors.As(err, &held) || !worthWaiting(held) {
			return lock, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for lock: %w: %w", ctx.Err(), held)
		}
	}
}

// File is the locked file. A child process that inherits it (exec.Cmd's
// ExtraFiles) keeps the lock alive after the death of this process.
func (l *Lock) File() *os.File { return l.file }

// Release gives the lock up, also for children that inherited it. It unlocks
// explicitly because a process being forked at this moment may hold a copy of
// the descriptor until its exec, which would delay a release by close alone.
func (l *Lock) Release() error {
	err := syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN)
	if err := errors.Join(err, l.file.Close()); err != nil {
		return fmt.Errorf("release %s: %w", l.file.Name(), err)
	}
	return nil
}

// ProcessGone reports whether no process with this id runs on the machine (as
// seen from this process's pid namespace). Ids below 1 are never "gone".
func ProcessGone(pid int) bool {
	return pid > 0 && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

func heldError(file *os.File, path string) *HeldError {
	text, err := io.ReadAll(io.LimitReader(file, 32))
	if err != nil {
		return &HeldError{Path: path}
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return &HeldError{Path: path}
	}
	return &HeldError{Path: path, OwnerPID: pid, OwnerGone: ProcessGone(pid)}
}

func writeOwner(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return fmt.Errorf("write owner of lock: %w", err)
	}
	if _, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("write owner of lock: %w", err)
	}
	return nil
}
