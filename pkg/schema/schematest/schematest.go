// Package schematest gives tests a fresh schema with the mechanism tables in it, opened as services open theirs.
//
// It must be imported by tests only. The package's TestMain calls testkit.Main.
package schematest

import (
	"testing"

	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/schema"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// Open gives a pool on a fresh schema with the mechanism tables, closed and dropped when the test ends.
func Open(t testing.TB) *mysqlx.DB {
	t.Helper()
	return OpenDSN(t, testkit.Database(t))
}

// OpenDSN gives a pool on a schema that the test chose, for example one that it may kill, with the mechanism tables.
func OpenDSN(t testing.TB, dsn string) *mysqlx.DB {
	t.Helper()
	return open(t, dsn, mysqlx.Options{}, schema.Migrations)
}

// OpenService gives a pool on a fresh schema with the mechanism tables and a service's own, as its process finds them.
func OpenService(t testing.TB, options mysqlx.Options, own func() (mysqlx.MigrationSet, error)) *mysqlx.DB {
	t.Helper()
	return open(t, testkit.Database(t), options, schema.Migrations, own)
}

func open(t testing.TB, dsn string, options mysqlx.Options, sources ...func() (mysqlx.MigrationSet, error)) *mysqlx.DB {
	t.Helper()
	db, err := mysqlx.Open(dsn, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	sets := make([]mysqlx.MigrationSet, len(sources))
	for i, source := range sources {
		if sets[i], err = source(); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Migrate(t.Context(), sets...); err != nil {
		t.Fatal(err)
	}
	return db
}
