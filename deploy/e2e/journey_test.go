package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/view"
)

// undated is a plan without its due dates: those of a quote are what they would be.
func undated(p *commonv1.Plan) *commonv1.Plan {
	c := proto.CloneOf(p)
	for _, i := range c.GetInstalments() {
		i.DueDate = ""
	}
	return c
}

// sameFigures reports whether a result page shows the quote's figures. The sum of several loans may leave the effective annual rate
// out (0: not computed); when it stands there, it is the quote's.
func sameFigures(shown, quoted *commonv1.Plan) bool {
	a, b := undated(shown), undated(quoted)
	if a.GetEffectiveAnnualRatePpm() == 0 {
		b.EffectiveAnnualRatePpm = 0
	}
	return proto.Equal(a, b)
}

// addsUp checks a plan's own sums.
func addsUp(t *testing.T, p *commonv1.Plan) {
	t.Helper()
	var principal, interest, fee, total int64
	for n, i := range p.GetInstalments() {
		principal += i.GetPrincipal().GetAmountMinor()
		interest += i.GetInterest().GetAmountMinor()
		fee += i.GetFee().GetAmountMinor()
		total += i.GetTotal().GetAmountMinor()
		if int(i.GetSequence()) != n+1 || i.GetTotal().GetAmountMinor() != i.GetPrincipal().GetAmountMinor()+i.GetInterest().GetAmountMinor()+i.GetFee().GetAmountMinor() {
			t.Errorf("instalment %v does not add up", i)
		}
	}
	if len(p.GetInstalments()) != int(p.GetTenorMonths()) || principal != p.GetPrincipal().GetAmountMinor() || interest != p.GetInterest().GetAmountMinor() ||
		fee != p.GetFee().GetAmountMinor() || total != p.GetTotal().GetAmountMinor() || total != principal+interest+fee {
		t.Errorf("plan %v does not add up", p)
	}
}

// dueDates checks that the dates are dates, ascend by months, and lie ahead.
func dueDates(t *testing.T, p *commonv1.Plan, now time.Time) {
	t.Helper()
	before := now.Format(time.DateOnly)
	for _, i := range p.GetInstalments() {
		if _, err := time.Parse(time.DateOnly, i.GetDueDate()); err != nil || i.GetDueDate() <= before {
			t.Errorf("instalment %d is due on %q, after %q", i.GetSequence(), i.GetDueDate(), before)
		}
		before = i.GetDueDate()
	}
}

func TestAPurchaseOnCreditRunsFromCheckoutToActiveLoan(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const limit, amount = 10_000_000, 300_000
	p := s.payer(t, limit)
	p.wantCredit(t, limit, 0, 0)
	c := p.checkout(t, amount)
	orderID := c.GetOrders()[0].GetOrderId()

	if r := s.confirm(t, orderID); r[0].GetReason() != commonv1.ErrorReason_ERROR_REASON_ORDER_NOT_PAID || r[0].GetState() != orderv1.OrderState_ORDER_STATE_CREATED {
		t.Errorf("an unpaid order is confirmed: %v", r)
	}
	offered := p.looks(t, c, amount)
	q := p.quote(t, c.GetCheckoutId())
	if !proto.Equal(q.GetPlan(), offered) {
		t.Errorf("the locked plan\n%v\nis not the one that was offered\n%v", q.GetPlan(), offered)
	}
	addsUp(t, q.GetPlan())
	if r := p.check(t, c.GetCheckoutId(), q.GetQuoteId()); !r.GetReady() || len(r.GetBlockingReasons()) != 0 ||
		!slices.Equal(r.GetRequiredActions(), []commonv1.RequiredAction{commonv1.RequiredAction_REQUIRED_ACTION_VERIFY_PIN}) {
		t.Errorf("CheckCommitPayment before the commit: %v", r)
	}
	p.commitsAndAsks(t, c, q, amount)
	p.wantCredit(t, limit, 0, amount)

	if r := s.confirm(t, orderID); r[0].GetState() != orderv1.OrderState_ORDER_STATE_CONFIRMED || r[0].GetReason() != 0 {
		t.Fatalf("ConfirmPayment: %v", r)
	}
	d := p.awaitLoan(t, orderID, "ACTIVE")
	if !proto.Equal(undated(d.GetPlan()), undated(q.GetPlan())) {
		t.Errorf("the loan's plan\n%v\nis not the quote's\n%v", d.GetPlan(), q.GetPlan())
	}
	dueDates(t, d.GetPlan(), s.now(t))
	p.wantCredit(t, limit, amount, 0)
	if r := p.result(t, c.GetCheckoutId()); r.GetNextDueDate() != d.GetPlan().GetInstalments()[0].GetDueDate() || r.GetState() != orderv1.CheckoutState_CHECKOUT_STATE_PAID {
		t.Errorf("the result page after receipt: %v", r)
	}
	d = s.detail(t, orderID)
	wholeTimeline(t, d)
	s.everybodySees(t, p, d)
	s.proveBooks(t)
}

