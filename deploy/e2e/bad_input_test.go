package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	opsv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/ops/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// books sees every table of every service.
type books struct {
	dbs    map[string]*sql.DB
	tables map[string][]string
}

func (s *stack) books(t *testing.T) *books {
	t.Helper()
	b := &books{dbs: map[string]*sql.DB{}, tables: map[string][]string{}}
	for name, dsn := range s.Info.Schemas {
		db, err := sql.Open("mysql", dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		b.dbs[name] = db
		rows, err := db.QueryContext(t.Context(), `SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name <> 'leases' ORDER BY 1`)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var table string
			if err := rows.Scan(&table); err != nil {
				t.Fatal(err)
			}
			b.tables[name] = append(b.tables[name], table)
		}
		if err := rows.Err(); err != nil || len(b.tables[name]) < 8 {
			t.Fatalf("tables of %s: %v, %v", name, b.tables[name], err)
		}
	}
	return b
}

// look gives number of rows and checksum of every table but the leases, which are renewed all the time.
func (b *books) look(t *testing.T) map[string]string {
	t.Helper()
	seen := map[string]string{}
	for name, db := range b.dbs {
		for _, table := range b.tables[name] {
			var full string
			var sum sql.NullInt64
			var rows int64
			if err := db.QueryRowContext(t.Context(), "CHECKSUM TABLE "+table).Scan(&full, &sum); err != nil {
				t.Fatal(err)
			}
			if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&rows); err != nil {
				t.Fatal(err)
			}
			seen[full] = fmt.Sprintf("%d rows, checksum %d", rows, sum.Int64)
		}
	}
	return seen
}

// readers names, for each type of event that services listen to, those that keep it in their inbox.
func readers() map[string][]string {
	out := map[string][]string{"OrderConfirmed": {"bill"}, "OrderCancelRequested": {"payment"}, "PaymentSucceeded": {"order"}, "PaymentReversed": {"order"}, "LoanSettled": {"order"}}
	for _, told := range []string{"OrderPaid", "OrderConfirmed", "OrderCancelRequested", "OrderCancelled", "OrderExpired", "OrderClosed", "PaymentSucceeded", "PaymentFailed",
		"PaymentReversed", "CashLegChanged", "CashReturnChanged", "LoanActivated", "LoanVoided", "LoanSettled", "LoanReopened", "LoanOverdueChanged", "BillChanged", "RepaymentChanged"} {
		out[told] = append(out[told], "notification")
	}
	return out
}

// rest waits until nothing is on its way any more: all events were sent, those of the last hour have been read by all who read
// them, and the tables stand still.
func (b *books) rest(t *testing.T, now time.Time) map[string]string {
	t.Helper()
	var seen map[string]string
	testkit.Eventually(t, 20*time.Second, func() error {
		for from := range b.dbs {
			if err := b.arrived(t, from, now); err != nil {
				return err
			}
		}
		before := seen
		if seen = b.look(t); !sameTables(before, seen) {
			return fmt.Errorf("the tables move: %v", difference(before, seen))
		}
		return nil
	})
	return seen
}

// arrived is an error while an event of one service has not been sent, or not been read.
func (b *books) arrived(t *testing.T, from string, now time.Time) error {
	rows, err := b.dbs[from].QueryContext(t.Context(), "SELECT HEX(id), published, topic, payload FROM outbox WHERE create_time > ? OR published = 0", now.UTC().Add(-time.Hour))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var event string
		var published bool
		var topic string
		var payload []byte
		if err := rows.Scan(&event, &published, &topic, &payload); err != nil {
			return err
		}
		if !published {
			return fmt.Errorf("event %s of %s was not sent", event, from)
		}
		if !strings.HasSuffix(topic, ".events.v1") {
			continue // A dead letter, which may be anything.
		}
		var envelope commonv1.EventEnvelope
		if err := proto.Unmarshal(payload, &envelope); err != nil {
			return err
		}
		for _, reader := range readers()[string(envelope.GetPayload().MessageName().Name())] {
			if b.text(t, reader, "SELECT COUNT(*) FROM inbox WHERE event_id = UNHEX(?)", event) == "0" {
				return fmt.Errorf("event %s of %s was not read by %s", event, from, reader)
			}
		}
	}
	return rows.Err()
}

func sameTables(a, b map[string]string) bool { return a != nil && len(difference(a, b)) == 0 }

