package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// ReleaseRequest asks to give a hold back.
type ReleaseRequest struct {
	CommitID ids.ID
	// OrderIDs are the only orders meant; none for the whole reservation.
	OrderIDs []ids.ID
	// Reason says why, Actor who.
	Reason, Actor string
}

// ReleaseCredit voids the drafts of a commit, or those of the named orders, and gives
// their limit back. A release that comes before its reservation bars it, whatever orders
// it names. Repeating is harmless. It fails with errs.LoanStateInvalid, and changes
// nothing, when one of the loans has begun, and with errs.NotFound for an order that is
// not of this commit.
func (a *App) ReleaseCredit(ctx context.Context, r ReleaseRequest) error {
	_, err := again(ctx, func() (struct{}, error) { return struct{}{}, a.release(ctx, r) })
	return err
}

func (a *App) release(ctx context.Context, r ReleaseRequest) error {
	reservation, found, err := a.store.Reservation(ctx, r.CommitID)
	switch {
	case err != nil:
		return err
	case !found:
		return a.bar(ctx, r.CommitID)
	case reservation.State == ReservationReleased:
		return nil
	}
	loans, err := a.store.LoansOfCommit(ctx, r.CommitID)
	if err != nil {
		return err
	}
	now := a.now()
	voided, err := voidAll(loans, r, now)
	if err != nil || len(voided) == 0 {
		return err
	}
	if left := countLive(loans) - len(voided); left == 0 {
		reservation.State, reservation.ReleaseTime = ReservationReleased, now
	}
	principals := make([]money.Amount, len(voided))
	for i, l := range voided {
		principals[i] = l.Plan.Principal
	}
	total, err := sumOf(principals)
	if err != nil {
		return err
	}
	return a.store.Do(ctx, func(tx Tx) error {
		tx.ReleaseHold(reservation.UserID, total, now, changed())
		// Written even when it stays HELD: two releases of different orders must see each other, or none would be the last.
		tx.UpdateReservation(reservation)
		return writeVoided(tx, voided)
	})
}

// bar leaves a tombstone, so that the reservation cannot come later.
func (a *App) bar(ctx context.Context, commitID ids.ID) error {
	now := a.now()
	tombstone := Reservation{CommitID: commitID, State: ReservationReleased, CreateTime: now, ReleaseTime: now, Version: 1}
	err := a.store.Do(ctx, func(tx Tx) error {
		tx.InsertReservation(tombstone)
		return nil
	})
	if errors.Is(err, ErrReservationExists) {
		return changed() // It came at this moment: look again.
	}
	return err
}

// voidAll is the drafts that the request means, voided. Those that are void already are left out.
func voidAll(loans []Loan, r ReleaseRequest, at time.Time) ([]Loan, error) {
	for _, id := range r.OrderIDs {
		if !slices.ContainsFunc(loans, func(l Loan) bool { return l.OrderID == id }) {
			return nil, errs.NotFound.New("order %s is not of this commit", ids.Format(ids.Order, id))
		}
	}
	var voided []Loan
	for _, l := range loans {
		if l.State == domain.LoanVoid || (len(r.OrderIDs) > 0 && !slices.Contains(r.OrderIDs, l.OrderID)) {
			continue
		}
		next := l
		var err error
		if next.Loan, err = l.Void(at); err != nil {
			return nil, err
		}
		next.EndActor, next.EndCause = r.Actor, r.Reason
		voided = append(voided, next)
	}
	return voided, nil
}

func writeVoided(tx Tx, voided []Loan) error {
	for _, l := range voided {
		tx.UpdateDraft(l)
		lines, err := domain.ReleaseLines(l.Plan.Principal)
		if err != nil {
			return err
		}
		post(tx, l, causeReleased, lines)
		tx.Emit(domain.LoanVoided{LoanID: l.ID, OrderID: l.OrderID, UserID: l.UserID, Version: l.Version + 1})
	}
	return nil
}

func countLive(loans []Loan) int {
	n := 0
	for _, l := range loans {
		if l.State != domain.LoanVoid {
			n++
		}
	}
	return n
}
