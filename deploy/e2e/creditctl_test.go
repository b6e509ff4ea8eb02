package e2e

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/eventsig"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/testkit"

	"github.com/creditpay/creditpay/deploy/creditctl"
	"github.com/creditpay/creditpay/deploy/devstack"
)

// creditctl runs the operator's command against the stack and gives what it printed.
func (s *stack) creditctl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := creditctl.New(&out)
	cmd.SetArgs(append([]string{"--state", s.dir}, args...))
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// does runs the command, which must succeed.
func (s *stack) does(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.creditctl(t, args...)
	if err != nil {
		t.Fatalf("creditctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func TestTheOperatorsCommandLine(t *testing.T) {
	t.Parallel()
	s := alone(t)
	p := s.payer(t, 1_000_000)
	c := p.checkout(t, 100_000)
	p.pay(t, c.GetCheckoutId())
	s.confirm(t, c.GetOrders()[0].GetOrderId())
	d := p.awaitLoan(t, c.GetOrders()[0].GetOrderId(), "ACTIVE")
	b := s.books(t)
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"audit says that clean books are clean", func(t *testing.T) { auditIsClean(t, s) }},
		{"audit names what was tampered with", func(t *testing.T) { auditNamesTampering(t, s, p, d, b) }},
		{"order show tells the story", func(t *testing.T) { orderShows(t, s, d) }},
		{"clock advance moves the clock and nothing else", func(t *testing.T) { clockAdvances(t, s) }},
		{"outbox replay doubles nothing", func(t *testing.T) { outboxReplays(t, s, p, b) }},
		{"a dead letter is replayed once its time has come", func(t *testing.T) { deadLetterHeals(t, s) }},
		{"a poison event is put aside by each that reads it and stops nobody", func(t *testing.T) { poisonIsPutAside(t, s, b) }},
		{"notifications that did not fit are listed", func(t *testing.T) { unfitAreListed(t, s) }},
		{"a refund is approved by another person", func(t *testing.T) { refundIsApproved(t, s, p) }},
		{"a token of an operator may do what its roles say", func(t *testing.T) { tokenIsMade(t, s) }},
		{"bad flags are refused", func(t *testing.T) { badFlags(t, s) }},
	} {
		if !t.Run(step.name, step.run) {
			return
		}
	}
	s.proveBooks(t)
}

func refundIsApproved(t *testing.T, s *stack, p *payer) {
	orderID := p.buys(t, 300_000)
	var asked refundv1.AdminRefundPaymentResponse
	if err := s.rest(t.Context(), http.MethodPost, "/admin/v1/refunds", s.Credentials.AdminToken, map[string]any{"requestId": unique("admin"), "orderId": orderID,
		"amount": map[string]any{"amountMinor": 300_000, "currencyCode": "IDR"}, "reason": "the shop closed", "reasonCode": "REFUND_REASON_CODE_OUT_OF_STOCK"}, &asked); err != nil {
		t.Fatal(err)
	}
	id := asked.GetRefund().GetRefundId()
	if out := s.does(t, "refund", "list", "--order", orderID, "--refund-state", "pending_approval"); !strings.Contains(out, id) || !strings.Contains(out, "approved by 0 of 1") {
		t.Errorf("refund list prints %q", out)
	}
	if out := s.does(t, "refund", "show", id); !strings.Contains(out, "effect  principal 300000 and charges ") || !strings.Contains(out, "#1 due ") {
		t.Errorf("refund show prints %q before it is approved", out)
	}
	if out, err := s.creditctl(t, "refund", "approve", id); err == nil || !strings.Contains(out, "APPROVER_IS_REQUESTER") {
		t.Errorf("who asked approved: %q, %v", out, err)
	}
	if _, err := s.creditctl(t, "--as", "approver_token", "refund", "retry", id, "leg_x"); err == nil || !strings.Contains(err.Error(), "CASH") {
		t.Errorf("an approver asks for cash: %v", err)
	}
	if out := s.does(t, "--as", "approver_token", "refund", "approve", id, "--comment", "seen"); !strings.Contains(out, id) {
		t.Errorf("refund approve prints %q", out)
	}
	s.awaitRefund(t, id, refundSucceeded)
	if out := s.does(t, "refund", "show", id); !strings.Contains(out, "ADMIN:dev-approver") || !strings.Contains(out, "SUCCEEDED") || !strings.Contains(out, "the payer has everything") {
		t.Errorf("refund show prints %q", out)
	}
}

