package domain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// ApprovalTime is how long a refund waits for its approvers.
const ApprovalTime = 7 * 24 * time.Hour

// Refund is a part of an order's price that goes back.
type Refund struct {
	ID, OrderID        ids.ID
	MerchantID, UserID string
	// Requester is who asked, "SPM:marketplace" or "ADMIN:alice"; OutRefundNo is the requester's number, empty for an operator's.
	Requester, OutRefundNo string
	// Amount is what is refunded; Share is its parts.
	Amount money.Amount
	Share  Share
	// ReasonCode is from the list of the contract, Reason the words.
	ReasonCode int32
	Reason     string
	State      State
	Step       Step
	// ApprovalsNeeded is how many people must approve it. Approvals are those of the current snapshot.
	ApprovalsNeeded int
	Approvals       []Approval
	// Snapshot numbers what was frozen to be approved, 1 for the first.
	Snapshot int
	// Effect is what it would do when it was frozen, and what it did once its plan was adjusted.
	Effect Effect
	// OrderState is the order's state when Effect was frozen.
	OrderState string
	// OutOrderNo is the marketplace's number of the order.
	OutOrderNo string
	// NotifyURL is where the marketplace wants to be told of the order, for this service's events only; empty for nowhere.
	NotifyURL string
	// CheckoutID is the order's checkout; zero for a refund of before sums went by it.
	CheckoutID ids.ID
	// Day is the business day on which it was asked for, Sum the largest of the sums by which its approvers were found; not set for a refund
	// that nobody could have to approve, and one of before.
	Day civil.Date
	Sum money.Amount
	// Legs are the ways by which cash goes back; known once the plan was adjusted.
	Legs []Leg
	// Failure is why it failed or was refused.
	Failure string
	// Attempts counts tries of the current step in a row that brought no answer.
	Attempts int
	// CreateTime is when it was asked for, ExpireTime until when it may be approved, FinishTime when it ended; zero where there is none.
	CreateTime, ExpireTime, FinishTime time.Time
	Version                            int64
}

// Approval is one person's word.
type Approval struct {
	// Approver is who, RequestID that person's id of the request.
	Approver, RequestID, Comment string
	Time                         time.Time
}

// Leg is cash on one way back.
type Leg struct {
	// Number is its place among the legs of its refund, 1 for the first.
	Number int
	Kind   LegKind
	// RepaymentID is the repayment by which it goes back; zero for the others.
	RepaymentID ids.ID
	Amount      money.Amount
	State       LegState
	// Reference is the payment service's; empty before it was asked for.
	Reference string
	// Evidence and Actor are of the operator who ended it; empty otherwise.
	Evidence, Actor string
}

// Effect is what a refund does. Its JSON is part of the database.
type Effect struct {
	PrincipalReduced int64 `json:"principal_reduced_minor"`
	InterestReduced  int64 `json:"interest_reduced_minor"`
	FeeReduced       int64 `json:"fee_reduced_minor"`
	LimitFreed       int64 `json:"limit_freed_minor"`
	// Sources are the repayments by which paid money goes back, CreditBalance what none of them can give back.
	Sources       []Source `json:"sources,omitempty"`
	CreditBalance int64    `json:"credit_balance_minor"`
	// Instalments are those that change.
	Instalments []InstalmentChange `json:"instalments,omitempty"`
	// Plan is what is left of the plan, as the bill service writes it (protojson); empty when there is no loan.
	Plan []byte `json:"plan,omitempty"`
	// Fingerprint is the bill service's: it makes this adjustment and no other when it is told to expect it. Empty when there is no loan.
	Fingerprint string `json:"fingerprint,omitempty"`
}

// Source is a repayment and what goes back by it.
type Source struct {
	RepaymentID ids.ID `json:"repayment_id"`
	Amount      int64  `json:"amount_minor"`
}

// InstalmentChange is what is owed of an instalment before and after.
type InstalmentChange struct {
	Sequence   int    `json:"sequence"`
	DueDate    string `json:"due_date"`
	OpenBefore int64  `json:"open_before_minor"`
	OpenAfter  int64  `json:"open_after_minor"`
}

// Equal reports whether two effects do the same with the money. The limit may differ: other purchases move it, too.
func (e Effect) Equal(o Effect) bool {
	return e.Fingerprint == o.Fingerprint && e.PrincipalReduced == o.PrincipalReduced && e.InterestReduced == o.InterestReduced && e.FeeReduced == o.FeeReduced &&
		e.CreditBalance == o.CreditBalance && slices.Equal(e.Sources, o.Sources) && slices.Equal(e.Instalments, o.Instalments)
}

