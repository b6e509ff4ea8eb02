package schema_test

import (
	"slices"
	"testing"

	"github.com/creditpay/creditpay/pkg/schema/schematest"
	"github.com/creditpay/creditpay/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m, testkit.Leaks) }

func TestTheMechanismTablesAreMadeAndEachHasAPrimaryKey(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	rows, err := db.QueryContext(t.Context(), `SELECT table_name FROM information_schema.statistics
		WHERE table_schema = DATABASE() AND index_name = 'PRIMARY' AND seq_in_index = 1 AND table_name NOT LIKE 'migration%' ORDER BY table_name`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var got []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		got = append(got, name)
	}
	if want := []string{"dead_letters", "idempotency", "inbox", "jobs", "job_faults", "journal_lines", "leases", "outbox", "refused_events"}; rows.Err() != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, rows.Err())
	}
}

func TestTheDatabaseItselfRefusesLinesThatCannotBeTrue(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	for name, sides := range map[string]string{"two sides": "5, 5", "no side": "0, 0", "negative": "-5, 0"} {
		if _, err := db.ExecContext(t.Context(), `INSERT INTO journal_lines VALUES (REPEAT('x', 16), 1, 'A', '', 'x', 'C', 'IDR', `+sides+`, NOW(6))`); err == nil {
			t.Errorf("%s was stored", name)
		}
	}
}
