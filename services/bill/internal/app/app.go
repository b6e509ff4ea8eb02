package app

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/ledger"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// Deps are what the verbs work with. All are required.
type Deps struct {
	// Store keeps the rows.
	Store Store
	// Requests reads the records of earlier requests.
	Requests idempotency.Reader
	// IDs makes ids.
	IDs *ids.Generator
	// Payments is the payment service, which has cash collected.
	Payments CashDesk
	// Refunds is the refund service, whose refunds are.
	Refunds Refunds
	// Approvals reads what other people must approve.
	Approvals Approvals
	// Clock tells the time.
	Clock clock.Clock
	// ProductRefresh is how old the list of current products may be.
	ProductRefresh time.Duration
	// PlanCacheSize bounds the plans that are kept in memory, twice this number.
	PlanCacheSize int
	// OpenRepaymentsMax is how many repayments of a user may wait for their money at once; 0 for 20.
	OpenRepaymentsMax int
	// Esign are the parts of signing; the zero Esign asks nobody to sign.
	Esign Esign
}

// App is the verbs.
type App struct {
	store     Store
	requests  idempotency.Reader
	ids       *ids.Generator
	clock     clock.Clock
	payments  CashDesk
	refunds   Refunds
	approvals Approvals
	products  *catalogue
	plans     *planner
	esign     Esign
	signed    signatures
	// openRepayments is how many repayments of a user may wait for their money at once.
	openRepayments int
}

// openRepaymentsMax counts when nothing else is configured.
const openRepaymentsMax = 20

// New makes the verbs.
func New(d Deps) *App {
	return &App{
		store: d.Store, requests: d.Requests, ids: d.IDs, clock: d.Clock, payments: d.Payments, refunds: d.Refunds, approvals: d.Approvals,
		products: newCatalogue(d.Store, d.ProductRefresh), plans: newPlanner(d.PlanCacheSize),
		esign: d.Esign, openRepayments: cmp.Or(d.OpenRepaymentsMax, openRepaymentsMax),
	}
}

// now is the time as the database keeps it: UTC, microseconds.
func (a *App) now() time.Time { return stored(a.clock.Now()) }

func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// Store reads rows and runs units of work. Errors carry a reason, except for a
// duplicate request record, which idempotency.Do explains.
type Store interface {
	RefundReader
	EsignStore
	// CurrentProducts gives the newest effective version of each product at a time, by code.
	CurrentProducts(ctx context.Context, at time.Time) ([]domain.Product, error)
	// Reservation finds the reservation of a commit; false when there is none.
	Reservation(ctx context.Context, commitID ids.ID) (Reservation, bool, error)
	// LoansOfCommit gives the loans that were drafted for a commit, by order id.
	LoansOfCommit(ctx context.Context, commitID ids.ID) ([]Loan, error)
	// LoansOfOrders gives every loan of the orders, voided ones included, by order id and age.
	LoansOfOrders(ctx context.Context, orderIDs []ids.ID) ([]Loan, error)
	// BegunLoans gives every loan of a user that has begun, with its facts, by id.
	BegunLoans(ctx context.Context, userID string) ([]Loan, map[ids.ID][]domain.Fact, error)
	// LoanByID finds a loan with its facts; false when there is none.
	LoanByID(ctx context.Context, loanID ids.ID) (Loan, []domain.Fact, bool, error)
	// Repayment finds a repayment; false when there is none.
	Repayment(ctx context.Context, repaymentID ids.ID) (Repayment, bool, error)
	// LoanRefund finds the record of a refund; false when there is none.
	LoanRefund(ctx context.Context, refundID ids.ID) (LoanRefund, bool, error)
	// RefundSource finds what a refund gives back by a repayment; false when it is nothing.
	RefundSource(ctx context.Context, refundID, repaymentID ids.ID) (RefundSource, bool, error)
	// RepaymentOfRequest finds the repayment that a request made; false when there is none.
	RepaymentOfRequest(ctx context.Context, caller, requestID string) (Repayment, bool, error)
	// RepaymentsOfUser gives the repayments of a user that arrived, by id.
	RepaymentsOfUser(ctx context.Context, userID string) ([]Repayment, error)
	// KeptCash finds cash that was kept by its reference; false when it was not.
	KeptCash(ctx context.Context, reference ids.ID) (KeptCash, bool, error)
	// KeptOfUser gives the cash of a user that was kept.
	KeptOfUser(ctx context.Context, userID string) ([]KeptCash, error)
	// ReturnsOfLoans gives what refunds of loans give back by repayments, without what was kept as credit balance.
	ReturnsOfLoans(ctx context.Context, loanIDs []ids.ID) ([]LoanReturn, error)
	// Payouts gives what was paid out of an account's credit balance.
	Payouts(ctx context.Context, accountID ids.ID) ([]Payout, error)
	// LastVersion is the newest version of a product; 0 when there is none.
	LastVersion(ctx context.Context, code string) (int, error)
	// DoLocking is Do for a unit that reads and locks first.
	DoLocking(ctx context.Context, fn func(LockingTx) error) error
	// Do runs a unit of work: all of it or nothing. fn may run several times. It fails with
	// ErrReservationExists, errs.AccountExists (the user has an account) or errs.LoanStateInvalid
	// (the order has a loan that is not void) when a row is there already.
	Do(ctx context.Context, fn func(Tx) error) error
}

