package app

import (
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// Account is a credit account and when it was opened.
type Account struct {
	domain.Account
	OpenTime time.Time
	// Credit is what belongs to the user: repaid beyond what was owed. Below zero when more was paid out than was good.
	Credit money.Amount
	// OverdueLoans is how many of the user's loans are overdue.
	OverdueLoans int
}

// AccountChange is an entry of the trail of what operators did to accounts.
type AccountChange struct {
	ID, AccountID ids.ID
	// Actor is the operator, What the verb, Reason what the operator said.
	Actor, What, Reason string
	// Before and After are the account as JSON; Before is nil when it was opened.
	Before, After []byte
	Time          time.Time
}

// ReservationState is the state of a reservation. The numbers are stored.
type ReservationState uint8

const (
	// ReservationHeld has at least one loan that is not void.
	ReservationHeld ReservationState = 1
	// ReservationReleased has none, and never will: also the tombstone of a release that came first.
	ReservationReleased ReservationState = 2
)

// Reservation is what a commit holds of a user's limit. It is the idempotency
// record of ReserveCredit, under the commit's id.
type Reservation struct {
	CommitID ids.ID
	// UserID is empty in a tombstone, as Fingerprint and Total are.
	UserID      string
	State       ReservationState
	Fingerprint idempotency.Fingerprint
	// Total is the principal of all its loans, voided ones included.
	Total money.Amount
	// ContractID is the signed contract that the commit rests on; zero when none was needed.
	ContractID ids.ID
	CreateTime time.Time
	// ReleaseTime is zero while it is held.
	ReleaseTime time.Time
	Version     int64
}

// Loan is a loan and who moved it.
type Loan struct {
	domain.Loan
	// DraftActor asked for the reservation, EndActor ended the loan for EndCause; both empty before.
	DraftActor, EndActor, EndCause string
	// Start is the day from which interest runs; zero in a draft.
	Start civil.Date
	// Books are the balances that the journal has of it; nil for those of its first day.
	Books domain.Balances
	// Overpaid is its part of the user's credit balance (domain.Position.CreditShare), below zero when a refund went back by a
	// repayment that bounced. Overdue is what was not paid in time.
	Overpaid, Overdue money.Amount
	// Shrunk is the principal that refunds took from the draft, Refunded what they took back since it began, and Payable what they
	// give back by repayments.
	Shrunk, Refunded, Payable money.Amount
	// RollTime is when time alone changes something; zero for never.
	RollTime time.Time
}

// LoanFact is a fact of a loan and who brought it.
type LoanFact struct {
	LoanID ids.ID
	domain.Fact
	// Actor is who, Cause why.
	Actor, Cause string
	CreateTime   time.Time
}

// RefundKind is what a refund met. The numbers are stored.
type RefundKind uint8

const (
	// RefundShrankDraft left a smaller draft.
	RefundShrankDraft RefundKind = 1
	// RefundVoidedDraft left nothing of a draft.
	RefundVoidedDraft RefundKind = 2
	// RefundOfBegun is a fact of a loan that has begun.
	RefundOfBegun RefundKind = 3
)

// LoanRefund is the record of a refund: what it was, and what it did to its loan.
type LoanRefund struct {
	RefundID, LoanID, OrderID ids.ID
	Kind                      RefundKind
	// Amount is the financed part of the refund.
	Amount money.Amount
	// Effect is the answer that was given.
	Effect     domain.RefundAdjustment
	Actor      string
	CreateTime time.Time
}

// RefundSource is what a refund gives back by a repayment.
type RefundSource struct {
	Amount money.Amount
	// KeepTime is when it became credit balance instead; zero when it did not.
	KeepTime time.Time
}

// LoanReturn is a part of a refund that goes back by a repayment.
type LoanReturn struct {
	LoanID, RefundID, RepaymentID ids.ID
	// Amount is in minor units of the loan's currency.
	Amount int64
	// Time is when the refund reached the loan.
	Time time.Time
}

// Payout is money that was paid out of a credit balance.
type Payout struct {
	// ID is the journal's.
	ID ids.ID
	// Amount is in minor units of the account's currency.
	Amount int64
	Time   time.Time
}

// InstalmentRow is where an instalment stands, as the last figuring left it.
type InstalmentRow struct {
	LoanID ids.ID
	domain.InstalmentPosition
}

// BillRow is a bill of a user and what it was told to be. Its figures are those of its instalments.
type BillRow struct {
	// ID follows from the user and the dates, see BillID.
	ID     ids.ID
	UserID string
	domain.BillName
	State   domain.BillState
	Version int64
	// CreateTime is when it was made; LookTime when its state is looked at next, zero for never.
	CreateTime, LookTime time.Time
}

// AccountDelta is what servicing changes in the account of a user.
type AccountDelta struct {
	UserID string
	// Used and Credit are differences of what is used and of the credit balance, in the account's currency.
	Used, Credit money.Amount
	// OverdueLoans is the difference of the number of loans that are overdue.
	OverdueLoans int
}

// FinancedOrder is an order to be financed by a loan of its own.
type FinancedOrder struct {
	// OrderID is zero in a quote for no order in particular.
	OrderID ids.ID `json:"order_id"`
	// MerchantID is the shop; may be empty in a quote.
	MerchantID string `json:"merchant_id"`
	// Amount is the order's price, above zero.
	Amount money.Amount `json:"amount"`
}

// accountRecord is an account in stored answers and in the trail of changes. Its
// names are part of the database.
type accountRecord struct {
	ID           ids.ID              `json:"account_id"`
	UserID       string              `json:"user_id"`
	Limit        money.Amount        `json:"limit"`
	Used         money.Amount        `json:"used"`
	Held         money.Amount        `json:"held"`
	State        domain.AccountState `json:"state"`
	FreezeReason string              `json:"freeze_reason,omitempty"`
	Version      int64               `json:"version"`
	OpenTime     time.Time           `json:"open_time"`
}

func recordOf(a Account) accountRecord {
	return accountRecord{
		ID: a.ID, UserID: a.UserID, Limit: a.Limit, Used: a.Used, Held: a.Held, State: a.State,
		FreezeReason: a.FreezeReason, Version: a.Version, OpenTime: a.OpenTime,
	}
}

func (r accountRecord) account() Account {
	return Account{OpenTime: r.OpenTime, Credit: money.Zero(r.Limit.Currency()), Account: domain.Account{
		ID: r.ID, UserID: r.UserID, Limit: r.Limit, Used: r.Used, Held: r.Held, State: r.State,
		FreezeReason: r.FreezeReason, Version: r.Version,
	}}
}
