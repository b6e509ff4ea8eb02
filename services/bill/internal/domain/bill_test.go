package domain

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// Source: the bill of the 25th collects the orders completed from the 25th of last
// month to the 24th and is due on the 5th (help pages of SPayLater).
func TestCycleOfTheTwentyFifth(t *testing.T) {
	t.Parallel()
	p := Product{BillDay: 25, DueDay: 5}
	want := Cycle{From: day(t, "2021-03-25"), To: day(t, "2021-04-24"), BillDate: day(t, "2021-04-25"), DueDate: day(t, "2021-05-05")}
	for _, date := range []string{"2021-03-25", "2021-04-10", "2021-04-24"} {
		if diff := cmp.Diff(want, CycleOf(p, day(t, date))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", date, diff)
		}
	}
	if got := CycleOf(p, day(t, "2021-04-25")); got.From != day(t, "2021-04-25") || got.BillDate != day(t, "2021-05-25") {
		t.Errorf("the next cycle: %+v", got)
	}
}

func TestEveryDayBelongsToOneCycleAndBillDatesAreThoseOfDueDates(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, date := drawProduct(t), drawDate(t)
		p.BillDay = rapid.IntRange(1, 31).Draw(t, "any bill day")
		if len(p.dayProblems()) > 0 {
			return
		}
		c := CycleOf(p, date)
		if date.Before(c.From) || date.After(c.To) || c.To.AddDays(1) != c.BillDate || !c.DueDate.After(c.BillDate) {
			t.Fatalf("%s in %+v", date, c)
		}
		if next := CycleOf(p, c.BillDate); next.From != c.BillDate {
			t.Fatalf("%+v is followed by %+v", c, next)
		}
		bills, dues := BillDates(p, date, 14), DueDates(p, date, 14)
		for i := range bills {
			if got := p.BillDateOf(dues[i]); got != bills[i] {
				t.Fatalf("due %s is billed %s, not %s", dues[i], bills[i], got)
			}
		}
	})
}

// twoLoans are loans of 10 and 28 April: the first has instalments on the bills of
// 25 April to 25 June, the second from 25 May on.
func twoLoans(t *testing.T, date string, first, second []Fact) []LoanPosition {
	t.Helper()
	p := DefaultProducts(money.IDR())[0]
	p.Tenors = []Tenor{{3, 20_000, PerMonth}}
	return []LoanPosition{
		{ids.ID{2}, replayedOn(t, contractOf(t, p, rp(300_000), "2026-04-10"), date, first...)},
		{ids.ID{1}, replayedOn(t, contractOf(t, p, rp(90_000), "2026-04-28"), date, second...)},
	}
}

func TestBillsCollectTheInstalmentsOfTheirDate(t *testing.T) {
	t.Parallel()
	bills, err := BillsOf(twoLoans(t, "2026-05-25", []Fact{fact(t, 1, FactRepaid, "2026-05-05", rp(109_000))}, nil))
	if err != nil {
		t.Fatal(err)
	}
	if len(bills) != 2 || bills[0].BillDate != day(t, "2026-04-25") || bills[0].State != BillPaid || len(bills[0].Lines) != 1 {
		t.Fatalf("%+v", bills)
	}
	second := bills[1]
	// 100,000 + 2,000×3 of the first loan; 30,000 + 1,800 + 900 of the second.
	if second.DueDate != day(t, "2026-06-05") || second.State != BillIssued || second.OpenTotal != rp(106_000+32_700) {
		t.Errorf("%+v", second)
	}
	if len(second.Lines) != 2 || second.Lines[0].LoanID != (ids.ID{1}) || second.Lines[1].Sequence != 2 {
		t.Errorf("lines %+v", second.Lines)
	}
	if none, err := BillsOf(twoLoans(t, "2026-04-28", nil, nil)[1:]); err != nil || len(none) != 0 {
		t.Errorf("before the bill: %+v, %v", none, err)
	}
}

