package testkit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/google/uuid"

	"github.com/creditpay/creditpay/pkg/internal/filelock"
	"github.com/creditpay/creditpay/pkg/localdb"
)

const (
	// startTimeout leaves time to install the server on a fresh machine.
	startTimeout = 12 * time.Minute
	adminTimeout = 30 * time.Second
	// openConnsMax of MySQL: enough for tests of races, far below the server's 500.
	openConnsMax = 32
)

// Database creates an empty schema for this test and returns its DSN. The
// schema is dropped when the test ends.
func Database(t testing.TB) string {
	t.Helper()
	return shared.database(t)
}

// MySQL is Database, opened; it is closed before the schema is dropped.
func MySQL(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", Database(t))
	if err != nil {
		t.Fatalf("testkit: open database: %v", err)
	}
	db.SetMaxOpenConns(openConnsMax)
	db.SetMaxIdleConns(openConnsMax)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// MySQLInstance starts a MariaDB for this test alone, which it may Kill and
// Restart: commits are durable, as in production. Removed when the test ends.
func MySQLInstance(t testing.TB) *localdb.Instance {
	t.Helper()
	return shared.privateInstance(t)
}

// server is the database of a test binary, started at first use.
type server struct {
	getenv func(string) string

	mu       sync.Mutex
	enabled  bool // Main runs, so somebody will call close
	root     *rootDir
	instance *localdb.Instance // nil with an external server
	admin    *mysql.Config     // nil until started
	startErr error             // the first failure; not tried again
}

func newServer(getenv func(string) string) *server { return &server{getenv: getenv} }

func (s *server) enable() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enabled = true
}

// start returns the address of the running server, starting it if needed.
func (s *server) start() (*mysql.Config, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.admin == nil && s.startErr == nil {
		s.admin, s.startErr = s.startLocked()
	}
	if s.startErr != nil {
		return nil, s.startErr
	}
	return s.admin.Clone(), nil
}

func (s *server) startLocked() (*mysql.Config, error) {
	if dsn := s.getenv(EnvDSN); dsn != "" {
		cfg, err := mysql.ParseDSN(dsn)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", EnvDSN, err)
		}
		cfg.DBName = ""
		// The driver-side part of what localdb's DSN says.
		cfg.ParseTime, cfg.ClientFoundRows, cfg.InterpolateParams, cfg.Loc = true, true, true, time.UTC
		return cfg, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	instance, err := s.launch(ctx, "shared", localdb.Config{Durability: localdb.Fast})
	if err != nil {
		return nil, err
	}
	s.instance = instance
	return mysql.ParseDSN(instance.AdminDSN())
}

// launch starts an instance in its own directory below the root. Under mu.
func (s *server) launch(ctx context.Context, name string, cfg localdb.Config) (*localdb.Instance, error) {
	if !s.enabled {
		return nil, errors.New("call testkit.Main from the package's TestMain, or nothing would stop the database")
	}
	if s.root == nil {
		root, err := newRootDir(rootBase())
		if err != nil {
			return nil, err
		}
		s.root = root
	}
	program, err := localdb.FindOrInstall(ctx, func(line string) { fmt.Fprintln(os.Stderr, "testkit:", line) })
	if err != nil {
		return nil, err
	}
	cfg.Server = program
	cfg.Dir = filepath.Join(s.root.path, name)
	return localdb.Start(ctx, cfg)
}

func (s *server) database(t testing.TB) string {
	t.Helper()
	cfg, err := s.start()
	if err != nil {
		t.Fatalf("testkit: no test database: %v", err)
	}
	schema := "t_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	admin := cfg.FormatDSN()
	// The name is made of hexadecimal digits, so it needs no quoting.
	create := "CREATE DATABASE " + schema + " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
	if err := execute(admin, create); err != nil {
		t.Fatalf("testkit: create schema: %v", err)
	}
	t.Cleanup(func() {
		if err := execute(admin, "DROP DATABASE "+schema); err != nil {
			t.Errorf("testkit: drop schema: %v", err)
		}
	})
	cfg.DBName = schema
	return cfg.FormatDSN()
}

func (s *server) privateInstance(t testing.TB) *localdb.Instance {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	name := "own-" + uuid.NewString()[:8]
	instance, err := s.launch(ctx, name, localdb.Config{BufferPoolMB: 64, LogFileMB: 8})
	if err != nil {
		t.Fatalf("testkit: no test database: %v", err)
	}
	dir := filepath.Join(s.root.path, name)
	t.Cleanup(func() {
		if err := discard(instance, dir); err != nil {
			t.Errorf("testkit: remove database: %v", err)
		}
	})
	return instance
}

// close ends and removes everything; the server may not be used afterwards.
func (s *server) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enabled = false
	var err error
	if s.instance != nil {
		err = discard(s.instance, filepath.Join(s.root.path, "shared"))
	}
	if s.root != nil {
		err = errors.Join(err, s.root.remove())
	}
	s.instance, s.root, s.admin = nil, nil, nil
	return err
}

// discard ends an instance without a clean stop, because its data goes too.
func discard(instance *localdb.Instance, dir string) error {
	instance.Kill()
	return errors.Join(instance.Stop(context.Background()), os.RemoveAll(dir))
}

// execute runs one statement on a connection of its own, with a context of its
// own: at cleanup the test's context is already cancelled.
func execute(dsn, statement string) error {
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	_, err = db.ExecContext(ctx, statement)
	return err
}

// rootDir is the directory of one test binary.
type rootDir struct {
	path string
	lock *filelock.Lock
}

func (r *rootDir) remove() error {
	return errors.Join(r.lock.Release(), os.RemoveAll(r.path))
}
