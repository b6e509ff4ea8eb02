package app

import (
	"context"
	"encoding/json"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
)

// Approvals reads requests that other people must approve.
type Approvals interface {
	// Get reads a request. Errors: NOT_FOUND.
	Get(ctx context.Context, id ids.ID) (approval.Request, error)
}

// The acts that other people may have to approve, by their names in the contract.
const (
	verbWriteOff   = "WriteOffLoan"
	verbWaive      = "WaiveFee"
	verbRecover    = "RecordRecovery"
	verbReverse    = "ReverseRepayment"
	verbPayOut     = "PayOutCreditBalance"
	verbSetProfile = "SetSigningProfile"
)

// operated is the recorded answer of an operation.
type operated struct {
	ID ids.ID `json:"id"`
	// Approval is the request that other people must approve first; zero where nobody has to.
	Approval ids.ID `json:"approval_id,omitzero"`
}

// act is an operator's act: it judges it, passes the gate, and does it unless it waits.
type act func(ctx context.Context, tx LockingTx) (approval.Request, error)

// once runs an act: once per request of the operator, or with the operation's ticket, which is used once. It returns the request that other
// people must approve, the zero Request where nobody has to.
func (a *App) once(ctx context.Context, verb string, id ids.ID, op Operation, content []any, do act) (approval.Request, error) {
	if !op.Ticket.IsZero() {
		return a.redeem(ctx, do)
	}
	key := idempotency.Key{Verb: verb, Caller: op.Actor, RequestID: op.RequestID}
	fp, err := idempotency.FingerprintOf(content)
	if err != nil {
		return approval.Request{}, err
	}
	done, err := idempotency.Do(ctx, a.requests, key, fp, func() (operated, error) {
		done := operated{ID: id}
		err := a.store.DoLocking(ctx, func(tx LockingTx) error {
			asked, err := do(ctx, tx)
			if err != nil {
				return err
			}
			if done.Approval = (ids.ID{}); asked.Needed > 0 {
				done.Approval = asked.ID
			}
			tx.Remember(key, fp, done)
			return nil
		})
		return done, err
	})
	if err != nil {
		return approval.Request{}, err
	}
	return a.waiting(ctx, done.Approval)
}

// redeem runs an act that was approved; its ticket is the record that it was done.
func (a *App) redeem(ctx context.Context, do act) (approval.Request, error) {
	return again(ctx, func() (done approval.Request, err error) {
		err = a.store.DoLocking(ctx, func(tx LockingTx) error {
			done, err = do(ctx, tx)
			return err
		})
		return done, err
	})
}

// waiting reads the request that an act waits for; the zero Request for none.
func (a *App) waiting(ctx context.Context, id ids.ID) (approval.Request, error) {
	if id.IsZero() {
		return approval.Request{}, nil
	}
	return a.approvals.Get(ctx, id)
}

// ask begins the ask of an operation. Where it is carried out, it is the requester's.
func (a *App) ask(verb, object string, op Operation) approval.Ask {
	return approval.Ask{ID: a.ids.New(), Verb: verb, Object: object, Requester: op.Actor, Reason: op.Reason, Now: a.now(), Ticket: op.Ticket}
}

// approvedOperation is the operation that an approved request carries out.
func approvedOperation(r approval.Request) Operation {
	return Operation{Actor: r.Requester.Name, Reason: r.Reason, Ticket: r.ID}
}

// ApprovalVerbs returns the acts of this service that other people may have to approve, and how each is carried out.
func (a *App) ApprovalVerbs() []approval.Verb {
	onLoan := func(verb func(context.Context, ids.ID, Operation) (Loan, approval.Request, error)) func(context.Context, approval.Request) error {
		return func(ctx context.Context, r approval.Request) error {
			args, err := argumentsOf[loanAct](r)
			if err != nil {
				return err
			}
			op := approvedOperation(r)
			op.Amount = args.Amount
			_, _, err = verb(ctx, args.LoanID, op)
			return err
		}
	}
	return []approval.Verb{
		{Name: verbWriteOff, Role: caller.Approve, Tiers: true, Carry: onLoan(a.WriteOffLoan)},
		{Name: verbWaive, Role: caller.Approve, Tiers: true, Carry: onLoan(a.WaiveFee)},
		{Name: verbRecover, Role: caller.Approve, Tiers: true, Carry: onLoan(a.RecordRecovery)},
		{Name: verbReverse, Role: caller.Approve, Tiers: true, Carry: func(ctx context.Context, r approval.Request) error {
			args, err := argumentsOf[repaymentAct](r)
			if err != nil {
				return err
			}
			_, _, err = a.ReverseRepayment(ctx, args.RepaymentID, approvedOperation(r))
			return err
		}},
		{Name: verbPayOut, Role: caller.Approve, Tiers: true, Carry: func(ctx context.Context, r approval.Request) error {
			args, err := argumentsOf[payOutAct](r)
			if err != nil {
				return err
			}
			op := approvedOperation(r)
			op.Amount = args.Amount
			_, _, err = a.PayOutCreditBalance(ctx, args.UserID, op)
			return err
		}},
		{Name: verbSetProfile, Role: caller.Approve, Carry: a.carryProfile},
	}
}

// argumentsOf reads what a request would do.
func argumentsOf[T any](r approval.Request) (args T, err error) {
	if err := json.Unmarshal(r.Arguments, &args); err != nil {
		return args, errs.Internal.Wrap(err, "the arguments of request %s cannot be read", ids.Format(ids.Approval, r.ID))
	}
	return args, nil
}
