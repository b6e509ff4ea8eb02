// Package kafkax owns the settings of Kafka clients: how connections are protected, a producer whose acknowledged messages are
// kept, a group reader that commits by hand, and the topics' creation.
//
// It must not know any topic of a service, and does not use Kafka transactions: the outbox and the inbox make delivery exact.
package kafkax

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
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
	// Security is how connections are protected.
	Security Security
}

// Access is what a service does with topics: what its ACLs must allow.
type Access struct {
	// Writes are the topics that it writes, its dead letters included.
	Writes []string
	// Reads are the topics that it reads, as a member of Group.
	Reads []string
	// Group is its consumer group; empty when it reads nothing.
	Group string
}

// Client makes producers and readers, and asks the brokers. Every connection is protected as its Security says; there is no other
// way to a broker in the services. It is safe for concurrent use.
type Client struct {
	config    Config
	tls       *tls.Config
	sasl      sasl.Mechanism
	transport *kafka.Transport
}

const dialTimeout = 3 * time.Second

// New returns a client; nothing is dialled yet. It fails when the brokers may not be reached with these settings, or a file that
// they name cannot be read.
func New(c Config) (*Client, error) {
	if c.Partitions <= 0 {
		c.Partitions = 8
	}
	if c.Replicas <= 0 {
		c.Replicas = 1
	}
	if c.Retention <= 0 {
		c.Retention = 7 * 24 * time.Hour
	}
	if err := c.Security.Validate(); err != nil {
		return nil, err
	}
	x := &Client{config: c}
	var err error
	if x.tls, err = c.Security.tlsConfig(); err != nil {
		return nil, err
	}
	if x.sasl, err = c.Security.mechanism(); err != nil {
		return nil, err
	}
	x.transport = &kafka.Transport{Dial: (&net.Dialer{Timeout: dialTimeout}).DialContext, IdleTimeout: 30 * time.Second, MetadataTTL: 3 * time.Second,
		TLS: x.tls, SASL: x.sasl}
	return x, nil
}

// Close ends the idle connections. Producers and readers are closed by who made them, before.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Producer returns a writer that waits for all in-sync replicas and keeps the order of a key.
func (c *Client) Producer() *kafka.Writer {
	return &kafka.Writer{
		Addr: kafka.TCP(c.config.Brokers...), Transport: c.transport, Balancer: &kafka.Hash{}, RequiredAcks: kafka.RequireAll,
		// The relay hands over whole batches; waiting for more would only add latency.
		BatchTimeout: time.Millisecond, BatchSize: 500,
		MaxAttempts: 3, WriteTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second,
		WriteBackoffMin: 50 * time.Millisecond, WriteBackoffMax: 500 * time.Millisecond,
	}
}

// Reader returns a member of a consumer group. Offsets are committed by the inbox after its transaction.
func (c *Client) Reader(group string, topics []string) *kafka.Reader {
	return kafka.NewReader(kafka.ReaderConfig{
		Brokers: c.config.Brokers, GroupID: group, GroupTopics: topics,
		Dialer:   c.dialer(),
		MinBytes: 1, MaxBytes: 4 << 20, MaxWait: 250 * time.Millisecond, QueueCapacity: 1000,
		HeartbeatInterval: 500 * time.Millisecond, SessionTimeout: 10 * time.Second, RebalanceTimeout: 6 * time.Second,
		JoinGroupBackoff: 200 * time.Millisecond, StartOffset: kafka.FirstOffset,
		ReadBackoffMin: 20 * time.Millisecond, ReadBackoffMax: 500 * time.Millisecond,
		WatchPartitionChanges: true, PartitionWatchInterval: 10 * time.Second,
	})
}

func (c *Client) dialer() *kafka.Dialer {
	return &kafka.Dialer{Timeout: dialTimeout, DualStack: true, TLS: c.tls, SASLMechanism: c.sasl}
}

// explain adds why no connection comes about: the library's pool says only that no broker is available.
func (c *Client) explain(ctx context.Context, err error) error {
	for _, addr := range c.config.Brokers {
		conn, dialErr := c.dialer().DialContext(ctx, "tcp", addr)
		if dialErr == nil {
			_ = conn.Close()
			continue
		}
		return fmt.Errorf("%w: connect to %s: %w", err, addr, dialErr)
	}
	return err
}

func (c *Client) admin(timeout time.Duration) *kafka.Client {
	return &kafka.Client{Addr: kafka.TCP(c.config.Brokers...), Transport: c.transport, Timeout: timeout}
}

// EnsureTopics makes the topics that do not exist. A topic may be named twice, for example as written and as read; Kafka refuses
// such a request as a whole. A service that may not make topics is content when they exist.
func (c *Client) EnsureTopics(ctx context.Context, topics ...string) error {
	client, req := c.admin(5*time.Second), &kafka.CreateTopicsRequest{}
	names := slices.Compact(slices.Sorted(slices.Values(topics)))
	for _, name := range names {
		req.Topics = append(req.Topics, kafka.TopicConfig{Topic: name, NumPartitions: c.config.Partitions, ReplicationFactor: c.config.Replicas,
			ConfigEntries: []kafka.ConfigEntry{{ConfigName: "retention.ms", ConfigValue: strconv.FormatInt(c.config.Retention.Milliseconds(), 10)}}})
	}
	res, err := client.CreateTopics(ctx, req)
	if err != nil {
		return fmt.Errorf("make topics: %w", c.explain(ctx, err))
	}
	var forbidden []string
	for name, err := range res.Errors {
		switch {
		case err == nil, errors.Is(err, kafka.TopicAlreadyExists):
		case errors.Is(err, kafka.TopicAuthorizationFailed), errors.Is(err, kafka.ClusterAuthorizationFailed):
			forbidden = append(forbidden, name)
		default:
			return fmt.Errorf("make topic %s: %w", name, err)
		}
	}
	return exist(ctx, client, forbidden)
}

// exist reports which of the topics does not exist, or may not be seen.
func exist(ctx context.Context, client *kafka.Client, topics []string) error {
	if len(topics) == 0 {
		return nil
	}
	meta, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: topics})
	if err != nil {
		return fmt.Errorf("look for topics: %w", err)
	}
	for _, t := range meta.Topics {
		if t.Error != nil {
			return fmt.Errorf("topic %s does not exist or is not allowed by its ACLs, and this user may not make it: %w", t.Name, t.Error)
		}
	}
	return nil
}

// Ready reports whether a broker answers.
func (c *Client) Ready(ctx context.Context) error {
	if _, err := c.admin(time.Second).ApiVersions(ctx, &kafka.ApiVersionsRequest{}); err != nil {
		return fmt.Errorf("kafka does not answer: %w", err)
	}
	return nil
}
