package e2e

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// blocked is a payer before a commit that must be refused.
type blocked struct {
	p                   *payer
	checkoutID, quoteID string
}

// unknownID is a well-formed id of nothing.
func unknownID(prefix ids.Prefix) string {
	return ids.Format(prefix, ids.ID{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80, 9})
}

func (s *stack) freeze(t *testing.T, p *payer) {
	t.Helper()
	_, err := billv1.NewBillAdminServiceClient(s.conn).FreezeCreditAccount(s.admin(t),
		&billv1.FreezeCreditAccountRequest{RequestId: unique("freeze"), UserId: p.id, Reason: "e2e"})
	if err != nil {
		t.Fatal(told(err))
	}
}

// Quotes and checkouts that ran out are compared in the test that moves the clock.
func TestCheckCommitPaymentForetellsWhatDoCommitPaymentAnswers(t *testing.T) {
	t.Parallel()
	s := shared(t)
	ready := func(t *testing.T, limit int64, amounts ...int64) (blocked, func(checkoutID string) string) {
		p := s.payer(t, limit)
		c := p.checkout(t, amounts...)
		return blocked{p, c.GetCheckoutId(), p.quote(t, c.GetCheckoutId()).GetQuoteId()}, func(id string) string { return p.quote(t, id).GetQuoteId() }
	}
	for _, c := range []struct {
		name string
		want errs.Reason
		make func(t *testing.T) blocked
	}{
		{"frozen", errs.AccountFrozen, func(t *testing.T) blocked {
			b, _ := ready(t, 1_000_000, 100_000)
			s.freeze(t, b.p)
			return b
		}},
		{"limit used up meanwhile", errs.LimitInsufficient, func(t *testing.T) blocked {
			b, _ := ready(t, 1_000_000, 600_000)
			b.p.pay(t, b.p.checkout(t, 500_000).GetCheckoutId())
			return b
		}},
		{"replaced quote", errs.QuoteReplaced, func(t *testing.T) blocked {
			b, again := ready(t, 1_000_000, 100_000)
			again(b.checkoutID)
			return b
		}},
		{"unknown quote where there is one", errs.QuoteReplaced, func(t *testing.T) blocked {
			b, _ := ready(t, 1_000_000, 100_000)
			b.quoteID = unknownID(ids.Quote)
			return b
		}},
		{"unknown quote where there is none", errs.QuoteNotFound, func(t *testing.T) blocked {
			p := s.payer(t, 1_000_000)
			return blocked{p, p.checkout(t, 100_000).GetCheckoutId(), unknownID(ids.Quote)}
		}},
		{"another checkout's quote", errs.QuoteReplaced, func(t *testing.T) blocked {
			b, _ := ready(t, 1_000_000, 100_000)
			c := b.p.checkout(t, 50_000)
			b.quoteID = b.p.quote(t, c.GetCheckoutId()).GetQuoteId()
			return b
		}},
		{"an order was cancelled meanwhile", errs.CheckoutChanged, func(t *testing.T) blocked {
			p := s.payer(t, 1_000_000)
			c := p.checkout(t, 100_000, 50_000)
			q := p.quote(t, c.GetCheckoutId())
			s.takeBack(t, c.GetOrders()[0].GetOrderId())
			return blocked{p, c.GetCheckoutId(), q.GetQuoteId()}
		}},
		{"all orders were cancelled", errs.CheckoutCancelled, func(t *testing.T) blocked {
			p := s.payer(t, 1_000_000)
			c := p.checkout(t, 100_000)
			q := p.quote(t, c.GetCheckoutId())
			s.takeBack(t, c.GetOrders()[0].GetOrderId())
			return blocked{p, c.GetCheckoutId(), q.GetQuoteId()}
		}},
		{"cancelled, and the quote was replaced", errs.CheckoutCancelled, func(t *testing.T) blocked {
			p := s.payer(t, 1_000_000)
			c := p.checkout(t, 100_000)
			p.quote(t, c.GetCheckoutId())
			s.takeBack(t, c.GetOrders()[0].GetOrderId())
			return blocked{p, c.GetCheckoutId(), unknownID(ids.Quote)}
		}},
		{"cancelled before any quote", errs.CheckoutCancelled, func(t *testing.T) blocked {
			p := s.payer(t, 1_000_000)
			c := p.checkout(t, 100_000)
			s.takeBack(t, c.GetOrders()[0].GetOrderId())
			return blocked{p, c.GetCheckoutId(), unknownID(ids.Quote)}
		}},
		{"paid already", errs.CheckoutAlreadyPaid, func(t *testing.T) blocked {
			b, _ := ready(t, 1_000_000, 100_000)
			b.p.payQuote(t, b.checkoutID, b.quoteID)
			for _, pay := range b.p.status(t, b.checkoutID).GetPayments() {
				s.awaitOrder(t, pay.GetOrderId(), orderv1.OrderState_ORDER_STATE_PAID)
			}
			return b
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := c.make(t)
			r := b.p.check(t, b.checkoutID, b.quoteID)
			if r.GetReady() || !slices.Contains(reasonsOf(r), c.want.Name()) {
				t.Errorf("CheckCommitPayment: %v, want %s", r, c.want.Name())
			}
			_, err := b.p.tryCommit(t.Context(), commitCall{checkoutID: b.checkoutID, quoteID: b.quoteID})
			wantReason(t, err, c.want)
		})
	}
	t.Run("no account", func(t *testing.T) { noAccount(t, s) })
	t.Run("no PIN", func(t *testing.T) { noPin(t, s) })
	s.proveBooks(t)
}

