package domain_test

import (
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/ledger"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// The table of the README: in each state what is told means one thing, and moves the return at most as its states allow.
func TestWhatANotificationMeansOfAReturnInEveryState(t *testing.T) {
	t.Parallel()
	const twice = domain.OutcomeTwice
	gen := ids.NewGenerator(clock.System())
	given := domain.CashReturn{State: domain.ReturnReturned, GivenTime: noon}
	otherwise := domain.CashReturn{State: domain.ReturnReturned, Resolution: domain.ResolvedElsewhere, ResolveTime: noon}
	bounced := domain.CashReturn{State: domain.ReturnReturned, Resolution: domain.ResolvedByBounce, ResolveTime: noon}
	abandoned := domain.CashReturn{State: domain.ReturnAbandoned, Resolution: domain.ResolvedAbandoned, ResolveTime: noon}
	open, failed := domain.CashReturn{State: domain.ReturnReturning}, domain.CashReturn{State: domain.ReturnFailed}
	for _, c := range []struct {
		name                   string
		is                     domain.CashReturn
		refunded, unpaid, paid domain.Outcome
	}{
		{"returning", open, applied, applied, contradiction},
		{"failed", failed, applied, repeated, contradiction},
		{"given back", given, repeated, contradiction, contradiction},
		{"given back another way", otherwise, twice, repeated, contradiction},
		{"had by a bounce", bounced, twice, repeated, contradiction},
		{"abandoned", abandoned, twice, repeated, contradiction},
	} {
		r := c.is
		r.ID, r.Amount, r.Version = gen.New(), money.New(30, money.IDR()), 4
		leg := domain.CashLeg{ID: gen.New(), Kind: repay, UserID: "u", Amount: money.New(100, money.IDR())}
		for told, want := range map[domain.CashStatus]domain.Outcome{domain.CashRefunded: c.refunded, domain.CashFailed: c.unpaid, domain.CashPaid: c.paid} {
			n := domain.Notice{Reference: r.ID, Kind: repay, Status: told, Minor: 30, Currency: "IDR"}
			outcome, m := r.Hear(n, leg, noon.Add(time.Minute))
			if outcome != want || (m != nil) != (want == applied || want == twice) {
				t.Errorf("%s, told %s: %s %+v, want %s", c.name, told, outcome, m, want)
			}
			if m == nil {
				continue
			}
			if err := domain.ReturnStates.Check(m.From, m.Return.State); err != nil || m.Return.Version != 5 {
				t.Errorf("%s, told %s: %v, version %d", c.name, told, err, m.Return.Version)
			}
			if _, err := (ledger.Journal{Cause: m.Cause, Lines: m.Lines}).Check(); err != nil || (len(m.Lines) > 0) != (told == domain.CashRefunded) {
				t.Errorf("%s, told %s: %v, %v", c.name, told, m.Lines, err)
			}
			if again, m := m.Return.Hear(n, leg, noon.Add(time.Hour)); again != repeated || m != nil {
				t.Errorf("%s, told %s twice: %s", c.name, told, again)
			}
		}
		for _, wrong := range []domain.Notice{{Status: refunded, Minor: 31, Currency: "IDR"}, {Status: refunded, Minor: 30, Currency: "USD"}} {
			if outcome, m := r.Hear(wrong, leg, noon); outcome != domain.OutcomeMismatch || m != nil {
				t.Errorf("%s, told of %d %s: %s", c.name, wrong.Minor, wrong.Currency, outcome)
			}
		}
	}
}

func TestOnlyAFailedReturnIsAskedForAgainOrResolved(t *testing.T) {
	t.Parallel()
	leg := domain.CashLeg{Kind: down, UserID: "u", Amount: money.New(100, money.IDR())}
	ruling := domain.Ruling{Resolution: domain.ResolvedAbandoned, Actor: "ADMIN:ann", Evidence: "closed"}
	for state := domain.ReturnFailed; state <= domain.ReturnAbandoned; state++ {
		r := domain.CashReturn{State: state, Amount: money.New(30, money.IDR())}
		retried, retryErr := r.AskAgain(leg, noon)
		resolved, resolveErr := r.Resolve(ruling, leg, noon)
		if ok := state == domain.ReturnFailed; ok != (retryErr == nil && resolveErr == nil) || ok != (retried != nil && resolved != nil) {
			t.Errorf("%s: %v, %v", state, retryErr, resolveErr)
		}
		if resolved != nil && (resolved.Return.State != domain.ReturnAbandoned || resolved.Lines[1].Account != domain.AccountRepaymentClearing) {
			t.Errorf("%s: %+v", state, resolved)
		}
	}
}

func TestCashOnItsWayIsAskedForAgainAfterAnHourToADay(t *testing.T) {
	t.Parallel()
	leg := domain.CashLeg{Kind: down, State: domain.LegReturning, UserID: "u", Amount: money.New(100, money.IDR()), PayTime: noon, UpdateTime: noon}
	r := domain.CashReturn{State: domain.ReturnReturning, Amount: money.New(30, money.IDR()), CreateTime: noon, AskTime: noon}
	for waited, pause := range map[time.Duration]time.Duration{0: time.Hour, time.Minute: time.Hour, 3 * time.Hour: 3 * time.Hour, 100 * time.Hour: 24 * time.Hour} {
		r.AskTime, leg.UpdateTime = noon.Add(waited), noon.Add(waited)
		due := noon.Add(waited + pause)
		if r.DueTime() != due || leg.DueTime() != due {
			t.Errorf("after %s: %s and %s, want %s", waited, r.DueTime(), leg.DueTime(), due)
		}
		if r.Tick(leg, due.Add(-1)) != nil {
			t.Errorf("after %s it is asked too early", waited)
		}
		m, move := r.Tick(leg, due), must(leg.Tick(due))
		if m == nil || m.Return.AskTime != due || m.Return.Version != r.Version+1 || len(m.Lines) != 0 || m.Return.State != domain.ReturnReturning {
			t.Errorf("after %s: %+v", waited, m)
		}
		if move == nil || move.Leg.UpdateTime != due || move.Leg.PayTime != noon || move.Leg.State != domain.LegReturning {
			t.Errorf("after %s: %+v", waited, move)
		}
		if cause, lines := move.Journal(); cause != "" || lines != nil {
			t.Errorf("asking again is booked: %s", cause)
		}
	}
	for _, state := range []domain.ReturnState{domain.ReturnFailed, domain.ReturnReturned, domain.ReturnAbandoned} {
		if r.State = state; !r.DueTime().IsZero() || r.Tick(leg, noon.Add(1000*time.Hour)) != nil {
			t.Errorf("%s is asked for again", state)
		}
	}
	leg.State, leg.ExpireTime = domain.LegPending, noon
	if !leg.DueTime().IsZero() || must(leg.Tick(noon)) != nil {
		t.Error("a down payment has a timer of its own")
	}
}

func must(m *domain.CashLegMoved, err error) *domain.CashLegMoved {
	if err != nil {
		panic(err)
	}
	return m
}
