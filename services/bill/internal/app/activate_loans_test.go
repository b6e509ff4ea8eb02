package app_test

import (
	"testing"
	"time"

	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

func TestABatchOfConfirmationsActivatesEachLoanOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	b.open(t, "u2", 1_000_000)
	one, two, void := b.purchase("u1", 300_000, 90_000), b.purchase("u2", 60_000), b.purchase("u2", 50_000)
	for _, r := range []app.ReserveRequest{one, two, void} {
		b.reserve(t, r)
	}
	if err := b.ReleaseCredit(t.Context(), app.ReleaseRequest{CommitID: void.CommitID}); err != nil {
		t.Fatal(err)
	}
	at := b.clock.Now()
	batch := []inbox.Event{
		b.confirmed(one.Orders[0].OrderID, at), b.confirmed(two.Orders[0].OrderID, at), b.confirmed(one.Orders[0].OrderID, at),
		b.confirmed(b.ids.New(), at),                // paid in cash, bill never heard of it
		b.confirmed(void.Orders[0].OrderID, at),     // credit failed, then paid in cash
		{Payload: &orderv1.OrderClosed{}, Time: at}, // not for bill
	}
	for range 2 {
		if err := b.apply(t.Context(), batch...); err != nil {
			t.Fatal(err)
		}
	}
	b.wantFigures(t, "u1", 1_000_000, 300_000, 90_000)
	b.wantFigures(t, "u2", 1_000_000, 60_000, 0)
	if n := b.count(t, `SELECT COUNT(*) FROM instalments`); n != 6 {
		t.Errorf("%d instalments, want 6", n)
	}
	if n := b.count(t, `SELECT COUNT(*) FROM outbox WHERE payload LIKE '%LoanActivated%'`); n != 2 {
		t.Errorf("%d LoanActivated events, want 2", n)
	}
}

func TestDueDatesFollowTheDayOfConfirmationInJakarta(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	// The bill of the 25th collects up to the 24th; 17:00 UTC is midnight in Jakarta.
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Date(2026, time.April, 24, 16, 59, 59, 0, time.UTC), "2026-05-05"},
		{time.Date(2026, time.April, 24, 17, 0, 0, 0, time.UTC), "2026-06-05"},
	} {
		r := b.purchase("u1", 100_000)
		b.reserve(t, r)
		if err := b.apply(t.Context(), b.confirmed(r.Orders[0].OrderID, c.at)); err != nil {
			t.Fatal(err)
		}
		loans, _, err := b.BatchGetLoans(t.Context(), []ids.ID{r.Orders[0].OrderID})
		if err != nil || len(loans) != 1 {
			t.Fatalf("loans %v, %v", loans, err)
		}
		if got := loans[0].Plan.Instalments[0].DueDate.String(); got != c.want || !loans[0].ActivateTime.Equal(c.at) {
			t.Errorf("confirmed at %s: first due %s, active since %s; want %s", c.at, got, loans[0].ActivateTime, c.want)
		}
		if n := b.count(t, `SELECT COUNT(*) FROM instalments WHERE due_date = ? AND sequence = 1`, c.want); n != 1 {
			t.Errorf("no first instalment is due on %s", c.want)
		}
	}
}

func TestBatchesThatShareUsersAllEndWell(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	users := []string{"u1", "u2", "u3", "u4"}
	const each = 6
	batches := make([][]inbox.Event, each)
	for k, user := range users {
		b.open(t, user, 1_000_000)
		for i := range each {
			r := b.purchase(user, 20_000)
			b.reserve(t, r)
			e := b.confirmed(r.Orders[0].OrderID, b.clock.Now())
			if (i+k)%2 == 0 {
				batches[i] = append(batches[i], e)
			} else {
				batches[i] = append([]inbox.Event{e}, batches[i]...)
			}
		}
	}
	for i, err := range together(each, func(i int) error { return b.apply(t.Context(), batches[i]...) }) {
		if err != nil {
			t.Errorf("batch %d: %v", i, err)
		}
	}
	for _, user := range users {
		b.wantFigures(t, user, 1_000_000, each*20_000, 0)
	}
}

