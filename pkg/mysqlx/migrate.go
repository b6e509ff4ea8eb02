package mysqlx

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"github.com/creditpay/creditpay/pkg/errs"
)

// MigrationSet is one owner's migrations: numbered goose files in the root of FS, forward only.
type MigrationSet struct {
	// Name goes into the name of the version table, "migrations_<name>".
	Name string
	// FS holds the .sql files.
	FS fs.FS
	// Needs are other owners' sets on which this one builds; they are brought up to date first.
	Needs []MigrationSet
}

// withNeeds returns the sets, each after those that it needs.
func withNeeds(sets []MigrationSet) (all []MigrationSet) {
	for _, set := range sets {
		all = append(append(all, withNeeds(set.Needs)...), set)
	}
	return all
}

// Migrate brings the schema up to date, one set after the other. Replicas that start together wait for each other by a lease
// row: the one that holds it migrates, the others find nothing left to do.
func (db *DB) Migrate(ctx context.Context, sets ...MigrationSet) error {
	release, err := db.migrationLease(ctx)
	if err != nil {
		return err
	}
	defer release()
	for _, set := range withNeeds(sets) {
		store, err := database.NewStore(database.DialectMySQL, "migrations_"+set.Name)
		if err != nil {
			return fmt.Errorf("migrate %s: %w", set.Name, err)
		}
		provider, err := goose.NewProvider("", db.DB, set.FS, goose.WithStore(store), goose.WithDisableGlobalRegistry(true))
		if err != nil {
			return fmt.Errorf("migrate %s: %w", set.Name, err)
		}
		if _, err := provider.Up(ctx); err != nil {
			return fmt.Errorf("migrate %s: %w", set.Name, err)
		}
	}
	return nil
}

// migrationLeaseSeconds is how long a dead migrator can keep the others waiting.
const migrationLeaseSeconds = 60

func (db *DB) migrationLease(ctx context.Context) (release func(), err error) {
	const create = `CREATE TABLE IF NOT EXISTS migration_lease (id TINYINT NOT NULL PRIMARY KEY, until_time DATETIME(6) NOT NULL)`
	if _, err := db.ExecContext(ctx, create); err != nil {
		return nil, Fault(err, "create the migration lease")
	}
	const seed = `INSERT IGNORE INTO migration_lease (id, until_time) VALUES (1, '2000-01-01')`
	if _, err := db.ExecContext(ctx, seed); err != nil {
		return nil, Fault(err, "seed the migration lease")
	}
	const take = `UPDATE migration_lease SET until_time = UTC_TIMESTAMP(6) + INTERVAL ? SECOND WHERE id = 1 AND until_time < UTC_TIMESTAMP(6)`
	for deadline := time.Now().Add(2 * migrationLeaseSeconds * time.Second); ; {
		res, err := db.ExecContext(ctx, take, migrationLeaseSeconds)
		if err != nil && !Retryable(err) {
			return nil, Fault(err, "take the migration lease")
		}
		if err == nil {
			if n, err := res.RowsAffected(); err == nil && n == 1 {
				break
			}
		}
		if time.Now().After(deadline) {
			return nil, errs.DependencyUnavailable.New("another process has been migrating this schema for too long")
		}
		if !pause(ctx, 4) {
			return nil, Fault(ctx.Err(), "wait for the migration lease")
		}
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_, _ = db.ExecContext(ctx, `UPDATE migration_lease SET until_time = '2000-01-01' WHERE id = 1`)
	}, nil
}

// NoRows reports whether err says that a row was not there.
func NoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// In gives "(?,?,…)" for a list of n values, n ≥ 1.
func In(n int) string {
	b := make([]byte, 0, 2*n+1)
	b = append(b, '(')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '?')
	}
	return string(append(b, ')'))
}

// Tuples gives "(?,?),(?,?),…": n rows of width values, for an INSERT of several rows.
func Tuples(n, width int) string {
	row := In(width)
	b := make([]byte, 0, n*(len(row)+1))
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, row...)
	}
	return string(b)
}
