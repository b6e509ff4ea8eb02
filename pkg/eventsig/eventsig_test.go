package eventsig_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"google.golang.org/protobuf/proto"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/eventsig"
	"github.com/creditpay/creditpay/pkg/eventsig/eventsigtest"
)

const topic = "creditpay.order.events.v1"

func messages(n int) []kafka.Message {
	msgs := make([]kafka.Message, n)
	for i := range msgs {
		msgs[i] = kafka.Message{Topic: topic, Key: fmt.Appendf(nil, "chk_%d", i), Value: []byte(strings.Repeat(fmt.Sprint(i), 300)),
			Headers: []kafka.Header{{Key: "event-id", Value: []byte("evt_1")}}}
	}
	return msgs
}

// TestSign_EveryMessageOfABatch signs batches of many sizes and verifies each message, in the order of writing and backwards.
func TestSign_EveryMessageOfABatch(t *testing.T) {
	t.Parallel()
	var keys eventsigtest.Keys
	for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 500, 1024} {
		msgs := messages(n)
		if err := eventsig.Sign(keys.Signer(t, "order"), msgs); err != nil {
			t.Fatal(err)
		}
		v := eventsig.NewVerifier(&keys)
		for i := range msgs {
			for _, m := range []kafka.Message{msgs[i], msgs[n-1-i]} {
				if err := v.Verify(&m, time.Now()); err != nil {
					t.Errorf("message %d of %d: %v", i, n, err)
				}
				if added := len(m.Headers[1].Value) + len(m.Headers[1].Key); added > eventsig.Overhead {
					t.Errorf("a signature in a batch of %d adds %d bytes, want at most %d", n, added, eventsig.Overhead)
				}
			}
		}
	}
}

