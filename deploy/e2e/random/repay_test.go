package random

import (
	"context"
	"fmt"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"

	"github.com/creditpay/creditpay/pkg/errs"
)

// owes reports whether an order has a loan that runs.
func (v *view) owes(o *order) bool {
	if v == nil {
		return false
	}
	s := v.details[o].GetLoanState()
	return s == "ACTIVE" || s == "OVERDUE"
}

// repays begins a repayment: of bills, of a loan, of an amount that may be more than what is owed, or an early settlement. Most of the time
// the money is there at once.
func (r *run) repays() *step {
	o, found := someThat(r, r.ordersOf(), func(o *order) bool { return r.last.owes(o) })
	if !found {
		return nil
	}
	way := pick(r.dice, []string{"the bills", "a loan", "an amount", "an amount", "early"})
	amount := 1 + r.dice.Int64N(o.amount*3/2)
	return r.repaysOf(o, way, amount, r.dice.IntN(3) > 0)
}

func (r *run) repaysOf(o *order, way string, amount int64, atOnce bool) *step {
	p := &repayment{}
	request, w := r.id("repay"), r.speaks(tellPaid, tellFailed)
	what := fmt.Sprintf("the payer repays (%s)", way)
	switch way {
	case "an amount":
		what = fmt.Sprintf("the payer repays %d", amount)
	case "a loan":
		what = "the payer repays the loan of " + o.name
	case "early":
		what = "the payer settles the loan of " + o.name + " early"
	}
	if atOnce {
		what += fmt.Sprintf(", and the desk says: %s", w)
	}
	return &step{kind: "repay " + way, what: what, do: func(ctx context.Context, v *view) string {
		loan := r.loanOf(ctx, o)
		if loan == "" && way != "an amount" && way != "the bills" {
			return "no loan"
		}
		send := func(ctx context.Context) (string, string) { return r.beginRepayment(ctx, request, way, loan, amount) }
		id, reason := send(ctx)
		if reason != "" {
			return reason
		}
		if id == "" {
			return "no bill"
		}
		p.id = id
		r.mu.Lock()
		p.name = fmt.Sprintf("p%d", len(r.repayments)+1)
		r.repayments = append(r.repayments, p)
		r.mu.Unlock()
		if way == "an amount" || way == "early" { // What bills are unpaid is asked anew each time.
			r.remember("repays "+p.name, id, send)
		}
		l := r.addLeg(ctx, id)
		if l == nil {
			r.problem("repayment %s has no leg", id)
			return "?"
		}
		if !atOnce {
			return "BEGUN"
		}
		return "BEGUN " + r.tell(ctx, l.reference, w, v)
	}}
}

// loanOf is the loan of an order; empty when there is none.
func (r *run) loanOf(ctx context.Context, o *order) string {
	return r.detail(ctx, o).GetLoanId()
}

// beginRepayment begins one; the id is empty when there is no unpaid bill to repay.
func (r *run) beginRepayment(ctx context.Context, request, way, loan string, amount int64) (id, reason string) {
	if way == "early" {
		res, reason := call(ctx, r, "SettleEarly", func(ctx context.Context) (*billv1.SettleEarlyResponse, error) {
			return r.site.bills.SettleEarly(r.h5(ctx), &billv1.SettleEarlyRequest{RequestId: request, LoanId: loan, Channel: "VA_BCA"})
		}, errs.NothingToPay, errs.LoanStateInvalid)
		return res.GetRepaymentId(), reason
	}
	req := &billv1.RepayBillsRequest{RequestId: request, Channel: "QRIS"}
	switch way {
	case "a loan":
		req.LoanIds = []string{loan}
	case "an amount":
		req.Amount = idr(amount)
	default:
		if req.BillIds = r.unpaidBills(ctx); len(req.GetBillIds()) == 0 {
			return "", ""
		}
	}
	// A loan that has not begun is not found among those that are owed.
	res, reason := call(ctx, r, "RepayBills", func(ctx context.Context) (*billv1.RepayBillsResponse, error) {
		return r.site.bills.RepayBills(r.h5(ctx), req)
	}, errs.NothingToPay, errs.NotFound)
	return res.GetRepaymentId(), reason
}

// unpaidBills are the bills that may be repaid.
func (r *run) unpaidBills(ctx context.Context) []string {
	res, _ := call(ctx, r, "QueryBills", func(ctx context.Context) (*billv1.QueryBillsResponse, error) {
		return r.site.bills.QueryBills(r.h5(ctx), &billv1.QueryBillsRequest{PageSize: 100})
	})
	var out []string
	for _, b := range res.GetBills() {
		if b.GetOpen().GetTotal().GetAmountMinor() > 0 && len(out) < 2 {
			out = append(out, b.GetBillId())
		}
	}
	return out
}
