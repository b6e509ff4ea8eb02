package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

// Request asks for a refund.
type Request struct {
	// Caller bounds whose orders are found. It is the same caller as Requester, which is part of the content.
	Caller caller.Caller `json:"-"`
	// Requester is who asks; RequestID is unique among that requester's.
	Requester, RequestID string
	// OutRefundNo is the marketplace's number, unique per order; empty for an operator's refund, which people may have to approve.
	OutRefundNo string
	OrderID     ids.ID
	Amount      money.Amount
	ReasonCode  int32
	Reason      string
}

// requested is the recorded answer of a request.
type requested struct {
	RefundID ids.ID `json:"refund_id"`
}

// RefundPayment asks for a refund of the marketplace, which is carried out at once; AdminRefundPayment for one of an operator, which
// waits for the people who must approve it. Either reserves its part of what may be refunded. Repeating the request gives the refund as
// it is now; so does the marketplace's number with the same content. Errors: errs.NotFound, errs.CheckoutCommitting (its payment
// is under way), errs.OrderStateInvalid (not paid, or taken back), errs.RefundExceedsBudget, errs.CurrencyMismatch, errs.RequestIDReused.
func (a *App) RefundPayment(ctx context.Context, in Request) (domain.Refund, error) {
	verb := "RefundPayment"
	if in.OutRefundNo == "" {
		verb = "AdminRefundPayment"
	}
	key := idempotency.Key{Verb: verb, Caller: in.Requester, RequestID: in.RequestID}
	content := in
	content.RequestID = ""
	fp, err := idempotency.FingerprintOf(content)
	if err != nil {
		return domain.Refund{}, err
	}
	answer, err := idempotency.Do(ctx, a.Store.Requests(), key, fp, func() (requested, error) {
		return again(ctx, func() (requested, error) { return a.request(ctx, in, key, fp) })
	})
	if errors.Is(err, ErrNumberTaken) || errs.Is(err, errs.RefundExceedsBudget) || errs.Is(err, errs.OrderStateInvalid) {
		// The number may have come before under another request id: then it is that refund, whatever is left or became of the order by now.
		if r, found, findErr := a.sameNumber(ctx, in); found || findErr != nil {
			return r, findErr
		}
	}
	if err != nil {
		return domain.Refund{}, err
	}
	return a.refund(ctx, answer.RefundID)
}

// sameNumber finds the refund that the marketplace's number names. Errors: errs.RequestIDReused for other content.
func (a *App) sameNumber(ctx context.Context, in Request) (domain.Refund, bool, error) {
	if in.OutRefundNo == "" {
		return domain.Refund{}, false, nil
	}
	r, found, err := a.Store.RefundByNumber(ctx, in.OrderID, in.OutRefundNo)
	if err != nil || !found {
		return r, false, err
	}
	if r.Amount != in.Amount || r.Requester != in.Requester {
		return r, false, errs.RequestIDReused.New("this out_refund_no came before with other content; use a new one")
	}
	return r, true, nil
}

// request is one attempt.
func (a *App) request(ctx context.Context, in Request, key idempotency.Key, fp idempotency.Fingerprint) (requested, error) {
	order, budget, err := a.refundable(ctx, in.Caller, in.OrderID)
	if err != nil {
		return requested{}, err
	}
	_, share, err := budget.Reserve(in.Amount)
	if err != nil {
		return requested{}, err
	}
	now := a.now()
	r := domain.Refund{
		ID: a.IDs.New(), OrderID: in.OrderID, MerchantID: order.MerchantID, UserID: order.UserID, Requester: in.Requester, OutRefundNo: in.OutRefundNo,
		Amount: in.Amount, Share: share, ReasonCode: in.ReasonCode, Reason: in.Reason, State: domain.StateRequested, Snapshot: 1, OrderState: order.State,
		OutOrderNo: order.OutOrderNo, NotifyURL: order.NotifyURL, CheckoutID: order.CheckoutID, CreateTime: now, Version: 1,
	}
	var tiers []approval.Tier
	var planned needs
	if r.ByOperator() {
		r.Day = civil.Of(now, civil.Jakarta())
		if tiers, planned, err = a.plan(ctx, budget, r); err != nil {
			return requested{}, err
		}
		r.ApprovalsNeeded = planned.people
	}
	if r.ApprovalsNeeded > 0 {
		r.State, r.ExpireTime = domain.StatePendingApproval, now.Add(domain.ApprovalTime)
		if r.Effect, err = a.previewCredit(ctx, in.OrderID, share); err != nil {
			return requested{}, err
		}
	}
	mark := Mark{Actor: in.Requester, Cause: fmt.Sprintf("%s: %s", in.Amount, in.Reason), Time: now}
	answer := requested{RefundID: r.ID}
	return answer, a.Store.Do(ctx, func(tx Tx) error {
		before, err := tx.LockBudget(ctx, budget, now)
		if err != nil {
			return err
		}
		after, locked, err := before.Reserve(in.Amount)
		if err != nil {
			return err
		}
		if locked != share {
			return errs.ConcurrentChange.New("another refund of the order came first; repeat the call")
		}
		if r.ByOperator() {
			if r.Sum, err = countOperated(ctx, tx, before, r, tiers, planned); err != nil {
				return err
			}
		}
		tx.Remember(key, fp, answer)
		tx.PutBudget(before, after)
		tx.InsertRefund(r, mark)
		tx.Emit(domain.Changed{Refund: r, From: domain.StateNone})
		if r.ApprovalsNeeded > 0 {
			tx.SetExpiry(r.ID, r.ExpireTime)
		} else {
			tx.SetDrive(r.ID, now)
		}
		return nil
	})
}

