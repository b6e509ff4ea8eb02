package app

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"

	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

const (
	actorDrive = "SERVICE:refund"
	// askAfter is how long a refund waits before it asks for legs of which it heard nothing, longer each time, up to askMost.
	askAfter = 30 * time.Second
	askMost  = time.Hour
)

// DriveRefund carries a refund out until it waits for somebody else. Every step is one call to another service and one unit of work that
// notes its answer; a step that was cut off is repeated, and the other service answers as it did the first time. An error leaves the
// refund where it is, to be tried again.
func (a *App) DriveRefund(ctx context.Context, id ids.ID) (jobs.Outcome, error) {
	for {
		r, err := a.refund(ctx, id)
		if err != nil {
			return jobs.Outcome{}, err
		}
		step := a.begin
		switch {
		case r.State.Ended() || r.State == domain.StatePendingApproval:
			return jobs.Done(), nil
		case r.State == domain.StateRequested || r.State == domain.StateApproved:
		case r.Step == domain.StepAdjust:
			step = a.adjust
		case r.Step == domain.StepPayment:
			step = a.refundPayment
		case r.Step == domain.StepReturns:
			step = a.askForReturns
		default:
			return a.waitForLegs(ctx, r)
		}
		if err := step(ctx, r); err != nil {
			if errs.Is(err, errs.ConcurrentChange) {
				continue // Another process drives it, too; what it noted is read again.
			}
			return jobs.Outcome{}, err
		}
	}
}

// note writes a step's result, if the refund is still at that step.
func (a *App) note(ctx context.Context, r domain.Refund, cause string, next func(r domain.Refund) (domain.Refund, error)) error {
	_, err := a.move(ctx, r.ID, Mark{Actor: actorDrive, Cause: cause, Time: a.now()}, func(now domain.Refund) (domain.Refund, bool, error) {
		if now.Version != r.Version {
			return now, false, errs.ConcurrentChange.New("the refund changed at the same time")
		}
		to, err := next(now)
		return to, err == nil, err
	}, nil)
	return err
}

func (a *App) begin(ctx context.Context, r domain.Refund) error {
	return a.note(ctx, r, "carried out", func(r domain.Refund) (domain.Refund, error) { return r.Moved(domain.StateExecuting, a.now()) })
}

// adjust has the loan adjusted: bill first, cash second. A refusal ends the refund, since nothing moved yet. What people approved is done
// as they saw it or not at all: when it would do something else now, they are asked again.
func (a *App) adjust(ctx context.Context, r domain.Refund) error {
	effect := domain.Effect{}
	if r.Share.Credit.IsPositive() {
		var err error
		effect, err = peer(ctx, a, func(ctx context.Context) (domain.Effect, error) {
			return a.Bills.Adjust(ctx, r.ID, r.OrderID, r.Share.Credit, r.ApprovedEffect())
		})
		if errs.Is(err, errs.RefundChanged) {
			return a.reopen(ctx, r)
		}
		if refused(err) {
			return a.fail(ctx, r, err)
		}
		if err != nil {
			return err
		}
	}
	return a.note(ctx, r, "plan adjusted", func(r domain.Refund) (domain.Refund, error) {
		r.Effect, r.Legs, r.Step, r.Attempts = effect, effect.Legs(r.Share), domain.StepPayment, 0
		return r, nil
	})
}

// reopen gives a refund back to its approvers, with what it would do now.
func (a *App) reopen(ctx context.Context, r domain.Refund) error {
	order, err := peer(ctx, a, func(ctx context.Context) (Order, error) { return a.Orders.Order(ctx, r.OrderID) })
	if err != nil {
		return err
	}
	effect, err := a.previewCredit(ctx, r.OrderID, r.Share)
	if refused(err) {
		return a.fail(ctx, r, err)
	}
	if err != nil {
		return err
	}
	m := Mark{Actor: actorDrive, Cause: "it would do something else now", Time: a.now()}
	_, err = a.move(ctx, r.ID, m, func(now domain.Refund) (domain.Refund, bool, error) {
		if now.Version != r.Version {
			return now, false, errs.ConcurrentChange.New("the refund changed at the same time")
		}
		next, err := now.Reopened(effect, order.State, m.Time)
		return next, err == nil, err
	}, func(tx Tx, _, to domain.Refund) error {
		tx.SetExpiry(to.ID, to.ExpireTime)
		return nil
	})
	return err
}

// refused reports whether an answer is a rule's and final: the other service did nothing, and will not.
func refused(err error) bool {
	return errs.Is(err, errs.NotFound) || errs.Is(err, errs.RefundExceedsBudget) || errs.Is(err, errs.OrderStateInvalid) ||
		errs.Is(err, errs.LoanStateInvalid) || errs.Is(err, errs.RequestIDReused) || errs.Is(err, errs.CurrencyMismatch)
}

func (a *App) fail(ctx context.Context, r domain.Refund, cause error) error {
	reason, _ := errs.ReasonOf(cause)
	return a.note(ctx, r, "refused: "+cause.Error(), func(r domain.Refund) (domain.Refund, error) {
		r.Failure = reason.Name()
		return r.Moved(domain.StateFailed, a.now())
	})
}

