package localdb

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	readyInterval = 5 * time.Millisecond
	pingTimeout   = 2 * time.Second
)

// DSN is the address of a schema of this server in the form of
// github.com/go-sql-driver/mysql. It stays the same over Restart. The schema
// need not exist yet. Times are UTC and parsed; RowsAffected counts matched
// rows, as the compare-and-set updates of this project need.
func (i *Instance) DSN(schema string) string {
	cfg := i.driverConfig()
	cfg.DBName = schema
	return cfg.FormatDSN()
}

// AdminDSN is DSN without a schema, for CREATE DATABASE and the like.
func (i *Instance) AdminDSN() string { return i.driverConfig().FormatDSN() }

func (i *Instance) driverConfig() *mysql.Config {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr = "root", "unix", i.socket
	cfg.ParseTime = true
	cfg.ClientFoundRows = true
	cfg.InterpolateParams = true // one round trip instead of three per statement
	cfg.Collation = "utf8mb4_bin"
	return cfg
}

// waitReady pings until the server answers, ends, or ctx ends.
func (i *Instance) waitReady(ctx context.Context, proc *child) error {
	cfg := i.driverConfig()
	cfg.Logger = log.New(io.Discard, "", 0) // failed attempts are expected here
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return fmt.Errorf("prepare ping: %w", err)
	}
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	ticker := time.NewTicker(readyInterval)
	defer ticker.Stop()
	var lastErr error
	for {
		if lastErr = ping(ctx, db); lastErr == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-proc.done:
			return fmt.Errorf("it ended at once: %w", errors.Join(proc.err, lastErr))
		case <-ctx.Done():
			return fmt.Errorf("%w: last ping: %w", ctx.Err(), lastErr)
		}
	}
}

func ping(ctx context.Context, db *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return db.PingContext(ctx)
}

// RSS is the server's resident memory in bytes, read from /proc (proc(5),
// VmRSS); an error when the server is not running or there is no /proc.
func (i *Instance) RSS() (int64, error) {
	pid := i.PID()
	if pid == 0 {
		return 0, errors.New("localdb: memory: the server is not running")
	}
	file, err := os.Open("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, fmt.Errorf("localdb: memory: %w", err)
	}
	defer func() { _ = file.Close() }() // read only
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		value, ok := strings.CutPrefix(lines.Text(), "VmRSS:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("localdb: memory: %w", err)
		}
		return kib * 1024, nil
	}
	return 0, errors.Join(errors.New("localdb: memory: no VmRSS line"), lines.Err())
}
