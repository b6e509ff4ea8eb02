package random

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/errs"
)

const (
	// settleTime bounds how long what was done may take to have all its consequences, the stack's timers after a jump of the clock included.
	settleTime = 60 * time.Second
	// autoConfirm is when goods that nobody confirms count as received.
	autoConfirm = 15 * 24 * time.Hour
)

const (
	refundRequested = refundv1.RefundState_REFUND_STATE_REQUESTED
	refundPending   = refundv1.RefundState_REFUND_STATE_PENDING_APPROVAL
	refundApproved  = refundv1.RefundState_REFUND_STATE_APPROVED
	refundRejected  = refundv1.RefundState_REFUND_STATE_REJECTED
	refundExpired   = refundv1.RefundState_REFUND_STATE_EXPIRED
	refundExecuting = refundv1.RefundState_REFUND_STATE_EXECUTING
	refundSucceeded = refundv1.RefundState_REFUND_STATE_SUCCEEDED
	refundFailed    = refundv1.RefundState_REFUND_STATE_FAILED

	legPending   = refundv1.RefundLegState_REFUND_LEG_STATE_PENDING
	legReturning = refundv1.RefundLegState_REFUND_LEG_STATE_RETURNING
	legReturned  = refundv1.RefundLegState_REFUND_LEG_STATE_RETURNED
	legFailed    = refundv1.RefundLegState_REFUND_LEG_STATE_FAILED
	legKept      = refundv1.RefundLegState_REFUND_LEG_STATE_KEPT
)

const (
	repaymentPending   = billv1.RepaymentState_REPAYMENT_STATE_PENDING
	repaymentSucceeded = billv1.RepaymentState_REPAYMENT_STATE_SUCCEEDED
	repaymentFailed    = billv1.RepaymentState_REPAYMENT_STATE_FAILED
	repaymentBounced   = billv1.RepaymentState_REPAYMENT_STATE_BOUNCED
)

// view is a run as it is when everything that was done has had its consequences.
type view struct {
	details map[*order]*orderv1.OrderDetail
	// refunds of each order, oldest first.
	refunds    map[*order][]*refundv1.Refund
	repayments map[*repayment]*billv1.Repayment
}

// state is an order's; nothing is known of one that was opened since.
func (v *view) state(o *order) orderv1.OrderState {
	if v == nil {
		return orderv1.OrderState_ORDER_STATE_UNSPECIFIED
	}
	return v.details[o].GetOrder().GetState()
}

// paid reports whether an order was paid.
func (v *view) paid(o *order) bool {
	return v != nil && v.details[o].GetOrder().GetPaidAmount().GetAmountMinor() > 0
}

// has reports whether an order of a checkout is in a state.
func (v *view) has(c *checkout, s orderv1.OrderState) bool {
	for _, o := range c.orders {
		if v.state(o) == s {
			return true
		}
	}
	return false
}

func (v *view) states(c *checkout) string {
	var out []string
	for _, o := range c.orders {
		out = append(out, o.name+" "+stateName(v.state(o)))
	}
	return strings.Join(out, ", ")
}

// refund finds a refund; nil when the stack does not know it.
func (v *view) refund(x *refund) *refundv1.Refund {
	if v == nil {
		return nil
	}
	for _, r := range v.refunds[x.order] {
		if r.GetRefundId() == x.id {
			return r
		}
	}
	return nil
}

// gaveUp reports whether a refund ended without an effect.
func gaveUp(r *refundv1.Refund) bool {
	s := r.GetState()
	return s == refundRejected || s == refundExpired || s == refundFailed
}

func refundEnded(r *refundv1.Refund) bool { return gaveUp(r) || r.GetState() == refundSucceeded }

// left is what may still be refunded of an order.
func (v *view) left(o *order) int64 {
	if v == nil {
		return 0
	}
	left := v.details[o].GetOrder().GetPaidAmount().GetAmountMinor()
	for _, r := range v.refunds[o] {
		if !gaveUp(r) {
			left -= r.GetAmount().GetAmountMinor()
		}
	}
	return left
}

// settle waits until everything that was done has had its consequences; nil when that does not happen, which is a problem.
func (r *run) settle(ctx context.Context) *view {
	deadline := time.Now().Add(settleTime)
	for wait := 20 * time.Millisecond; pause(ctx, wait); wait = min(2*wait, 250*time.Millisecond) {
		v, why := r.look(ctx)
		if r.failed() {
			return nil
		}
		if why == "" {
			r.judgeView(v)
			r.note(v)
			return v
		}
		if time.Now().After(deadline) {
			r.problem("it does not come to rest: %s", why)
			return nil
		}
	}
	return nil
}

