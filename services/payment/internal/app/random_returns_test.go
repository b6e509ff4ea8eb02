package app_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// backStory is one checkout paid with a down payment and one repayment, and what can happen to their money afterwards.
type backStory struct {
	*world
	random    *rand.Rand
	payments  []domain.Payment
	down      domain.CashLeg
	repayment domain.CashLeg
	// refunds that were asked for, also those that were refused.
	refunds []app.RefundAsk
	returns []app.RepaymentReturn
}

// Refunds, returns, their failures and retries, operators' words, cancels and bounces, told in any order, twice and wrongly: the
// books hold after each story.
func TestAnyOrderOfRefundsReturnsAndBouncesLeavesTheBooksClean(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	const seed, stories, steps = 20261123, 80, 60
	random := rand.New(rand.NewPCG(seed, 2))
	happened := map[string]int{}
	for story := range stories {
		w.newCheckout()
		payments, down := w.paidByCash()
		s := &backStory{world: w, random: random, payments: payments, down: down, repayment: w.arrived()}
		var told []string
		for range steps {
			step, err := s.step(context.Background())
			told = append(told, step)
			if err == nil {
				happened[step]++
			} else if !expected(err) {
				t.Fatalf("story %d of seed %d, %v: %v", story, seed, told, err)
			}
		}
		w.proveBooks()
		if t.Failed() {
			t.Fatalf("story %d of seed %d: %v", story, seed, told)
		}
	}
	for what, query := range map[string]string{
		"outcomes":    `SELECT COUNT(DISTINCT outcome) >= 5 FROM leg_notifications WHERE reference_id IN (SELECT id FROM cash_returns)`,
		"states":      `SELECT COUNT(DISTINCT state) = 4 FROM cash_returns`,
		"resolutions": `SELECT COUNT(DISTINCT resolution) = 4 FROM cash_returns`,
		"cancels":     `SELECT COUNT(*) > 10 FROM payments p WHERE p.state = 6 AND p.refund_count > 0`,
		"overpaid":    `SELECT COUNT(*) > 10 FROM journal_lines WHERE account = 'CASH_OVERPAID'`,
	} {
		if w.count(query) != 1 {
			t.Errorf("the stories met too few %s: %v", what, happened)
		}
	}
}

// expected tells whether a refusal is one that random steps must meet.
func expected(err error) bool {
	for _, r := range []errs.Reason{errs.RefundExceedsBudget, errs.OrderStateInvalid, errs.LegAmountMismatch, errs.RequestIDReused} {
		if errs.Is(err, r) {
			return true
		}
	}
	return false
}

// step does one thing that can happen, and names it.
func (s *backStory) step(ctx context.Context) (string, error) {
	switch s.random.IntN(20) {
	case 0:
		s.clock.Advance(11 * minute)
		return "eleven minutes", nil
	case 1, 2, 3:
		ask := s.refundOf(s.payment(), int64(s.random.IntN(40)), int64(1+s.random.IntN(6)))
		s.refunds = append(s.refunds, ask)
		_, err := s.RefundOrderPayment(ctx, ask)
		return "refund", err
	case 4:
		if len(s.refunds) == 0 {
			return "nothing", nil
		}
		ask := s.refunds[s.random.IntN(len(s.refunds))]
		ask.Credit = idr(ask.Credit.Minor() + int64(s.random.IntN(2)))
		_, err := s.RefundOrderPayment(ctx, ask)
		return "refund again", err
	case 5, 6, 7:
		ask := s.returnOf(s.repayment, int64(1+s.random.IntN(900)))
		s.returns = append(s.returns, ask)
		_, err := s.ReturnRepayment(ctx, ask)
		return "return", err
	case 8:
		if len(s.returns) == 0 {
			return "nothing", nil
		}
		_, err := s.ReturnRepayment(ctx, s.returns[s.random.IntN(len(s.returns))])
		return "return again", err
	case 9:
		return s.rare()
	default:
		return s.stepOfReturn(ctx)
	}
}

// rare is a step that ends most of a story.
func (s *backStory) rare() (string, error) {
	switch s.random.IntN(6) {
	case 0:
		s.cancelled(s.payment())
		return "cancel", nil
	case 1:
		_, err := s.notify(notice(s.repayment, domain.CashRefunded))
		return "bounce", err
	case 2:
		_, err := s.notify(notice(s.repayment, domain.CashFailed))
		return "repayment denied", err
	case 3:
		_, err := s.notify(notice(s.down, domain.CashRefunded))
		return "down payment denied", err
	default:
		return "nothing", nil
	}
}

// stepOfReturn does something with one of the returns of the story.
func (s *backStory) stepOfReturn(ctx context.Context) (string, error) {
	of := []domain.CashLeg{s.repayment, s.down}[s.random.IntN(2)]
	all, err := s.store.CashReturnsOfLeg(ctx, of.ID)
	if err != nil || len(all) == 0 {
		return "nothing", err
	}
	r := all[s.random.IntN(len(all))]
	reference := ids.Format(ids.Leg, r.ID)
	switch s.random.IntN(10) {
	case 0, 1, 2:
		_, err = s.notify(ofReturn(r, of, domain.CashFailed))
		return "failed", err
	case 3, 4:
		_, err = s.notify(ofReturn(r, of, domain.CashRefunded))
		return "given back", err
	case 5:
		n := ofReturn(r, of, []domain.CashStatus{domain.CashRefunded, domain.CashPaid}[s.random.IntN(2)])
		n.Minor += int64(s.random.IntN(2))
		_, err = s.notify(n)
		return fmt.Sprintf("%s of %d told %d", n.Status, r.Amount.Minor(), n.Minor), err
	case 6, 7:
		_, err = s.RetryCashReturn(ctx, reference)
		return "retry", err
	default:
		err = s.resolve(r, []domain.Ruling{elsewhere, abandoned}[s.random.IntN(2)])
		return "resolve", err
	}
}

func (s *backStory) payment() domain.Payment { return s.payments[s.random.IntN(len(s.payments))] }
