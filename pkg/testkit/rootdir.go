package testkit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/creditpay/creditpay/pkg/internal/filelock"
)

const (
	rootPrefix = "creditpay-test-"
	// memoryFreeMin is what /dev/shm must have free to be used; containers often
	// have 64 MB in all, less than a few databases.
	memoryFreeMin = 1 << 30
)

// rootBase is where test databases lie: in memory if there is room.
func rootBase() string {
	const shm = "/dev/shm"
	var stat syscall.Statfs_t
	if err := syscall.Statfs(shm, &stat); err != nil || stat.Bavail*uint64(stat.Bsize) < memoryFreeMin {
		return os.TempDir()
	}
	return shm
}

// newRootDir removes what killed test binaries left in base, then makes this
// binary's directory: creditpay-test-<pid>-<random>, locked while it lives.
func newRootDir(base string) (*rootDir, error) {
	sweep(base)
	path, err := os.MkdirTemp(base, rootPrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return nil, fmt.Errorf("make test directory: %w", err)
	}
	lock, err := filelock.Try(filepath.Join(path, "lock"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock test directory: %w", err), os.RemoveAll(path))
	}
	return &rootDir{path: path, lock: lock}, nil
}

// sweep removes directories whose owner is dead: its process id is gone and
// nobody holds the lock. Both, because the id alone means nothing if base is
// shared with another pid namespace, and the lock alone is not there yet in the
// first moment. Best effort: what cannot be removed now will be next time.
func sweep(base string) {
	dirs, err := filepath.Glob(filepath.Join(base, rootPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		pidText, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), rootPrefix), "-")
		pid, err := strconv.Atoi(pidText)
		if err != nil || !filelock.ProcessGone(pid) {
			continue
		}
		lock, err := filelock.Try(filepath.Join(dir, "lock"))
		if err != nil {
			continue
		}
		_ = os.RemoveAll(dir)
		_ = lock.Release()
	}
}
