package domain

import (
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/ledger"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/statetable"
)

// CashKind says what a cash leg pays; the numbers are the contract's ExternalLegKind.
type CashKind int8

// The kinds of cash legs.
const (
	// CashDownPayment pays the part of a purchase that its plan does not finance; its subject is a commit.
	CashDownPayment CashKind = 1
	// CashRepayment pays bills; its subject is a repayment of the bill service.
	CashRepayment CashKind = 2
)

// Subject is the prefix of the ids of what legs of this kind pay.
func (k CashKind) Subject() ids.Prefix {
	if k == CashRepayment {
		return ids.Repayment
	}
	return ids.Commit
}

// LegStates is the table of legal moves of a cash leg. A leg fails before it is given back, so that who waits for it hears first
// that it need not wait any longer.
var LegStates = statetable.MustNew("cash_leg",
	statetable.Move[LegState]{From: LegPending, To: LegSucceeded, Cause: "paid in time"},
	statetable.Move[LegState]{From: LegPending, To: LegFailed, Cause: "reported as failed or too late or withdrawn"},
	statetable.Move[LegState]{From: LegFailed, To: LegReturning, Cause: "paid after all"},
	statetable.Move[LegState]{From: LegFailed, To: LegReversed, Cause: "given back before it was reported as paid"},
	statetable.Move[LegState]{From: LegSucceeded, To: LegReversed, Cause: "repayment bounced"},
	statetable.Move[LegState]{From: LegReturning, To: LegReversed, Cause: "given back"},
	statetable.Move[LegState]{From: LegReturning, To: LegReturning, Cause: "asked once more"},
)

// String is the state's name.
func (s LegState) String() string {
	switch s {
	case LegPending:
		return "PENDING"
	case LegSucceeded:
		return "SUCCEEDED"
	case LegFailed:
		return "FAILED"
	case LegReversed:
		return "REVERSED"
	case LegReturning:
		return "RETURNING"
	default:
		return "UNKNOWN"
	}
}

// The pauses after which the marketplace is asked once more for money of which it said nothing: as long as it has been silent, an hour
// at least and a day at most.
const (
	askPauseMin = time.Hour
	askPauseMax = 24 * time.Hour
)

// askAgainTime is when money is asked for once more that was asked for first and last at these times.
func askAgainTime(first, last time.Time) time.Time {
	return last.Add(min(max(last.Sub(first), askPauseMin), askPauseMax))
}

// CashLeg is money that the marketplace collects from a payer for us. Its id is the reference that notifications name.
type CashLeg struct {
	ID ids.ID
	// Kind says what it pays, SubjectID which: a commit or a repayment. A subject has one leg.
	Kind      CashKind
	SubjectID ids.ID
	UserID    string
	// CheckoutID of a down payment; zero for a repayment.
	CheckoutID ids.ID
	Channel    string
	Amount     money.Amount
	// Returned is what returns were asked for of it, whatever became of them.
	Returned   money.Amount
	State      LegState
	Version    int64
	CreateTime time.Time
	// ExpireTime is until when it may be paid; what comes later is given back.
	ExpireTime time.Time
	// PayTime is when the money moved; zero before.
	PayTime time.Time
	// UpdateTime of the last move.
	UpdateTime time.Time
}

// DueTime is when a timer must look at the leg: when a pending repayment is over, or when money on its way back is asked for once more.
// A down payment's time is its commit's.
func (l CashLeg) DueTime() time.Time {
	switch {
	case l.State == LegReturning:
		return askAgainTime(l.PayTime, l.UpdateTime)
	case l.State == LegPending && l.Kind == CashRepayment:
		return l.ExpireTime
	default:
		return time.Time{}
	}
}

// Tick is the leg's move by time alone; nil when there is none now.
func (l CashLeg) Tick(now time.Time) (*CashLegMoved, error) {
	due := l.DueTime()
	if due.IsZero() || now.Before(due) {
		return nil, nil
	}
	to := LegFailed
	if l.State == LegReturning {
		to = LegReturning
	}
	moves, err := l.Walk([]LegState{to}, l.PayTime, now)
	if err != nil {
		return nil, err
	}
	return &moves[0], nil
}

// CashStatus is what a notification says of a leg; the numbers are the contract's ExternalLegStatus.
type CashStatus int8

// What notifications say.
const (
	CashPaid     CashStatus = 1
	CashFailed   CashStatus = 2
	CashRefunded CashStatus = 3
)

