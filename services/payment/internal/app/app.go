// Package app owns the payment verbs: one use case a file. It owns idempotency and transactions, and declares the small
// interfaces that it needs from the store and from other services.
//
// It must not know protobuf, gRPC, SQL or Kafka.
package app

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/ledger"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// Store is the payment service's memory.
type Store interface {
	// Do runs fn as one transaction; fn may run several times. ErrCheckoutTaken is what InsertCommit may meet, ErrSubjectKnown what
	// InsertCashLeg may.
	Do(ctx context.Context, fn func(tx Tx) error) error
	// Requests finds the records of requests.
	Requests() idempotency.Reader
	// Quote of a checkout; nil when none was locked.
	Quote(ctx context.Context, checkoutID ids.ID) (*domain.Quote, error)
	// Pin of a user; nil when none is set.
	Pin(ctx context.Context, userID string) (*domain.Pin, error)
	// QuoteAndPin reads both in one round trip.
	QuoteAndPin(ctx context.Context, checkoutID ids.ID, userID string) (*domain.Quote, *domain.Pin, error)
	// Commit by id. Errors: NOT_FOUND.
	Commit(ctx context.Context, id ids.ID) (domain.Commit, error)
	// CommitOfRequest is the commit that a request made; nil when there is none.
	CommitOfRequest(ctx context.Context, caller, requestID string) (*domain.Commit, error)
	// LastCommit of a checkout by its payer; nil when there was none.
	LastCommit(ctx context.Context, checkoutID ids.ID, userID string) (*domain.Commit, error)
	// CommitsOfOrders gives the commits of the checkouts of these orders' payments, oldest first.
	CommitsOfOrders(ctx context.Context, orderIDs []ids.ID) ([]domain.Commit, error)
	// Payment by id; nil when it was never paid.
	Payment(ctx context.Context, id ids.ID) (*domain.Payment, error)
	// PaymentsOfCommit in order of their ids.
	PaymentsOfCommit(ctx context.Context, commitID ids.ID) ([]domain.Payment, error)
	// PaymentsOfOrders in order of their ids; orders without a payment are left out.
	PaymentsOfOrders(ctx context.Context, orderIDs []ids.ID) ([]domain.Payment, error)
	CashStore
}

// CashStore is what is kept of cash.
type CashStore interface {
	// CashLeg by its reference; nil when there is none.
	CashLeg(ctx context.Context, id ids.ID) (*domain.CashLeg, error)
	// CashLegOf a commit or repayment; nil when there is none.
	CashLegOf(ctx context.Context, subjectID ids.ID) (*domain.CashLeg, error)
	// CashReturn by its reference; nil when there is none.
	CashReturn(ctx context.Context, id ids.ID) (*domain.CashReturn, error)
	// CashReturnOf a reversed payment; nil when it had no cash left.
	CashReturnOf(ctx context.Context, paymentID ids.ID) (*domain.CashReturn, error)
	// CashReturnsOfLeg gives all returns of a leg, oldest first.
	CashReturnsOfLeg(ctx context.Context, legID ids.ID) ([]domain.CashReturn, error)
	// CashReturnsOfRefund gives the returns of a refund with their legs, oldest first.
	CashReturnsOfRefund(ctx context.Context, refundID ids.ID) ([]CashBack, error)
	// CashReturns gives at most limit returns with their legs, newest first.
	CashReturns(ctx context.Context, f ReturnFilter, limit int) ([]CashBack, error)
	// PaymentRefund by its id; nil when it took nothing out of a payment.
	PaymentRefund(ctx context.Context, refundID ids.ID) (*domain.Refund, error)
	// RefundsOfPayments gives what refunds took out of payments, oldest first.
	RefundsOfPayments(ctx context.Context, paymentIDs []ids.ID) ([]domain.Refund, error)
	// Portions of a commit that asked for a down payment, in order of their payments.
	Portions(ctx context.Context, commitID ids.ID) ([]domain.Portion, error)
	// LastPortion is the newest attempt to pay an order with a down payment, and its leg; nil when there was none.
	LastPortion(ctx context.Context, by PortionKey) (*domain.Portion, *domain.CashLeg, error)
	// CashOfPayments gives the down payments that paid these payments, and what of them goes back.
	CashOfPayments(ctx context.Context, paymentIDs []ids.ID) ([]domain.CashLeg, []domain.CashReturn, error)
	// UnfitNotices gives at most limit notifications that did not fit, newest first.
	UnfitNotices(ctx context.Context, f UnfitFilter, limit int) ([]UnfitNotice, error)
	// NoticeRecord is the notification of a request as the record of the request.
	NoticeRecord(ctx context.Context, caller, requestID string) (idempotency.Record, bool, error)
}

