package crash

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/testkit"
)

const (
	cashChannel = "VA_BCA"
	// askTime is longer than the bill service waits before it asks about a repayment, legTime than a leg waits for money.
	askTime = 20 * time.Minute
	legTime = 25 * time.Hour

	tellPaid     = paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_PAID
	tellRefunded = paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_REFUNDED
)

// repayment is money that a buyer pays back, and where the marketplace collects it.
type repayment struct {
	b  *buyer
	no string
	// p is the purchase whose loan is settled; nil where bills are paid.
	p *purchase
	// begin is the call that asks for it.
	begin func(ctx context.Context) (id, redirect string, err error)
	// id and reference are empty until the call was answered.
	id, reference string
	// used is what the account used before.
	used int64
}

// ask begins the repayment; a repeat must find the same one.
func (r *repayment) ask(ctx context.Context) error {
	id, redirect, err := r.begin(ctx)
	if err != nil {
		return err
	}
	if r.id != "" && r.id != id {
		return fmt.Errorf("the same request begins %s, then %s", r.id, id)
	}
	r.id = id
	if _, reference, found := strings.Cut(redirect, "reference="); found {
		r.reference = reference
	}
	return nil
}

func (r *repayment) now(ctx context.Context) (*billv1.Repayment, error) {
	res, err := r.b.site.bills().QueryRepayment(as(ctx, r.b.token), &billv1.QueryRepaymentRequest{RepaymentId: r.id})
	return res.GetRepayment(), err
}

// notify is what the marketplace tells of the money.
func (r *repayment) notify(ctx context.Context, status paymentv1.ExternalLegStatus) error {
	now, err := r.now(ctx)
	if err != nil {
		return err
	}
	_, err = r.b.site.payments().NotifyPaymentStatus(as(ctx, r.b.spm), &paymentv1.NotifyPaymentStatusRequest{
		RequestId: fmt.Sprintf("notify-%s-%d", r.no, status), ExternalReference: r.reference,
		Leg: paymentv1.ExternalLegKind_EXTERNAL_LEG_KIND_REPAYMENT, Status: status, Amount: now.GetAmount()})
	return err
}

// askAndPay is a repayment as far as it gets: the caller does not know where it was cut off.
func (r *repayment) askAndPay(ctx context.Context) {
	if r.ask(ctx) == nil {
		_ = r.notify(ctx, tellPaid)
	}
}

// reaches waits until the repayment is in a state.
func (r *repayment) reaches(t *testing.T, want billv1.RepaymentState) *billv1.Repayment {
	t.Helper()
	var now *billv1.Repayment
	testkit.Eventually(t, settleTime, func() (err error) {
		if now, err = r.now(t.Context()); err == nil && now.GetState() != want {
			err = fmt.Errorf("repayment %s stays %s, want %s", r.id, now.GetState(), want)
		}
		return err
	})
	return now
}

// paidOnce repeats both calls as their callers do, and proves that there is one repayment whose money went to one place.
func (r *repayment) paidOnce(t *testing.T) {
	t.Helper()
	for range 2 {
		must(t, keep(t.Context(), r.ask))
		must(t, keep(t.Context(), func(ctx context.Context) error { return r.notify(ctx, tellPaid) }))
	}
	now := r.reaches(t, billv1.RepaymentState_REPAYMENT_STATE_SUCCEEDED)
	sum, principal := int64(0), int64(0)
	for _, a := range now.GetAllocations() {
		sum += a.GetAmount().GetAmountMinor()
		if a.GetPart() == "PRINCIPAL" {
			principal += a.GetAmount().GetAmountMinor()
		}
	}
	if sum != now.GetAmount().GetAmountMinor() || principal == 0 {
		t.Errorf("repayment %s of %s is allocated with %d, %d of it principal: %v", r.id, now.GetAmount(), sum, principal, now.GetAllocations())
	}
	r.usedIs(t, r.used-principal)
	r.oneLeg(t)
}

// usedIs proves what the account uses, and that nothing was paid too much.
func (r *repayment) usedIs(t *testing.T, want int64) {
	t.Helper()
	s, user := r.b.site, r.b.user
	if used := s.mustCount(t, usedBy, user); used != want {
		t.Errorf("after repayment %s the account uses %d, want %d", r.id, used, want)
	}
	if credit := s.mustCount(t, `SELECT credit_minor FROM creditpay_bill.credit_accounts WHERE user_id = ?`, user); credit != 0 {
		t.Errorf("after repayment %s the account has a credit balance of %d", r.id, credit)
	}
}