func difference(before, after map[string]string) []string {
	var out []string
	for table, now := range after {
		if before[table] != now {
			out = append(out, fmt.Sprintf("%s: %s, then %s", table, before[table], now))
		}
	}
	slices.Sort(out)
	return out
}

// badCall is a call that must be refused and must change nothing.
type badCall struct {
	name string
	want errs.Reason
	call func(ctx context.Context) error
	// http is the status when it is not the one that goes with the code.
	http int
	// field that the refusal must name; empty for any.
	field string
}

// badWorld is what the bad calls are made in: a payer with a paid and an open checkout, and somebody else with theirs.
type badWorld struct {
	s                *stack
	p                *payer
	open, paid       *orderv1.Checkout
	quoteID          string
	other            *payer
	foreign          *orderv1.Checkout
	foreignPaid      *orderv1.Checkout
	draft            *orderv1.GeneratePaymentsRequest
	merchantOfOthers string
}

func (s *stack) badWorld(t *testing.T) *badWorld {
	t.Helper()
	w := &badWorld{s: s, p: s.payer(t, 1_000_000), other: s.payer(t, 1_000_000)}
	w.draft = w.p.draft(100_000, 50_000)
	w.open = s.generate(t, w.draft)
	w.quoteID = w.p.quote(t, w.open.GetCheckoutId()).GetQuoteId()
	w.paid = w.p.checkout(t, 70_000)
	w.p.pay(t, w.paid.GetCheckoutId())
	w.foreign, w.foreignPaid = w.other.checkout(t, 10_000), w.other.checkout(t, 20_000)
	w.other.quote(t, w.foreign.GetCheckoutId())
	w.other.pay(t, w.foreignPaid.GetCheckoutId())
	s.awaitOrder(t, w.paid.GetOrders()[0].GetOrderId(), orderv1.OrderState_ORDER_STATE_PAID)
	s.awaitOrder(t, w.foreignPaid.GetOrders()[0].GetOrderId(), orderv1.OrderState_ORDER_STATE_PAID)
	w.merchantOfOthers = s.mint(t, caller.Caller{Kind: caller.Merchant, Name: "console", MerchantID: "other-shop"})
	return w
}

func TestBadInputIsRefusedInDueFormAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := alone(t)
	w := s.badWorld(t)
	b := s.books(t)
	before := b.rest(t, s.now(t))
	cases := slices.Concat(w.generates(t), w.reads(), w.payments(), w.marketplace(), w.operators(), w.forms(t), w.tokens(t))
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := refusedFor(t, c.call(t.Context()), c.want)
			if c.http != 0 && r.http != c.http {
				t.Errorf("HTTP %d, want %d", r.http, c.http)
			}
			if c.field != "" && !slices.Contains(r.fields, c.field) {
				t.Errorf("the refusal names %v, want %s", r.fields, c.field)
			}
			after := b.look(t)
			for _, d := range difference(before, after) {
				t.Errorf("a refused call changed %s", d)
			}
			before = after
		})
	}
	t.Logf("%d bad calls", len(cases))
	foreignLooksUnknown(t, w)
	s.proveBooks(t)
}

// foreignLooksUnknown: what belongs to somebody else and what does not exist are refused in the same words.
func foreignLooksUnknown(t *testing.T, w *badWorld) {
	t.Helper()
	for _, path := range []string{"/h5/v1/checkouts/%s", "/h5/v1/checkouts/%s/channels", "/h5/v1/checkouts/%s/result", "/h5/v1/checkouts/%s/payment", "/h5/v1/checkouts/%s/commit-check"} {
		a := refusedFor(t, w.p.call(t.Context(), http.MethodGet, fmt.Sprintf(path, w.foreign.GetCheckoutId()), nil, nil), errs.NotFound)
		b := refusedFor(t, w.p.call(t.Context(), http.MethodGet, fmt.Sprintf(path, unknownID(ids.Checkout)), nil, nil), errs.NotFound)
		if a.message != b.message || fmt.Sprint(a.metadata) != fmt.Sprint(b.metadata) {
			t.Errorf("%s: foreign %v, unknown %v", path, a, b)
		}
	}
}

