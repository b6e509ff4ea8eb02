package domain_test

import (
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/ledger"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/statetable"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

func TestTheReadmeShowsTheStateTables(t *testing.T) {
	statetable.SyncReadme(t, "../../README.md", "commit", domain.CommitStates.Mermaid())
	statetable.SyncReadme(t, "../../README.md", "payment", domain.PaymentStates.Mermaid())
	statetable.SyncReadme(t, "../../README.md", "cash_leg", domain.LegStates.Mermaid())
	statetable.SyncReadme(t, "../../README.md", "cash_return", domain.ReturnStates.Mermaid())
}

func TestFiveWrongPinsLockAndTheLockRunsOut(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	pin := domain.Pin{UserID: "u", Version: 1}
	for try := 1; try <= domain.PinTriesMax; try++ {
		if err := pin.MayTry(now); err != nil {
			t.Fatalf("try %d is refused: %v", try, err)
		}
		var err error
		pin, _, err = pin.Wrong(now)
		want := errs.PinWrong
		if try == domain.PinTriesMax {
			want = errs.PinLocked
		}
		if !errs.Is(err, want) {
			t.Fatalf("try %d answers %v, want %s", try, err, want.Name())
		}
	}
	if err := pin.MayTry(now.Add(domain.PinLockTime - time.Second)); !errs.Is(err, errs.PinLocked) {
		t.Fatalf("locked PIN may be tried: %v", err)
	}
	later := now.Add(domain.PinLockTime)
	if err := pin.MayTry(later); err != nil {
		t.Fatalf("the lock does not run out: %v", err)
	}
	if pin, _, err := pin.Wrong(later); !errs.Is(err, errs.PinWrong) || pin.FailedCount != 1 {
		t.Fatalf("counting does not begin again: %d, %v", pin.FailedCount, err)
	}
}

func TestWeakPinsAreRefused(t *testing.T) {
	t.Parallel()
	for digits, want := range map[string]errs.Reason{
		"111111": errs.PinTooWeak, "123456": errs.PinTooWeak, "987654": errs.PinTooWeak, "12345": errs.InvalidArgument, "": errs.InvalidArgument,
	} {
		if err := domain.StrongPin(digits); !errs.Is(err, want) {
			t.Errorf("%q: %v, want %s", digits, err, want.Name())
		}
	}
	for _, digits := range []string{"482913", "112233", "135790", "123457"} {
		if err := domain.StrongPin(digits); err != nil {
			t.Errorf("%q: %v", digits, err)
		}
	}
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func commit(t *testing.T, amounts ...int64) (domain.Commit, []domain.PayableOrder) {
	t.Helper()
	gen := ids.NewGenerator(clock.System())
	c := domain.Commit{ID: gen.New(), CheckoutID: gen.New(), UserID: "u", State: domain.CommitStarted, Version: 1}
	var orders []domain.PayableOrder
	for _, a := range amounts {
		orders = append(orders, domain.PayableOrder{OrderID: gen.New(), PaymentID: gen.New(), MerchantID: "m", Amount: money.New(a, money.IDR())})
	}
	return c, orders
}

func TestTermsNameAPlanAndOneSum(t *testing.T) {
	t.Parallel()
	ten := money.New(10, money.IDR())
	good := domain.Terms{Channel: "CREDIT", ProductCode: "P", ProductVersion: 1, TenorMonths: 3}
	quoted, direct, both := good, good, good
	quoted.Amount, direct.AgreedTotal, both.Amount, both.AgreedTotal = ten, ten, ten, ten
	for name, terms := range map[string]domain.Terms{"with a quote": quoted, "without": direct} {
		if err := terms.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	nameless := quoted
	nameless.ProductCode = ""
	for name, terms := range map[string]domain.Terms{"no sum": good, "both sums": both, "no product": nameless} {
		if err := terms.Check(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestASucceededCommitPaysEachOrderOnceAndItsJournalsBalance(t *testing.T) {
	t.Parallel()
	c, orders := commit(t, 10, 20)
	loans := []domain.Loan{{OrderID: orders[1].OrderID, LoanID: "lon_b"}, {OrderID: orders[0].OrderID, LoanID: "lon_a"}}
	portions, err := domain.PortionsOf(orders, loans)
	if err != nil {
		t.Fatal(err)
	}
	ps, err := c.Succeed(portions, nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	if len(ps) != 2 || ps[0].Legs[0].Reference != "lon_a" || ps[1].Legs[0].Reference != "lon_b" {
		t.Fatalf("payments %+v", ps)
	}
	for _, p := range ps {
		for _, lines := range [][]ledger.Line{p.PaidLines(), p.ReversedLines(), append(p.PaidLines(), p.ReversedLines()...)} {
			if _, err := (ledger.Journal{Cause: "TEST", Lines: lines}).Check(); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := domain.PortionsOf(orders, loans[:1]); err == nil {
		t.Error("a reservation that misses an order is accepted")
	}
	c.State = domain.CommitFailing
	if _, err := c.Succeed(portions, nil, noon); err == nil {
		t.Error("a failing commit succeeds")
	}
}

func TestAQuoteIsForItsUserItsIDAndItsTime(t *testing.T) {
	t.Parallel()
	gen := ids.NewGenerator(clock.System())
	now := noon
	q := domain.Quote{ID: gen.New(), UserID: "u", ExpireTime: now}
	for name, c := range map[string]struct {
		user string
		id   ids.ID
		at   time.Time
		want errs.Reason
	}{
		"another user": {"v", q.ID, now.Add(-1), errs.NotFound},
		"replaced":     {"u", gen.New(), now.Add(-1), errs.QuoteReplaced},
		"expired":      {"u", q.ID, now, errs.QuoteExpired},
	} {
		if err := q.Usable(c.user, c.id, c.at); !errs.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := q.Usable("u", q.ID, now.Add(-1)); err != nil {
		t.Error(err)
	}
}