const usedBy = `SELECT used_minor FROM creditpay_bill.credit_accounts WHERE user_id = ?`

// oneLeg proves that the repayment has one leg, and that no request of the buyer left another one behind.
func (r *repayment) oneLeg(t *testing.T) {
	t.Helper()
	s := r.b.site
	id, err := ids.Parse(ids.Repayment, r.id)
	if err != nil {
		t.Fatal(err)
	}
	legs := s.mustCount(t, `SELECT COUNT(*) FROM creditpay_payment.cash_legs WHERE subject_id = ?`, id)
	strays := s.mustCount(t, `SELECT COUNT(*) FROM creditpay_bill.repayments WHERE user_id = ? AND state = 1`, r.b.user)
	if legs != 1 || strays != 0 {
		t.Errorf("repayment %s has %d legs, %d other repayments wait for money", r.id, legs, strays)
	}
}

// borrow is a purchase whose loan has begun, and a repayment of its buyer that is not asked for yet.
func (b *buyer) borrow(t *testing.T, no string) *repayment {
	t.Helper()
	p, err := b.whole(t.Context(), no)
	if err != nil {
		t.Fatal(err)
	}
	b.begun(t)
	return &repayment{b: b, no: no, p: p, used: b.site.mustCount(t, usedBy, b.user)}
}

// owe makes a debt of many bills, none of which was paid, and gives the ids of those, oldest first.
func (b *buyer) owe(t *testing.T) (bills []string) {
	t.Helper()
	b.fillBasket(t, 2)
	b.site.mustReach(t, b.site.mustDate(t, `SELECT MAX(bill_date) FROM creditpay_bill.instalments`))
	b.site.diesOrRests(t, briefRest)
	res, err := b.site.bills().QueryBills(as(t.Context(), b.token), &billv1.QueryBillsRequest{PageSize: 100})
	if err != nil || len(res.GetBills()) != basketMonths {
		t.Fatalf("no bills to pay: %v, %v", res, err)
	}
	for _, bill := range slices.Backward(res.GetBills()) {
		bills = append(bills, bill.GetBillId())
	}
	return bills
}

// settlement gives the settlement of a loan that has just begun.
func (b *buyer) settlement(t *testing.T, no string) *repayment {
	t.Helper()
	r := b.borrow(t, no)
	order, err := ids.Parse(ids.Order, r.p.order)
	if err != nil {
		t.Fatal(err)
	}
	var loan ids.ID
	if err := b.site.read(t.Context(), &loan, `SELECT id FROM creditpay_bill.loans WHERE order_id = ?`, order); err != nil {
		t.Fatal(err)
	}
	req := &billv1.SettleEarlyRequest{RequestId: "settle-" + no, LoanId: ids.Format(ids.Loan, loan), Channel: cashChannel}
	r.begin = func(ctx context.Context) (string, string, error) {
		res, err := b.site.bills().SettleEarly(as(ctx, b.token), req)
		return res.GetRepaymentId(), res.GetRedirectUrl(), err
	}
	return r
}

func TestKilledBetweenAnyTwoStepsOfARepayment(t *testing.T) {
	t.Parallel()
	s, b := setup(t)
	bills := b.owe(t)
	eachStep(t, s, "repay",
		func(n int) *repayment {
			if n > len(bills) {
				t.Fatalf("%d bills are not enough for the steps", len(bills))
			}
			r := &repayment{b: b, no: fmt.Sprintf("repay-%03d", n), used: s.mustCount(t, usedBy, b.user)}
			req := &billv1.RepayBillsRequest{RequestId: r.no, BillIds: bills[n-1 : n], Channel: cashChannel}
			r.begin = func(ctx context.Context) (string, string, error) {
				res, err := s.bills().RepayBills(as(ctx, b.token), req)
				return res.GetRepaymentId(), res.GetRedirectUrl(), err
			}
			return r
		},
		func(ctx context.Context, r *repayment) { r.askAndPay(ctx) },
		func(r *repayment) {
			r.paidOnce(t)
			s.skipLeases(t)
			s.diesOrRests(t, briefRest)
			paid := s.mustCount(t, `SELECT COUNT(*) FROM creditpay_bill.bills WHERE user_id = ? AND state = ?`, b.user, billv1.BillState_BILL_STATE_PAID)
			repaid := s.mustCount(t, `SELECT COUNT(*) FROM creditpay_bill.repayments WHERE user_id = ?`, b.user)
			if paid != repaid {
				t.Errorf("%d bills were repaid, %d are told to be", repaid, paid)
			}
		})
}