func TestAPlanThatThePageShowedIsPaidWithoutAQuote(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const limit, amount = 10_000_000, 300_000
	p := s.payer(t, limit)
	c := p.checkout(t, amount)
	shown := p.looks(t, c, amount)
	choose := func(total int64) map[string]any {
		return map[string]any{"channel": "CREDIT", "productCode": shown.GetProductCode(), "productVersion": shown.GetProductVersion(),
			"tenorMonths": shown.GetTenorMonths(), "agreedTotal": map[string]any{"amountMinor": total, "currencyCode": "IDR"}}
	}
	path := "/h5/v1/checkouts/" + c.GetCheckoutId() + "/commit"
	total := shown.GetTotal().GetAmountMinor()
	var paid paymentv1.DoCommitPaymentResponse
	err := p.call(t.Context(), http.MethodPost, path, map[string]any{"requestId": unique("pay"), "choice": choose(total - 1), "pin": rightPin}, &paid)
	wantReason(t, err, errs.PlanChanged)
	p.wantCredit(t, limit, 0, 0)
	both := map[string]any{"requestId": unique("pay"), "choice": choose(total), "quoteId": p.quote(t, c.GetCheckoutId()).GetQuoteId(), "pin": rightPin}
	wantReason(t, p.call(t.Context(), http.MethodPost, path, both, &paid), errs.InvalidArgument)
	err = p.call(t.Context(), http.MethodPost, path, map[string]any{"requestId": unique("pay"), "choice": choose(total), "pin": rightPin}, &paid)
	if err != nil || paid.GetState() != paymentv1.PaymentState_PAYMENT_STATE_SUCCEEDED {
		t.Fatalf("%v, %v", &paid, err)
	}
	p.wantCredit(t, limit, 0, amount)
	orderID := c.GetOrders()[0].GetOrderId()
	// At once: the event may not have arrived, the confirmation is served all the same.
	if r := s.confirm(t, orderID); r[0].GetState() != orderv1.OrderState_ORDER_STATE_CONFIRMED {
		t.Fatalf("ConfirmPayment: %v", r)
	}
	if d := p.awaitLoan(t, orderID, "ACTIVE"); !proto.Equal(undated(d.GetPlan()), undated(shown)) {
		t.Errorf("the loan's plan\n%v\nis not what the page showed\n%v", d.GetPlan(), shown)
	}
	s.proveBooks(t)
}

