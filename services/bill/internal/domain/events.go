package domain

import (
	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// Event is something that happened and that other services are told. Its kinds are
// the types of this file.
type Event interface{ isEvent() }

// LoanActivated says that a hold became debt and that the instalments have due dates.
type LoanActivated struct {
	LoanID, OrderID ids.ID
	UserID          string
	Principal       money.Amount
	// FirstDueDate is that of the first instalment.
	FirstDueDate civil.Date
	// Version is the loan's after the change.
	Version int64
}

// LoanVoided says that a hold was given back before its loan began.
type LoanVoided struct {
	LoanID, OrderID ids.ID
	UserID          string
	// Version is the loan's after the change.
	Version int64
}

// CreditAccountChanged says that an operator opened or changed an account.
type CreditAccountChanged struct {
	AccountID ids.ID
	UserID    string
	// Limit and State are those afterwards.
	Limit money.Amount
	State AccountState
	// Version is the account's after the change. Holds and debts raise it too, without an event.
	Version int64
}

// LoanSettledEvent says that a loan is paid off.
type LoanSettledEvent struct {
	LoanID, OrderID ids.ID
	UserID          string
	// Version is the loan's after the change.
	Version int64
}

// LoanReopened says that a loan that was paid off is owed again, because a repayment bounced.
type LoanReopened struct {
	LoanID, OrderID ids.ID
	UserID          string
	// Version is the loan's after the change.
	Version int64
}

// LoanOverdueChanged says that a loan became late, or is not late any more.
type LoanOverdueChanged struct {
	LoanID, OrderID ids.ID
	UserID          string
	// Overdue is what was not paid in time; nothing when it is not late any more.
	Overdue money.Amount
	// Version is the loan's after the change.
	Version int64
}

// BillChanged says that a bill was made, or that its state changed.
type BillChanged struct {
	BillID ids.ID
	UserID string
	BillName
	State BillState
	// Open is what is left to pay.
	Open money.Amount
	// Version is the bill's after the change.
	Version int64
}

// RepaymentChanged says that a repayment ended, or bounced later.
type RepaymentChanged struct {
	RepaymentID ids.ID
	UserID      string
	State       RepaymentState
	Amount      money.Amount
	// Version is the repayment's after the change.
	Version int64
}

func (LoanSettledEvent) isEvent()     {}
func (LoanReopened) isEvent()         {}
func (LoanOverdueChanged) isEvent()   {}
func (BillChanged) isEvent()          {}
func (RepaymentChanged) isEvent()     {}
func (LoanActivated) isEvent()        {}
func (LoanVoided) isEvent()           {}
func (CreditAccountChanged) isEvent() {}
