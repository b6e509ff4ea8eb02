package app_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// A random year of one user: purchases by both products, goods received at once or later, repayments, settlements, bounces, refunds and refunds that
// were kept, waivers, pay-outs, write-offs, and days that pass with the timers on time or weeks late. What a rule refuses is refused,
// each refund does what its preview said, and the audit proves the books, on the way and at the end.
func TestARandomYearLeavesTheBooksClean(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.open(t, "u1", 5_000_000)
			y := &year{bed: b, random: rand.New(rand.NewPCG(seed, 7))}
			for n := range 240 {
				y.act(t)
				if n%40 == 39 {
					for len(y.drafts) > 0 {
						y.receive(t) // No draft may be old.
					}
					y.roll(t)
					y.audit(t)
					b.entriesAddUp(t, "u1")
				}
			}
			b.roll(t)
			s := b.standing(t, "u1")
			for _, l := range s.Loans {
				if l.State != l.Position.State || l.Outstanding != l.Position.Open.Principal {
					t.Errorf("loan is stored as %s with %s, and stands at %s with %s", l.State, l.Outstanding, l.Position.State, l.Position.Open.Principal)
				}
			}
		})
	}
}

// entriesAddUp fails the test when the entries of a user do not tell what the account says: what is open of the instalments among them,
// less what was paid, taken back or recovered of the others, less the credit balance.
func (b *bed) entriesAddUp(t *testing.T, user string) {
	t.Helper()
	s := b.standing(t, user)
	want := -s.Account.Credit.Minor()
	page, next, err := b.QueryBillTxnList(t.Context(), user, app.EntryFilter{Limit: 1_000_000})
	if err != nil || next != "" {
		t.Fatal(next, err)
	}
	sum, told := int64(0), map[string]bool{}
	for _, e := range page {
		if e.Kind != app.EntryPurchase {
			sum += e.Amount.Minor()
		}
		if told[e.ID] {
			t.Errorf("entry %s comes twice", e.ID)
		}
		told[e.ID] = true
		if e.Time.After(b.clock.Now()) {
			t.Errorf("entry %s is of %s", e.ID, e.Time)
		}
	}
	for _, l := range s.Loans {
		p := l.Position
		if !p.WrittenOffOn.IsZero() {
			want += p.Dropped.Minor() // It was never told.
		}
		for _, in := range p.Instalments {
			if told[fmt.Sprintf("%s-%d", ids.Format(ids.Loan, l.ID), in.Sequence)] {
				want += total(t, in.Open)
			} else {
				want -= total(t, in.Paid) + total(t, in.Recovered) + total(t, in.Cancelled)
			}
		}
	}
	if sum != want {
		t.Errorf("the entries of %s add up to %d, want %d", user, sum, want)
	}
}

func total(t *testing.T, p domain.Parts) int64 {
	t.Helper()
	sum, err := p.Total()
	if err != nil {
		t.Fatal(err)
	}
	return sum.Minor()
}

type year struct {
	*bed
	random     *rand.Rand
	loans      []ids.ID
	orders     []ids.ID
	drafts     []ids.ID // orders whose goods were not received when they were bought
	repayments []ids.ID
	returns    [][2]ids.ID // refund and repayment
	n          int
}

func (y *year) op(amount int64) app.Operation {
	y.n++
	o := app.Operation{Actor: "ADMIN:alice", RequestID: fmt.Sprintf("op-%06d", y.n), Reason: "random"}
	if amount > 0 {
		o.Amount = rp(amount)
	}
	return o
}

// allowed fails the test for what is neither done nor refused by a rule.
func allowed(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil && !errs.Business(err) {
		t.Fatalf("%s: %v", what, err)
	}
}

func (y *year) pick(list []ids.ID) ids.ID { return list[y.random.IntN(len(list))] }

