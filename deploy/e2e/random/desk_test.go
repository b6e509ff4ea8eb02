package random

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
)

const (
	tellPaid     = paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_PAID
	tellFailed   = paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_FAILED
	tellRefunded = paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_REFUNDED

	isPending   = paymentv1.LegState_LEG_STATE_PENDING
	isSucceeded = paymentv1.LegState_LEG_STATE_SUCCEEDED
	isFailed    = paymentv1.LegState_LEG_STATE_FAILED
	isReversed  = paymentv1.LegState_LEG_STATE_REVERSED
	isReturning = paymentv1.LegState_LEG_STATE_RETURNING

	isDownPayment = paymentv1.ExternalLegKind_EXTERNAL_LEG_KIND_DOWN_PAYMENT
	isRepayment   = paymentv1.ExternalLegKind_EXTERNAL_LEG_KIND_REPAYMENT
)

// word is what the cash desk says of a reference, as it was drawn.
type word struct {
	request string
	status  paymentv1.ExternalLegStatus
	// amount and currency are wrong now and then; 0 and "" are right.
	amountOff int64
	currency  string
	otherKind bool
	// when is by how much the money moved before (negative) or after the desk says so; 0 when it does not say.
	when time.Duration
}

// money reports whether it names the amount and the currency that were asked for.
func (w word) money() bool { return w.amountOff == 0 && w.currency == "" }

func (w word) String() string {
	text := map[paymentv1.ExternalLegStatus]string{tellPaid: "PAID", tellFailed: "FAILED", tellRefunded: "REFUNDED"}[w.status]
	if w.amountOff != 0 {
		text += fmt.Sprintf(" %+d", w.amountOff)
	}
	if w.currency != "" {
		text += " in " + w.currency
	}
	if w.otherKind {
		text += " of another kind"
	}
	if w.when != 0 {
		text += fmt.Sprintf(" at %s", w.when)
	}
	return text
}

// speaks draws what the desk says; first is what it would say if nothing were wrong.
func (r *run) speaks(first, second paymentv1.ExternalLegStatus) word {
	w := word{request: r.id("notice"), status: first}
	switch r.dice.IntN(20) {
	case 0, 1, 2, 9, 10:
		w.status = second
	case 3:
		w.status = pick(r.dice, []paymentv1.ExternalLegStatus{tellPaid, tellFailed, tellRefunded})
	case 4:
		w.amountOff = pick(r.dice, []int64{-1, 1, 1_000})
	case 5:
		w.currency = "USD"
	case 6:
		if r.dice.IntN(3) == 0 {
			w.otherKind = true
		}
	case 7, 8:
		w.when = pick(r.dice, []time.Duration{-40 * 24 * time.Hour, -25 * time.Hour, -time.Minute, time.Hour})
	}
	return w
}

// paysAtDesk answers a leg that the payer was sent to pay: most of the time that it was paid.
func (r *run) paysAtDesk() *step {
	r.mu.Lock()
	open := slices.DeleteFunc(slices.Clone(r.legs), func(l *leg) bool { return l.paid })
	r.mu.Unlock()
	if len(open) == 0 {
		return nil
	}
	return r.tells(pick(r.dice, open), r.speaks(tellPaid, tellFailed))
}

// speaksOfAnyLeg says something of any leg: money that comes late, a denial, a bounce.
func (r *run) speaksOfAnyLeg() *step {
	r.mu.Lock()
	all := slices.Clone(r.legs)
	r.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	return r.tells(pick(r.dice, all), r.speaks(pick(r.dice, []paymentv1.ExternalLegStatus{tellPaid, tellFailed, tellRefunded}), tellPaid))
}

// bounces gives a repayment back that had arrived.
func (r *run) bounces() *step {
	r.mu.Lock()
	paid := slices.DeleteFunc(slices.Clone(r.legs), func(l *leg) bool { return !l.paid || l.kind != isRepayment })
	r.mu.Unlock()
	if len(paid) == 0 {
		return nil
	}
	s := r.tells(pick(r.dice, paid), word{request: r.id("notice"), status: tellRefunded})
	s.kind = "bounce"
	return s
}

// ordersBehind are the orders whose down payment a subject is; nil, for all, of a repayment.
func (r *run) ordersBehind(subject string) []*order {
	for _, c := range r.checkouts {
		if slices.Contains(c.commits, subject) {
			return c.orders
		}
	}
	return nil
}

// tells says something of a leg.
func (r *run) tells(l *leg, w word) *step {
	return &step{kind: "leg " + w.status.String()[len("EXTERNAL_LEG_STATUS_"):], what: fmt.Sprintf("the desk says of %s: %s", l.name, w),
		touches: r.ordersBehind(l.subject), do: func(ctx context.Context, v *view) string {
			return r.tell(ctx, l.reference, w, v)
		}}
}

// returns answers something that the marketplace was asked to give back.
func (r *run) returns() *step {
	asks := r.site.market.asksOf(r.subjects()...)
	if len(asks) == 0 {
		return nil
	}
	if open := slices.DeleteFunc(slices.Clone(asks), func(a ask) bool { return a.closed }); len(open) > 0 && r.dice.IntN(6) > 0 {
		asks = open
	}
	n := r.dice.IntN(len(asks))
	a, w := asks[n], r.speaks(tellRefunded, tellFailed)
	return &step{kind: "return " + w.status.String()[len("EXTERNAL_LEG_STATUS_"):], what: fmt.Sprintf("the desk says of %d to give back (%s): %s", a.amount, a.reference, w),
		touches: r.ordersBehind(a.subject), do: func(ctx context.Context, v *view) string {
			return r.tell(ctx, a.reference, w, v)
		}}
}

