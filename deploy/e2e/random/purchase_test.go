package random

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
)

const (
	created    = orderv1.OrderState_ORDER_STATE_CREATED
	committing = orderv1.OrderState_ORDER_STATE_COMMITTING
	paid       = orderv1.OrderState_ORDER_STATE_PAID
	confirmed  = orderv1.OrderState_ORDER_STATE_CONFIRMED
	closed     = orderv1.OrderState_ORDER_STATE_CLOSED
	cancelling = orderv1.OrderState_ORDER_STATE_CANCELLING
	cancelled  = orderv1.OrderState_ORDER_STATE_CANCELLED
	expired    = orderv1.OrderState_ORDER_STATE_EXPIRED
)

func stateName(s fmt.Stringer) string {
	for _, prefix := range []string{"ORDER_STATE_", "REFUND_STATE_", "PAYMENT_STATE_", "LEG_STATE_", "REFUND_LEG_STATE_", "REPAYMENT_STATE_"} {
		if name, ok := strings.CutPrefix(s.String(), prefix); ok {
			return name
		}
	}
	return s.String()
}

// price draws a price: a few rupiah, where rounding shows, to what two people must approve.
func (r *run) price() int64 {
	top := pick(r.dice, []int64{1_000, 100_000, 1_000_000, 1_000_000, 4_000_000, 12_000_000})
	return 60 + r.dice.Int64N(top)
}

// opens is a new checkout of one to three orders. The marketplace may repeat it, also under another request's id.
func (r *run) opens() *step {
	c := &checkout{name: fmt.Sprintf("c%d", len(r.checkouts)+1), offer: pick(r.dice, offers())}
	req := &orderv1.GeneratePaymentsRequest{RequestId: r.id("open"), UserId: r.user, Business: c.offer.business, CurrencyCode: "IDR", RedirectUrl: "https://shop.example/thanks"}
	life := pick(r.dice, []time.Duration{2 * time.Hour, 24 * time.Hour, 24 * time.Hour, 29 * 24 * time.Hour})
	var said []string
	for i := range 1 + r.dice.IntN(3) {
		o := &order{name: fmt.Sprintf("o%d", len(r.ordersOf())+i+1), amount: r.price(), checkout: c}
		c.orders = append(c.orders, o)
		said = append(said, fmt.Sprintf("%s %d", o.name, o.amount))
		req.Orders = append(req.Orders, &orderv1.OrderDraft{MerchantId: fmt.Sprintf("shop-%d", i+1), OutOrderNo: r.id("no"), Amount: idr(o.amount), Title: "A parcel"})
	}
	r.checkouts = append(r.checkouts, c)
	return &step{kind: "open", what: fmt.Sprintf("the marketplace opens %s (%s) for %s: %s", c.name, c.offer.product, life, strings.Join(said, ", ")), do: func(ctx context.Context, _ *view) string {
		req.ExpireTime = timestamppb.New(r.site.now().Add(life))
		open := func(ctx context.Context, req *orderv1.GeneratePaymentsRequest, legal ...errs.Reason) (*orderv1.Checkout, string) {
			res, reason := call(ctx, r, "GeneratePayments", func(ctx context.Context) (*orderv1.GeneratePaymentsResponse, error) {
				return r.site.orders.GeneratePayments(as(ctx, r.site.spm), req)
			}, legal...)
			return res.GetCheckout(), reason
		}
		made, reason := open(ctx, req)
		if reason != "" {
			return reason
		}
		c.id = made.GetCheckoutId()
		for i, o := range made.GetOrders() {
			c.orders[i].id = o.GetOrderId()
		}
		r.remember("opens "+c.name, c.id, func(ctx context.Context) (string, string) {
			again, reason := open(ctx, req)
			return again.GetCheckoutId(), reason
		})
		other := proto.CloneOf(req)
		other.RequestId, other.Orders[0].Amount = req.GetRequestId()+"-x", idr(req.GetOrders()[0].GetAmount().GetAmountMinor()+1)
		r.remember("opens "+c.name+" with another price", errs.OrderContentMismatch.Name(), func(ctx context.Context) (string, string) {
			other.ExpireTime = timestamppb.New(r.site.now().Add(life))
			_, reason := open(ctx, other, errs.OrderContentMismatch)
			return reason, ""
		})
		return "OPEN"
	}}
}

