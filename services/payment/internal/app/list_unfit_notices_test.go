package app_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// unfit gives one page of the list in short: "MISMATCH PAID 29 IDR of 30 IDR PENDING>SUCCEEDED".
func (w *world) unfit(f app.UnfitFilter, limit int) (page []app.UnfitNotice, short []string, more bool) {
	w.t.Helper()
	page, more, err := w.ListUnfitNotices(context.Background(), f, limit)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, n := range page {
		short = append(short, fmt.Sprintf("%s %s %d %s of %s %s>%s", n.Answer.Outcome, n.Notice.Status, n.Notice.Minor, n.Notice.Currency, n.Leg.Amount,
			n.Answer.State, n.Leg.State))
	}
	return page, short, more
}

func (w *world) wantUnfit(name string, f app.UnfitFilter, want ...string) {
	w.t.Helper()
	if _, got, more := w.unfit(f, 100); !slices.Equal(got, want) || more {
		w.t.Errorf("%s: %q, want %q", name, got, want)
	}
}

func TestNotificationsThatDidNotFitAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	w.wantUnfit("nothing came yet", app.UnfitFilter{})
	a, leg := w.awaiting("commit-1")
	wrong := notice(leg, domain.CashPaid)
	wrong.Minor = 29
	w.told(wrong, domain.LegPending, domain.OutcomeMismatch)
	w.clock.Advance(minute)
	w.told(notice(leg, domain.CashPaid), domain.LegSucceeded, domain.OutcomeApplied)
	w.told(notice(leg, domain.CashPaid), domain.LegSucceeded, domain.OutcomeRepeated)
	w.told(notice(leg, domain.CashFailed), domain.LegSucceeded, domain.OutcomeContradiction)
	w.clock.Advance(minute)
	repayment := w.repayment()
	foreign := notice(repayment, domain.CashPaid)
	foreign.Currency, foreign.PayTime = "USD", w.clock.Now()
	w.told(foreign, domain.LegPending, domain.OutcomeMismatch)
	w.clock.Advance(minute)
	payments, err := w.store.PaymentsOfCommit(context.Background(), a.CommitID)
	if err != nil {
		t.Fatal(err)
	}
	w.cancelled(payments[1])
	back, err := w.store.CashReturnOf(context.Background(), payments[1].ID)
	if err != nil {
		t.Fatal(err)
	}
	ofReturn := notice(back.AsLeg(leg), domain.CashRefunded)
	ofReturn.Minor = 30 // The whole leg instead of the order's share.
	w.told(ofReturn, domain.LegReturning, domain.OutcomeMismatch)

	share, currency := "MISMATCH REFUNDED 30 IDR of "+money.New(20, money.IDR()).String()+" RETURNING>RETURNING",
		"MISMATCH PAID 5000 USD of "+repayment.Amount.String()+" PENDING>PENDING"
	denied, amount := "CONTRADICTION FAILED 30 IDR of "+leg.Amount.String()+" SUCCEEDED>SUCCEEDED", "MISMATCH PAID 29 IDR of "+leg.Amount.String()+" PENDING>SUCCEEDED"
	w.wantUnfit("all", app.UnfitFilter{}, share, currency, denied, amount)
	w.wantUnfit("mismatches", app.UnfitFilter{Outcome: domain.OutcomeMismatch}, share, currency, amount)
	w.wantUnfit("contradictions", app.UnfitFilter{Outcome: domain.OutcomeContradiction}, denied)
	w.wantUnfit("of repayments", app.UnfitFilter{Kind: domain.CashRepayment}, currency)
	w.wantUnfit("of down payments", app.UnfitFilter{Kind: domain.CashDownPayment, Outcome: domain.OutcomeMismatch}, share, amount)
	w.wantUnfit("from the second minute on", app.UnfitFilter{From: start.Add(minute)}, share, currency, denied)
	w.wantUnfit("before the second minute", app.UnfitFilter{To: start.Add(minute)}, amount)
	w.wantUnfit("in the second minute", app.UnfitFilter{From: start.Add(minute), To: start.Add(2 * minute)}, denied)

	all, _, _ := w.unfit(app.UnfitFilter{}, 100)
	if n := all[0]; n.Leg.ID != back.ID || n.Leg.SubjectID != a.CommitID || n.Notice.Reference != back.ID || n.Caller != spm().String() || n.RequestID == "" {
		t.Errorf("of a return: %+v", n)
	}
	if n := all[1]; n.Leg.ID != repayment.ID || n.Notice.Kind != domain.CashRepayment || !n.Notice.PayTime.Equal(start.Add(2*minute)) || !n.Time.Equal(start.Add(2*minute)) {
		t.Errorf("of a repayment: %+v", n)
	}
	w.proveBooks()
}

func TestPagesOfNotificationsThatDidNotFitMeetNeitherTwiceNorNever(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	leg := w.repayment()
	w.told(notice(leg, domain.CashPaid), domain.LegSucceeded, domain.OutcomeApplied)
	for i := range 7 {
		n, outcome := notice(leg, domain.CashFailed), domain.OutcomeContradiction
		if i%3 == 0 {
			n, outcome = notice(leg, domain.CashPaid), domain.OutcomeMismatch
			n.Minor++
		}
		w.told(n, domain.LegSucceeded, outcome)
		w.clock.Advance(time.Second)
	}
	all, _, _ := w.unfit(app.UnfitFilter{}, 7)
	var f app.UnfitFilter
	var seen []ids.ID
	for pages := 0; ; pages++ {
		page, _, more := w.unfit(f, 3)
		for _, n := range page {
			seen = append(seen, n.ID)
		}
		if !more {
			break
		}
		if f.Below = page[len(page)-1].ID; pages == 0 { // One that comes meanwhile is newer and moves no page.
			w.told(notice(leg, domain.CashFailed), domain.LegSucceeded, domain.OutcomeContradiction)
		}
	}
	if len(all) != 7 || len(seen) != 7 {
		t.Fatalf("%d in one page, %d in pages of three", len(all), len(seen))
	}
	for i, n := range all {
		if seen[i] != n.ID {
			t.Errorf("place %d has %s, want %s", i, seen[i], n.ID)
		}
	}
}
