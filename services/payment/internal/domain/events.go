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
	Version                        int64
}