// Tx is a transaction's writes. They are queued; what is refused fails the transaction.
type Tx interface {
	Remember(k idempotency.Key, fp idempotency.Fingerprint, answer any)
	Schedule(kind, key string, due time.Time)
	Unschedule(kind, key string)
	// Gate stores an act that is asked for and says whether it may be done now; see package desk.
	Gate(ctx context.Context, a approval.Ask) (approval.Request, error)
	Post(objectID, cause string, lines []ledger.Line)
	// Emit tells a domain event and gives its id.
	Emit(event any) ids.ID

	// PutQuote stores the quote in place of the checkout's former one.
	PutQuote(q domain.Quote, now time.Time)
	// PutPin stores a new PIN, or replaces the one with the version before.
	PutPin(p domain.Pin, now time.Time)
	// CountPin stores the tries of a PIN whose version was one less. Mismatch: CONCURRENT_CHANGE.
	CountPin(p domain.Pin)
	// InsertCommit stores the intent with the time when the recovery worker takes over, if the PIN is still the one that was
	// verified, and resets the PIN's tries. Mismatch: CONCURRENT_CHANGE. A second active commit of the checkout answers
	// ErrCheckoutTaken, a second commit of the request violates a unique key.
	InsertCommit(c domain.Commit, verified domain.Pin)
	// MoveCommit stores the commit's state, failure, request and timer if it was in from; one that ended has no timer. Mismatch:
	// CONCURRENT_CHANGE.
	MoveCommit(c domain.Commit, from domain.CommitState)
	// InsertPayments stores payments with their legs.
	InsertPayments(ps []domain.Payment)
	// MovePayment stores the payment's state and its legs' states if it was in from. Mismatch: CONCURRENT_CHANGE.
	MovePayment(p domain.Payment, from domain.PaymentState, legs LegsTo)
	CashTx
}

// LegsTo are the states that a payment's legs get.
type LegsTo struct {
	Credit, Cash domain.LegState
}

// CashTx is the writes of cash.
type CashTx interface {
	// InsertCashLeg stores a new leg; a pending repayment gets its timer. A second leg of the subject answers ErrSubjectKnown.
	InsertCashLeg(l domain.CashLeg)
	// InsertPortions stores what a commit does once its cash is there.
	InsertPortions(commitID ids.ID, ps []domain.Portion)
	// MoveCashLeg stores a leg's move and sets its timer, if no return was asked for meanwhile. Mismatch: CONCURRENT_CHANGE.
	MoveCashLeg(m domain.CashLegMoved)
	// InsertRefund stores what a refund takes out of a payment that stands, within what is left of each part. Mismatch:
	// CONCURRENT_CHANGE. A refund that is known violates a unique key.
	InsertRefund(f domain.Refund)
	// InsertCashReturn stores a return within what is left of its leg. Mismatch: CONCURRENT_CHANGE for a part of a repayment, INTERNAL
	// for a part of a down payment, whose payments know what is left. A second one of a refund and leg violates a unique key.
	InsertCashReturn(r domain.CashReturn)
	// MoveCashReturn stores a return's move; of a cancelled order's share also in its payment's leg. Mismatch: CONCURRENT_CHANGE.
	MoveCashReturn(m domain.CashReturnMoved)
	// KeepCashReturn notes when an abandoned return became credit balance.
	KeepCashReturn(id ids.ID, at time.Time)
	// InsertNotice stores a notification as it came. A second one of the request violates a unique key.
	InsertNotice(n HeardNotice)
}

