package mysqlx

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/creditpay/creditpay/pkg/errs"
)

// Server error numbers. MariaDB, MySQL, Galera and TiDB share them where the name does not say otherwise.
const (
	erDupEntry           = 1062
	erLockWaitTimeout    = 1205
	erLockDeadlock       = 1213
	erCheckread          = 1020 // MariaDB 11, Galera: the row changed under a snapshot.
	erWsrepUnknown       = 1047 // Galera: the node is not ready.
	erServerShutdown     = 1053
	erQueryInterrupted   = 1317
	erTooManyConns       = 1040
	erConnectionKilled   = 1927 // MariaDB: an operator or a failover ended the connection.
	erSessionWasKilled   = 3169 // MySQL: the same.
	erOptionPreventsStmt = 1290 // Read only: a failover is under way.
	tidbWriteConflict    = 9007
	tidbTxnRetryable     = 8022
	tidbSchemaChanged    = 8028
)

// Retryable reports whether the server rolled the transaction back for a reason that passes: deadlock, lock wait timeout,
// certification failure. The whole transaction may run again.
func Retryable(err error) bool {
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Number {
	case erLockWaitTimeout, erLockDeadlock, erCheckread, tidbWriteConflict, tidbTxnRetryable, tidbSchemaChanged:
		return true
	default:
		return false
	}
}

// Duplicate reports whether err is a unique key's refusal, and gives the key's name without its table.
func Duplicate(err error) (key string, ok bool) {
	var e *mysql.MySQLError
	if !errors.As(err, &e) || e.Number != erDupEntry {
		return "", false
	}
	// "Duplicate entry '…' for key 'name'" (MariaDB) or 'table.name' (MySQL 8).
	i := strings.LastIndex(e.Message, "for key '")
	if i < 0 {
		return "", true
	}
	key = strings.TrimSuffix(e.Message[i+len("for key '"):], "'")
	if dot := strings.LastIndexByte(key, '.'); dot >= 0 {
		key = key[dot+1:]
	}
	return key, true
}

// Disconnected reports whether err means that the server cannot be reached or went away.
func Disconnected(err error) bool {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		switch e.Number {
		case erServerShutdown, erWsrepUnknown, erTooManyConns, erOptionPreventsStmt, erQueryInterrupted, erConnectionKilled, erSessionWasKilled:
			return true
		default:
			return false
		}
	}
	var ne net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &ne)
}

// Fault turns a driver error into what a caller may see: unavailable (repeat), too little time, or internal. Errors that
// carry a reason already, and nil, pass unchanged.
func Fault(err error, doing string) error {
	if err == nil {
		return nil
	}
	if _, ok := errs.ReasonOf(err); ok {
		return err
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return errs.DeadlineTooShort.Wrap(err, "the call ended before it was done; repeat it with the same request_id")
	case Retryable(err), Disconnected(err):
		return errs.DependencyUnavailable.Wrap(err, "the database is busy or cannot be reached; repeat the call with the same request_id")
	default:
		return errs.Internal.Wrap(err, "%s", doing)
	}
}