func reasonsOf(r *paymentv1.CheckCommitPaymentResponse) []string {
	var out []string
	for _, b := range r.GetBlockingReasons() {
		out = append(out, strings.TrimPrefix(b.GetReason().String(), "ERROR_REASON_"))
	}
	return out
}

func (p *payer) status(t testing.TB, checkoutID string) *paymentv1.QueryPaymentStatusResponse {
	t.Helper()
	res := &paymentv1.QueryPaymentStatusResponse{}
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/checkouts/"+checkoutID+"/payment", nil, res); err != nil {
		t.Fatal(err)
	}
	return res
}

// Without an account no quote can be locked, so the commit stops there; every door says why.
func noAccount(t *testing.T, s *stack) {
	p := s.stranger(t)
	p.setPin(t, rightPin)
	c := p.checkout(t, 100_000)
	r := p.check(t, c.GetCheckoutId(), unknownID(ids.Quote))
	if got := reasonsOf(r); r.GetReady() || !slices.Contains(got, "ACCOUNT_NOT_FOUND") || !slices.Contains(got, "QUOTE_NOT_FOUND") {
		t.Errorf("CheckCommitPayment: %v", r)
	}
	_, err := p.tryQuote(t.Context(), c.GetCheckoutId(), 3)
	wantReason(t, err, errs.AccountNotFound)
	_, err = p.tryCommit(t.Context(), commitCall{checkoutID: c.GetCheckoutId(), quoteID: unknownID(ids.Quote)})
	wantReason(t, err, errs.QuoteNotFound)
	var channels paymentv1.QueryPayChannelsResponse
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/checkouts/"+c.GetCheckoutId()+"/channels", nil, &channels); err != nil ||
		channels.GetChannels()[0].GetEnabled() || channels.GetChannels()[0].GetDisabledReason() != "ACCOUNT_NOT_FOUND" {
		t.Errorf("channels %v, %v", &channels, err)
	}
}

