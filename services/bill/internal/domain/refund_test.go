package domain

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// shareOf is a random part of an amount, the whole included.
func shareOf(t *rapid.T, a money.Amount, label string) money.Amount {
	return rp(rapid.OneOf(rapid.Int64Range(1, a.Minor()), rapid.Just(a.Minor())).Draw(t, label))
}

func TestDraftsShrinkByAnyAmountUntilNothingIsLeft(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		terms := drawTerms(t)
		at := terms.Start.In(civil.Jakarta())
		l := Loan{State: LoanDraft, Plan: terms.Plan, Outstanding: rp(0), DraftTime: at, Version: 1}
		left := terms.Plan.Principal
		for n := range 5 {
			part := shareOf(t, left, "part")
			if n == 4 {
				part = left
			}
			next, adj, err := l.ReduceDraft(terms.Product, part, at)
			if err != nil {
				t.Fatal(err)
			}
			left = rp(left.Minor() - part.Minor())
			if adj.Released.Principal != part || !adj.Cash.IsZero() || len(adj.Sources) > 0 || adj.Released.Interest.IsNegative() || adj.Released.Fee.IsNegative() {
				t.Fatalf("%+v", adj)
			}
			if left.IsZero() {
				if next.State != LoanVoid || len(adj.Plan.Instalments) != 0 || adj.State != LoanVoid {
					t.Fatalf("nothing is left of it and it is %s with %d instalments", next.State, len(adj.Plan.Instalments))
				}
				break
			}
			if next.State != LoanDraft || next.Plan.Principal != left || next.Plan.DownPayment != l.Plan.DownPayment || next.Plan.TenorMonths != l.Plan.TenorMonths {
				t.Fatalf("%+v", next.Plan)
			}
			// What the goods cost when they are received is the plan of the rest, also where interest counts days.
			begun, err := next.Activate(at, terms.Start, terms.Product)
			if err != nil || begun.Plan.Total != next.Plan.Total {
				t.Fatalf("it begins with %s, was drafted with %s: %v", begun.Plan.Total, next.Plan.Total, err)
			}
			l = next
		}
	})
}

func TestAShrunkDraftIsThePlanOfTheRest(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	start := civil.Date{Year: 2026, Month: 4, Day: 10}
	plan, err := BuildPlan(p, 3, rp(100_000), start)
	if err != nil {
		t.Fatal(err)
	}
	l := Loan{State: LoanDraft, Plan: plan, Outstanding: rp(0), DraftTime: start.In(civil.Jakarta()), Version: 1}
	// 4,000 is below the smallest amount of a purchase, 10,000.
	for _, rest := range []int64{60_000, 4_000} {
		want, err := BuildPlan(p, 3, rp(rest), start)
		if err != nil {
			t.Fatal(err)
		}
		next, adj, err := l.ReduceDraft(p, rp(100_000-rest), start.In(civil.Jakarta()))
		if err != nil || next.Plan.Total != want.Total || adj.Plan.Instalments[2] != want.Instalments[2] {
			t.Errorf("the rest of %d costs %s, want %s: %v", rest, next.Plan.Total, want.Total, err)
		}
	}
	for amount, reason := range map[money.Amount]errs.Reason{
		rp(100_001): errs.RefundExceedsBudget, rp(0): errs.AmountOutOfRange, rp(-1): errs.AmountOutOfRange, money.New(1, money.USD()): errs.CurrencyMismatch,
	} {
		if _, _, err := l.ReduceDraft(p, amount, start.In(civil.Jakarta())); !errs.Is(err, reason) {
			t.Errorf("a refund of %s: %v, want %s", amount, err, reason.Name())
		}
	}
}

func TestTheFixedFeeOfADraftShrinksWithIt(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	p.FeeFixed = rp(5_000)
	start := civil.Date{Year: 2026, Month: 4, Day: 10}
	plan, err := BuildPlan(p, 3, rp(100_000), start)
	if err != nil {
		t.Fatal(err)
	}
	l := Loan{State: LoanDraft, Plan: plan, Outstanding: rp(0), DraftTime: start.In(civil.Jakarta()), Version: 1}
	next, adj, err := l.ReduceDraft(p, rp(99_000), start.In(civil.Jakarta()))
	if err != nil || next.Plan.Fee != rp(60) || adj.Released.Fee != rp(5_940) {
		t.Errorf("the fee of a hundredth is %s, released %s: %v", next.Plan.Fee, adj.Released.Fee, err)
	}
	if err := p.CheckCost(next.Plan, start); err != nil {
		t.Error(err)
	}
}

