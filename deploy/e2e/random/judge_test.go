package random

import (
	"context"
	"fmt"
	"slices"
	"time"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/errs"
)

// judgeView proves what holds whenever a run is at rest.
func (r *run) judgeView(v *view) {
	for _, o := range r.ordersOf() {
		b := v.details[o].GetOrder()
		var reserved, legs int64
		for _, x := range v.refunds[o] {
			r.judgeRefund(x)
			if !gaveUp(x) {
				reserved += x.GetAmount().GetAmountMinor()
			}
		}
		if reserved > b.GetPaidAmount().GetAmountMinor() {
			r.problem("refunds of %d of %s, of which %d were paid", reserved, o.name, b.GetPaidAmount().GetAmountMinor())
		}
		for _, l := range v.details[o].GetLegs() {
			legs += l.GetAmount().GetAmountMinor()
		}
		if paid := b.GetPaidAmount().GetAmountMinor(); legs != paid || (paid != 0 && paid != o.amount) {
			r.problem("%s over %d was paid with %d, by legs of %d", o.name, o.amount, paid, legs)
		}
	}
	r.judgeEnded(v)
	r.judgeAsks()
}

// judgeRefund proves that the figures of a refund add up.
func (r *run) judgeRefund(x *refundv1.Refund) {
	e := x.GetEffect()
	if sum := e.GetCreditPart().GetAmountMinor() + e.GetDownPaymentPart().GetAmountMinor(); sum != x.GetAmount().GetAmountMinor() {
		r.problem("refund %s of %v has the parts %v and %v", x.GetRefundId(), x.GetAmount(), e.GetCreditPart(), e.GetDownPaymentPart())
	}
	var down, cash int64
	for _, l := range e.GetLegs() {
		cash += l.GetAmount().GetAmountMinor()
		if l.GetKind() == refundv1.RefundLegKind_REFUND_LEG_KIND_DOWN_PAYMENT {
			down += l.GetAmount().GetAmountMinor()
		}
		if x.GetState() == refundSucceeded && l.GetState() != legReturned && l.GetState() != legKept {
			r.problem("refund %s SUCCEEDED with a leg that is %s", x.GetRefundId(), stateName(l.GetState()))
		}
	}
	if x.GetState() != refundSucceeded && x.GetState() != refundExecuting {
		return // Legs are of what was carried out.
	}
	if down != e.GetDownPaymentPart().GetAmountMinor() || cash != e.GetCashReturned().GetAmountMinor() {
		r.problem("refund %s gives back %v, %v of the down payment, by legs of %d and %d", x.GetRefundId(), e.GetCashReturned(), e.GetDownPaymentPart(), cash, down)
	}
	if less := e.GetPrincipalReduced().GetAmountMinor(); less > e.GetCreditPart().GetAmountMinor() {
		r.problem("refund %s takes %d of the principal, its part in credit is %v", x.GetRefundId(), less, e.GetCreditPart())
	}
}

// judgeEnded proves that what ended stays so, and notes what has ended.
func (r *run) judgeEnded(v *view) {
	r.mu.Lock()
	refunds := slices.Clone(r.refunds)
	r.mu.Unlock()
	for _, x := range refunds {
		got := v.refund(x)
		if got == nil {
			r.problem("refund %s %s is gone", x.name, x.id)
			continue
		}
		if got.GetAmount().GetAmountMinor() != x.amount {
			r.problem("refund %s of %d is of %v", x.name, x.amount, got.GetAmount())
		}
		state := stateName(got.GetState())
		if x.ended != "" && x.ended != state {
			r.problem("refund %s was %s and is %s", x.name, x.ended, state)
		}
		if refundEnded(got) {
			x.ended = state
		}
	}
}

// judgeAsks proves that no payer gets more back than was paid: what the marketplace is asked for stays within each leg, and money that did
// not come is not asked for.
func (r *run) judgeAsks() {
	for _, subject := range r.subjects() {
		l := r.legOf(subject)
		var sum int64
		for _, a := range r.site.market.asksOf(subject) {
			sum += a.amount
			if !l.paid {
				r.problem("the marketplace is to give back %d of %s, which nobody paid", a.amount, l.name)
			}
		}
		if sum > l.amount {
			r.problem("the marketplace is to give back %d of %s over %d", sum, l.name, l.amount)
		}
		for _, wrong := range r.site.market.wrongOf(subject) {
			r.problem("the marketplace was %s", wrong)
		}
	}
}

// finish lets everything end that can: the desk answers what is open, operators look after legs that failed, and the payer pays what is owed.
func (r *run) finish(ctx context.Context) {
	if r.failed() {
		return
	}
	staysInDebt := r.dice.IntN(16) == 0
	for range 12 {
		r.touch(nil)
		v := r.settle(ctx)
		if v == nil {
			return
		}
		more := r.finishReturns(ctx, v)
		if !staysInDebt {
			more = r.finishLoans(ctx, v) || more
		}
		if !more {
			r.judgeEnd(ctx, v, staysInDebt)
			return
		}
	}
	r.problem("it does not come to an end")
}

