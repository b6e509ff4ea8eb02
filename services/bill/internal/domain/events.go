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

func (LoanActivated) isEvent()        {}
func (LoanVoided) isEvent()           {}
func (CreditAccountChanged) isEvent() {}
