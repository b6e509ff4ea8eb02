package domain

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// contractOf is a contract of a product's first tenor.
func contractOf(t *testing.T, p Product, principal money.Amount, start string) Contract {
	t.Helper()
	plan, err := BuildPlan(p, p.Tenors[0].Months, principal, day(t, start))
	if err != nil {
		t.Fatal(err)
	}
	return Contract{Product: p, Plan: plan, Start: day(t, start)}
}

// fourPayments are four interest-free instalments on given dates, as in Apache
// Fineract's Loan.feature.
func fourPayments(t *testing.T, each int64, dues ...string) Contract {
	t.Helper()
	p := testProduct(money.USD(), Zero, Tenor{4, 0, PerMonth}, money.HalfEven, 1)
	p.BillDay, p.DueDay = 31, 5
	p.Servicing.Refund = RefundRule{RefundPastDueFirst, StrategyReamortize, RefundInterestUnbilled}
	plan, err := BuildPlan(p, 4, usd(4*each), day(t, dues[0]))
	if err != nil {
		t.Fatal(err)
	}
	for i, due := range dues {
		plan.Instalments[i].DueDate = day(t, due)
	}
	return Contract{Product: p, Plan: plan, Start: day(t, dues[0])}
}

// fact is a fact with an id of its own number.
func fact(t *testing.T, n byte, kind FactKind, date string, amount money.Amount) Fact {
	t.Helper()
	return Fact{ID: ids.ID{n}, Kind: kind, Date: day(t, date), Amount: amount}
}

// replayedOn is the position of a date.
func replayedOn(t *testing.T, terms Contract, date string, facts ...Fact) Position {
	t.Helper()
	p, err := Replay(terms, facts, day(t, date))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// gone is, per instalment, what was paid or cancelled, which Fineract calls paid.
func gone(t *testing.T, p Position) []int64 {
	t.Helper()
	var out []int64
	for _, in := range p.Instalments {
		charged, err := in.Charged.Total()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, charged.Minor()-openOf(t, in))
	}
	return out
}

// openOf is what is open of an instalment.
func openOf(t *testing.T, in InstalmentPosition) int64 {
	t.Helper()
	open, err := in.Open.Total()
	if err != nil {
		t.Fatal(err)
	}
	return open.Minor()
}

// allOpen is what is open per instalment.
func allOpen(t *testing.T, p Position) []int64 {
	t.Helper()
	var out []int64
	for _, in := range p.Instalments {
		out = append(out, openOf(t, in))
	}
	return out
}

