package bench

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/creditpay/creditpay/pkg/ids"
)

// The filler makes a database that has seen many purchases by copying one real purchase: every row that it left behind, with
// other ids, users, order numbers and times. So the copies have the shape of real rows whatever the services store, and the
// books stay right: the audit is asked about them too.
//
// Copies are 8 to 28 days old: within the 30 days for which services keep the records of requests, of sent and of seen events, so
// those are copied too.

const (
	fillBatch   = 4 << 20 // bytes of text that are loaded at once
	fillWorkers = 3
	// fillOrdersPerUser is how many purchases each of the copied users of the large fill made.
	fillOrdersPerUser = 10
	fillOldest        = 28 * 24 * time.Hour
	fillYoungest      = 8 * 24 * time.Hour
	// ahead is how far behind the purchase a time lies that is a plan and no memory.
	ahead = time.Hour

	templateUser = "template-user-0000000001"
	timeLayout   = "2006-01-02 15:04:05.000000"
)

// fillSkipped are the tables of which there is not a row per purchase.
var fillSkipped = []string{"products", "approval_tiers", "approval_since", "approval_rules", "approval_rule_tiers", "leases", "dead_letters"}

// requestsTable has rows per user (opening an account) and rows per purchase, whose requests bear the order number here.
const requestsTable = "idempotency"

// fillPerUser are the tables with rows per user.
var fillPerUser = []string{"credit_accounts", "account_changes", "pins"}

// slotKind is what a place in a copied row holds.
type slotKind int

const (
	slotID     slotKind = iota // the 16 bytes of an id
	slotIDText                 // the 26 characters of an id
	slotUser
	slotOrderNo
	slotTime // DATETIME(6)
	slotUsed // an account's used credit
)

// slot is a place in the text of a row where each copy has something else.
type slot struct {
	at   int
	kind slotKind
	id   int // index into template.ids
	time time.Time
	used int64
}

// copyOrder is the order in which copies are made: that of the table's primary key. A table that is larger than the server's cache
// is filled quickly in no other: each row would cost a page that is read and, later, written again.
type copyOrder int

const (
	perUser copyOrder = iota // one copy for each user
	byTime                   // one copy for each order, as they were made
	byUser                   // one copy for each order, those of a user one after the other
)

// tableRows is what the template purchase left in one table, as far as it is copied in the same order.
type tableRows struct {
	table string // schema-qualified
	load  string // LOAD DATA with a place for the name of what is loaded
	order copyOrder
	rows  []rowText
}

// size is how many rows the copies have.
func (t *tableRows) size(f fill) int { return len(t.rows) * f.count(t.order) }

// rowText is a row as LOAD DATA reads it, without what stands in its slots.
type rowText struct {
	text  []byte
	slots []slot
}

// template is one purchase, ready to be copied.
type template struct {
	tables  []*tableRows
	ids     []templateID
	orderNo string
	at      time.Time
}

type templateID struct {
	id      ids.ID
	perUser bool
}

// value is one cell as read.
type value struct {
	null bool
	typ  string // DATA_TYPE
	data []byte
}

// rawTable is a table as read.
type rawTable struct {
	schema, name string
	perUser      bool
	columns      []string
	key          []string // the columns of the primary key
	rows         [][]value
}

// readTemplate reads what the only purchase of these schemas left behind. It was made by templateUser at the given time with
// that order number.
func readTemplate(ctx context.Context, adminDSN string, schemas []string, orderNo string, at time.Time) (*template, error) {
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
	t := &template{orderNo: orderNo, at: at}
	var raw []rawTable
	for _, schema := range schemas {
		tables, err := readSchema(ctx, db, schema)
		if err != nil {
			return nil, fmt.Errorf("read the template purchase of %s: %w", schema, err)
		}
		for _, table := range tables {
			raw = append(raw, t.split(table)...)
		}
	}
	known := map[ids.ID]int{}
	for _, perUser := range []bool{true, false} { // an account's id stays one per user wherever it is written
		for _, table := range raw {
			if table.perUser == perUser {
				t.collectIDs(table, perUser, known)
			}
		}
	}
	for _, table := range raw {
		compiled, err := t.compile(table, known)
		if err != nil {
			return nil, err
		}
		t.tables = append(t.tables, compiled...)
	}
	return t, nil
}

