// Package domain owns the payment rules: quotes, commits, payments with their legs, and PINs.
//
// It is pure: no context, no I/O, no SQL, no protobuf, no clock of its own.
package domain

import (
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/ledger"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/statetable"
)

// CommitState is the stored state of a commit. Numbers are never reused.
type CommitState int8

// The states of a commit.
const (
	// CommitStarted is the durable intent: PIN and quote are verified, nothing is known of the outcome.
	CommitStarted CommitState = 1
	// CommitSucceeded is final: the orders are paid.
	CommitSucceeded CommitState = 2
	// CommitFailing is decided: what may be held is being given back.
	CommitFailing CommitState = 3
	// CommitFailed is final: nothing is held, the checkout may be paid by another commit.
	CommitFailed CommitState = 4
	// CommitAwaitingCash holds order and credit and waits for its down payment. Its cash leg moves with it, in one transaction.
	CommitAwaitingCash CommitState = 5
)

// String is the state's name.
func (s CommitState) String() string {
	switch s {
	case CommitStarted:
		return "STARTED"
	case CommitSucceeded:
		return "SUCCEEDED"
	case CommitFailing:
		return "FAILING"
	case CommitFailed:
		return "FAILED"
	case CommitAwaitingCash:
		return "AWAITING_CASH"
	default:
		return "UNKNOWN"
	}
}

// CommitStates is the table of legal moves of a commit.
var CommitStates = statetable.MustNew("commit",
	statetable.Move[CommitState]{From: CommitStarted, To: CommitSucceeded, Cause: "order committing and credit reserved"},
	statetable.Move[CommitState]{From: CommitStarted, To: CommitAwaitingCash, Cause: "order committing and credit reserved and a down payment asked for"},
	statetable.Move[CommitState]{From: CommitStarted, To: CommitFailing, Cause: "refused or withdrawn or too old"},
	statetable.Move[CommitState]{From: CommitAwaitingCash, To: CommitSucceeded, Cause: "down payment arrived"},
	statetable.Move[CommitState]{From: CommitAwaitingCash, To: CommitFailing, Cause: "down payment failed or too late or withdrawn"},
	statetable.Move[CommitState]{From: CommitFailing, To: CommitFailed, Cause: "hold released and order payable again"},
)

// PayableOrder is one order that a commit pays.
type PayableOrder struct {
	OrderID, PaymentID ids.ID
	MerchantID         string
	Amount             money.Amount
}

// Terms are what the payer agreed to: the product and tenor, and either the sum of the orders that the quote was made for, or,
// without a quote, what the payer will pay in all. They are stored as JSON, so their names are part of the schema.
type Terms struct {
	Channel        string `json:"channel"`
	ProductCode    string `json:"product_code"`
	ProductVersion int32  `json:"product_version"`
	TenorMonths    int32  `json:"tenor_months"`
	// Amount is the sum of the orders of a quote; the zero Amount without a quote.
	Amount money.Amount `json:"amount,omitzero"`
	// AgreedTotal is the plan's total without a quote; the zero Amount with one.
	AgreedTotal money.Amount `json:"agreed_total,omitzero"`
	// DownPaymentChannel is how the down payment is paid; empty when the plan asks for none.
	DownPaymentChannel string `json:"down_payment_channel,omitzero"`
}

// Check tells whether one of the two sums is there, and a plan.
func (t Terms) Check() error {
	if t.Amount.IsPositive() == t.AgreedTotal.IsPositive() || t.ProductCode == "" || t.ProductVersion < 1 || t.TenorMonths < 1 {
		return errs.Internal.New("the terms of a commit are incomplete")
	}
	return nil
}

// Quote is a locked choice of channel and plan. A checkout has one at most; choosing again replaces it.
type Quote struct {
	ID         ids.ID
	CheckoutID ids.ID
	UserID     string
	Terms      Terms
	// Plan is the plan as the bill service gave it. The payment service hands it on and does not read it.
	Plan       []byte
	ExpireTime time.Time
}

// Usable tells whether a commit by this user may use the quote with the given id now.
func (q Quote) Usable(userID string, id ids.ID, now time.Time) error {
	switch {
	case q.UserID != userID:
		return errs.NotFound.New("no such checkout")
	case q.ID != id:
		return errs.QuoteReplaced.New("a newer choice replaced this quote; use the quote of the last ConfirmPayChannel")
	case !now.Before(q.ExpireTime):
		return errs.QuoteExpired.New("the quote's time is over; choose the plan again with ConfirmPayChannel")
	default:
		return nil
	}
}