// needs is how many people must approve an operator's refund, and by which sum.
type needs struct {
	sum    money.Amount
	people int
}

// need judges an operator's refund. What counts is the largest of the sums: of the order, of the requester's and the payer's business day,
// and of the checkout, so that many small refunds need as many people as one large one. sum is the largest of the latter, this refund included.
func need(tiers []approval.Tier, operated, sum, amount money.Amount) (needs, error) {
	ofOrder, err := operated.Add(amount)
	if err != nil {
		return needs{}, err
	}
	if ofOrder.Minor() > sum.Minor() {
		sum = ofOrder
	}
	return needs{sum: sum, people: approval.Needed(tiers, sum)}, nil
}

// plan judges how many people must approve an operator's refund, by what was asked for so far.
func (a *App) plan(ctx context.Context, b domain.Budget, r domain.Refund) ([]approval.Tier, needs, error) {
	tiers, err := a.Store.Tiers(ctx, r.Amount.Currency(), r.CreateTime)
	if err != nil {
		return nil, needs{}, err
	}
	operated, err := a.Store.Operated(ctx, b)
	if err != nil {
		return nil, needs{}, err
	}
	asked, err := a.Store.Sum(ctx, r.Sums(), r.Amount.Currency())
	if err != nil {
		return nil, needs{}, err
	}
	sum, err := asked.Add(r.Amount)
	if err != nil {
		return nil, needs{}, err
	}
	planned, err := need(tiers, operated, sum, r.Amount)
	return tiers, planned, err
}

// countOperated adds a refund to the sums in which it counts, under their locks, and returns the largest. Errors: CONCURRENT_CHANGE when by
// now more people must approve it than planned.
func countOperated(ctx context.Context, tx Tx, b domain.Budget, r domain.Refund, tiers []approval.Tier, planned needs) (money.Amount, error) {
	operated, err := tx.Operated(ctx, b)
	if err != nil {
		return operated, err
	}
	sum, err := tx.Count(ctx, r.Sums(), r.Amount)
	if err != nil {
		return sum, err
	}
	now, err := need(tiers, operated, sum, r.Amount)
	if err == nil && now.people > planned.people {
		err = errs.ConcurrentChange.New("another operator's refund came first; repeat the call")
	}
	return now.sum, err
}

// refundable returns an order that may be refunded with its budget. Errors: errs.NotFound, also for another marketplace's, errs.OrderStateInvalid.
func (a *App) refundable(ctx context.Context, who caller.Caller, orderID ids.ID) (Order, domain.Budget, error) {
	order, err := peer(ctx, a, func(ctx context.Context) (Order, error) { return a.Orders.Order(ctx, orderID) })
	if err != nil {
		return order, domain.Budget{}, err
	}
	if !who.Sees(order.UserID) {
		return order, domain.Budget{}, errs.NotFound.New("there is no such order")
	}
	if err := domain.MayRefund(order.State); err != nil {
		return order, domain.Budget{}, err
	}
	b, found, err := a.Store.Budget(ctx, orderID)
	if err != nil || found {
		return order, b, err
	}
	down, err := peer(ctx, a, func(ctx context.Context) (money.Amount, error) { return a.Payments.DownPayment(ctx, orderID) })
	if err != nil {
		return order, b, err
	}
	zero := money.Zero(order.Paid.Currency())
	b = domain.Budget{OrderID: orderID, Price: order.Paid, DownPayment: down, Reserved: zero, ReservedCash: zero}
	return order, b, b.Check()
}

// previewCredit is what the financed part of a refund would do now; nothing when nothing was financed. Errors: errs.OrderStateInvalid.
func (a *App) previewCredit(ctx context.Context, orderID ids.ID, s domain.Share) (domain.Effect, error) {
	if !s.Credit.IsPositive() {
		return domain.Effect{}, nil
	}
	effect, err := peer(ctx, a, func(ctx context.Context) (domain.Effect, error) { return a.Bills.Preview(ctx, orderID, s.Credit) })
	if errs.Is(err, errs.NotFound) {
		// The order was paid with a loan, and it counts no more: since the order's state was read, it was taken back as a whole.
		return effect, errs.OrderStateInvalid.Wrap(err, "the order was taken back and cannot be refunded")
	}
	return effect, err
}

// refund reads a refund. Errors: errs.NotFound.
func (a *App) refund(ctx context.Context, id ids.ID) (domain.Refund, error) {
	r, found, err := a.Store.Refund(ctx, id)
	if err == nil && !found {
		err = errs.NotFound.New("there is no such refund")
	}
	return r, err
}

// Preview is what a refund would do now.
type Preview struct {
	Amount money.Amount
	Share  domain.Share
	Effect domain.Effect
	Legs   []domain.Leg
}

// PreviewRefund is what a refund of an order would do now, by the same computation that does it; it changes nothing. Errors: as
// RefundPayment.
func (a *App) PreviewRefund(ctx context.Context, who caller.Caller, orderID ids.ID, amount money.Amount) (Preview, error) {
	_, budget, err := a.refundable(ctx, who, orderID)
	if err != nil {
		return Preview{}, err
	}
	_, share, err := budget.Reserve(amount)
	if err != nil {
		return Preview{}, err
	}
	effect, err := a.previewCredit(ctx, orderID, share)
	return Preview{Amount: amount, Share: share, Effect: effect, Legs: effect.Legs(share)}, err
}