// generates are bad checkouts.
func (w *badWorld) generates(t *testing.T) []badCall {
	t.Helper()
	client := orderv1.NewOrderServiceClient(w.s.conn)
	now := w.s.now(t)
	var out []badCall
	add := func(name string, want errs.Reason, field string, change func(r *orderv1.GeneratePaymentsRequest)) {
		out = append(out, badCall{name: "generate: " + name, want: want, field: field, call: func(ctx context.Context) error {
			r := w.p.draft(1_000, 2_000)
			change(r)
			_, err := client.GeneratePayments(as(ctx, w.s.Credentials.SPMToken), r)
			return told(err)
		}})
	}
	type req = orderv1.GeneratePaymentsRequest
	bad := errs.InvalidArgument
	add("zero amount", bad, "orders[0].amount", func(r *req) { r.Orders[0].Amount = idr(0) })
	add("negative amount", bad, "orders[1].amount", func(r *req) { r.Orders[1].Amount = idr(-5) })
	add("amount above the bound", bad, "", func(r *req) { r.Orders[0].Amount = idr(1_000_000_000_000_001) })
	add("largest number", bad, "", func(r *req) { r.Orders[0].Amount = idr(math.MaxInt64) })
	add("smallest number", bad, "", func(r *req) { r.Orders[0].Amount = idr(math.MinInt64) })
	add("sum above the bound", errs.AmountOutOfRange, "", func(r *req) { r.Orders[0].Amount, r.Orders[1].Amount = idr(1_000_000_000_000_000), idr(1) })
	add("no amount", bad, "", func(r *req) { r.Orders[0].Amount = nil })
	add("mixed currencies", errs.CurrencyMismatch, "", func(r *req) { r.Orders[1].Amount.CurrencyCode = "USD" })
	add("currency of the checkout differs", errs.CurrencyMismatch, "", func(r *req) { r.CurrencyCode = "USD" })
	add("item in another currency", errs.CurrencyMismatch, "", func(r *req) { r.Orders[0].Items[0].UnitPrice.CurrencyCode = "USD" })
	add("unknown currency", bad, "orders[0].amount.currency_code", func(r *req) {
		r.CurrencyCode = "XXQ"
		for _, o := range r.Orders {
			o.Amount.CurrencyCode, o.Items = "XXQ", nil
		}
	})
	add("unknown currency of the checkout alone", bad, "currency_code", func(r *req) { r.CurrencyCode, r.Orders[0].Items = "XXQ", nil })
	add("unknown currency of an order", bad, "orders[0].amount.currency_code", func(r *req) { r.Orders[0].Amount.CurrencyCode = "QQQ" })
	add("currency in small letters", bad, "currency_code", func(r *req) { r.CurrencyCode = "idr" })
	add("no orders", bad, "orders", func(r *req) { r.Orders = nil })
	add("51 orders", bad, "orders", func(r *req) { r.Orders = w.p.draft(slices.Repeat([]int64{1_000}, 51)...).Orders })
	add("the same order twice", bad, "orders[1].out_order_no", func(r *req) { r.Orders[1] = proto.CloneOf(r.Orders[0]) })
	add("101 items", bad, "orders[0].items", func(r *req) { r.Orders[0].Items = slices.Repeat(r.Orders[0].Items, 101) })
	add("quantity zero", bad, "orders[0].items[0].quantity", func(r *req) { r.Orders[0].Items[0].Quantity = 0 })
	add("negative price", bad, "", func(r *req) { r.Orders[0].Items[0].UnitPrice = idr(-1) })
	add("no title", bad, "orders[0].title", func(r *req) { r.Orders[0].Title = "" })
	add("long title", bad, "orders[0].title", func(r *req) { r.Orders[0].Title = strings.Repeat("x", 201) })
	add("malformed order number", bad, "orders[0].out_order_no", func(r *req) { r.Orders[0].OutOrderNo = "no/slash" })
	add("malformed merchant", bad, "orders[0].merchant_id", func(r *req) { r.Orders[0].MerchantId = "a b" })
	add("malformed user", bad, "user_id", func(r *req) { r.UserId = "../etc" })
	add("no user", bad, "user_id", func(r *req) { r.UserId = "" })
	add("malformed business", bad, "business", func(r *req) { r.Business = "Market Place" })
	add("short request id", bad, "request_id", func(r *req) { r.RequestId = "short" })
	add("long request id", bad, "request_id", func(r *req) { r.RequestId = strings.Repeat("r", 65) })
	for name, u := range map[string]string{"relative": "/thanks", "no scheme": "shop.example", "script": "javascript:alert(1)", "ftp": "ftp://shop.example/x", "plain http": "http://shop.example/x",
		"with a user": "https://user:secret@shop.example/", "no host": "https:///x", "port 0": "https://shop.example:0/", "port 65536": "https://shop.example:65536/", "empty": "", "long": "https://shop.example/" + strings.Repeat("x", 2048)} {
		add("redirect address: "+name, bad, "redirect_url", func(r *req) { r.RedirectUrl = u })
		if u != "" {
			add("notify address: "+name, bad, "notify_url", func(r *req) { r.NotifyUrl = u })
		}
	}
	for name, at := range map[string]time.Time{"past": now.Add(-time.Hour), "at once": now.Add(10 * time.Second), "too far": now.Add(31 * 24 * time.Hour), "epoch": time.Unix(0, 0)} {
		add("expire time: "+name, errs.ExpireTimeInvalid, "", func(r *req) { until(r, at) })
	}
	add("expire time: no time", bad, "expire_time", func(r *req) { r.ExpireTime = &timestamppb.Timestamp{Seconds: math.MaxInt64} })
	add("expire time: no nanoseconds", bad, "expire_time", func(r *req) { r.ExpireTime = &timestamppb.Timestamp{Seconds: now.Unix() + 3600, Nanos: -1} })
	add("an order number that exists with other content", errs.OrderContentMismatch, "", func(r *req) {
		r.Orders[0].MerchantId, r.Orders[0].OutOrderNo = w.draft.Orders[0].MerchantId, w.draft.Orders[0].OutOrderNo
	})
	add("a request id that exists with other content", errs.RequestIDReused, "", func(r *req) { r.RequestId = w.draft.RequestId })
	return out
}

