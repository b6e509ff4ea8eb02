package rpckit

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	opsv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/ops/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"

	"github.com/creditpay/creditpay/pkg/errs"
)

// violated returns the fields and rules that a refusal names.
func violated(t *testing.T, err error) map[string]string {
	t.Helper()
	if err == nil {
		return nil
	}
	if !errs.Is(err, errs.InvalidArgument) {
		t.Fatalf("got %v, want INVALID_ARGUMENT", err)
	}
	var found FieldViolations
	if !errors.As(err, &found) {
		t.Fatalf("%v names no fields", err)
	}
	out := map[string]string{}
	for _, v := range found {
		out[v.Field] = v.Rule
	}
	return out
}

func rules(t testing.TB) *Rules {
	t.Helper()
	r, err := newValidator()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestForm_TextsAreOneLine(t *testing.T) {
	t.Parallel()
	r := rules(t)
	for text, good := range map[string]bool{
		"plain": true, "Łukasz 東京 😀 नमस्ते": true, "क्\u200dष": true, "e\u0301": true,
		"a\x00b": false, "a\nb": false, "a\tb": false, "a\rb": false, "\x1b[2J": false, "\x7f": false, "\u0085": false, "\u009b": false,
		"\u200e": false, "\u200f": false, "\u061c": false, "\u2028": false, "\u2029": false, "\u202a": false, "\u202e": false,
		"\u2066": false, "\u2069": false,
	} {
		req := &billv1.FreezeCreditAccountRequest{RequestId: "request-1", UserId: "u1", Reason: text}
		got := violated(t, r.Check(req))
		if want := map[bool]string{true: "", false: ruleOneLine}[good]; got["reason"] != want {
			t.Errorf("%+q: got rule %q, want %q", text, got["reason"], want)
		}
	}
}

func TestForm_LooksIntoListsAndMessages(t *testing.T) {
	t.Parallel()
	req := &orderv1.GeneratePaymentsRequest{Orders: []*orderv1.OrderDraft{{Title: "good"}, {Title: "good", Items: []*orderv1.OrderItem{
		{Name: "good"}, {Name: "b\u202ead", UnitPrice: &commonv1.Money{CurrencyCode: "I\x00R"}}}}}}
	got := violated(t, rules(t).Check(req))
	for _, field := range []string{"orders[1].items[1].name", "orders[1].items[1].unit_price.currency_code"} {
		if got[field] != ruleOneLine {
			t.Errorf("%s: got %q of %v", field, got[field], got)
		}
	}
}

func TestForm_EnumsAreDefined(t *testing.T) {
	t.Parallel()
	req := &billv1.CreateProductVersionRequest{RequestId: "request-1", Product: &billv1.Product{InterestMethod: 257}}
	if got := violated(t, rules(t).Check(req)); got["product.interest_method"] != ruleDefined {
		t.Errorf("got %v", got)
	}
}

// What services send one another may be older than the rule: a saga must not stop at a line break that was stored before.
func TestForm_OldTextsOfServicesPass(t *testing.T) {
	t.Parallel()
	req := &orderv1.AbortCommitRequest{CheckoutId: "chk_1", CommitId: "cmt_1", Reason: "two\nlines"}
	if err := rules(t).Check(req); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestForm_SaysLittle(t *testing.T) {
	t.Parallel()
	req := &opsv1.ReplayDeadLettersRequest{}
	for i := range 100 {
		req.DeadLetterIds = append(req.DeadLetterIds, strings.Repeat("\n", i+1))
	}
	if got := violated(t, rules(t).Check(req)); len(got) > maxViolations {
		t.Errorf("%d violations, want at most %d", len(got), maxViolations)
	}
}

// BenchmarkForm measures what the form adds to a purchase's largest call.
func BenchmarkForm(b *testing.B) {
	r := rules(b)
	req := &orderv1.GeneratePaymentsRequest{RequestId: "request-1", UserId: "u1", Business: "marketplace", CurrencyCode: "IDR",
		RedirectUrl: "https://shop.example/thanks", Orders: []*orderv1.OrderDraft{{MerchantId: "shop", OutOrderNo: "1", Title: "Two chairs",
			Amount: &commonv1.Money{AmountMinor: new(int64(1)), CurrencyCode: "IDR"}, Items: []*orderv1.OrderItem{{Sku: "chair", Name: "A chair",
				Quantity: 1, UnitPrice: &commonv1.Money{AmountMinor: new(int64(1)), CurrencyCode: "IDR"}}}}}}
	form, m := r.forms[proto.MessageName(req)], req.ProtoReflect()
	b.Run("form", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if form.check(m) != nil {
				b.Fatal("refused")
			}
		}
	})
	b.Run("all", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := r.Check(req); err != nil {
				b.Fatal(err)
			}
		}
	})
}
