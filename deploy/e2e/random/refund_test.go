package random

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/errs"
)

// someThat draws one of a list, most of the time one that fits; the second result is false when none fits, most of the time.
func someThat[T any](r *run, list []T, fits func(T) bool) (one T, found bool) {
	if r.dice.IntN(20) > 0 {
		list = slices.DeleteFunc(slices.Clone(list), func(x T) bool { return !fits(x) })
	}
	if len(list) == 0 {
		return one, false
	}
	return pick(r.dice, list), true
}

// someOrder draws an order, most of the time one of which something may be refunded.
func (r *run) someOrder() (*order, bool) {
	return someThat(r, r.ordersOf(), func(o *order) bool { return r.last == nil || (refundable(r.last.state(o)) && r.last.left(o) > 0) })
}

// part draws what is refunded: a part, everything, or more than there is.
func (r *run) part(o *order) int64 {
	left := o.amount
	if r.last.left(o) > 0 {
		left = r.last.left(o)
	}
	switch r.dice.IntN(8) {
	case 0:
		return left + 1 + r.dice.Int64N(left)
	case 1, 2:
		return left
	default:
		return 1 + r.dice.Int64N(max(left/int64(1+r.dice.IntN(4)), 1))
	}
}

// refundable reports whether orders of a state can be refunded.
func refundable(s orderv1.OrderState) bool { return s == paid || s == confirmed || s == closed }

// refusal is why an amount of an order cannot be refunded now; empty when it can.
func (v *view) refusal(o *order, amount int64) string {
	if v.state(o) == committing {
		return errs.CheckoutCommitting.Name()
	}
	if !refundable(v.state(o)) {
		return errs.OrderStateInvalid.Name()
	}
	if amount > v.left(o) {
		return errs.RefundExceedsBudget.Name()
	}
	return ""
}

// refundsSome is a refund of the marketplace, or of an operator.
func (r *run) refundsSome() *step {
	o, found := r.someOrder()
	if !found {
		return nil
	}
	return r.refundsPart(o, r.part(o))
}

func (r *run) refundsPart(o *order, amount int64) *step {
	x := &refund{order: o, amount: amount}
	if r.dice.IntN(3) == 0 {
		x.requester = pick(r.dice, operators())
	}
	request, number := r.id("refund"), r.id("back")
	what := fmt.Sprintf("the marketplace refunds %d of %s", amount, o.name)
	if x.requester != "" {
		what = fmt.Sprintf("%s asks for a refund of %d of %s", x.requester, amount, o.name)
	} else {
		x.number = number
	}
	return &step{kind: "refund", what: what, touches: []*order{o}, do: func(ctx context.Context, v *view) string {
		if v != nil && r.failed() {
			return "?"
		}
		got, reason := r.send(ctx, x, request, x.number, amount)
		if v != nil {
			r.want("RefundPayment of "+o.name, reason, v.refusal(o, amount))
		}
		if reason != "" {
			return reason
		}
		r.keep(x, got.GetRefundId(), request)
		return stateName(got.GetState())
	}}
}

// send asks for a refund, as the marketplace or as an operator.
func (r *run) send(ctx context.Context, x *refund, request, number string, amount int64, legal ...errs.Reason) (*refundv1.Refund, string) {
	// The order hears of its payment a moment after the payer does.
	legal = append(legal, errs.OrderStateInvalid, errs.RefundExceedsBudget, errs.CheckoutCommitting)
	if x.requester != "" {
		res, reason := call(ctx, r, "AdminRefundPayment", func(ctx context.Context) (*refundv1.AdminRefundPaymentResponse, error) {
			return r.site.refunds.AdminRefundPayment(r.site.admin(ctx, x.requester), &refundv1.AdminRefundPaymentRequest{RequestId: request, OrderId: x.order.id,
				Amount: idr(amount), Reason: "random", ReasonCode: refundv1.RefundReasonCode_REFUND_REASON_CODE_GOODWILL})
		}, legal...)
		return res.GetRefund(), reason
	}
	res, reason := call(ctx, r, "RefundPayment", func(ctx context.Context) (*refundv1.RefundPaymentResponse, error) {
		return r.site.refunds.RefundPayment(as(ctx, r.site.spm), &refundv1.RefundPaymentRequest{RequestId: request, OrderId: x.order.id, Amount: idr(amount),
			Reason: "random", OutRefundNo: number})
	}, legal...)
	return res.GetRefund(), reason
}