// h5 is a REST call of the payer.
func (w *badWorld) h5(name string, want errs.Reason, verb, path string, body map[string]any) badCall {
	return badCall{name: verb + " " + name, want: want, call: func(ctx context.Context) error { return w.p.call(ctx, verb, path, body, nil) }}
}

// reads are questions about what is not there, or not the caller's.
func (w *badWorld) reads() []badCall {
	var out []badCall
	foreignOrder, foreignPay := w.foreignPaid.GetOrders()[0].GetOrderId(), w.foreignPaid.GetOrders()[0].GetPaymentId()
	for name, c := range map[string]struct {
		checkout, order, payment string
		want                     errs.Reason
	}{
		"unknown":      {unknownID(ids.Checkout), unknownID(ids.Order), unknownID(ids.Payment), errs.NotFound},
		"foreign":      {w.foreignPaid.GetCheckoutId(), foreignOrder, foreignPay, errs.NotFound},
		"malformed":    {"chk_nonsense", "ord_nonsense", "pay_nonsense", errs.InvalidArgument},
		"wrong prefix": {w.paid.GetOrders()[0].GetOrderId(), w.paid.GetCheckoutId(), w.paid.GetCheckoutId(), errs.InvalidArgument},
		"injection":    {"chk_'%20OR%201=1", "ord_%22;--", "pay_%00", errs.InvalidArgument},
		"long":         {strings.Repeat("c", 65), strings.Repeat("o", 65), strings.Repeat("p", 65), errs.InvalidArgument},
	} {
		for _, end := range []string{"", "/channels", "/result", "/payment", "/commit-check"} {
			out = append(out, w.h5(name+" checkout"+end, c.want, http.MethodGet, "/h5/v1/checkouts/"+c.checkout+end, nil))
		}
		for _, end := range []string{"", "/detail", "/down-payment"} {
			out = append(out, w.h5(name+" order"+end, c.want, http.MethodGet, "/h5/v1/orders/"+c.order+end, nil))
		}
		for _, end := range []string{"", "/down-payment"} {
			out = append(out, w.h5(name+" payment"+end, c.want, http.MethodGet, "/h5/v1/payments/"+c.payment+end, nil))
		}
		out = append(out, w.h5(name+" quote", c.want, http.MethodPost, "/h5/v1/checkouts/"+c.checkout+"/quote",
			map[string]any{"requestId": unique("bad"), "channel": "CREDIT", "tenorMonths": 3}))
		out = append(out, w.h5(name+" commit", c.want, http.MethodPost, "/h5/v1/checkouts/"+c.checkout+"/commit",
			map[string]any{"requestId": unique("bad"), "quoteId": w.quoteID, "pin": rightPin}))
	}
	token := w.open.GetToken()
	flipped := []byte(token)
	flipped[len(flipped)-6] ^= 1
	return append(out,
		w.h5("checkout token of nothing", errs.NotFound, http.MethodGet, "/h5/v1/checkout-tokens/nothing", nil),
		w.h5("checkout token that was changed", errs.NotFound, http.MethodGet, "/h5/v1/checkout-tokens/"+string(flipped), nil),
		w.h5("somebody else's checkout token", errs.NotFound, http.MethodGet, "/h5/v1/checkout-tokens/"+w.foreign.GetToken(), nil),
		w.h5("long checkout token", errs.InvalidArgument, http.MethodGet, "/h5/v1/checkout-tokens/"+strings.Repeat("t", 129), nil),
	)
}

