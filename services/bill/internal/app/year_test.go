package app_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// A random year of one user: purchases, repayments, settlements, bounces, waivers, pay-outs, write-offs, and days that pass with the
// timers on time or weeks late. What a rule refuses is refused; the audit at the end of the test proves the books.
func TestARandomYearLeavesTheBooksClean(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.open(t, "u1", 5_000_000)
			y := &year{bed: b, random: rand.New(rand.NewPCG(seed, 7))}
			for range 60 {
				y.act(t)
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

type year struct {
	*bed
	random     *rand.Rand
	loans      []ids.ID
	repayments []ids.ID
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
	kind := y.random.IntN(12)
	if len(y.loans) == 0 {
		kind = 0
	}
	switch {
	case kind <= 1:
		r := y.purchase("u1", 20_000+y.random.Int64N(600_000))
		loans, err := y.ReserveCredit(t.Context(), r)
		allowed(t, "purchase", err)
		if err == nil {
			y.loans = append(y.loans, loans[0].LoanID)
			if err := y.apply(t.Context(), y.confirmed(r.Orders[0].OrderID, y.clock.Now())); err != nil {
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
		_, err := y.ReverseRepayment(t.Context(), y.pick(y.repayments), y.op(0))
		allowed(t, "bounce", err)
	case kind == 10:
		y.operate(t)
	default:
		_, err := y.PayOutCreditBalance(t.Context(), "u1", y.op(1+y.random.Int64N(100_000)))
		allowed(t, "pay out", err)
	}
}

func (y *year) operate(t *testing.T) {
	t.Helper()
	loan := y.pick(y.loans)
	switch y.random.IntN(6) {
	case 0:
		_, err := y.WriteOffLoan(t.Context(), loan, y.op(0))
		allowed(t, "write off", err)
		if err == nil && y.standing(t, "u1").Account.State == domain.AccountFrozen {
			if _, err := y.UnfreezeCreditAccount(t.Context(), y.request("u1")); err != nil {
				t.Fatal(err)
			}
		}
	case 1:
		_, err := y.RecordRecovery(t.Context(), loan, y.op(1+y.random.Int64N(50_000)))
		allowed(t, "recover", err)
	default:
		_, err := y.WaiveFee(t.Context(), loan, y.op(1+y.random.Int64N(20_000)))
		allowed(t, "waive", err)
	}
}