// Checkout is what the payment service knows of a checkout.
type Checkout struct {
	ID       ids.ID
	UserID   string
	Business string
	// Open tells that it can be paid; otherwise Why says why not.
	Open bool
	Why  error
	// Orders that can be paid, and their sum.
	Orders []domain.PayableOrder
	Amount money.Amount
	// OrderIDs of all orders.
	OrderIDs   []ids.ID
	ExpireTime time.Time
}

// Orders is the order service.
type Orders interface {
	// Checkout by id. Errors: NOT_FOUND.
	Checkout(ctx context.Context, id ids.ID) (Checkout, error)
	// BeginCommit takes the checkout for this commit and tells what it pays. Idempotent.
	BeginCommit(ctx context.Context, c domain.Commit) (Begun, error)
	// AbortCommit gives it back. Idempotent.
	AbortCommit(ctx context.Context, c domain.Commit) error
}

// Begun is what a commit pays.
type Begun struct {
	Business string
	Orders   []domain.PayableOrder
}

// Offers are the plans for a set of orders.
type Offers struct {
	// Allowed tells whether the user may buy now; otherwise Why says why not.
	Allowed bool
	Why     error
	// Available is what the user may still spend; nil without an account.
	Available *money.Amount
	Plans     []Plan
	// Actions that the payer must do first, besides the PIN.
	Actions []Action
}

// Plan is one offer.
type Plan struct {
	TenorMonths    int32
	ProductCode    string
	ProductVersion int32
	// Amount is what is financed, Total everything that the payer will pay for that, DownPayment what is paid at once.
	Amount, Total, DownPayment money.Amount
	// Blob is the plan in the contract's form.
	Blob []byte
}

// Action is something that the payer must do before a commit can succeed; the numbers are the contract's RequiredAction.
type Action int8

// The actions.
const (
	ActionVerifyPin     Action = 1
	ActionSetPin        Action = 2
	ActionEsign         Action = 3
	ActionDownPayment   Action = 4
	ActionChooseChannel Action = 5
)

// Pick narrows plans down; the zero Pick takes all.
type Pick struct {
	ProductCode string
	TenorMonths int32
	// ProductVersion is the version that a quote keeps; 0 for the one that is offered.
	ProductVersion int32
}

// Bill is the bill service.
type Bill interface {
	// QuotePlans for the orders of a checkout.
	QuotePlans(ctx context.Context, checkout Checkout, pick Pick) (Offers, error)
	// Reserve holds the limit for what the commit pays and drafts the loans. Idempotent.
	Reserve(ctx context.Context, c domain.Commit, pays Begun) ([]domain.Loan, error)
	// Release gives holds back: all of the commit, or those of the orders. Idempotent.
	Release(ctx context.Context, commitID ids.ID, orderIDs []ids.ID, reason string) error
	// KeepCash turns cash of a user that could not go back into credit balance. Idempotent by the reference.
	KeepCash(ctx context.Context, reference ids.ID, userID string, amount money.Amount) error
	// Repayment is a repayment as its owner knows it. Errors: NOT_FOUND.
	Repayment(ctx context.Context, id ids.ID) (Repayment, error)
	// RefundReturn is what a refund gives back by a repayment. Errors: NOT_FOUND.
	RefundReturn(ctx context.Context, refundID, repaymentID ids.ID) (RefundReturn, error)
}

// Repayment is what the bill service wants to have collected.
type Repayment struct {
	UserID, Channel string
	Amount          money.Amount
	// Pending says that its money may still arrive.
	Pending bool
}

// RefundReturn is what the bill service wants to have given back by a repayment.
type RefundReturn struct {
	Amount money.Amount
	// Kept says that it became credit balance instead.
	Kept bool
}

// RefundParts is a refund as its owner knows it.
type RefundParts struct {
	OrderID ids.ID
	// Credit and Cash are what it takes out of the part that credit financed and of the one that was paid in cash.
	Credit, Cash money.Amount
	// Paying says that the refund is carried out, and that the order's payment is what comes next.
	Paying bool
}

// Refunds is the refund service.
type Refunds interface {
	// RefundParts is a refund as its owner knows it. Errors: NOT_FOUND.
	RefundParts(ctx context.Context, refundID ids.ID) (RefundParts, error)
}

// SentCode is a one-time code on its way to the payer.
type SentCode struct {
	// ChallengeID is a typed id, MaskedTarget where the code went.
	ChallengeID, MaskedTarget string
	// ResendTime is from when on another code can be asked for; zero when never.
	ExpireTime, ResendTime time.Time
}

