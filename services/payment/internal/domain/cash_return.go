package domain

import (
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/ledger"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/statetable"
)

// ReturnState is the stored state of a return. Numbers are never reused; where a state of a leg means the same, so does its number.
type ReturnState int8

// The states of a return.
const (
	// ReturnFailed is what the marketplace could not give back. The payer is still owed it.
	ReturnFailed ReturnState = 3
	// ReturnReturned is what the payer has.
	ReturnReturned ReturnState = 4
	// ReturnReturning is what the marketplace was asked to give back; nothing is known of it yet.
	ReturnReturning ReturnState = 5
	// ReturnAbandoned is what an operator says that the payer does not get this way.
	ReturnAbandoned ReturnState = 6
)

// String is the state's name.
func (s ReturnState) String() string {
	switch s {
	case ReturnFailed:
		return "FAILED"
	case ReturnReturned:
		return "RETURNED"
	case ReturnReturning:
		return "RETURNING"
	case ReturnAbandoned:
		return "ABANDONED"
	default:
		return "UNKNOWN"
	}
}

// ReturnStates is the table of legal moves of a return. What the marketplace says that it gave back, it gave back, whatever was
// believed before: money moved.
var ReturnStates = statetable.MustNew("cash_return",
	statetable.Move[ReturnState]{From: ReturnReturning, To: ReturnReturned, Cause: "given back or its repayment bounced"},
	statetable.Move[ReturnState]{From: ReturnReturning, To: ReturnFailed, Cause: "could not be given back"},
	statetable.Move[ReturnState]{From: ReturnReturning, To: ReturnReturning, Cause: "asked once more"},
	statetable.Move[ReturnState]{From: ReturnFailed, To: ReturnReturning, Cause: "asked for again"},
	statetable.Move[ReturnState]{From: ReturnFailed, To: ReturnReturned, Cause: "given back after all or another way"},
	statetable.Move[ReturnState]{From: ReturnFailed, To: ReturnAbandoned, Cause: "ended by an operator"},
	statetable.Move[ReturnState]{From: ReturnAbandoned, To: ReturnReturned, Cause: "given back after all"},
	statetable.Move[ReturnState]{From: ReturnReturned, To: ReturnReturned, Cause: "given back once more"},
)

// AsLeg is the state as who asks for a leg sees it.
func (s ReturnState) AsLeg() LegState {
	switch s {
	case ReturnReturned:
		return LegReversed
	case ReturnReturning:
		return LegReturning
	default:
		return LegFailed
	}
}

// Share is the state of the cash leg of a cancelled order's payment: on its way back for as long as the payer is owed it.
func (s ReturnState) Share() LegState {
	switch s {
	case ReturnReturned:
		return LegReversed
	case ReturnAbandoned:
		return LegFailed
	default:
		return LegReturning
	}
}

// Resolution says what ended a return, if the marketplace's word did not. Numbers are stored.
type Resolution int8

// The resolutions.
const (
	// NotResolved is a return that only the marketplace's word ends.
	NotResolved Resolution = 0
	// ResolvedElsewhere is an operator's word that the payer got it another way.
	ResolvedElsewhere Resolution = 1
	// ResolvedAbandoned is an operator's word that the payer does not get it this way; it becomes credit balance in the bill service.
	ResolvedAbandoned Resolution = 2
	// ResolvedByBounce is a part of a repayment that went back as a whole.
	ResolvedByBounce Resolution = 3
)

// CashReturn is a part of a leg's money that is given back: the share of a cancelled order, or a part that was refunded. It has a
// reference of its own: parts of one leg may have equal amounts, and a notification must say which of them went back.
type CashReturn struct {
	// ID is the reference that notifications about it name.
	ID ids.ID
	// LegID is the leg that it is a part of.
	LegID ids.ID
	// PaymentID and OrderID are of the payment whose cash goes back; zero for a part of a repayment.
	PaymentID, OrderID ids.ID
	// RefundID of the refund; zero for a cancelled order's share. A payment has one return without a refund, a refund one of each leg.
	RefundID   ids.ID
	Amount     money.Amount
	State      ReturnState
	Version    int64
	CreateTime time.Time
	// AskTime is when the marketplace was asked last, by the event EventID.
	AskTime time.Time
	EventID ids.ID
	// GivenTime is when the marketplace said that it gave it back; zero before.
	GivenTime time.Time
	// Resolution with who, why and when.
	Resolution      Resolution
	Actor, Evidence string
	ResolveTime     time.Time
	// KeepTime is when an abandoned part of a down payment became credit balance; zero before.
	KeepTime time.Time
}

