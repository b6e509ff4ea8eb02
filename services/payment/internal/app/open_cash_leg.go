package app

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// CashAsk is cash that another service wants to have collected.
type CashAsk struct {
	Kind domain.CashKind
	// SubjectID is the typed id of what it pays.
	SubjectID, UserID, Channel string
	Amount                     money.Amount
}

// OpenCashLeg opens the leg of a repayment. The subject is the key: a repeat returns the leg as it is now. The bill service, whose repayment
// it is, is asked for it: what the caller says of amount, user and channel is not believed.
// Errors: INVALID_ARGUMENT, CHANNEL_NOT_AVAILABLE; REQUEST_ID_REUSED when the subject's leg has other content; NOT_FOUND,
// REPAYMENT_STATE_INVALID and LEG_AMOUNT_MISMATCH when the bill service does not confirm it.
func (a *App) OpenCashLeg(ctx context.Context, ask CashAsk) (domain.CashLeg, error) {
	if ask.Kind != domain.CashRepayment {
		return domain.CashLeg{}, errs.InvalidArgument.New("only legs of repayments are opened from outside; a commit opens its own").With("field", "kind")
	}
	subject, err := parseID(ids.Repayment, "subject_id", ask.SubjectID)
	if err != nil {
		return domain.CashLeg{}, err
	}
	if !ask.Amount.IsPositive() || money.Bounded(ask.Amount) != nil {
		return domain.CashLeg{}, errs.InvalidArgument.New("amount must be above zero and at most %d minor units", money.MaxMinor).With("field", "amount")
	}
	known, err := a.Store.CashLegOf(ctx, subject)
	if err != nil {
		return domain.CashLeg{}, err
	}
	if known != nil {
		return sameLeg(*known, ask)
	}
	if err := a.Cashier.offers(ask.Channel); err != nil {
		return domain.CashLeg{}, err
	}
	if err := a.confirmRepayment(ctx, subject, ask); err != nil {
		return domain.CashLeg{}, err
	}
	now := a.now()
	leg := domain.CashLeg{ID: a.IDs.New(), Kind: ask.Kind, SubjectID: subject, UserID: ask.UserID, Channel: ask.Channel, Amount: ask.Amount,
		State: domain.LegPending, Version: 1, CreateTime: now, ExpireTime: now.Add(a.Limits.RepaymentLife), UpdateTime: now}
	err = a.Store.Do(ctx, func(tx Tx) error {
		tx.InsertCashLeg(leg)
		return nil
	})
	if errors.Is(err, ErrSubjectKnown) {
		if known, err = a.Store.CashLegOf(ctx, subject); err == nil && known != nil {
			return sameLeg(*known, ask)
		}
	}
	return leg, err
}

// confirmRepayment holds what is to be collected against the repayment of the bill service.
func (a *App) confirmRepayment(ctx context.Context, id ids.ID, ask CashAsk) error {
	r, err := a.Bill.Repayment(ctx, id)
	switch {
	case err != nil:
		return err
	case !r.Pending:
		return errs.RepaymentStateInvalid.New("repayment %s has ended: begin another one", ask.SubjectID)
	case r.UserID != ask.UserID || r.Channel != ask.Channel || r.Amount != ask.Amount:
		return errs.LegAmountMismatch.New("repayment %s is not %s of user %s by %s", ask.SubjectID, ask.Amount, ask.UserID, ask.Channel)
	default:
		return nil
	}
}

func sameLeg(l domain.CashLeg, ask CashAsk) (domain.CashLeg, error) {
	if l.Kind != ask.Kind || l.UserID != ask.UserID || l.Channel != ask.Channel || l.Amount != ask.Amount {
		return domain.CashLeg{}, errs.RequestIDReused.New("this subject has a cash leg with other content; use a new subject")
	}
	return l, nil
}

// CashLeg gives a leg by what it pays ("cmt_…", "rpy_…") or by its own reference ("leg_…"), which may be a return's.
// Errors: INVALID_ARGUMENT, NOT_FOUND.
func (a *App) CashLeg(ctx context.Context, subjectText string) (domain.CashLeg, error) {
	for _, kind := range []domain.CashKind{domain.CashDownPayment, domain.CashRepayment} {
		if !strings.HasPrefix(subjectText, string(kind.Subject())+"_") {
			continue
		}
		id, err := parseID(kind.Subject(), "subject_id", subjectText)
		if err != nil {
			return domain.CashLeg{}, err
		}
		leg, err := a.Store.CashLegOf(ctx, id)
		if err == nil && (leg == nil || leg.Kind != kind) {
			err = errs.NotFound.New("nothing is collected for this subject")
		}
		return deref(leg), err
	}
	id, err := parseID(ids.Leg, "subject_id", subjectText)
	if err != nil {
		return domain.CashLeg{}, err
	}
	leg, back, err := a.legByReference(ctx, id)
	if err == nil && back != nil {
		leg = back.AsLeg(leg)
	}
	return leg, err
}

// TickCashLeg does what time does to a leg: a repayment whose time is over fails, and money on its way back of which nothing was heard is
// asked for once more. It answers when to look again; the zero time when there is nothing left to do. An error keeps its timer.
func (a *App) TickCashLeg(ctx context.Context, legText string) (time.Time, error) {
	id, err := parseID(ids.Leg, "leg_id", legText)
	if err != nil {
		return time.Time{}, err
	}
	leg, err := a.Store.CashLeg(ctx, id)
	switch {
	case err != nil:
		return time.Time{}, err
	case leg == nil:
		return time.Time{}, errs.NotFound.New("no such cash leg")
	}
	move, err := leg.Tick(a.now())
	if err != nil || move == nil {
		return leg.DueTime(), err
	}
	return move.Leg.DueTime(), a.Store.Do(ctx, func(tx Tx) error {
		moveLeg(tx, *move)
		return nil
	})
}
