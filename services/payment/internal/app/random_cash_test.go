package app_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// Whatever is told in whatever order, while timers run and orders are cancelled: the books hold after each step of each story, and
// nothing is held in the end that nobody waits for.
func TestAnyOrderOfEventsLeavesTheBooksClean(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ctx := context.Background()
	const seed = 20261122
	random := rand.New(rand.NewPCG(seed, 1))
	for story := range 40 {
		w.newCheckout()
		held := w.bill.holds()
		a, leg := w.awaiting(fmt.Sprintf("commit-%04d", story))
		commitText := ids.Format(ids.Commit, a.CommitID)
		var told []string
		for range 12 {
			step, err := w.randomStep(ctx, random, leg, commitText)
			told = append(told, step)
			if err != nil && !errs.Is(err, errs.LegAmountMismatch) {
				t.Fatalf("story %d of seed %d, %v: %v", story, seed, told, err)
			}
		}
		w.clock.Advance(31 * minute)
		w.recoverAll()
		w.proveBooks()
		commit := w.commitState(a.CommitID)
		if commit == domain.CommitFailed && w.bill.holds() != held {
			t.Errorf("a failed commit holds something")
		}
		if t.Failed() || (commit != domain.CommitFailed && commit != domain.CommitSucceeded) {
			t.Fatalf("story %d of seed %d, %v: commit %s", story, seed, told, commit)
		}
	}
	if n := w.count(`SELECT COUNT(DISTINCT outcome) FROM leg_notifications`); n != 5 {
		t.Errorf("the stories met %d outcomes of 5", n)
	}
	if paid, back := w.count(`SELECT COUNT(*) FROM payments`), w.count(`SELECT COUNT(*) FROM cash_returns WHERE state = 4`); paid == 0 || back == 0 {
		t.Errorf("%d payments, %d returns given back", paid, back)
	}
}

// randomStep does one thing that can happen to a commit and its leg, and names it.
func (w *world) randomStep(ctx context.Context, random *rand.Rand, leg domain.CashLeg, commitText string) (string, error) {
	status := []domain.CashStatus{domain.CashPaid, domain.CashPaid, domain.CashFailed, domain.CashRefunded}[random.IntN(4)]
	switch random.IntN(10) {
	case 0:
		w.clock.Advance(11 * minute)
		return "eleven minutes", nil
	case 1:
		_, err := w.RecoverCommit(ctx, commitText)
		return "timer", err
	case 2:
		if random.IntN(3) > 0 {
			return "nothing", nil
		}
		_, _, err := w.WithdrawCommit(ctx, commitText, "random")
		return "withdrawn", err
	case 3:
		n := notice(leg, status)
		n.Minor--
		_, err := w.notify(n)
		return "short " + status.String(), err
	case 4, 5, 6:
		_, payments, err := w.Commit(ctx, commitText)
		if err != nil || len(payments) == 0 {
			return "no cancel", err
		}
		p := payments[random.IntN(len(payments))]
		if p.State == domain.PaymentSucceeded {
			w.cancelled(p)
			return "cancelled", nil
		}
		down, err := w.QueryDownPayResult(ctx, payer(user), "", ids.Format(ids.Payment, p.ID))
		if err != nil {
			return "return", err
		}
		_, err = w.notify(notice(w.legOf(down.Leg.Reference), status))
		return "return " + status.String(), err
	default:
		_, err := w.notify(notice(leg, status))
		return status.String(), err
	}
}
