package app_test

import (
	"testing"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/bill/internal/app"
)

func TestReleaseGivesTheLimitBackOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 100_000)
	r := b.purchase("u1", 40_000, 30_000)
	b.reserve(t, r)
	for i, err := range together(20, func(int) error {
		return b.ReleaseCredit(t.Context(), app.ReleaseRequest{CommitID: r.CommitID, Reason: "cancelled"})
	}) {
		if err != nil {
			t.Errorf("release %d: %v", i, err)
		}
	}
	b.wantFigures(t, "u1", 100_000, 0, 0)
	if n := b.count(t, `SELECT COUNT(*) FROM outbox WHERE payload LIKE '%LoanVoided%'`); n != 2 {
		t.Errorf("%d LoanVoided events, want 2", n)
	}
	if _, err := b.ReserveCredit(t.Context(), r); !errs.Is(err, errs.ReservationReleased) {
		t.Errorf("the released commit comes again: %v", err)
	}
}

func TestReleaseThatComesFirstBarsTheReservation(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 100_000)
	r := b.purchase("u1", 40_000)
	for range 2 {
		if err := b.ReleaseCredit(t.Context(), app.ReleaseRequest{CommitID: r.CommitID}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.ReserveCredit(t.Context(), r); !errs.Is(err, errs.ReservationReleased) {
		t.Errorf("reserve after release: %v", err)
	}
	b.wantFigures(t, "u1", 100_000, 0, 0)
}

func TestReserveAndReleaseAtOnceEndWithNothingHeld(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	for range 10 {
		r := b.purchase("u1", 40_000)
		errsOf := together(4, func(i int) error {
			if i%2 == 0 {
				return b.ReleaseCredit(t.Context(), app.ReleaseRequest{CommitID: r.CommitID})
			}
			_, err := b.ReserveCredit(t.Context(), r)
			return err
		})
		for i, err := range errsOf {
			if err != nil && (i%2 == 0 || !errs.Is(err, errs.ReservationReleased)) {
				t.Errorf("caller %d: %v", i, err)
			}
		}
	}
	b.wantFigures(t, "u1", 1_000_000, 0, 0)
}

func TestOrdersReleasedOneByOneAtOnceReleaseTheReservation(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	r := b.purchase("u1", 10_000, 20_000, 30_000, 40_000)
	b.reserve(t, r)
	for i, err := range together(4, func(i int) error {
		return b.ReleaseCredit(t.Context(), app.ReleaseRequest{CommitID: r.CommitID, OrderIDs: []ids.ID{r.Orders[i].OrderID}})
	}) {
		if err != nil {
			t.Errorf("release %d: %v", i, err)
		}
	}
	b.wantFigures(t, "u1", 1_000_000, 0, 0)
	if n := b.count(t, `SELECT COUNT(*) FROM reservations WHERE state = 2`); n != 1 {
		t.Error("the reservation is still held")
	}
}

func TestPartOfAReservationCanBeReleased(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 100_000)
	r := b.purchase("u1", 40_000, 30_000)
	b.reserve(t, r)
	part := app.ReleaseRequest{CommitID: r.CommitID, OrderIDs: []ids.ID{r.Orders[1].OrderID}}
	for range 2 {
		if err := b.ReleaseCredit(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	b.wantFigures(t, "u1", 100_000, 0, 40_000)
	foreign := app.ReleaseRequest{CommitID: r.CommitID, OrderIDs: []ids.ID{b.ids.New()}}
	if err := b.ReleaseCredit(t.Context(), foreign); !errs.Is(err, errs.NotFound) {
		t.Errorf("an order of another commit: %v", err)
	}
	if got := b.reserve(t, r); len(got) != 2 {
		t.Errorf("the repeated reservation answers %v", got)
	}
}

func TestALoanThatHasBegunIsNotReleased(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 100_000)
	r := b.purchase("u1", 40_000, 30_000)
	b.reserve(t, r)
	if err := b.apply(t.Context(), b.confirmed(r.Orders[0].OrderID, b.clock.Now())); err != nil {
		t.Fatal(err)
	}
	if err := b.ReleaseCredit(t.Context(), app.ReleaseRequest{CommitID: r.CommitID}); !errs.Is(err, errs.LoanStateInvalid) {
		t.Errorf("release of all: %v", err)
	}
	b.wantFigures(t, "u1", 100_000, 40_000, 30_000)
	other := app.ReleaseRequest{CommitID: r.CommitID, OrderIDs: []ids.ID{r.Orders[1].OrderID}}
	if err := b.ReleaseCredit(t.Context(), other); err != nil {
		t.Errorf("release of the other order: %v", err)
	}
	b.wantFigures(t, "u1", 100_000, 40_000, 0)
}