// opensAnother is a second checkout.
func (r *run) opensAnother() *step {
	if len(r.checkouts) > 1 {
		return nil
	}
	return r.opens()
}

// someCheckout draws a checkout, most of the time one that has an order in one of these states.
func (r *run) someCheckout(states ...orderv1.OrderState) (*checkout, bool) {
	return someThat(r, r.checkouts, func(c *checkout) bool {
		return r.last == nil || slices.ContainsFunc(c.orders, func(o *order) bool {
			s := r.last.state(o)
			return s == 0 || slices.Contains(states, s)
		})
	})
}

// unbuyable are the reasons why a checkout cannot be paid, now or ever.
func unbuyable() []errs.Reason {
	return []errs.Reason{errs.CheckoutExpired, errs.CheckoutCancelled, errs.CheckoutAlreadyPaid, errs.CheckoutCommitting, errs.AccountOverdue, errs.LimitInsufficient}
}

// quotes locks a plan; now and then one that is not offered.
func (r *run) quotes() *step {
	c, found := r.someCheckout(created)
	if !found {
		return nil
	}
	req := &paymentv1.ConfirmPayChannelRequest{RequestId: r.id("quote"), CheckoutId: c.id, Channel: "CREDIT", TenorMonths: pick(r.dice, c.offer.tenors), ProductCode: c.offer.product}
	legal := unbuyable()
	if c.offer.down != (r.dice.IntN(10) == 0) {
		req.DownPaymentChannel = "QRIS"
	}
	if r.dice.IntN(12) == 0 {
		req.TenorMonths = 7
		legal = append(legal, errs.TenorNotOffered)
	}
	if c.offer.down != (req.GetDownPaymentChannel() != "") {
		legal = append(legal, errs.DownPaymentRequired, errs.ChannelNotAvailable)
	}
	what := fmt.Sprintf("the payer chooses %d months for %s, down payment by %q", req.GetTenorMonths(), c.name, req.GetDownPaymentChannel())
	return &step{kind: "quote", what: what, touches: c.orders, do: func(ctx context.Context, _ *view) string {
		res, reason := call(ctx, r, "ConfirmPayChannel", func(ctx context.Context) (*paymentv1.ConfirmPayChannelResponse, error) {
			return r.site.payments.ConfirmPayChannel(r.h5(ctx), req)
		}, legal...)
		if reason != "" {
			return reason
		}
		r.mu.Lock()
		c.quote = res.GetQuote().GetQuoteId()
		r.mu.Unlock()
		return "QUOTED"
	}}
}

// commits pays a checkout, by its quote or by a plan that the page shows; now and then with a wrong PIN or an old total.
func (r *run) commits() *step {
	c, found := r.someCheckout(created)
	if !found {
		return nil
	}
	req := &paymentv1.DoCommitPaymentRequest{RequestId: r.id("commit"), CheckoutId: c.id, Pin: rightPin}
	byChoice, dearer, tenor := r.dice.IntN(2) == 0, r.dice.IntN(12) == 0, pick(r.dice, c.offer.tenors)
	r.mu.Lock()
	byChoice = byChoice || c.quote == ""
	r.mu.Unlock()
	legal := append(unbuyable(), errs.QuoteExpired, errs.QuoteReplaced, errs.QuoteNotFound, errs.CheckoutChanged, errs.CommitAborted, errs.PinLocked)
	what := fmt.Sprintf("the payer pays %s by the quote", c.name)
	if byChoice {
		what = fmt.Sprintf("the payer pays %s by the plan of %d months on the page", c.name, tenor)
		if dearer {
			what += ", but for another total"
		}
		legal = append(legal, errs.PlanChanged)
	}
	if r.dice.IntN(12) == 0 {
		req.Pin = wrongPin
		what += ", with a wrong PIN"
		legal = append(legal, errs.PinWrong)
	}
	return &step{kind: "commit", what: what, touches: c.orders, do: func(ctx context.Context, v *view) string {
		r.mu.Lock()
		req.QuoteId = c.quote
		r.mu.Unlock()
		if byChoice {
			req.QuoteId = ""
			req.Choice = r.choice(ctx, c, tenor)
			if dearer {
				*req.Choice.AgreedTotal.AmountMinor++
			}
		}
		return r.commit(ctx, c, req, v, legal)
	}}
}

