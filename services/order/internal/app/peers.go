package app

import (
	"context"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

// Payment is what this service asks of the payment service.
type Payment interface {
	// Commit tells what a commit came to.
	Commit(ctx context.Context, commit ids.ID) (CommitOutcome, error)
	// Withdraw stops a commit that has not succeeded, and tells what it came to.
	Withdraw(ctx context.Context, commit ids.ID, reason string) (CommitOutcome, error)
	// Payments reads the payments of orders.
	Payments(ctx context.Context, orders []ids.ID) (Payments, error)
}

// Bill is what this service asks of the bill service.
type Bill interface {
	// Quote tells the credit of a user and the plans for orders.
	Quote(ctx context.Context, userID, business string, orders []domain.Order) (Quote, error)
	// Loans reads the loans of orders.
	Loans(ctx context.Context, orders []ids.ID) (Loans, error)
	// Contracts reads the numbers of the signed contracts that an order's loans rest on, oldest first.
	Contracts(ctx context.Context, order ids.ID) ([]string, error)
}

// CommitState is what a commit came to.
type CommitState uint8

// The three values of an outcome. The zero value is none of them and is treated as not known.
const (
	CommitProcessing CommitState = iota + 1
	CommitSucceeded
	CommitFailed
)

// CommitOutcome is the answer about a commit.
type CommitOutcome struct {
	// State of the commit.
	State CommitState
	// Settlement when it succeeded.
	Settlement domain.Settlement
}

// Leg is one leg of a payment, in the payment service's words.
type Leg struct {
	// Kind is "CREDIT" or "CASH", Channel the channel's code.
	Kind, Channel string
	// Amount that the leg carries.
	Amount money.Amount
	// State of the leg; Reference is the loan or charge behind it.
	State, Reference string
}

// TimelineEntry is one change as shown: of this service or of another.
type TimelineEntry struct {
	// Time when it happened.
	Time time.Time
	// Service that saw it, the typed id of the object, the states around it, who and why.
	Service, ObjectID, From, To, Actor, Cause string
}

// Payments are payments with their history.
type Payments struct {
	// Legs of all payments.
	Legs []Leg
	// Timeline of the payments and their commits.
	Timeline []TimelineEntry
}

// Loan is the credit leg of an order, in the bill service's words.
type Loan struct {
	// ID is the typed id, State the name of the state.
	ID, State string
	// Running says that the loan is owed: its due dates are real.
	Running bool
	// Void says that the purchase was taken back before the loan began.
	Void bool
	// Plan of the loan.
	Plan domain.Plan
}

// Loans are loans with their history.
type Loans struct {
	// Loans found, at most one per order that is not void.
	Loans []Loan
	// Timeline of the loans.
	Timeline []TimelineEntry
}

// Credit is a user's credit line in figures.
type Credit struct {
	// State is the number of creditpay.common.v1.CreditAccountState.
	State int32
	// Limit, Used, Held, Available.
	Limit, Used, Held, Available money.Amount
}

// RequiredAction is what a commit will ask of the payer, with the numbers of creditpay.common.v1.RequiredAction.
type RequiredAction int32

// The actions that this service names itself; the bill service names others.
const (
	ActionVerifyPIN     RequiredAction = 1
	ActionChooseChannel RequiredAction = 5
)

// Quote is what the bill service offers for a checkout.
type Quote struct {
	// Credit of the user; nil without an account.
	Credit *Credit
	// Plans on offer, shortest first, summed over the orders.
	Plans []domain.Plan
	// Actions that the payer must take first.
	Actions []RequiredAction
	// Reason why credit is not on offer, a name of an error reason; empty when it is.
	Reason string
}

// notAnswered is the refusal for an order whose commit could not be asked about or withdrawn. It keeps apart what passes by itself:
// a lost race, and a part that is down. Anything else is a fault of ours, which no repeating mends.
func notAnswered(err error) *errs.Error {
	reason, _ := errs.ReasonOf(err)
	switch {
	case errs.Business(err):
		return errs.Internal.Wrap(err, "the payment service does not know this commit as it should; an operator must look")
	case reason.Kind() == errs.KindAborted:
		return errs.ConcurrentChange.Wrap(err, "the payment is being changed at the same time; repeat the call")
	case reason.RetryAfter() > 0:
		return errs.DependencyUnavailable.Wrap(err, "the payment service cannot be asked now; repeat the call")
	default:
		return errs.Internal.Wrap(err, "the payment service could not do it; the log has why")
	}
}

// Refunds are the refunds of an order.
type Refunds struct {
	// IDs, oldest first.
	IDs []string
	// Timeline of all of them.
	Timeline []TimelineEntry
}

// Refund asks the refund service.
type Refund interface {
	// Refunds gives the refunds of an order.
	Refunds(ctx context.Context, order ids.ID) (Refunds, error)
}