// String is the status's name.
func (s CashStatus) String() string {
	switch s {
	case CashPaid:
		return "PAID"
	case CashFailed:
		return "FAILED"
	case CashRefunded:
		return "REFUNDED"
	default:
		return "UNKNOWN"
	}
}

// Notice is a notification as it came; nothing in it is believed unseen.
type Notice struct {
	// Reference is a leg's or a return's id.
	Reference ids.ID
	Kind      CashKind
	Status    CashStatus
	// Minor and Currency are what moved, by the sender's account.
	Minor    int64
	Currency string
	// PayTime is when it moved; zero when it does not say.
	PayTime time.Time
}

func (n Notice) moves(a money.Amount) bool {
	return n.Minor == a.Minor() && n.Currency == a.Currency().Code()
}

// Outcome is what became of a notification. The names are stored.
type Outcome string

// The outcomes.
const (
	// OutcomeApplied moved the leg.
	OutcomeApplied Outcome = "APPLIED"
	// OutcomeRepeated said what was known.
	OutcomeRepeated Outcome = "REPEATED"
	// OutcomeMismatch names another amount or currency; nothing moved.
	OutcomeMismatch Outcome = "MISMATCH"
	// OutcomeLate is money that came when it was no longer wanted; it is given back.
	OutcomeLate Outcome = "LATE"
	// OutcomeContradiction cannot be true after what was heard before; nothing moved.
	OutcomeContradiction Outcome = "CONTRADICTION"
	// OutcomeTwice moved money that the payer had already; an operator must look after it.
	OutcomeTwice Outcome = "TWICE"
)

// Verdict is what a notification means for a leg: its outcome, and the states that the leg goes through.
type Verdict struct {
	Outcome Outcome
	To      []LegState
}

// Hear judges a notification about the leg at the given time.
func (l CashLeg) Hear(n Notice, now time.Time) Verdict {
	if n.Status != CashFailed && !n.moves(l.Amount) {
		return Verdict{Outcome: OutcomeMismatch}
	}
	switch n.Status {
	case CashPaid:
		return l.hearPaid(n, now)
	case CashFailed:
		switch l.State {
		case LegPending:
			return Verdict{OutcomeApplied, []LegState{LegFailed}}
		case LegFailed:
			return Verdict{Outcome: OutcomeRepeated}
		default:
			return Verdict{Outcome: OutcomeContradiction}
		}
	case CashRefunded:
		return l.hearRefunded()
	default:
		return Verdict{Outcome: OutcomeContradiction}
	}
}

func (l CashLeg) hearPaid(n Notice, now time.Time) Verdict {
	switch l.State {
	case LegPending:
		if l.PaidAt(n, now).Before(l.ExpireTime) {
			return Verdict{OutcomeApplied, []LegState{LegSucceeded}}
		}
		return Verdict{OutcomeLate, []LegState{LegFailed, LegReturning}}
	case LegFailed:
		return Verdict{OutcomeLate, []LegState{LegReturning}}
	default:
		return Verdict{Outcome: OutcomeRepeated}
	}
}

// hearRefunded: money that was given back before we heard that it was paid will not come any more; were the leg left open, the
// older notification of the payment would be taken for money that is there.
func (l CashLeg) hearRefunded() Verdict {
	switch {
	case l.State == LegPending:
		return Verdict{OutcomeApplied, []LegState{LegFailed, LegReversed}}
	case l.State == LegFailed, l.State == LegReturning, l.State == LegSucceeded && l.Kind == CashRepayment:
		return Verdict{OutcomeApplied, []LegState{LegReversed}}
	case l.State == LegReversed:
		return Verdict{Outcome: OutcomeRepeated}
	default:
		// A down payment whose orders are paid: the marketplace gave back what the merchants are owed for.
		return Verdict{Outcome: OutcomeContradiction}
	}
}

// PaidAt is when a notification's money moved: by its own account where that is possible, between the leg's opening and now.
func (l CashLeg) PaidAt(n Notice, now time.Time) time.Time {
	switch {
	case n.PayTime.IsZero() || n.PayTime.After(now):
		return now
	case n.PayTime.Before(l.CreateTime):
		return l.CreateTime
	default:
		return n.PayTime
	}
}