// ProductReader finds one version of a product; false when there is none.
type ProductReader interface {
	Product(ctx context.Context, code string, version int) (domain.Product, bool, error)
}

// ErrReservationExists is what Store.Do answers when the commit has a reservation or a tombstone.
var ErrReservationExists = errors.New("the commit has a reservation")

// Tx queues the writes of a unit of work. A write that does not find the row in the
// expected state and version fails the unit with errs.ConcurrentChange, or with the
// error it was given. The rows' versions rise by one.
type Tx interface {
	// Remember records a request with its answer.
	Remember(k idempotency.Key, fp idempotency.Fingerprint, answer any)
	// Emit tells the other services.
	Emit(e domain.Event)
	// Post writes a journal about an object.
	Post(objectID, cause string, lines []ledger.Line)

	// Hold adds amount to what an active account of its currency holds, within its limit; else the unit fails with refused.
	Hold(userID string, amount money.Amount, at time.Time, refused error)
	// ReleaseHold takes amount from what the account holds; less held fails the unit with short.
	ReleaseHold(userID string, amount money.Amount, at time.Time, short error)
	// UseHold turns amount of what the account holds into debt; less held fails the unit with short.
	UseHold(userID string, amount money.Amount, at time.Time, short error)
	// InsertReservation adds a reservation or a tombstone.
	InsertReservation(r Reservation)
	// UpdateReservation writes the state of a reservation that is HELD in r's version.
	UpdateReservation(r Reservation)
	// InsertLoans adds drafts, one or more.
	InsertLoans(loans []Loan)
	// UpdateDraft writes what became of a loan that is a draft in l's version.
	UpdateDraft(l Loan)
	// FollowLoans writes state, outstanding principal, books, overpaid, overdue, end and timer of loans that have begun, each in its version.
	FollowLoans(loans []Loan)
	// InsertInstalments adds the instalments of a loan that begins, each with the day of its bill.
	InsertInstalments(l Loan, billDate func(due civil.Date) civil.Date)
	// PutInstalments writes where instalments stand.
	PutInstalments(rows []InstalmentRow)
	// InsertFacts adds facts; a loan has one fact of an id.
	InsertFacts(facts []LoanFact)
	// VoidFacts takes the facts of an id back.
	VoidFacts(factID ids.ID, actor, cause string, at time.Time)
	// ChangeAccount adds differences to an account, and makes it OVERDUE while it has overdue loans and is not frozen.
	ChangeAccount(d AccountDelta, at time.Time)
	// FreezeAccount freezes a user's account that is not frozen or closed.
	FreezeAccount(userID, reason string, at time.Time)
	// TakeCredit takes an amount from the credit balance of an account in a's version.
	TakeCredit(a Account, amount money.Amount, at time.Time)
	// InsertBills adds bills; those that are there stay as they are.
	InsertBills(bills []BillRow)
	// LookAtBills has the state of users' bills looked at; settled ones too, or only those that were not.
	LookAtBills(userIDs []string, which BillsToLookAt, at time.Time)
	// PutBills writes state, version and next look of bills that are locked.
	PutBills(bills []BillRow)
	// InsertRepayment adds a repayment of a user of whom fewer than openMax wait for their money; otherwise TOO_MANY_OPEN_REPAYMENTS. A
	// second one of the request violates a unique key.
	InsertRepayment(r Repayment, openMax int)
	// MoveRepayment writes state, rest, times and timer of a repayment in r's version.
	MoveRepayment(r Repayment)
	// InsertLoanRefund adds the record of a refund with its sources; one that is there fails the unit with errs.ConcurrentChange.
	InsertLoanRefund(r LoanRefund)
	// KeepSource marks a source of a refund as kept; one that is kept already fails the unit.
	KeepSource(refundID, repaymentID ids.ID, actor string, at time.Time)
	// InsertKeptCash adds the record of kept cash; a second one of its reference violates a unique key.
	InsertKeptCash(k KeptCash)
	// InsertProduct adds a version of a product; one that is there already fails the unit with a duplicate key.
	InsertProduct(p domain.Product, at time.Time)

	// InsertAccount adds an account.
	InsertAccount(a Account, at time.Time)
	// UpdateAccount writes limit, state and freeze reason of the account in a's version.
	UpdateAccount(a domain.Account, at time.Time)
	// InsertAccountChange adds to the trail of what operators did.
	InsertAccountChange(c AccountChange)

	EsignTx
}

