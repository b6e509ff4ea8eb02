package app

import (
	"context"
	"time"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// UnfitFilter says which notifications are wanted; its zero value takes all that did not fit, or gave money twice.
type UnfitFilter struct {
	// Outcome is OutcomeMismatch, OutcomeContradiction or OutcomeTwice; empty for all of them.
	Outcome domain.Outcome
	// Kind of the legs; zero for all.
	Kind domain.CashKind
	// From and To bound the time when they came, From inclusive; zero for open.
	From, To time.Time
	// Below is where the page begins: notifications older than this one; zero for the newest.
	Below ids.ID
}

// Outcomes are those that the filter takes.
func (f UnfitFilter) Outcomes() []domain.Outcome {
	if f.Outcome != "" {
		return []domain.Outcome{f.Outcome}
	}
	return []domain.Outcome{domain.OutcomeMismatch, domain.OutcomeContradiction, domain.OutcomeTwice}
}

// UnfitNotice is a notification that did not fit, beside the leg that it names.
type UnfitNotice struct {
	HeardNotice
	// Leg as it is now; for a return the leg that it is a part of, with the return's reference, amount and state.
	Leg domain.CashLeg
}

// ListUnfitNotices gives the notifications that did not fit, newest first, at most limit, and whether there are more.
func (a *App) ListUnfitNotices(ctx context.Context, f UnfitFilter, limit int) (page []UnfitNotice, more bool, err error) {
	page, err = a.Store.UnfitNotices(ctx, f, limit+1)
	if err != nil || len(page) <= limit {
		return page, false, err
	}
	return page[:limit], true, nil
}
