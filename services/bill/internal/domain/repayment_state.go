package domain

import "github.com/creditpay/creditpay/pkg/statetable"

// RepaymentState is the state of a repayment. The numbers are stored and equal creditpay.bill.v1.RepaymentState.
type RepaymentState uint8

const (
	// RepaymentPending waits for its money.
	RepaymentPending RepaymentState = 1
	// RepaymentSucceeded has its money, and loans or the credit balance have it.
	RepaymentSucceeded RepaymentState = 2
	// RepaymentFailed will not get its money.
	RepaymentFailed RepaymentState = 3
	// RepaymentBounced had its money and lost it: as if it had never been paid.
	RepaymentBounced RepaymentState = 4
)

// String is the name, such as "PENDING".
func (s RepaymentState) String() string {
	return nameOf([]string{"", "PENDING", "SUCCEEDED", "FAILED", "BOUNCED"}, uint8(s), "REPAYMENT_STATE")
}

// RepaymentStates are the legal moves of a repayment.
var RepaymentStates = statetable.MustNew("repayment",
	statetable.Move[RepaymentState]{From: RepaymentPending, To: RepaymentSucceeded, Cause: "the money arrived"},
	statetable.Move[RepaymentState]{From: RepaymentPending, To: RepaymentFailed, Cause: "the money will not arrive"},
	statetable.Move[RepaymentState]{From: RepaymentSucceeded, To: RepaymentBounced, Cause: "the money went back"},
)
