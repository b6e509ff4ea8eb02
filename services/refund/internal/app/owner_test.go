package app_test

import (
	"testing"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/refund/internal/app"
)

// A second marketplace, and a shop of it with the same name, find nothing of the first one's refunds and orders, and the other way round.
func TestOwner_RefundsStayInTheirMarketplace(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	beta := caller.Caller{Kind: caller.SPM, Name: "beta", Owner: "beta"}
	orders := map[caller.Caller]ids.ID{spm(): b.order(100_000, 0, 0, "CONFIRMED"), beta: b.order(100_000, 0, 0, "CONFIRMED")}
	b.world.orders[orders[beta]].UserID = "beta~u1"
	refunds := map[caller.Caller]ids.ID{}
	ask := func(who caller.Caller, order ids.ID, number string) error {
		r, err := b.RefundPayment(t.Context(), app.Request{Caller: who, Requester: who.String(), RequestID: b.ids.New().String(), OutRefundNo: number,
			OrderID: order, Amount: rp(1_000), ReasonCode: 1, Reason: "sent back"})
		if err == nil {
			refunds[who] = r.ID
		}
		return err
	}
	for who, order := range orders {
		if err := ask(who, order, "r-1"); err != nil {
			t.Fatal(err)
		}
	}
	for who, other := range map[caller.Caller]caller.Caller{spm(): beta, beta: spm()} {
		shop := caller.Caller{Kind: caller.Merchant, MerchantID: "shop-1", Owner: who.Owner}
		if err := ask(who, orders[other], "r-2"); !errs.Is(err, errs.NotFound) {
			t.Errorf("%s refunds the other's order: %v, want NOT_FOUND", who, err)
		}
		if _, err := b.PreviewRefund(t.Context(), who, orders[other], rp(1)); !errs.Is(err, errs.NotFound) {
			t.Errorf("%s previews the other's order: %v, want NOT_FOUND", who, err)
		}
		for _, reader := range []caller.Caller{who, shop} {
			if _, _, err := b.GetRefund(t.Context(), reader, refunds[other]); !errs.Is(err, errs.NotFound) {
				t.Errorf("%s of %q reads the other's refund: %v, want NOT_FOUND", reader, reader.Owner, err)
			}
			if _, _, err := b.GetRefund(t.Context(), reader, refunds[who]); err != nil {
				t.Errorf("%s of %q reads its own: %v", reader, reader.Owner, err)
			}
		}
		list, err := b.ListRefunds(t.Context(), app.Filter{Owner: &who.Owner, Limit: 10})
		if err != nil || len(list) != 1 || list[0].ID != refunds[who] {
			t.Errorf("%s lists %+v, %v, want its own only", who, list, err)
		}
	}
	b.prove(t)
}
