package crash

import (
	"context"
	"fmt"
	"strings"
	"testing"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/testkit"
)

// furniture is the business whose plans ask for a fifth at once.
const furniture = "furniture"

func (s *site) sellFurniture(t *testing.T) {
	t.Helper()
	amount := func(minor int64) *commonv1.Money {
		return &commonv1.Money{AmountMinor: new(minor), CurrencyCode: "IDR"}
	}
	_, err := billv1.NewBillAdminServiceClient(s.conn).CreateProductVersion(as(t.Context(), s.creds.AdminToken), &billv1.CreateProductVersionRequest{
		RequestId: "product-furniture", Product: &billv1.Product{Code: "FURNITURE", Name: "Furniture", CurrencyCode: "IDR", Businesses: []string{furniture},
			InterestMethod: commonv1.InterestMethod_INTEREST_METHOD_ZERO, Tenors: []*billv1.ProductTenor{{Months: tenor, RatePpm: new(int64(0)), RatePeriod: "PER_MONTH"}},
			MinAmount: amount(10_000), MaxAmount: amount(50_000_000), BillDay: 25, DueDay: 5, FeeRatePpm: new(int64(0)), DownPaymentPpm: new(int64(200_000))}})
	if err != nil {
		t.Fatal(err)
	}
}

// stuckRefund is a refund whose down payment could not go back.
type stuckRefund struct {
	takeBack
	reference string
	// before is what was kept of other refunds.
	before int64
}

// stuck makes a purchase with a down payment, refunds it, and lets the marketplace say that the cash cannot go back.
func (b *buyer) stuck(t *testing.T, no string) *stuckRefund {
	t.Helper()
	s := b.site
	p := &purchase{b: b, no: no, months: tenor, desk: cashChannel}
	testkit.Eventually(t, settleTime, func() error { // A new product is offered within seconds.
		_, err := b.openAt(t.Context(), furniture, p, 1)
		return err
	})
	res, err := p.commit(t.Context())
	if err != nil || res.GetState() != paymentv1.PaymentState_PAYMENT_STATE_PROCESSING {
		t.Fatalf("DoCommitPayment: %v, %v", res, err)
	}
	_, leg, _ := strings.Cut(res.GetNextAction().GetRedirect().GetUrl(), "reference=")
	b.tellDown(t, "paid-"+no, leg, tellPaid)
	must(t, p.reaches(t.Context(), paid))
	r := &stuckRefund{takeBack: takeBack{p: p}, before: s.mustCount(t, `SELECT COUNT(*) FROM creditpay_bill.kept_cash`)}
	must(t, r.ask(t.Context()))
	testkit.Eventually(t, settleTime, func() error {
		legs := r.now(t).GetEffect().GetLegs()
		if len(legs) != 1 || legs[0].GetReference() == "" {
			return errNotAsked
		}
		r.reference = legs[0].GetReference()
		return nil
	})
	b.tellDown(t, "failed-"+no, r.reference, paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_FAILED)
	testkit.Eventually(t, settleTime, func() error {
		if legs := r.now(t).GetEffect().GetLegs(); legs[0].GetState() != refundv1.RefundLegState_REFUND_LEG_STATE_FAILED {
			return fmt.Errorf("the leg is %s", legs[0].GetState())
		}
		return nil
	})
	s.diesOrRests(t, briefRest)
	return r
}

func (b *buyer) tellDown(t *testing.T, request, reference string, status paymentv1.ExternalLegStatus) {
	t.Helper()
	must(t, keep(t.Context(), func(ctx context.Context) error {
		_, err := b.site.payments().NotifyPaymentStatus(as(ctx, b.spm), &paymentv1.NotifyPaymentStatusRequest{RequestId: request, ExternalReference: reference,
			Leg: paymentv1.ExternalLegKind_EXTERNAL_LEG_KIND_DOWN_PAYMENT, Status: status,
			Amount: &commonv1.Money{AmountMinor: new(int64(price / 5)), CurrencyCode: "IDR"}})
		return err
	}))
}

func (r *stuckRefund) now(t *testing.T) *refundv1.Refund {
	t.Helper()
	res, err := r.p.b.site.refunds().GetRefund(as(t.Context(), r.p.b.spm), &refundv1.GetRefundRequest{RefundId: r.id})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetRefund()
}

// resolve is the operator's word that it becomes credit balance.
func (r *stuckRefund) resolve(ctx context.Context) error {
	s := r.p.b.site
	_, err := s.refunds().ResolveRefundLeg(as(ctx, s.creds.AdminToken), &refundv1.ResolveRefundLegRequest{RefundId: r.id, Reference: r.reference,
		GivenBack: new(false), Evidence: "account closed"})
	if reason(err) == "REFUND_STATE_INVALID" {
		return nil // It is resolved.
	}
	return err
}

// keptOnce repeats the word as the operator would, and proves that the payer has the cash once, as credit balance.
func (r *stuckRefund) keptOnce(t *testing.T) {
	t.Helper()
	s := r.p.b.site
	must(t, keep(t.Context(), r.resolve))
	s.skipLeases(t)
	testkit.Eventually(t, settleTime, func() error {
		if got := r.now(t); got.GetState() != refundv1.RefundState_REFUND_STATE_SUCCEEDED {
			return fmt.Errorf("the refund is %v", got)
		}
		if kept := s.mustCount(t, `SELECT COUNT(*) FROM creditpay_bill.kept_cash`); kept != r.before+1 {
			return fmt.Errorf("kept %d times, before %d", kept, r.before)
		}
		return nil
	})
	if credit := s.mustCount(t, `SELECT credit_minor FROM creditpay_bill.credit_accounts WHERE user_id = ?`, r.p.b.user); credit != (r.before+1)*price/5 {
		t.Errorf("the credit balance is %d after %d refunds", credit, r.before+1)
	}
}

func TestKilledBetweenAnyTwoStepsOfKeepingCash(t *testing.T) {
	t.Parallel()
	s, b := setup(t)
	s.sellFurniture(t)
	eachStep(t, s, "keeping cash",
		func(n int) *stuckRefund { return b.stuck(t, fmt.Sprintf("stuck-%03d", n)) },
		func(ctx context.Context, r *stuckRefund) { _ = r.resolve(ctx) },
		func(r *stuckRefund) { r.keptOnce(t) })
}