// payments are bad choices, commits and PINs.
func (w *badWorld) payments() []badCall {
	base := "/h5/v1/checkouts/" + w.open.GetCheckoutId()
	choice := func(name string, want errs.Reason, kv ...any) badCall {
		body := map[string]any{"requestId": unique("bad"), "channel": "CREDIT", "tenorMonths": 3}
		for i := 0; i < len(kv); i += 2 {
			body[kv[i].(string)] = kv[i+1]
		}
		return w.h5("quote: "+name, want, http.MethodPost, base+"/quote", body)
	}
	commit := func(name string, want errs.Reason, kv ...any) badCall {
		body := map[string]any{"requestId": unique("bad"), "quoteId": w.quoteID, "pin": rightPin}
		for i := 0; i < len(kv); i += 2 {
			body[kv[i].(string)] = kv[i+1]
		}
		return w.h5("commit: "+name, want, http.MethodPost, base+"/commit", body)
	}
	pin := func(name string, want errs.Reason, newPin, oldPin string) badCall {
		return w.h5("pin: "+name, want, http.MethodPost, "/h5/v1/pin", map[string]any{"requestId": unique("bad"), "newPin": newPin, "oldPin": oldPin})
	}
	bad := errs.InvalidArgument
	return []badCall{
		choice("unknown channel", errs.ChannelNotAvailable, "channel", "GOLD"), choice("malformed channel", bad, "channel", "credit"),
		choice("no channel", bad, "channel", ""), choice("tenor not offered", errs.TenorNotOffered, "tenorMonths", 2),
		choice("no tenor", errs.TenorNotOffered, "tenorMonths", 0), choice("negative tenor", bad, "tenorMonths", -3), choice("long tenor", bad, "tenorMonths", 61),
		choice("a down payment that is not asked for", errs.ChannelNotAvailable, "downPaymentChannel", "CASH"),
		choice("another checkout in the body", bad, "checkoutId", 5),
		commit("unknown quote", errs.QuoteReplaced, "quoteId", unknownID(ids.Quote)), commit("malformed quote", bad, "quoteId", "quo_x"),
		commit("no quote", bad, "quoteId", ""), commit("no PIN", bad, "pin", ""), commit("short PIN", bad, "pin", "1234"),
		commit("PIN of letters", bad, "pin", "abcdef"), commit("PIN of other digits", bad, "pin", "４８２９１３"), commit("no request id", bad, "requestId", ""),
		w.h5("paid again", errs.CheckoutAlreadyPaid, http.MethodPost, "/h5/v1/checkouts/"+w.paid.GetCheckoutId()+"/quote",
			map[string]any{"requestId": unique("bad"), "channel": "CREDIT", "tenorMonths": 3}),
		pin("same digits", errs.PinTooWeak, "111111", rightPin), pin("a run up", errs.PinTooWeak, "123456", rightPin), pin("a run down", errs.PinTooWeak, "987654", rightPin),
		pin("letters", bad, "48291x", rightPin), pin("seven digits", bad, "4829137", rightPin), pin("no old PIN", errs.PinWrong, "592817", ""),
	}
}

