package bench

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"
)

// The straight writer is the yardstick of a night's work: the rows that the service wrote, written again by somebody who knows them
// already. Nothing is read, decided or locked: the rows wait in memory as SQL, and each transaction is one packet of multi-row
// statements that is committed as durably. It has as many transactions as the sweep.

// writtenTable is the rows of one table that a night writes.
type writtenTable struct {
	name string
	// where picks the rows, as the night left them.
	where string
	args  []any
	// before says that the rows were there before and are overwritten.
	before bool
}

// straight is what is written, by transaction.
type straight struct {
	packets [][]byte
	rows    int
}

// prepareStraight makes a schema with the tables of another one, with the rows that a night will overwrite.
func prepareStraight(ctx context.Context, db *sql.DB, from, schema string, tables []writtenTable) error {
	statements := []string{"CREATE DATABASE " + schema + " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"}
	for _, t := range tables {
		statements = append(statements, "CREATE TABLE "+schema+"."+t.name+" LIKE "+from+"."+t.name)
		if t.before {
			statements = append(statements, "INSERT INTO "+schema+"."+t.name+" SELECT * FROM "+from+"."+t.name)
		}
	}
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("prepare the straight writer: %w", err)
		}
	}
	return nil
}

// readStraight reads what a night wrote and shares it out over so many transactions: each gets the same part of every table.
func readStraight(ctx context.Context, adminDSN, from string, tables []writtenTable, transactions int) (*straight, error) {
	config, err := mysql.ParseDSN(adminDSN)
	if err != nil {
		return nil, err
	}
	config.ParseTime = false // times as MySQL writes them
	db, err := sql.Open("mysql", config.FormatDSN())
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	s := &straight{packets: make([][]byte, transactions)}
	for i := range s.packets {
		s.packets[i] = []byte("START TRANSACTION;")
	}
	for _, t := range tables {
		if err := s.read(ctx, db, from, t); err != nil {
			return nil, fmt.Errorf("read what was written to %s: %w", t.name, err)
		}
	}
	for i := range s.packets {
		s.packets[i] = append(s.packets[i], "COMMIT"...)
	}
	return s, nil
}

func (s *straight) read(ctx context.Context, db *sql.DB, from string, t writtenTable) (err error) {
	columns, types, err := columnsOf(ctx, db, from, t.name)
	if err != nil {
		return err
	}
	where := " FROM " + from + "." + t.name + " WHERE " + t.where
	var count int
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*)"+where, t.args...).Scan(&count); err != nil {
		return err
	}
	rows, err := db.QueryContext(ctx, "SELECT "+strings.Join(columns, ",")+where, t.args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	cells := make([]sql.RawBytes, len(columns))
	into := make([]any, len(columns))
	for i := range cells {
		into[i] = &cells[i]
	}
	head, tail := statementAround(t.name, columns)
	for n, last := 0, -1; rows.Next(); n++ {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		at := n * len(s.packets) / max(count, 1)
		p := s.packets[at]
		if at == last {
			p = append(bytes.TrimSuffix(p, []byte(tail)), ',')
		} else {
			p = append(p, head...)
		}
		s.packets[at], last = append(appendTuple(p, cells, types), tail...), at
		s.rows++
	}
	return rows.Err()
}

// statementAround is an INSERT of any number of tuples that overwrites rows which are there.
func statementAround(table string, columns []string) (head, tail string) {
	sets := make([]string, len(columns))
	for i, c := range columns {
		sets[i] = c + "=VALUES(" + c + ")"
	}
	return "INSERT INTO " + table + " (" + strings.Join(columns, ",") + ") VALUES ",
		" ON DUPLICATE KEY UPDATE " + strings.Join(sets, ",") + ";"
}

// appendTuple writes a row as SQL.
func appendTuple(to []byte, cells []sql.RawBytes, types []string) []byte {
	to = append(to, '(')
	for i, c := range cells {
		if i > 0 {
			to = append(to, ',')
		}
		switch {
		case c == nil:
			to = append(to, "NULL"...)
		case numeric(types[i]):
			to = append(to, c...)
		default:
			to = appendQuoted(to, c)
		}
	}
	return append(to, ')')
}

// appendQuoted writes bytes as a string of SQL.
func appendQuoted(to []byte, data []byte) []byte {
	to = append(to, "_binary'"...)
	for _, c := range data {
		switch c {
		case 0:
			to = append(to, `\0`...)
		case '\'', '\\':
			to = append(to, '\\', c)
		default:
			to = append(to, c)
		}
	}
	return append(to, '\'')
}

// write writes everything once over so many connections.
func (s *straight) write(ctx context.Context, dsn string, connections int) (time.Duration, error) {
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return 0, err
	}
	config.MultiStatements = true
	db, err := sql.Open("mysql", config.FormatDSN())
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	if err := db.PingContext(ctx); err != nil {
		return 0, err
	}
	begin := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(connections)
	for _, packet := range s.packets {
		group.Go(func() error {
			_, err := db.ExecContext(ctx, string(packet))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, fmt.Errorf("write straight: %w", err)
	}
	return time.Since(begin), nil
}