func tokenIsMade(t *testing.T, s *stack) {
	key := filepath.Join(devstack.KeysDir(s.dir), "admin.json")
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(s.does(t, "token", "--key", key, "--name", "ann", "--role", "VIEW")), 0o600); err != nil {
		t.Fatal(err)
	}
	s.does(t, "--token-file", token, "refund", "list")
	if _, err := s.creditctl(t, "--token-file", token, "clock", "advance", "1h"); err == nil || !strings.Contains(err.Error(), "OPERATE") {
		t.Errorf("a viewer moves the clock: %v", err)
	}
	for _, wrong := range [][]string{{"--role", "ROOT"}, {}, {"--kind", "SPM", "--role", "VIEW"}, {"--kind", "KING"}, {"--kind", "H5"}} {
		if out, err := s.creditctl(t, append([]string{"token", "--key", key, "--name", "ann"}, wrong...)...); err == nil {
			t.Errorf("token %v prints %q", wrong, out)
		}
	}
	list := filepath.Join(s.dir, "revoked.json")
	s.does(t, "revoke", "--file", list, "--token-file", token, "--reason", "a lost laptop")
	testkit.Eventually(t, 10*time.Second, func() error {
		if _, err := s.creditctl(t, "--token-file", token, "refund", "list"); err == nil || !strings.Contains(err.Error(), "revoked") {
			return fmt.Errorf("a revoked token: %w", err)
		}
		return nil
	})
	if out, err := s.creditctl(t, "revoke", "--file", list, "--kind", "ADMIN"); err == nil {
		t.Errorf("revoke without a name prints %q", out)
	}
	keys := t.TempDir()
	s.does(t, "keypair", keys, "--kind", "spm", "--name", "marketplace")
	if out := s.does(t, "token", "--key", filepath.Join(keys, "spm-marketplace.json"), "--kind", "spm", "--name", "marketplace"); strings.Count(out, ".") != 2 {
		t.Errorf("token prints %q", out)
	}
	for name, wrong := range map[string][]string{"overwrites": {"--kind", "SPM", "--name", "marketplace"}, "any service": {"--kind", "SERVICE", "--name", "*"},
		"no kind": {"--name", "x"}, "no name": {"--kind", "ADMIN"}, "king": {"--kind", "KING", "--name", "x"}} {
		if out, err := s.creditctl(t, append([]string{"keypair", keys}, wrong...)...); err == nil {
			t.Errorf("keypair, %s: prints %q", name, out)
		}
	}
}

func auditIsClean(t *testing.T, s *stack) {
	out := s.does(t, "audit")
	if !regexp.MustCompile(`^audit: [1-9][0-9]* checks, [1-9][0-9]* orders compared across services, 0 findings\n$`).MatchString(out) {
		t.Errorf("audit prints %q", out)
	}
	if out := s.does(t, "audit", "--format", "json"); !strings.Contains(out, `"Checks"`) {
		t.Errorf("audit in JSON prints %q", out)
	}
}

