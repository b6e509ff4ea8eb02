package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"

	"github.com/creditpay/creditpay/services/bill/internal/app"
)

const selectReservation = `SELECT commit_id, user_id, state, fingerprint, currency_code, total_minor, version, create_time, release_time, contract_id
	FROM reservations WHERE commit_id = ?`

// Reservation finds the reservation of a commit.
func (s *Store) Reservation(ctx context.Context, commitID ids.ID) (app.Reservation, bool, error) {
	r, found, err := readReservation(ctx, s.kit.DB.QueryContext, selectReservation, commitID)
	return r, found, mysqlx.Fault(err, "read a reservation")
}

// LockReservation implements app.LockingTx.
func (t *Tx) LockReservation(ctx context.Context, commitID ids.ID) (app.Reservation, bool, error) {
	return readReservation(ctx, t.Tx.Query, selectReservation+` FOR UPDATE`, commitID)
}

// LoansOfCommit implements app.LockingTx: it does not lock.
func (t *Tx) LoansOfCommit(ctx context.Context, commitID ids.ID) ([]app.Loan, error) {
	return scanLoans(t.Tx.Query(ctx, selectLoansOfCommit, commitID))
}

func readReservation(ctx context.Context, query queryFunc, statement string, commitID ids.ID) (r app.Reservation, found bool, err error) {
	rows, err := query(ctx, statement, commitID)
	if err != nil {
		return r, false, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if !rows.Next() {
		return r, false, rows.Err()
	}
	var fingerprint, contract []byte
	var code string
	var total int64
	var released sql.NullTime
	err = rows.Scan(&r.CommitID, &r.UserID, &r.State, &fingerprint, &code, &total, &r.Version, &r.CreateTime, &released, &contract)
	if err != nil {
		return app.Reservation{}, false, err
	}
	if copy(r.Fingerprint[:], fingerprint) != len(r.Fingerprint) {
		return app.Reservation{}, false, errs.Internal.New("a reservation is damaged")
	}
	r.ReleaseTime = released.Time
	copy(r.ContractID[:], contract)
	if code != "" {
		of, err := amounts(code)
		if err != nil {
			return app.Reservation{}, false, err
		}
		r.Total = of(total)
	}
	return r, true, nil
}

const insertReservation = `INSERT INTO reservations
	(commit_id, user_id, state, fingerprint, currency_code, total_minor, version, create_time, release_time, contract_id)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// InsertReservation implements app.Tx.
func (t *Tx) InsertReservation(r app.Reservation) {
	t.reserves = true
	t.Tx.Queue(insertReservation, r.CommitID, r.UserID, r.State, r.Fingerprint[:], r.Total.Currency().Code(), r.Total.Minor(),
		r.Version, r.CreateTime, nullTime(r.ReleaseTime), nullID(r.ContractID))
}

const updateReservation = `UPDATE reservations SET state = ?, release_time = ?, version = version + 1
	WHERE commit_id = ? AND state = ? AND version = ?`

// UpdateReservation implements app.Tx.
func (t *Tx) UpdateReservation(r app.Reservation) {
	t.Tx.QueueExpect(1, changed(), updateReservation, r.State, nullTime(r.ReleaseTime), r.CommitID, app.ReservationHeld, r.Version)
}
