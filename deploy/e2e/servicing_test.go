package e2e

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// bills are the payer's bills, newest first.
func (p *payer) bills(t testing.TB) *billv1.QueryBillsResponse {
	t.Helper()
	res := &billv1.QueryBillsResponse{}
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/bills?pageSize=100", nil, res); err != nil {
		t.Fatalf("QueryBills: %v", err)
	}
	return res
}

// payBill pays one bill at the cash desk and waits until the money has arrived.
func (p *payer) payBill(t testing.TB, b *billv1.Bill) {
	t.Helper()
	p.payAt(t, p.repay(t, map[string]any{"billIds": []string{b.GetBillId()}}).GetRepaymentId())
}

func (p *payer) payAt(t testing.TB, repaymentID string) {
	t.Helper()
	leg := p.s.cashLeg(t, repaymentID)
	if code, _, reason := p.s.press(t, "pay", url.Values{"reference": {leg.GetReference()}}); code != http.StatusOK {
		t.Fatalf("pay: HTTP %d %s", code, reason)
	}
	p.awaitRepayment(t, repaymentID, billv1.RepaymentState_REPAYMENT_STATE_SUCCEEDED)
}

func (p *payer) awaitRepayment(t testing.TB, id string, want billv1.RepaymentState) *billv1.Repayment {
	t.Helper()
	res := &billv1.QueryRepaymentResponse{}
	testkit.Eventually(t, 20*time.Second, func() error {
		if err := p.call(t.Context(), http.MethodGet, "/h5/v1/repayments/"+id, nil, res); err != nil {
			return err
		}
		if got := res.GetRepayment().GetState(); got != want {
			return fmt.Errorf("the repayment is %s", got)
		}
		return nil
	})
	return res.GetRepayment()
}

func (p *payer) awaitOrder(t testing.TB, orderID string, want orderv1.OrderState) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, func() error {
		if got := p.detail(t, orderID).GetOrder().GetState(); got != want {
			return fmt.Errorf("the order is %s", got)
		}
		return nil
	})
}

// advanceTo brings the stack's clock to noon of a day in Jakarta.
func (s *stack) advanceTo(t testing.TB, day civil.Date) {
	t.Helper()
	if d := day.In(civil.Jakarta()).Add(12 * time.Hour).Sub(s.now(t)); d > 0 {
		s.advance(t, d)
	}
}

// A loan of twelve months, seen through REST for fourteen: each bill comes on its day with what the plan says; the third is paid late
// and costs 5 % of what was unpaid; with the last one the loan is settled, the order closed and the limit free.
func TestALoanRunsForFourteenMonths(t *testing.T) {
	t.Parallel()
	s := alone(t)
	const limit, amount = 10_000_000, 1_200_000
	p := s.payer(t, limit)
	c := p.checkout(t, amount)
	q, err := p.tryQuote(t.Context(), c.GetCheckoutId(), 12)
	if err != nil {
		t.Fatal(err)
	}
	p.payQuote(t, c.GetCheckoutId(), q.GetQuoteId())
	orderID := c.GetOrders()[0].GetOrderId()
	s.confirm(t, orderID)
	plan := p.awaitLoan(t, orderID, "ACTIVE").GetPlan()
	if len(plan.GetInstalments()) != 12 || len(p.bills(t).GetBills()) != 0 {
		t.Fatalf("plan %v, bills %v", plan, p.bills(t))
	}
	for i, in := range plan.GetInstalments() {
		due, err := civil.Parse(in.GetDueDate())
		if err != nil {
			t.Fatal(err)
		}
		s.advanceTo(t, due.AddDays(-8))
		bills := p.bills(t).GetBills()
		if len(bills) != i+1 || bills[0].GetState() != billv1.BillState_BILL_STATE_ISSUED || bills[0].GetDueDate() != in.GetDueDate() ||
			bills[0].GetOpen().GetTotal().GetAmountMinor() != in.GetTotal().GetAmountMinor() {
			t.Fatalf("month %d of %v: bills %v", i+1, in, bills)
		}
		if i == 2 {
			p.isLate(t, bills[0], due)
		}
		p.payBill(t, p.bills(t).GetBills()[0])
		if got := p.bills(t).GetBills()[0]; got.GetState() != billv1.BillState_BILL_STATE_PAID || got.GetOpen().GetTotal().GetAmountMinor() != 0 {
			t.Fatalf("month %d after paying: %v", i+1, got)
		}
	}
	p.awaitLoan(t, orderID, "SETTLED")
	p.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_CLOSED)
	p.wantCredit(t, limit, 0, 0)
	s.advance(t, 61*24*time.Hour)
	if n := len(p.bills(t).GetBills()); n != 12 {
		t.Errorf("%d bills after fourteen months, want 12", n)
	}
	var entries billv1.QueryBillTxnListResponse
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/bill-entries?pageSize=100", nil, &entries); err != nil {
		t.Fatal(err)
	}
	sum, late := int64(0), 0
	for _, e := range entries.GetEntries() {
		if e.GetKind() != billv1.BillEntryKind_BILL_ENTRY_KIND_PURCHASE {
			sum += e.GetAmount().GetAmountMinor()
		}
		if e.GetKind() == billv1.BillEntryKind_BILL_ENTRY_KIND_FEE {
			late++
		}
	}
	if sum != 0 || late != 1 || len(entries.GetEntries()) != 1+12+1+12 {
		t.Errorf("%d entries add up to %d, %d late fees", len(entries.GetEntries()), sum, late)
	}
	s.proveBooks(t)
}

