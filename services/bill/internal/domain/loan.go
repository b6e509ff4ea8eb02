package domain

import (
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/statetable"
)

// LoanState is the state of a loan. The numbers are stored and equal
// creditpay.bill.v1.LoanState.
type LoanState uint8

const (
	// LoanDraft holds the limit; the goods are not confirmed, so nothing is owed.
	LoanDraft LoanState = 1
	// LoanActive runs.
	LoanActive LoanState = 2
	// LoanOverdue has at least one overdue instalment.
	LoanOverdue LoanState = 3
	// LoanSettled is paid off.
	LoanSettled LoanState = 4
	// LoanVoid was taken back before it began.
	LoanVoid LoanState = 5
	// LoanWrittenOff was given up.
	LoanWrittenOff LoanState = 6
)

// String is the name, such as "DRAFT".
func (s LoanState) String() string {
	return nameOf([]string{"", "DRAFT", "ACTIVE", "OVERDUE", "SETTLED", "VOID", "WRITTEN_OFF"}, uint8(s), "LOAN_STATE")
}

// LoanStates are the legal moves of a loan.
var LoanStates = statetable.MustNew("loan",
	statetable.Move[LoanState]{From: LoanDraft, To: LoanActive, Cause: "goods confirmed"},
	statetable.Move[LoanState]{From: LoanDraft, To: LoanVoid, Cause: "purchase taken back"},
	statetable.Move[LoanState]{From: LoanActive, To: LoanOverdue, Cause: "an instalment is overdue"},
	statetable.Move[LoanState]{From: LoanActive, To: LoanSettled, Cause: "paid off or fully refunded"},
	statetable.Move[LoanState]{From: LoanActive, To: LoanWrittenOff, Cause: "operator gives it up"},
	statetable.Move[LoanState]{From: LoanOverdue, To: LoanActive, Cause: "overdue instalments are paid"},
	statetable.Move[LoanState]{From: LoanOverdue, To: LoanSettled, Cause: "paid off or fully refunded"},
	statetable.Move[LoanState]{From: LoanOverdue, To: LoanWrittenOff, Cause: "operator gives it up"},
	statetable.Move[LoanState]{From: LoanSettled, To: LoanActive, Cause: "a repayment bounced"},
	statetable.Move[LoanState]{From: LoanSettled, To: LoanOverdue, Cause: "a repayment bounced and an instalment is overdue"},
)

// Loan is the credit leg of one order.
type Loan struct {
	// ID is written "lon_…", OrderID "ord_…", CommitID "cmt_…": the commit that it
	// was reserved for. AccountID is the credit line it draws on, "acc_…".
	ID, AccountID, OrderID, CommitID ids.ID
	// UserID, MerchantID and Business are as the marketplace names them.
	UserID, MerchantID, Business string
	// State decides what may happen next.
	State LoanState
	// Plan is what is owed and when; its due dates are real once the loan is active.
	Plan Plan
	// Outstanding is the principal not yet repaid: nothing in a draft, for a hold is
	// not a debt.
	Outstanding money.Amount
	// DraftTime is when the limit was held, ActivateTime when the loan became
	// active, EndTime when it was voided, settled or written off; zero before.
	DraftTime, ActivateTime, EndTime time.Time
	// Version is the row's; the store raises it.
	Version int64
}

// LoanOrigin is what a loan is drafted from.
type LoanOrigin struct {
	LoanID, AccountID, OrderID, CommitID ids.ID
	UserID, MerchantID, Business         string
}

// Draft is a new loan in LoanDraft with a plan made by BuildPlan, whose due dates
// are those of a confirmation today until the goods are confirmed.
// It fails with errs.InvalidArgument when the origin is incomplete, and with
// ErrInvariant for a plan that does not add up.
func Draft(origin LoanOrigin, plan Plan, at time.Time) (Loan, error) {
	if origin.LoanID.IsZero() || origin.AccountID.IsZero() || origin.OrderID.IsZero() || origin.CommitID.IsZero() ||
		origin.UserID == "" || origin.MerchantID == "" || origin.Business == "" || at.IsZero() {
		return Loan{}, errs.InvalidArgument.New("a loan needs its ids, user, merchant, business and time")
	}
	loan := Loan{
		ID: origin.LoanID, AccountID: origin.AccountID, OrderID: origin.OrderID, CommitID: origin.CommitID,
		UserID: origin.UserID, MerchantID: origin.MerchantID, Business: origin.Business,
		State: LoanDraft, Plan: plan, Outstanding: money.Zero(plan.Principal.Currency()), DraftTime: at,
	}
	if err := loan.Check(); err != nil {
		return Loan{}, err
	}
	return loan, nil
}

