package domain

import (
	"encoding/json"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

func TestServicingSurvivesStorageInEveryCombination(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawProduct(t)
		p.DayCount = rapid.SampledFrom([]DayCount{Thirty360, Actual365Fixed, Actual360}).Draw(t, "day count")
		p.Servicing = drawServicing(t, p)
		p.ContractVersion = rapid.SampledFrom([]string{"", "2026-01"}).Draw(t, "contract")
		if rapid.Bool().Draw(t, "states") {
			p.Servicing.AccountStates = AccountStateList{AccountOverdue}
		}
		data, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back Product
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(p, back) {
			t.Fatalf("changed in storage:\n%+v\n%+v", p, back)
		}
	})
}

func TestProductStoredBeforeServicingIsReadWithItsDefault(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[1]
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	old, _, _ := strings.Cut(string(data), `,"contract_version"`)
	var back Product
	if err := json.Unmarshal([]byte(old+"}"), &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back.Servicing, DefaultServicing(DecliningEqualInstalment, money.IDR())) || back.ContractVersion != "" {
		t.Errorf("got %+v", back.Servicing)
	}
}

func TestValidateListsWhatIsWrongWithServicing(t *testing.T) {
	t.Parallel()
	from := civil.Date{Year: 2026, Month: 1, Day: 1}
	for _, tc := range []struct {
		change func(*Servicing)
		want   string
	}{
		{func(s *Servicing) { s.GraceDays = 28 }, "grace must be"},
		{func(s *Servicing) { s.Late.Basis = 0 }, "late fee basis is unknown"},
		{func(s *Servicing) { s.Late.RatePPM = -1 }, "late fee rate must be"},
		{func(s *Servicing) { s.Late.Basis = LateNone }, "does not take the rate"},
		{func(s *Servicing) { s.Late.WaiveBelow = usd(1) }, "threshold must be in IDR"},
		{func(s *Servicing) { s.Late.WaiveBelow = rp(-1) }, "threshold is out of bounds"},
		{func(s *Servicing) { s.Order = []Part{PartLate, PartLate, PartFee, PartInterest} }, "once each"},
		{func(s *Servicing) { s.Order = s.Order[:3] }, "once each"},
		{func(s *Servicing) { s.Mode = 0 }, "allocation mode"},
		{func(s *Servicing) { s.Prepayment = 0 }, "prepayment strategy"},
		{func(s *Servicing) { s.Refund.Order = 0 }, "refund order"},
		{func(s *Servicing) { s.Refund.Strategy = 0 }, "refund strategy"},
		{func(s *Servicing) { s.Refund.Interest = 0 }, "refund interest rule"},
		{func(s *Servicing) { s.Settlement = SettleTillPreclose }, "TILL_PRECLOSE does not work with FLAT_PER_MONTH"},
		{func(s *Servicing) { s.Settlement = 0 }, "does not work"},
		{func(s *Servicing) { s.AccountStates = AccountStateList{AccountClosed} }, "account that is CLOSED"},
		{func(s *Servicing) { s.Caps = []CapRule{{TotalPPM: 1}} }, "first day"},
		{func(s *Servicing) { s.Caps = []CapRule{{From: from, TotalPPM: 1_000_001}} }, "total must be"},
		{func(s *Servicing) { s.Caps = []CapRule{{From: from, TotalPPM: 1, PerDayPPM: -1}} }, "rate per day"},
		{func(s *Servicing) { s.Caps = []CapRule{{From: from, TotalPPM: 1, MaxMonths: 61}} }, "tenor must be"},
		{func(s *Servicing) { s.Caps = []CapRule{{From: from, TotalPPM: 1}, {From: from, TotalPPM: 2}} }, "comes twice"},
	} {
		p := DefaultProducts(money.IDR())[0]
		tc.change(&p.Servicing)
		if err := p.Validate(); !errs.Is(err, errs.InvalidArgument) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
}

func TestEligibleAccountStates(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	if p.EligibleAccount(AccountActive) != nil || !errs.Is(p.EligibleAccount(AccountOverdue), errs.ProductNotEligible) {
		t.Error("a product that says nothing is for active accounts")
	}
	p.Servicing.AccountStates = AccountStateList{AccountOverdue}
	if p.EligibleAccount(AccountOverdue) != nil || p.EligibleAccount(AccountActive) == nil {
		t.Error("the list decides")
	}
}

// Source: the bounds for consumptive loans: SEOJK 19/SEOJK.06/2023 (0.3 % a day in
// 2024, 0.2 % in 2025, 0.1 % from 2026) and the OJK press release of 31 December
// 2024 (0.3 % up to six months, 0.2 % beyond, from 2025).
func TestCapOnTheContractDate(t *testing.T) {
	t.Parallel()
	on := func(year int) civil.Date { return civil.Date{Year: year, Month: 1, Day: 1} }
	schedule := Servicing{Caps: []CapRule{
		{on(2024), 0, 3_000, money.PPM}, {on(2025), 0, 2_000, money.PPM}, {on(2026), 0, 1_000, money.PPM},
	}}
	revised := Servicing{Caps: []CapRule{{on(2025), 0, 2_000, money.PPM}, {on(2025), 6, 3_000, money.PPM}, {on(2024), 0, 3_000, money.PPM}}}
	for _, tc := range []struct {
		s      Servicing
		date   string
		months int
		want   int64
	}{
		{schedule, "2023-12-31", 3, 0}, {schedule, "2024-01-01", 3, 3_000}, {schedule, "2025-12-31", 3, 2_000},
		{schedule, "2026-01-01", 3, 1_000}, {schedule, "2030-06-30", 12, 1_000},
		{revised, "2024-12-31", 12, 3_000}, {revised, "2025-01-01", 6, 3_000}, {revised, "2025-01-01", 7, 2_000}, {revised, "2026-05-01", 12, 2_000},
	} {
		got, ok := tc.s.CapOn(day(t, tc.date), tc.months)
		if got.PerDayPPM != tc.want || ok != (tc.want != 0) {
			t.Errorf("%s, %d months: %d, want %d", tc.date, tc.months, got.PerDayPPM, tc.want)
		}
	}
}

// Source: worked examples of OJK: 30,000 + 50,000 + 5,000 on 1,000,000 over 90 days
// is 0.0944 % a day (0.1 is allowed); 40,000 + 45,000 + 5,000 over 30 days is 0.3 %
// (0.3 is allowed). The last two are our own check of SPayLater's published prices,
// which are no peer-to-peer loans: 0.1317 % and 0.1094 %.
func TestOJKWorkedExamples(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		cost, allowed, want int64
		days                int
		ok                  bool
	}{
		{30_000 + 50_000 + 5_000, 1_000, 944, 90, true},
		{40_000 + 45_000 + 5_000, 3_000, 3_000, 30, true},
		{40_000 + 45_000 + 5_001, 3_000, 3_000, 30, false},
		{29_500 + 10_000, 1_000, 1_317, 30, false},
		{29_500 + 10_000, 3_000, 1_317, 30, true},
		{3*29_500 + 10_000, 1_000, 1_094, 90, false},
		{3*29_500 + 10_000, 3_000, 1_094, 90, true},
	} {
		rule := CapRule{PerDayPPM: tc.allowed, TotalPPM: money.PPM}
		if got := CostPerDayPPM(rp(1_000_000), rp(tc.cost), tc.days); got != tc.want {
			t.Errorf("%d over %d days: %d a day, want %d", tc.cost, tc.days, got, tc.want)
		}
		if got := rule.WithinCost(rp(1_000_000), rp(tc.cost), tc.days); got != tc.ok {
			t.Errorf("%d over %d days within %d: %v", tc.cost, tc.days, tc.allowed, got)
		}
	}
}

