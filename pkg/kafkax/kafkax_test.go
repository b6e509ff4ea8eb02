package kafkax_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/creditpay/creditpay/pkg/kafkax"
	"github.com/creditpay/creditpay/pkg/testkit"
)

const topic = "creditpay.test.events.v1"

func newClient(t *testing.T, broker string) *kafkax.Client {
	t.Helper()
	c, err := kafkax.New(kafkax.Config{Brokers: []string{broker}, Partitions: 4, Security: kafkax.Security{Plaintext: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestTopicsAreMadeOnceWithTheirPartitionsAndRetention(t *testing.T) {
	t.Parallel()
	broker := testkit.Broker(t)
	c := newClient(t, broker)
	for range 2 { // What exists is well.
		if err := c.EnsureTopics(t.Context(), topic, "creditpay.test.deadletter.v1", topic); err != nil {
			t.Fatal(err)
		}
	}
	client := &kafka.Client{Addr: kafka.TCP(broker), Timeout: 5 * time.Second}
	meta, err := client.Metadata(t.Context(), &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil || len(meta.Topics) != 1 || len(meta.Topics[0].Partitions) != 4 {
		t.Errorf("%+v, %v", meta, err)
	}
	config, err := client.DescribeConfigs(t.Context(), &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{
		{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{"retention.ms"}}}})
	if err != nil || config.Resources[0].ConfigEntries[0].ConfigValue != fmt.Sprint((7*24*time.Hour).Milliseconds()) {
		t.Errorf("%+v, %v", config, err)
	}
}

func TestAKeyStaysInItsPartitionAndItsOrder(t *testing.T) {
	t.Parallel()
	c := newClient(t, testkit.Broker(t))
	if err := c.EnsureTopics(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	w := c.Producer()
	t.Cleanup(func() { _ = w.Close() })
	for i := range 40 {
		if err := w.WriteMessages(t.Context(), kafka.Message{Topic: topic, Key: fmt.Appendf(nil, "k%d", i%4), Value: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	r := c.Reader("group", []string{topic})
	t.Cleanup(func() { _ = r.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	partition, last := map[string]int{}, map[string]int{}
	for range 40 {
		m, err := r.FetchMessage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		key, n := string(m.Key), 0
		if _, err := fmt.Sscan(string(m.Value), &n); err != nil {
			t.Fatal(err)
		}
		if p, seen := partition[key]; seen && (p != m.Partition || n < last[key]) {
			t.Errorf("%s: %d after %d, partition %d after %d", key, n, last[key], m.Partition, p)
		}
		partition[key], last[key] = m.Partition, n
	}
}

func TestReadyTellsWhetherABrokerAnswers(t *testing.T) {
	t.Parallel()
	c := newClient(t, testkit.Broker(t))
	if err := c.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	c = newClient(t, "127.0.0.1:1")
	if err := c.Ready(t.Context()); err == nil {
		t.Error("nobody answers, and it is ready")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := c.EnsureTopics(ctx, topic); err == nil {
		t.Error("topics were made nowhere")
	}
}