// Commit is one attempt to pay a checkout: the saga's durable memory.
type Commit struct {
	ID         ids.ID
	CheckoutID ids.ID
	UserID     string
	// Caller and RequestID name the request that waits for the outcome; RequestID is empty once it may be sent again. Fingerprint is
	// of the request's content.
	Caller, RequestID string
	Fingerprint       [32]byte
	Terms             Terms
	State             CommitState
	FailureReason     string
	FailureMessage    string
	Version           int64
	CreateTime        time.Time
	FinishTime        time.Time
	// EventID of the event that told the end; zero before.
	EventID ids.ID
	// RecoverTime is when the recovery worker takes over: soon, or when the down payment is too late; zero once the commit ended.
	RecoverTime time.Time
}

// Undecided tells whether the commit may still succeed or fail.
func (c Commit) Undecided() bool { return c.State == CommitStarted || c.State == CommitAwaitingCash }

// TooOld tells whether a commit that is not decided should be given up: its payer has left.
func (c Commit) TooOld(now time.Time, patience time.Duration) bool {
	return c.State == CommitStarted && now.Sub(c.CreateTime) > patience
}

// Failed gives the error that stopped the commit.
func (c Commit) Failed() *errs.Error {
	r, ok := errs.ByName(c.FailureReason)
	if !ok {
		r = errs.CommitAborted
	}
	return r.New("%s", c.FailureMessage)
}

// PaymentState is the stored state of a payment; the numbers are the contract's.
type PaymentState int8

// The states of a payment. CREATED, PROCESSING and FAILED are what callers see before a payment exists; they are not stored.
const (
	PaymentCreated    PaymentState = 1
	PaymentProcessing PaymentState = 2
	PaymentSucceeded  PaymentState = 3
	PaymentFailed     PaymentState = 4
	PaymentReversing  PaymentState = 5
	PaymentReversed   PaymentState = 6
)

// String is the state's name.
func (s PaymentState) String() string {
	switch s {
	case PaymentCreated:
		return "CREATED"
	case PaymentProcessing:
		return "PROCESSING"
	case PaymentSucceeded:
		return "SUCCEEDED"
	case PaymentFailed:
		return "FAILED"
	case PaymentReversing:
		return "REVERSING"
	case PaymentReversed:
		return "REVERSED"
	default:
		return "UNKNOWN"
	}
}

// PaymentStates is the table of legal moves of a payment.
var PaymentStates = statetable.MustNew("payment",
	statetable.Move[PaymentState]{From: PaymentCreated, To: PaymentProcessing, Cause: "commit started"},
	statetable.Move[PaymentState]{From: PaymentProcessing, To: PaymentSucceeded, Cause: "commit succeeded"},
	statetable.Move[PaymentState]{From: PaymentProcessing, To: PaymentFailed, Cause: "commit failed"},
	statetable.Move[PaymentState]{From: PaymentFailed, To: PaymentProcessing, Cause: "another commit"},
	statetable.Move[PaymentState]{From: PaymentSucceeded, To: PaymentReversing, Cause: "order cancelled before receipt"},
	statetable.Move[PaymentState]{From: PaymentReversing, To: PaymentReversed, Cause: "hold released and cash on its way back"},
)

// SeenState is what callers see of a commit.
func (s CommitState) SeenState() PaymentState {
	switch s {
	case CommitSucceeded:
		return PaymentSucceeded
	case CommitFailed:
		return PaymentFailed
	default:
		return PaymentProcessing
	}
}

// LegKind says what kind of money a leg carries; the numbers are the contract's ChannelKind.
type LegKind int8

// The kinds of legs.
const (
	LegCredit LegKind = 1
	LegCash   LegKind = 2
)

// LegState is the state of a leg; the numbers are the contract's.
type LegState int8

// The states of a leg.
const (
	LegPending   LegState = 1
	LegSucceeded LegState = 2
	LegFailed    LegState = 3
	LegReversed  LegState = 4
	LegReturning LegState = 5
)