// A missing PIN is something that the payer can mend: an action, not a blocking reason.
func noPin(t *testing.T, s *stack) {
	p := s.stranger(t)
	p.openAccount(t, 1_000_000)
	p.signContract(t, "")
	c := p.checkout(t, 100_000)
	q := p.quote(t, c.GetCheckoutId())
	r := p.check(t, c.GetCheckoutId(), q.GetQuoteId())
	if r.GetReady() || len(r.GetBlockingReasons()) != 0 || !slices.Equal(r.GetRequiredActions(), []commonv1.RequiredAction{commonv1.RequiredAction_REQUIRED_ACTION_SET_PIN}) {
		t.Errorf("CheckCommitPayment: %v", r)
	}
	_, err := p.tryCommit(t.Context(), commitCall{checkoutID: c.GetCheckoutId(), quoteID: q.GetQuoteId()})
	wantReason(t, err, errs.PinNotSet)
	if r := p.check(t, c.GetCheckoutId(), ""); r.GetReady() || !slices.Contains(r.GetRequiredActions(), commonv1.RequiredAction_REQUIRED_ACTION_CHOOSE_CHANNEL) {
		t.Errorf("CheckCommitPayment without a quote: %v", r)
	}
	p.setPin(t, rightPin)
	if r := p.check(t, c.GetCheckoutId(), q.GetQuoteId()); !r.GetReady() {
		t.Errorf("CheckCommitPayment with everything: %v", r)
	}
	p.payQuote(t, c.GetCheckoutId(), q.GetQuoteId())
}

// A quote keeps its product's version: what a newer one offers, and which contract it needs, is nothing to its dry run, as it is
// nothing to its commit.
func TestADryRunJudgesTheVersionThatItsQuoteKeeps(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 1_000_000)
	business := strings.ReplaceAll(unique("lasting"), "-", "_")
	code := strings.ToUpper(business)
	offer := func(contract string, months ...int) {
		var tenors []any
		for _, m := range months {
			tenors = append(tenors, map[string]any{"months": m, "ratePpm": 0, "ratePeriod": "PER_MONTH"})
		}
		amount := func(minor int64) map[string]any { return map[string]any{"amountMinor": minor, "currencyCode": "IDR"} }
		body := map[string]any{"requestId": unique("product"), "product": map[string]any{"code": code, "name": "Lasting", "currencyCode": "IDR",
			"businesses": []string{business}, "interestMethod": "INTEREST_METHOD_ZERO", "tenors": tenors, "minAmount": amount(10_000),
			"maxAmount": amount(50_000_000), "billDay": 25, "dueDay": 5, "feeRatePpm": 0, "downPaymentPpm": 0, "contractVersion": contract}}
		if err := s.rest(t.Context(), http.MethodPost, "/admin/v1/products", s.Credentials.AdminToken, body, &billv1.CreateProductVersionResponse{}); err != nil {
			t.Fatal(err)
		}
	}
	choose := func(checkoutID string) (string, error) {
		var res paymentv1.ConfirmPayChannelResponse
		err := p.call(t.Context(), http.MethodPost, "/h5/v1/checkouts/"+checkoutID+"/quote",
			map[string]any{"requestId": unique("quote"), "channel": "CREDIT", "tenorMonths": 3, "productCode": code}, &res)
		return res.GetQuote().GetQuoteId(), err
	}
	open := func() string {
		req := p.draft(50_000)
		req.Business = business
		return s.generate(t, req).GetCheckoutId()
	}
	offer("", 1, 3)
	b := blocked{p: p, checkoutID: open()}
	testkit.Eventually(t, 20*time.Second, func() (err error) {
		b.quoteID, err = choose(b.checkoutID)
		return err
	})
	offer("another text", 1)
	other := open()
	testkit.Eventually(t, 20*time.Second, func() error {
		if _, err := choose(other); reasonOf(t, err) != errs.TenorNotOffered.Name() {
			return fmt.Errorf("the newer version: %w", cmp.Or(err, errNotRefused))
		}
		return nil
	})
	if r := p.check(t, b.checkoutID, b.quoteID); !r.GetReady() {
		t.Errorf("CheckCommitPayment: %v", r)
	}
	p.payQuote(t, b.checkoutID, b.quoteID)
}