func TestBillStatesFollowTheFacts(t *testing.T) {
	t.Parallel()
	full := fact(t, 9, FactRefunded, "2026-04-28", rp(90_000))
	for _, tc := range []struct {
		date          string
		first, second []Fact
		want          []BillState
	}{
		{"2026-05-05", nil, nil, []BillState{BillIssued}},
		{"2026-05-06", nil, nil, []BillState{BillOverdue}},
		{"2026-05-06", []Fact{fact(t, 1, FactRepaid, "2026-05-06", rp(114_450))}, nil, []BillState{BillPaid}},
		{"2026-06-06", []Fact{fact(t, 1, FactRepaid, "2026-05-05", rp(109_000)), fact(t, 2, FactRefunded, "2026-05-06", rp(200_000))}, []Fact{full}, []BillState{BillPaid, BillCancelled}},
	} {
		bills, err := BillsOf(twoLoans(t, tc.date, tc.first, tc.second))
		if err != nil {
			t.Fatal(err)
		}
		var got []BillState
		for _, b := range bills {
			got = append(got, b.State)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.date, diff)
		}
	}
	if got := BillStates.Initial(); len(got) != 1 || got[0] != BillIssued {
		t.Errorf("a bill is born in %v", got)
	}
}

// The first loan is given up before its second bill is made: that bill is of the second loan alone, and not late.
func TestABillIsWithoutWhatWasGivenUpBeforeItWasMade(t *testing.T) {
	t.Parallel()
	bills, err := BillsOf(twoLoans(t, "2026-05-26", []Fact{fact(t, 1, FactWrittenOff, "2026-05-20", rp(0))}, nil))
	if err != nil {
		t.Fatal(err)
	}
	if len(bills) != 2 || bills[0].State != BillOverdue || bills[1].State != BillIssued || len(bills[1].Lines) != 1 || bills[1].Charged.Principal != rp(30_000) {
		t.Errorf("%+v", bills)
	}
}

func TestBillsRefuseMixedDays(t *testing.T) {
	t.Parallel()
	loans := twoLoans(t, "2026-05-25", nil, nil)
	loans[1] = twoLoans(t, "2026-05-26", nil, nil)[1]
	if _, err := BillsOf(loans); !errors.Is(err, ErrInvariant) {
		t.Errorf("got %v", err)
	}
}

func TestSplitPaysTheOldestDebtFirst(t *testing.T) {
	t.Parallel()
	loans := twoLoans(t, "2026-06-05", nil, nil)
	// On 5 June the first loan owes 109,000 with a late fee of 5,450 that is past due
	// and 106,000 that are due today; the second owes 32,700 due today. Then the future.
	for _, tc := range []struct {
		amount int64
		target RepaymentTarget
		want   []LoanShare
		rest   int64
	}{
		{100_000, RepaymentTarget{}, []LoanShare{{ids.ID{2}, rp(100_000)}}, 0},
		{120_000, RepaymentTarget{}, []LoanShare{{ids.ID{2}, rp(114_450)}, {ids.ID{1}, rp(5_550)}}, 0},
		{1_000_000, RepaymentTarget{}, []LoanShare{{ids.ID{2}, rp(326_450)}, {ids.ID{1}, rp(96_300)}}, 577_250},
		{50_000, RepaymentTarget{Loans: []ids.ID{{1}}}, []LoanShare{{ids.ID{1}, rp(50_000)}}, 0},
		{150_000, RepaymentTarget{Bills: []BillName{{day(t, "2026-05-25"), day(t, "2026-06-05")}}}, []LoanShare{{ids.ID{1}, rp(32_700)}, {ids.ID{2}, rp(106_000)}}, 11_300},
	} {
		shares, rest, err := SplitRepayment(rp(tc.amount), loans, tc.target)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, shares, compareMoney()); diff != "" || rest != rp(tc.rest) {
			t.Errorf("%d: rest %s (-want +got):\n%s", tc.amount, rest, diff)
		}
	}
	if sum, err := SumToPay(money.IDR(), loans, RepaymentTarget{}); err != nil || sum != rp(422_750) {
		t.Errorf("in all %s, %v", sum, err)
	}
}

