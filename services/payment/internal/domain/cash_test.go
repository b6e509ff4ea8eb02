package domain_test

import (
	"slices"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/ledger"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// Short names for the table below.
const (
	pending, succeeded, failed, reversed, returning = domain.LegPending, domain.LegSucceeded, domain.LegFailed, domain.LegReversed, domain.LegReturning
	paid, unpaid, refunded                          = domain.CashPaid, domain.CashFailed, domain.CashRefunded
	applied, repeated, late, contradiction          = domain.OutcomeApplied, domain.OutcomeRepeated, domain.OutcomeLate, domain.OutcomeContradiction
	down, repay                                     = domain.CashDownPayment, domain.CashRepayment
)

func TestWhatANotificationMeansInEveryState(t *testing.T) {
	t.Parallel()
	gen := ids.NewGenerator(clock.System())
	for _, c := range []struct {
		kind  domain.CashKind
		state domain.LegState
		told  domain.CashStatus
		want  domain.Outcome
		to    []domain.LegState
	}{
		{down, pending, paid, applied, []domain.LegState{succeeded}},
		{down, succeeded, paid, repeated, nil},
		{down, failed, paid, late, []domain.LegState{returning}},
		{down, returning, paid, repeated, nil},
		{down, reversed, paid, repeated, nil},
		{down, pending, unpaid, applied, []domain.LegState{failed}},
		{down, succeeded, unpaid, contradiction, nil},
		{down, failed, unpaid, repeated, nil},
		{down, returning, unpaid, contradiction, nil},
		{down, reversed, unpaid, contradiction, nil},
		{down, pending, refunded, applied, []domain.LegState{failed, reversed}},
		{down, succeeded, refunded, contradiction, nil},
		{down, failed, refunded, applied, []domain.LegState{reversed}},
		{down, returning, refunded, applied, []domain.LegState{reversed}},
		{down, reversed, refunded, repeated, nil},
		{repay, pending, paid, applied, []domain.LegState{succeeded}},
		{repay, succeeded, refunded, applied, []domain.LegState{reversed}},
		{repay, failed, paid, late, []domain.LegState{returning}},
	} {
		leg := domain.CashLeg{ID: gen.New(), Kind: c.kind, SubjectID: gen.New(), UserID: "u", Amount: money.New(30, money.IDR()), State: c.state, Version: 4,
			CreateTime: noon, ExpireTime: noon.Add(time.Hour)}
		n := domain.Notice{Reference: leg.ID, Kind: c.kind, Status: c.told, Minor: 30, Currency: "IDR"}
		v := leg.Hear(n, noon.Add(time.Minute))
		if v.Outcome != c.want || !slices.Equal(v.To, c.to) {
			t.Errorf("kind %d %s, told %s: %+v, want %s %v", c.kind, c.state, c.told, v, c.want, c.to)
		}
		moves, err := leg.Walk(v.To, noon, noon)
		if err != nil || len(moves) != len(c.to) {
			t.Errorf("kind %d %s, told %s: moves %v, %v", c.kind, c.state, c.told, moves, err)
		}
		for _, m := range moves {
			cause, lines := m.Journal()
			if _, err := (ledger.Journal{Cause: cause, Lines: lines}).Check(); err != nil {
				t.Error(err)
			}
		}
		for _, wrong := range []domain.Notice{{Status: c.told, Minor: 31, Currency: "IDR"}, {Status: c.told, Minor: 30, Currency: "USD"}} {
			if v := leg.Hear(wrong, noon); c.told != unpaid && (v.Outcome != domain.OutcomeMismatch || v.To != nil) {
				t.Errorf("kind %d %s, told %s of %d %s: %+v", c.kind, c.state, c.told, wrong.Minor, wrong.Currency, v)
			}
		}
	}
}

func TestTheTimeOfAPaymentIsBelievedBetweenTheLegsOpeningAndNow(t *testing.T) {
	t.Parallel()
	leg := domain.CashLeg{CreateTime: noon, ExpireTime: noon.Add(time.Hour), State: pending, Amount: money.New(30, money.IDR())}
	now := noon.Add(30 * time.Minute)
	for name, c := range map[string]struct{ said, want time.Time }{
		"nothing said": {time.Time{}, now},
		"in between":   {noon.Add(time.Minute), noon.Add(time.Minute)},
		"before it":    {noon.Add(-time.Hour), noon},
		"to come":      {now.Add(time.Hour), now},
	} {
		if got := leg.PaidAt(domain.Notice{PayTime: c.said}, now); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	last := domain.Notice{Status: paid, Minor: 30, Currency: "IDR", PayTime: leg.ExpireTime.Add(-1)}
	if v := leg.Hear(last, leg.ExpireTime.Add(time.Hour)); v.Outcome != applied {
		t.Errorf("paid at the last moment: %+v", v)
	}
	last.PayTime = leg.ExpireTime
	if v := leg.Hear(last, leg.ExpireTime.Add(time.Hour)); v.Outcome != late || !slices.Equal(v.To, []domain.LegState{failed, returning}) {
		t.Errorf("paid a moment too late: %+v", v)
	}
}

func TestADownPaymentIsPartOfItsOrder(t *testing.T) {
	t.Parallel()
	c, orders := commit(t, 100)
	for name, bad := range map[string]money.Amount{
		"the whole": money.New(100, money.IDR()), "more": money.New(101, money.IDR()), "negative": money.New(-1, money.IDR()), "foreign": money.New(10, money.USD()),
	} {
		if _, err := domain.PortionsOf(orders, []domain.Loan{{OrderID: orders[0].OrderID, LoanID: "lon_a", DownPayment: bad}}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	portions, err := domain.PortionsOf(orders, []domain.Loan{{OrderID: orders[0].OrderID, LoanID: "lon_a", DownPayment: money.New(30, money.IDR())}})
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := domain.CashOf(portions); err != nil || sum.Minor() != 30 {
		t.Errorf("cash %s, %v", sum, err)
	}
	if _, err := c.Succeed(portions, nil, noon); err == nil {
		t.Error("a down payment that nobody collected is accepted")
	}
	ps, err := c.Succeed(portions, &domain.CashLeg{ID: c.ID, Channel: "VA"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, lines := range [][]ledger.Line{ps[0].PaidLines(), ps[0].ReversedLines()} {
		if _, err := (ledger.Journal{Cause: "TEST", Lines: lines}).Check(); err != nil || len(lines) != 3 {
			t.Errorf("%v: %v", lines, err)
		}
	}
}
