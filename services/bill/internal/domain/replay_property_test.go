package domain

import (
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// drawServicing is a random valid servicing of a product.
func drawServicing(t *rapid.T, p Product) Servicing {
	s := DefaultServicing(p.Method, p.Currency)
	s.GraceDays = rapid.SampledFrom([]int{0, 0, 3, MaxGraceDays}).Draw(t, "grace")
	s.Late.Basis = rapid.SampledFrom([]LateBasis{LateNone, LatePerMonth, LatePerDay}).Draw(t, "late basis")
	if s.Late.Basis != LateNone {
		s.Late.RatePPM = rapid.Int64Range(1, 100_000).Draw(t, "late rate")
		s.Late.WaiveBelow = rp(rapid.SampledFrom([]int64{0, 0, 10_000}).Draw(t, "threshold"))
	}
	if rapid.Bool().Draw(t, "capped") {
		s.Caps = []CapRule{{
			From: civil.Date{Year: 2020, Month: 1, Day: 1}, PerDayPPM: rapid.Int64Range(0, 5_000).Draw(t, "cap per day"),
			TotalPPM: rapid.Int64Range(1, money.PPM).Draw(t, "cap in all"),
		}}
	}
	s.Order = rapid.Permutation(s.Order).Draw(t, "order")
	s.Mode = rapid.SampledFrom([]AllocationMode{Horizontal, Vertical}).Draw(t, "mode")
	strategies := rapid.SampledFrom([]Strategy{StrategyNext, StrategyLast, StrategyReamortize})
	s.Prepayment = strategies.Draw(t, "prepayment")
	s.Refund = RefundRule{
		Order:    rapid.SampledFrom([]RefundOrder{RefundUnbilledFirst, RefundPastDueFirst}).Draw(t, "refund order"),
		Strategy: strategies.Draw(t, "refund strategy"),
		Interest: rapid.SampledFrom([]RefundInterest{RefundInterestNone, RefundInterestUnbilled, RefundInterestAll}).Draw(t, "refund interest"),
	}
	s.Settlement = rapid.SampledFrom([]SettlementInterest{SettleTillPreclose, SettleTillRest, SettleDropUnbilled, SettleKeepAll}).
		Filter(func(x SettlementInterest) bool { return x.fits(p.Method) }).Draw(t, "settlement")
	return s
}

// drawTerms is a random contract.
func drawTerms(t *rapid.T) Contract {
	p := drawProduct(t)
	p.Tenors[0].Months = min(p.Tenors[0].Months, 1+p.Tenors[0].Months%8)
	p.DayCount = rapid.SampledFrom([]DayCount{Thirty360, Actual365Fixed, Actual360}).Draw(t, "day count")
	p.Servicing = drawServicing(t, p)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	start := drawDate(t)
	principal := rp(rapid.OneOf(rapid.Int64Range(1, 500), rapid.Int64Range(1, 20_000_000)).Draw(t, "principal"))
	// A fee far above the amount has no effective rate that could be told.
	p.FeeFixed = lesser(p.FeeFixed, principal)
	plan, err := buildPlan(p, p.Tenors[0].Months, principal, start)
	if err != nil {
		t.Fatal(err)
	}
	return Contract{Product: p, Plan: plan, Start: start}
}

// lifetime is the number of days that histories of a contract cover.
func (c Contract) lifetime() int { return 31*c.Plan.TenorMonths + 100 }

// drawFacts are random facts of a contract, by rising date. Half of the
// settlements come at their price.
func drawFacts(t *rapid.T, terms Contract, most int) []Fact {
	var facts []Fact
	refundable, days := terms.Plan.Principal.Minor(), 0
	for n := range rapid.IntRange(0, most).Draw(t, "facts") {
		days += rapid.OneOf(rapid.Just(0), rapid.IntRange(0, 2*terms.lifetime()/max(most, 1))).Draw(t, "days later")
		f := Fact{ID: ids.ID{byte(rapid.IntRange(0, 255).Draw(t, "id")), byte(n), 1}, Date: terms.Start.AddDays(days)}
		f.Kind = rapid.SampledFrom([]FactKind{
			FactRepaid, FactRepaid, FactRepaid, FactRefunded, FactRefunded, FactLateFeeWaived, FactEarlySettled, FactWrittenOff, FactRecovered,
		}).Draw(t, "kind")
		switch f.Kind {
		case FactRefunded:
			if refundable == 0 {
				continue
			}
			part := rapid.OneOf(rapid.Just(refundable), rapid.Int64Range(1, refundable)).Draw(t, "refund")
			refundable -= part
			f.Amount = rp(part)
		case FactWrittenOff:
			f.Amount = rp(0)
			if !rapid.Bool().Draw(t, "really") {
				continue
			}
		default:
			f.Amount = rp(rapid.Int64Range(1, terms.Plan.Total.Minor()+10).Draw(t, "amount"))
		}
		if f.Kind == FactEarlySettled && rapid.Bool().Draw(t, "at its price") {
			q, err := QuotePayOff(terms, facts, f.Date)
			if err != nil || !q.Amount.IsPositive() {
				continue
			}
			f.Amount = q.Amount
		}
		facts = append(facts, f)
	}
	return facts
}

// mustReplay is Replay where it may not fail.
func mustReplay(t *rapid.T, terms Contract, facts []Fact, asOf civil.Date) Position {
	p, err := Replay(terms, facts, asOf)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// checkPosition says with its own arithmetic which promise a position breaks.
func checkPosition(t *rapid.T, terms Contract, facts []Fact, p Position) {
	if err := p.Check(terms.Plan.Principal); err != nil {
		t.Fatal(err)
	}
	allocated, late, waived, cash := map[ids.ID]int64{}, int64(0), int64(0), int64(0)
	var refunded, principal, open int64
	for _, a := range p.Allocations {
		if a.Amount.Minor() <= 0 || (a.Part == PartOverpaid) != (a.Sequence == 0) {
			t.Fatalf("allocation %+v", a)
		}
		allocated[a.FactID] += a.Amount.Minor()
	}
	for _, f := range facts {
		if f.Date.After(p.AsOf) {
			continue
		}
		if f.Kind.IsMoney() && allocated[f.ID] != f.Amount.Minor() {
			t.Fatalf("%s of %s is allocated with %d", f.Kind, f.Amount, allocated[f.ID])
		}
		if f.Kind == FactRefunded {
			refunded += f.Amount.Minor()
		}
	}
	for _, c := range p.LateCharges {
		late += c.Amount.Minor()
	}
	for _, w := range p.Waivers {
		waived += w.Released.Minor() + w.Returned.Minor()
	}
	dropped := p.Cancelled.Interest.Minor() + p.Cancelled.Fee.Minor() - p.Dropped.Minor()
	for _, r := range p.Refunds {
		cash += r.Cash.Minor()
		dropped -= r.Interest.Minor() + r.Fee.Minor()
	}
	if dropped != 0 || p.Dropped.IsPositive() == p.DroppedBy.IsZero() {
		t.Fatalf("%d of the interest and fee that are cancelled is explained by nobody: %+v", dropped, p)
	}
	for i, in := range p.Instalments {
		principal += in.Charged.Principal.Minor()
		open += in.Open.Principal.Minor() + in.Open.Interest.Minor() + in.Open.Fee.Minor() + in.Open.Late.Minor()
		plan := terms.Plan.Instalments[i]
		if in.Charged.Principal != plan.Principal || in.Charged.Interest != plan.Interest || in.Charged.Fee != plan.Fee {
			t.Fatalf("instalment %d is not the plan's", i+1)
		}
	}
	if late != p.Charged.Late.Minor() || waived != p.Cancelled.Late.Minor() || cash != p.Returned.Minor() ||
		refunded != p.Cancelled.Principal.Minor() || principal != terms.Plan.Principal.Minor() || open != p.OpenTotal.Minor() {
		t.Fatalf("late %d, waived %d, cash %d, refunded %d, principal %d, open %d: %+v", late, waived, cash, refunded, principal, open, p)
	}
	if (p.State == LoanSettled) != (open == 0 && p.WrittenOffOn.IsZero()) || (p.State == LoanOverdue) != (p.Overdue.IsPositive() && p.WrittenOffOn.IsZero()) ||
		p.Overdue.Minor() > open || p.BilledOpen.Minor() > open || (open == 0 && p.WrittenOffOn.IsZero()) != (!p.SettledOn.IsZero() && p.WrittenOffOn.IsZero()) {
		t.Fatalf("%s with %d open, %s overdue, settled on %s", p.State, open, p.Overdue, p.SettledOn)
	}
}

func TestPositionsKeepTheirPromisesForEveryHistory(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		terms := drawTerms(t)
		facts := drawFacts(t, terms, 8)
		for range 3 {
			checkPosition(t, terms, facts, mustReplay(t, terms, facts, terms.Start.AddDays(rapid.IntRange(0, terms.lifetime()).Draw(t, "as of"))))
		}
	})
}