// TestVerify_RefusesForgeries takes a genuine message and changes one thing, with the genuine one known to the verifier already.
func TestVerify_RefusesForgeries(t *testing.T) {
	t.Parallel()
	var keys eventsigtest.Keys
	signed := func(service string) kafka.Message {
		msgs := messages(3)
		if err := eventsig.Sign(keys.Signer(t, service), msgs); err != nil {
			t.Fatal(err)
		}
		return msgs[1]
	}
	header := func(m kafka.Message, change func(*commonv1.EventSignature)) kafka.Message {
		var s commonv1.EventSignature
		if err := proto.Unmarshal(m.Headers[len(m.Headers)-1].Value, &s); err != nil {
			t.Fatal(err)
		}
		change(&s)
		value, err := proto.Marshal(&s)
		if err != nil {
			t.Fatal(err)
		}
		m.Headers = []kafka.Header{{Key: eventsig.Header, Value: value}}
		return m
	}
	for name, c := range map[string]struct {
		forge func(m kafka.Message) kafka.Message
		want  eventsig.Reason
	}{
		"no header": {func(m kafka.Message) kafka.Message { m.Headers = m.Headers[:1]; return m }, eventsig.Unsigned},
		"a header of noise": {func(m kafka.Message) kafka.Message {
			m.Headers = []kafka.Header{{Key: eventsig.Header, Value: []byte("\xff\xff")}}
			return m
		}, eventsig.Malformed},
		"an empty header":    {func(m kafka.Message) kafka.Message { m.Headers = []kafka.Header{{Key: eventsig.Header}}; return m }, eventsig.WrongKey},
		"another value":      {func(m kafka.Message) kafka.Message { m.Value = []byte("7000000"); return m }, eventsig.WrongSignature},
		"another key":        {func(m kafka.Message) kafka.Message { m.Key = []byte("chk_2"); return m }, eventsig.WrongSignature},
		"its topic's letter": {func(m kafka.Message) kafka.Message { m.Topic = "creditpay.order.events.v2"; return m }, eventsig.WrongSignature},
		"another's topic":    {func(m kafka.Message) kafka.Message { m.Topic = "creditpay.payment.events.v1"; return m }, eventsig.WrongKey},
		"nobody's topic":     {func(m kafka.Message) kafka.Message { m.Topic = "creditpay.order.deadletter.v1"; return m }, eventsig.ForeignTopic},
		"another service":    {func(kafka.Message) kafka.Message { return signed("payment") }, eventsig.WrongKey},
		"an unknown key": {func(m kafka.Message) kafka.Message {
			return header(m, func(s *commonv1.EventSignature) { s.KeyId = "none" })
		}, eventsig.WrongKey},
		"another signature": {func(m kafka.Message) kafka.Message {
			return header(m, func(s *commonv1.EventSignature) { s.Root[0]++ })
		}, eventsig.WrongSignature},
		"another place": {func(m kafka.Message) kafka.Message {
			return header(m, func(s *commonv1.EventSignature) { s.Index = 0 })
		}, eventsig.WrongSignature},
		"a place outside": {func(m kafka.Message) kafka.Message {
			return header(m, func(s *commonv1.EventSignature) { s.Index = 9 })
		}, eventsig.WrongSignature},
		"a negative size": {func(m kafka.Message) kafka.Message {
			return header(m, func(s *commonv1.EventSignature) { s.BatchSize = -1 })
		}, eventsig.WrongSignature},
		"a shorter way": {func(m kafka.Message) kafka.Message {
			return header(m, func(s *commonv1.EventSignature) { s.Path = s.Path[1:] })
		}, eventsig.WrongSignature},
		"a tree of its own": {func(m kafka.Message) kafka.Message {
			own := []kafka.Message{{Topic: topic, Key: m.Key, Value: []byte("7000000")}}
			if err := eventsig.Sign(keys.Signer(t, "order"), own); err != nil {
				t.Fatal(err)
			}
			return header(own[0], func(s *commonv1.EventSignature) { s.Signature[5]++ })
		}, eventsig.WrongSignature},
	} {
		v := eventsig.NewVerifier(&keys)
		good := signed("order")
		if err := v.Verify(&good, time.Now()); err != nil {
			t.Fatal(err)
		}
		forged := c.forge(good)
		err := v.Verify(&forged, time.Now())
		var refused *eventsig.Refused
		if !errors.As(err, &refused) || refused.Reason != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

// TestVerify_KeyOfAKnownRootIsRevoked: what is remembered of a root must not outlive the key.
func TestVerify_KeyOfAKnownRootIsRevoked(t *testing.T) {
	t.Parallel()
	var keys, others eventsigtest.Keys
	msgs := messages(2)
	if err := eventsig.Sign(keys.Signer(t, "order"), msgs); err != nil {
		t.Fatal(err)
	}
	both := &swapped{now: &keys}
	v := eventsig.NewVerifier(both)
	if err := v.Verify(&msgs[0], time.Now()); err != nil {
		t.Fatal(err)
	}
	both.now = &others // No key at all.
	if err := v.Verify(&msgs[1], time.Now()); err == nil {
		t.Error("a message was accepted with a key that was removed")
	}
	others.Signer(t, "order") // Another key under the same id.
	if err := v.Verify(&msgs[1], time.Now()); err == nil {
		t.Error("a message was accepted with a key that was replaced")
	}
}

type swapped struct{ now *eventsigtest.Keys }

func (s *swapped) ServiceKey(service, keyID string, now time.Time) (ed25519.PublicKey, bool) {
	k, ok := s.now.ServiceKey(service, keyID, now)
	return k, ok
}

func TestOwner(t *testing.T) {
	t.Parallel()
	for topic, want := range map[string]string{"creditpay.order.events.v1": "order", "creditpay.bill.events.v2": "bill",
		"creditpay.bill.deadletter.v1": "", "order.events.v1": "", "": "", "creditpay.a.b.events.v1": "", "other.order.events.v1": ""} {
		if got := eventsig.Owner(topic); got != want {
			t.Errorf("Owner(%q) is %q, want %q", topic, got, want)
		}
	}
}

// BenchmarkPurchase measures what signatures cost a purchase, which has seven events on three topics and four of them verified by
// one receiver each, at the batches that relays send: one event when nothing else happens, eight and more under load.
func BenchmarkPurchase(b *testing.B) {
	var keys eventsigtest.Keys
	signer := keys.Signer(b, "order")
	for _, size := range []int{1, 2, 4, 8, 16} {
		b.Run(fmt.Sprintf("batches_of_%d", size), func(b *testing.B) {
			v := eventsig.NewVerifier(&keys)
			plain := messages(size)
			events, verified := 0, 0
			for b.Loop() {
				// A share of size/7 of a purchase.
				msgs := make([]kafka.Message, size)
				copy(msgs, plain)
				msgs[0].Value = fmt.Appendf(nil, "%0600d", events)
				for i := range msgs {
					msgs[i].Headers = nil
				}
				if err := eventsig.Sign(signer, msgs); err != nil {
					b.Fatal(err)
				}
				events += size
				for i := range msgs {
					if (events+i)%7 < 4 {
						if err := v.Verify(&msgs[i], time.Time{}); err != nil {
							b.Fatal(err)
						}
						verified++
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/1000/(float64(events)/7), "µs/purchase")
		})
	}
}