// auditNamesTampering changes one figure at a time behind the services' backs, and puts it back.
func auditNamesTampering(t *testing.T, s *stack, p *payer, d *orderv1.OrderDetail, b *books) {
	account := b.text(t, "bill", "SELECT HEX(id) FROM credit_accounts WHERE user_id = ?", p.id)
	orderHex := b.text(t, "order", "SELECT HEX(id) FROM orders WHERE out_order_no = ?", d.GetOrder().GetOutOrderNo())
	accountID := typed(t, ids.Account, account)
	for name, c := range map[string]struct {
		schema, change, back string
		arg                  string
		names                []string
	}{
		"more is used than the loans owe": {"bill", "UPDATE credit_accounts SET used_minor = used_minor + 1 WHERE user_id = ?",
			"UPDATE credit_accounts SET used_minor = used_minor - 1 WHERE user_id = ?", p.id, []string{accountID, "account_used", "journal_used"}},
		"the loan owes less": {"bill", "UPDATE loans SET outstanding_minor = outstanding_minor - 1 WHERE order_id = UNHEX(?)",
			"UPDATE loans SET outstanding_minor = outstanding_minor + 1 WHERE order_id = UNHEX(?)", orderHex, []string{d.GetLoanId(), accountID, "loan_outstanding"}},
		"an instalment is forgotten": {"bill", "UPDATE instalments SET sequence = sequence + 50 WHERE sequence = 3 AND loan_id = (SELECT id FROM loans WHERE order_id = UNHEX(?))",
			"UPDATE instalments SET sequence = sequence - 50 WHERE sequence = 53 AND loan_id = (SELECT id FROM loans WHERE order_id = UNHEX(?))", orderHex,
			[]string{d.GetLoanId(), "loan_instalments"}},
		"the order says that it was not confirmed": {"order", "UPDATE orders SET state = 3 WHERE id = UNHEX(?)", "UPDATE orders SET state = 4 WHERE id = UNHEX(?)",
			orderHex, []string{d.GetOrder().GetOrderId(), "services_agree"}},
		"the payment says more": {"payment", "UPDATE payments SET amount_minor = amount_minor + 1 WHERE order_id = UNHEX(?)",
			"UPDATE payments SET amount_minor = amount_minor - 1 WHERE order_id = UNHEX(?)", orderHex,
			[]string{d.GetOrder().GetPaymentId(), "legs_add_up", d.GetOrder().GetOrderId(), "services_agree"}},
		"a journal line is one too large": {"payment",
			"UPDATE journal_lines SET debit_minor = debit_minor + 1 WHERE debit_minor > 0 AND object_id = ?",
			"UPDATE journal_lines SET debit_minor = debit_minor - 1 WHERE debit_minor > 0 AND object_id = ?", d.GetOrder().GetPaymentId(), []string{"journal_balances"}},
		"the payment is of another marketplace's user": {"payment", "UPDATE payments SET user_id = CONCAT('beta~', user_id) WHERE order_id = UNHEX(?)",
			"UPDATE payments SET user_id = SUBSTRING(user_id, 6) WHERE order_id = UNHEX(?)", orderHex, []string{d.GetOrder().GetOrderId(), "users_agree"}},
		"the order is another marketplace's": {"order", "UPDATE orders SET owner = 'beta' WHERE id = UNHEX(?)", "UPDATE orders SET owner = '' WHERE id = UNHEX(?)",
			orderHex, []string{d.GetOrder().GetOrderId(), "order_is_of_its_buyers_marketplace"}},
		"credit balance out of nowhere": {"bill", "INSERT INTO kept_cash VALUES (UNHEX(?), 'nobody', 'IDR', 1, NOW(6))", "DELETE FROM kept_cash WHERE reference = UNHEX(?)",
			orderHex, []string{typed(t, ids.Leg, orderHex), "kept_cash_agrees"}},
	} {
		b.change(t, c.schema, c.change, c.arg)
		out, err := s.creditctl(t, "audit", "--settle", "300ms")
		b.change(t, c.schema, c.back, c.arg)
		if !errors.Is(err, creditctl.ErrFindings) {
			t.Errorf("%s: audit ends with %v", name, err)
		}
		for _, want := range c.names {
			if !strings.Contains(out, want) {
				t.Errorf("%s: audit does not name %s:\n%s", name, want, out)
			}
		}
		if strings.Contains(out, " 0 findings") {
			t.Errorf("%s: audit prints\n%s", name, out)
		}
	}
	auditIsClean(t, s)
}

func typed(t *testing.T, p ids.Prefix, digits string) string {
	t.Helper()
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != len(ids.ID{}) {
		t.Fatalf("%q is no id: %v", digits, err)
	}
	return ids.Format(p, ids.ID(raw))
}

func (b *books) text(t *testing.T, schema, query string, args ...any) string {
	t.Helper()
	var out string
	if err := b.dbs[schema].QueryRowContext(t.Context(), query, args...).Scan(&out); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return out
}

// change is the hand of somebody who has the database's password. It must hit something.
func (b *books) change(t *testing.T, schema, query string, args ...any) {
	t.Helper()
	res, err := b.dbs[schema].ExecContext(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s changed %d rows, %v", query, n, err)
	}
}