func TestTheOrderInWhichFactsBecomeKnownDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		terms := drawTerms(t)
		facts := drawFacts(t, terms, 10)
		end := terms.Start.AddDays(terms.lifetime())
		if !reflect.DeepEqual(mustReplay(t, terms, facts, end), mustReplay(t, terms, rapid.Permutation(facts).Draw(t, "other order"), end)) {
			t.Fatal("the order matters")
		}
	})
}

func TestPayOffQuoteThenPaidSettlesToNothingOnAnyDay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		terms := drawTerms(t)
		facts := drawFacts(t, terms, 5)
		date := terms.Start.AddDays(rapid.IntRange(0, terms.lifetime()).Draw(t, "day"))
		q, err := QuotePayOff(terms, facts, date)
		before := mustReplay(t, terms, facts, date)
		if errs.Is(err, errs.LoanStateInvalid) && before.State == LoanWrittenOff {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if before.OpenTotal.Minor() != q.Amount.Minor()+q.SavedInterest.Minor() {
			t.Fatalf("%s open, pays %s and saves %s", before.OpenTotal, q.Amount, q.SavedInterest)
		}
		until := facts[:0:0]
		for _, f := range facts {
			if !f.Date.After(date) {
				until = append(until, f)
			}
		}
		if q.Amount.IsPositive() {
			until = append(until, Fact{ID: ids.ID{9, 9, 9}, Kind: FactEarlySettled, Date: date, Amount: q.Amount})
		} else if q.SavedInterest.IsPositive() {
			return // nothing to pay, but interest that only a settlement drops
		}
		for _, later := range []int{0, 1, 400} {
			after := mustReplay(t, terms, until, date.AddDays(later))
			checkPosition(t, terms, until, after)
			if after.State != LoanSettled || !after.OpenTotal.IsZero() || after.Overpaid != before.Overpaid {
				t.Fatalf("%s: %s open, %s overpaid, was %s", after.State, after.OpenTotal, after.Overpaid, before.Overpaid)
			}
		}
	})
}