// Walk gives the leg's moves through these states. paid is when the money moved, for the moves that mean that it did.
func (l CashLeg) Walk(to []LegState, paid, now time.Time) ([]CashLegMoved, error) {
	moves := make([]CashLegMoved, 0, len(to))
	for _, state := range to {
		if err := LegStates.Check(l.State, state); err != nil {
			return nil, err
		}
		next := l
		next.State, next.Version, next.UpdateTime = state, l.Version+1, now
		if state == LegSucceeded || state == LegReturning {
			next.PayTime = paid
		}
		moves = append(moves, CashLegMoved{Leg: next, From: l.State})
		l = next
	}
	return moves, nil
}

// Portion is what a commit does for one order once its cash is there.
type Portion struct {
	Order  PayableOrder
	LoanID string
	// DownPayment is the part that is paid in cash: from zero to less than the order's amount.
	DownPayment money.Amount
}

// PortionsOf joins the orders of a commit with the loans drafted for them.
func PortionsOf(orders []PayableOrder, loans []Loan) ([]Portion, error) {
	byOrder := make(map[ids.ID]Loan, len(loans))
	for _, l := range loans {
		byOrder[l.OrderID] = l
	}
	out := make([]Portion, len(orders))
	for i, o := range orders {
		loan, ok := byOrder[o.OrderID]
		if !ok {
			return nil, errs.Internal.New("the reservation misses an order of the commit")
		}
		down := loan.DownPayment
		if down.IsZero() {
			down = money.Zero(o.Amount.Currency())
		}
		if down.Currency() != o.Amount.Currency() || down.IsNegative() || down.Minor() >= o.Amount.Minor() {
			return nil, errs.Internal.New("the down payment %s is no part of the order's %s", down, o.Amount)
		}
		out[i] = Portion{Order: o, LoanID: loan.LoanID, DownPayment: down}
	}
	return out, nil
}

// CashOf is the sum of the down payments.
func CashOf(portions []Portion) (money.Amount, error) {
	var sum money.Amount
	for i, p := range portions {
		if i == 0 {
			sum = p.DownPayment
			continue
		}
		var err error
		if sum, err = sum.Add(p.DownPayment); err != nil {
			return sum, errs.Internal.Wrap(err, "the down payments cannot be added up")
		}
	}
	return sum, nil
}

// The accounts of cash.
const (
	// AccountCashClearing is what the marketplace holds of payers' money for us.
	AccountCashClearing = "CASH_CLEARING"
	// AccountCashReturnable is what payers get back through the marketplace.
	AccountCashReturnable = "CASH_RETURNABLE"
	// AccountRepaymentClearing is cash that arrived for repayments, or that could not go back to a payer; the bill service's own books
	// take it from there, as what loans were repaid or as credit balance.
	AccountRepaymentClearing = "REPAYMENT_CLEARING"
	// AccountCashPaidOut is what payers got back another way by an operator's word, until it is settled with the marketplace.
	AccountCashPaidOut = "CASH_PAID_OUT"
	// AccountCashOverpaid is what payers got twice, until an operator recovers it or finds that it was once.
	AccountCashOverpaid = "CASH_OVERPAID"
)

// Bounces tells whether a repayment that had arrived went back as a whole.
func (m CashLegMoved) Bounces() bool { return m.From == LegSucceeded && m.Leg.State == LegReversed }

// Journal gives cause and lines of a leg's move; no lines when no money moved, or when the commit's payments book it. Of a bounce
// it gives the cause, the lines are BounceOf's.
func (m CashLegMoved) Journal() (cause string, lines []ledger.Line) {
	l := m.Leg
	switch {
	case l.State == LegSucceeded && l.Kind == CashRepayment:
		return "REPAYMENT_ARRIVED", transfer(AccountCashClearing, AccountRepaymentClearing, l.UserID, l.Amount)
	case m.Bounces():
		return "REPAYMENT_BOUNCED", nil
	case l.State == LegReturning && m.From == LegFailed:
		return "CASH_CAME_LATE", transfer(AccountCashClearing, AccountCashReturnable, l.UserID, l.Amount)
	case l.State == LegReversed && m.From == LegReturning:
		return "CASH_GIVEN_BACK", transfer(AccountCashReturnable, AccountCashClearing, l.UserID, l.Amount)
	default:
		return "", nil
	}
}

// transfer debits one account of a user and credits another.
func transfer(debit, credit, userID string, a money.Amount) []ledger.Line {
	none := money.Zero(a.Currency())
	return []ledger.Line{
		{Account: debit, Party: userID, Debit: a, Credit: none},
		{Account: credit, Party: userID, Debit: none, Credit: a},
	}
}