// note keeps a view, and which orders will not change any more: those that ended unpaid or taken back, and whose refunds have ended.
func (r *run) note(v *view) {
	r.last = v
	clear(r.touched)
	for _, o := range r.ordersOf() {
		s := v.state(o)
		r.over[o] = (s == expired || s == cancelled) && !slices.ContainsFunc(v.refunds[o], func(x *refundv1.Refund) bool { return !refundEnded(x) })
	}
}

// look reads everything, and tells why it is not at rest; empty when it is. What causes is read before what is caused: repayments, then
// refunds, then loans with their orders.
func (r *run) look(ctx context.Context) (*view, string) {
	v := &view{details: map[*order]*orderv1.OrderDetail{}, refunds: map[*order][]*refundv1.Refund{}, repayments: map[*repayment]*billv1.Repayment{}}
	r.mu.Lock()
	repayments, refunds := slices.Clone(r.repayments), slices.Clone(r.refunds)
	r.mu.Unlock()
	for _, p := range repayments {
		if why := r.lookAtRepayment(ctx, v, p); why != "" {
			return v, p.name + ": " + why
		}
	}
	for _, o := range r.ordersOf() {
		if r.last != nil && r.last.details[o] != nil && (r.over[o] || !r.touched[o]) {
			v.details[o], v.refunds[o] = r.last.details[o], r.last.refunds[o]
			continue
		}
		if slices.ContainsFunc(refunds, func(x *refund) bool { return x.order == o }) {
			v.refunds[o] = r.refundsOf(ctx, o)
		}
		if why := r.lookAtOrder(ctx, v, o); why != "" {
			return v, o.name + ": " + why
		}
	}
	return v, ""
}

func (r *run) lookAtOrder(ctx context.Context, v *view, o *order) string {
	var succeeded int64
	for _, x := range v.refunds[o] {
		if why := r.moving(ctx, x); why != "" {
			return x.GetRefundId() + " " + why
		}
		if x.GetState() == refundSucceeded {
			succeeded += x.GetAmount().GetAmountMinor()
		}
	}
	if !r.last.paid(o) {
		info, _ := call(ctx, r, "GetOrderInfo", func(ctx context.Context) (*orderv1.GetOrderInfoResponse, error) {
			return r.site.orders.GetOrderInfo(as(ctx, r.site.spm), &orderv1.GetOrderInfoRequest{OrderId: o.id})
		})
		v.details[o] = &orderv1.OrderDetail{Order: info.GetOrder()}
		if !v.paid(o) {
			return r.orderMoves(ctx, o, v.details[o]) // It has nothing but itself.
		}
	}
	d := r.detail(ctx, o)
	v.details[o] = d
	if len(d.GetUnavailableParts()) > 0 {
		return fmt.Sprintf("%v cannot be asked", d.GetUnavailableParts())
	}
	if got := d.GetOrder().GetRefundedAmount().GetAmountMinor(); got != succeeded {
		return fmt.Sprintf("%d were refunded, the order says %d", succeeded, got)
	}
	for _, x := range v.refunds[o] {
		if !slices.Contains(d.GetRefundIds(), x.GetRefundId()) {
			return "the detail does not name " + x.GetRefundId()
		}
	}
	return r.orderMoves(ctx, o, d)
}

// refundsOf are the refunds of an order, oldest first.
func (r *run) refundsOf(ctx context.Context, o *order) []*refundv1.Refund {
	res, _ := call(ctx, r, "ListRefunds", func(ctx context.Context) (*refundv1.ListRefundsResponse, error) {
		return r.site.refunds.ListRefunds(r.site.admin(ctx, "alice"), &refundv1.ListRefundsRequest{OrderId: o.id, PageSize: 100})
	})
	list := res.GetRefunds()
	out := make([]*refundv1.Refund, len(list))
	for i, x := range list {
		out[len(list)-1-i] = x
	}
	return out
}

