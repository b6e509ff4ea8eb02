package auth

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// lookEvery is how often a file is looked at, at most.
const lookEvery = time.Second

// ErrKeyFile is returned for a key file, a key set or another file of this package that is malformed.
var ErrKeyFile = errors.New("malformed key file")

// watched is a file's content, read again when the file changes. It is safe for concurrent use.
type watched[T any] struct {
	path, what string
	max        int64
	parse      func([]byte) (T, error)
	report     func(error)

	current atomic.Pointer[snapshot[T]]
	// looked is when the file was last looked at, in nanoseconds since 1970.
	looked atomic.Int64

	mu          sync.Mutex // guards the looks for what is unknown
	lastUnknown time.Time
}

// snapshot is one state of a watched file. Its address identifies it.
type snapshot[T any] struct {
	value   T
	modTime time.Time
	size    int64
}

// fixed is a watched value without a file.
func fixed[T any](value T) *watched[T] {
	w := &watched[T]{}
	w.current.Store(&snapshot[T]{value: value})
	return w
}

// open reads a file for the first time; what names its content in errors. While the file cannot be read later, the content read
// before stays and report, which may be nil, is called with the reason.
func open[T any](path, what string, maxSize int64, parse func([]byte) (T, error), report func(error)) (*watched[T], error) {
	w := &watched[T]{path: path, what: what, max: maxSize, parse: parse, report: report}
	if err := w.read(); err != nil {
		return nil, fmt.Errorf("load %s: %w", what, err)
	}
	return w, nil
}

// get returns the content. Now decides whether the file is due for another look; one caller looks, the others go on.
func (w *watched[T]) get(now time.Time) *snapshot[T] {
	if w.path != "" {
		last, at := w.looked.Load(), now.UnixNano()
		if elapsed := at - last; (elapsed < 0 || elapsed >= int64(lookEvery)) && w.looked.CompareAndSwap(last, at) {
			w.look()
		}
	}
	return w.current.Load()
}

// again looks at once, for something that the content lacks, but not more often than lookEvery.
func (w *watched[T]) again(now time.Time) *snapshot[T] {
	if w.path != "" {
		w.mu.Lock()
		if elapsed := now.Sub(w.lastUnknown); elapsed < 0 || elapsed >= lookEvery {
			w.lastUnknown = now
			w.look()
		}
		w.mu.Unlock()
	}
	return w.current.Load()
}

// look reads the file again when it changed.
func (w *watched[T]) look() {
	stat, err := os.Stat(w.path)
	if err == nil {
		held := w.current.Load()
		if stat.ModTime().Equal(held.modTime) && stat.Size() == held.size {
			return
		}
		err = w.read()
	}
	if err != nil && w.report != nil {
		w.report(fmt.Errorf("reload %s, keeping what was read before: %w", w.what, err))
	}
}

// read takes over the file's content.
func (w *watched[T]) read() error {
	file, err := os.Open(w.path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	stat, err := file.Stat()
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(file, w.max+1))
	if err != nil {
		return err
	}
	if int64(len(raw)) > w.max {
		return fmt.Errorf("%w: above %d bytes", ErrKeyFile, w.max)
	}
	value, err := w.parse(raw)
	if err != nil {
		return err
	}
	w.current.Store(&snapshot[T]{value: value, modTime: stat.ModTime(), size: stat.Size()})
	return nil
}
