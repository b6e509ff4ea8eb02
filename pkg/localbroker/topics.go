package localbroker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
)

// DefaultRetention is how long records are kept when a Topic does not say.
const DefaultRetention = 7 * 24 * time.Hour

// adminTimeout bounds one request; the broker is in this process.
const adminTimeout = 10 * time.Second

// Topic is a topic to exist.
type Topic struct {
	// Name of the topic.
	Name string
	// Partitions; 0 means Config.Partitions.
	Partitions int
	// Retention is the age after which records are dropped; 0 means
	// DefaultRetention. There is no "for ever": the disk is bounded.
	Retention time.Duration
}

func (t Topic) retentionMillis() string {
	retention := t.Retention
	if retention == 0 {
		retention = DefaultRetention
	}
	return strconv.FormatInt(retention.Milliseconds(), 10)
}

func ensureTopics(ctx context.Context, addr string, partitionsDefault int, topics []Topic) error {
	topics = append([]Topic(nil), topics...)
	for i := range topics {
		if topics[i].Name == "" || topics[i].Partitions < 0 || topics[i].Retention < 0 {
			return fmt.Errorf("invalid topic %+v", topics[i])
		}
		if topics[i].Partitions == 0 {
			topics[i].Partitions = partitionsDefault
		}
	}
	if len(topics) == 0 {
		return nil
	}
	// An own transport, so that no connection outlives this call.
	transport := &kafka.Transport{ClientID: "creditpay-localbroker"}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(addr), Timeout: adminTimeout, Transport: transport}
	if err := createTopics(ctx, client, topics); err != nil {
		return err
	}
	if err := checkPartitions(ctx, client, topics); err != nil {
		return err
	}
	return setRetention(ctx, client, topics)
}

func createTopics(ctx context.Context, client *kafka.Client, topics []Topic) error {
	req := &kafka.CreateTopicsRequest{}
	for _, t := range topics {
		req.Topics = append(req.Topics, kafka.TopicConfig{
			Topic: t.Name, NumPartitions: t.Partitions, ReplicationFactor: 1,
			ConfigEntries: []kafka.ConfigEntry{{ConfigName: "retention.ms", ConfigValue: t.retentionMillis()}},
		})
	}
	resp, err := client.CreateTopics(ctx, req)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	var failed []error
	for name, err := range resp.Errors {
		if err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
			failed = append(failed, fmt.Errorf("create %s: %w", name, err))
		}
	}
	return errors.Join(failed...)
}

func checkPartitions(ctx context.Context, client *kafka.Client, topics []Topic) error {
	want := make(map[string]int, len(topics))
	req := &kafka.MetadataRequest{}
	for _, t := range topics {
		want[t.Name] = t.Partitions
		req.Topics = append(req.Topics, t.Name)
	}
	resp, err := client.Metadata(ctx, req)
	if err != nil {
		return fmt.Errorf("read partitions: %w", err)
	}
	var failed []error
	for _, t := range resp.Topics {
		if t.Error != nil {
			failed = append(failed, fmt.Errorf("read partitions of %s: %w", t.Name, t.Error))
		} else if len(t.Partitions) != want[t.Name] {
			failed = append(failed, fmt.Errorf("%s exists with %d partitions, not %d", t.Name, len(t.Partitions), want[t.Name]))
		}
	}
	return errors.Join(failed...)
}

// setRetention also starts the broker's periodic clean-up for topics that were
// loaded from disk: it begins to run when a topic's configuration is written.
func setRetention(ctx context.Context, client *kafka.Client, topics []Topic) error {
	req := &kafka.IncrementalAlterConfigsRequest{}
	for _, t := range topics {
		req.Resources = append(req.Resources, kafka.IncrementalAlterConfigsRequestResource{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: t.Name,
			Configs: []kafka.IncrementalAlterConfigsRequestConfig{{
				Name: "retention.ms", Value: t.retentionMillis(), ConfigOperation: kafka.ConfigOperationSet,
			}},
		})
	}
	resp, err := client.IncrementalAlterConfigs(ctx, req)
	if err != nil {
		return fmt.Errorf("set retention: %w", err)
	}
	var failed []error
	for _, r := range resp.Resources {
		if r.Error != nil {
			failed = append(failed, fmt.Errorf("set retention of %s: %w", r.ResourceName, r.Error))
		}
	}
	return errors.Join(failed...)
}