// looks is the payer's page before the choice: by id and by token, with plans and channels. It gives the plan over three months.
func (p *payer) looks(t *testing.T, c *orderv1.Checkout, amount int64) *commonv1.Plan {
	t.Helper()
	var byID, byToken orderv1.QueryCheckoutInfoResponse
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/checkouts/"+c.GetCheckoutId(), nil, &byID); err != nil {
		t.Fatal(err)
	}
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/checkout-tokens/"+c.GetToken(), nil, &byToken); err != nil {
		t.Fatal(err)
	}
	// A proof says until when it is good: two of different seconds differ.
	if byID.GetCheckoutProof() == "" || byToken.GetCheckoutProof() == "" {
		t.Errorf("no proof: by id %v, by token %v", &byID, &byToken)
	}
	byToken.CheckoutProof = byID.GetCheckoutProof()
	if !proto.Equal(&byID, &byToken) {
		t.Errorf("by id %v\nby token %v", &byID, &byToken)
	}
	if byID.GetTotalAmount().GetAmountMinor() != amount || byID.GetState() != orderv1.CheckoutState_CHECKOUT_STATE_OPEN ||
		byID.GetCreditUnavailableReason() != 0 || byID.GetCredit().GetAvailable().GetAmountMinor() < amount {
		t.Errorf("checkout info %v", &byID)
	}
	if !strings.Contains(c.GetCashierUrl(), c.GetToken()) {
		t.Errorf("the cashier URL %q does not carry the token", c.GetCashierUrl())
	}
	var channels paymentv1.QueryPayChannelsResponse
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/checkouts/"+c.GetCheckoutId()+"/channels", nil, &channels); err != nil {
		t.Fatal(err)
	}
	if len(channels.GetChannels()) == 0 || channels.GetChannels()[0].GetCode() != "CREDIT" || !channels.GetChannels()[0].GetEnabled() {
		t.Errorf("channels %v", &channels)
	}
	var three *commonv1.Plan
	for i, plan := range byID.GetPlans() {
		addsUp(t, plan)
		if i > 0 && plan.GetTenorMonths() < byID.GetPlans()[i-1].GetTenorMonths() {
			t.Errorf("plans are not shortest first")
		}
		if plan.GetTenorMonths() == 3 && three == nil {
			three = plan // The preferred one: without a product named, it is the one that is locked.
		}
	}
	if three == nil {
		t.Fatalf("no plan over three months is offered: %v", &byID)
	}
	return three
}

// commitsAndAsks pays and asks for the outcome in every way there is.
func (p *payer) commitsAndAsks(t *testing.T, c *orderv1.Checkout, q *paymentv1.Quote, amount int64) {
	t.Helper()
	paid := p.payQuote(t, c.GetCheckoutId(), q.GetQuoteId())
	if len(paid.GetPayments()) != len(c.GetOrders()) || paid.GetFailureReason() != 0 {
		t.Errorf("DoCommitPayment: %v", paid)
	}
	var byCheckout, byPayment paymentv1.QueryPaymentStatusResponse
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/checkouts/"+c.GetCheckoutId()+"/payment", nil, &byCheckout); err != nil {
		t.Fatal(err)
	}
	if byCheckout.GetState() != paymentv1.PaymentState_PAYMENT_STATE_SUCCEEDED || len(byCheckout.GetPayments()) != len(paid.GetPayments()) {
		t.Errorf("QueryPaymentStatus: %v", &byCheckout)
	}
	var sum int64
	for i, pay := range byCheckout.GetPayments() {
		if !proto.Equal(pay, paid.GetPayments()[i]) || pay.GetPaymentId() != c.GetOrders()[i].GetPaymentId() || pay.GetOrderId() != c.GetOrders()[i].GetOrderId() {
			t.Errorf("payment %v is not the one that the commit answered, %v", pay, paid.GetPayments()[i])
		}
		sum += pay.GetLegs()[0].GetAmount().GetAmountMinor()
		if err := p.call(t.Context(), http.MethodGet, "/h5/v1/payments/"+pay.GetPaymentId(), nil, &byPayment); err != nil {
			t.Fatal(err)
		}
		if len(byPayment.GetPayments()) != 1 || !proto.Equal(byPayment.GetPayments()[0], pay) {
			t.Errorf("by payment id: %v", &byPayment)
		}
	}
	if sum != amount {
		t.Errorf("the legs carry %d of %d", sum, amount)
	}
	// The event makes the order PAID; until then the page is told PROCESSING, never anything wrong.
	for _, o := range c.GetOrders() {
		p.s.awaitOrder(t, o.GetOrderId(), orderv1.OrderState_ORDER_STATE_PAID)
	}
	r := p.result(t, c.GetCheckoutId())
	if r.GetState() != orderv1.CheckoutState_CHECKOUT_STATE_PAID || r.GetPaidAmount().GetAmountMinor() != amount || r.GetNextDueDate() != "" ||
		r.GetRedirectUrl() != "https://shop.example/thanks" || !sameFigures(r.GetPlan(), q.GetPlan()) {
		t.Errorf("QueryCheckoutResult: %v", r)
	}
}