// refundPayment takes the refund out of the order's payment. An order that was cancelled as a whole meanwhile was taken back with this
// refund's part, by the cancellation: the refund itself moves nothing and fails. Another refusal should not be; the refund stays and says
// so, for an operator.
func (a *App) refundPayment(ctx context.Context, r domain.Refund) error {
	type answer struct {
		back Return
		cash bool
	}
	got, err := peer(ctx, a, func(ctx context.Context) (answer, error) {
		back, cash, err := a.Payments.RefundOrder(ctx, r)
		return answer{back, cash}, err
	})
	if errs.Is(err, errs.OrderStateInvalid) {
		return a.fail(ctx, r, err)
	}
	if err != nil {
		return err
	}
	return a.note(ctx, r, "payment reduced", func(r domain.Refund) (domain.Refund, error) {
		r.Step, r.Attempts = domain.StepReturns, 0
		if !got.cash {
			return r, nil
		}
		for _, l := range r.Legs {
			if l.Kind == domain.LegDownPayment {
				return r.LegMoved(l.Number, got.back.State, got.back.Reference)
			}
		}
		return r, nil
	})
}

// askForReturns asks for the first leg that is PENDING, or ends the step when there is none. A repayment that cannot give the money back
// any more (it bounced) makes it credit balance.
func (a *App) askForReturns(ctx context.Context, r domain.Refund) error {
	for _, l := range r.Legs {
		if l.State != domain.LegPending || l.Kind != domain.LegRepayment {
			continue
		}
		back, err := peer(ctx, a, func(ctx context.Context) (Return, error) {
			return a.Payments.ReturnRepayment(ctx, r.ID, l.RepaymentID, l.Amount)
		})
		cause := "repayment on its way back"
		if cannotReturn(err) {
			cause, back = "kept as credit balance: "+err.Error(), Return{State: domain.LegKept}
			_, err = peer(ctx, a, func(ctx context.Context) (struct{}, error) {
				return struct{}{}, a.Bills.KeepAsCredit(ctx, r.ID, l.RepaymentID)
			})
		}
		if err != nil {
			return err
		}
		return a.note(ctx, r, cause, func(r domain.Refund) (domain.Refund, error) { return r.LegMoved(l.Number, back.State, back.Reference) })
	}
	return a.note(ctx, r, "all legs asked for", func(r domain.Refund) (domain.Refund, error) {
		r.Step, r.Attempts = domain.StepWait, 0
		return r, nil
	})
}

// cannotReturn reports whether a repayment certainly gave nothing back and never will: it does not exist, bounced, or has nothing left.
// Another refusal may mean that cash is on its way, and stays for an operator.
func cannotReturn(err error) bool {
	return errs.Is(err, errs.NotFound) || errs.Is(err, errs.OrderStateInvalid) || errs.Is(err, errs.RefundExceedsBudget)
}

// waitForLegs ends a refund whose legs have all ended; else it asks what became of them, and waits. A leg that failed waits for an
// operator.
func (a *App) waitForLegs(ctx context.Context, r domain.Refund) (jobs.Outcome, error) {
	if !r.AllLegsEnded() {
		list, err := peer(ctx, a, func(ctx context.Context) ([]Return, error) { return a.Payments.Returns(ctx, r.ID) })
		if err != nil {
			return jobs.Outcome{}, err
		}
		if err := a.keepAbandoned(ctx, r, list); err != nil {
			return jobs.Outcome{}, err
		}
		if r, err = a.hear(ctx, r.ID, list, "asked the payment service"); err != nil {
			return jobs.Outcome{}, err
		}
	}
	if r.AllLegsEnded() {
		err := a.note(ctx, r, "the payer has everything", func(r domain.Refund) (domain.Refund, error) { return r.Moved(domain.StateSucceeded, a.now()) })
		return jobs.Done(), err
	}
	wait := askMost
	if r.Attempts < 7 {
		wait = min(askAfter<<r.Attempts, askMost)
	}
	err := a.Store.Do(ctx, func(tx Tx) error {
		tx.CountWait(r)
		return nil
	})
	if errs.Is(err, errs.ConcurrentChange) {
		wait, err = 0, nil
	}
	return jobs.Again(a.now().Add(wait)), err
}

// hear notes what the payment service says of legs. What is known already, or is older than what is known, changes nothing.
func (a *App) hear(ctx context.Context, id ids.ID, list []Return, cause string) (domain.Refund, error) {
	m := Mark{Actor: actorDrive, Cause: cause, Time: a.now()}
	return a.move(ctx, id, m, func(r domain.Refund) (domain.Refund, bool, error) {
		moved := false
		for _, back := range list {
			l, found := r.LegByReference(back.Reference)
			if !found || !l.State.MayBecome(back.State) {
				continue
			}
			next, err := r.LegMoved(l.Number, back.State, "")
			if err != nil {
				return r, false, err
			}
			if back.State == domain.LegFailed {
				a.Log.Warn("a leg of a refund failed and waits for an operator", zap.String("refund", ids.Format(ids.Refund, id)), zap.String("reference", back.Reference))
			}
			r, moved = next, true
		}
		return r, moved, nil
	}, func(tx Tx, _, _ domain.Refund) error {
		tx.SetDrive(id, m.Time)
		return nil
	})
}
