package e2e

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/eventsig"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// eventTypes are all events of the contract: the messages of each service's events.proto that are no part of another one.
func eventTypes(files *protoregistry.Files) []protoreflect.FullName {
	var out []protoreflect.FullName
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(f.Path(), "creditpay/") || !strings.HasSuffix(f.Path(), "/events.proto") {
			return true
		}
		parts := map[protoreflect.FullName]bool{}
		for i := range f.Messages().Len() {
			fields := f.Messages().Get(i).Fields()
			for j := range fields.Len() {
				if m := fields.Get(j).Message(); m != nil {
					parts[m.FullName()] = true
				}
			}
		}
		for i := range f.Messages().Len() {
			if name := f.Messages().Get(i).FullName(); !parts[name] {
				out = append(out, name)
			}
		}
		return true
	})
	slices.Sort(out)
	return out
}

// forgers makes, for each event of the contract, one that is valid in form and tells of money that never moved.
type forgers map[protoreflect.FullName]proto.Message

// missing are the events of the contract that nobody forges.
func (f forgers) missing(files *protoregistry.Files) []protoreflect.FullName {
	return slices.DeleteFunc(eventTypes(files), func(name protoreflect.FullName) bool { return f[name] != nil })
}

const invented = 7_000_000

// forgersFor are the forgers for what is there: an order that is paid, one that is confirmed with its running loan, a checkout that is
// open and a repayment that nobody has paid.
func forgersFor(p *payer, paid, confirmed *orderv1.OrderDetail, open *orderv1.Checkout, repaymentID string, leg *paymentv1.CashLeg) forgers {
	now, gen := timestamppb.Now(), ids.NewGenerator(clock.System())
	ref := func(d *orderv1.OrderDetail) *orderv1.OrderRef {
		return &orderv1.OrderRef{OrderId: d.GetOrder().GetOrderId(), CheckoutId: d.GetOrder().GetCheckoutId(), PaymentId: d.GetOrder().GetPaymentId(),
			UserId: p.id, MerchantId: d.GetOrder().GetMerchantId(), OutOrderNo: d.GetOrder().GetOutOrderNo(), Amount: d.GetOrder().GetAmount()}
	}
	unpaid := open.GetOrders()[0]
	openRef := &orderv1.OrderRef{OrderId: unpaid.GetOrderId(), CheckoutId: open.GetCheckoutId(), PaymentId: unpaid.GetPaymentId(), UserId: p.id,
		MerchantId: "shop-1", OutOrderNo: unpaid.GetOutOrderNo(), Amount: rupiah(invented)}
	loan := &billv1.LoanRef{LoanId: confirmed.GetLoanId(), OrderId: confirmed.GetOrder().GetOrderId(), UserId: p.id}
	draft := &billv1.LoanRef{LoanId: paid.GetLoanId(), OrderId: paid.GetOrder().GetOrderId(), UserId: p.id}
	commit := ids.Format(ids.Commit, gen.New())
	arrived := proto.CloneOf(leg)
	arrived.State, arrived.PayTime = paymentv1.LegState_LEG_STATE_SUCCEEDED, now
	out := forgers{}
	for _, m := range []proto.Message{
		&orderv1.CheckoutCreated{CheckoutId: ids.Format(ids.Checkout, gen.New()), UserId: p.id, OrderIds: []string{ids.Format(ids.Order, gen.New())}, TotalAmount: rupiah(invented)},
		&orderv1.OrderPaid{Order: openRef, PaidAmount: openRef.GetAmount(), PayTime: now},
		&orderv1.OrderConfirmed{Order: ref(paid)},
		&orderv1.OrderCancelRequested{Order: ref(paid), Reason: "forged"},
		&orderv1.OrderCancelled{Order: ref(paid), Reason: "forged"},
		&orderv1.OrderExpired{Order: openRef},
		&orderv1.OrderClosed{Order: ref(confirmed)},
		&paymentv1.PaymentSucceeded{CheckoutId: open.GetCheckoutId(), CommitId: commit, UserId: p.id, PayTime: now, Payments: []*paymentv1.Payment{{
			PaymentId: unpaid.GetPaymentId(), OrderId: unpaid.GetOrderId(), CheckoutId: open.GetCheckoutId(), CommitId: commit, UserId: p.id,
			State: paymentv1.PaymentState_PAYMENT_STATE_SUCCEEDED, Amount: rupiah(invented), PayTime: now, Legs: []*paymentv1.Leg{{PaymentId: unpaid.GetPaymentId(),
				Kind: paymentv1.ChannelKind_CHANNEL_KIND_CREDIT, Channel: "CREDIT", Amount: rupiah(invented), State: paymentv1.LegState_LEG_STATE_SUCCEEDED}}}}},
		&paymentv1.PaymentFailed{CheckoutId: open.GetCheckoutId(), CommitId: commit, Reason: "LIMIT_INSUFFICIENT"},
		&paymentv1.PaymentReversed{PaymentId: paid.GetOrder().GetPaymentId(), OrderId: paid.GetOrder().GetOrderId(), CheckoutId: paid.GetOrder().GetCheckoutId()},
		&paymentv1.CashLegChanged{Leg: arrived, FromState: paymentv1.LegState_LEG_STATE_PENDING},
		&paymentv1.CashReturnChanged{CashReturn: &paymentv1.CashReturn{Reference: leg.GetReference(), SubjectId: repaymentID, RefundId: ids.Format(ids.Refund, gen.New()),
			Amount: rupiah(invented), State: paymentv1.CashReturnState_CASH_RETURN_STATE_ABANDONED, CreateTime: now}},
		&paymentv1.PinChanged{UserId: p.id, Change: paymentv1.PinChange_PIN_CHANGE_SET, ChangeTime: now},
		&billv1.LoanActivated{Loan: draft, Principal: rupiah(invented), FirstDueDate: "2030-01-01"},
		&billv1.LoanVoided{Loan: draft},
		&billv1.LoanSettled{Loan: loan},
		&billv1.LoanReopened{Loan: loan},
		&billv1.LoanOverdueChanged{Loan: loan, Overdue: rupiah(invented)},
		&billv1.BillChanged{BillId: ids.Format(ids.Bill, gen.New()), UserId: p.id, BillDate: "2030-01-01", DueDate: "2030-01-05", State: "PAID", Open: rupiah(0)},
		&billv1.RepaymentChanged{RepaymentId: repaymentID, UserId: p.id, State: "SUCCEEDED", Amount: rupiah(invented)},
		&billv1.CreditAccountChanged{AccountId: ids.Format(ids.Account, gen.New()), UserId: p.id, Limit: rupiah(100 * invented), State: "ACTIVE"},
		&refundv1.RefundChanged{Refund: &refundv1.Refund{RefundId: ids.Format(ids.Refund, gen.New()), OrderId: confirmed.GetOrder().GetOrderId(),
			Amount: confirmed.GetOrder().GetAmount(), State: refundv1.RefundState_REFUND_STATE_SUCCEEDED, CreateTime: now, FinishTime: now}},
	} {
		out[m.ProtoReflect().Descriptor().FullName()] = m
	}
	return out
}

