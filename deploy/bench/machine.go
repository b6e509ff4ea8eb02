package bench

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Machine is what was measured on.
type Machine struct {
	Processor string
	Cores     int
	MemoryMB  float64
	System    string
	Go        string
	Database  string
	// Flush sums up how long a durable write of 4 KiB takes in the run's directory: what a lone commit cannot beat.
	Flush Quantiles
}

func describeMachine(ctx context.Context, db *sql.DB, dir string) (Machine, error) {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Processor: "unknown"}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.Processor = strings.TrimSpace(value)
				break
			}
		}
	}
	if kib, err := procField("/proc/meminfo", "MemTotal:"); err == nil {
		m.MemoryMB = float64(kib) * 1024 / 1e6
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.System += " " + strings.TrimSpace(string(text))
	}
	var version, durability, binlog string
	var pool float64
	if err := db.QueryRowContext(ctx, `SELECT @@version, @@innodb_flush_log_at_trx_commit, @@log_bin, @@innodb_buffer_pool_size / 1048576`).
		Scan(&version, &durability, &binlog, &pool); err != nil {
		return m, fmt.Errorf("describe the database: %w", err)
	}
	m.Database = fmt.Sprintf("%s, innodb_flush_log_at_trx_commit=%s, log_bin=%s, buffer pool %.0f MiB", version, durability, binlog, pool)
	var err error
	m.Flush, err = measureFlush(filepath.Join(dir, "flush"))
	return m, err
}

func measureFlush(path string) (Quantiles, error) {
	file, err := os.Create(path)
	if err != nil {
		return Quantiles{}, fmt.Errorf("measure the disk: %w", err)
	}
	defer func() { _ = os.Remove(path) }()
	defer func() { _ = file.Close() }()
	page := make([]byte, 4096)
	took := make([]time.Duration, 500)
	for i := range took {
		begin := time.Now()
		if _, err := file.Write(page); err != nil {
			return Quantiles{}, fmt.Errorf("measure the disk: %w", err)
		}
		if err := file.Sync(); err != nil {
			return Quantiles{}, fmt.Errorf("measure the disk: %w", err)
		}
		took[i] = time.Since(begin)
	}
	return QuantilesOf(took), nil
}