func TestConfirmationAndReleaseAtOnceHaveOneWinner(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	used := int64(0)
	for range 10 {
		r := b.purchase("u1", 20_000)
		b.reserve(t, r)
		outcome := together(2, func(i int) error {
			if i == 0 {
				return b.apply(t.Context(), b.confirmed(r.Orders[0].OrderID, b.clock.Now()))
			}
			return b.ReleaseCredit(t.Context(), app.ReleaseRequest{CommitID: r.CommitID})
		})
		if outcome[0] != nil || (outcome[1] != nil && !errs.Is(outcome[1], errs.LoanStateInvalid)) {
			t.Fatalf("confirmation: %v, release: %v", outcome[0], outcome[1])
		}
		if outcome[1] != nil {
			used += 20_000
		}
	}
	b.wantFigures(t, "u1", 1_000_000, used, 0)
}

func TestAnEventWithoutAnOrderIsPoison(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	err := b.apply(t.Context(), inbox.Event{Payload: &orderv1.OrderConfirmed{Order: &orderv1.OrderRef{OrderId: "pay_x"}}, Time: b.clock.Now()})
	if !errs.Is(err, errs.InvalidArgument) {
		t.Errorf("got %v", err)
	}
}

func TestLoansTellWhatHappenedToThem(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	first := b.purchase("u1", 120_000)
	b.reserve(t, first)
	order := first.Orders[0].OrderID
	b.clock.Advance(time.Minute)
	release := app.ReleaseRequest{CommitID: first.CommitID, Reason: "the cash leg failed", Actor: "SERVICE:payment"}
	if err := b.ReleaseCredit(t.Context(), release); err != nil {
		t.Fatal(err)
	}
	if loans, _, err := b.BatchGetLoans(t.Context(), []ids.ID{order}); err != nil || len(loans) != 1 || loans[0].State != domain.LoanVoid {
		t.Errorf("an order with a void loan: %v, %v", loans, err)
	}
	second := first
	second.CommitID = b.ids.New()
	b.clock.Advance(time.Minute)
	id := b.reserve(t, second)[0].LoanID
	b.clock.Advance(time.Minute)
	if err := b.apply(t.Context(), b.confirmed(order, b.clock.Now())); err != nil {
		t.Fatal(err)
	}
	loans, timeline, err := b.BatchGetLoans(t.Context(), []ids.ID{order, b.ids.New()})
	if err != nil {
		t.Fatal(err)
	}
	if len(loans) != 1 || loans[0].ID != id || loans[0].State != domain.LoanActive || loans[0].Outstanding != rp(120_000) || loans[0].Version != 2 {
		t.Errorf("loans: %+v", loans)
	}
	var story []string
	for _, e := range timeline {
		story = append(story, e.From+">"+e.To+" by "+e.Actor+": "+e.Cause)
	}
	want := []string{
		">DRAFT by SERVICE:payment: limit held", "DRAFT>VOID by SERVICE:payment: the cash leg failed",
		">DRAFT by SERVICE:payment: limit held", "DRAFT>ACTIVE by EVENT:OrderConfirmed: goods confirmed",
	}
	if len(story) != len(want) {
		t.Fatalf("timeline: %q", story)
	}
	for i := range want {
		if story[i] != want[i] {
			t.Errorf("entry %d is %q, want %q", i, story[i], want[i])
		}
	}
}

// Where interest counts days, the plan of the day of receipt is another one than the draft's, also when a refund made it smaller.
func TestALoanWhoseInterestCountsDaysBeginsWithThePlanOfItsDay(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	product := domain.DefaultProducts(money.IDR())[1]
	product.Version, product.DayCount, product.FeeFixed = 2, domain.Actual365Fixed, rp(1_000)
	if err := b.rows.Seed(t.Context(), []domain.Product{product}, b.clock.Now()); err != nil {
		t.Fatal(err)
	}
	b.open(t, "u1", 1_000_000)
	buy := b.purchase("u1", 300_000)
	buy.ProductCode, buy.ProductVersion = product.Code, product.Version
	b.reserve(t, buy)
	order := buy.Orders[0].OrderID
	b.refund(t, order, 150_000)
	b.clock.Advance(9 * 24 * time.Hour)
	if err := b.apply(t.Context(), b.confirmed(order, b.clock.Now())); err != nil {
		t.Fatal(err)
	}
	loans, _, err := b.BatchGetLoans(t.Context(), []ids.ID{order})
	if err != nil {
		t.Fatal(err)
	}
	// 1 % and half of the fixed fee.
	if p := loans[0].Plan; p.Principal != rp(150_000) || p.Fee != rp(2_000) {
		t.Errorf("it begins with %s and a fee of %s", p.Principal, p.Fee)
	}
}
