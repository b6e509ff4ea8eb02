// Package kafkax owns the settings of Kafka clients: a producer whose acknowledged messages are kept, a group reader that
// commits by hand, and the topics' creation.
//
// It must not know any topic of a service, and does not use Kafka transactions: the outbox and the inbox make delivery exact.
package kafkax

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
)

// Config is how to reach Kafka.
type Config struct {
	// Brokers, "host:port".
	Brokers []string
	// Partitions of topics that are made, 8 by default.
	Partitions int
	// Replicas of topics that are made, 1 by default; 3 in production.
	Replicas int
	// Retention of topics that are made, 7 days by default. Without one a topic grows for ever.
	Retention time.Duration
}

// Transport is one pool of connections per process.
func Transport() *kafka.Transport {
	return &kafka.Transport{Dial: (&net.Dialer{Timeout: 3 * time.Second}).DialContext, IdleTimeout: 30 * time.Second, MetadataTTL: 3 * time.Second}
}

// NewProducer makes a writer that waits for all in-sync replicas and keeps the order of a key.
func NewProducer(c Config, t *kafka.Transport) *kafka.Writer {
	return &kafka.Writer{
		Addr: kafka.TCP(c.Brokers...), Transport: t, Balancer: &kafka.Hash{}, RequiredAcks: kafka.RequireAll,
		// The relay hands over whole batches; waiting for more would only add latency.
		BatchTimeout: time.Millisecond, BatchSize: 500,
		MaxAttempts: 3, WriteTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second,
		WriteBackoffMin: 50 * time.Millisecond, WriteBackoffMax: 500 * time.Millisecond,
	}
}

// NewReader makes a member of a consumer group. Offsets are committed by the inbox after its transaction.
func NewReader(c Config, group string, topics []string) *kafka.Reader {
	return kafka.NewReader(kafka.ReaderConfig{
		Brokers: c.Brokers, GroupID: group, GroupTopics: topics,
		Dialer:   &kafka.Dialer{Timeout: 3 * time.Second, DualStack: true},
		MinBytes: 1, MaxBytes: 4 << 20, MaxWait: 250 * time.Millisecond, QueueCapacity: 1000,
		HeartbeatInterval: 500 * time.Millisecond, SessionTimeout: 10 * time.Second, RebalanceTimeout: 6 * time.Second,
		JoinGroupBackoff: 200 * time.Millisecond, StartOffset: kafka.FirstOffset,
		ReadBackoffMin: 20 * time.Millisecond, ReadBackoffMax: 500 * time.Millisecond,
		WatchPartitionChanges: true, PartitionWatchInterval: 10 * time.Second,
	})
}

// EnsureTopics makes the topics that do not exist. A topic may be named twice, for example as written and as read; Kafka refuses
// such a request as a whole.
func EnsureTopics(ctx context.Context, c Config, t *kafka.Transport, topics ...string) error {
	if c.Partitions <= 0 {
		c.Partitions = 8
	}
	if c.Replicas <= 0 {
		c.Replicas = 1
	}
	if c.Retention <= 0 {
		c.Retention = 7 * 24 * time.Hour
	}
	client := &kafka.Client{Addr: kafka.TCP(c.Brokers...), Transport: t, Timeout: 5 * time.Second}
	req := &kafka.CreateTopicsRequest{}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(topics))) {
		req.Topics = append(req.Topics, kafka.TopicConfig{Topic: name, NumPartitions: c.Partitions, ReplicationFactor: c.Replicas,
			ConfigEntries: []kafka.ConfigEntry{{ConfigName: "retention.ms", ConfigValue: strconv.FormatInt(c.Retention.Milliseconds(), 10)}}})
	}
	res, err := client.CreateTopics(ctx, req)
	if err != nil {
		return fmt.Errorf("make topics: %w", err)
	}
	for name, err := range res.Errors {
		if err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
			return fmt.Errorf("make topic %s: %w", name, err)
		}
	}
	return nil
}

// Ready reports whether a broker answers.
func Ready(ctx context.Context, c Config, t *kafka.Transport) error {
	client := &kafka.Client{Addr: kafka.TCP(c.Brokers...), Transport: t, Timeout: time.Second}
	if _, err := client.ApiVersions(ctx, &kafka.ApiVersionsRequest{}); err != nil {
		return fmt.Errorf("kafka does not answer: %w", err)
	}
	return nil
}