func TestPlanAboveTheLawIsNotOfferedAndAnOldContractIsKept(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	p.Servicing.Caps = []CapRule{{From: civil.Date{Year: 2026, Month: 5, Day: 1}, PerDayPPM: 1_000, TotalPPM: money.PPM}}
	if _, err := BuildPlan(p, 1, rp(1_000_000), day(t, "2026-04-30")); err != nil {
		t.Errorf("before the law: %v", err)
	}
	if _, err := BuildPlan(p, 1, rp(1_000_000), day(t, "2026-05-01")); !errs.Is(err, errs.ProductNotEligible) {
		t.Errorf("after it: %v", err)
	}
	p.Servicing.Caps[0].PerDayPPM, p.Servicing.Caps[0].TotalPPM = 0, 39_499
	if _, err := BuildPlan(p, 1, rp(1_000_000), day(t, "2026-05-01")); !errs.Is(err, errs.ProductNotEligible) {
		t.Errorf("in all: %v", err)
	}
}

// 900,000 at 12 % a year by actual days, from 26 January 2026 (after the bill day)
// to the 5th of March, April and May; the figures are by hand.
func TestActualDaysWithAFirstPeriodStub(t *testing.T) {
	t.Parallel()
	p := testProduct(money.IDR(), DecliningEqualPrincipal, Tenor{3, 120_000, PerYear}, money.HalfUp, 1)
	p.DayCount = Actual365Fixed
	p.BillDay = 25
	start := day(t, "2026-01-26")
	if _, err := Schedule(p, p.Tenors[0], rp(900_000)); !errs.Is(err, errs.InvalidArgument) {
		t.Errorf("without a date: %v", err)
	}
	list, err := ScheduleFrom(p, p.Tenors[0], rp(900_000), start)
	if err != nil {
		t.Fatal(err)
	}
	// 26 January to 5 March: 38 days, 31 to April, 30 to May: 900,000 × 0.12 × 38/365 =
	// 11,243.84; 600,000 × 0.12 × 31/365 = 6,115.07; 300,000 × 0.12 × 30/365 = 2,958.90.
	want := []row{{300_000, 11_244, 0, 311_244, 600_000}, {300_000, 6_115, 0, 306_115, 300_000}, {300_000, 2_959, 0, 302_959, 0}}
	if diff := cmp.Diff(want, rowsOf(rp(900_000), list)); diff != "" {
		t.Errorf("365 (-want +got):\n%s", diff)
	}
	// 360: 11,400; 6,200; 3,000.
	p.DayCount = Actual360
	if list, err = ScheduleFrom(p, p.Tenors[0], rp(900_000), start); err != nil || list[0].Interest != rp(11_400) || list[1].Interest != rp(6_200) || list[2].Interest != rp(3_000) {
		t.Errorf("360: %+v, %v", list, err)
	}
	// A flat method does not count days.
	p.Method = FlatPerMonth
	flat, err := ScheduleFrom(p, p.Tenors[0], rp(900_000), start)
	if err != nil || flat[0].Interest != rp(9_000) {
		t.Errorf("flat: %+v, %v", flat, err)
	}
}