// Source: Apache Fineract, Loan.feature UC05: 500 in 4 × 125, the first unpaid,
// merchant refund of 300 on 8 January (REAMORTIZATION), then 201 on 16 January.
func TestUC05MerchantRefundWithAnUnpaidInstalment(t *testing.T) {
	t.Parallel()
	terms := fourPayments(t, 125_00, "2023-01-01", "2023-01-16", "2023-01-31", "2023-02-15")
	refund := fact(t, 1, FactRefunded, "2023-01-08", usd(300_00))
	p := replayedOn(t, terms, "2023-01-08", refund)
	if diff := cmp.Diff([]int64{125_00, 58_33, 58_33, 58_34}, gone(t, p)); diff != "" {
		t.Errorf("after the refund (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{0, 66_67, 66_67, 66_66}, allOpen(t, p)); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
	p = replayedOn(t, terms, "2023-01-16", refund, fact(t, 2, FactRepaid, "2023-01-16", usd(201_00)))
	if diff := cmp.Diff([]int64{125_00, 125_00, 125_00, 125_00}, gone(t, p)); diff != "" {
		t.Errorf("after the repayment (-want +got):\n%s", diff)
	}
	if p.Overpaid != usd(1_00) || p.State != LoanSettled || p.SettledOn != day(t, "2023-01-16") {
		t.Errorf("overpaid %s, %s on %s", p.Overpaid, p.State, p.SettledOn)
	}
}

// Source: Apache Fineract, Loan.feature UC07: the first two paid, refund of 200 on
// 16 January, the second's due day; 25 on 31 January and 25 on 15 February close it.
func TestUC07MerchantRefundOnADueDay(t *testing.T) {
	t.Parallel()
	terms := fourPayments(t, 125_00, "2023-01-01", "2023-01-16", "2023-01-31", "2023-02-15")
	facts := []Fact{
		fact(t, 1, FactRepaid, "2023-01-01", usd(125_00)), fact(t, 2, FactRepaid, "2023-01-16", usd(125_00)),
		fact(t, 3, FactRefunded, "2023-01-16", usd(200_00)),
	}
	p := replayedOn(t, terms, "2023-01-16", facts...)
	if diff := cmp.Diff([]int64{125_00, 125_00, 100_00, 100_00}, gone(t, p)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{0, 0, 25_00, 25_00}, allOpen(t, p)); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
	facts = append(facts, fact(t, 4, FactRepaid, "2023-01-31", usd(25_00)), fact(t, 5, FactRepaid, "2023-02-15", usd(25_00)))
	if p = replayedOn(t, terms, "2023-02-15", facts...); p.State != LoanSettled || !p.Overpaid.IsZero() {
		t.Errorf("%s, overpaid %s", p.State, p.Overpaid)
	}
}

// Source: Apache Fineract, documentation of the advanced payment allocation: 400 in
// 4 × 100, 150 on the due date of the first, by each strategy; and 150 before the
// due date of the second by REAMORTIZATION.
func TestFineractFourTimesHundred(t *testing.T) {
	t.Parallel()
	dues := []string{"2023-01-01", "2023-02-01", "2023-03-01", "2023-04-01"}
	for _, tc := range []struct {
		strategy Strategy
		want     []int64
	}{
		{StrategyNext, []int64{100_00, 50_00, 0, 0}},
		{StrategyLast, []int64{100_00, 0, 0, 50_00}},
		{StrategyReamortize, []int64{100_00, 16_67, 16_67, 16_66}},
	} {
		terms := fourPayments(t, 100_00, dues...)
		terms.Product.Servicing.Prepayment = tc.strategy
		p := replayedOn(t, terms, dues[0], fact(t, 1, FactRepaid, dues[0], usd(150_00)))
		if diff := cmp.Diff(tc.want, gone(t, p)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.strategy, diff)
		}
	}
	// The published rows of REAMORTIZATION, 100 + 25 + 25 and 50/50/50, are those of
	// two and of three instalments that are left.
	terms := fourPayments(t, 100_00, dues...)
	terms.Product.Servicing.Prepayment = StrategyReamortize
	first := fact(t, 1, FactRepaid, dues[0], usd(100_00))
	p := replayedOn(t, terms, "2023-02-01", first, fact(t, 2, FactRepaid, "2023-02-01", usd(150_00)))
	if diff := cmp.Diff([]int64{100_00, 100_00, 25_00, 25_00}, gone(t, p)); diff != "" {
		t.Errorf("on the due date (-want +got):\n%s", diff)
	}
	p = replayedOn(t, terms, "2023-01-20", first, fact(t, 2, FactRepaid, "2023-01-20", usd(150_00)))
	if diff := cmp.Diff([]int64{100_00, 50_00, 50_00, 50_00}, gone(t, p)); diff != "" {
		t.Errorf("before the due date (-want +got):\n%s", diff)
	}
}

// Source: Apache Fineract: a refund in cash of 150 after 315 of 400 was paid unwinds
// what was paid last first. Here the refund is of goods, so what is open goes first:
// 85 is no longer owed, 65 comes back, 15 of it from the last paid instalment.
func TestRefundOfPaidGoodsUnwindsTheLastPaidFirst(t *testing.T) {
	t.Parallel()
	terms := fourPayments(t, 100_00, "2023-01-01", "2023-02-01", "2023-03-01", "2023-04-01")
	p := replayedOn(t, terms, "2023-03-01", fact(t, 1, FactRepaid, "2023-03-01", usd(315_00)), fact(t, 2, FactRefunded, "2023-03-01", usd(150_00)))
	var paid []int64
	for _, in := range p.Instalments {
		paid = append(paid, in.Paid.Principal.Minor())
	}
	if diff := cmp.Diff([]int64{100_00, 100_00, 50_00, 0}, paid); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if p.Returned != usd(65_00) || p.State != LoanSettled {
		t.Errorf("returned %s, %s", p.Returned, p.State)
	}
	if e, ok := p.RefundOf(ids.ID{2}); !ok || e.Cash != usd(65_00) || e.Principal != usd(150_00) {
		t.Errorf("effect %+v", e)
	}
}

// Source: published late fee of SPayLater, 5 % of the overdue bill (poskota.co.id,
// 28 January 2026).
func TestPublishedLateFeeTable(t *testing.T) {
	t.Parallel()
	for bill, want := range map[int64]int64{100_000: 5_000, 500_000: 25_000, 1_000_000: 50_000, 5_000_000: 250_000} {
		p := DefaultProducts(money.IDR())[0]
		p.Method, p.Tenors, p.FeeRatePPM = Zero, []Tenor{{1, 0, PerMonth}}, 0
		pos := replayedOn(t, contractOf(t, p, rp(bill), "2026-04-10"), "2026-05-06")
		if pos.Charged.Late != rp(want) || pos.State != LoanOverdue {
			t.Errorf("bill of %d: late fee %s, want %d", bill, pos.Charged.Late, want)
		}
	}
}

// Source: grid.id: a bill of 100,000 of 25 April 2021, due on 5 May, paid on 15 May
// costs 105,000; and from poskota.co.id: charged in full from the first day, and
// again in each further month that has started.
func TestDatedLateFeeExample(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	p.Method, p.Tenors, p.FeeRatePPM, p.Servicing.Caps = Zero, []Tenor{{1, 0, PerMonth}}, 0, nil
	terms := contractOf(t, p, rp(100_000), "2021-04-01")
	if in := replayedOn(t, terms, "2021-04-25").Instalments[0]; in.BillDate != day(t, "2021-04-25") || in.DueDate != day(t, "2021-05-05") || !in.Billed {
		t.Fatalf("billed %s due %s", in.BillDate, in.DueDate)
	}
	for date, want := range map[string]int64{
		"2021-05-05": 100_000, "2021-05-06": 105_000, "2021-05-15": 105_000, "2021-06-05": 105_000,
		"2021-06-06": 110_000, "2021-07-05": 110_000, "2021-07-06": 115_000,
	} {
		if got := replayedOn(t, terms, date).OpenTotal; got != rp(want) {
			t.Errorf("owed on %s: %s, want %d", date, got, want)
		}
	}
	paid := replayedOn(t, terms, "2021-12-31", fact(t, 1, FactRepaid, "2021-05-15", rp(105_000)))
	if paid.State != LoanSettled || !paid.Overpaid.IsZero() || paid.Paid.Late != rp(5_000) {
		t.Errorf("%+v", paid)
	}
}

func TestLateFeeNeverGrowsOnLateFees(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	p.Method, p.Tenors, p.FeeRatePPM = Zero, []Tenor{{1, 0, PerMonth}}, 0
	terms := contractOf(t, p, rp(100_000), "2026-04-10")
	// 95,000 of the principal is paid, then only fees are open: of 10,000 + 5,000.
	part := fact(t, 1, FactRepaid, "2026-05-20", rp(100_000))
	pos := replayedOn(t, terms, "2026-08-01", part)
	var got []int64
	for _, c := range pos.LateCharges {
		got = append(got, c.Amount.Minor())
	}
	if diff := cmp.Diff([]int64{5_000, 250, 250}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestGraceDelaysOnlyTheFirstLateFee(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	p.Servicing.GraceDays, p.Tenors = 3, []Tenor{{1, 0, PerMonth}}
	terms := contractOf(t, p, rp(100_000), "2026-04-10")
	if pos := replayedOn(t, terms, "2026-05-08"); pos.State != LoanActive || pos.NextDueAmount != pos.OpenTotal {
		t.Errorf("in grace it is %s", pos.State)
	}
	var got []string
	for _, c := range replayedOn(t, terms, "2026-07-31").LateCharges {
		got = append(got, fmt.Sprint(c.Number, " ", c.Date))
	}
	if diff := cmp.Diff([]string{"1 2026-05-09", "2 2026-06-06", "3 2026-07-06"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLateFeePerDayAndItsThreshold(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	p.Method, p.Tenors, p.FeeRatePPM = Zero, []Tenor{{1, 0, PerMonth}}, 0
	p.Servicing.Late = LateRule{Basis: LatePerDay, RatePPM: 1_000, WaiveBelow: rp(20_000)}
	terms := contractOf(t, p, rp(100_000), "2026-04-10")
	if got := replayedOn(t, terms, "2026-05-15").Charged.Late; got != rp(1_000) {
		t.Errorf("ten days cost %s", got)
	}
	left := fact(t, 1, FactRepaid, "2026-05-15", rp(90_000))
	if got := replayedOn(t, terms, "2026-06-15", left).Charged.Late; got != rp(1_000) {
		t.Errorf("below the threshold: %s", got)
	}
}

// Source: SEOJK 19/SEOJK.06/2023: late fees within the daily bound of what is
// outstanding; benefit and late fees together within the funding.
func TestLateFeesStayWithinTheBoundsOfLaw(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	p.Method, p.Tenors, p.FeeRatePPM = Zero, []Tenor{{1, 0, PerMonth}}, 0
	from := civil.Date{Year: 2024, Month: 1, Day: 1}
	p.Servicing.Caps = []CapRule{{From: from, PerDayPPM: 3_000, TotalPPM: 80_000}}
	terms := contractOf(t, p, rp(100_000), "2026-04-10")
	for date, want := range map[string]int64{
		"2026-05-06": 300, "2026-05-15": 3_000, "2026-05-22": 5_000, "2026-06-05": 5_000,
		"2026-06-06": 8_000, // 10,000 is asked for, 9,600 is allowed by the day, 8,000 in all
		"2027-01-01": 8_000,
	} {
		if got := replayedOn(t, terms, date).Charged.Late; got != rp(want) {
			t.Errorf("%s: %s, want %d", date, got, want)
		}
	}
	// A fee that was waived does not make room for another.
	waived := fact(t, 1, FactLateFeeWaived, "2026-06-06", rp(8_000))
	if pos := replayedOn(t, terms, "2027-01-01", waived); pos.Charged.Late != rp(8_000) || !pos.Open.Late.IsZero() {
		t.Errorf("after the waiver: %s charged, %s open", pos.Charged.Late, pos.Open.Late)
	}
}

// Source: Apache Fineract, Loan.feature (T1b): 100 at 7 % in 6, the first paid;
// paying off on 15 February costs 83.57 + 0.24 till preclose and 83.57 + 0.49 till
// the end of the running period.
func TestT1bPayOff(t *testing.T) {
	t.Parallel()
	for rule, want := range map[SettlementInterest]int64{SettleTillPreclose: 83_81, SettleTillRest: 84_06, SettleKeepAll: 85_04} {
		p := testProduct(money.USD(), DecliningEqualInstalment, Tenor{6, 70_000, PerYear}, money.HalfEven, 1)
		p.BillDay, p.DueDay, p.Servicing.Settlement = 28, 1, rule
		terms := contractOf(t, p, usd(100_00), "2024-01-01")
		facts := []Fact{fact(t, 1, FactRepaid, "2024-02-01", usd(17_01))}
		q, err := QuotePayOff(terms, facts, day(t, "2024-02-15"))
		if err != nil || q.Amount != usd(want) || q.Parts.Principal != usd(83_57) {
			t.Errorf("%s: %+v, %v", rule, q, err)
		}
		facts = append(facts, Fact{ID: ids.ID{2}, Kind: FactEarlySettled, Date: q.Date, Amount: q.Amount})
		if pos := replayedOn(t, terms, "2024-02-15", facts...); pos.State != LoanSettled || !pos.Overpaid.IsZero() || pos.Cancelled.Interest != q.SavedInterest {
			t.Errorf("%s: %+v", rule, pos)
		}
	}
}

func TestFlatPayOffDropsUnbilledInterestOrKeepsIt(t *testing.T) {
	t.Parallel()
	for rule, saved := range map[SettlementInterest]int64{SettleDropUnbilled: 5_900, SettleKeepAll: 0} {
		p := DefaultProducts(money.IDR())[0]
		p.Tenors, p.Servicing.Settlement = []Tenor{{3, 29_500, PerMonth}}, rule
		terms := contractOf(t, p, rp(100_000), "2026-04-10")
		q, err := QuotePayOff(terms, nil, day(t, "2026-04-25")) // the first is billed
		if err != nil || q.SavedInterest != rp(saved) || q.Amount != rp(109_850-saved) {
			t.Errorf("%s: %+v, %v", rule, q, err)
		}
	}
}

func TestSettlementThatFallsShortIsARepayment(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	p.Tenors = []Tenor{{3, 29_500, PerMonth}}
	terms := contractOf(t, p, rp(100_000), "2026-04-10")
	paid := fact(t, 1, FactRepaid, "2026-04-20", rp(50_000))
	q, err := QuotePayOff(terms, []Fact{paid}, day(t, "2026-04-21"))
	if err != nil {
		t.Fatal(err)
	}
	settled := Fact{ID: ids.ID{2}, Kind: FactEarlySettled, Date: q.Date, Amount: q.Amount}
	if pos := replayedOn(t, terms, "2026-04-21", paid, settled); pos.State != LoanSettled {
		t.Fatalf("%s", pos.State)
	}
	bounced := replayedOn(t, terms, "2026-04-21", settled)
	if bounced.State != LoanActive || !bounced.Cancelled.Interest.IsZero() || bounced.OpenTotal != rp(109_850-q.Amount.Minor()) {
		t.Errorf("after the bounce: %s, open %s, saved %s", bounced.State, bounced.OpenTotal, bounced.Cancelled.Interest)
	}
}

func TestMoneyMeantForAWriteOffThatNeverWasComesBeforeASettlementOfItsDay(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	p.Tenors = []Tenor{{3, 29_500, PerMonth}}
	terms := contractOf(t, p, rp(100_000), "2026-04-10")
	recovered := fact(t, 1, FactRecovered, "2026-04-21", rp(50_000))
	q, err := QuotePayOff(terms, []Fact{recovered}, recovered.Date)
	if err != nil {
		t.Fatal(err)
	}
	settled := Fact{ID: ids.ID{2}, Kind: FactEarlySettled, Date: q.Date, Amount: q.Amount}
	pos := replayedOn(t, terms, "2026-06-30", settled, recovered)
	if pos.State != LoanSettled || !pos.Overpaid.IsZero() || pos.Cancelled.Interest != q.SavedInterest {
		t.Errorf("%s, overpaid %s, saved %s of %s", pos.State, pos.Overpaid, pos.Cancelled.Interest, q.SavedInterest)
	}
}

func TestRefundInterestRules(t *testing.T) {
	t.Parallel()
	// 300,000 in three with 2 % flat: 6,000 a month. The first is billed and paid; the
	// refund of 150,000 takes the third and half of the second.
	for rule, want := range map[RefundInterest][]int64{
		RefundInterestNone:     {0, 0, 0},
		RefundInterestUnbilled: {0, 3_000, 6_000},
		RefundInterestAll:      {0, 3_000, 6_000},
	} {
		p := testProduct(money.IDR(), FlatPerMonth, Tenor{3, 20_000, PerMonth}, money.HalfUp, 1)
		p.Servicing.Refund.Interest = rule
		terms := contractOf(t, p, rp(300_000), "2026-04-10")
		paid := fact(t, 1, FactRepaid, "2026-05-05", rp(106_000))
		pos := replayedOn(t, terms, "2026-05-06", paid, fact(t, 2, FactRefunded, "2026-05-06", rp(150_000)))
		var got []int64
		for _, in := range pos.Instalments {
			got = append(got, in.Cancelled.Interest.Minor())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", rule, diff)
		}
		// The rest of the goods go back too: the first instalment was paid.
		full := replayedOn(t, terms, "2026-05-07", paid, fact(t, 2, FactRefunded, "2026-05-06", rp(150_000)), fact(t, 3, FactRefunded, "2026-05-07", rp(150_000)))
		cash := map[RefundInterest]int64{RefundInterestNone: 100_000, RefundInterestUnbilled: 100_000, RefundInterestAll: 106_000}[rule]
		if full.Returned != rp(cash) {
			t.Errorf("%s: %s comes back, want %d", rule, full.Returned, cash)
		}
	}
}

func TestFeeIsKeptUnlessAllGoesBackBeforeTheFirstBill(t *testing.T) {
	t.Parallel()
	terms := contractOf(t, DefaultProducts(money.IDR())[0], rp(100_000), "2026-04-10")
	if pos := replayedOn(t, terms, "2026-04-24", fact(t, 1, FactRefunded, "2026-04-24", rp(100_000))); !pos.OpenTotal.IsZero() || pos.State != LoanSettled {
		t.Errorf("before the bill %s is owed", pos.OpenTotal)
	}
	pos := replayedOn(t, terms, "2026-04-25", fact(t, 1, FactRefunded, "2026-04-25", rp(100_000)))
	if pos.Open.Fee != rp(1_000) || pos.Open.Interest != rp(2_950) || !pos.Open.Principal.IsZero() {
		t.Errorf("after the bill: %+v", pos.Open)
	}
	if pos := replayedOn(t, terms, "2026-04-24", fact(t, 1, FactRefunded, "2026-04-24", rp(99_999))); pos.Open.Fee != rp(1_000) {
		t.Errorf("a partial refund keeps the fee: %s", pos.Open.Fee)
	}
}

func TestRefundIsNeverMoreThanWasFinanced(t *testing.T) {
	t.Parallel()
	terms := contractOf(t, DefaultProducts(money.IDR())[0], rp(100_000), "2026-04-10")
	_, err := Replay(terms, []Fact{
		fact(t, 1, FactRefunded, "2026-04-24", rp(60_000)), fact(t, 2, FactRefunded, "2026-04-25", rp(40_001)),
	}, day(t, "2026-05-01"))
	if !errs.Is(err, errs.RefundExceedsBudget) {
		t.Errorf("got %v", err)
	}
}

func TestAllocationOrderAndMode(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	p.Tenors = []Tenor{{3, 29_500, PerMonth}}
	allocate := func(p Product, amount int64) []string {
		terms := contractOf(t, p, rp(90_000), "2026-04-10")
		var out []string
		for _, a := range replayedOn(t, terms, "2026-06-10", fact(t, 1, FactRepaid, "2026-06-10", rp(amount))).Allocations {
			out = append(out, fmt.Sprint(a.Sequence, " ", a.Part, " ", a.Amount.Minor()))
		}
		return out
	}
	// On 10 June two instalments are overdue: 30,000 + 2,655 + 900 with two months of
	// 5 % of 33,555 (1,678 rounded half up), and 30,000 + 2,655 with one (1,633).
	if diff := cmp.Diff([]string{
		"1 LATE 3356", "1 FEE 900", "1 INTEREST 2655", "1 PRINCIPAL 30000", "2 LATE 1633", "2 INTEREST 456",
	}, allocate(p, 39_000)); diff != "" {
		t.Errorf("horizontal (-want +got):\n%s", diff)
	}
	p.Servicing.Mode = Vertical
	if diff := cmp.Diff([]string{
		"1 LATE 3356", "2 LATE 1633", "1 FEE 900", "1 INTEREST 2655", "2 INTEREST 2655", "1 PRINCIPAL 27801",
	}, allocate(p, 39_000)); diff != "" {
		t.Errorf("vertical (-want +got):\n%s", diff)
	}
	p.Servicing.Order = []Part{PartPrincipal, PartInterest, PartFee, PartLate}
	if diff := cmp.Diff([]string{"1 PRINCIPAL 30000", "2 PRINCIPAL 9000"}, allocate(p, 39_000)); diff != "" {
		t.Errorf("principal first (-want +got):\n%s", diff)
	}
}

func TestWaiverForgivesOpenThenPaidLateFees(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	p.Method, p.Tenors, p.FeeRatePPM = Zero, []Tenor{{1, 0, PerMonth}}, 0
	terms := contractOf(t, p, rp(100_000), "2026-04-10")
	paid := fact(t, 1, FactRepaid, "2026-05-06", rp(2_000)) // of 5,000
	pos := replayedOn(t, terms, "2026-05-07", paid, fact(t, 2, FactLateFeeWaived, "2026-05-07", rp(4_000)))
	if pos.Cancelled.Late != rp(4_000) || pos.Overpaid != rp(1_000) || pos.OpenTotal != rp(100_000) || pos.Paid.Late != rp(1_000) {
		t.Errorf("cancelled %s, overpaid %s, open %s", pos.Cancelled.Late, pos.Overpaid, pos.OpenTotal)
	}
	more := replayedOn(t, terms, "2026-05-07", fact(t, 2, FactLateFeeWaived, "2026-05-07", rp(9_000)))
	if more.Cancelled.Late != rp(5_000) || !more.Overpaid.IsZero() {
		t.Errorf("a waiver beyond the fees: %s, overpaid %s", more.Cancelled.Late, more.Overpaid)
	}
}

func TestWriteOffThenRecovery(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	p.Tenors = []Tenor{{3, 20_000, PerMonth}}
	terms := contractOf(t, p, rp(300_000), "2026-04-10")
	off := fact(t, 1, FactWrittenOff, "2026-05-20", rp(0))
	pos := replayedOn(t, terms, "2027-05-20", off)
	// The first instalment is billed (100,000 + 6,000 + 3,000) and late (5,450); of the
	// others only the principal was ever ours.
	want := Parts{rp(300_000), rp(6_000), rp(3_000), rp(5_450)}
	if pos.State != LoanWrittenOff || !pos.OpenTotal.IsZero() || pos.WrittenOff != want || pos.Cancelled.Interest != rp(12_000) {
		t.Errorf("%s: %+v", pos.State, pos.WrittenOff)
	}
	pos = replayedOn(t, terms, "2027-05-20", off,
		fact(t, 2, FactRecovered, "2026-08-01", rp(300_000)), fact(t, 3, FactRepaid, "2026-09-01", rp(20_000)))
	if pos.Overpaid != rp(320_000-314_450) || pos.State != LoanWrittenOff || pos.Received != rp(320_000) {
		t.Errorf("overpaid %s after recovery of %+v", pos.Overpaid, pos.Recovered)
	}
	if _, err := QuotePayOff(terms, []Fact{off}, day(t, "2026-06-01")); !errs.Is(err, errs.LoanStateInvalid) {
		t.Errorf("quote: %v", err)
	}
}

func TestStatesOfInstalmentsFollowTheDates(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	p.Tenors = []Tenor{{3, 20_000, PerMonth}}
	terms := contractOf(t, p, rp(300_000), "2026-04-10")
	states := func(date string, facts ...Fact) string {
		var out []InstalmentState
		for _, in := range replayedOn(t, terms, date, facts...).Instalments {
			out = append(out, in.State)
		}
		return fmt.Sprintf("%v", out)
	}
	for date, want := range map[string]string{
		"2026-04-24": "[OPEN OPEN OPEN]", "2026-04-25": "[BILLED OPEN OPEN]", "2026-05-06": "[OVERDUE OPEN OPEN]",
		"2026-05-25": "[OVERDUE BILLED OPEN]",
	} {
		if got := states(date); got != want {
			t.Errorf("%s: %s, want %s", date, got, want)
		}
	}
	if got := states("2026-05-06", fact(t, 1, FactRepaid, "2026-05-05", rp(109_000)), fact(t, 2, FactRefunded, "2026-05-06", rp(100_000))); got != "[PAID OPEN CANCELLED]" {
		t.Errorf("paid and cancelled: %s", got)
	}
}

func TestReplayRefusesWhatCannotBeThisLoans(t *testing.T) {
	t.Parallel()
	terms := contractOf(t, DefaultProducts(money.IDR())[0], rp(100_000), "2026-04-10")
	ok := fact(t, 1, FactRepaid, "2026-04-20", rp(1))
	for name, facts := range map[string][]Fact{
		"twice":        {ok, ok},
		"before start": {fact(t, 1, FactRepaid, "2026-04-09", rp(1))},
		"currency":     {fact(t, 1, FactRepaid, "2026-04-20", usd(1))},
		"nothing":      {fact(t, 1, FactRepaid, "2026-04-20", rp(0))},
		"negative":     {fact(t, 1, FactRepaid, "2026-04-20", rp(-1))},
		"kind":         {fact(t, 1, 9, "2026-04-20", rp(1))},
		"no id":        {fact(t, 0, FactRepaid, "2026-04-20", rp(1))},
	} {
		if _, err := Replay(terms, facts, day(t, "2026-05-01")); !errors.Is(err, ErrInvariant) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Replay(terms, nil, day(t, "2026-04-09")); !errors.Is(err, ErrInvariant) {
		t.Errorf("before its start: %v", err)
	}
	other := terms
	other.Product.Version = 2
	if _, err := Replay(other, nil, day(t, "2026-05-01")); !errors.Is(err, ErrInvariant) {
		t.Errorf("another product: %v", err)
	}
}
