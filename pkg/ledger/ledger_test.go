package ledger_test

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/creditpay/creditpay/pkg/ledger"
	"github.com/creditpay/creditpay/pkg/money"
)

func idr(n int64) money.Amount { return money.New(n, money.IDR()) }

// lines draws one-sided lines of one currency; some are of zero, and the side that is zero may lack its currency.
func lines(t *rapid.T) []ledger.Line {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) ledger.Line {
		amount := idr(rapid.Int64Range(0, 1_000_000).Draw(t, "amount"))
		line := ledger.Line{Account: rapid.SampledFrom([]string{"A", "B", "C"}).Draw(t, "account")}
		if rapid.Bool().Draw(t, "full") {
			line.Debit, line.Credit = idr(0), idr(0)
		}
		if rapid.Bool().Draw(t, "debit") {
			line.Debit = amount
		} else {
			line.Credit = amount
		}
		return line
	}), 0, 8).Draw(t, "lines")
}

func sums(ls []ledger.Line) (debit, credit int64) {
	for _, l := range ls {
		debit += l.Debit.Minor()
		credit += l.Credit.Minor()
	}
	return debit, credit
}

func TestWhatPassesBalancesAndWhatBalancesPasses(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := lines(t)
		if rapid.Bool().Draw(t, "balance") {
			if debit, credit := sums(in); debit > credit {
				in = append(in, ledger.Line{Account: "Z", Credit: idr(debit - credit)})
			} else {
				in = append(in, ledger.Line{Account: "Z", Debit: idr(credit - debit)})
			}
		}
		debit, credit := sums(in)
		out, err := ledger.Journal{Cause: "TEST", Lines: in}.Check()
		if (err == nil) != (debit == credit) {
			t.Fatalf("debit %d, credit %d: %v", debit, credit, err)
		}
		if err != nil {
			if !errors.Is(err, ledger.ErrUnbalanced) || out != nil {
				t.Fatalf("%v, %v", out, err)
			}
			return
		}
		if d, c := sums(out); d != debit || c != credit {
			t.Fatalf("lines were lost: %d/%d of %d/%d", d, c, debit, credit)
		}
		for _, l := range out {
			if l.Debit.IsPositive() == l.Credit.IsPositive() || l.Debit.Currency() != l.Credit.Currency() {
				t.Fatalf("line %+v is not fit to be written", l)
			}
		}
	})
}

func TestJournalsThatCannotBeTrueAreRefused(t *testing.T) {
	t.Parallel()
	for name, in := range map[string][]ledger.Line{
		"two sides":        {{Account: "A", Debit: idr(5), Credit: idr(5)}},
		"negative":         {{Account: "A", Debit: idr(-5)}, {Account: "B", Credit: idr(-5)}},
		"mixed currencies": {{Account: "A", Debit: idr(5)}, {Account: "B", Credit: money.New(5, money.USD())}},
		"one line":         {{Account: "A", Debit: idr(5)}},
		"overflow":         {{Account: "A", Debit: idr(math.MaxInt64)}, {Account: "A", Debit: idr(1)}},
	} {
		if _, err := (ledger.Journal{Cause: "TEST", Lines: in}).Check(); !errors.Is(err, ledger.ErrUnbalanced) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if out, err := (ledger.Journal{Lines: []ledger.Line{{Account: "A"}}}).Check(); out != nil || err != nil {
		t.Errorf("nothing to post gave %v, %v", out, err)
	}
}