// split parts a table into what belongs to the user and what to the purchase.
func (t *template) split(table rawTable) []rawTable {
	if table.name != requestsTable {
		table.perUser = slices.Contains(fillPerUser, table.name)
		return []rawTable{table}
	}
	user, purchase := table, table
	user.perUser, user.rows, purchase.rows = true, nil, nil
	for _, row := range table.rows {
		if slices.ContainsFunc(row, func(v value) bool { return bytes.Contains(v.data, []byte(t.orderNo)) }) {
			purchase.rows = append(purchase.rows, row)
		} else {
			user.rows = append(user.rows, row)
		}
	}
	return slices.DeleteFunc([]rawTable{user, purchase}, func(t rawTable) bool { return len(t.rows) == 0 })
}

func readSchema(ctx context.Context, db *sql.DB, schema string) ([]rawTable, error) {
	names, err := column(ctx, db, `SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_type = 'BASE TABLE' ORDER BY table_name`, schema)
	if err != nil {
		return nil, err
	}
	var out []rawTable
	for _, name := range names {
		if slices.Contains(fillSkipped, name) || strings.HasPrefix(name, "migration") {
			continue
		}
		table := rawTable{schema: schema, name: name}
		var types []string
		if table.columns, types, err = columnsOf(ctx, db, schema, name); err != nil {
			return nil, err
		}
		if table.key, err = column(ctx, db, `SELECT column_name FROM information_schema.statistics
			WHERE table_schema = ? AND table_name = ? AND index_name = 'PRIMARY' ORDER BY seq_in_index`, schema, name); err != nil {
			return nil, err
		}
		if table.rows, err = readRows(ctx, db, table, types); err != nil {
			return nil, err
		}
		if len(table.rows) > 0 {
			out = append(out, table)
		}
	}
	return out, nil
}

// columnsOf gives the columns of a table that are stored, with their types.
func columnsOf(ctx context.Context, db *sql.DB, schema, table string) (names, types []string, err error) {
	const stored = ` FROM information_schema.columns WHERE table_schema = ? AND table_name = ? AND extra NOT LIKE '%GENERATED%' ORDER BY ordinal_position`
	if names, err = column(ctx, db, `SELECT column_name`+stored, schema, table); err != nil {
		return nil, nil, err
	}
	types, err = column(ctx, db, `SELECT column_type`+stored, schema, table)
	return names, types, err
}

func column(ctx context.Context, db *sql.DB, query string, args ...any) (out []string, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// templateRowsMax bounds the rows of one table: more than that was not one purchase.
const templateRowsMax = 50

func readRows(ctx context.Context, db *sql.DB, table rawTable, types []string) (out [][]value, err error) {
	rows, err := db.QueryContext(ctx, "SELECT `"+strings.Join(table.columns, "`,`")+"` FROM `"+table.schema+"`.`"+table.name+"`")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		cells := make([]sql.RawBytes, len(types))
		into := make([]any, len(types))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		row := make([]value, len(types))
		for i, c := range cells {
			row[i] = value{null: c == nil, typ: types[i], data: bytes.Clone(c)}
		}
		if out = append(out, row); len(out) > templateRowsMax {
			return nil, fmt.Errorf("%s holds more than one purchase", table.name)
		}
	}
	return out, rows.Err()
}

func (t *template) collectIDs(table rawTable, perUser bool, known map[ids.ID]int) {
	for _, row := range table.rows {
		for _, v := range row {
			if v.typ != "binary(16)" || v.null {
				continue
			}
			id := ids.ID(v.data)
			if _, ok := known[id]; !ok && !id.IsZero() {
				known[id] = len(t.ids)
				t.ids = append(t.ids, templateID{id: id, perUser: perUser})
			}
		}
	}
}

// compile turns rows into texts with slots, parted by the order in which they are copied.
func (t *template) compile(table rawTable, known map[ids.ID]int) ([]*tableRows, error) {
	var out []*tableRows
	name := "`" + table.schema + "`.`" + table.name + "`"
	for _, row := range table.rows {
		var r rowText
		kinds := map[string]slotKind{} // of the first slot in a column
		for i, v := range row {
			if i > 0 {
				r.text = append(r.text, '\t')
			}
			before := len(r.slots)
			if err := t.cell(&r, table, table.columns[i], v, known); err != nil {
				return nil, fmt.Errorf("copy %s.%s: %w", name, table.columns[i], err)
			}
			if len(r.slots) > before {
				kinds[table.columns[i]] = r.slots[before].kind
			}
		}
		r.text = append(r.text, '\n')
		order := table.order(kinds)
		at := slices.IndexFunc(out, func(t *tableRows) bool { return t.order == order })
		if at < 0 {
			at = len(out)
			out = append(out, &tableRows{table: table.schema + "." + table.name, order: order,
				load: "LOAD DATA LOCAL INFILE 'Reader::%s' INTO TABLE " + name + " CHARACTER SET binary (`" + strings.Join(table.columns, "`,`") + "`)"})
		}
		out[at].rows = append(out[at].rows, r)
	}
	return out, nil
}