// wholeTimeline checks that an order's timeline tells the purchase completely and in order.
func wholeTimeline(t *testing.T, d *orderv1.OrderDetail) {
	t.Helper()
	if len(d.GetUnavailableParts()) != 0 {
		t.Errorf("parts are missing: %v", d.GetUnavailableParts())
	}
	moves := map[string][]string{}
	at := map[string]time.Time{}
	var last time.Time
	for _, e := range d.GetTimeline() {
		if e.GetTime().AsTime().Before(last) {
			t.Errorf("%v comes after a later entry", e)
		}
		last = e.GetTime().AsTime()
		if e.GetActor() == "" || e.GetCause() == "" || e.GetObjectId() == "" {
			t.Errorf("%v does not say who, why or what", e)
		}
		move := e.GetFromState() + ">" + e.GetToState()
		object, _, _ := strings.Cut(e.GetObjectId(), "_")
		moves[object] = append(moves[object], move)
		at[object+" "+move] = last
	}
	want := map[string][]string{
		"ord": {">CREATED", "CREATED>COMMITTING", "COMMITTING>PAID", "PAID>CONFIRMED"},
		"cmt": {">STARTED", "STARTED>SUCCEEDED"}, "pay": {">SUCCEEDED"}, "lon": {">DRAFT", "DRAFT>ACTIVE"},
	}
	if fmt.Sprint(moves) != fmt.Sprint(want) {
		t.Errorf("timeline\n%v, want\n%v", moves, want)
	}
	chain := []string{"ord >CREATED", "cmt >STARTED", "ord CREATED>COMMITTING", "lon >DRAFT", "cmt STARTED>SUCCEEDED", "ord COMMITTING>PAID", "ord PAID>CONFIRMED", "lon DRAFT>ACTIVE"}
	for i := 1; i < len(chain); i++ {
		if at[chain[i]].Before(at[chain[i-1]]) {
			t.Errorf("%s at %s is before %s at %s", chain[i], at[chain[i]], chain[i-1], at[chain[i-1]])
		}
	}
}