// keep notes a refund that was accepted, and the ways in which it may be repeated: under the request's id, under the marketplace's number,
// and with other content, which must be refused.
func (r *run) keep(x *refund, id, request string) {
	r.mu.Lock()
	x.id, x.name = id, fmt.Sprintf("r%d", len(r.refunds)+1)
	r.refunds = append(r.refunds, x)
	r.mu.Unlock()
	again := func(request, number string, amount int64, legal ...errs.Reason) func(ctx context.Context) (string, string) {
		return func(ctx context.Context) (string, string) {
			got, reason := r.send(ctx, x, request, number, amount, legal...)
			return got.GetRefundId(), reason
		}
	}
	other := func(request string, amount int64) func(ctx context.Context) (string, string) {
		return func(ctx context.Context) (string, string) {
			_, reason := again(request, x.number, amount, errs.RequestIDReused)(ctx)
			return reason, ""
		}
	}
	r.remember("asks for "+x.name, id, again(request, x.number, x.amount))
	r.remember("asks for "+x.name+" with another amount", errs.RequestIDReused.Name(), other(request, x.amount+1))
	if x.number != "" {
		r.remember("asks for "+x.name+" by its number", id, again(request+"-n", x.number, x.amount))
		r.remember("asks for "+x.name+" by its number with another amount", errs.RequestIDReused.Name(), other(request+"-m", x.amount+2))
	}
}

// looksAhead is a refund of the marketplace behind a look at what it would do: it must do exactly that.
func (r *run) looksAhead() *step {
	o, found := r.someOrder()
	if !found {
		return nil
	}
	amount := r.part(o)
	x := &refund{order: o, amount: amount, number: r.id("back")}
	request := r.id("refund")
	return &step{kind: "preview and refund", touches: []*order{o}, what: fmt.Sprintf("the marketplace looks what a refund of %d of %s does, and refunds it", amount, o.name), do: func(ctx context.Context, v *view) string {
		if v == nil {
			if v = r.settle(ctx); v == nil {
				return "?"
			}
		}
		seen, reason := call(ctx, r, "PreviewRefund", func(ctx context.Context) (*refundv1.PreviewRefundResponse, error) {
			return r.site.refunds.PreviewRefund(as(ctx, r.site.spm), &refundv1.PreviewRefundRequest{OrderId: o.id, Amount: idr(amount)})
		}, errs.OrderStateInvalid, errs.RefundExceedsBudget, errs.CheckoutCommitting)
		r.want("PreviewRefund of "+o.name, reason, v.refusal(o, amount))
		before := r.available(ctx)
		got, refused := r.send(ctx, x, request, x.number, amount)
		if reason != "" || refused != "" {
			r.want("RefundPayment after PreviewRefund", refused, reason)
			return refused
		}
		r.keep(x, got.GetRefundId(), request)
		r.touch([]*order{o})
		v = r.settle(ctx)
		if v == nil {
			return "?"
		}
		after := v.refund(x)
		r.foretold(seen.GetEffect(), after.GetEffect())
		if freed := r.available(ctx) - before; freed != after.GetEffect().GetLimitFreed().GetAmountMinor() {
			r.problem("refund %s says that it frees %v of the limit, and %d more are free", x.name, after.GetEffect().GetLimitFreed(), freed)
		}
		return stateName(after.GetState())
	}}
}

// foretold holds what a refund did against what was seen before: everything but what became of its legs.
func (r *run) foretold(seen, did *refundv1.RefundEffect) {
	bare := proto.CloneOf(did)
	for _, l := range bare.GetLegs() {
		l.State, l.Reference = refundv1.RefundLegState_REFUND_LEG_STATE_UNSPECIFIED, ""
	}
	if !proto.Equal(seen, bare) {
		r.problem("the preview said\n    %v\n  and the refund did\n    %v", seen, bare)
	}
	r.tally.count("previews that were compared", effectKind(bare))
}