func (y *year) act(t *testing.T) {
	t.Helper()
	kind := y.random.IntN(17)
	if len(y.loans) == 0 {
		kind = 0
	}
	switch {
	case kind == 16:
		// A part of a down payment that could not go back.
		allowed(t, "keep cash", y.KeepCashAsCredit(t.Context(), y.gaveUp("u1", 1+y.random.Int64N(50_000))))
	case kind <= 1:
		r := y.purchase("u1", 20_000+y.random.Int64N(600_000))
		if y.random.IntN(3) == 0 {
			r.ProductCode, r.TenorMonths = "SPL_ID_REDUCING", 3*(1+y.random.IntN(2)) // Late fees and settlements by the day.
		}
		loans, err := y.ReserveCredit(t.Context(), r)
		allowed(t, "purchase", err)
		if err == nil {
			y.loans, y.orders = append(y.loans, loans[0].LoanID), append(y.orders, r.Orders[0].OrderID)
			if y.random.IntN(3) == 0 {
				y.drafts = append(y.drafts, r.Orders[0].OrderID)
			} else if err := y.apply(t.Context(), y.confirmed(r.Orders[0].OrderID, y.clock.Now())); err != nil {
				t.Fatal(err)
			}
		}
	case kind <= 5:
		y.clock.Advance(24 * time.Hour * time.Duration(y.random.IntN(25)))
		if y.random.IntN(3) > 0 {
			y.roll(t)
		}
	case kind <= 7:
		y.repayments = append(y.repayments, y.repay(t, "u1", 1+y.random.Int64N(500_000)))
	case kind == 8:
		begun, err := y.SettleEarly(t.Context(), "u1", "H5:u1", y.ids.New().String(), y.pick(y.loans), "VA")
		allowed(t, "settle", err)
		if err == nil {
			y.clock.Advance(24 * time.Hour * time.Duration(y.random.IntN(4)))
			y.outcome(t, begun.Repayment, app.CashLegSucceeded)
			y.repayments = append(y.repayments, begun.Repayment.ID)
		}
	case kind == 9 && len(y.repayments) > 0:
		_, asked, err := y.ReverseRepayment(t.Context(), y.pick(y.repayments), y.op(0))
		y.approve(t, asked)
		allowed(t, "bounce", err)
	case kind == 10:
		y.operate(t)
	case kind <= 13:
		y.takeBack(t)
	case kind == 14 && len(y.drafts) > 0:
		y.receive(t)
	case kind == 15 && len(y.returns) > 0:
		pair := y.returns[y.random.IntN(len(y.returns))]
		if err := y.KeepRefundAsCredit(t.Context(), pair[0], pair[1], "SERVICE:refund"); err != nil {
			t.Fatal(err)
		}
	default:
		_, asked, err := y.PayOutCreditBalance(t.Context(), "u1", y.op(1+y.random.Int64N(100_000)))
		y.approve(t, asked)
		allowed(t, "pay out", err)
	}
}

// takeBack refunds a part of an order, now and then all that is left of it.
func (y *year) takeBack(t *testing.T) {
	t.Helper()
	order, amount := y.pick(y.orders), 1+y.random.Int64N(150_000)
	if y.random.IntN(3) == 0 {
		amount = max(1, y.left(t, order))
	}
	preview, previewErr := y.PreviewRefundAdjustment(t.Context(), order, rp(amount))
	r := y.refunding(order, amount)
	adj, err := y.AdjustForRefund(t.Context(), r)
	allowed(t, "refund", err)
	if (err == nil) != (previewErr == nil) || (err == nil && !reflect.DeepEqual(preview, adj)) {
		t.Fatalf("the preview was %+v, %v; the effect is %+v, %v", preview, previewErr, adj, err)
	}
	if err != nil {
		return
	}
	y.wantAgain(t, r, adj)
	for _, s := range adj.Sources {
		y.returns = append(y.returns, [2]ids.ID{r.RefundID, s.RepaymentID})
	}
}

// left is what an order's loan finances and was not refunded.
func (y *year) left(t *testing.T, order ids.ID) int64 {
	t.Helper()
	loans, err := y.rows.LoansOfOrders(t.Context(), []ids.ID{order})
	if err != nil {
		t.Fatal(err)
	}
	l := loans[len(loans)-1]
	return l.Plan.Principal.Minor() - l.Refunded.Minor()
}

// receive lets the goods of an order arrive, late perhaps.
func (y *year) receive(t *testing.T) {
	t.Helper()
	n := y.random.IntN(len(y.drafts))
	order := y.drafts[n]
	y.drafts = append(y.drafts[:n], y.drafts[n+1:]...)
	if err := y.apply(t.Context(), y.confirmed(order, y.clock.Now())); err != nil {
		t.Fatal(err)
	}
}

func (y *year) operate(t *testing.T) {
	t.Helper()
	loan := y.pick(y.loans)
	switch y.random.IntN(6) {
	case 0:
		_, asked, err := y.WriteOffLoan(t.Context(), loan, y.op(0))
		y.approve(t, asked)
		allowed(t, "write off", err)
		if err == nil && y.standing(t, "u1").Account.State == domain.AccountFrozen {
			if _, err := y.UnfreezeCreditAccount(t.Context(), y.request("u1")); err != nil {
				t.Fatal(err)
			}
		}
	case 1:
		_, asked, err := y.RecordRecovery(t.Context(), loan, y.op(1+y.random.Int64N(50_000)))
		y.approve(t, asked)
		allowed(t, "recover", err)
	default:
		_, asked, err := y.WaiveFee(t.Context(), loan, y.op(1+y.random.Int64N(20_000)))
		y.approve(t, asked)
		allowed(t, "waive", err)
	}
}