// LockingTx is a unit of work that can read and lock, for events that arrive in batches.
type LockingTx interface {
	Tx
	RefundReader
	// Gate stores an act that is asked for and says whether it may be done now; see package desk.
	Gate(ctx context.Context, a approval.Ask) (approval.Request, error)
	// LockLoans gives every loan of the orders, as Store.LoansOfOrders, and locks them until the end.
	LockLoans(ctx context.Context, orderIDs []ids.ID) ([]Loan, error)
	// LockLoansByID gives loans by id and locks them until the end.
	LockLoansByID(ctx context.Context, loanIDs []ids.ID) ([]Loan, error)
	// LockBegunLoans gives every loan of the users that has begun, by id, and locks them until the end.
	LockBegunLoans(ctx context.Context, userIDs []string) ([]Loan, error)
	// LockRepayments gives repayments by id and locks them until the end.
	LockRepayments(ctx context.Context, repaymentIDs []ids.ID) ([]Repayment, error)
	// LockBills gives bills by id and locks them until the end.
	LockBills(ctx context.Context, billIDs []ids.ID) ([]BillRow, error)
	// BillLines gives the instalments on bills where they were left, by bill, without what was given up of them. Those of a loan that was
	// given up before the bill are not on it.
	BillLines(ctx context.Context, bills []BillRow) (map[ids.ID][]domain.BillLine, error)
	// LockReservation finds the reservation of a commit and locks it until the end; false when there is none.
	LockReservation(ctx context.Context, commitID ids.ID) (Reservation, bool, error)
	// LoansOfCommit gives the loans that were drafted for a commit, without locking them.
	LoansOfCommit(ctx context.Context, commitID ids.ID) ([]Loan, error)
	// LoanRefund finds the record of a refund; false when there is none.
	LoanRefund(ctx context.Context, refundID ids.ID) (LoanRefund, bool, error)
	// RefundSource finds what a refund gives back by a repayment; false when it is nothing.
	RefundSource(ctx context.Context, refundID, repaymentID ids.ID) (RefundSource, bool, error)
}

// BillsToLookAt says which bills of a user may have changed.
type BillsToLookAt bool

const (
	// UnpaidBills may have been paid.
	UnpaidBills BillsToLookAt = false
	// AllBills may be owed again.
	AllBills BillsToLookAt = true
)

// maxTries bounds how often a verb starts again after somebody else was faster.
const maxTries = 5

// again runs a verb until it is not beaten by a concurrent change, a bounded number of times.
func again[T any](ctx context.Context, verb func() (T, error)) (answer T, err error) {
	for range maxTries {
		answer, err = verb()
		if !errs.Is(err, errs.ConcurrentChange) || ctx.Err() != nil {
			return answer, err
		}
	}
	return answer, err
}

// changed is the refusal of a write that found its row changed.
func changed() error {
	return errs.ConcurrentChange.New("somebody else changed this at the same time; repeat the call")
}