// effectKind says in a word what an effect is made of.
func effectKind(e *refundv1.RefundEffect) string {
	kind := "without cash"
	for _, l := range e.GetLegs() {
		switch l.GetKind() {
		case refundv1.RefundLegKind_REFUND_LEG_KIND_REPAYMENT:
			kind = "with repayments"
		case refundv1.RefundLegKind_REFUND_LEG_KIND_CREDIT_BALANCE:
			return "with credit balance"
		default:
			if kind == "without cash" {
				kind = "with a down payment"
			}
		}
	}
	return kind
}

// available is what the payer may still spend.
func (r *run) available(ctx context.Context) int64 {
	res, _ := call(ctx, r, "GetCreditAccount", func(ctx context.Context) (*billv1.GetCreditAccountResponse, error) {
		return r.site.accounts.GetCreditAccount(r.site.admin(ctx, "alice"), &billv1.GetCreditAccountRequest{UserId: r.user})
	})
	return res.GetAccount().GetSummary().GetAvailable().GetAmountMinor()
}

// someRefund draws a refund, most of the time one that fits.
func (r *run) someRefund(fits func(*refundv1.Refund) bool) (*refund, bool) {
	r.mu.Lock()
	all := slices.Clone(r.refunds)
	r.mu.Unlock()
	return someThat(r, all, func(x *refund) bool { return fits(r.last.refund(x)) })
}

func waitsForApproval(x *refundv1.Refund) bool { return x.GetState() == refundPending }

// decides approves a refund, or rejects it: by who asked, by another person, by the same one twice, too late.
func (r *run) decides() *step {
	x, found := r.someRefund(waitsForApproval)
	if !found {
		return nil
	}
	who := pick(r.dice, operators())
	if who == x.requester && r.dice.IntN(3) > 0 {
		who = pick(r.dice, operators())
	}
	return r.decidesOf(x, who, r.dice.IntN(5) == 0)
}

func (r *run) decidesOf(x *refund, who string, reject bool) *step {
	request, verb := r.id("decide"), "approves"
	if reject {
		verb = "rejects"
	}
	decide := func(ctx context.Context) (*refundv1.RefundResult, string) {
		return r.decide(ctx, x, who, request, reject)
	}
	return &step{kind: verb, what: fmt.Sprintf("%s %s %s", who, verb, x.name), touches: []*order{x.order}, do: func(ctx context.Context, v *view) string {
		got, reason := decide(ctx)
		if reason != "" {
			return reason
		}
		reason = got.GetReason()
		if v != nil {
			r.judgeDecision(v.refund(x), v.state(x.order), who, reject, reason)
		} else if !slices.Contains([]string{"", errs.RefundStateInvalid.Name(), errs.ApproverIsRequester.Name(), errs.AlreadyApproved.Name(), errs.RefundChanged.Name(), errs.OrderStateInvalid.Name()}, reason) {
			r.problem("a decision about %s is answered %q", x.name, reason)
		}
		r.remember(fmt.Sprintf("%s says again that she or he %s %s", who, verb, x.name), reason, func(ctx context.Context) (string, string) {
			again, refused := decide(ctx)
			return again.GetReason(), refused
		})
		if reason != "" {
			return reason
		}
		return stateName(got.GetState())
	}}
}

func (r *run) decide(ctx context.Context, x *refund, who, request string, reject bool) (*refundv1.RefundResult, string) {
	var results []*refundv1.RefundResult
	var reason string
	if reject {
		var res *refundv1.RejectRefundResponse
		res, reason = call(ctx, r, "RejectRefund", func(ctx context.Context) (*refundv1.RejectRefundResponse, error) {
			return r.site.refunds.RejectRefund(r.site.admin(ctx, who), &refundv1.RejectRefundRequest{RequestId: request, RefundIds: []string{x.id}, Comment: "no"})
		})
		results = res.GetResults()
	} else {
		var res *refundv1.ApproveRefundResponse
		res, reason = call(ctx, r, "ApproveRefund", func(ctx context.Context) (*refundv1.ApproveRefundResponse, error) {
			return r.site.refunds.ApproveRefund(r.site.admin(ctx, who), &refundv1.ApproveRefundRequest{RequestId: request, RefundIds: []string{x.id}, Comment: "yes"})
		})
		results = res.GetResults()
	}
	if reason != "" || len(results) != 1 || results[0].GetRefundId() != x.id {
		r.problem("a decision about %s is answered %v %s", x.name, results, reason)
		return &refundv1.RefundResult{}, "?"
	}
	return results[0], ""
}

