package domain

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// household is one user's credit, kept in memory as the bill service would keep it:
// facts, what was posted, and the ledger.
type household struct {
	t          *rapid.T
	random     *rand.Rand
	products   []Product
	account    Account
	loans      []*homeLoan
	repayments []*homeRepayment
	ledger     book
	bills      map[BillName]BillState
	today      civil.Date
	lastID     uint32
}

// homeLoan is a loan with its facts and the balances that were posted.
type homeLoan struct {
	loan   Loan
	terms  Contract
	facts  []Fact
	posted Balances
	owed   money.Amount
}

// homeRepayment is money of the user.
type homeRepayment struct {
	id      ids.ID
	amount  int64
	rest    money.Amount
	bounced bool
}

// newID is the next id.
func (h *household) newID() ids.ID {
	var id ids.ID
	h.lastID++
	// Not in rising order: ids must not matter.
	binary.BigEndian.PutUint32(id[:], h.lastID*2654435761)
	binary.BigEndian.PutUint32(id[4:], h.lastID)
	return id
}

// must fails the test on an error.
func (h *household) must(err error) {
	if err != nil {
		h.t.Fatalf("on %s: %v", h.today, err)
	}
}

// buy is a purchase whose goods come at once.
func (h *household) buy() {
	p := h.products[h.random.IntN(len(h.products))]
	price := rp(10_000 + h.random.Int64N(2_000_000))
	if h.account.MayBuy(price) != nil {
		return
	}
	plan, err := BuildPlan(p, p.Tenors[h.random.IntN(len(p.Tenors))].Months, price, h.today)
	h.must(err)
	at := h.today.In(time.UTC)
	draft, err := Draft(LoanOrigin{h.newID(), ids.ID{1}, h.newID(), h.newID(), "u1", "m1", "marketplace"}, plan, at)
	h.must(err)
	h.account, err = h.account.Reserve(price)
	h.must(err)
	hold, err := HoldLines(price)
	h.must(err)
	h.ledger.post(h.t, hold)
	loan, err := draft.Activate(at, h.today, p)
	h.must(err)
	h.account, err = h.account.UseHold(price)
	h.must(err)
	lines, err := ActivationLines(loan.Plan)
	h.must(err)
	h.ledger.post(h.t, lines)
	terms := Contract{Product: p, Plan: loan.Plan, Start: h.today}
	first := mustReplay(h.t, terms, nil, h.today)
	posted, err := first.Balances()
	h.must(err)
	h.loans = append(h.loans, &homeLoan{loan: loan, terms: terms, posted: posted, owed: price})
}

// run brings one loan's books to today.
func (h *household) run(l *homeLoan) Position {
	p := mustReplay(h.t, l.terms, l.facts, h.today)
	checkPosition(h.t, l.terms, l.facts, p)
	after, err := p.Balances()
	h.must(err)
	lines, err := LinesBetween(money.IDR(), l.posted, after)
	h.must(err)
	h.ledger.post(h.t, lines)
	l.posted = after
	h.account, err = h.account.DebtChanged(l.owed, p.Open.Principal)
	h.must(err)
	l.owed = p.Open.Principal
	l.loan, err = l.loan.Follow(p, h.today.In(time.UTC))
	h.must(err)
	return p
}

// runAll brings everything to today, and the bills with it.
func (h *household) runAll() []LoanPosition {
	var out []LoanPosition
	for _, l := range h.loans {
		out = append(out, LoanPosition{l.loan.ID, h.run(l)})
	}
	bills, err := BillsOf(out)
	h.must(err)
	for _, b := range bills {
		name := BillName{b.BillDate, b.DueDate}
		was, known := h.bills[name]
		if !known {
			was = BillIssued
		}
		if b.State != was {
			h.must(BillStates.Check(was, b.State))
		}
		h.bills[name] = b.State
	}
	return out
}

// repay pays any amount.
func (h *household) repay() {
	loans := h.runAll()
	amount := rp(1 + h.random.Int64N(1_500_000))
	shares, rest, err := SplitRepayment(amount, loans, RepaymentTarget{})
	h.must(err)
	r := &homeRepayment{id: h.newID(), amount: amount.Minor(), rest: rest}
	h.repayments = append(h.repayments, r)
	for _, s := range shares {
		l := h.find(s.LoanID)
		l.facts = append(l.facts, Fact{r.id, FactRepaid, h.today, s.Amount})
		h.run(l)
	}
	if rest.IsPositive() {
		lines, err := CreditBalanceLines(rest)
		h.must(err)
		h.ledger.post(h.t, lines)
	}
}

// find is a loan by its id.
func (h *household) find(id ids.ID) *homeLoan {
	for _, l := range h.loans {
		if l.loan.ID == id {
			return l
		}
	}
	h.t.Fatalf("no loan %s", id)
	return nil
}

// bounce takes a repayment back.
func (h *household) bounce() {
	if len(h.repayments) == 0 {
		return
	}
	r := h.repayments[h.random.IntN(len(h.repayments))]
	if r.bounced {
		return
	}
	r.bounced = true
	for _, l := range h.loans {
		for i, f := range l.facts {
			if f.ID == r.id {
				l.facts = append(l.facts[:i:i], l.facts[i+1:]...)
				h.run(l)
				break
			}
		}
	}
	if r.rest.IsPositive() {
		lines, err := CreditBalanceLines(r.rest)
		h.must(err)
		h.ledger.post(h.t, Reverse(lines))
	}
}