func orderShows(t *testing.T, s *stack, d *orderv1.OrderDetail) {
	out := s.does(t, "order", "show", d.GetOrder().GetOrderId())
	wants := []string{d.GetOrder().GetOrderId() + "  CONFIRMED", d.GetLoanId() + "  ACTIVE", d.GetOrder().GetOutOrderNo(), d.GetPlan().GetInstalments()[2].GetDueDate(), "COMMITTING", "goods received"}
	for _, want := range wants {
		if !strings.Contains(out, want) {
			t.Errorf("order show does not tell %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "!") {
		t.Errorf("order show misses a part:\n%s", out)
	}
	if _, err := s.creditctl(t, "order", "show", unknownID(ids.Order)); err == nil {
		t.Error("order show of an unknown order succeeds")
	}
}

func clockAdvances(t *testing.T, s *stack) {
	before := s.now(t)
	if out := s.does(t, "clock", "advance", "2d"); !strings.HasPrefix(out, "the clock is at "+before.UTC().Add(48*time.Hour).Format("2006-01-02")) {
		t.Errorf("clock advance prints %q at %s", out, before)
	}
	if moved := s.now(t).Sub(before); moved < 48*time.Hour || moved > 49*time.Hour {
		t.Errorf("the clock moved by %s", moved)
	}
	s.does(t, "clock", "advance", "90m")
	s.does(t, "audit")
}

// unfitAreListed tells a wrong amount, then the truth, then the contrary, and finds the first and the last.
func unfitAreListed(t *testing.T, s *stack) {
	if out := s.does(t, "notification", "list", "--from", s.now(t).UTC().Format(time.RFC3339)); out != "0 notifications did not fit\n" {
		t.Errorf("notification list prints %q", out)
	}
	from := s.now(t).UTC().Format(time.RFC3339)
	leg := s.repaymentLeg(t, 70_000)
	wrong := notice(leg, tellPaid)
	wrong.Amount = idr(69_999)
	_, err := s.notify(t, wrong)
	wantReason(t, err, errs.LegAmountMismatch)
	contrary := notice(leg, paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_FAILED)
	for _, n := range []*paymentv1.NotifyPaymentStatusRequest{notice(leg, tellPaid), contrary} {
		if _, err := s.notify(t, n); err != nil {
			t.Fatal(err)
		}
	}
	out := s.does(t, "notification", "list", "--from", from)
	for _, want := range []string{"MISMATCH      PAID 69999 IDR  by SPM:", wrong.GetRequestId(), "70000 IDR, was PENDING, is SUCCEEDED", leg.GetReference() + "  " + leg.GetSubjectId(),
		"CONTRADICTION FAILED 70000 IDR", "70000 IDR, was SUCCEEDED, is SUCCEEDED", "\n2 notifications did not fit\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("notification list does not tell %q:\n%s", want, out)
		}
	}
	if out := s.does(t, "notification", "list", "--from", from, "--misfit", "contradiction"); strings.Contains(out, wrong.GetRequestId()) || !strings.Contains(out, contrary.GetRequestId()) {
		t.Errorf("notification list of contradictions prints:\n%s", out)
	}
	var page paymentv1.ListUnfitNotificationsResponse
	path := "/admin/v1/unfit-notifications?misfit=MISFIT_MISMATCH&leg=EXTERNAL_LEG_KIND_REPAYMENT&pageSize=100&fromTime=" + from
	if err := s.rest(t.Context(), http.MethodGet, path, s.Credentials.AdminToken, nil, &page); err != nil || len(page.GetNotifications()) != 1 ||
		page.GetNotifications()[0].GetRequestId() != wrong.GetRequestId() {
		t.Errorf("GET %s: %v, %v", path, &page, err)
	}
}

// outboxReplays sends all events of all services again: receivers know them.
func outboxReplays(t *testing.T, s *stack, p *payer, b *books) {
	before := b.rest(t, s.now(t))
	credit := p.credit(t)
	for _, service := range []string{"order", "payment", "bill"} {
		stored := b.text(t, service, "SELECT COUNT(*) FROM outbox")
		if out := s.does(t, "outbox", "replay", "--service", service); out != stored+" events of "+service+" are being sent again\n" || stored == "0" {
			t.Errorf("outbox replay prints %q, %s are stored", out, stored)
		}
	}
	// An event behind them all: when it has had its effect, the others have been read.
	other := s.payer(t, 1_000_000)
	c := other.checkout(t, 10_000)
	other.pay(t, c.GetCheckoutId())
	s.confirm(t, c.GetOrders()[0].GetOrderId())
	other.awaitLoan(t, c.GetOrders()[0].GetOrderId(), "ACTIVE")
	after := b.rest(t, s.now(t))
	if len(difference(before, after)) == 0 {
		t.Error("the purchase in between changed nothing, so the comparison is worth nothing")
	}
	const openLetters = "SELECT COUNT(*) FROM dead_letters WHERE replay_time IS NULL"
	for schema, query := range map[string]string{"order": openLetters, "payment": openLetters, "bill": openLetters, "notification": openLetters} {
		if n := b.text(t, schema, query); n != "0" {
			t.Errorf("%s has %s dead letters", schema, n)
		}
	}
	if got := p.credit(t); !proto.Equal(got, credit) {
		t.Errorf("replaying moved the limit from %v to %v", credit, got)
	}
	s.does(t, "audit")
	if out := s.does(t, "outbox", "replay", "--service", "order", "--from", s.now(t).Add(time.Hour).UTC().Format(time.RFC3339)); out != "0 events of order are being sent again\n" {
		t.Errorf("outbox replay of the future prints %q", out)
	}
}

// inject writes a message to a topic, as its owner gone wrong would.
func (s *stack) inject(t *testing.T, topic, key string, value []byte) {
	t.Helper()
	msgs := []kafka.Message{{Topic: topic, Key: []byte(key), Value: value}}
	signer, err := s.tokens.Service(strings.Split(topic, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := eventsig.Sign(signer, msgs); err != nil {
		t.Fatal(err)
	}
	s.write(t, msgs...)
}

// write writes messages to the broker as they are.
func (s *stack) write(t *testing.T, msgs ...kafka.Message) {
	t.Helper()
	w := &kafka.Writer{Addr: kafka.TCP(s.Info.KafkaAddr), Balancer: &kafka.Hash{}, BatchTimeout: time.Millisecond, RequiredAcks: kafka.RequireAll}
	if err := errors.Join(w.WriteMessages(t.Context(), msgs...), w.Close()); err != nil {
		t.Fatalf("write to Kafka: %v", err)
	}
}

// deadLetters waits until so many are listed and gives their ids.
func (s *stack) deadLetters(t *testing.T, want int) (list string, found []string) {
	t.Helper()
	testkit.Eventually(t, 15*time.Second, func() error {
		list = s.does(t, "deadletter", "list")
		found = regexp.MustCompile(`(?m)^dlq_\w+`).FindAllString(list, -1)
		if len(found) != want || !strings.HasSuffix(list, fmt.Sprintf("%d dead letters\n", want)) {
			return fmt.Errorf("listed, want %d:\n%s", want, list)
		}
		return nil
	})
	return list, found
}

// deadLetterHeals tells the order service of a reversal before anybody asked for one. It cannot be true yet and is put aside; when
// the order has been taken back, it can be digested and changes nothing any more.
func deadLetterHeals(t *testing.T, s *stack) {
	p := s.payer(t, 1_000_000)
	c := p.checkout(t, 100_000)
	p.pay(t, c.GetCheckoutId())
	o := c.GetOrders()[0]
	s.awaitOrder(t, o.GetOrderId(), orderv1.OrderState_ORDER_STATE_PAID)
	payload, err := anypb.New(&paymentv1.PaymentReversed{PaymentId: o.GetPaymentId(), OrderId: o.GetOrderId(), CheckoutId: c.GetCheckoutId()})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := proto.Marshal(&commonv1.EventEnvelope{EventId: ids.Format(ids.Event, ids.NewGenerator(clock.System()).New()), OccurredTime: timestamppb.New(s.now(t)),
		Key: c.GetCheckoutId(), ObjectId: o.GetPaymentId(), ObjectVersion: 9, Payload: payload})
	if err != nil {
		t.Fatal(err)
	}
	s.inject(t, "creditpay.payment.events.v1", c.GetCheckoutId(), raw)
	list, found := s.deadLetters(t, 1)
	if !strings.Contains(list, "order") || !strings.Contains(list, "PaymentReversed") {
		t.Errorf("listed:\n%s", list)
	}
	if got := s.order(t, o.GetOrderId()).GetState(); got != orderv1.OrderState_ORDER_STATE_PAID {
		t.Errorf("an untrue event made the order %s", got)
	}
	if out, err := s.creditctl(t, "audit", "--settle", "300ms"); !errors.Is(err, creditctl.ErrFindings) || !strings.Contains(out, found[0]) {
		t.Errorf("audit with a dead letter: %v\n%s", err, out)
	}
	if out, err := s.creditctl(t, "deadletter", "replay", found[0]); err == nil {
		t.Errorf("an event that cannot be true was digested: %s", out)
	}
	s.takeBack(t, o.GetOrderId())
	s.awaitOrder(t, o.GetOrderId(), orderv1.OrderState_ORDER_STATE_CANCELLED)
	for range 2 { // A second replay does nothing.
		if out := s.does(t, "deadletter", "replay", found[0]); out != found[0]+"  done\n" {
			t.Errorf("deadletter replay prints %q", out)
		}
	}
	s.deadLetters(t, 0)
	if out := s.does(t, "deadletter", "list", "--all"); !strings.Contains(out, found[0]) {
		t.Errorf("with those replayed:\n%s", out)
	}
	p.wantCredit(t, 1_000_000, 0, 0)
	s.does(t, "audit")
}

// poisonIsPutAside writes what is no event at all where payment, bill and notification listen.
func poisonIsPutAside(t *testing.T, s *stack, b *books) {
	p := s.payer(t, 1_000_000)
	c := p.checkout(t, 100_000)
	p.pay(t, c.GetCheckoutId())
	s.inject(t, "creditpay.order.events.v1", c.GetCheckoutId(), []byte("\x07 this is no event"))
	list, found := s.deadLetters(t, 3)
	for _, service := range []string{"payment", "bill", "notification"} {
		if !strings.Contains(list, " "+service) {
			t.Errorf("%s did not put it aside:\n%s", service, list)
		}
	}
	out, err := s.creditctl(t, append([]string{"deadletter", "replay"}, found...)...)
	if err == nil || !strings.Contains(err.Error(), "3 of 3") || strings.Contains(out, "done") {
		t.Errorf("replaying poison: %v\n%s", err, out)
	}
	// The events behind it on the same partition still arrive.
	s.confirm(t, c.GetOrders()[0].GetOrderId())
	p.awaitLoan(t, c.GetOrders()[0].GetOrderId(), "ACTIVE")
	if _, err := s.creditctl(t, "deadletter", "replay", unknownID(ids.DeadLetter)); err == nil {
		t.Error("an unknown dead letter was replayed")
	}
	// Nothing can digest it, so the test throws it away: the books of this stack must be clean at the end.
	for _, schema := range []string{"payment", "bill", "notification"} {
		b.change(t, schema, "DELETE FROM dead_letters WHERE replay_time IS NULL")
	}
	s.does(t, "audit")
}

func badFlags(t *testing.T, s *stack) {
	for _, args := range [][]string{{"nonsense"}, {"clock", "advance", "-1h"}, {"clock", "advance", "401d"}, {"clock", "advance"}, {"outbox", "replay"},
		{"outbox", "replay", "--service", "nothing"}, {"outbox", "replay", "--service", "order", "--from", "yesterday"}, {"deadletter", "replay"},
		{"deadletter", "replay", "dlq_x"},
		{"notification", "list", "--misfit", "unspecified"}, {"notification", "list", "--to", "tomorrow"}, {"order", "show"}, {"order", "show", "ord_x"}, {"delivery", "show"}, {"delivery", "show", "dlv_x"}, {"delivery", "resend"},
		{"delivery", "list", "--delivery-state", "lost"}, {"delivery", "list", "--from", "yesterday"}, {"audit", "extra"}, {"--state", "/nowhere", "audit"}} {
		if out, err := s.creditctl(t, args...); err == nil {
			t.Errorf("creditctl %v succeeds: %s", args, out)
		}
	}
}