// Kept tells whether the payment service itself sees to it that an abandoned return becomes credit balance: of a down payment. A
// repayment's part belongs to its refund, which the bill service knows.
func (r CashReturn) Kept(leg CashLeg) bool {
	return r.Resolution == ResolvedAbandoned && leg.Kind == CashDownPayment
}

// Open tells whether the payer is owed it.
func (r CashReturn) Open() bool { return r.State == ReturnReturning || r.State == ReturnFailed }

// ReturnTime is when the payer got it; zero before.
func (r CashReturn) ReturnTime() time.Time {
	switch {
	case r.State != ReturnReturned:
		return time.Time{}
	case r.Resolution == ResolvedElsewhere || r.Resolution == ResolvedByBounce:
		return r.ResolveTime
	default:
		return r.GivenTime
	}
}

// AsLeg is the return as callers see it: a leg with its own reference and amount.
func (r CashReturn) AsLeg(of CashLeg) CashLeg {
	of.ID, of.Amount, of.State, of.Version = r.ID, r.Amount, r.State.AsLeg(), r.Version
	of.CreateTime, of.UpdateTime = r.CreateTime, r.CreateTime
	return of
}

// CashReturnMoved says that a return was asked for, or went into another state.
type CashReturnMoved struct {
	// Return in its new state, Leg what it is a part of.
	Return CashReturn
	Leg    CashLeg
	// From is the state before; zero when it was asked for first.
	From ReturnState
	// Cause and Lines are what the books say; no lines when nothing changes in them.
	Cause string
	Lines []ledger.Line
}

// AsLegMoved is how the marketplace and the payer's page see the move of a cancelled order's share.
func (m CashReturnMoved) AsLegMoved() CashLegMoved {
	from := m.From.AsLeg()
	if m.From == 0 {
		from = LegSucceeded
	}
	return CashLegMoved{Leg: m.Return.AsLeg(m.Leg), From: from}
}

// moved is the return in another state; cause, debit and credit are its journal over the whole amount, empty for none.
func (r CashReturn) moved(leg CashLeg, to ReturnState, cause, debit, credit string) CashReturnMoved {
	m := CashReturnMoved{Return: r, Leg: leg, From: r.State, Cause: cause}
	m.Return.State, m.Return.Version = to, r.Version+1
	if cause != "" {
		m.Lines = transfer(debit, credit, leg.UserID, r.Amount)
	}
	return m
}

// Hear judges a notification about the return; the move is nil when it changes nothing.
func (r CashReturn) Hear(n Notice, leg CashLeg, now time.Time) (Outcome, *CashReturnMoved) {
	switch {
	case n.Status == CashFailed:
		return r.hearFailed(leg)
	case n.Status != CashRefunded:
		return OutcomeContradiction, nil
	case !n.moves(r.Amount):
		return OutcomeMismatch, nil
	case !r.GivenTime.IsZero():
		return OutcomeRepeated, nil
	}
	outcome, m := OutcomeApplied, r.moved(leg, ReturnReturned, "CASH_GIVEN_BACK", AccountCashReturnable, AccountCashClearing)
	if !r.Open() {
		outcome, m = OutcomeTwice, r.moved(leg, ReturnReturned, "CASH_GIVEN_TWICE", AccountCashOverpaid, AccountCashClearing)
	}
	m.Return.GivenTime = now
	return outcome, &m
}

// hearFailed: it may be of an earlier try, and is no news of what was ended another way because of it.
func (r CashReturn) hearFailed(leg CashLeg) (Outcome, *CashReturnMoved) {
	switch {
	case r.State == ReturnReturning:
		m := r.moved(leg, ReturnFailed, "", "", "")
		return OutcomeApplied, &m
	case !r.GivenTime.IsZero():
		return OutcomeContradiction, nil
	default:
		return OutcomeRepeated, nil
	}
}

// DueTime is when the marketplace is asked once more because it said nothing; the zero time when it need not be.
func (r CashReturn) DueTime() time.Time {
	if r.State != ReturnReturning {
		return time.Time{}
	}
	return askAgainTime(r.CreateTime, r.AskTime)
}

// Tick asks the marketplace once more, under the same reference, when it said nothing for long enough; nil otherwise.
func (r CashReturn) Tick(leg CashLeg, now time.Time) *CashReturnMoved {
	due := r.DueTime()
	if due.IsZero() || now.Before(due) {
		return nil
	}
	m := r.moved(leg, ReturnReturning, "", "", "")
	m.Return.AskTime = now
	return &m
}

// AskAgain asks the marketplace once more for what failed. Errors: ORDER_STATE_INVALID.
func (r CashReturn) AskAgain(leg CashLeg, now time.Time) (*CashReturnMoved, error) {
	if r.State != ReturnFailed {
		return nil, errs.OrderStateInvalid.New("the return is %s; only one that failed can be asked for again", r.State)
	}
	m := r.moved(leg, ReturnReturning, "", "", "")
	m.Return.AskTime = now
	return &m, nil
}