// judgeDecision holds the answer of a decision against the refund as it was before.
func (r *run) judgeDecision(was *refundv1.Refund, order orderv1.OrderState, who string, reject bool, reason string) {
	want := []string{""}
	switch {
	case was.GetState() != refundPending:
		want = []string{errs.RefundStateInvalid.Name()}
	case reject:
	case was.GetRequester() == "ADMIN:"+who:
		want = []string{errs.ApproverIsRequester.Name()}
	case slices.Contains(was.GetApprovers(), "ADMIN:"+who):
		want = []string{errs.AlreadyApproved.Name()}
	case !refundable(order):
		want = []string{errs.OrderStateInvalid.Name()}
	default:
		want = []string{"", errs.RefundChanged.Name()} // What was frozen may be old.
	}
	if !slices.Contains(want, reason) {
		r.problem("a decision of %s (rejects: %t) about %s, which was %s and approved by %v, is answered %q, must be one of %q", who, reject, was.GetRefundId(),
			stateName(was.GetState()), was.GetApprovers(), reason, want)
	}
}

func hasFailedLeg(x *refundv1.Refund) bool {
	return slices.ContainsFunc(x.GetEffect().GetLegs(), func(l *refundv1.RefundLeg) bool { return l.GetState() == legFailed })
}

// looksAfterLeg is an operator who asks for a leg once more, or ends it: the payer has the money, or keeps it as credit balance.
func (r *run) looksAfterLeg() *step {
	x, found := r.someRefund(hasFailedLeg)
	if !found {
		return nil
	}
	way, which := r.dice.IntN(3), r.dice.IntN(100)
	verb := []string{"asks once more for", "says that the payer has", "lets the payer keep as credit balance"}[way]
	return &step{kind: []string{"retry", "resolve as given back", "resolve as kept"}[way], what: fmt.Sprintf("bob %s a leg of %s", verb, x.name),
		touches: []*order{x.order}, do: func(ctx context.Context, v *view) string {
			now := r.getRefund(ctx, x)
			legs := slices.DeleteFunc(slices.Clone(now.GetEffect().GetLegs()), func(l *refundv1.RefundLeg) bool { return l.GetReference() == "" })
			if failed := slices.DeleteFunc(slices.Clone(legs), func(l *refundv1.RefundLeg) bool { return l.GetState() != legFailed }); len(failed) > 0 {
				legs = failed
			}
			if len(legs) == 0 {
				return "no leg"
			}
			l := legs[which%len(legs)]
			reason := r.endLeg(ctx, x, l.GetReference(), way)
			if v != nil {
				want := ""
				if l.GetState() != legFailed {
					want = errs.RefundStateInvalid.Name()
				}
				r.want("an operator's word about a leg of "+x.name, reason, want)
			}
			if reason == "" {
				return "DONE"
			}
			return reason
		}}
}

func (r *run) endLeg(ctx context.Context, x *refund, reference string, way int) string {
	if way == 0 {
		_, reason := call(ctx, r, "RetryRefundLeg", func(ctx context.Context) (*refundv1.RetryRefundLegResponse, error) {
			return r.site.refunds.RetryRefundLeg(r.site.admin(ctx, "bob"), &refundv1.RetryRefundLegRequest{RefundId: x.id, Reference: reference})
		}, errs.RefundStateInvalid)
		return reason
	}
	res, reason := call(ctx, r, "ResolveRefundLeg", func(ctx context.Context) (*refundv1.ResolveRefundLegResponse, error) {
		return r.site.refunds.ResolveRefundLeg(r.site.admin(ctx, "bob"), &refundv1.ResolveRefundLegRequest{RefundId: x.id, Reference: reference, GivenBack: new(way == 1),
			Evidence: "transfer 4711"})
	}, errs.RefundStateInvalid, errs.ApprovalPending)
	if reason == "" {
		reason = r.approved(ctx, res.GetApproval(), r.approveLeg)
	}
	return reason
}

func (r *run) getRefund(ctx context.Context, x *refund) *refundv1.Refund {
	res, _ := call(ctx, r, "GetRefund", func(ctx context.Context) (*refundv1.GetRefundResponse, error) {
		return r.site.refunds.GetRefund(r.site.admin(ctx, "alice"), &refundv1.GetRefundRequest{RefundId: x.id})
	})
	return res.GetRefund()
}