// impostor signs with a key that nobody knows, under the id of one that everybody knows.
type impostor struct {
	id  string
	key ed25519.PrivateKey
}

func (i impostor) KeyID() string { return i.id }

func (i impostor) SignDetached(purpose string, message []byte) []byte {
	return ed25519.Sign(i.key, auth.Detached(purpose, message))
}

// packed is the Kafka message of an event, on the topic of its contract.
func packed(t *testing.T, at time.Time, m proto.Message) kafka.Message {
	t.Helper()
	payload, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	event := ids.Format(ids.Event, ids.NewGenerator(clock.System()).New())
	value, err := proto.Marshal(&commonv1.EventEnvelope{EventId: event, OccurredTime: timestamppb.New(at), Key: "k", ObjectId: "x", ObjectVersion: 99, Payload: payload})
	if err != nil {
		t.Fatal(err)
	}
	service := strings.Split(string(m.ProtoReflect().Descriptor().FullName()), ".")[1]
	return kafka.Message{Topic: "creditpay." + service + ".events.v1", Key: []byte("k"), Value: value, Headers: []kafka.Header{{Key: "event-id", Value: []byte(event)}}}
}

// forgeries are an event in every way in which one can be written by somebody else than its topic's owner: without a signature, with
// that of a genuine message of the topic, with a key of the forger's own under the owner's key id, and with the key of another service.
func (s *stack) forgeries(t *testing.T, m proto.Message, genuine map[string]kafka.Header) []kafka.Message {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	bare, copied, strange, foreign := packed(t, s.now(t), m), packed(t, s.now(t), m), packed(t, s.now(t), m), packed(t, s.now(t), m)
	if header, ok := genuine[copied.Topic]; ok {
		copied.Headers = append(copied.Headers, header)
	}
	owner := eventsig.Owner(bare.Topic)
	own, other := []kafka.Message{strange}, []kafka.Message{foreign}
	if err := eventsig.Sign(impostor{s.serviceSigner(t, owner).KeyID(), private}, own); err != nil {
		t.Fatal(err)
	}
	// The service with the most rights that does not own the topic.
	neighbour := "payment"
	if owner == neighbour {
		neighbour = "order"
	}
	if err := eventsig.Sign(s.serviceSigner(t, neighbour), other); err != nil {
		t.Fatal(err)
	}
	return []kafka.Message{bare, copied, own[0], other[0]}
}

