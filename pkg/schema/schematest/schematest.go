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
	db, err := mysqlx.Open(dsn, mysqlx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	set, err := schema.Migrations()
	if err == nil {
		err = db.Migrate(t.Context(), set)
	}
	if err != nil {
		t.Fatal(err)
	}
	return db
}
