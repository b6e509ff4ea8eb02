package unit_test

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/ledger"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/outbox"
	"github.com/creditpay/creditpay/pkg/schema/schematest"
	"github.com/creditpay/creditpay/pkg/testkit"
	"github.com/creditpay/creditpay/pkg/unit"
)

func TestMain(m *testing.M) { testkit.Main(m, testkit.Leaks) }

func newKit(t *testing.T) *unit.Kit {
	t.Helper()
	clk := clock.NewFake(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC))
	gen := ids.NewGenerator(clk)
	return &unit.Kit{DB: schematest.Open(t), Outbox: outbox.NewWriter(gen, clk), Jobs: jobs.NewQueue(clk), IDs: gen, Clock: clk}
}

func key() idempotency.Key {
	return idempotency.Key{Verb: "Buy", Caller: "SPM:marketplace", RequestID: "request-1"}
}

func lines(debit, credit int64) []ledger.Line {
	return []ledger.Line{{Account: "A", Party: "user-1", Debit: money.New(debit, money.IDR())}, {Account: "B", Credit: money.New(credit, money.IDR())}}
}

// everything is a unit that uses all that there is.
func everything(w *unit.Work) {
	w.Remember(key(), idempotency.Fingerprint{1}, "answer")
	w.Tell("topic", "k", "ord_1", 2, wrapperspb.String("x"))
	w.Schedule("expire", "ord_1", time.Date(2026, 4, 2, 0, 0, 0, 0, time.UTC))
	w.Post("ord_1", "PAID", lines(5, 5))
	w.Post("ord_1", "NOTHING", nil)
}

func counts(t *testing.T, db *mysqlx.DB) (out [4]int) {
	t.Helper()
	err := db.QueryRowContext(t.Context(), `SELECT (SELECT COUNT(*) FROM idempotency), (SELECT COUNT(*) FROM outbox), (SELECT COUNT(*) FROM jobs), (SELECT COUNT(*) FROM journal_lines)`).
		Scan(&out[0], &out[1], &out[2], &out[3])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAUnitIsAllOrNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	refusal := errs.NotFound.New("none")
	for name, c := range map[string]struct {
		fn   func(w *unit.Work) error
		want error
	}{
		"refused by the closure": {func(w *unit.Work) error { everything(w); return refusal }, refusal},
		"failed in a write":      {func(w *unit.Work) error { everything(w); w.Fail(refusal); w.Fail(errors.New("second")); return nil }, refusal},
		"unbalanced journal":     {func(w *unit.Work) error { everything(w); w.Post("ord_1", "PAID", lines(5, 6)); return nil }, ledger.ErrUnbalanced},
	} {
		if err := k.Do(t.Context(), c.fn); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if got := counts(t, k.DB); got != [4]int{} {
			t.Errorf("%s left %v", name, got)
		}
	}
	if err := k.Do(t.Context(), func(w *unit.Work) error { everything(w); return nil }); err != nil {
		t.Fatal(err)
	}
	if got := counts(t, k.DB); got != [4]int{1, 1, 1, 2} {
		t.Errorf("wrote %v", got)
	}
	if len(k.Outbox.Wake()) != 1 {
		t.Error("the relay was not woken")
	}
}

func TestATimerIsSetAndRemovedAndAnAnswerThatCannotBeWrittenFailsTheUnit(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for i, fn := range []func(w *unit.Work){
		func(w *unit.Work) {
			w.Remember(key(), idempotency.Fingerprint{1}, "done")
			w.Schedule("k", "a", k.Clock.Now())
		},
		func(w *unit.Work) { w.Unschedule("k", "a") },
	} {
		if err := k.Do(t.Context(), func(w *unit.Work) error { fn(w); return nil }); err != nil {
			t.Fatal(err)
		}
		if n := counts(t, k.DB)[2]; n != 1-i {
			t.Errorf("%d timers after step %d", n, i)
		}
	}
	rec, found, err := idempotency.Find(t.Context(), k.DB, key())
	if err != nil || !found || string(rec.Answer) != `"done"` {
		t.Errorf("%+v, %v, %v", rec, found, err)
	}
	if err := k.Do(t.Context(), func(w *unit.Work) error { w.Remember(key(), idempotency.Fingerprint{}, func() {}); return nil }); err == nil {
		t.Error("an answer that cannot be written was remembered")
	}
}

func TestAnAccountLineKeepsItsCurrencyAndSides(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	if err := k.Do(t.Context(), func(w *unit.Work) error { w.Post("ord_1", "PAID", lines(5, 5)); return nil }); err != nil {
		t.Fatal(err)
	}
	var text string
	err := k.DB.QueryRowContext(t.Context(), `SELECT GROUP_CONCAT(CONCAT_WS(' ', line_no, account, party, object_id, cause, currency_code, debit_minor, credit_minor) ORDER BY line_no SEPARATOR '; ') FROM journal_lines`).Scan(&text)
	if want := "1 A user-1 ord_1 PAID IDR 5 0; 2 B  ord_1 PAID IDR 0 5"; err != nil || text != want {
		t.Errorf("%q, %v", text, err)
	}
}