// Legs are the ways by which an effect's cash and the down payment's part go back, in the order in which they are asked for.
func (e Effect) Legs(s Share) []Leg {
	c := s.Cash.Currency()
	var out []Leg
	add := func(l Leg) {
		if l.Amount.IsPositive() {
			l.Number = len(out) + 1
			out = append(out, l)
		}
	}
	add(Leg{Kind: LegDownPayment, Amount: s.Cash, State: LegPending})
	for _, source := range e.Sources {
		add(Leg{Kind: LegRepayment, RepaymentID: source.RepaymentID, Amount: money.New(source.Amount, c), State: LegPending})
	}
	// The bill service made it credit balance when it adjusted the plan.
	add(Leg{Kind: LegCreditBalance, Amount: money.New(e.CreditBalance, c), State: LegKept})
	return out
}

// Moved gives the refund in another state. Errors: errs.RefundStateInvalid.
func (r Refund) Moved(to State, now time.Time) (Refund, error) {
	if err := Moves.Check(r.State, to); err != nil {
		return r, errs.RefundStateInvalid.New("the refund is %s", r.State).With("state", r.State.String())
	}
	r.State, r.Step, r.Attempts = to, StepNone, 0
	if to == StateExecuting {
		r.Step = StepAdjust
	}
	if to.Ended() {
		r.FinishTime = now
	}
	return r, nil
}

// Reopened gives a refund that was approved back to its approvers, with what it would do now, before anything moved. Errors:
// errs.RefundStateInvalid.
func (r Refund) Reopened(effect Effect, orderState string, now time.Time) (Refund, error) {
	if r.Step != StepAdjust {
		return r, errs.RefundStateInvalid.New("the refund is at step %s; something moved", r.Step).With("state", r.State.String())
	}
	next, err := r.Moved(StatePendingApproval, now)
	if err != nil {
		return r, err
	}
	next.ExpireTime = now.Add(ApprovalTime)
	return next.Refrozen(effect, orderState), nil
}

// LegMoved gives the refund with a leg in another state; the same refund when it is there already. Errors: errs.NotFound,
// errs.RefundStateInvalid.
func (r Refund) LegMoved(number int, to LegState, reference string) (Refund, error) {
	i := slices.IndexFunc(r.Legs, func(l Leg) bool { return l.Number == number })
	if i < 0 {
		return r, errs.NotFound.New("the refund has no leg %d", number)
	}
	r.Legs = slices.Clone(r.Legs)
	l := &r.Legs[i]
	if reference != "" {
		l.Reference = reference
	}
	if l.State == to {
		return r, nil
	}
	if err := LegMoves.Check(l.State, to); err != nil {
		return r, errs.RefundStateInvalid.New("the leg is %s", l.State).With("state", l.State.String())
	}
	l.State = to
	return r, nil
}

// EffectKnown tells whether Effect says something: it was frozen to be approved, or the plan was adjusted.
func (r Refund) EffectKnown() bool {
	return r.ApprovalsNeeded > 0 || r.Step > StepAdjust || r.State == StateSucceeded
}

// LegsMoved says which legs are in another state than in an earlier version of the refund, as its timeline shows it; empty for none. It says
// nothing of ways and amounts, which are the payer's.
func (r Refund) LegsMoved(before Refund) string {
	var out []string
	for i, l := range r.Legs {
		if i >= len(before.Legs) || before.Legs[i].State == l.State {
			continue
		}
		name := l.Reference
		if name == "" {
			name = fmt.Sprintf("leg %d", l.Number)
		}
		out = append(out, fmt.Sprintf("%s %s → %s", name, before.Legs[i].State, l.State))
	}
	return strings.Join(out, ", ")
}

// VerbRefund is the verb of an operator's refund, as tiers and sums name it.
const VerbRefund = "AdminRefundPayment"

// Sums are those in which the refund counts; none for one of the marketplace, and one of before there were sums.
func (r Refund) Sums() []approval.SumKey {
	if !r.ByOperator() || !r.Day.Valid() {
		return nil
	}
	checkout := ""
	if !r.CheckoutID.IsZero() {
		checkout = ids.Format(ids.Checkout, r.CheckoutID)
	}
	return approval.SumsOf(VerbRefund, r.Amount, approval.Canonical(r.Requester), r.UserID, checkout, r.Day)
}

// ByOperator tells whether an operator asked for it; the marketplace's refunds have a number of the marketplace.
func (r Refund) ByOperator() bool { return r.OutRefundNo == "" }

// LegByReference finds a leg; false when there is none.
func (r Refund) LegByReference(reference string) (Leg, bool) {
	i := slices.IndexFunc(r.Legs, func(l Leg) bool { return l.Reference == reference })
	if i < 0 || reference == "" {
		return Leg{}, false
	}
	return r.Legs[i], true
}

// Abandoned reports whether an answer of the payment service says that a leg's repayment does not go back by an operator's word, and the leg
// does not know it yet. Unlike a down payment, which the payment service sees to, it is credit balance only once the bill service made it so.
func (l Leg) Abandoned(told LegState) bool {
	return told == LegKept && l.Kind == LegRepayment && !l.State.Ended()
}

// AllLegsEnded reports whether the payer has everything.
func (r Refund) AllLegsEnded() bool {
	return !slices.ContainsFunc(r.Legs, func(l Leg) bool { return !l.State.Ended() })
}
