package random

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/segmentio/kafka-go"
	"google.golang.org/protobuf/proto"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/testkit"
)

const paymentTopic = "creditpay.payment.events.v1"

// ask is money that the marketplace was asked to give back, as it heard on Kafka.
type ask struct {
	// subject is the commit or the repayment whose cash it is, reference what the marketplace names it by: the leg's own when the whole leg
	// goes back.
	subject, reference string
	kind               paymentv1.ExternalLegKind
	amount             int64
	// refund is empty for a whole leg and for the share of a cancelled order.
	refund string
	// closed says that it was told that the money went back, or that it need not give it back.
	closed bool
}

// market is what the marketplace hears: it reads the payment service's events as any receiver does.
type market struct {
	mu    sync.Mutex
	asks  map[string][]*ask // by subject, as they came
	known map[string]*ask   // by reference
	// bounced are the repayments that went back as a whole.
	bounced map[string]bool
	// wrong is what it should never have heard, by subject.
	wrong map[string][]string
	err   error
}

// listen begins to read from the oldest event on, until the test ends.
func listen(t *testing.T, broker string) *market {
	t.Helper()
	m := &market{asks: map[string][]*ask{}, known: map[string]*ask{}, bounced: map[string]bool{}, wrong: map[string][]string{}}
	reader := testkit.Kafka(t, broker).Reader("marketplace", []string{paymentTopic})
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { m.read(ctx, reader) })
	t.Cleanup(func() {
		cancel()
		group.Wait()
		_ = reader.Close()
		if m.err != nil {
			t.Error(m.err)
		}
	})
	return m
}

func (m *market) read(ctx context.Context, reader *kafka.Reader) {
	for {
		message, err := reader.FetchMessage(ctx)
		if err == nil {
			err = m.hear(message.Value)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			m.mu.Lock()
			m.err = errors.Join(m.err, fmt.Errorf("the marketplace reads Kafka: %w", err))
			m.mu.Unlock()
			return
		}
	}
}

func (m *market) hear(text []byte) error {
	e := &commonv1.EventEnvelope{}
	if err := proto.Unmarshal(text, e); err != nil {
		return err
	}
	payload, err := e.GetPayload().UnmarshalNew()
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch x := payload.(type) {
	case *paymentv1.CashLegChanged:
		l := x.GetLeg()
		a := ask{subject: l.GetSubjectId(), reference: l.GetReference(), kind: l.GetKind(), amount: l.GetAmount().GetAmountMinor()}
		switch l.GetState() {
		case paymentv1.LegState_LEG_STATE_RETURNING:
			m.asked(a)
		case paymentv1.LegState_LEG_STATE_REVERSED:
			m.close(l.GetReference())
			if l.GetKind() == paymentv1.ExternalLegKind_EXTERNAL_LEG_KIND_REPAYMENT {
				m.bounced[l.GetSubjectId()] = true
			}
		}
	case *paymentv1.CashReturnChanged:
		r := x.GetCashReturn()
		a := ask{subject: r.GetSubjectId(), reference: r.GetReference(), amount: r.GetAmount().GetAmountMinor(), refund: r.GetRefundId(),
			kind: paymentv1.ExternalLegKind_EXTERNAL_LEG_KIND_REPAYMENT}
		if r.GetOrderId() != "" {
			a.kind = paymentv1.ExternalLegKind_EXTERNAL_LEG_KIND_DOWN_PAYMENT
		}
		switch r.GetState() {
		case paymentv1.CashReturnState_CASH_RETURN_STATE_RETURNING:
			m.asked(a)
		case paymentv1.CashReturnState_CASH_RETURN_STATE_RETURNED, paymentv1.CashReturnState_CASH_RETURN_STATE_ABANDONED:
			m.close(r.GetReference())
		}
	}
	return nil
}

// asked notes an ask; the same reference again is the same money. Under mu.
func (m *market) asked(a ask) {
	before := m.known[a.reference]
	switch {
	case before == nil:
		if m.bounced[a.subject] {
			m.wrong[a.subject] = append(m.wrong[a.subject], fmt.Sprintf("asked for %d of %s under %s, which went back as a whole before", a.amount, a.subject, a.reference))
		}
		m.known[a.reference] = &a
		m.asks[a.subject] = append(m.asks[a.subject], &a)
	case before.amount != a.amount || before.subject != a.subject:
		m.wrong[a.subject] = append(m.wrong[a.subject], fmt.Sprintf("asked for %d under %s, which was %d of %s before", a.amount, a.reference, before.amount, before.subject))
	default:
		before.closed = false
	}
}

func (m *market) close(reference string) {
	if a := m.known[reference]; a != nil {
		a.closed = true
	}
}

// asksOf are copies of what was asked for of these subjects, in the order of the subjects and as it came.
func (m *market) asksOf(subjects ...string) []ask {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []ask
	for _, s := range subjects {
		for _, a := range m.asks[s] {
			out = append(out, *a)
		}
	}
	return out
}

// wrongOf is what should never have been asked for of a subject.
func (m *market) wrongOf(subject string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wrong[subject]
}

// heard reports whether the marketplace was asked for a reference.
func (m *market) heard(reference string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known[reference] != nil
}
