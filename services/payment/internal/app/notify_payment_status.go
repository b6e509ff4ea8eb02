package app

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// CashNotice is what the marketplace tells of a cash leg.
type CashNotice struct {
	// Reference is a leg's or a return's typed id.
	Reference string
	Kind      domain.CashKind
	Status    domain.CashStatus
	// Minor and Currency are what moved.
	Minor    int64
	Currency string
	// PayTime is when; zero when it does not say.
	PayTime time.Time
}

// NoticeAnswer is what became of a notification, and the leg's state after it.
type NoticeAnswer struct {
	State   domain.LegState
	Outcome domain.Outcome
}

// HeardNotice is a notification as it is kept.
type HeardNotice struct {
	ID                ids.ID
	Caller, RequestID string
	Fingerprint       idempotency.Fingerprint
	Notice            domain.Notice
	Answer            NoticeAnswer
	Time              time.Time
}

// noticeRaces bounds how often a notification is judged anew because its leg moved meanwhile.
const noticeRaces = 10

// NotifyPaymentStatus takes what the marketplace tells of a cash leg. It is kept as it came, whatever becomes of it, and its row is
// the record of its request. It may repeat, be late, out of order, or wrong.
// Errors: NOT_FOUND for an unknown reference and for another marketplace's, INVALID_ARGUMENT for a leg of another kind, LEG_AMOUNT_MISMATCH for another amount
// or currency, which is kept all the same.
func (a *App) NotifyPaymentStatus(ctx context.Context, who caller.Caller, requestID string, n CashNotice) (domain.LegState, error) {
	fp, err := idempotency.FingerprintOf(n)
	if err != nil {
		return 0, err
	}
	record := func() (idempotency.Record, bool, error) { return a.Store.NoticeRecord(ctx, who.String(), requestID) }
	answer, err := idempotency.DoWith(fp, record, func() (NoticeAnswer, error) {
		id, err := parseID(ids.Leg, "external_reference", n.Reference)
		if err != nil {
			return NoticeAnswer{}, err
		}
		return a.hear(ctx, who, HeardNotice{ID: a.IDs.New(), Caller: who.String(), RequestID: requestID, Fingerprint: fp, Notice: domain.Notice{
			Reference: id, Kind: n.Kind, Status: n.Status, Minor: n.Minor, Currency: n.Currency, PayTime: n.PayTime.Truncate(time.Microsecond)}})
	})
	if err != nil {
		return 0, err
	}
	if answer.Outcome == domain.OutcomeMismatch {
		return answer.State, errs.LegAmountMismatch.New("the leg %s is over another amount or currency; this notification was kept for an operator and changed nothing", n.Reference)
	}
	return answer.State, nil
}

// hear judges a notification against the leg as it is, and again when the leg moved meanwhile.
func (a *App) hear(ctx context.Context, who caller.Caller, h HeardNotice) (NoticeAnswer, error) {
	var err error
	for range noticeRaces {
		var answer NoticeAnswer
		if answer, err = a.hearOnce(ctx, who, h); !errs.Is(err, errs.ConcurrentChange) {
			return answer, err
		}
	}
	return NoticeAnswer{}, err
}

func (a *App) hearOnce(ctx context.Context, who caller.Caller, h HeardNotice) (NoticeAnswer, error) {
	leg, back, err := a.legByReference(ctx, h.Notice.Reference)
	if err != nil {
		return NoticeAnswer{}, err
	}
	if !who.Sees(leg.UserID) {
		return NoticeAnswer{}, noCashLeg()
	}
	if leg.Kind != h.Notice.Kind {
		return NoticeAnswer{}, errs.InvalidArgument.New("the reference names a leg of another kind").With("field", "leg")
	}
	h.Time = a.now()
	if back != nil {
		return a.hearOfReturn(ctx, h, leg, *back)
	}
	return a.hearOfLeg(ctx, h, leg)
}

// legByReference finds a leg, or a return with the leg that it is a part of. Errors: NOT_FOUND.
func (a *App) legByReference(ctx context.Context, id ids.ID) (domain.CashLeg, *domain.CashReturn, error) {
	leg, err := a.Store.CashLeg(ctx, id)
	if err != nil || leg != nil {
		return deref(leg), nil, err
	}
	back, err := a.Store.CashReturn(ctx, id)
	if err != nil {
		return domain.CashLeg{}, nil, err
	}
	if back == nil {
		return domain.CashLeg{}, nil, noCashLeg()
	}
	if leg, err = a.Store.CashLeg(ctx, back.LegID); err == nil && leg == nil {
		err = errs.Internal.New("a return has no leg")
	}
	return deref(leg), back, err
}

