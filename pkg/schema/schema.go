// Package schema owns the tables that the mechanism packages keep in every service's own schema: idempotency, outbox, inbox,
// dead letters, refused events, jobs, leases and the journal.
//
// It must not know a table of a service.
package schema

import (
	"embed"
	"io/fs"

	"github.com/creditpay/creditpay/pkg/mysqlx"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations is the set to run before a service's own.
func Migrations() (mysqlx.MigrationSet, error) {
	root, err := fs.Sub(files, "migrations")
	if err != nil {
		return mysqlx.MigrationSet{}, err
	}
	return mysqlx.MigrationSet{Name: "mechanism", FS: root}, nil
}