func TestFullRefundBeforeTheFirstBillEqualsNeverBought(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		terms := drawTerms(t)
		if terms.Product.Servicing.Refund.Interest == RefundInterestNone {
			terms.Product.Servicing.Refund.Interest = RefundInterestUnbilled
		}
		bill := terms.Product.BillDateOf(terms.Plan.Instalments[0].DueDate)
		days := terms.Start.DaysUntil(bill)
		var facts []Fact
		paid := int64(0)
		if rapid.Bool().Draw(t, "paid before") {
			paid = rapid.Int64Range(1, terms.Plan.Total.Minor()).Draw(t, "paid")
			facts = append(facts, Fact{ids.ID{1}, FactRepaid, terms.Start, rp(paid)})
		}
		left := terms.Plan.Principal.Minor()
		for n := byte(2); left > 0; n++ {
			part := left
			if n < 5 {
				part = rapid.Int64Range(1, left).Draw(t, "refund")
			}
			left -= part
			facts = append(facts, Fact{ids.ID{n}, FactRefunded, terms.Start.AddDays(rapid.IntRange(0, days-1).Draw(t, "day")), rp(part)})
		}
		p := mustReplay(t, terms, facts, terms.Start.AddDays(terms.lifetime()))
		b, err := p.Balances()
		if err != nil {
			t.Fatal(err)
		}
		if p.State != LoanSettled || p.Returned.Minor()+p.Overpaid.Minor() != paid || !p.Paid.Principal.IsZero() {
			t.Fatalf("%s: paid %d, returned %s, overpaid %s, kept %+v", p.State, paid, p.Returned, p.Overpaid, p.Paid)
		}
		for _, account := range []string{LoanPrincipal, CreditClearing, FeeReceivable, FeeIncome, FeeUnearned, InterestIncome, InterestReceivable, InterestUnearned, LateFeeIncome} {
			if amount, ok := b[account]; ok && !amount.IsZero() {
				t.Fatalf("%s has %s", account, amount)
			}
		}
	})
}

