package store_test

import (
	"testing"
	"time"
)

func TestTheRuleOfSigningIsNotedWhenItChanges(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for i, step := range []struct {
		required bool
		rows     int
	}{{false, 0}, {true, 1}, {true, 1}, {false, 2}, {false, 2}, {true, 3}} {
		if err := b.NoteEsignRule(t.Context(), step.required, b.now.Add(time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := b.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM esign_rule`).Scan(&n); err != nil || n != step.rows {
			t.Errorf("step %d: %d rows, %v, want %d", i, n, err, step.rows)
		}
	}
}