// Activate is the loan running from date (the day of at in the product's zone):
// due dates are set, the principal is outstanding. Where interest depends on dates
// (Product.DayCount) the plan is computed again. p must be the product version
// of the plan, else ErrInvariant. A loan that is not a draft is
// errs.LoanStateInvalid. l is not changed.
func (l Loan) Activate(at time.Time, date civil.Date, p Product) (Loan, error) {
	if p.Code != l.Plan.ProductCode || p.Version != l.Plan.ProductVersion {
		return l, broken("loan %s of %s version %d activated with %s version %d",
			l.ID, l.Plan.ProductCode, l.Plan.ProductVersion, p.Code, p.Version)
	}
	next, err := l.move(LoanActive)
	if err != nil {
		return l, err
	}
	if next.Plan, err = l.Plan.startedOn(p, date); err != nil {
		return l, err
	}
	next.Outstanding, next.ActivateTime = l.Plan.Principal, at
	if err := next.Check(); err != nil {
		return l, err
	}
	return next, nil
}

// Void is the draft taken back. A loan that is not a draft is
// errs.LoanStateInvalid.
func (l Loan) Void(at time.Time) (Loan, error) {
	next, err := l.move(LoanVoid)
	if err != nil {
		return l, err
	}
	next.EndTime = at
	if err := next.Check(); err != nil {
		return l, err
	}
	return next, nil
}

// Follow is the loan in the state of its position: state, outstanding principal
// and, when it ends or begins again, the end time. It fails with
// errs.LoanStateInvalid for a move that the table does not have, and with
// ErrInvariant for a position of another loan. l is not changed.
func (l Loan) Follow(p Position, at time.Time) (Loan, error) {
	if p.Charged.Principal != l.Plan.Principal {
		return l, broken("loan %s of %s follows a position of %s", l.ID, l.Plan.Principal, p.Charged.Principal)
	}
	next := l
	if p.State != l.State {
		var err error
		if next, err = l.move(p.State); err != nil {
			return l, err
		}
		next.EndTime = time.Time{}
		if p.State == LoanSettled || p.State == LoanWrittenOff {
			next.EndTime = at
		}
	}
	next.Outstanding = p.Open.Principal
	if err := next.Check(); err != nil {
		return l, err
	}
	return next, nil
}

// move is the loan in another state, or errs.LoanStateInvalid with the state in
// the metadata.
func (l Loan) move(to LoanState) (Loan, error) {
	if err := LoanStates.Check(l.State, to); err != nil {
		return l, errs.LoanStateInvalid.Wrap(err, "the loan is %s and cannot become %s", l.State, to).
			With("state", l.State.String())
	}
	l.State = to
	return l, nil
}

// Check returns nil when the loan's figures agree with each other and with its
// state. Run it before INSERT and after SELECT. It fails with ErrInvariant.
func (l Loan) Check() error {
	if err := l.Plan.Check(); err != nil {
		return err
	}
	running := l.State == LoanActive || l.State == LoanOverdue
	begun := running || l.State == LoanSettled || l.State == LoanWrittenOff
	ended := l.State == LoanSettled || l.State == LoanVoid || l.State == LoanWrittenOff
	switch {
	case l.State < LoanDraft || l.State > LoanWrittenOff:
		return broken("loan %s is in %s", l.ID, l.State)
	case l.Outstanding.Currency() != l.Plan.Principal.Currency():
		return broken("loan %s of %s has %s outstanding", l.ID, l.Plan.Principal, l.Outstanding)
	case l.Outstanding.IsNegative() || l.Outstanding.Minor() > l.Plan.Principal.Minor():
		return broken("loan %s of %s has %s outstanding", l.ID, l.Plan.Principal, l.Outstanding)
	case !l.Outstanding.IsZero() && !running && l.State != LoanWrittenOff:
		return broken("loan %s is %s with %s outstanding", l.ID, l.State, l.Outstanding)
	case l.DraftTime.IsZero() || l.ActivateTime.IsZero() == begun || l.EndTime.IsZero() == ended:
		return broken("loan %s is %s with times %s, %s, %s", l.ID, l.State, l.DraftTime, l.ActivateTime, l.EndTime)
	default:
		return nil
	}
}