// finishReturns answers what is to be given back; it reports whether there was something.
func (r *run) finishReturns(ctx context.Context, v *view) (more bool) {
	for _, o := range r.ordersOf() {
		for _, x := range v.refunds[o] {
			for _, l := range x.GetEffect().GetLegs() {
				if l.GetState() == legFailed {
					more = true
					r.say("in the end: leg %s of %s failed → %q", l.GetReference(), x.GetRefundId(), r.endLeg(ctx, &refund{id: x.GetRefundId()}, l.GetReference(), r.dice.IntN(3)))
				}
				if l.GetState() == legReturning {
					r.awaitAsk(ctx, l.GetReference())
				}
			}
		}
		if v.state(o) == cancelled && v.paid(o) && o.checkout.offer.down {
			if down := r.downPayment(ctx, o); down.GetState() == isReturning {
				r.awaitAsk(ctx, down.GetReference())
			}
		}
	}
	for _, a := range r.site.market.asksOf(r.subjects()...) {
		if r.answer(a.reference) == isReversed {
			continue
		}
		state := r.cashLeg(ctx, a.reference).GetState()
		if state == isFailed && a.refund == "" && !r.resolvedShare(a.reference) {
			more = true
			r.say("in the end: the share %s failed → %q", a.reference, r.endShare(ctx, a.reference, r.dice.IntN(3)))
		}
		if state == isReturning {
			more = true
			r.say("in the end: %s over %d is given back → %s", a.reference, a.amount, r.tell(ctx, a.reference, word{request: r.id("notice"), status: tellRefunded}, v))
		}
	}
	return more
}

// awaitAsk waits until the marketplace was asked for a reference.
func (r *run) awaitAsk(ctx context.Context, reference string) {
	deadline := time.Now().Add(settleTime)
	for !r.site.market.heard(reference) {
		if time.Now().After(deadline) {
			r.problem("the marketplace was not asked for %s", reference)
			return
		}
		if !pause(ctx, 20*time.Millisecond) {
			return
		}
	}
}

// downPayment is the cash leg of an order; nil when it has none.
func (r *run) downPayment(ctx context.Context, o *order) *paymentv1.Leg {
	res, _ := call(ctx, r, "QueryDownPayResult", func(ctx context.Context) (*paymentv1.QueryDownPayResultResponse, error) {
		return r.site.payments.QueryDownPayResult(as(ctx, r.site.spm), &paymentv1.QueryDownPayResultRequest{OrderId: o.id})
	}, errs.NotFound)
	return res.GetLeg()
}

// finishLoans has the payer settle every loan that is owed; it reports whether there was one.
func (r *run) finishLoans(ctx context.Context, v *view) (more bool) {
	for _, o := range r.ordersOf() {
		if !v.owes(o) {
			continue
		}
		more = true
		last := r.beginsToPay(ctx, o, "early", v)
		if last == nil {
			// Settling costs nothing, because only interest that is not billed yet is left, which settling saves: it is paid as it stands.
			last = r.beginsToPay(ctx, o, "a loan", v)
		}
		if last != nil && !last.paid {
			r.take(ctx, r.tells(last, word{request: r.id("notice"), status: tellPaid}), v)
		}
	}
	return more
}

// beginsToPay has the payer begin a repayment and gives its leg; nil when there is nothing to pay.
func (r *run) beginsToPay(ctx context.Context, o *order, way string, v *view) *leg {
	count := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.legs)
	}
	before := count()
	r.take(ctx, r.repaysOf(o, way, 0, false), v)
	if count() == before {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.legs[len(r.legs)-1]
}

// judgeEnd proves that everything is in a final state that fits the others.
func (r *run) judgeEnd(ctx context.Context, v *view, staysInDebt bool) {
	for _, o := range r.ordersOf() {
		d, state := v.details[o], v.state(o)
		if !v.paid(o) {
			d = r.detail(ctx, o)
		}
		loan := d.GetLoanState()
		everything := d.GetOrder().GetPaidAmount().GetAmountMinor() > 0 && v.left(o) == 0
		fits := false
		switch state {
		case cancelled, expired:
			fits = loan == "" || loan == "VOID"
		case closed:
			fits = loan == "SETTLED" || (everything && (loan == "VOID" || staysInDebt))
		case confirmed:
			fits = staysInDebt && !everything && v.owes(o)
		}
		if !fits {
			r.problem("in the end %s is %s, its loan %q, all of it refunded: %t", o.name, stateName(state), loan, everything)
		}
		for _, x := range v.refunds[o] {
			if !refundEnded(x) {
				r.problem("in the end refund %s is %s", x.GetRefundId(), stateName(x.GetState()))
			}
			r.tally.count("refunds ended", stateName(x.GetState())+" "+x.GetFailure())
		}
		r.tally.count("orders ended", stateName(state)+", loan "+loan)
		if len(v.refunds[o]) > 0 {
			r.judgePayment(ctx, v, o)
		}
	}
	for p, got := range v.repayments {
		if got.GetState() == repaymentPending {
			r.problem("in the end %s is PENDING", p.name)
		}
		r.tally.count("repayments ended", stateName(got.GetState()))
	}
	r.judgeCash(v)
	r.judgeAccount(ctx, staysInDebt)
}