// everybodySees reads one order as each caller that may; all see the same but for what is hidden from their kind.
func (s *stack) everybodySees(t *testing.T, p *payer, d *orderv1.OrderDetail) {
	t.Helper()
	o := d.GetOrder()
	merchant := s.mint(t, caller.Caller{Kind: caller.Merchant, Name: "console", MerchantID: o.GetMerchantId()})
	client := orderv1.NewOrderServiceClient(s.conn)
	for kind, token := range map[caller.Kind]string{caller.SPM: s.Credentials.SPMToken, caller.H5: p.token, caller.Admin: s.Credentials.AdminToken,
		caller.Merchant: merchant} {
		ctx := as(t.Context(), token)
		brief, err := client.GetOrderInfo(ctx, &orderv1.GetOrderInfoRequest{MerchantId: o.GetMerchantId(), OutOrderNo: o.GetOutOrderNo()})
		if err != nil || !proto.Equal(brief.GetOrder(), o) {
			t.Errorf("%s reads by number %v, %v; want %v", kind, brief, told(err), o)
		}
		detail, err := client.GetOrderDetail(ctx, &orderv1.GetOrderDetailRequest{OrderId: o.GetOrderId()})
		if want := view.For(kind, d); err != nil || !proto.Equal(detail.GetDetail(), want) {
			t.Errorf("%s reads the detail %v, %v; want %v", kind, detail, told(err), want)
		}
	}
	foreign := s.mint(t, caller.Caller{Kind: caller.Merchant, Name: "console", MerchantID: "another-shop"})
	_, err := client.GetOrderInfo(as(t.Context(), foreign), &orderv1.GetOrderInfoRequest{OrderId: o.GetOrderId()})
	wantReason(t, told(err), errs.NotFound)
	var rest orderv1.GetOrderInfoResponse
	for _, path := range []string{"/admin/v1/orders/" + o.GetOrderId(), "/admin/v1/merchants/" + o.GetMerchantId() + "/orders/" + o.GetOutOrderNo()} {
		if err := s.rest(t.Context(), http.MethodGet, path, s.Credentials.AdminToken, nil, &rest); err != nil || !proto.Equal(rest.GetOrder(), o) {
			t.Errorf("GET %s: %v, %v", path, &rest, err)
		}
	}
}

func TestEveryPlanOnOfferCanBeLockedAsItWasShown(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.stranger(t)
	p.openAccount(t, 5_000_000)
	for _, product := range []string{"SPL_ID", "SPL_ID_REDUCING"} {
		p.signContract(t, product)
	}
	p.setPin(t, rightPin)
	c := p.checkout(t, 100_001, 300_003)
	var info orderv1.QueryCheckoutInfoResponse
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/checkouts/"+c.GetCheckoutId(), nil, &info); err != nil {
		t.Fatal(err)
	}
	products := map[string]bool{}
	for _, plan := range info.GetPlans() {
		products[plan.GetProductCode()] = true
		var res paymentv1.ConfirmPayChannelResponse
		err := p.call(t.Context(), http.MethodPost, "/h5/v1/checkouts/"+c.GetCheckoutId()+"/quote", map[string]any{"requestId": unique("quote"),
			"channel": "CREDIT", "tenorMonths": plan.GetTenorMonths(), "productCode": plan.GetProductCode()}, &res)
		if err != nil || !proto.Equal(res.GetQuote().GetPlan(), plan) {
			t.Errorf("%s over %d months is locked as\n%v, %v; shown was\n%v", plan.GetProductCode(), plan.GetTenorMonths(), res.GetQuote().GetPlan(), err, plan)
		}
	}
	if len(products) < 2 {
		t.Errorf("only products %v are on offer, so the choice is not tested", products)
	}
	last := info.GetPlans()[len(info.GetPlans())-1]
	p.payPlan(t, c, last)
	s.proveBooks(t)
}

// payPlan pays the quote that was locked last; its loans are of the plan's product.
func (p *payer) payPlan(t *testing.T, c *orderv1.Checkout, plan *commonv1.Plan) {
	t.Helper()
	var res paymentv1.ConfirmPayChannelResponse
	err := p.call(t.Context(), http.MethodPost, "/h5/v1/checkouts/"+c.GetCheckoutId()+"/quote", map[string]any{"requestId": unique("quote"),
		"channel": "CREDIT", "tenorMonths": plan.GetTenorMonths(), "productCode": plan.GetProductCode()}, &res)
	if err != nil {
		t.Fatal(err)
	}
	if r := p.check(t, c.GetCheckoutId(), res.GetQuote().GetQuoteId()); !r.GetReady() {
		t.Errorf("CheckCommitPayment: %v", r)
	}
	p.payQuote(t, c.GetCheckoutId(), res.GetQuote().GetQuoteId())
	var total int64
	for _, o := range c.GetOrders() {
		p.s.confirm(t, o.GetOrderId())
		d := p.awaitLoan(t, o.GetOrderId(), "ACTIVE")
		addsUp(t, d.GetPlan())
		total += d.GetPlan().GetTotal().GetAmountMinor()
		if d.GetPlan().GetProductCode() != plan.GetProductCode() || d.GetPlan().GetTenorMonths() != plan.GetTenorMonths() {
			t.Errorf("the loan is of %v, chosen was %v", d.GetPlan(), plan)
		}
	}
	if total != plan.GetTotal().GetAmountMinor() {
		t.Errorf("the loans come to %d, shown was %v", total, plan.GetTotal())
	}
}

