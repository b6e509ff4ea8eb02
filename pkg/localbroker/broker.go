// Package localbroker owns an embedded broker that speaks the Kafka protocol
// on 127.0.0.1, for single-machine use and tests: github.com/twmb/franz-go's
// kfake with a data directory, a lock on it, and a port that survives restarts.
//
// Clients reach it over the wire with the same code as a real Kafka. It must
// not be part of a production deployment (one broker, no replication), and it
// must not offer producers or consumers: those belong to package kafkax.
package localbroker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/creditpay/creditpay/pkg/internal/filelock"
)

// Writes says what an acknowledged record survives, if there is a directory.
type Writes int

const (
	// WritesCached survive the death of this process, not of the machine.
	WritesCached Writes = iota
	// WritesSynced are flushed to disk before they are acknowledged: two flushes
	// a batch, so producers should batch.
	WritesSynced
)

// Config describes one broker; the zero value is an in-memory broker on a
// port chosen by the kernel.
type Config struct {
	// Dir keeps topics, records and group offsets (created with mode 0700). One
	// broker at a time. Empty means memory: all is lost on Close.
	Dir string
	// Port on 127.0.0.1. 0 means: with a Dir the port used there before, or the
	// first time a free one below 32768; without a Dir any free port.
	Port int
	// Writes is the durability of records; the zero value is WritesCached.
	Writes Writes
	// Partitions of a topic whose Topic.Partitions is 0; 0 means 8.
	Partitions int
	// GroupSessionMin is the shortest session timeout a consumer group may ask
	// for; 0 means Kafka's default of 6 s.
	GroupSessionMin time.Duration
	// Log receives the broker's warnings and errors, one line each, from several
	// goroutines; nil drops them.
	Log func(line string)
}

// Broker is a running broker.
type Broker struct {
	cluster    *kfake.Cluster
	lock       *filelock.Lock // nil without a directory
	addr       string
	partitions int
	closeOnce  sync.Once
	closeErr   error
}

// Start loads what is in cfg.Dir and listens. It refuses a directory that
// another broker uses (the error names the owner's process id) and a port that
// is taken; it never moves to another port by itself, because clients know it.
func Start(cfg Config) (*Broker, error) {
	if cfg.Port < 0 || cfg.Port > 65535 || cfg.Partitions < 0 {
		return nil, errors.New("localbroker: port or partitions out of range in Config")
	}
	if cfg.Partitions == 0 {
		cfg.Partitions = 8
	}
	var lock *filelock.Lock
	if cfg.Dir != "" {
		if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("localbroker: create directory: %w", err)
		}
		var err error
		if lock, err = filelock.Try(filepath.Join(cfg.Dir, "lock")); err != nil {
			return nil, fmt.Errorf("localbroker: directory %s is in use: %w", cfg.Dir, err)
		}
	}
	b := &Broker{lock: lock, partitions: cfg.Partitions}
	if err := b.open(cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("localbroker: %w", err), b.unlock())
	}
	return b, nil
}

func (b *Broker) open(cfg Config) error {
	listener, err := listen(cfg)
	if err != nil {
		return err
	}
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.DefaultNumPartitions(cfg.Partitions),
		// The socket was opened above, so that nobody takes the port in between.
		kfake.ListenFn(func(string, string) (net.Listener, error) { return listener, nil }),
	}
	if cfg.GroupSessionMin > 0 {
		opts = append(opts, kfake.GroupMinSessionTimeout(cfg.GroupSessionMin))
	}
	if cfg.Log != nil {
		opts = append(opts, kfake.WithLogger(lineLogger(cfg.Log)))
	}
	if cfg.Dir != "" {
		opts = append(opts, kfake.DataDir(filepath.Join(cfg.Dir, "data")))
	}
	switch cfg.Writes {
	case WritesCached:
	case WritesSynced:
		opts = append(opts, kfake.SyncWrites())
	default:
		return errors.Join(fmt.Errorf("unknown write mode %d", cfg.Writes), listener.Close())
	}
	b.cluster, err = kfake.NewCluster(opts...)
	if err != nil {
		_ = listener.Close() // normally closed already by the failed start
		return fmt.Errorf("start broker: %w", err)
	}
	b.addr = listener.Addr().String()
	// The periodic clean-up starts only when a topic's configuration is written
	// (see EnsureTopics), so old records of a loaded directory are dropped here.
	b.cluster.ApplyRetention()
	return nil
}

// Addr is the broker's address, host:port, for clients of this machine.
func (b *Broker) Addr() string { return b.addr }

// Close stops the broker, saves its state and releases the directory.
// Connections are cut. A second call returns the first one's result.
func (b *Broker) Close() error {
	b.closeOnce.Do(func() {
		b.cluster.Close()
		b.closeErr = b.unlock()
	})
	return b.closeErr
}

func (b *Broker) unlock() error {
	if b.lock == nil {
		return nil
	}
	if err := b.lock.Release(); err != nil {
		return fmt.Errorf("localbroker: %w", err)
	}
	return nil
}

// EnsureTopics creates the topics that do not exist and sets the retention of
// all of them. It refuses a topic that exists with another number of
// partitions: adding partitions would break the order of records of one key.
func (b *Broker) EnsureTopics(ctx context.Context, topics []Topic) error {
	if err := ensureTopics(ctx, b.addr, b.partitions, topics); err != nil {
		return fmt.Errorf("localbroker: ensure topics: %w", err)
	}
	return nil
}

// lineLogger passes the broker's warnings and errors on.
type lineLogger func(line string)

// Logf implements kfake.Logger.
func (l lineLogger) Logf(level kfake.LogLevel, format string, args ...any) {
	if level == kfake.LogLevelError || level == kfake.LogLevelWarn {
		l("broker: " + level.String() + ": " + fmt.Sprintf(format, args...))
	}
}