// Leg is one part of a payment.
type Leg struct {
	Kind    LegKind
	Channel string
	Amount  money.Amount
	// Refunded is what refunds took out of it.
	Refunded  money.Amount
	State     LegState
	Reference string
}

// Payment is the payment of one order.
type Payment struct {
	ID         ids.ID
	OrderID    ids.ID
	CheckoutID ids.ID
	CommitID   ids.ID
	UserID     string
	MerchantID string
	Amount     money.Amount
	State      PaymentState
	Legs       []Leg
	Version    int64
	PayTime    time.Time
	// ReverseTime is zero until the payment is reversed.
	ReverseTime time.Time
}

// AsPaid is the payment as it was when its commit succeeded, whatever became of it since.
func (p Payment) AsPaid() Payment {
	p.State, p.Version, p.ReverseTime = PaymentSucceeded, 1, time.Time{}
	legs := make([]Leg, len(p.Legs))
	for i, l := range p.Legs {
		l.State, l.Refunded = LegSucceeded, money.Zero(l.Amount.Currency())
		legs[i] = l
	}
	p.Legs = legs
	return p
}

// Loan is what the bill service drafted for an order.
type Loan struct {
	OrderID ids.ID
	LoanID  string
	// DownPayment is the part of the order's amount that the loan does not finance; zero for none.
	DownPayment money.Amount
}

// Cash is the payment's cash leg; nil when it was paid by credit alone.
func (p Payment) Cash() *Leg { return p.Part(LegCash) }

// Succeed gives the payments that a commit makes, one per order: a credit leg over what is financed, and a cash leg over the
// order's share of the down payment. cash is the leg that collected the down payments; nil when none is asked for.
func (c Commit) Succeed(portions []Portion, cash *CashLeg, now time.Time) ([]Payment, error) {
	if err := CommitStates.Check(c.State, CommitSucceeded); err != nil {
		return nil, err
	}
	out := make([]Payment, len(portions))
	for i, x := range portions {
		o := x.Order
		financed, err := o.Amount.Sub(x.DownPayment)
		if err != nil {
			return nil, errs.Internal.Wrap(err, "the financed part cannot be told")
		}
		out[i] = Payment{
			ID: o.PaymentID, OrderID: o.OrderID, CheckoutID: c.CheckoutID, CommitID: c.ID, UserID: c.UserID, MerchantID: o.MerchantID,
			Amount: o.Amount, State: PaymentSucceeded, Version: 1, PayTime: now,
			Legs: []Leg{{Kind: LegCredit, Channel: ChannelCredit, Amount: financed, Refunded: money.Zero(financed.Currency()), State: LegSucceeded,
				Reference: x.LoanID}},
		}
		if !x.DownPayment.IsPositive() {
			continue
		}
		if cash == nil {
			return nil, errs.Internal.New("a down payment is asked for and no leg collected it")
		}
		out[i].Legs = append(out[i].Legs, Leg{Kind: LegCash, Channel: cash.Channel, Amount: x.DownPayment, Refunded: money.Zero(x.DownPayment.Currency()),
			State: LegSucceeded, Reference: ids.Format(ids.Leg, cash.ID)})
	}
	return out, nil
}

// ChannelCredit is the code of our own credit.
const ChannelCredit = "CREDIT"

// The chart of accounts of the payment service.
const (
	// AccountCreditClearing is what the bill service owes for purchases on credit until their loans are active; its own
	// CREDIT_CLEARING account mirrors it.
	AccountCreditClearing = "CREDIT_CLEARING"
	// AccountMerchantPayable is what the house owes a merchant for paid orders.
	AccountMerchantPayable = "MERCHANT_PAYABLE"
)

// PaidLines is the journal of a payment: the claims on credit and on cash against the debt to the merchant.
func (p Payment) PaidLines() []ledger.Line {
	none := money.Zero(p.Amount.Currency())
	lines := make([]ledger.Line, 0, len(p.Legs)+1)
	for _, l := range p.Legs {
		account := AccountCreditClearing
		if l.Kind == LegCash {
			account = AccountCashClearing
		}
		lines = append(lines, ledger.Line{Account: account, Party: p.UserID, Debit: l.Amount, Credit: none})
	}
	return append(lines, ledger.Line{Account: AccountMerchantPayable, Party: p.MerchantID, Debit: none, Credit: p.Amount})
}