func TestSplitRefusesWhatItCannotPay(t *testing.T) {
	t.Parallel()
	loans := twoLoans(t, "2026-06-05", nil, nil)
	for _, tc := range []struct {
		amount money.Amount
		target RepaymentTarget
		want   errs.Reason
	}{
		{rp(0), RepaymentTarget{}, errs.AmountOutOfRange},
		{usd(1), RepaymentTarget{}, errs.CurrencyMismatch},
		{rp(1), RepaymentTarget{Loans: []ids.ID{{7}}}, errs.NotFound},
		{rp(1), RepaymentTarget{Bills: []BillName{{day(t, "2026-06-25"), day(t, "2026-07-05")}}}, errs.NotFound},
		{rp(1), RepaymentTarget{Loans: []ids.ID{{1}}, Bills: []BillName{{}}}, errs.InvalidArgument},
	} {
		if _, _, err := SplitRepayment(tc.amount, loans, tc.target); !errs.Is(err, tc.want) {
			t.Errorf("%s: %v", tc.want.Name(), err)
		}
	}
}

// Whatever the loans: shares and rest add up, each loan can take its share without
// anything overpaid, something is left over only when nothing is owed, and nothing
// past due is open while a loan got money for the future.
func TestSplitIsExactForEveryHistory(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base := drawTerms(t)
		date := base.Start.AddDays(rapid.IntRange(20, base.lifetime()).Draw(t, "day"))
		var loans []LoanPosition
		terms, facts := map[ids.ID]Contract{}, map[ids.ID][]Fact{}
		var overdue, owed int64
		for n := range rapid.IntRange(1, 3).Draw(t, "loans") {
			c := base
			c.Start = base.Start.AddDays(rapid.IntRange(0, 19).Draw(t, "later"))
			var err error
			if c.Plan, err = buildPlan(c.Product, c.Plan.TenorMonths, c.Plan.Principal, c.Start); err != nil {
				t.Fatal(err)
			}
			id := ids.ID{byte(n + 1)}
			terms[id], facts[id] = c, nil
			for _, f := range drawFacts(t, c, 3) {
				if f.Date.Before(date) {
					facts[id] = append(facts[id], f)
				}
			}
			p := mustReplay(t, c, facts[id], date)
			loans = append(loans, LoanPosition{id, p})
			for _, in := range p.Instalments {
				if in.DueDate.Before(date) {
					overdue += in.Open.Principal.Minor() + in.Open.Interest.Minor() + in.Open.Fee.Minor() + in.Open.Late.Minor()
				}
			}
			owed += p.OpenTotal.Minor()
		}
		amount := rapid.Int64Range(1, owed+10).Draw(t, "amount")
		shares, rest, err := SplitRepayment(rp(amount), loans, RepaymentTarget{})
		if err != nil {
			t.Fatal(err)
		}
		left, pastDue := amount-rest.Minor(), int64(0)
		after := map[ids.ID]Position{}
		for _, l := range loans {
			after[l.LoanID] = l.Position
		}
		for _, s := range shares {
			left -= s.Amount.Minor()
			was := after[s.LoanID]
			after[s.LoanID] = mustReplay(t, terms[s.LoanID], append(facts[s.LoanID], Fact{ids.ID{250}, FactRepaid, date, s.Amount}), date)
			if now := after[s.LoanID]; now.OpenTotal.Minor() != was.OpenTotal.Minor()-s.Amount.Minor() || now.Overpaid != was.Overpaid {
				t.Fatalf("%s takes %s: open was %s, is %s; overpaid %s", s.LoanID, s.Amount, was.OpenTotal, now.OpenTotal, now.Overpaid)
			}
		}
		for _, p := range after {
			for _, in := range p.Instalments {
				if in.DueDate.Before(date) {
					pastDue += in.Open.Principal.Minor() + in.Open.Interest.Minor() + in.Open.Fee.Minor() + in.Open.Late.Minor()
				}
			}
		}
		if left != 0 || rest.Minor() != max(0, amount-owed) {
			t.Fatalf("%d of %d unexplained, rest %s of %d owed", left, amount, rest, owed)
		}
		// By parts, interest of a billed instalment may come before older principal.
		if base.Product.Servicing.Mode == Horizontal && pastDue != max(0, overdue-amount) {
			t.Fatalf("%d past due after %d of %d", pastDue, amount, overdue)
		}
	})
}
