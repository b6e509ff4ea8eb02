package e2e

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	notificationv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/notification/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"

	"github.com/creditpay/creditpay/pkg/errs"
)

// The smallest inputs that were taken for something else: each is refused by the field's name.
func TestInput_IsNotTakenForSomethingElse(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 1_000_000)
	account := "/admin/v1/credit-accounts/" + p.id
	money := func(minor any) map[string]any { return map[string]any{"amountMinor": minor, "currencyCode": "IDR"} }
	tiers := func(tier map[string]any) map[string]any {
		return map[string]any{"requestId": unique("tiers"), "currencyCode": "IDR", "reason": "r", "tiers": []any{tier}}
	}
	product := func(change map[string]any) map[string]any {
		made := map[string]any{"code": "ODD", "name": "Odd", "currencyCode": "IDR", "businesses": []string{"odd"}, "interestMethod": "INTEREST_METHOD_ZERO",
			"tenors":    []any{map[string]any{"months": 3, "ratePpm": 0, "ratePeriod": "PER_MONTH"}},
			"minAmount": money(1), "maxAmount": money(10), "billDay": 25, "dueDay": 5, "feeRatePpm": 0, "downPaymentPpm": 0}
		for name, value := range change {
			made[name] = value
			if value == nil {
				delete(made, name)
			}
		}
		return map[string]any{"requestId": unique("product"), "product": made}
	}
	reason := func() map[string]any { return map[string]any{"requestId": unique("odd"), "reason": "r"} }
	limit := func(l map[string]any) map[string]any {
		return map[string]any{"requestId": unique("odd"), "reason": "r", "limit": l}
	}
	for name, c := range map[string]struct {
		path  string
		body  map[string]any
		field string
	}{
		"a tier without approvals":   {"/admin/v1/approval-tiers", tiers(map[string]any{"from": money(0)}), "tiers[0].approvals"},
		"approvals that are null":    {"/admin/v1/approval-tiers", tiers(map[string]any{"from": money(0), "approvals": nil}), "tiers[0].approvals"},
		"a tier from no amount":      {"/admin/v1/approval-tiers", tiers(map[string]any{"from": map[string]any{"currencyCode": "IDR"}, "approvals": 1}), "tiers[0].from.amount_minor"},
		"a limit without a number":   {account + "/limit", limit(map[string]any{"currencyCode": "IDR"}), "limit.amount_minor"},
		"a limit that is null":       {account + "/limit", limit(money(nil)), "limit.amount_minor"},
		"a dry run that freezes":     {account + "/freeze?dryRun=true", reason(), "dryRun"},
		"another user in the body":   {account + "/freeze", map[string]any{"requestId": unique("odd"), "reason": "r", "userId": "somebody"}, "user_id"},
		"a method that wraps around": {"/admin/v1/products", product(map[string]any{"interestMethod": 257}), "product.interest_method"},
		"a product without a fee":    {"/admin/v1/products", product(map[string]any{"feeRatePpm": nil}), "product.fee_rate_ppm"},
		"a name of 100,000 letters":  {"/admin/v1/products", product(map[string]any{"name": strings.Repeat("x", 100_000)}), "product.name"},
		"a name of two lines":        {"/admin/v1/products", product(map[string]any{"name": "two\nlines"}), "product.name"},
	} {
		err := s.rest(t.Context(), http.MethodPost, c.path, s.Credentials.AdminToken, c.body, nil)
		var r *refusal
		if !errors.As(err, &r) || r.http != http.StatusBadRequest || !slices.Equal(r.fields, []string{c.field}) {
			t.Errorf("%s: %v, want 400 that names %s alone", name, err, c.field)
		}
	}
	for _, no := range []string{".", "..", "a/b"} {
		req := p.draft(1000)
		req.Orders[0].OutOrderNo = no
		_, err := orderv1.NewOrderServiceClient(s.conn).GeneratePayments(s.spm(t), req)
		if r := refusedFor(t, told(err), errs.InvalidArgument); !slices.Contains(r.fields, "orders[0].out_order_no") {
			t.Errorf("order number %q: %v", no, r)
		}
	}
	var res billv1.GetCreditAccountResponse
	if err := s.rest(t.Context(), http.MethodGet, account, s.Credentials.AdminToken, nil, &res); err != nil || res.GetAccount().GetFreezeReason() != "" ||
		res.GetAccount().GetSummary().GetLimit().GetAmountMinor() != 1_000_000 {
		t.Errorf("the account after all that: %v, %v", &res, err)
	}
}

// An update keeps what it does not name; to name nothing is refused.
func TestInput_UpdateEndpointKeepsTheRest(t *testing.T) {
	t.Parallel()
	s := shared(t)
	id, _ := s.subscribe(t, unique("shop"), "https://shop.example/1", "order.paid")
	update := func(fields map[string]any) (*notificationv1.Endpoint, error) {
		fields["requestId"] = unique("update")
		var res notificationv1.UpdateEndpointResponse
		err := s.rest(t.Context(), http.MethodPost, "/admin/v1/notification-endpoints/"+id, s.Credentials.AdminToken, fields, &res)
		return res.GetEndpoint(), err
	}
	for _, c := range []struct {
		fields map[string]any
		url    string
		types  []string
	}{
		{map[string]any{"url": "https://shop.example/2"}, "https://shop.example/2", []string{"order.paid"}},
		{map[string]any{"eventTypes": []string{"order.confirmed"}}, "https://shop.example/2", []string{"order.confirmed"}},
		{map[string]any{"allEventTypes": true}, "https://shop.example/2", nil},
	} {
		if e, err := update(c.fields); err != nil || e.GetUrl() != c.url || !slices.Equal(e.GetEventTypes(), c.types) {
			t.Errorf("%v: %v, %v, want %s and %v", c.fields, e, err, c.url, c.types)
		}
	}
	for _, fields := range []map[string]any{{}, {"eventTypes": []string{}}, {"allEventTypes": true, "eventTypes": []string{"order.paid"}}} {
		if _, err := update(fields); err == nil || reasonOf(t, err) != errs.InvalidArgument.Name() {
			t.Errorf("%v: %v, want INVALID_ARGUMENT", fields, err)
		}
	}
}