// judgePayment holds what refunds took out of a payment against the refunds.
func (r *run) judgePayment(ctx context.Context, v *view, o *order) {
	res, _ := call(ctx, r, "BatchGetPayments", func(ctx context.Context) (*paymentv1.BatchGetPaymentsResponse, error) {
		return r.site.cash.BatchGetPayments(as(ctx, r.site.refund), &paymentv1.BatchGetPaymentsRequest{OrderIds: []string{o.id}})
	})
	var credit, cash, wantCredit, wantCash int64
	for _, p := range res.GetPayments() {
		for _, l := range p.GetLegs() {
			if l.GetKind() == paymentv1.ChannelKind_CHANNEL_KIND_CREDIT {
				credit += l.GetRefundedAmount().GetAmountMinor()
			} else {
				cash += l.GetRefundedAmount().GetAmountMinor()
			}
		}
	}
	for _, x := range v.refunds[o] {
		if x.GetState() == refundSucceeded {
			wantCredit += x.GetEffect().GetCreditPart().GetAmountMinor()
			wantCash += x.GetEffect().GetDownPaymentPart().GetAmountMinor()
		}
	}
	if credit != wantCredit || cash != wantCash {
		r.problem("refunds of %s took %d of the credit and %d of the cash, the payment says %d and %d", o.name, wantCredit, wantCash, credit, cash)
	}
}

// judgeCash proves that the marketplace was asked for exactly what refunds and cancellations give back of each leg.
func (r *run) judgeCash(v *view) {
	for _, subject := range r.subjects() {
		l := r.legOf(subject)
		want, asked := r.owedBack(v, l), int64(0)
		whole := false
		for _, a := range r.site.market.asksOf(subject) {
			asked += a.amount
			whole = whole || a.reference == l.reference
		}
		if whole {
			want = l.amount // It came too late.
		}
		if asked != want {
			r.problem("the marketplace was asked to give back %d of %s, refunds and cancellations give back %d", asked, l.name, want)
		}
	}
}

// owedBack is what refunds and cancellations give back of a leg.
func (r *run) owedBack(v *view, l *leg) (sum int64) {
	for _, o := range r.ordersOf() {
		for _, x := range v.refunds[o] {
			for _, back := range x.GetEffect().GetLegs() {
				if back.GetReference() != "" && back.GetRepaymentId() == l.subject {
					sum += back.GetAmount().GetAmountMinor()
				}
			}
		}
		if l.kind != isDownPayment || !paidBy(v.details[o], o, l) {
			continue
		}
		if v.state(o) == cancelled {
			sum += cashOf(v.details[o])
			continue
		}
		for _, x := range v.refunds[o] {
			if x.GetState() == refundSucceeded {
				sum += x.GetEffect().GetDownPaymentPart().GetAmountMinor()
			}
		}
	}
	return sum
}

// paidBy reports whether an order was paid with the cash of a leg: of a checkout's commits one succeeds, and only its cash pays.
func paidBy(d *orderv1.OrderDetail, o *order, l *leg) bool {
	return d.GetOrder().GetPaidAmount().GetAmountMinor() > 0 && slices.Contains(o.checkout.commits, l.subject) && l.used
}

func cashOf(d *orderv1.OrderDetail) (sum int64) {
	for _, l := range d.GetLegs() {
		if l.GetKind() == "CASH" {
			sum += l.GetAmount().GetAmountMinor()
		}
	}
	return sum
}

// judgeAccount proves that nothing of the limit is held any more, and nothing used when everything is paid.
func (r *run) judgeAccount(ctx context.Context, staysInDebt bool) {
	res, _ := call(ctx, r, "GetCreditAccount", func(ctx context.Context) (*billv1.GetCreditAccountResponse, error) {
		return r.site.accounts.GetCreditAccount(r.site.admin(ctx, "alice"), &billv1.GetCreditAccountRequest{UserId: r.user})
	})
	s := res.GetAccount().GetSummary()
	if s.GetHeld().GetAmountMinor() != 0 || (!staysInDebt && s.GetUsed().GetAmountMinor() != 0) {
		r.problem("in the end the account is %s", fmt.Sprint(s))
	}
}