// adjust is something that happens to one loan.
func (h *household) adjust(what int) {
	if len(h.loans) == 0 {
		return
	}
	l := h.loans[h.random.IntN(len(h.loans))]
	p := h.run(l)
	f := Fact{ID: h.newID(), Date: h.today}
	switch what {
	case 0:
		left := p.Charged.Principal.Minor() - p.Cancelled.Principal.Minor()
		if left == 0 {
			return
		}
		f.Kind, f.Amount = FactRefunded, rp(1+h.random.Int64N(left))
	case 1:
		f.Kind, f.Amount = FactLateFeeWaived, rp(1+h.random.Int64N(100_000))
	case 2:
		if p.State == LoanWrittenOff {
			f.Kind, f.Amount = FactRecovered, rp(1+h.random.Int64N(500_000))
			break
		}
		q, err := QuotePayOff(l.terms, l.facts, h.today)
		h.must(err)
		if !q.Amount.IsPositive() {
			return
		}
		f.Kind, f.Amount = FactEarlySettled, q.Amount
	default:
		if p.DaysPastDue < 60 || p.State != LoanOverdue {
			return
		}
		f.Kind, f.Amount = FactWrittenOff, rp(0)
	}
	if f.Kind.IsMoney() {
		h.repayments = append(h.repayments, &homeRepayment{id: f.ID, amount: f.Amount.Minor(), rest: rp(0)})
	}
	l.facts = append(l.facts, f)
	h.run(l)
}

// audit compares everything with everything.
func (h *household) audit() {
	loans := h.runAll()
	var used, overpaid, open, unbilled, billed int64
	allocated := map[ids.ID]int64{}
	want := book{}
	for _, l := range loans {
		used, overpaid, open = used+l.Position.Open.Principal.Minor(), overpaid+l.Position.Overpaid.Minor(), open+l.Position.OpenTotal.Minor()
		for _, a := range l.Position.Allocations {
			allocated[a.FactID] += a.Amount.Minor()
		}
		for _, in := range l.Position.Instalments {
			if in.BillDate.After(h.today) {
				unbilled += in.Open.Principal.Minor() + in.Open.Interest.Minor() + in.Open.Fee.Minor() + in.Open.Late.Minor()
			}
		}
		balances, err := l.Position.Balances()
		h.must(err)
		for account, amount := range balances {
			want[account] += amount.Minor()
		}
	}
	for _, r := range h.repayments {
		if r.bounced {
			if allocated[r.id] != 0 {
				h.t.Fatalf("a bounced repayment has %d allocated", allocated[r.id])
			}
			continue
		}
		overpaid += r.rest.Minor()
		want[RepaymentClearing] += r.rest.Minor()
		want[CreditBalance] -= r.rest.Minor()
		if allocated[r.id]+r.rest.Minor() != r.amount {
			h.t.Fatalf("%d of %d is allocated", allocated[r.id], r.amount)
		}
	}
	for _, e := range Chart() {
		if h.ledger[e.Account] != want[e.Account] {
			h.t.Fatalf("%s is %d, want %d", e.Account, h.ledger[e.Account], want[e.Account])
		}
	}
	bills, err := BillsOf(loans)
	h.must(err)
	for _, b := range bills {
		billed += b.OpenTotal.Minor()
		var k calculation
		if sum := k.addParts(k.addParts(b.Open, b.Paid), k.addParts(b.Cancelled, b.GivenUp)); sum != b.Charged || k.err != nil {
			h.t.Fatalf("the bill of %s charges %+v, of which %+v is accounted for", b.BillDate, b.Charged, sum)
		}
	}
	if h.account.Used.Minor() != used || h.ledger[LoanPrincipal] != used || !h.account.Held.IsZero() ||
		-h.ledger[CreditBalance] != overpaid || billed+unbilled != open {
		h.t.Fatalf("used %s of %d, credit balance %d of %d, billed %d + %d of %d",
			h.account.Used, used, h.ledger[CreditBalance], overpaid, billed, unbilled, open)
	}
}

func TestARandomYearOfEverythingLeavesTheBooksClean(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		products := DefaultProducts(money.IDR())
		for range 2 {
			p := drawProduct(t)
			p.Tenors[0].Months = min(p.Tenors[0].Months, 1+p.Tenors[0].Months%8)
			p.FeeFixed, p.Servicing = rp(min(p.FeeFixed.Minor(), 5_000)), drawServicing(t, p)
			p.Servicing.Caps = nil
			products = append(products, p)
		}
		h := &household{
			t: t, random: rand.New(rand.NewPCG(seed, 1)), products: products, ledger: book{}, bills: map[BillName]BillState{},
			account: Account{ID: ids.ID{1}, UserID: "u1", Limit: rp(10_000_000), Used: rp(0), Held: rp(0), State: AccountActive},
			today:   civil.Date{Year: 2026, Month: 1, Day: 10},
		}
		for range 40 {
			h.today = h.today.AddDays(h.random.IntN(18))
			switch h.random.IntN(10) {
			case 0, 1:
				h.buy()
			case 2, 3:
				h.repay()
			case 4:
				h.bounce()
			case 5:
				h.runAll()
			default:
				h.adjust(h.random.IntN(4))
			}
		}
		h.audit()
		h.today = h.today.AddDays(200)
		h.audit()
	})
}
