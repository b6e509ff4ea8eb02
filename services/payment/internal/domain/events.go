package domain

import (
	"time"

	"github.com/creditpay/creditpay/pkg/ids"
)

// CommitWon says that a commit succeeded and its orders are paid.
type CommitWon struct {
	Commit   Commit
	Payments []Payment
	Time     time.Time
}

// CommitLost says that a commit failed and nothing is held.
type CommitLost struct {
	Commit Commit
}

// PaymentTakenBack says that the payment of a cancelled order was reversed.
type PaymentTakenBack struct {
	PaymentID, OrderID, CheckoutID ids.ID
	// UserID is the payer.
	UserID  string
	Version int64
}

// CashLegMoved says that a cash leg, or the return of a cancelled order's share of one, went into another state.
type CashLegMoved struct {
	// Leg in its new state.
	Leg CashLeg
	// From is the state before.
	From LegState
}

// PinChange is what happened to a PIN; the numbers are the contract's.
type PinChange int8

// What can happen to a PIN.
const (
	// PinSet: the first one.
	PinSet PinChange = 1
	// PinChanged: another one, with the one before.
	PinChanged PinChange = 2
	// PinReset: another one, with a one-time code.
	PinReset PinChange = 3
	// PinLocked: too many wrong ones were tried.
	PinLocked PinChange = 4
)

// PinMoved says what happened to a user's PIN.
type PinMoved struct {
	UserID string
	Change PinChange
	// LockedUntil is zero unless it was locked.
	LockedUntil time.Time
	Version     int64
	Time        time.Time
}
