package audit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/schema/schematest"
	"github.com/creditpay/creditpay/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m, testkit.Leaks) }

func TestTypedIDGivesTheIDThatPeopleSee(t *testing.T) {
	t.Parallel()
	id := ids.ID{1, 0x90, 15: 0xff}
	hex := fmt.Sprintf("%X", id[:])
	for in, want := range map[string]string{
		"ord:" + hex:                  ids.Format(ids.Order, id),
		"ord:" + strings.ToLower(hex): ids.Format(ids.Order, id),
		"ord:" + hex[:30]:             "ord:" + hex[:30],
		"ord:" + hex[:31] + "x":       "ord:" + hex[:31] + "x",
		"expire_checkout chk_1":       "expire_checkout chk_1",
		"":                            "",
	} {
		if got := audit.TypedID(in); got != want {
			t.Errorf("TypedID(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestEachMechanismCheckFindsItsOffenderAndNothingElse(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	const old = `'2026-05-01 11:40:00'`
	const young = `'2026-05-01 11:59:30'`
	for check, c := range map[string]struct{ good, bad string }{
		"journal_balances": {
			`INSERT INTO journal_lines VALUES (UNHEX(REPEAT('01', 16)), 1, 'A', '', 'x', 'C', 'IDR', 5, 0, NOW(6)), (UNHEX(REPEAT('01', 16)), 2, 'B', '', 'x', 'C', 'IDR', 0, 5, NOW(6))`,
			`INSERT INTO journal_lines VALUES (UNHEX(REPEAT('02', 16)), 1, 'A', '', 'x', 'C', 'IDR', 5, 0, NOW(6)), (UNHEX(REPEAT('02', 16)), 2, 'B', '', 'x', 'C', 'USD', 0, 5, NOW(6))`},
		"outbox_overdue": {
			`INSERT INTO outbox VALUES (UNHEX(REPEAT('01', 16)), 't', 'k', '', 0, ` + young + `), (UNHEX(REPEAT('03', 16)), 't', 'k', '', 1, ` + old + `)`,
			`INSERT INTO outbox VALUES (UNHEX(REPEAT('02', 16)), 't', 'k', '', 0, ` + old + `)`},
		"job_overdue": {
			`INSERT INTO jobs VALUES ('k', 'good', ` + young + `, 0, '', NOW(6))`,
			`INSERT INTO jobs VALUES ('k', 'bad', ` + old + `, 0, '', NOW(6))`},
		"job_failing": {
			`INSERT INTO jobs VALUES ('k', 'good2', '2026-05-02', 10, 'x', NOW(6))`,
			`INSERT INTO jobs VALUES ('k', 'bad2', '2026-05-02', 11, 'x', NOW(6))`},
		"job_stopped": {
			`INSERT INTO job_faults VALUES ('k', 'good3', 5, NOW(6), NOW(6), 'x', NULL)`,
			`INSERT INTO job_faults VALUES ('k', 'bad3', 100, NOW(6), NOW(6), 'x', NOW(6))`},
		"dead_letters": {
			`INSERT INTO dead_letters VALUES (UNHEX(REPEAT('01', 16)), 't', 'e', 'k', 'type', '', 'error', 1, NOW(6), NOW(6))`,
			`INSERT INTO dead_letters VALUES (UNHEX(REPEAT('02', 16)), 't', 'e', 'k', 'type', '', 'error', 1, NOW(6), NULL)`},
		"request_in_flight": {
			`INSERT INTO idempotency VALUES ('v|c', 'good', REPEAT('x', 32), NULL, ` + young + `), ('v|c', 'done', REPEAT('x', 32), '{}', ` + old + `)`,
			`INSERT INTO idempotency VALUES ('v|c', 'bad', REPEAT('x', 32), NULL, ` + old + `)`},
	} {
		t.Run(check, func(t *testing.T) {
			t.Parallel()
			db := schematest.Open(t)
			for _, step := range []struct {
				insert string
				want   []string
			}{{c.good, nil}, {c.bad, []string{check}}} {
				if _, err := db.ExecContext(t.Context(), step.insert); err != nil {
					t.Fatal(err)
				}
				found, err := audit.Run(t.Context(), db, "order", now, audit.Mechanism())
				if err != nil {
					t.Fatal(err)
				}
				var names []string
				for _, f := range found {
					names = append(names, f.Check)
					if f.Service != "order" || f.ID == "" || f.Text == "" {
						t.Errorf("finding %+v", f)
					}
				}
				if names = slices.Compact(names); !slices.Equal(names, step.want) {
					t.Errorf("found %+v, want %v", found, step.want)
				}
			}
		})
	}
}

func TestFindingsAreBoundedAndABrokenCheckIsNamed(t *testing.T) {
	t.Parallel()
	db := schematest.Open(t)
	many := audit.Check{Name: "many", Query: `WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i, 'x' FROM n`}
	found, err := audit.Run(t.Context(), db, "order", time.Now(), []audit.Check{many})
	if err != nil || len(found) != audit.MaxFindings {
		t.Errorf("%d findings, %v", len(found), err)
	}
	if _, err := audit.Run(t.Context(), db, "order", time.Now(), []audit.Check{{Name: "broken", Query: `SELECT nonsense`}}); err == nil || !strings.Contains(err.Error(), "order.broken") {
		t.Errorf("%v", err)
	}
}
