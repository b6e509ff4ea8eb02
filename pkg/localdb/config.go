package localdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Durability says what a commit survives.
type Durability int

const (
	// Durable flushes the log at each commit: it survives a crash of the
	// server and of the machine (innodb_flush_log_at_trx_commit=1).
	Durable Durability = iota
	// Fast flushes once a second: a killed server may lose the last second.
	// For tests that do not kill it (innodb_flush_log_at_trx_commit=0).
	Fast
)

// Config describes one private server. Only Dir is required.
type Config struct {
	// Dir holds everything of this server (created with mode 0700). One running
	// instance per directory; the directory survives Stop.
	Dir string
	// Server is the program to run; the zero value means Find().
	Server Server
	// Durability of commits; the zero value is Durable.
	Durability Durability
	// BufferPoolMB is InnoDB's cache in MiB; 0 means 256 if Durable, 64 if Fast.
	BufferPoolMB int
	// LogFileMB is InnoDB's redo log in MiB; 0 means 256 if Durable, 8 if Fast.
	LogFileMB int
	// MaxConnections is the limit of connections; 0 means 500.
	MaxConnections int
	// Port also listens on 127.0.0.1:Port, for desk tools; 0 means unix socket
	// only. The server has no password, so with a port every user of this
	// machine may do everything: never set it on a shared machine.
	Port int
	// ReadyTimeout bounds start-up including crash recovery; 0 means 60 s.
	ReadyTimeout time.Duration
	// StopTimeout bounds a clean stop, after which the server is killed (InnoDB
	// recovers at the next start); 0 means 30 s.
	StopTimeout time.Duration
}

// withDefaults checks the configuration and fills in what is absent.
func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("localdb: Config.Dir is empty")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return c, fmt.Errorf("localdb: resolve Config.Dir: %w", err)
	}
	c.Dir = dir
	poolMB, logMB := 256, 256
	switch c.Durability {
	case Durable:
	case Fast:
		poolMB, logMB = 64, 8
	default:
		return c, fmt.Errorf("localdb: unknown durability %d", c.Durability)
	}
	if c.BufferPoolMB < 0 || c.LogFileMB < 0 || c.MaxConnections < 0 || c.Port < 0 || c.Port > 65535 {
		return c, errors.New("localdb: negative size or port out of range in Config")
	}
	c.BufferPoolMB = orDefault(c.BufferPoolMB, poolMB)
	c.LogFileMB = orDefault(c.LogFileMB, logMB)
	c.MaxConnections = orDefault(c.MaxConnections, 500)
	c.ReadyTimeout = orDefault(c.ReadyTimeout, time.Minute)
	c.StopTimeout = orDefault(c.StopTimeout, 30*time.Second)
	if c.Server.Binary == "" {
		if c.Server, err = Find(); err != nil {
			return c, err
		}
	}
	return c, nil
}

func orDefault[N int | time.Duration](value, fallback N) N {
	if value == 0 {
		return fallback
	}
	return value
}

func (c Config) dataDir() string  { return filepath.Join(c.Dir, "data") }
func (c Config) newDir() string   { return filepath.Join(c.Dir, "data.new") }
func (c Config) tmpDir() string   { return filepath.Join(c.Dir, "tmp") }
func (c Config) lockPath() string { return filepath.Join(c.Dir, "lock") }
func (c Config) errorLog() string { return filepath.Join(c.Dir, "error.log") }

// commonFlags are needed to create the data directory as well as to serve it.
// The small system tablespace makes an empty database 19 MB instead of 114 MB.
func (c Config) commonFlags(dataDir string) []string {
	flags := []string{
		"--no-defaults", // must be first: no foreign my.cnf may change our settings
		"--basedir=" + c.Server.Prefix,
		"--lc-messages-dir=" + c.Server.Share,
		"--datadir=" + dataDir,
		// Servers that share /tmp remove each other's #sql files when they start.
		"--tmpdir=" + c.tmpDir(),
		"--innodb-data-file-path=ibdata1:1M:autoextend",
		"--innodb-autoextend-increment=1",
	}
	if os.Geteuid() == 0 {
		flags = append(flags, "--user=root") // else the server refuses to run as root
	}
	return flags
}

func (c Config) bootstrapFlags(dataDir string) []string {
	return append(c.commonFlags(dataDir),
		"--bootstrap",
		"--log-warnings=0",
		"--enforce-storage-engine=",
		"--max-allowed-packet=8M",
		"--net-buffer-length=16K",
		"--innodb-log-file-size=8M",
		"--innodb-flush-log-at-trx-commit=0", // the clean shutdown at the end flushes all
	)
}

func (c Config) serverFlags(socket string) []string {
	flags := append(c.commonFlags(c.dataDir()),
		"--socket="+socket,
		"--pid-file="+filepath.Join(c.Dir, "mariadbd.pid"),
		"--log-error="+c.errorLog(),
		"--log-warnings=1", // 2 would log each connection a test drops
		"--skip-name-resolve",
		"--performance-schema=OFF",
		"--max-connections="+strconv.Itoa(c.MaxConnections),
		"--max-allowed-packet=16M",
		"--character-set-server=utf8mb4",
		"--collation-server=utf8mb4_bin",
		"--default-time-zone=+00:00",
		"--transaction-isolation=READ-COMMITTED",
		// What MySQL 8 has by default, so that SQL that only MariaDB's older
		// modes accept is refused here too.
		"--sql-mode=STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_IN_DATE,NO_ZERO_DATE,"+
			"ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION",
		"--innodb-lock-wait-timeout=5", // seconds; default 50 outlives every caller
		"--lock-wait-timeout=60",       // seconds, for schema changes; default one day
		"--innodb-buffer-pool-size="+strconv.Itoa(c.BufferPoolMB)+"M",
		"--innodb-log-file-size="+strconv.Itoa(c.LogFileMB)+"M",
		"--innodb-buffer-pool-load-at-startup=OFF",
		"--innodb-buffer-pool-dump-at-shutdown=OFF",
	)
	switch c.Durability {
	case Durable:
		flags = append(flags, "--innodb-flush-log-at-trx-commit=1")
	case Fast:
		flags = append(flags, "--innodb-flush-log-at-trx-commit=0",
			"--aria-pagecache-buffer-size=1M", "--key-buffer-size=64K")
	}
	if c.Port == 0 {
		return append(flags, "--skip-networking")
	}
	return append(flags, "--port="+strconv.Itoa(c.Port), "--bind-address=127.0.0.1")
}
