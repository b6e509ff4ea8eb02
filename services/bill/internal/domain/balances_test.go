package domain

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

// The life of a loan of 300,000 in three at 2 % flat with 1 % fee, step by step, by
// hand.
func TestJournalOfALoansLife(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	p.Tenors = []Tenor{{3, 20_000, PerMonth}}
	terms := contractOf(t, p, rp(300_000), "2026-04-10")
	paid := fact(t, 1, FactRepaid, "2026-05-10", rp(115_000))
	refund := fact(t, 2, FactRefunded, "2026-05-11", rp(150_000))
	waiver := fact(t, 3, FactLateFeeWaived, "2026-05-12", rp(450))
	off := fact(t, 4, FactWrittenOff, "2026-09-01", rp(0))
	back := fact(t, 5, FactRecovered, "2026-10-01", rp(30_000))
	debit := func(account string, n int64) Line { return Line{account, rp(n), rp(0)} }
	credit := func(account string, n int64) Line { return Line{account, rp(0), rp(n)} }
	last := replayedOn(t, terms, "2026-04-10")
	var facts []Fact
	for _, step := range []struct {
		what, date string
		fact       *Fact
		want       []Line
	}{
		{"nothing happens before the bill", "2026-04-24", nil, nil},
		{"the bill earns the fee and its interest", "2026-04-25", nil, []Line{
			debit(InterestReceivable, 6_000), debit(FeeUnearned, 3_000), credit(InterestIncome, 6_000), credit(FeeIncome, 3_000),
		}},
		{"a late fee of 5 % of 109,000", "2026-05-06", nil, []Line{debit(LateFeeReceivable, 5_450), credit(LateFeeIncome, 5_450)}},
		// 5,450 + 3,000 + 6,000 + 100,000 of the first; 550 of the second's interest.
		{"a repayment", "2026-05-10", &paid, []Line{
			credit(LoanPrincipal, 100_000), credit(InterestReceivable, 6_000), credit(FeeReceivable, 3_000),
			credit(LateFeeReceivable, 5_450), debit(RepaymentClearing, 115_000), credit(InterestUnearned, 550),
		}},
		// The third with its interest, half of the second with half of its: 3,000 of the
		// 5,450 that are open.
		{"a refund", "2026-05-11", &refund, []Line{credit(LoanPrincipal, 150_000), debit(CreditClearing, 150_000)}},
		{"a waiver of a fee that was paid", "2026-05-12", &waiver, []Line{credit(CreditBalance, 450), debit(LateFeeIncome, 450)}},
		{"the second bill", "2026-05-25", nil, []Line{
			debit(InterestReceivable, 2_450), debit(InterestUnearned, 550), credit(InterestIncome, 3_000),
		}},
		// 5 % of 52,450 in June, July and August: 2,622.5 rounded up.
		{"three more late fees", "2026-08-31", nil, []Line{debit(LateFeeReceivable, 7_869), credit(LateFeeIncome, 7_869)}},
		{"given up", "2026-09-01", &off, []Line{
			credit(LoanPrincipal, 50_000), credit(InterestReceivable, 2_450), credit(LateFeeReceivable, 7_869), debit(WriteOffExpense, 60_319),
		}},
		{"a recovery", "2026-10-01", &back, []Line{debit(RepaymentClearing, 30_000), credit(RecoveryIncome, 30_000)}},
	} {
		if step.fact != nil {
			facts = append(facts, *step.fact)
		}
		next := replayedOn(t, terms, step.date, facts...)
		lines, err := Lines(last, next)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, lines, compareMoney()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.what, diff)
		}
		last = next
	}
}

func TestCreditBalanceLinesCancelOut(t *testing.T) {
	t.Parallel()
	sum := map[string]int64{}
	for _, f := range []func(money.Amount) ([]Line, error){CreditBalanceLines, CreditBalancePaidOutLines, CreditBalanceUsedLines, RefundPaidOutLines} {
		lines, err := f(rp(500))
		if err != nil || CheckLines(lines) != nil {
			t.Fatal(err)
		}
		for _, l := range append(lines, Reverse(lines)...) {
			sum[l.Account] += l.Debit.Minor() - l.Credit.Minor()
		}
		if _, err := f(rp(0)); !errs.Is(err, errs.AmountOutOfRange) {
			t.Errorf("nothing: %v", err)
		}
	}
	for account, n := range sum {
		if n != 0 {
			t.Errorf("%s has %d", account, n)
		}
	}
}

func TestLinesBetweenRefusesWhatIsNoBalance(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]Balances{
		"unknown account": {"CASH": rp(1), LoanPrincipal: rp(-1)},
		"unbalanced":      {LoanPrincipal: rp(1)},
		"other currency":  {LoanPrincipal: usd(1), CreditClearing: usd(-1)},
	} {
		if _, err := LinesBetween(money.IDR(), Balances{}, after); !errors.Is(err, ErrInvariant) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestChartNamesEveryAccountOnce(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, e := range Chart() {
		if seen[e.Account] || e.Account == "" || e.Kind == "" || e.Party == "" {
			t.Errorf("%+v", e)
		}
		seen[e.Account] = true
	}
	if len(seen) != 18 {
		t.Errorf("%d accounts", len(seen))
	}
}