// marketplace are bad confirmations and cancellations.
func (w *badWorld) marketplace() []badCall {
	client := orderv1.NewOrderServiceClient(w.s.conn)
	order := w.open.GetOrders()[0].GetOrderId()
	confirm := func(name string, want errs.Reason, ids ...string) badCall {
		return badCall{name: "confirm: " + name, want: want, call: func(ctx context.Context) error {
			_, err := client.ConfirmPayment(as(ctx, w.s.Credentials.SPMToken), &orderv1.ConfirmPaymentRequest{RequestId: unique("bad"), OrderIds: ids})
			return told(err)
		}}
	}
	cancel := func(name string, want errs.Reason, r *orderv1.CancelPaymentsRequest) badCall {
		return badCall{name: "cancel: " + name, want: want, call: func(ctx context.Context) error {
			r := proto.CloneOf(r)
			r.RequestId = unique("bad")
			_, err := client.CancelPayments(as(ctx, w.s.Credentials.SPMToken), r)
			return told(err)
		}}
	}
	read := func(name string, want errs.Reason, token string, r *orderv1.GetOrderInfoRequest) badCall {
		return badCall{name: "order info: " + name, want: want, call: func(ctx context.Context) error {
			_, err := client.GetOrderInfo(as(ctx, token), r)
			return told(err)
		}}
	}
	bad, spm := errs.InvalidArgument, w.s.Credentials.SPMToken
	return []badCall{
		confirm("no order", bad), confirm("malformed", bad, "ord_x"), confirm("one malformed of two", bad, order, "ord_x"), confirm("twice the same", bad, order, order),
		confirm("51 orders", bad, slices.Repeat([]string{"x"}, 51)...), confirm("a checkout", bad, w.open.GetCheckoutId()),
		cancel("nothing", bad, &orderv1.CancelPaymentsRequest{Reason: "r"}),
		cancel("orders and checkout", bad, &orderv1.CancelPaymentsRequest{OrderIds: []string{order}, CheckoutId: w.open.GetCheckoutId(), Reason: "r"}),
		cancel("no reason", bad, &orderv1.CancelPaymentsRequest{OrderIds: []string{order}}),
		cancel("long reason", bad, &orderv1.CancelPaymentsRequest{OrderIds: []string{order}, Reason: strings.Repeat("r", 201)}),
		cancel("unknown checkout", errs.NotFound, &orderv1.CancelPaymentsRequest{CheckoutId: unknownID(ids.Checkout), Reason: "r"}),
		cancel("malformed checkout", bad, &orderv1.CancelPaymentsRequest{CheckoutId: "chk_x", Reason: "r"}),
		read("nothing named", bad, spm, &orderv1.GetOrderInfoRequest{}), read("half a number", bad, spm, &orderv1.GetOrderInfoRequest{MerchantId: "shop-1"}),
		read("unknown number", errs.NotFound, spm, &orderv1.GetOrderInfoRequest{MerchantId: "shop-1", OutOrderNo: "never"}),
		read("another merchant's order", errs.NotFound, w.merchantOfOthers, &orderv1.GetOrderInfoRequest{OrderId: order}),
		read("another merchant's number", errs.NotFound, w.merchantOfOthers,
			&orderv1.GetOrderInfoRequest{MerchantId: w.draft.Orders[0].MerchantId, OutOrderNo: w.draft.Orders[0].OutOrderNo}),
		read("another payer's order", errs.NotFound, w.other.token, &orderv1.GetOrderInfoRequest{OrderId: order}),
	}
}