// Of every history, a refund takes exactly its amount of principal, gives back what was paid of it, and no repayment more than it
// paid. What is left of the loan's credit balance explains itself.
func TestARefundAddsUpForEveryHistory(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		terms := drawTerms(t)
		facts := drawFacts(t, terms, 10)
		asOf := terms.Start.AddDays(rapid.IntRange(0, terms.lifetime()).Draw(t, "day"))
		if len(facts) > 0 && rapid.Bool().Draw(t, "on the day of the last fact") {
			asOf = facts[len(facts)-1].Date
		}
		before := mustReplay(t, terms, facts, asOf)
		left := rp(terms.Plan.Principal.Minor() - before.Cancelled.Principal.Minor())
		b := BegunLoan{Terms: terms, Facts: facts, Payable: rp(0)}
		fact := Fact{ID: rapid.SampledFrom([]ids.ID{{15: 1}, {0: 255}}).Draw(t, "id"), Kind: FactRefunded, Date: asOf, Amount: rp(left.Minor() + 1)}
		if _, _, err := b.Refund(fact, asOf); !errs.Is(err, errs.RefundExceedsBudget) {
			t.Fatalf("%s of %s: %v", fact.Amount, left, err)
		}
		if left.IsZero() {
			return
		}
		fact.Amount = shareOf(t, left, "refund")
		adj, after, err := b.Refund(fact, asOf)
		if err != nil {
			t.Fatal(err)
		}
		checkAdjustment(t, adj, before, after, facts)
	})
}

func checkAdjustment(t *rapid.T, adj RefundAdjustment, before, after Position, facts []Fact) {
	sum := adj.Credit.Minor()
	for _, s := range adj.Sources {
		sum += s.Amount.Minor()
		var brought int64
		for _, a := range before.AllocatedBy(s.RepaymentID) {
			if a.Part != PartOverpaid {
				brought += a.Amount.Minor()
			}
		}
		if !s.Amount.IsPositive() || s.Amount.Minor() > brought {
			t.Fatalf("%s gives back %s of %d", s.RepaymentID, s.Amount, brought)
		}
		for _, f := range facts {
			if f.ID == s.RepaymentID && !f.Kind.IsMoney() {
				t.Fatalf("%s gives money back", f.Kind)
			}
		}
	}
	if adj.Cash.Minor() != sum || adj.Cash.IsNegative() || adj.Credit.IsNegative() {
		t.Fatalf("cash %s, its parts %d", adj.Cash, sum)
	}
	payable := rp(sum - adj.Credit.Minor())
	was, err := before.CreditShare(rp(0))
	if err != nil {
		t.Fatal(err)
	}
	is, err := after.CreditShare(payable)
	if err != nil || is.Minor()-was.Minor() != adj.Credit.Minor() {
		t.Fatalf("the credit balance goes from %s to %s by %s: %v", was, is, adj.Credit, err)
	}
	books, err := after.BalancesPaying(payable)
	if err != nil {
		t.Fatal(err)
	}
	if got := books[RefundPayable]; got.Minor() != -payable.Minor() {
		t.Fatalf("REFUND_PAYABLE has %s, want %s", got, payable)
	}
}

func TestWhatWentBackOfMoneyThatBouncedDoesNotGoBackTwice(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	start := civil.Date{Year: 2026, Month: 4, Day: 10}
	plan, err := BuildPlan(p, 3, rp(300_000), start)
	if err != nil {
		t.Fatal(err)
	}
	plan, err = plan.startedOn(p, start)
	if err != nil {
		t.Fatal(err)
	}
	terms := Contract{Product: p, Plan: plan, Start: start}
	second := Fact{ID: ids.ID{2}, Kind: FactRepaid, Date: start, Amount: plan.Total}
	refund := Fact{ID: ids.ID{3}, Kind: FactRefunded, Date: start, Amount: rp(100_000)}
	// A first repayment bounced, by which 60,000 had gone back.
	b := BegunLoan{Terms: terms, Facts: []Fact{second}, Payable: rp(60_000), Given: []Given{{RefundID: ids.ID{9}, RepaymentID: ids.ID{1}, Amount: rp(60_000)}}}
	adj, _, err := b.Refund(refund, start)
	if err != nil || adj.Credit != rp(60_000) || len(adj.Sources) != 1 || adj.Sources[0].Amount.Minor() != adj.Cash.Minor()-60_000 {
		t.Errorf("%+v: %v", adj, err)
	}
}