// After a full refund at any time no principal is owed, none is kept, and the rule
// ALL leaves no interest either.
func TestFullRefundLeavesOnlyWhatTheRuleKeeps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		terms := drawTerms(t)
		facts := drawFacts(t, terms, 4)
		left := terms.Plan.Principal.Minor()
		for _, f := range facts {
			if f.Kind == FactRefunded {
				left -= f.Amount.Minor()
			}
		}
		last := terms.Start
		if len(facts) > 0 {
			last = facts[len(facts)-1].Date
		}
		if left > 0 {
			facts = append(facts, Fact{ids.ID{9, 9}, FactRefunded, last, rp(left)})
		}
		p := mustReplay(t, terms, facts, last)
		if !p.Open.Principal.IsZero() || !p.Paid.Principal.IsZero() || !p.WrittenOff.Principal.IsZero() || !p.Recovered.Principal.IsZero() {
			t.Fatalf("principal is left: %+v", p)
		}
		if terms.Product.Servicing.Refund.Interest == RefundInterestAll && p.Cancelled.Interest != p.Charged.Interest {
			t.Fatalf("%s of %s interest was taken back", p.Cancelled.Interest, p.Charged.Interest)
		}
	})
}

// book is a ledger: what was posted so far.
type book map[string]int64

// post adds lines.
func (b book) post(t *rapid.T, lines []Line) {
	if len(lines) == 0 {
		return
	}
	if err := CheckLines(lines); err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		b[l.Account] += l.Debit.Minor() - l.Credit.Minor()
		if b[l.Account] == 0 {
			delete(b, l.Account)
		}
	}
}

// bookOf is the ledger of balances.
func bookOf(t *rapid.T, p Position) book {
	balances, err := p.Balances()
	if err != nil {
		t.Fatal(err)
	}
	b := book{}
	for account, amount := range balances {
		if !amount.IsZero() {
			b[account] = amount.Minor()
		}
	}
	return b
}

// A job runs on random days, knows each fact only some days after its value date,
// and learns that some repayments bounced. What it posted is what one replay of the
// facts that stand posts at the end, and every move of the loan is legal.
func TestLateAndDailyReplaysPostTheSameJournal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		terms := drawTerms(t)
		facts := drawFacts(t, terms, 6)
		end := terms.Start.AddDays(terms.lifetime() + 60)
		type knowledge struct {
			known, bounced civil.Date
			seen, refused  bool
		}
		known := map[ids.ID]knowledge{}
		var standing []Fact
		for _, f := range facts {
			k := knowledge{known: f.Date.AddDays(rapid.IntRange(0, 40).Draw(t, "known after"))}
			if f.Kind == FactRepaid && rapid.Bool().Draw(t, "bounces") {
				k.bounced = k.known.AddDays(rapid.IntRange(0, 20).Draw(t, "bounced after"))
			} else {
				standing = append(standing, f)
			}
			known[f.ID] = k
		}
		posted := book{}
		last := mustReplay(t, terms, nil, terms.Start)
		posted.post(t, linesFrom(t, Balances{}, last))
		step := rapid.SampledFrom([]int{1, 7, 30, 90}).Draw(t, "days between runs")
		for date := terms.Start; ; date = date.AddDays(step) {
			if date.After(end) {
				date = end
			}
			var now []Fact
			for _, f := range facts {
				k := known[f.ID]
				if f.Kind == FactWrittenOff && !k.seen && !k.known.After(date) {
					// Nobody can give up what the books show as settled.
					k.seen, k.refused = true, last.State == LoanSettled
					known[f.ID] = k
				}
				if !k.refused && !k.known.After(date) && (k.bounced.IsZero() || k.bounced.After(date)) {
					now = append(now, f)
				}
			}
			p := mustReplay(t, terms, now, date)
			lines, err := Lines(last, p)
			if err != nil {
				t.Fatal(err)
			}
			posted.post(t, lines)
			if p.State != last.State && LoanStates.Check(last.State, p.State) != nil {
				t.Fatalf("%s becomes %s on %s", last.State, p.State, date)
			}
			last = p
			if date == end {
				break
			}
		}
		standing = slices.DeleteFunc(standing, func(f Fact) bool { return known[f.ID].refused })
		want := mustReplay(t, terms, standing, end)
		if !reflect.DeepEqual(last, want) || !maps.Equal(posted, bookOf(t, want)) {
			t.Fatalf("posted %v, want %v", posted, bookOf(t, want))
		}
	})
}