// operators are bad calls of an operator.
func (w *badWorld) operators() []badCall {
	post := func(name string, want errs.Reason, path string, kv ...any) badCall {
		body := map[string]any{"requestId": unique("bad"), "reason": "r"}
		for i := 0; i < len(kv); i += 2 {
			body[kv[i].(string)] = kv[i+1]
		}
		return badCall{name: "operator: " + name, want: want, call: func(ctx context.Context) error {
			return w.s.rest(ctx, http.MethodPost, "/admin/v1/credit-accounts"+path, w.s.Credentials.AdminToken, body, nil)
		}}
	}
	amount := func(minor int64, currency string) map[string]any {
		return map[string]any{"amountMinor": fmt.Sprint(minor), "currencyCode": currency}
	}
	ops := opsv1.NewOpsServiceClient(w.s.conn)
	bad := errs.InvalidArgument
	clock := func(name string, d time.Duration) badCall {
		return badCall{name: "clock: " + name, want: bad, call: func(ctx context.Context) error {
			_, err := ops.AdvanceClock(as(ctx, w.s.Credentials.AdminToken), &opsv1.AdvanceClockRequest{Duration: durationpb.New(d)})
			return told(err)
		}}
	}
	offer := func(name string, want errs.Reason, amount *commonv1.Money) badCall {
		return badCall{name: "instalment info: " + name, want: want, call: func(ctx context.Context) error {
			_, err := billv1.NewBillServiceClient(w.s.conn).QueryUserInstalmentInfo(as(ctx, w.s.Credentials.SPMToken),
				&billv1.QueryUserInstalmentInfoRequest{UserId: w.p.id, Amount: amount, Business: "marketplace"})
			return told(err)
		}}
	}
	own := "/" + w.p.id
	return []badCall{
		post("account exists", errs.AccountExists, "", "userId", w.p.id, "limit", amount(7, "IDR")),
		post("negative limit", errs.AmountOutOfRange, "", "userId", unique("new"), "limit", amount(-1, "IDR")),
		post("no limit", bad, "", "userId", unique("new")), post("no reason", bad, "", "userId", unique("new"), "limit", amount(1, "IDR"), "reason", ""),
		post("limit in an unknown currency", bad, "", "userId", unique("new"), "limit", amount(1, "XXQ")),
		post("limit of an unknown user", errs.AccountNotFound, "/nobody/limit", "limit", amount(1, "IDR")),
		post("limit below its use", errs.LimitBelowUse, own+"/limit", "limit", amount(69_999, "IDR")),
		post("limit in another currency", errs.CurrencyMismatch, own+"/limit", "limit", amount(500_000, "USD")),
		post("freezing an unknown user", errs.AccountNotFound, "/nobody/freeze"),
		{name: "operator: unknown account", want: errs.AccountNotFound, call: func(ctx context.Context) error {
			return w.s.rest(ctx, http.MethodGet, "/admin/v1/credit-accounts/nobody", w.s.Credentials.AdminToken, nil, nil)
		}},
		{name: "operator: page token", want: errs.PageTokenInvalid, call: func(ctx context.Context) error {
			_, err := ops.ListDeadLetters(as(ctx, w.s.Credentials.AdminToken), &opsv1.ListDeadLettersRequest{PageToken: "?"})
			return told(err)
		}},
		{name: "operator: outbox of an unknown service", want: errs.NotFound, call: func(ctx context.Context) error {
			_, err := ops.ReplayOutbox(as(ctx, w.s.Credentials.AdminToken), &opsv1.ReplayOutboxRequest{Service: "nothing"})
			return told(err)
		}},
		offer("zero amount", bad, idr(0)), offer("negative amount", bad, idr(-1)), offer("no amount", bad, nil),
		offer("unknown currency", bad, &commonv1.Money{AmountMinor: new(int64(1)), CurrencyCode: "XXQ"}),
		clock("back", -time.Hour), clock("nowhere", 0), clock("too far", 401*24*time.Hour),
	}
}

