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

func newConfig(t *testing.T) (kafkax.Config, *kafka.Transport) {
	t.Helper()
	transport := kafkax.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	return kafkax.Config{Brokers: []string{testkit.Broker(t)}, Partitions: 4}, transport
}

func TestTopicsAreMadeOnceWithTheirPartitionsAndRetention(t *testing.T) {
	t.Parallel()
	c, transport := newConfig(t)
	for range 2 { // What exists is well.
		if err := kafkax.EnsureTopics(t.Context(), c, transport, topic, "creditpay.test.deadletter.v1", topic); err != nil {
			t.Fatal(err)
		}
	}
	client := &kafka.Client{Addr: kafka.TCP(c.Brokers...), Transport: transport, Timeout: 5 * time.Second}
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
	c, transport := newConfig(t)
	if err := kafkax.EnsureTopics(t.Context(), c, transport, topic); err != nil {
		t.Fatal(err)
	}
	w := kafkax.NewProducer(c, transport)
	t.Cleanup(func() { _ = w.Close() })
	for i := range 40 {
		if err := w.WriteMessages(t.Context(), kafka.Message{Topic: topic, Key: fmt.Appendf(nil, "k%d", i%4), Value: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	r := kafkax.NewReader(c, "group", []string{topic})
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
	c, transport := newConfig(t)
	if err := kafkax.Ready(t.Context(), c, transport); err != nil {
		t.Error(err)
	}
	c.Brokers = []string{"127.0.0.1:1"}
	if err := kafkax.Ready(t.Context(), c, transport); err == nil {
		t.Error("nobody answers, and it is ready")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := kafkax.EnsureTopics(ctx, c, transport, topic); err == nil {
		t.Error("topics were made nowhere")
	}
}
