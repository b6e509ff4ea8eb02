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