// Ruling is an operator's word that ends a return.
type Ruling struct {
	// Resolution is ResolvedElsewhere or ResolvedAbandoned.
	Resolution      Resolution
	Actor, Evidence string
}

// Resolve ends a return that failed; the move is nil when the same was said before. Errors: ORDER_STATE_INVALID.
func (r CashReturn) Resolve(by Ruling, leg CashLeg, now time.Time) (*CashReturnMoved, error) {
	switch {
	case r.Resolution != NotResolved && r.Resolution == by.Resolution:
		return nil, nil
	case r.State != ReturnFailed:
		return nil, errs.OrderStateInvalid.New("the return is %s; only one that failed can be ended by an operator", r.State)
	}
	m := r.moved(leg, ReturnReturned, "CASH_PAID_OUT", AccountCashReturnable, AccountCashPaidOut)
	if by.Resolution == ResolvedAbandoned {
		m = r.moved(leg, ReturnAbandoned, "CASH_KEPT", AccountCashReturnable, AccountRepaymentClearing)
	}
	m.Return.Resolution, m.Return.Actor, m.Return.Evidence, m.Return.ResolveTime = by.Resolution, by.Actor, by.Evidence, now
	return &m, nil
}

// Bounce is what a repayment's bounce does besides moving the leg.
type Bounce struct {
	// Lines take back what the books have of the leg.
	Lines []ledger.Line
	// Ended are the returns that were under way: the payer has the money by the bounce.
	Ended []CashReturnMoved
	// Twice says that the payer has more than there was.
	Twice bool
}

// BounceOf is the bounce of a leg; returns are all that were asked for of it. The marketplace gave the whole amount back. What was on
// its way back has arrived by that, what had arrived before has arrived twice, and the rest is what the bill service had of it.
// Errors: CONCURRENT_CHANGE when returns are missing.
func BounceOf(leg CashLeg, returns []CashReturn, now time.Time) (Bounce, error) {
	cur := leg.Amount.Currency()
	had, asked, owed, twice := leg.Amount.Minor(), leg.Returned.Minor(), int64(0), int64(0)
	var b Bounce
	for _, r := range returns {
		asked -= r.Amount.Minor()
		if r.Resolution == ResolvedAbandoned {
			continue // The bill service has it again.
		}
		had -= r.Amount.Minor()
		if !r.Open() {
			twice += r.Amount.Minor()
			continue
		}
		owed += r.Amount.Minor()
		m := r.moved(leg, ReturnReturned, "", "", "")
		m.Return.Resolution, m.Return.ResolveTime = ResolvedByBounce, now
		b.Ended = append(b.Ended, m)
	}
	if asked != 0 {
		return b, errs.ConcurrentChange.New("returns of the repayment are asked for at the same time")
	}
	none := money.Zero(cur)
	for _, x := range []struct {
		account string
		minor   int64
	}{{AccountRepaymentClearing, had}, {AccountCashReturnable, owed}, {AccountCashOverpaid, twice}} {
		b.Lines = append(b.Lines, ledger.Line{Account: x.account, Party: leg.UserID, Debit: money.New(x.minor, cur), Credit: none})
	}
	b.Lines = append(b.Lines, ledger.Line{Account: AccountCashClearing, Party: leg.UserID, Debit: none, Credit: leg.Amount})
	b.Twice = twice > 0
	return b, nil
}

// Left is what no return was asked for yet.
func (l CashLeg) Left() money.Amount {
	return money.New(l.Amount.Minor()-l.Returned.Minor(), l.Amount.Currency())
}

// MayReturn tells whether a part of a repayment can go back. Errors: ORDER_STATE_INVALID, INVALID_ARGUMENT, REFUND_EXCEEDS_BUDGET.
func (l CashLeg) MayReturn(a money.Amount) error {
	switch {
	case l.State != LegSucceeded:
		return errs.OrderStateInvalid.New("the repayment's money is not there: its leg is %s", l.State)
	case a.Currency() != l.Amount.Currency():
		return errs.InvalidArgument.New("the repayment has another currency").With("field", "amount")
	case a.Minor() > l.Left().Minor():
		return errs.RefundExceedsBudget.New("the repayment has %s left to give back", l.Left())
	default:
		return nil
	}
}

// ReturnedLines is the journal of a part of a repayment that is to go back: the bill service's books have it no longer.
func (l CashLeg) ReturnedLines(a money.Amount) []ledger.Line {
	return transfer(AccountRepaymentClearing, AccountCashReturnable, l.UserID, a)
}