// Refunds of any parts, one after the other, give back all that a loan's money paid, by that money. A settlement is no exception, though it
// comes behind the refunds of its day.
func TestRefundsGoBackByAllThatTheMoneyPaid(t *testing.T) {
	t.Parallel()
	for name, days := range map[string]int{"on the day of the settlement": 0, "on the day after": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := DefaultProducts(money.IDR())[0]
			p.Tenors = []Tenor{{3, 29_500, PerMonth}}
			terms := contractOf(t, p, rp(300_000), "2026-04-10")
			repaid := fact(t, 1, FactRepaid, "2026-04-10", rp(50_000))
			q, err := QuotePayOff(terms, []Fact{repaid}, day(t, "2026-04-10"))
			if err != nil {
				t.Fatal(err)
			}
			b := BegunLoan{Terms: terms, Payable: rp(0), Facts: []Fact{repaid, {ID: ids.ID{2}, Kind: FactEarlySettled, Date: q.Date, Amount: q.Amount}}}
			back := map[ids.ID]int64{}
			for i, part := range []int64{100_000, 1, 120_000, 79_999} {
				refund := Fact{ID: ids.ID{byte(10 + i)}, Kind: FactRefunded, Date: q.Date.AddDays(days), Amount: rp(part)}
				adj, _, err := b.Refund(refund, refund.Date)
				if err != nil || !adj.Credit.IsZero() {
					t.Fatalf("refund %d of %d: %+v, %v", i, part, adj, err)
				}
				for _, s := range adj.Sources {
					back[s.RepaymentID] += s.Amount.Minor()
					b.Payable = rp(b.Payable.Minor() + s.Amount.Minor())
					b.Given = append(b.Given, Given{RefundID: refund.ID, RepaymentID: s.RepaymentID, Amount: s.Amount})
				}
				b.Facts = append(b.Facts, refund)
			}
			if back[ids.ID{2}] > q.Amount.Minor() || back[ids.ID{1}] > 50_000 || back[ids.ID{1}]+back[ids.ID{2}] < 300_000 {
				t.Errorf("of 50,000 and %s went back %v", q.Amount, back)
			}
		})
	}
}

// Of every history with refunds upon refunds, no repayment gives back more than it brought.
func TestNoRepaymentGivesBackMoreThanItBrought(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		terms := drawTerms(t)
		facts := drawFacts(t, terms, 10)
		asOf := terms.Start
		if len(facts) > 0 {
			asOf = facts[len(facts)-1].Date
		}
		b := BegunLoan{Terms: terms, Facts: facts, Payable: rp(0)}
		brought, back := map[ids.ID]int64{}, map[ids.ID]int64{}
		for _, f := range facts {
			brought[f.ID] = f.Amount.Minor()
		}
		for i := range 4 {
			before := mustReplay(t, terms, b.Facts, asOf)
			left := rp(terms.Plan.Principal.Minor() - before.Cancelled.Principal.Minor())
			if left.IsZero() {
				return
			}
			refund := Fact{ID: ids.ID{0: 254, 15: byte(i)}, Kind: FactRefunded, Date: asOf, Amount: shareOf(t, left, "refund")}
			adj, _, err := b.Refund(refund, asOf)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range adj.Sources {
				if back[s.RepaymentID] += s.Amount.Minor(); back[s.RepaymentID] > brought[s.RepaymentID] {
					t.Fatalf("%s brought %d and gives %d back", s.RepaymentID, brought[s.RepaymentID], back[s.RepaymentID])
				}
				b.Payable = rp(b.Payable.Minor() + s.Amount.Minor())
				b.Given = append(b.Given, Given{RefundID: refund.ID, RepaymentID: s.RepaymentID, Amount: s.Amount})
			}
			b.Facts = append(b.Facts, refund)
			asOf = asOf.AddDays(rapid.IntRange(0, 2).Draw(t, "days"))
		}
	})
}