// linesFrom are the lines from balances to those of a position.
func linesFrom(t *rapid.T, before Balances, p Position) []Line {
	after, err := p.Balances()
	if err != nil {
		t.Fatal(err)
	}
	lines, err := LinesBetween(money.IDR(), before, after)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestBouncePostsTheExactReversal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		terms := drawTerms(t)
		facts := drawFacts(t, terms, 5)
		date := terms.Start.AddDays(rapid.IntRange(0, terms.lifetime()).Draw(t, "day"))
		bounced := Fact{ids.ID{7, 7, 7}, FactRepaid, date, rp(rapid.Int64Range(1, terms.Plan.Total.Minor()).Draw(t, "amount"))}
		without := mustReplay(t, terms, facts, date)
		with := mustReplay(t, terms, append([]Fact{bounced}, facts...), date)
		forth, err := Lines(without, with)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Lines(with, without)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, Reverse(forth)) || len(forth) == 0 {
			t.Fatalf("forth %v, back %v", forth, back)
		}
		b := bookOf(t, without)
		b.post(t, forth)
		b.post(t, back)
		if !maps.Equal(b, bookOf(t, without)) {
			t.Fatal("the bounce leaves something")
		}
	})
}

// The position of the first day posts what the activation did, without its
// memorandum.
func TestFirstPositionIsTheActivation(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		terms := drawTerms(t)
		lines, err := ActivationLines(terms.Plan)
		if err != nil {
			t.Fatal(err)
		}
		b := book{}
		b.post(t, lines)
		delete(b, CreditCommitment)
		delete(b, CreditCommitmentContra)
		if !maps.Equal(b, bookOf(t, mustReplay(t, terms, nil, terms.Start))) {
			t.Fatalf("activation %v", b)
		}
	})
}

// Whatever the history, no day's late fees exceed the bounds of law.
func TestLateFeesNeverExceedTheBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		terms := drawTerms(t)
		facts := drawFacts(t, terms, 4)
		p := mustReplay(t, terms, facts, terms.Start.AddDays(terms.lifetime()+rapid.IntRange(0, 300).Draw(t, "more days")))
		rule, bound := terms.Product.Servicing.CapOn(terms.Start, terms.Plan.TenorMonths)
		if !bound || p.Charged.Late.IsZero() {
			return
		}
		all := p.Charged.Late.Minor() + terms.Plan.Interest.Minor() + terms.Plan.Fee.Minor()
		if all*money.PPM > terms.Plan.Principal.Minor()*rule.TotalPPM {
			t.Fatalf("%d in all on %s", all, terms.Plan.Principal)
		}
		if rule.PerDayPPM > 0 {
			days := int64(terms.Plan.Instalments[0].DueDate.DaysUntil(p.AsOf))
			if p.Charged.Late.Minor()*money.PPM > terms.Plan.Principal.Minor()*rule.PerDayPPM*days {
				t.Fatalf("%s after %d days", p.Charged.Late, days)
			}
		}
	})
}

// TestSameDayFactsInAnyOrder is the proof for all orders of one day: each of the
// 120 orders of five facts of one day gives the same position.
func TestSameDayFactsInAnyOrder(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	p.Tenors = []Tenor{{3, 29_500, PerMonth}}
	terms := contractOf(t, p, rp(100_000), "2026-04-10")
	facts := []Fact{
		fact(t, 5, FactRepaid, "2026-05-10", rp(20_000)), fact(t, 4, FactRepaid, "2026-05-10", rp(30_000)),
		fact(t, 3, FactRefunded, "2026-05-10", rp(40_000)), fact(t, 2, FactLateFeeWaived, "2026-05-10", rp(1_000)),
		fact(t, 1, FactEarlySettled, "2026-05-10", rp(9_000)),
	}
	want := replayedOn(t, terms, "2026-05-10", facts...)
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		random.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
		if got := replayedOn(t, terms, "2026-05-10", facts...); !reflect.DeepEqual(got, want) {
			t.Fatalf("order %v gives another position", facts)
		}
	}
}

func TestOpeningBalancesAreThoseOfAReplayWithoutFacts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		terms := drawTerms(t)
		want, err := mustReplay(t, terms, nil, terms.Start).Balances()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := OpeningBalances(terms); err != nil || !maps.Equal(want, got) {
			t.Fatalf("%v, %v; want %v", got, err, want)
		}
	})
}