// The equal instalment of uneven periods is checked by its definition: what is left
// after paying it each period comes to nothing.
func TestEqualInstalmentOfUnevenPeriodsIsWorthThePrincipal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var rates []*big.Rat
		for range rapid.IntRange(1, 24).Draw(t, "n") {
			rates = append(rates, big.NewRat(rapid.Int64Range(0, 60_000).Draw(t, "rate"), money.PPM))
		}
		each, left := unevenAnnuityFactor(rates), big.NewRat(1, 1)
		for _, r := range rates {
			left.Mul(left, new(big.Rat).Add(big.NewRat(1, 1), r))
			left.Sub(left, each)
		}
		if left.Sign() != 0 {
			t.Fatalf("%s is left", left)
		}
	})
}

func TestActivationComputesInterestByDaysAnew(t *testing.T) {
	t.Parallel()
	p := testProduct(money.IDR(), DecliningEqualPrincipal, Tenor{3, 120_000, PerYear}, money.HalfUp, 1)
	p.DayCount = Actual365Fixed
	plan, err := BuildPlan(p, 3, rp(900_000), day(t, "2026-01-20")) // first due 5 February
	if err != nil {
		t.Fatal(err)
	}
	plan.DownPayment = rp(5)
	origin := draftOf(t)
	draft, err := Draft(LoanOrigin{origin.ID, origin.AccountID, origin.OrderID, origin.CommitID, "u1", "m1", "marketplace"}, plan, aTime())
	if err != nil {
		t.Fatal(err)
	}
	loan, err := draft.Activate(aTime(), day(t, "2026-01-26"), p)
	if err != nil {
		t.Fatal(err)
	}
	if loan.Plan.Instalments[0].Interest != rp(11_244) || loan.Plan.DownPayment != rp(5) || loan.Outstanding != rp(900_000) {
		t.Errorf("plan %+v", loan.Plan)
	}
	if draft.Plan.Instalments[0].Interest == loan.Plan.Instalments[0].Interest {
		t.Error("the draft was changed")
	}
}

// Source: published SPayLater prices (okezone.com, 5 May 2025: 1 % handling fee and
// 2.95 % a month): Rp 100,000 once costs 103,950. The others follow from the prices.
func TestSPayLaterNumbers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		months    int
		principal int64
		total     int64
	}{{1, 100_000, 103_950}, {3, 100_000, 109_850}, {1, 1_000_000, 1_039_500}, {3, 1_000_000, 1_098_500}, {6, 1_000_000, 1_187_000}, {12, 1_000_000, 1_364_000}} {
		if got := planOf(t, tc.months, tc.principal).Total; got != rp(tc.total) {
			t.Errorf("%d in %d: %s, want %d", tc.principal, tc.months, got, tc.total)
		}
	}
}
