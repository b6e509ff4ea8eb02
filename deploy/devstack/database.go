package devstack

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/creditpay/creditpay/pkg/localdb"
)

const passwordsFile = "database-passwords.json"

// database is the server that the stack uses, private or given.
type database struct {
	instance *localdb.Instance
	schemas  map[string]string
}

// openDatabase finds or starts the server and makes a schema for each service.
func openDatabase(ctx context.Context, c Config, services []string, say func(string, ...any)) (*database, error) {
	if c.MySQLDSN != "" {
		schemas, err := prepareGiven(ctx, c.MySQLDSN, services)
		return &database{schemas: schemas}, err
	}
	server, err := localdb.FindOrInstall(ctx, func(line string) { say("%s", line) })
	if err != nil {
		return nil, err
	}
	instance, err := localdb.Start(ctx, localdb.Config{Dir: filepath.Join(c.StateDir, "mysql"), Server: server, BufferPoolMB: 256, LogFileMB: 256})
	if err != nil {
		return nil, fmt.Errorf("start MariaDB: %w", err)
	}
	schemas, err := preparePrivate(ctx, instance, filepath.Join(c.StateDir, passwordsFile), services)
	if err != nil {
		return nil, errors.Join(err, instance.Stop(context.WithoutCancel(ctx)))
	}
	return &database{instance: instance, schemas: schemas}, nil
}

// preparePrivate makes a schema and a user of its own for each service: nobody can read another's tables.
func preparePrivate(ctx context.Context, instance *localdb.Instance, passwordsPath string, services []string) (map[string]string, error) {
	passwords := map[string]string{}
	if err := readJSON(passwordsPath, &passwords); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	db, err := sql.Open("mysql", instance.AdminDSN())
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	for _, name := range services {
		if passwords[name] == "" {
			raw := make([]byte, 16)
			if _, err := rand.Read(raw); err != nil {
				return nil, err
			}
			passwords[name] = hex.EncodeToString(raw)
		}
	}
	if err := writeJSON(passwordsPath, passwords); err != nil {
		return nil, err
	}
	schemas := map[string]string{}
	for _, name := range services {
		schema := schemaOf(name)
		// Names and passwords are made here, of letters, digits and underscores: they need no quoting.
		for _, q := range []string{
			"CREATE DATABASE IF NOT EXISTS " + schema + " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
			"CREATE USER IF NOT EXISTS '" + schema + "'@'localhost' IDENTIFIED BY '" + passwords[name] + "'",
			"GRANT ALL ON " + schema + ".* TO '" + schema + "'@'localhost'",
		} {
			if _, err := db.ExecContext(ctx, q); err != nil {
				return nil, fmt.Errorf("prepare the schema of %s: %w", name, err)
			}
		}
		cfg, err := mysql.ParseDSN(instance.DSN(schema))
		if err != nil {
			return nil, err
		}
		cfg.User, cfg.Passwd = schema, passwords[name]
		schemas[name] = cfg.FormatDSN()
	}
	return schemas, nil
}

// prepareGiven makes the schemas on a server that was given. All services use the given account there.
func prepareGiven(ctx context.Context, dsn string, services []string) (map[string]string, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("CREDITPAY_MYSQL_DSN: %w", err)
	}
	prefix := strings.TrimSuffix(cfg.DBName, "_")
	admin := cfg.Clone()
	admin.DBName = ""
	db, err := sql.Open("mysql", admin.FormatDSN())
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	schemas := map[string]string{}
	for _, name := range services {
		schema := schemaOf(name)
		if prefix != "" {
			schema = prefix + "_" + name
		}
		if strings.ContainsAny(schema, "`;'\" ") {
			return nil, fmt.Errorf("CREDITPAY_MYSQL_DSN: %q is no name for schemas", prefix)
		}
		if _, err := db.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS `"+schema+"` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"); err != nil {
			return nil, fmt.Errorf("CREDITPAY_MYSQL_DSN: make schema %s: %w", schema, err)
		}
		own := cfg.Clone()
		own.DBName = schema
		schemas[name] = own.FormatDSN()
	}
	return schemas, nil
}

func schemaOf(name string) string { return "creditpay_" + name }

func (d *database) stop(ctx context.Context) error {
	if d == nil || d.instance == nil {
		return nil
	}
	return d.instance.Stop(ctx)
}