// cutOff is a settlement that a crash cut off before it had a leg.
func (b *buyer) cutOff(t *testing.T, no string) *repayment {
	t.Helper()
	s := b.site
	r := b.settlement(t, no)
	s.diesOrRests(t, briefRest)
	s.process.arm(t)
	if r.ask(t.Context()) == nil {
		t.Fatal("the crash does not work")
	}
	<-s.process.Done
	s.start(t, 1)
	return r
}

// comesBackLate has the caller ask again just when the timer has lost patience: whoever of them is first, the money is good.
func (b *buyer) comesBackLate(t *testing.T) {
	t.Helper()
	for n := range 3 {
		r := b.cutOff(t, fmt.Sprintf("come-back-%d", n))
		var timer sync.WaitGroup
		timer.Go(func() { _ = b.site.advance(t.Context(), askTime) })
		pause(t.Context(), time.Duration(n)*time.Millisecond)
		must(t, keep(t.Context(), r.ask))
		timer.Wait()
		r.paidOnce(t)
	}
	b.site.proveBooks(t)
}

// neverComesBack leaves a repayment that nobody asks about again to the timers.
func (b *buyer) neverComesBack(t *testing.T) {
	t.Helper()
	s := b.site
	r := b.cutOff(t, "never-comes-back")
	for _, step := range []struct {
		pass  time.Duration
		until string
	}{
		{askTime, `SELECT COUNT(*) FROM creditpay_payment.cash_legs WHERE user_id = ? AND state = 1`},
		{legTime, `SELECT COUNT(*) FROM creditpay_bill.repayments WHERE user_id = ? AND state = 3`},
	} {
		if err := s.advance(t.Context(), step.pass); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, settleTime, func() error {
			n, err := s.count(t.Context(), step.until, b.user)
			if err == nil && n != 1 {
				err = fmt.Errorf("%d after %s: %s", n, step.pass, step.until)
			}
			return err
		})
	}
	r.usedIs(t, r.used)
	s.proveBooks(t)
}

func TestARepaymentThatWasCutOffEndsByItsLeg(t *testing.T) {
	t.Parallel()
	_, b := setup(t)
	b.comesBackLate(t)
	b.neverComesBack(t)
}

func TestKilledBetweenAnyTwoStepsOfASettlementAndOfItsBounce(t *testing.T) {
	t.Parallel()
	s, b := setup(t)
	eachStep(t, s, "settle early",
		func(n int) *repayment {
			r := b.settlement(t, fmt.Sprintf("settle-%03d", n))
			s.diesOrRests(t, briefRest)
			return r
		},
		func(ctx context.Context, r *repayment) { r.askAndPay(ctx) },
		func(r *repayment) {
			r.paidOnce(t)
			r.usedIs(t, r.used-price)
			must(t, r.p.reaches(t.Context(), closed))
		})
	eachStep(t, s, "bounce",
		func(n int) *repayment {
			r := b.settlement(t, fmt.Sprintf("bounce-%03d", n))
			r.paidOnce(t)
			must(t, r.p.reaches(t.Context(), closed))
			s.diesOrRests(t, briefRest)
			return r
		},
		func(ctx context.Context, r *repayment) { _ = r.notify(ctx, tellRefunded) },
		func(r *repayment) {
			for range 2 {
				must(t, keep(t.Context(), func(ctx context.Context) error { return r.notify(ctx, tellRefunded) }))
			}
			now := r.reaches(t, billv1.RepaymentState_REPAYMENT_STATE_BOUNCED)
			if len(now.GetAllocations()) != 0 {
				t.Errorf("repayment %s bounced and is allocated: %v", r.id, now.GetAllocations())
			}
			must(t, r.p.reaches(t.Context(), confirmed))
			r.usedIs(t, r.used)
			r.oneLeg(t)
		})
}