// serviceSigner is the key of a service.
func (s *stack) serviceSigner(t *testing.T, service string) *auth.Signer {
	t.Helper()
	signer, err := s.tokens.Service(service)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// signatures returns the signature of one genuine message of each topic.
func (s *stack) signatures(t *testing.T, topics []string) map[string]kafka.Header {
	t.Helper()
	out := map[string]kafka.Header{}
	for _, topic := range topics {
		for partition := range 8 {
			r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{s.Info.KafkaAddr}, Topic: topic, Partition: partition, MaxWait: 50 * time.Millisecond})
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			m, err := r.ReadMessage(ctx)
			cancel()
			_ = r.Close()
			if i := slices.IndexFunc(m.Headers, func(h kafka.Header) bool { return h.Key == eventsig.Header }); err == nil && i >= 0 {
				out[topic] = m.Headers[i]
				break
			}
		}
	}
	return out
}

// awaitRead waits until every service that reads these topics has read all that stands in them.
func (s *stack) awaitRead(t *testing.T, topics []string) {
	t.Helper()
	client := &kafka.Client{Addr: kafka.TCP(s.Info.KafkaAddr), Timeout: 5 * time.Second}
	for _, group := range []string{"order", "payment", "bill", "refund", "notification"} {
		testkit.Eventually(t, 30*time.Second, func() error { return lag(t.Context(), client, "creditpay."+group, topics) })
	}
}

// lag is an error while a group has not read all of the topics that it reads.
func lag(ctx context.Context, client *kafka.Client, group string, topics []string) error {
	ends, offsets := &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{}}, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{}}
	for _, topic := range topics {
		for partition := range 8 {
			ends.Topics[topic] = append(ends.Topics[topic], kafka.LastOffsetOf(partition))
			offsets.Topics[topic] = append(offsets.Topics[topic], partition)
		}
	}
	end, err := client.ListOffsets(ctx, ends)
	if err != nil {
		return err
	}
	read, err := client.OffsetFetch(ctx, offsets)
	if err = errors.Join(err, read.Error); err != nil {
		return err
	}
	for topic, partitions := range end.Topics {
		reads := slices.ContainsFunc(read.Topics[topic], func(p kafka.OffsetFetchPartition) bool { return p.CommittedOffset > 0 })
		for _, p := range partitions {
			for _, r := range read.Topics[topic] {
				if reads && r.Partition == p.Partition && p.LastOffset > 0 && r.CommittedOffset < p.LastOffset {
					return fmt.Errorf("%s has read %s/%d up to %d of %d", group, topic, p.Partition, r.CommittedOffset, p.LastOffset)
				}
			}
		}
	}
	return nil
}