// order tells in which order copies of a row have rising primary keys. Ids and order numbers rise with time.
func (t rawTable) order(kinds map[string]slotKind) copyOrder {
	if t.perUser {
		return perUser
	}
	for _, column := range t.key {
		if kind, ok := kinds[column]; ok && kind == slotUser {
			return byUser
		} else if ok {
			return byTime
		}
	}
	return byTime
}

func (t *template) cell(r *rowText, table rawTable, name string, v value, known map[ids.ID]int) error {
	switch {
	case v.null:
		r.text = append(r.text, `\N`...)
	case v.typ == "datetime(6)":
		at, err := time.Parse(timeLayout, string(v.data))
		// Timers stay where they are, and so does what lies ahead: the copies are older, and a night's work that is due in two weeks
		// must not be due for a million loans at once in the middle of the measurement.
		if err != nil || table.name == "jobs" || at.Sub(t.at) > ahead {
			r.text = append(r.text, v.data...)
			break
		}
		r.slots = append(r.slots, slot{at: len(r.text), kind: slotTime, time: at})
	case table.name == "credit_accounts" && name == "used_minor":
		var used int64
		if _, err := fmt.Sscan(string(v.data), &used); err != nil {
			return err
		}
		r.slots = append(r.slots, slot{at: len(r.text), kind: slotUsed, used: used})
	case numeric(v.typ), v.typ == "date":
		r.text = append(r.text, v.data...)
	case v.typ == "binary(16)" && has(known, v.data):
		r.slots = append(r.slots, slot{at: len(r.text), kind: slotID, id: known[ids.ID(v.data)]})
	default:
		return t.content(r, v.data, known)
	}
	return nil
}

func has(known map[ids.ID]int, data []byte) bool {
	_, ok := known[ids.ID(data)]
	return ok
}

func numeric(typ string) bool {
	for _, prefix := range []string{"int", "bigint", "smallint", "tinyint", "mediumint", "decimal"} {
		if strings.HasPrefix(typ, prefix) {
			return true
		}
	}
	return false
}

// content writes text or bytes with the ids, the user and the order number in them as slots.
func (t *template) content(r *rowText, data []byte, known map[ids.ID]int) error {
	for i := 0; i < len(data); {
		s, n := t.find(data[i:], known)
		if n > 0 {
			s.at = len(r.text)
			r.slots = append(r.slots, s)
			i += n
			continue
		}
		if i+16 <= len(data) && has(known, data[i:i+16]) {
			return errors.New("an id in its 16 bytes stands inside a value")
		}
		r.text = appendEscaped(r.text, data[i])
		i++
	}
	return nil
}

// find reports what slot the data begins with, and its length; 0 for none.
func (t *template) find(data []byte, known map[ids.ID]int) (slot, int) {
	const idLength = 26
	if len(data) >= idLength {
		var id ids.ID
		if id.UnmarshalText(data[:idLength]) == nil {
			if k, ok := known[id]; ok {
				return slot{kind: slotIDText, id: k}, idLength
			}
		}
	}
	if bytes.HasPrefix(data, []byte(templateUser)) {
		return slot{kind: slotUser}, len(templateUser)
	}
	if bytes.HasPrefix(data, []byte(t.orderNo)) {
		return slot{kind: slotOrderNo}, len(t.orderNo)
	}
	return slot{}, 0
}

// appendEscaped writes a byte as LOAD DATA reads it.
func appendEscaped(to []byte, c byte) []byte {
	switch c {
	case 0:
		return append(to, `\0`...)
	case '\t':
		return append(to, `\t`...)
	case '\n':
		return append(to, `\n`...)
	case '\\':
		return append(to, `\\`...)
	}
	return append(to, c)
}