func noCashLeg() error { return errs.NotFound.New("no such cash leg") }

func deref(l *domain.CashLeg) domain.CashLeg {
	if l == nil {
		return domain.CashLeg{}
	}
	return *l
}

func (a *App) hearOfLeg(ctx context.Context, h HeardNotice, leg domain.CashLeg) (NoticeAnswer, error) {
	verdict := leg.Hear(h.Notice, h.Time)
	moves, err := leg.Walk(verdict.To, leg.PaidAt(h.Notice, h.Time), h.Time)
	if err != nil {
		return NoticeAnswer{}, err
	}
	h.Answer = NoticeAnswer{State: leg.State, Outcome: verdict.Outcome}
	if len(moves) > 0 {
		h.Answer.State = moves[len(moves)-1].Leg.State
	}
	if len(moves) == 1 && moves[0].Bounces() {
		return a.hearOfBounce(ctx, h, moves[0])
	}
	var end *commitEnd
	if leg.Kind == domain.CashDownPayment && leg.State == domain.LegPending && len(moves) > 0 {
		if end, err = a.endByCash(ctx, moves[0].Leg, h); err != nil {
			return NoticeAnswer{}, err
		}
	}
	err = a.Store.Do(ctx, func(tx Tx) error {
		tx.InsertNotice(h)
		if end != nil {
			end.write(tx)
		}
		for _, m := range moves {
			moveLeg(tx, m)
		}
		return nil
	})
	if err == nil && end != nil {
		a.finishAfter(ctx, end.commit)
	}
	return h.Answer, err
}

// commitEnd is what the news of its down payment makes of a commit: SUCCEEDED with payments, or FAILING.
type commitEnd struct {
	commit   domain.Commit
	payments []domain.Payment
}

// write writes it; the commit must still wait for cash.
func (e *commitEnd) write(tx Tx) {
	if e.commit.State == domain.CommitSucceeded {
		e.commit.EventID = win(tx, e.commit, domain.CommitAwaitingCash, e.payments)
		return
	}
	tx.MoveCommit(e.commit, domain.CommitAwaitingCash)
}

// endByCash gives the end of the commit whose down payment's leg becomes SUCCEEDED or FAILED.
// Errors: CONCURRENT_CHANGE when the commit does not wait any more.
func (a *App) endByCash(ctx context.Context, leg domain.CashLeg, h HeardNotice) (*commitEnd, error) {
	c, err := a.Store.Commit(ctx, leg.SubjectID)
	if err != nil {
		return nil, err
	}
	if c.State != domain.CommitAwaitingCash {
		return nil, errs.ConcurrentChange.New("the commit is being worked on elsewhere")
	}
	if leg.State == domain.LegFailed {
		cause := errs.CommitAborted.New("the down payment did not arrive: the marketplace says %s", h.Notice.Status)
		if h.Answer.Outcome == domain.OutcomeLate {
			cause = tooLate()
		}
		return &commitEnd{commit: a.failing(c, cause)}, nil
	}
	portions, err := a.Store.Portions(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	payments, err := c.Succeed(portions, &leg, h.Time)
	if err != nil {
		return nil, err
	}
	if len(payments) == 0 {
		return nil, errs.Internal.New("a commit waits for cash and pays no order")
	}
	return &commitEnd{commit: won(c, h.Time), payments: payments}, nil
}

// finishAfter gives back at once what a failing commit holds; when that cannot be done now, the commit's timer does it.
func (a *App) finishAfter(ctx context.Context, c domain.Commit) {
	if c.State != domain.CommitFailing {
		return
	}
	if _, _, err := a.drive(ctx, c, refusalRecord); err != nil {
		a.Log.Info("a commit without its down payment could not be ended now; the recovery worker will",
			zap.String("commit_id", ids.Format(ids.Commit, c.ID)), zap.Error(err))
	}
}

func legText(id ids.ID) string { return ids.Format(ids.Leg, id) }