// Codes are the one-time codes of the bill service, which knows the payer's telephone.
type Codes interface {
	// SendPinCode sends a code for a PIN. Errors: NOT_FOUND, ESIGN_RESEND_TOO_SOON, ESIGN_LOCKED.
	SendPinCode(ctx context.Context, userID, requestID string) (SentCode, error)
	// CheckPinCode uses up a code; a repeat for the same use answers the same. Errors: NOT_FOUND, ESIGN_CODE_WRONG, ESIGN_CODE_EXPIRED,
	// ESIGN_CODE_USED, ESIGN_LOCKED, CONCURRENT_CHANGE.
	CheckPinCode(ctx context.Context, userID, challengeID, code, useID string) error
}

// Limits are the service's time limits.
type Limits struct {
	// QuoteLife is how long a quote is locked.
	QuoteLife time.Duration
	// RecoverAfter is when the recovery worker takes over a commit whose process may have died.
	RecoverAfter time.Duration
	// Patience is how long a commit without an outcome is driven forward; after that it is given up.
	Patience time.Duration
	// DownPaymentLife and RepaymentLife are how long a payer has to pay cash.
	DownPaymentLife, RepaymentLife time.Duration
}

// Deps are the parts of the verbs.
type Deps struct {
	Store   Store
	Orders  Orders
	Bill    Bill
	Refunds Refunds
	Codes   Codes
	Keys    *secret.Keyring
	// Proofs checks the proofs of checkouts; nil where the order service is always asked.
	Proofs *secret.Keyring
	Clock  clock.Clock
	IDs    *ids.Generator
	Limits Limits
	// Cashier collects cash.
	Cashier Cashier
	Log     *zap.Logger
}

// App is the payment verbs.
type App struct{ Deps }

// New makes the verbs.
func New(d Deps) *App { return &App{d} }

var (
	// ErrCheckoutTaken says that the checkout has a commit that has not failed.
	ErrCheckoutTaken = errors.New("the checkout has another commit")
	// ErrSubjectKnown says that what a cash leg should pay has one.
	ErrSubjectKnown = errors.New("the subject has a cash leg")
)

// Kinds of this service's timers.
const (
	// JobRecoverCommit drives a commit whose process may have died to its end; the key is the commit id. It stands in the commit's row.
	JobRecoverCommit = "recover_commit"
	// JobReversePayment takes a payment back; the key is the payment id.
	JobReversePayment = "reverse_payment"
	// JobTickCashLeg fails the leg of a repayment whose time is over, and asks once more for money on its way back; the key is the leg
	// id. It stands in the leg's row. A pending down payment goes by its commit's timer, because the two move together.
	JobTickCashLeg = "tick_cash_leg"
	// JobTickCashReturn asks once more for a return of which nothing was heard; the key is the return's id. It stands in its row.
	JobTickCashReturn = "tick_cash_return"
	// JobKeepCash makes an abandoned part of a down payment credit balance; the key is the return's id.
	JobKeepCash = "keep_cash"
)

func (a *App) now() time.Time { return a.Clock.Now().UTC().Truncate(time.Microsecond) }

func parseID(p ids.Prefix, field, s string) (ids.ID, error) {
	id, err := ids.Parse(p, s)
	if err != nil {
		return ids.ID{}, errs.InvalidArgument.Wrap(err, "%s is not an id of the form %s_…", field, p).With("field", field)
	}
	return id, nil
}

// ownCheckout reads a checkout of this user; another's looks like none.
func (a *App) ownCheckout(ctx context.Context, checkoutID ids.ID, userID string) (Checkout, error) {
	c, err := a.Orders.Checkout(ctx, checkoutID)
	if err != nil {
		return Checkout{}, err
	}
	if c.UserID != userID {
		return Checkout{}, errs.NotFound.New("no such checkout")
	}
	if c.Open && !a.now().Before(c.ExpireTime) {
		// The order service's timer comes a moment later; its BeginCommit goes by the time, too.
		c.Open, c.Why = false, errs.CheckoutExpired.New("the checkout's time is over")
	}
	return c, nil
}