func TestThreeShopsArePaidAtOnceAndEndEachInItsOwnWay(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const limit = 5_000_000
	p := s.payer(t, limit)
	c := p.checkout(t, 100_001, 200_002, 300_003)
	p.looks(t, c, 600_006)
	q := p.quote(t, c.GetCheckoutId())
	addsUp(t, q.GetPlan())
	p.commitsAndAsks(t, c, q, 600_006)
	p.wantCredit(t, limit, 0, 600_006)
	confirmed, cancelled, left := c.GetOrders()[0].GetOrderId(), c.GetOrders()[1].GetOrderId(), c.GetOrders()[2].GetOrderId()

	s.confirm(t, confirmed)
	if r := s.takeBack(t, cancelled); r[0].GetState() != orderv1.OrderState_ORDER_STATE_CANCELLING || r[0].GetReason() != 0 {
		t.Fatalf("CancelPayments: %v", r)
	}
	a := p.awaitLoan(t, confirmed, "ACTIVE")
	b := p.awaitLoan(t, cancelled, "VOID")
	s.awaitOrder(t, cancelled, orderv1.OrderState_ORDER_STATE_CANCELLED)
	d := p.detail(t, left)
	if d.GetOrder().GetState() != orderv1.OrderState_ORDER_STATE_PAID || d.GetLoanState() != "DRAFT" {
		t.Errorf("the order that was left alone is %s, its loan %s", d.GetOrder().GetState(), d.GetLoanState())
	}
	var total int64
	for _, x := range []*orderv1.OrderDetail{a, b, d} {
		addsUp(t, x.GetPlan())
		total += x.GetPlan().GetTotal().GetAmountMinor()
		if x.GetPlan().GetPrincipal().GetAmountMinor() != x.GetOrder().GetAmount().GetAmountMinor() {
			t.Errorf("the loan of %s finances %v of %v", x.GetOrder().GetOrderId(), x.GetPlan().GetPrincipal(), x.GetOrder().GetAmount())
		}
	}
	if total != q.GetPlan().GetTotal().GetAmountMinor() {
		t.Errorf("the loans come to %d, the quote said %v", total, q.GetPlan().GetTotal())
	}
	p.wantCredit(t, limit, 100_001, 300_003)
	if r := p.result(t, c.GetCheckoutId()); r.GetState() != orderv1.CheckoutState_CHECKOUT_STATE_PAID {
		t.Errorf("the checkout with one order taken back is %s", r.GetState())
	}
	s.proveBooks(t)
}

