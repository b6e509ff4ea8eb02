package random

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
)

// next draws the next step. What is drawn may find nothing to do; then another is drawn.
func (r *run) next() *step {
	kinds := []struct {
		weight int
		draw   func() *step
	}{
		{1, r.opensAnother},
		{6, r.quotes},
		{14, r.commits},
		{8, r.confirms},
		{9, r.cancels},
		{16, r.refundsSome},
		{12, r.looksAhead},
		{60, r.decides},
		{60, r.looksAfterLeg},
		{60, r.looksAfterShare},
		{12, r.repays},
		{16, r.paysAtDesk},
		{4, r.speaksOfAnyLeg},
		{4, r.bounces},
		{14, r.returns},
		{6, r.repeats},
		{16, r.together},
	}
	sum := 0
	for _, k := range kinds {
		sum += k.weight
	}
	for range 30 {
		n := r.dice.IntN(sum)
		for _, k := range kinds {
			if n -= k.weight; n >= 0 {
				continue
			}
			if s := k.draw(); s != nil {
				return s
			}
			break
		}
	}
	return nil
}

// repeatTime is how long a request is repeated: the services keep their records for a month.
const repeatTime = 25 * 24 * time.Hour

// repeats sends an earlier request once more: as it was, or with other content under the same id or number. The answer must be the same, or a
// refusal that names the id.
func (r *run) repeats() *step {
	r.mu.Lock()
	var list []earlier
	for _, e := range r.earlier {
		if r.site.now().Sub(e.at) < repeatTime {
			list = append(list, e)
		}
	}
	r.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	e := pick(r.dice, list)
	return &step{kind: "repeat", what: "once more: " + e.what, do: func(ctx context.Context, _ *view) string {
		got, reason := e.ask(ctx)
		r.want("once more: "+e.what, got+reason, e.want)
		return "as before"
	}}
}

// together is two things of one order, or of one refund, at the same moment.
func (r *run) together() *step {
	o, found := r.someOrder()
	if !found {
		return nil
	}
	refundSome := func() *step { return r.refundsPart(o, 1+r.dice.Int64N(o.amount)) }
	refundAll := func() *step { return r.refundsPart(o, o.amount) }
	cancel := func() *step { return r.cancelsOf(o.checkout) }
	confirm := func() *step { return r.confirmsOf(o.checkout) }
	repay := func() *step {
		return r.repaysOf(o, pick(r.dice, []string{"a loan", "an amount", "early"}), 1+r.dice.Int64N(o.amount), true)
	}
	pairs := [][2]func() *step{
		{refundSome, refundSome}, {refundAll, refundSome}, {refundSome, cancel}, {refundAll, cancel}, {refundSome, repay}, {refundAll, repay}, {refundSome, confirm},
		{refundAll, confirm}, {cancel, confirm}, {r.commits, cancel}, {r.commits, r.commits}, {r.paysAtDesk, cancel}, {r.bounces, refundSome}, {r.bounces, repay},
		{r.returns, r.returns}, {r.looksAfterLeg, r.returns}, {r.paysAtDesk, r.paysAtDesk}, {repay, repay},
		{r.decides, r.decides}, {r.decides, repay},
		{r.decides, refundSome}, {r.bounces, r.returns}, {r.looksAfterShare, r.returns},
	}
	pair := pick(r.dice, pairs)
	first, second := pair[0](), pair[1]()
	if first == nil || second == nil {
		return nil
	}
	delay := r.dice.IntN(6)
	touches := slices.Concat(first.touches, second.touches)
	if first.touches == nil || second.touches == nil {
		touches = nil
	}
	return &step{kind: "together", what: fmt.Sprintf("together: %s || (%d calls later) %s", first.what, delay, second.what), touches: touches, do: func(ctx context.Context, _ *view) string {
		var outcomes [2]string
		var group sync.WaitGroup
		group.Go(func() { outcomes[0] = first.do(ctx, nil) })
		group.Go(func() {
			for range delay {
				r.detail(ctx, o)
			}
			outcomes[1] = second.do(ctx, nil)
		})
		group.Wait()
		r.tally.count("together: "+first.kind+" || "+second.kind, strings.Join(outcomes[:], " || "))
		return strings.Join(outcomes[:], " || ")
	}}
}

func (r *run) detail(ctx context.Context, o *order) *orderv1.OrderDetail {
	res, _ := call(ctx, r, "GetOrderDetail", func(ctx context.Context) (*orderv1.GetOrderDetailResponse, error) {
		return r.site.orders.GetOrderDetail(as(ctx, r.site.spm), &orderv1.GetOrderDetailRequest{OrderId: o.id})
	})
	return res.GetDetail()
}