var errNotRefused = errors.New("not refused")

// isLate lets a bill's day pass: 5 % of what is unpaid, and no purchase until it is paid.
func (p *payer) isLate(t *testing.T, bill *billv1.Bill, due civil.Date) {
	t.Helper()
	p.s.advanceTo(t, due.AddDays(2))
	unpaid := bill.GetOpen().GetTotal().GetAmountMinor()
	got := p.bills(t).GetBills()[0]
	// Half up to one rupiah.
	if want := (unpaid*5 + 50) / 100; got.GetState() != billv1.BillState_BILL_STATE_OVERDUE || got.GetOpen().GetLateFee().GetAmountMinor() != want {
		t.Fatalf("a late bill %v, want a late fee of %d", got, want)
	}
	testkit.Eventually(t, 20*time.Second, func() error {
		c := p.checkout(t, 50_000)
		_, err := p.tryQuote(t.Context(), c.GetCheckoutId(), 3)
		if reasonOf(t, err) != errs.AccountOverdue.Name() {
			return fmt.Errorf("a purchase while a bill is late: %w", cmp.Or(err, errNotRefused))
		}
		return nil
	})
	p.mayNotBuy(t, errs.AccountOverdue)
}

// mayNotBuy wants the dry run and the commit of a plan that the page shows refused for the same reason.
func (p *payer) mayNotBuy(t *testing.T, want errs.Reason) {
	t.Helper()
	c := p.checkout(t, 50_000)
	var info orderv1.QueryCheckoutInfoResponse
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/checkouts/"+c.GetCheckoutId(), nil, &info); err != nil || len(info.GetPlans()) == 0 {
		t.Fatalf("plans %v, %v", info.GetPlans(), err)
	}
	plan := info.GetPlans()[0]
	query := url.Values{"choice.channel": {"CREDIT"}, "choice.productCode": {plan.GetProductCode()}, "choice.productVersion": {fmt.Sprint(plan.GetProductVersion())},
		"choice.tenorMonths": {fmt.Sprint(plan.GetTenorMonths())}, "choice.agreedTotal.amountMinor": {fmt.Sprint(plan.GetTotal().GetAmountMinor())},
		"choice.agreedTotal.currencyCode": {"IDR"}}
	res := &paymentv1.CheckCommitPaymentResponse{}
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/checkouts/"+c.GetCheckoutId()+"/commit-check?"+query.Encode(), nil, res); err != nil ||
		res.GetReady() || !slices.Equal(reasonsOf(res), []string{want.Name()}) {
		t.Errorf("CheckCommitPayment: %v, %v; want %s", res, err, want.Name())
	}
	_, err := p.tryCommit(t.Context(), chosen(c, plan, ""))
	wantReason(t, err, want)
}