func TestACheckoutThatWasCancelledUnpaidCannotBePaid(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 1_000_000)
	c := p.checkout(t, 100_000, 50_000)
	q := p.quote(t, c.GetCheckoutId())
	res, err := orderv1.NewOrderServiceClient(s.conn).CancelPayments(s.spm(t),
		&orderv1.CancelPaymentsRequest{RequestId: unique("cancel"), CheckoutId: c.GetCheckoutId(), Reason: "changed my mind"})
	if err != nil {
		t.Fatal(told(err))
	}
	for i, r := range res.GetResults() {
		if r.GetState() != orderv1.OrderState_ORDER_STATE_CANCELLED || r.GetReason() != 0 || r.GetOrderId() != c.GetOrders()[i].GetOrderId() {
			t.Errorf("result %v", r)
		}
	}
	if len(res.GetResults()) != 2 {
		t.Errorf("results %v", res.GetResults())
	}
	_, err = p.tryCommit(t.Context(), commitCall{checkoutID: c.GetCheckoutId(), quoteID: q.GetQuoteId()})
	wantReason(t, err, errs.CheckoutCancelled)
	_, err = p.tryQuote(t.Context(), c.GetCheckoutId(), 3)
	wantReason(t, err, errs.CheckoutCancelled)
	if r := p.result(t, c.GetCheckoutId()); r.GetState() != orderv1.CheckoutState_CHECKOUT_STATE_CANCELLED || r.GetPaidAmount().GetAmountMinor() != 0 {
		t.Errorf("result page %v", r)
	}
	if r := s.confirm(t, c.GetOrders()[0].GetOrderId()); r[0].GetReason() != commonv1.ErrorReason_ERROR_REASON_ORDER_STATE_INVALID {
		t.Errorf("a cancelled order is confirmed: %v", r)
	}
	p.wantCredit(t, 1_000_000, 0, 0)
	s.proveBooks(t)
}

func TestCancellingOneOfSeveralOrdersAsksForANewQuote(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 1_000_000)
	c := p.checkout(t, 100_000, 50_000, 25_000)
	q := p.quote(t, c.GetCheckoutId())
	if r := s.takeBack(t, c.GetOrders()[1].GetOrderId()); r[0].GetState() != orderv1.OrderState_ORDER_STATE_CANCELLED {
		t.Fatalf("CancelPayments: %v", r)
	}
	_, err := p.tryCommit(t.Context(), commitCall{checkoutID: c.GetCheckoutId(), quoteID: q.GetQuoteId()})
	wantReason(t, err, errs.CheckoutChanged)
	var st paymentv1.QueryPaymentStatusResponse
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/checkouts/"+c.GetCheckoutId()+"/payment", nil, &st); err != nil ||
		st.GetState() != paymentv1.PaymentState_PAYMENT_STATE_FAILED || st.GetFailureReason() != commonv1.ErrorReason_ERROR_REASON_CHECKOUT_CHANGED {
		t.Errorf("status of the refused commit: %v, %v", &st, err)
	}
	paid := p.pay(t, c.GetCheckoutId())
	if len(paid.GetPayments()) != 2 {
		t.Errorf("paid %v", paid.GetPayments())
	}
	p.wantCredit(t, 1_000_000, 0, 125_000)
	s.proveBooks(t)
}

func TestCancellingAPaidOrderGivesTheLimitBack(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 1_000_000)
	c := p.checkout(t, 400_000)
	p.pay(t, c.GetCheckoutId())
	p.wantCredit(t, 1_000_000, 0, 400_000)
	orderID := c.GetOrders()[0].GetOrderId()
	if r := s.takeBack(t, orderID); r[0].GetState() != orderv1.OrderState_ORDER_STATE_CANCELLING || r[0].GetReason() != 0 {
		t.Fatalf("CancelPayments: %v", r)
	}
	s.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_CANCELLED)
	p.wantCredit(t, 1_000_000, 0, 0)
	if r := s.takeBack(t, orderID); r[0].GetState() != orderv1.OrderState_ORDER_STATE_CANCELLED || r[0].GetReason() != 0 {
		t.Errorf("cancelling again: %v", r)
	}
	if r := s.confirm(t, orderID); r[0].GetReason() == 0 {
		t.Errorf("a cancelled order was confirmed: %v", r)
	}
	if r := p.result(t, c.GetCheckoutId()); r.GetState() != orderv1.CheckoutState_CHECKOUT_STATE_CANCELLED {
		t.Errorf("result page %v", r)
	}
	d := p.detail(t, orderID)
	if d.GetLoanState() != "VOID" || d.GetLegs()[0].GetState() != "REVERSED" || d.GetOrder().GetRefundedAmount().GetAmountMinor() != 0 {
		t.Errorf("detail %v", d)
	}
	_, err := p.tryQuote(t.Context(), c.GetCheckoutId(), 3)
	wantReason(t, err, errs.CheckoutCancelled)
	s.proveBooks(t)
}