// tell sends a notification and judges the answer: by the table of the payment service's README when nothing else happens, else by what any
// state may answer.
func (r *run) tell(ctx context.Context, reference string, w word, v *view) string {
	was := r.cashLeg(ctx, reference)
	if was == nil {
		r.problem("there is no leg %s", reference)
		return "?"
	}
	subject := r.legOf(was.GetSubjectId())
	isReturn := subject == nil || subject.reference != reference
	req := r.notice(was, w)
	send := func(ctx context.Context, req *paymentv1.NotifyPaymentStatusRequest, legal ...errs.Reason) (paymentv1.LegState, string) {
		res, reason := call(ctx, r, "NotifyPaymentStatus", func(ctx context.Context) (*paymentv1.NotifyPaymentStatusResponse, error) {
			return r.site.payments.NotifyPaymentStatus(as(ctx, r.site.spm), req)
		}, legal...)
		return res.GetState(), reason
	}
	state, reason := send(ctx, req, errs.LegAmountMismatch, errs.InvalidArgument)
	want := ""
	switch {
	case w.otherKind:
		want = errs.InvalidArgument.Name()
	case !w.money() && w.mismatch(isReturn):
		want = errs.LegAmountMismatch.Name()
	}
	r.want(fmt.Sprintf("NotifyPaymentStatus %s of %s", w, reference), reason, want)
	if reason != "" {
		return reason
	}
	if v != nil {
		want := legAfter(was, w, req.GetPayTime(), r.site.now())
		if isReturn {
			want = returnAfter(was.GetState(), w.status)
		}
		if state != want {
			r.problem("NotifyPaymentStatus %s of %s, which was %s (return: %t), is answered %s, must be %s", w, reference, stateName(was.GetState()), isReturn, stateName(state), stateName(want))
		}
	}
	r.mu.Lock()
	if !isReturn && w.status == tellPaid {
		subject.paid = true
		subject.used = subject.used || state == isSucceeded
	}
	// Of two answers at the same time the later state counts.
	if isReturn || rank(state) > rank(r.answered[reference]) {
		r.answered[reference] = state
	}
	r.mu.Unlock()
	r.remember("says again of "+reference+": "+w.String(), state.String(), func(ctx context.Context) (string, string) {
		again, reason := send(ctx, req)
		return again.String(), reason
	})
	other := proto.CloneOf(req)
	*other.Amount.AmountMinor++
	r.remember("says something else of "+reference+" in the same request", errs.RequestIDReused.Name(), func(ctx context.Context) (string, string) {
		_, reason := send(ctx, other, errs.RequestIDReused)
		return reason, ""
	})
	return stateName(state)
}

// rank orders the states of a leg by time.
func rank(s paymentv1.LegState) int {
	return slices.Index([]paymentv1.LegState{0, isPending, isSucceeded, isFailed, isReturning, isReversed}, s)
}

// answer is the last state that the desk was told of a reference; UNSPECIFIED when it said nothing.
func (r *run) answer(reference string) paymentv1.LegState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.answered[reference]
}

func (r *run) notice(l *paymentv1.CashLeg, w word) *paymentv1.NotifyPaymentStatusRequest {
	req := &paymentv1.NotifyPaymentStatusRequest{RequestId: w.request, ExternalReference: l.GetReference(), Leg: l.GetKind(), Status: w.status,
		Amount: &commonv1.Money{AmountMinor: new(l.GetAmount().GetAmountMinor() + w.amountOff), CurrencyCode: "IDR"}}
	if req.GetAmount().GetAmountMinor() < 1 {
		*req.Amount.AmountMinor += 2 // A rupiah too much instead of one too little.
	}
	if w.currency != "" {
		req.Amount.CurrencyCode = w.currency
	}
	if w.otherKind {
		req.Leg = isDownPayment + isRepayment - l.GetKind()
	}
	if w.when != 0 {
		req.PayTime = timestamppb.New(r.site.now().Add(w.when))
	}
	return req
}

// mismatch reports whether another amount matters: FAILED moves no money, and of a return nothing but REFUNDED does.
func (w word) mismatch(isReturn bool) bool {
	return w.status == tellRefunded || (w.status == tellPaid && !isReturn)
}

// legAfter is the state of a leg after a notification with the right amount, as the payment service's README has it.
func legAfter(was *paymentv1.CashLeg, w word, paidAt *timestamppb.Timestamp, now time.Time) paymentv1.LegState {
	state := was.GetState()
	at := now
	if paidAt != nil && paidAt.AsTime().Before(now) {
		at = paidAt.AsTime()
	}
	switch {
	case w.status == tellPaid && state == isPending && at.Before(was.GetExpireTime().AsTime()):
		return isSucceeded
	case w.status == tellPaid && (state == isPending || state == isFailed):
		return isReturning
	case w.status == tellFailed && state == isPending:
		return isFailed
	case w.status == tellRefunded && (state != isSucceeded || was.GetKind() == isRepayment):
		return isReversed
	default:
		return state
	}
}

// returnAfter is the same for a return.
func returnAfter(was paymentv1.LegState, told paymentv1.ExternalLegStatus) paymentv1.LegState {
	switch {
	case told == tellRefunded:
		return isReversed
	case told == tellFailed && was == isReturning:
		return isFailed
	default:
		return was
	}
}