// commit sends a commit and notes where the payer is sent to.
func (r *run) commit(ctx context.Context, c *checkout, req *paymentv1.DoCommitPaymentRequest, v *view, legal []errs.Reason) string {
	send := func(ctx context.Context) (*paymentv1.DoCommitPaymentResponse, string) {
		return call(ctx, r, "DoCommitPayment", func(ctx context.Context) (*paymentv1.DoCommitPaymentResponse, error) {
			return r.site.payments.DoCommitPayment(r.h5(ctx), req)
		}, legal...)
	}
	if v != nil && !v.has(c, created) {
		// Whatever else is wrong, a checkout that is not open is not paid.
		legal = []errs.Reason{errs.CheckoutExpired, errs.CheckoutCancelled, errs.CheckoutAlreadyPaid, errs.CheckoutCommitting, errs.QuoteExpired, errs.QuoteReplaced,
			errs.PinWrong, errs.PinLocked}
		if _, reason := send(ctx); reason == "" {
			r.problem("DoCommitPayment: a checkout with the orders %s was paid", v.states(c))
		} else {
			return reason
		}
		return "?"
	}
	res, reason := send(ctx)
	if reason != "" {
		return reason
	}
	id := res.GetCommitId()
	r.mu.Lock()
	c.commits = append(c.commits, id)
	r.mu.Unlock()
	r.remember("pays "+c.name, id, func(ctx context.Context) (string, string) {
		again, reason := send(ctx)
		return again.GetCommitId(), reason
	})
	switch {
	case res.GetState() == paymentv1.PaymentState_PAYMENT_STATE_PROCESSING && res.GetNextAction().GetRedirect() != nil:
		if l := r.addLeg(ctx, id); l == nil || !strings.HasSuffix(res.GetNextAction().GetRedirect().GetUrl(), "?reference="+l.reference) || !c.offer.down {
			r.problem("DoCommitPayment sends the payer to %v, the leg is %v", res.GetNextAction(), l)
		}
		return "AWAITING_CASH"
	case v != nil && res.GetState() == paymentv1.PaymentState_PAYMENT_STATE_PROCESSING:
		return "PROCESSING" // A fault that passes; the recovery ends it.
	case v != nil && res.GetState() != paymentv1.PaymentState_PAYMENT_STATE_SUCCEEDED:
		r.problem("DoCommitPayment: %v", res)
	}
	return stateName(res.GetState())
}

// choice is the plan of a tenor that the page shows, or one from memory when it shows none.
func (r *run) choice(ctx context.Context, c *checkout, tenor int32) *paymentv1.PlanChoice {
	res, _ := call(ctx, r, "QueryCheckoutInfo", func(ctx context.Context) (*orderv1.QueryCheckoutInfoResponse, error) {
		return r.site.orders.QueryCheckoutInfo(r.h5(ctx), &orderv1.QueryCheckoutInfoRequest{CheckoutId: c.id})
	})
	i := slices.IndexFunc(res.GetPlans(), func(p *commonv1.Plan) bool {
		return p.GetProductCode() == c.offer.product && p.GetTenorMonths() == tenor
	})
	if i < 0 {
		out := &paymentv1.PlanChoice{Channel: "CREDIT", ProductCode: c.offer.product, ProductVersion: 1, TenorMonths: tenor, AgreedTotal: idr(c.orders[0].amount)}
		if c.offer.down {
			out.DownPaymentChannel = "QRIS"
		}
		return out
	}
	p := res.GetPlans()[i]
	out := &paymentv1.PlanChoice{Channel: "CREDIT", ProductCode: p.GetProductCode(), ProductVersion: p.GetProductVersion(), TenorMonths: tenor,
		AgreedTotal: proto.CloneOf(p.GetTotal())}
	if p.GetDownPayment().GetAmountMinor() > 0 {
		out.DownPaymentChannel = "VA_BCA"
	}
	return out
}

// confirms says that the goods of some orders of a checkout were received.
func (r *run) confirms() *step {
	if c, found := r.someCheckout(paid); found {
		return r.confirmsOf(c)
	}
	return nil
}

