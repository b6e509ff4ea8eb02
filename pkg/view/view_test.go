package view_test

import (
	"testing"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"
	"google.golang.org/protobuf/proto"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/view"
)

func detail() *orderv1.OrderDetail {
	return &orderv1.OrderDetail{
		Order: &orderv1.OrderBrief{OrderId: "ord_1"}, LoanId: "lon_1", LoanState: "ACTIVE", Plan: &commonv1.Plan{ProductCode: "SPL_ID"},
		ContractIds: []string{"C1"}, Legs: []*orderv1.PaymentLeg{{Kind: "CREDIT"}},
		Timeline: []*commonv1.TimelineEntry{
			{Service: "order", Actor: "SPM:marketplace", Cause: "out of stock"},
			{Service: "bill", Actor: "ADMIN:alice", Cause: "she is ill"},
			{Service: "refund", Actor: "timer:drive_refund"},
		},
	}
}

func TestFor_MerchantSeesNoLoan(t *testing.T) {
	t.Parallel()
	full := detail()
	got := view.For(caller.Merchant, full)
	want := &orderv1.OrderDetail{Order: &orderv1.OrderBrief{OrderId: "ord_1"}, Timeline: []*commonv1.TimelineEntry{
		{Service: "order", Actor: "SPM"}, {Service: "refund", Actor: "timer"}}}
	if !proto.Equal(got, want) {
		t.Errorf("a merchant sees %v, want %v", got, want)
	}
	if !proto.Equal(full, detail()) {
		t.Errorf("the message was changed: %v", full)
	}
}

func TestFor_PayerSeesLoanWithoutNames(t *testing.T) {
	t.Parallel()
	want := detail()
	for _, e := range want.GetTimeline() {
		e.Cause = ""
	}
	want.Timeline[0].Actor, want.Timeline[1].Actor, want.Timeline[2].Actor = "SPM", "ADMIN", "timer"
	if got := view.For(caller.H5, detail()); !proto.Equal(got, want) {
		t.Errorf("the payer sees %v, want %v", got, want)
	}
}

func TestFor_OperatorGetsMessageItself(t *testing.T) {
	t.Parallel()
	for _, k := range []caller.Kind{caller.Admin, caller.Service} {
		if full := detail(); view.For(k, full) != proto.Message(full) {
			t.Errorf("%s gets a copy, want the message", k)
		}
	}
	// Nothing of this one is hidden from the payer: no copy is made.
	if m := (&orderv1.QueryCheckoutInfoResponse{CheckoutId: "chk_1"}); view.For(caller.H5, m) != proto.Message(m) {
		t.Error("a message without restricted fields was copied")
	}
}

func TestFor_FailureIsReasonOrNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{{"REFUND_EXCEEDS_BUDGET", "REFUND_EXCEEDS_BUDGET"}, {"the payer lies", ""}, {"", ""}} {
		got, ok := view.For(caller.SPM, &refundv1.Refund{Failure: c.text}).(*refundv1.Refund)
		if !ok || got.GetFailure() != c.want {
			t.Errorf("failure %q is shown as %q, want %q", c.text, got.GetFailure(), c.want)
		}
	}
}

// Who is nobody sees what everybody sees; a message that is not there stays so.
func TestFor_NobodyAndNothing(t *testing.T) {
	t.Parallel()
	if got, ok := view.For(0, detail()).(*orderv1.OrderDetail); !ok || got.GetLoanId() != "" || got.GetTimeline()[0].GetActor() != "" {
		t.Errorf("nobody sees %v", got)
	}
	var none *orderv1.OrderDetail
	if got := view.For(caller.H5, none); got != proto.Message(none) || view.For(caller.H5, nil) != nil {
		t.Errorf("got %v of nothing", got)
	}
}

func TestAlike(t *testing.T) {
	t.Parallel()
	if !view.Alike(caller.SPM, caller.Merchant, &orderv1.OrderPaid{}) || view.Alike(caller.SPM, caller.Merchant, &refundv1.RefundChanged{}) {
		t.Error("want order.paid alike for marketplace and merchant, and refund.changed not")
	}
}

func BenchmarkFor(b *testing.B) {
	m := &orderv1.QueryCheckoutInfoResponse{Plans: []*commonv1.Plan{{}, {}}}
	for b.Loop() {
		view.For(caller.H5, m)
	}
}