// TestForgedEvents_MoveNothing writes every event of the contract to its topic in every way in which somebody else than the owner can,
// with invented money. No table changes but the list of what was refused, and the audit names every one that would have had an effect.
func TestForgedEvents_MoveNothing(t *testing.T) {
	s := alone(t)
	p := s.payer(t, 50_000_000)
	paidID, confirmedID := p.buys(t, 100_000), p.buys(t, 200_000)
	s.confirm(t, confirmedID)
	p.awaitLoan(t, confirmedID, "ACTIVE")
	repaymentID := p.repay(t, map[string]any{"amount": map[string]any{"amountMinor": invented, "currencyCode": "IDR"}}).GetRepaymentId()
	forge := forgersFor(p, p.detail(t, paidID), p.detail(t, confirmedID), p.checkout(t, 300_000), repaymentID, s.cashLeg(t, repaymentID))
	for _, name := range forge.missing(protoregistry.GlobalFiles) {
		t.Errorf("nobody forges %s: add it to forgersFor, with money that never moved", name)
	}
	topics := map[string]bool{}
	for name := range forge {
		topics["creditpay."+strings.Split(string(name), ".")[1]+".events.v1"] = true
	}
	all := slices.Sorted(maps.Keys(topics))
	b := s.books(t)
	before := b.rest(t, s.now(t))
	genuine := s.signatures(t, all)
	var written []kafka.Message
	for _, name := range slices.Sorted(maps.Keys(forge)) {
		written = append(written, s.forgeries(t, forge[name], genuine)...)
	}
	s.write(t, written...)
	s.awaitRead(t, all)
	after := b.rest(t, s.now(t))
	for _, d := range difference(before, after) {
		if !strings.Contains(d, ".refused_events:") {
			t.Errorf("a forged event changed %s", d)
		}
	}
	found, err := s.findings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]int{}
	for _, f := range found {
		if f.Check != "refused_events" {
			t.Errorf("the audit finds %s %s %s: %s", f.Service, f.Check, f.ID, f.Text)
			continue
		}
		for name := range forge {
			if strings.Contains(f.Text, "/"+string(name)+" ") {
				named[string(name)]++
			}
		}
	}
	// What nobody reads has no effect and no row.
	unread := []string{"creditpay.order.v1.CheckoutCreated", "creditpay.bill.v1.CreditAccountChanged"}
	for name := range forge {
		if n := named[string(name)]; (n < 4) != slices.Contains(unread, string(name)) {
			t.Errorf("the audit names %d forgeries of %s", n, name)
		}
	}
	s.genuineMoves(t, forge)
	for schema, db := range b.dbs {
		if _, err := db.ExecContext(t.Context(), `DELETE FROM refused_events`); err != nil {
			t.Errorf("%s: %v", schema, err)
		}
	}
}

// genuineMoves shows that the same event does move something when its owner signs it: otherwise the test above would prove nothing. It
// is one that harms no book: the notification service tells of an order that expired.
func (s *stack) genuineMoves(t *testing.T, forge forgers) {
	t.Helper()
	m := forge["creditpay.order.v1.OrderExpired"].(*orderv1.OrderExpired)
	count := func() string { return s.books(t).text(t, "notification", `SELECT COUNT(*) FROM inbox`) }
	before := count()
	msgs := []kafka.Message{packed(t, s.now(t), m)}
	if err := eventsig.Sign(s.serviceSigner(t, "order"), msgs); err != nil {
		t.Fatal(err)
	}
	s.write(t, msgs...)
	testkit.Eventually(t, 20*time.Second, func() error {
		if count() == before {
			return errors.New("a genuine event was not applied")
		}
		return nil
	})
}

// TestForgers_FindANewEvent adds an event to a copy of the contract and sees the walk name it.
func TestForgers_FindANewEvent(t *testing.T) {
	t.Parallel()
	forge := forgers{}
	for _, name := range eventTypes(protoregistry.GlobalFiles) {
		forge[name] = &commonv1.Money{}
	}
	if len(forge) < 21 || len(forge.missing(protoregistry.GlobalFiles)) != 0 {
		t.Fatalf("the walk finds %d events and misses %v", len(forge), forge.missing(protoregistry.GlobalFiles))
	}
	files := &descriptorpb.FileDescriptorSet{}
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		d := protodesc.ToFileDescriptorProto(f)
		if f.Path() == "creditpay/bill/v1/events.proto" {
			d.MessageType = append(d.MessageType, &descriptorpb.DescriptorProto{Name: proto.String("LoanForgiven")})
		}
		files.File = append(files.File, d)
		return true
	})
	changed, err := protodesc.NewFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	if got := forge.missing(changed); len(got) != 1 || got[0] != "creditpay.bill.v1.LoanForgiven" {
		t.Errorf("the walk misses %v, want the new LoanForgiven", got)
	}
}