// forms are requests that are not what they should be before anybody reads their fields.
func (w *badWorld) forms(t *testing.T) []badCall {
	t.Helper()
	bad := errs.InvalidArgument
	pin := func(name, body string) badCall {
		return badCall{name: "JSON: " + name, want: bad, http: http.StatusBadRequest, call: func(ctx context.Context) error {
			_, err := w.s.send(ctx, http.MethodPost, "/h5/v1/pin", w.p.token, []byte(body))
			return err
		}}
	}
	good := `{"requestId":"` + unique("form") + `","newPin":"592817","oldPin":"` + rightPin + `"`
	huge := badCall{name: "JSON: too large", want: bad, http: http.StatusRequestEntityTooLarge, call: func(ctx context.Context) error {
		_, err := w.s.send(ctx, http.MethodPost, "/h5/v1/pin", w.p.token, []byte(good+`,"x":"`+strings.Repeat("x", 300<<10)+`"}`))
		return err
	}}
	generate := func(name string, raw []byte) badCall {
		return badCall{name: "gRPC: " + name, want: bad, call: func(ctx context.Context) error {
			var out []byte
			return told(w.s.conn.Invoke(as(ctx, w.s.Credentials.SPMToken), orderv1.OrderService_GeneratePayments_FullMethodName, raw, &out, grpc.ForceCodec(rawBytes{})))
		}}
	}
	valid, err := proto.Marshal(w.p.draft(1_000))
	if err != nil {
		t.Fatal(err)
	}
	title := []byte("Parcel 1")
	notUTF8 := bytes.Replace(valid, title, []byte("Parcel \xff"), 1)
	if bytes.Equal(valid, notUTF8) {
		t.Fatal("the title was not found")
	}
	// A field that the contract does not know, as large as a message may not be.
	large := append(bytes.Clone(valid), 0xfa, 0x3f, 0x80, 0x80, 0x48)
	large = append(large, make([]byte, 9<<17)...)
	at := func(name string, want errs.Reason, status int, verb, path string) badCall {
		return badCall{name: "address: " + name, want: want, http: status, call: func(ctx context.Context) error {
			_, err := w.s.send(ctx, verb, path, w.p.token, nil)
			return err
		}}
	}
	return []badCall{
		pin("empty", ""), pin("not closed", good), pin("not an object", `"x"`), pin("a list", `[]`), pin("no JSON", "requestId=1"), pin("more behind it", good+`} {}`),
		pin("unknown field", good+`,"amount":5}`), pin("a field twice", good+`,"newPin":"592818"}`), pin("a number for text", `{"requestId":5}`),
		pin("not UTF-8", good+",\"x\":\"\xff\"}"), pin("not UTF-8 in a known field", "{\"requestId\":\"abcdefgh\xff\"}"), huge,
		{name: "JSON: amount as a fraction", want: bad, call: func(ctx context.Context) error {
			_, err := w.s.send(ctx, http.MethodPost, "/admin/v1/credit-accounts", w.s.Credentials.AdminToken,
				[]byte(`{"requestId":"`+unique("form")+`","userId":"new","reason":"r","limit":{"amountMinor":"1.5","currencyCode":"IDR"}}`))
			return err
		}},
		{name: "JSON: amount beyond 64 bits", want: bad, call: func(ctx context.Context) error {
			_, err := w.s.send(ctx, http.MethodPost, "/admin/v1/credit-accounts", w.s.Credentials.AdminToken,
				[]byte(`{"requestId":"`+unique("form")+`","userId":"new","reason":"r","limit":{"amountMinor":"9223372036854775808","currencyCode":"IDR"}}`))
			return err
		}},
		generate("no message", []byte("\x07\x07\x07")), generate("text that is not UTF-8", notUTF8), generate("larger than a mebibyte", large), generate("cut off", valid[:len(valid)-3]),
		at("unknown", errs.NotFound, http.StatusNotFound, http.MethodGet, "/h5/v1/nothing"), at("outside", errs.NotFound, http.StatusNotFound, http.MethodGet, "/nothing"),
		at("not UTF-8", bad, http.StatusBadRequest, http.MethodGet, "/h5/v1/checkouts/%ff"), at("not UTF-8 in a query", bad, http.StatusBadRequest, http.MethodGet, "/h5/v1/checkouts/"+w.open.GetCheckoutId()+"/commit-check?quoteId=%ff"),
		at("wrong verb", bad, http.StatusMethodNotAllowed, http.MethodGet, "/h5/v1/pin"), at("deleting", bad, http.StatusMethodNotAllowed, http.MethodDelete, "/h5/v1/checkouts/x"),
	}
}

// tokens are good requests with tokens that open nothing, over both doors.
func (w *badWorld) tokens(t *testing.T) []badCall {
	t.Helper()
	var out []badCall
	body, err := json.Marshal(map[string]any{"requestId": unique("bad"), "quoteId": w.quoteID, "pin": rightPin})
	if err != nil {
		t.Fatal(err)
	}
	client := orderv1.NewOrderServiceClient(w.s.conn)
	for name, b := range w.s.badTokens(t) {
		out = append(out, badCall{name: "commit with the " + name + " token", want: b.want, http: http.StatusUnauthorized, call: func(ctx context.Context) error {
			_, err := w.s.send(ctx, http.MethodPost, "/h5/v1/checkouts/"+w.open.GetCheckoutId()+"/commit", b.token, body)
			return err
		}}, badCall{name: "generate with the " + name + " token", want: b.want, call: func(ctx context.Context) error {
			_, err := client.GeneratePayments(as(ctx, b.token), w.p.draft(1_000))
			return told(err)
		}})
	}
	return append(out, badCall{name: "commit with somebody else's token", want: errs.NotFound, http: http.StatusNotFound, call: func(ctx context.Context) error {
		_, err := w.s.send(ctx, http.MethodPost, "/h5/v1/checkouts/"+w.open.GetCheckoutId()+"/commit", w.other.token, body)
		return err
	}}, badCall{name: "commit with an operator's token", want: errs.CallerNotAllowed, http: http.StatusForbidden, call: func(ctx context.Context) error {
		_, err := w.s.send(ctx, http.MethodPost, "/h5/v1/checkouts/"+w.open.GetCheckoutId()+"/commit", w.s.Credentials.AdminToken, body)
		return err
	}})
}