// orderMoves tells why an order is going to move by itself; empty when it is not.
func (r *run) orderMoves(ctx context.Context, o *order, d *orderv1.OrderDetail) string {
	b, loan, now := d.GetOrder(), d.GetLoanState(), r.site.now()
	everything := b.GetPaidAmount().GetAmountMinor() > 0 && b.GetPaidAmount().GetAmountMinor() == b.GetRefundedAmount().GetAmountMinor()
	switch b.GetState() {
	case created:
		if !now.Before(b.GetExpireTime().AsTime()) {
			return "its time is over"
		}
	case committing:
		res, _ := call(ctx, r, "QueryPaymentStatus", func(ctx context.Context) (*paymentv1.QueryPaymentStatusResponse, error) {
			return r.site.payments.QueryPaymentStatus(r.h5(ctx), &paymentv1.QueryPaymentStatusRequest{CheckoutId: o.checkout.id})
		})
		if res.GetNextAction().GetRedirect() == nil {
			return "a commit is under way"
		}
	case paid:
		if everything || !now.Before(b.GetPayTime().AsTime().Add(autoConfirm)) || (loan != "DRAFT" && loan != "VOID") {
			return fmt.Sprintf("it is PAID since %s, its loan %s", b.GetPayTime().AsTime(), loan)
		}
	case confirmed:
		if everything || loan == "DRAFT" || loan == "SETTLED" {
			return "it is CONFIRMED, its loan " + loan
		}
	case closed:
		if !everything && loan != "SETTLED" {
			return "it is CLOSED, its loan " + loan
		}
	case cancelling:
		return "it is CANCELLING"
	case cancelled:
		if loan != "" && loan != "VOID" {
			return "it is CANCELLED, its loan " + loan
		}
	}
	return ""
}

// moving tells why a refund is going to move by itself; empty when it is not.
func (r *run) moving(ctx context.Context, x *refundv1.Refund) string {
	switch x.GetState() {
	case refundRequested, refundApproved:
		return stateName(x.GetState())
	case refundPending:
		if !r.site.now().Before(x.GetExpireTime().AsTime()) {
			return "was not approved in time"
		}
		return ""
	case refundExecuting:
		return r.legsMove(ctx, x)
	default:
		return ""
	}
}

// legsMove compares the legs of a refund with what the payment service knows of them: what that knows, the refund is going to learn.
func (r *run) legsMove(ctx context.Context, x *refundv1.Refund) string {
	open := 0
	for _, l := range x.GetEffect().GetLegs() {
		switch l.GetState() {
		case legReturning, legFailed:
			open++
		case legReturned, legKept:
		default:
			return "is carried out: " + stateName(l.GetState())
		}
	}
	if open == 0 {
		return "is carried out"
	}
	res, _ := call(ctx, r, "GetCashReturns", func(ctx context.Context) (*paymentv1.GetCashReturnsResponse, error) {
		return r.site.cash.GetCashReturns(as(ctx, r.site.refund), &paymentv1.GetCashReturnsRequest{RefundId: x.GetRefundId()})
	})
	known := map[string]paymentv1.CashReturnState{}
	for _, back := range res.GetCashReturns() {
		known[back.GetReference()] = back.GetState()
	}
	for _, l := range x.GetEffect().GetLegs() {
		is := known[l.GetReference()]
		if l.GetState() == legReturning && is != paymentv1.CashReturnState_CASH_RETURN_STATE_RETURNING ||
			l.GetState() == legFailed && is != paymentv1.CashReturnState_CASH_RETURN_STATE_FAILED {
			return fmt.Sprintf("has a leg that is %s and %s", stateName(l.GetState()), is)
		}
	}
	return ""
}

// lookAtRepayment reads a repayment, if it may have moved, and tells why it is going to move by itself; empty when it is not.
func (r *run) lookAtRepayment(ctx context.Context, v *view, p *repayment) string {
	told := r.answer(r.legOf(p.id).reference)
	if r.last != nil && r.last.repayments[p] != nil {
		switch was := r.last.repayments[p]; {
		case was.GetState() == repaymentFailed, was.GetState() == repaymentBounced, was.GetState() == repaymentSucceeded && told == isSucceeded:
			v.repayments[p] = was
			return ""
		}
	}
	res, _ := call(ctx, r, "QueryRepayment", func(ctx context.Context) (*billv1.QueryRepaymentResponse, error) {
		return r.site.bills.QueryRepayment(r.h5(ctx), &billv1.QueryRepaymentRequest{RepaymentId: p.id})
	})
	got := res.GetRepayment()
	v.repayments[p] = got
	switch {
	case got.GetState() == repaymentPending && told != 0:
		return "it is PENDING, its leg " + stateName(told)
	case got.GetState() == repaymentPending && !r.site.now().Before(r.legOf(p.id).expire):
		return "it is PENDING and its time is over"
	case got.GetState() == repaymentSucceeded && told == isReversed:
		return "it is SUCCEEDED, its leg REVERSED"
	}
	return ""
}

// cashLeg is a leg by its subject or reference; a return by its reference looks like one. nil when there is none.
func (r *run) cashLeg(ctx context.Context, name string) *paymentv1.CashLeg {
	res, _ := call(ctx, r, "GetCashLeg", func(ctx context.Context) (*paymentv1.GetCashLegResponse, error) {
		return r.site.cash.GetCashLeg(as(ctx, r.site.bill), &paymentv1.GetCashLegRequest{SubjectId: name})
	}, errs.NotFound)
	return res.GetLeg()
}
