// Package audit owns the way of proving the books: named checks, each a query that finds what is wrong and nothing when all is
// well.
//
// A service's checks see its own schema only; what must hold between services is compared by the operator's tool from the
// streams that each service gives out. The package must not know a table of a service.
package audit

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"
)

// Check is one rule over a schema.
type Check struct {
	// Name in lower_snake_case, unique per service.
	Name string
	// Rule says what must hold.
	Rule string
	// Query selects (id, what is wrong) of each offender, both as text; at most MaxFindings rows are read.
	// It may hold one placeholder, the time now.
	Query string
	// UsesNow says that the query holds the placeholder.
	UsesNow bool
}

// Finding is one offender.
type Finding struct {
	Service, Check, ID, Text string
}

// MaxFindings bounds what one check reports.
const MaxFindings = 100

// Run runs checks on a schema.
func Run(ctx context.Context, db *mysqlx.DB, service string, now time.Time, checks []Check) ([]Finding, error) {
	var out []Finding
	for _, c := range checks {
		found, err := run(ctx, db, service, now, c)
		if err != nil {
			return out, fmt.Errorf("audit %s.%s: %w", service, c.Name, err)
		}
		out = append(out, found...)
	}
	return out, nil
}

func run(ctx context.Context, db *mysqlx.DB, service string, now time.Time, c Check) ([]Finding, error) {
	var args []any
	if c.UsesNow {
		args = append(args, now)
	}
	rows, err := db.QueryContext(ctx, c.Query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []Finding
	for rows.Next() && len(out) < MaxFindings {
		f := Finding{Service: service, Check: c.Name}
		if err := rows.Scan(&f.ID, &f.Text); err != nil {
			return nil, err
		}
		f.ID = TypedID(f.ID)
		out = append(out, f)
	}
	return out, rows.Err()
}

// TypedID turns "ord:0190…" (a prefix and 32 hex digits, as SQL can write it) into the typed id that people see everywhere else.
// Other text stays as it is.
func TypedID(s string) string {
	prefix, digits, ok := strings.Cut(s, ":")
	if !ok || len(digits) != 32 {
		return s
	}
	var id ids.ID
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
		return s
	}
	return ids.Format(ids.Prefix(prefix), id)
}

// OwnerExpr is an SQL expression for the marketplace of a column of user ids, as caller.SplitUserID parts them: empty for the home
// marketplace.
func OwnerExpr(column string) string {
	return `IF(LOCATE('~', ` + column + `) > 0, SUBSTRING_INDEX(` + column + `, '~', 1), '')`
}

// TypedIDExpr is an SQL expression for the typed id of a BINARY(16) column, as package ids writes it: 26 characters of Crockford base 32
// after the prefix. The 128 bits are cut where both bases meet: 8, 60 and 60 bits are 2, 12 and 12 characters. CONV writes 0-9A-V;
// its capitals are replaced by Crockford's small letters, which no later replacement finds again.
func TypedIDExpr(p ids.Prefix, column string) string {
	part := func(from, length, width int) string {
		return fmt.Sprintf("LPAD(CONV(SUBSTR(HEX(%s), %d, %d), 16, 32), %d, '0')", column, from, length, width)
	}
	digits := "CONCAT(" + strings.Join([]string{part(1, 2, 2), part(3, 15, 12), part(18, 15, 12)}, ", ") + ")"
	const crockford = "abcdefghjkmnpqrstvwxyz" // the digits from 10 on
	for i := range len(crockford) {
		digits = fmt.Sprintf("REPLACE(%s, '%c', '%c')", digits, 'A'+i, crockford[i])
	}
	return fmt.Sprintf("CONCAT('%s_', %s)", p, digits)
}

// Mechanism gives the checks over the mechanism tables, the same in every service.
func Mechanism() []Check {
	return []Check{
		{Name: "journal_balances", Rule: "every journal sums to zero in each currency",
			Query: `SELECT CONCAT('jnl:', HEX(journal_id)), CONCAT('debit - credit = ', SUM(debit_minor) - SUM(credit_minor), ' ', currency_code)
				FROM journal_lines GROUP BY journal_id, currency_code HAVING SUM(debit_minor) <> SUM(credit_minor)`},
		{Name: "outbox_overdue", Rule: "events leave within a minute", UsesNow: true,
			Query: `SELECT CONCAT('evt:', HEX(id)), CONCAT('waits since ', create_time) FROM outbox WHERE published = 0 AND create_time < ? - INTERVAL 60 SECOND`},
		{Name: "job_overdue", Rule: "timers are done within a minute of their time", UsesNow: true,
			Query: `SELECT CONCAT(kind, ' ', job_key), CONCAT('due since ', due_time, ' ', last_error) FROM jobs WHERE due_time < ? - INTERVAL 60 SECOND`},
		{Name: "job_failing", Rule: "no timer fails again and again",
			Query: `SELECT CONCAT(kind, ' ', job_key), CONCAT(attempt, ' attempts: ', last_error) FROM jobs WHERE attempt > 10`},
		{Name: "job_stopped", Rule: "no timer that reached its bound waits for an operator",
			Query: `SELECT CONCAT(kind, ' ', job_key), CONCAT('stopped at ', stop_time, ' after ', faults, ' faults: ', last_error) FROM job_faults
				WHERE stop_time IS NOT NULL`},
		{Name: "dead_letters", Rule: "no dead letter waits for an operator",
			Query: `SELECT CONCAT('dlq:', HEX(id)), CONCAT(type, ': ', error) FROM dead_letters WHERE replay_time IS NULL`},
		{Name: "refused_events", Rule: "in the last day nobody but a topic's owner wrote events to it; an event that came again with its signature counts no more",
			UsesNow: true,
			Query: `SELECT CONCAT(r.topic, '/', r.kafka_partition, '/', r.kafka_offset), CONCAT(r.type, ' with key ', r.message_key, ' was refused: ', r.reason,
				IF(r.key_id = '', '', CONCAT(' of ', r.key_id))) FROM refused_events r WHERE r.create_time > ? - INTERVAL 1 DAY
				AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.event_id = r.event_id)`},
		{Name: "request_in_flight", Rule: "no request stays unanswered for ten minutes", UsesNow: true,
			Query: `SELECT CONCAT(scope, ' ', request_id), CONCAT('in flight since ', create_time) FROM idempotency WHERE answer IS NULL AND create_time < ? - INTERVAL 600 SECOND`},
	}
}