func (r *run) confirmsOf(c *checkout) *step {
	orders := r.someOf(c.orders)
	req := &orderv1.ConfirmPaymentRequest{RequestId: r.id("confirm"), OrderIds: orderIDs(orders)}
	return &step{kind: "confirm", what: "the goods of " + orderNames(orders) + " arrive", touches: c.orders, do: func(ctx context.Context, v *view) string {
		res, reason := call(ctx, r, "ConfirmPayment", func(ctx context.Context) (*orderv1.ConfirmPaymentResponse, error) {
			return r.site.orders.ConfirmPayment(as(ctx, r.site.spm), req)
		})
		if reason != "" {
			return reason
		}
		return r.results("ConfirmPayment", res.GetResults(), func(i int) (string, orderv1.OrderState) {
			if v == nil {
				return "", 0
			}
			switch was := v.state(orders[i]); was {
			case paid, confirmed:
				return "", confirmed
			case closed:
				return "", closed
			case created, expired:
				return errs.OrderNotPaid.Name(), was
			case committing:
				return errs.CheckoutCommitting.Name(), was
			default:
				return errs.OrderStateInvalid.Name(), was
			}
		}, errs.OrderNotPaid, errs.CheckoutCommitting, errs.OrderStateInvalid, errs.ConcurrentChange, errs.DependencyUnavailable)
	}}
}

// cancels takes a checkout back, or some orders of it.
func (r *run) cancels() *step {
	if c, found := r.someCheckout(created, committing, paid); found {
		return r.cancelsOf(c)
	}
	return nil
}

func (r *run) cancelsOf(c *checkout) *step {
	req := &orderv1.CancelPaymentsRequest{RequestId: r.id("cancel"), Reason: "changed my mind"}
	orders := c.orders
	what := "the marketplace cancels " + c.name
	if r.dice.IntN(4) == 0 {
		req.CheckoutId = c.id
	} else {
		orders = r.someOf(c.orders)
		req.OrderIds, what = orderIDs(orders), "the marketplace cancels "+orderNames(orders)
	}
	return &step{kind: "cancel", what: what, touches: c.orders, do: func(ctx context.Context, v *view) string {
		res, reason := call(ctx, r, "CancelPayments", func(ctx context.Context) (*orderv1.CancelPaymentsResponse, error) {
			return r.site.orders.CancelPayments(as(ctx, r.site.spm), req)
		})
		if reason != "" {
			return reason
		}
		return r.results("CancelPayments", res.GetResults(), func(i int) (string, orderv1.OrderState) {
			if v == nil {
				return "", 0
			}
			switch was := v.state(orders[i]); was {
			case created, committing, cancelled:
				return "", cancelled
			case paid:
				return "", cancelling
			case confirmed, closed:
				return errs.OrderAlreadyConfirmed.Name(), was
			default:
				return errs.OrderStateInvalid.Name(), was
			}
		}, errs.OrderAlreadyConfirmed, errs.CheckoutCommitting, errs.OrderStateInvalid, errs.ConcurrentChange, errs.DependencyUnavailable)
	}}
}

// results judges the results of a call over orders. expect gives what one must be; state 0 when that is not known.
func (r *run) results(verb string, got []*orderv1.OrderResult, expect func(i int) (string, orderv1.OrderState), legal ...errs.Reason) string {
	var said []string
	for i, x := range got {
		reason := ""
		if x.GetReason() != commonv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
			reason = strings.TrimPrefix(x.GetReason().String(), "ERROR_REASON_")
		}
		wantReason, wantState := expect(i)
		if wantState != 0 && (reason != wantReason || x.GetState() != wantState) {
			r.problem("%s: %s is answered %s %q, must be %s %q", verb, x.GetOrderId(), stateName(x.GetState()), reason, stateName(wantState), wantReason)
		}
		if reason != "" && !slices.ContainsFunc(legal, func(l errs.Reason) bool { return l.Name() == reason }) {
			r.problem("%s: %s is answered %s, which is none of %s", verb, x.GetOrderId(), reason, names(legal))
		}
		if reason == "" {
			reason = stateName(x.GetState())
		}
		if !slices.Contains(said, reason) {
			said = append(said, reason)
		}
	}
	slices.Sort(said)
	return strings.Join(said, "+")
}

// someOf are one to all of a list, in its order.
func (r *run) someOf(list []*order) []*order {
	first := r.dice.IntN(len(list))
	out := []*order{list[first]}
	for i, o := range list {
		if i > first && r.dice.IntN(2) == 0 {
			out = append(out, o)
		}
	}
	return out
}

func orderIDs(list []*order) []string {
	out := make([]string, len(list))
	for i, o := range list {
		out[i] = o.id
	}
	return out
}

func orderNames(list []*order) string {
	out := make([]string, len(list))
	for i, o := range list {
		out[i] = o.name
	}
	return strings.Join(out, ", ")
}