func TestAConfirmedOrderCannotBeCancelled(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 1_000_000)
	c := p.checkout(t, 400_000)
	p.pay(t, c.GetCheckoutId())
	orderID := c.GetOrders()[0].GetOrderId()
	// At once, before the event of the payment may have arrived: the confirmation must not be refused.
	if r := s.confirm(t, orderID); r[0].GetState() != orderv1.OrderState_ORDER_STATE_CONFIRMED {
		t.Fatalf("ConfirmPayment: %v", r)
	}
	if r := s.takeBack(t, orderID); r[0].GetReason() != commonv1.ErrorReason_ERROR_REASON_ORDER_ALREADY_CONFIRMED ||
		r[0].GetState() != orderv1.OrderState_ORDER_STATE_CONFIRMED {
		t.Errorf("CancelPayments: %v", r)
	}
	unknown := strings.Replace(orderID, orderID[len(orderID)-4:], "0000", 1)
	if r := s.takeBack(t, unknown, orderID); r[0].GetReason() != commonv1.ErrorReason_ERROR_REASON_NOT_FOUND || r[0].GetState() != 0 ||
		r[1].GetReason() != commonv1.ErrorReason_ERROR_REASON_ORDER_ALREADY_CONFIRMED {
		t.Errorf("CancelPayments with an unknown order: %v", r)
	}
	if r := s.confirm(t, unknown, orderID); r[0].GetReason() != commonv1.ErrorReason_ERROR_REASON_NOT_FOUND || r[1].GetReason() != 0 {
		t.Errorf("ConfirmPayment with an unknown order: %v", r)
	}
	p.awaitLoan(t, orderID, "ACTIVE")
	p.wantCredit(t, 1_000_000, 400_000, 0)
	s.proveBooks(t)
}

func TestAnOperatorSeesAndStopsCredit(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 1_000_000)
	path := "/admin/v1/credit-accounts/" + p.id
	var frozen billv1.FreezeCreditAccountResponse
	if err := s.rest(t.Context(), http.MethodPost, path+"/freeze", s.Credentials.AdminToken, map[string]any{"requestId": unique("freeze"), "reason": "looks odd"}, &frozen); err != nil {
		t.Fatal(err)
	}
	if frozen.GetAccount().GetSummary().GetState() != commonv1.CreditAccountState_CREDIT_ACCOUNT_STATE_FROZEN || frozen.GetAccount().GetFreezeReason() != "looks odd" {
		t.Errorf("frozen %v", &frozen)
	}
	c := p.checkout(t, 100_000)
	_, err := p.tryQuote(t.Context(), c.GetCheckoutId(), 3)
	wantReason(t, err, errs.AccountFrozen)
	var lifted billv1.UnfreezeCreditAccountResponse
	if err := s.rest(t.Context(), http.MethodPost, path+"/unfreeze", s.Credentials.AdminToken, map[string]any{"requestId": unique("lift"), "reason": "was fine"}, &lifted); err != nil {
		t.Fatal(err)
	}
	p.pay(t, c.GetCheckoutId())
	var got billv1.GetCreditAccountResponse
	if err := s.rest(t.Context(), http.MethodGet, path, s.Credentials.AdminToken, nil, &got); err != nil || got.GetAccount().GetSummary().GetHeld().GetAmountMinor() != 100_000 {
		t.Errorf("account %v, %v", &got, err)
	}
	s.proveBooks(t)
}
