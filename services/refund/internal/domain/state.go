package domain

import (
	"fmt"

	"github.com/creditpay/creditpay/pkg/statetable"
)

// State of a refund. The numbers are stored and equal creditpay.refund.v1.RefundState; they are never reused.
type State uint8

// The states of a refund. StateNone stands before it was asked for, in timelines only.
const (
	StateNone            State = 0
	StateRequested       State = 1
	StatePendingApproval State = 2
	StateApproved        State = 3
	StateRejected        State = 4
	StateExpired         State = 5
	StateExecuting       State = 6
	StateSucceeded       State = 7
	StateFailed          State = 8
)

// String is the state's name on the wire without its prefix; empty for StateNone.
func (s State) String() string {
	names := []string{"", "REQUESTED", "PENDING_APPROVAL", "APPROVED", "REJECTED", "EXPIRED", "EXECUTING", "SUCCEEDED", "FAILED"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("REFUND_STATE_%d", uint8(s))
}

// Ended reports whether nothing happens to the refund any more.
func (s State) Ended() bool {
	return s == StateRejected || s == StateExpired || s == StateSucceeded || s == StateFailed
}

// GaveUp reports whether the refund ended without an effect: what it had reserved may be refunded by another one.
func (s State) GaveUp() bool { return s == StateRejected || s == StateExpired || s == StateFailed }

// Moves are the legal moves of a refund.
var Moves = statetable.MustNew("refund",
	statetable.Move[State]{From: StatePendingApproval, To: StateApproved, Cause: "everybody who must approved"},
	statetable.Move[State]{From: StatePendingApproval, To: StateRejected, Cause: "an approver refused it"},
	statetable.Move[State]{From: StatePendingApproval, To: StateExpired, Cause: "nobody approved it in time"},
	statetable.Move[State]{From: StateRequested, To: StateExecuting, Cause: "carried out"},
	statetable.Move[State]{From: StateApproved, To: StateExecuting, Cause: "carried out"},
	statetable.Move[State]{From: StateExecuting, To: StatePendingApproval, Cause: "would do something else than what was approved"},
	statetable.Move[State]{From: StateExecuting, To: StateSucceeded, Cause: "the payer has everything"},
	statetable.Move[State]{From: StateExecuting, To: StateFailed, Cause: "refused before anything moved"},
)

// Step is what comes next for a refund that is EXECUTING. The numbers are stored and equal creditpay.refund.v1.RefundStep.
type Step uint8

// The steps: bill first, cash second.
const (
	// StepNone is that of a refund that is not EXECUTING.
	StepNone Step = 0
	// StepAdjust has the bill service adjust the loan.
	StepAdjust Step = 1
	// StepPayment has the payment service take it out of the order's payment.
	StepPayment Step = 2
	// StepReturns asks for the legs that are PENDING.
	StepReturns Step = 3
	// StepWait waits for the legs.
	StepWait Step = 4
)

// String is the step's name.
func (s Step) String() string {
	names := []string{"", "ADJUST", "PAYMENT", "RETURNS", "WAIT"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("REFUND_STEP_%d", uint8(s))
}

// LegKind is by which way cash goes back. The numbers are stored and equal creditpay.refund.v1.RefundLegKind.
type LegKind uint8

// The ways.
const (
	LegDownPayment   LegKind = 1
	LegRepayment     LegKind = 2
	LegCreditBalance LegKind = 3
)

// LegState is where a leg stands. The numbers are stored and equal creditpay.refund.v1.RefundLegState.
type LegState uint8

// The states of a leg.
const (
	LegPending   LegState = 1
	LegReturning LegState = 2
	LegReturned  LegState = 3
	LegFailed    LegState = 4
	LegKept      LegState = 5
)

// String is the state's name on the wire without its prefix.
func (s LegState) String() string {
	names := []string{"", "PENDING", "RETURNING", "RETURNED", "FAILED", "KEPT"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("REFUND_LEG_STATE_%d", uint8(s))
}

// Ended reports whether the payer has the money, one way or the other.
func (s LegState) Ended() bool { return s == LegReturned || s == LegKept }

// LegMoves are the legal moves of a leg. RETURNED is never left: money that was given back is given back.
var LegMoves = statetable.MustNew("refund leg",
	statetable.Move[LegState]{From: LegPending, To: LegReturning, Cause: "asked for"},
	statetable.Move[LegState]{From: LegPending, To: LegReturned, Cause: "given back at once"},
	statetable.Move[LegState]{From: LegPending, To: LegFailed, Cause: "could not be given back"},
	statetable.Move[LegState]{From: LegPending, To: LegKept, Cause: "nothing can give it back"},
	statetable.Move[LegState]{From: LegReturning, To: LegReturned, Cause: "given back"},
	statetable.Move[LegState]{From: LegReturning, To: LegFailed, Cause: "could not be given back"},
	statetable.Move[LegState]{From: LegFailed, To: LegReturning, Cause: "asked for once more"},
	statetable.Move[LegState]{From: LegFailed, To: LegReturned, Cause: "given back another way, or after all"},
	statetable.Move[LegState]{From: LegFailed, To: LegKept, Cause: "became credit balance"},
)

// MayBecome reports whether a leg in this state may move to another one.
func (s LegState) MayBecome(to LegState) bool { return LegMoves.Check(s, to) == nil }
