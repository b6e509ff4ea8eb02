// Package mysqlx owns the way to MySQL: a strict connection, transactions of few round trips with bounded retry, the
// classification of driver errors, and migrations.
//
// It must not know any table of a service. Statements that a service wants to run stand in that service's store.
package mysqlx

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/zap"
)

// Options bound the pool. The zero value takes the defaults.
type Options struct {
	// MaxConns is the size of the pool, 32 by default: past that more connections only add latency.
	MaxConns int
	// Log receives retried transactions; nil for none.
	Log *zap.Logger
	// Observer counts retries and rollbacks; nil for none.
	Observer Observer
}

// Observer is told about transactions.
type Observer interface {
	// TxDone is called once per InTx with its duration, the number of attempts, and the error that it answered.
	TxDone(elapsed time.Duration, attempts int, err error)
}

// DB is a pool with the strict settings of Open.
type DB struct {
	*sql.DB
	log      *zap.Logger
	observer Observer
}

// Open makes a pool for a go-sql-driver DSN. Settings that keep money safe are enforced whatever the DSN says.
func Open(dsn string, o Options) (*DB, error) {
	cfg, err := StrictConfig(dsn)
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if o.MaxConns <= 0 {
		o.MaxConns = 32
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	pool := sql.OpenDB(isolatedConnector{connector})
	pool.SetMaxOpenConns(o.MaxConns)
	pool.SetMaxIdleConns(o.MaxConns)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return &DB{DB: pool, log: o.Log, observer: o.Observer}, nil
}

// StrictConfig parses a DSN and sets what every service relies on.
func StrictConfig(dsn string) (*mysql.Config, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("read the database DSN: %w", err)
	}
	// Times are UTC on both sides; a local zone would shift due times twice a year.
	cfg.ParseTime, cfg.Loc = true, time.UTC
	// Rows matched, not rows changed: a compare-and-set that writes the same value still found its row.
	cfg.ClientFoundRows = true
	// Arguments are quoted by the driver: one round trip instead of prepare, execute, close.
	cfg.InterpolateParams = true
	// A transaction's writes leave in one packet, see Tx.Queue. Values still travel only as arguments.
	cfg.MultiStatements = true
	// A name that the server resolves by itself would hide a wrong statement; text is compared byte by byte.
	cfg.Collation = "utf8mb4_bin"
	cfg.RejectReadOnly = true
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.ReadTimeout == 0 {
		cfg.ReadTimeout = 30 * time.Second
	}
	if cfg.WriteTimeout == 0 {
		cfg.WriteTimeout = 30 * time.Second
	}
	if cfg.Params == nil {
		cfg.Params = map[string]string{}
	}
	// Too long, out of range or zero dates are errors, never silent cuts.
	cfg.Params["sql_mode"] = "'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
	cfg.Params["time_zone"] = "'+00:00'"
	delete(cfg.Params, "transaction_isolation") // See isolatedConnector.
	delete(cfg.Params, "tx_isolation")
	cfg.Params["innodb_lock_wait_timeout"] = "5"
	return cfg, nil
}

// isolatedConnector sets READ COMMITTED on each new connection: conditional updates carry their own expectations, so that level
// is enough and locks less. By statement, because the variable's name differs: MariaDB before 11.1 knows only tx_isolation, MySQL 8
// only transaction_isolation.
type isolatedConnector struct{ driver.Connector }

// Connect makes a connection.
func (c isolatedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	execer, ok := conn.(driver.ExecerContext)
	if !ok {
		err = errors.New("the driver cannot run statements")
	} else {
		_, err = execer.ExecContext(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", nil)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set the isolation level: %w", err), conn.Close())
	}
	return conn, nil
}

// ExecContext is sql.DB's, with text arguments as columns take them: valid UTF-8.
func (db *DB) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return db.DB.ExecContext(ctx, query, writables(args)...)
}

// Ready reports whether the database answers, within a second.
func (db *DB) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := db.PingContext(ctx); err != nil {
		return Fault(err, "the database does not answer")
	}
	return nil
}
