package approval

import (
	"fmt"
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/statetable"
)

// Wait is how long a request waits for its approvers.
const Wait = 7 * 24 * time.Hour

// VerbSetTiers is the verb of a change of tiers.
const VerbSetTiers = "SetApprovalTiers"

// State of a request. The numbers are stored and equal creditpay.common.v1.ApprovalState; they are never reused.
type State uint8

// The states of a request.
const (
	StatePending    State = 1
	StateApproved   State = 2
	StateCarriedOut State = 3
	StateRejected   State = 4
	StateExpired    State = 5
	StateFailed     State = 6
	StateCancelled  State = 7
)

// String is the state's name on the wire without its prefix.
func (s State) String() string {
	names := []string{"", "PENDING_APPROVAL", "APPROVED", "CARRIED_OUT", "REJECTED", "EXPIRED", "FAILED", "CANCELLED"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("APPROVAL_STATE_%d", uint8(s))
}

// GaveUp reports whether the request ended without an effect: it counts in no sum any more.
func (s State) GaveUp() bool { return s == StateRejected || s == StateExpired || s == StateFailed }

// Moves are the legal moves of a request.
var Moves = statetable.MustNew("approval",
	statetable.Move[State]{From: StatePending, To: StateApproved, Cause: "enough people approved it"},
	statetable.Move[State]{From: StatePending, To: StateRejected, Cause: "rejected, or taken back"},
	statetable.Move[State]{From: StatePending, To: StateExpired, Cause: "nobody approved it in time"},
	statetable.Move[State]{From: StateApproved, To: StateCarriedOut, Cause: "done as approved"},
	statetable.Move[State]{From: StateApproved, To: StateFailed, Cause: "something had changed, and nothing was done"},
	statetable.Move[State]{From: StateCarriedOut, To: StateCancelled, Cause: "a change of tiers, taken back before it took effect"},
)

// Vote is one person's approval.
type Vote struct {
	By      Person
	Comment string
	Time    time.Time
}

// Request is an act that was asked for and how many people must approve it.
type Request struct {
	ID ids.ID
	// Verb is the act; Object what it is about: a typed id, or a user.
	Verb, Object string
	Requester    Person
	// Reason is the requester's, Summary what would be done in one line.
	Reason, Summary string
	// Amount is the act's, Sum the largest of the sums in which it counts, itself included; the zero Amount for an act without an amount.
	Amount, Sum money.Amount
	// Counted are the sums in which it counts.
	Counted []SumKey
	// Payer is the user whose money it is; empty when there is none.
	Payer string
	// Arguments are what would be done, as JSON; Fingerprint is of them and of what they rest on.
	Arguments   []byte
	Fingerprint [32]byte
	// Needed is how many people must approve it; Votes are those who did.
	Needed int
	Votes  []Vote
	State  State
	// Ended is who rejected it or took it back, Failure why, or the reason for which it failed; empty otherwise.
	Ended   Person
	Failure string
	// Rule is the id of the rule by which Needed was found; zero when there was none.
	Rule ids.ID
	// CreateTime is when it was asked for, ExpireTime until when it may be approved, FinishTime when it ended; zero where there is none.
	CreateTime, ExpireTime, FinishTime time.Time
	Version                            int64
}

// Waits reports whether other people must approve the request before anything is done.
func (r Request) Waits() bool { return r.State == StatePending }

// Moved returns the request in another state. Errors: APPROVAL_STATE_INVALID.
func (r Request) Moved(to State, now time.Time) (Request, error) {
	if err := Moves.Check(r.State, to); err != nil {
		return r, r.invalid("the request is %s", r.State)
	}
	r.State = to
	if to != StateApproved {
		r.FinishTime = now
	}
	return r, nil
}

// Approved returns the request with one more approval, in state APPROVED when it is the last. Errors: APPROVAL_STATE_INVALID,
// APPROVER_IS_REQUESTER, ALREADY_APPROVED.
func (r Request) Approved(v Vote) (Request, error) {
	if err := r.mayDecide(v.Time); err != nil {
		return r, err
	}
	if err := MayVote(r.Requester.Subject, v.By.Subject, r.Votes); err != nil {
		return r, err
	}
	r.Votes = append(slices.Clone(r.Votes), v)
	if len(r.Votes) < r.Needed {
		return r, nil
	}
	return r.Moved(StateApproved, v.Time)
}

// MayVote returns nil when a person may approve what another one asked for, after those who did. Errors: APPROVER_IS_REQUESTER,
// ALREADY_APPROVED.
func MayVote(requester, by Subject, votes []Vote) error {
	if by == requester {
		return errs.ApproverIsRequester.New("you asked for this yourself; somebody else must approve it")
	}
	if slices.ContainsFunc(votes, func(other Vote) bool { return other.By.Subject == by }) {
		return errs.AlreadyApproved.New("you have approved this already; it needs another person")
	}
	return nil
}

// Rejected returns the request refused by somebody, which may be who asked. A change of tiers may be refused until it takes effect.
// Errors: APPROVAL_STATE_INVALID.
func (r Request) Rejected(by Person, comment string, effective, now time.Time) (Request, error) {
	r.Ended, r.Failure = by, comment
	if r.Verb == VerbSetTiers && r.State == StateCarriedOut {
		if !now.Before(effective) {
			return r, r.invalid("the change took effect at %s; ask for another one", effective.Format(time.RFC3339))
		}
		return r.Moved(StateCancelled, now)
	}
	if err := r.mayDecide(now); err != nil {
		return r, err
	}
	return r.Moved(StateRejected, now)
}

func (r Request) mayDecide(now time.Time) error {
	if r.State != StatePending {
		return r.invalid("the request is %s; nobody needs to approve it", r.State)
	}
	if !now.Before(r.ExpireTime) {
		return errs.ApprovalStateInvalid.New("the time to approve this request ended at %s; ask again", r.ExpireTime.Format(time.RFC3339)).
			With("state", StateExpired.String())
	}
	return nil
}

func (r Request) invalid(format string, args ...any) error {
	return errs.ApprovalStateInvalid.New(format, args...).With("state", r.State.String())
}