func TestALoanIsSettledEarlyAndARepaymentThatBouncesWasNeverPaid(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const limit, amount = 10_000_000, 600_000
	p := s.payer(t, limit)
	c := p.checkout(t, amount)
	p.pay(t, c.GetCheckoutId())
	orderID := c.GetOrders()[0].GetOrderId()
	s.confirm(t, orderID)
	p.awaitLoan(t, orderID, "ACTIVE")
	var detail billv1.QueryBillTxnListResponse
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/bill-entries", nil, &detail); err != nil || len(detail.GetEntries()) != 1 {
		t.Fatal(&detail, err)
	}
	loanID := detail.GetEntries()[0].GetEntryId()
	var quote billv1.QuoteEarlySettlementResponse
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/loans/"+loanID+"/settlement", nil, &quote); err != nil || quote.GetAmount().GetAmountMinor() != amount+amount/100 {
		t.Fatalf("principal and handling fee settle it before the first bill: %v, %v", &quote, err)
	}
	var settle billv1.SettleEarlyResponse
	if err := p.call(t.Context(), http.MethodPost, "/h5/v1/loans/"+loanID+"/settlement", map[string]any{"requestId": unique("settle"), "channel": "VA_BCA"}, &settle); err != nil {
		t.Fatal(err)
	}
	p.payAt(t, settle.GetRepaymentId())
	p.awaitLoan(t, orderID, "SETTLED")
	p.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_CLOSED)
	p.wantCredit(t, limit, 0, 0)
	p.seesWhatIsBehind(t, loanID, settle.GetRepaymentId())
	leg := s.cashLeg(t, settle.GetRepaymentId())
	if code, got, reason := s.press(t, "refund", url.Values{"reference": {leg.GetReference()}}); code != http.StatusOK || got.GetState() != paymentv1.LegState_LEG_STATE_REVERSED {
		t.Fatalf("refund: HTTP %d %s, %v", code, reason, got)
	}
	p.awaitRepayment(t, settle.GetRepaymentId(), billv1.RepaymentState_REPAYMENT_STATE_BOUNCED)
	p.awaitLoan(t, orderID, "ACTIVE")
	p.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_CONFIRMED)
	p.wantCredit(t, limit, amount, 0)
	s.proveBooks(t)
}

// seesWhatIsBehind wants a purchase that one repayment paid off told with its loan, its contract, and where the money went.
func (p *payer) seesWhatIsBehind(t *testing.T, loanID, repaymentID string) {
	t.Helper()
	for _, entry := range []string{loanID, repaymentID} {
		var d billv1.QueryBillTxnDetailResponse
		if err := p.call(t.Context(), http.MethodGet, "/h5/v1/bill-entries/"+entry, nil, &d); err != nil {
			t.Fatal(err)
		}
		if len(d.GetLoans()) != 1 || d.GetLoans()[0].GetLoanId() != loanID || len(d.GetContractIds()) != 1 || len(d.GetRepayments()) != 1 {
			t.Fatalf("behind %s: %v", entry, &d)
		}
		sum := int64(0)
		for _, a := range d.GetRepayments()[0].GetAllocations() {
			sum += a.GetAmount().GetAmountMinor()
		}
		if r := d.GetRepayments()[0]; r.GetRepaymentId() != repaymentID || sum != r.GetAmount().GetAmountMinor() {
			t.Errorf("repaid by %v", r)
		}
	}
	wantReason(t, p.call(t.Context(), http.MethodGet, "/h5/v1/bill-entries?pageToken=zz", nil, &billv1.QueryBillTxnListResponse{}), errs.PageTokenInvalid)
	wantReason(t, p.call(t.Context(), http.MethodGet, "/h5/v1/bills?pageToken=zz", nil, &billv1.QueryBillsResponse{}), errs.PageTokenInvalid)
	wantReason(t, p.call(t.Context(), http.MethodGet, "/h5/v1/bill-entries?state=settled", nil, &billv1.QueryBillTxnListResponse{}), errs.InvalidArgument)
	wantReason(t, p.call(t.Context(), http.MethodGet, "/h5/v1/bills/"+unknownID(ids.Bill), nil, &billv1.QueryBillTxnDetailResponse{}), errs.NotFound)
}
