package localbroker_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"go.uber.org/goleak"

	"github.com/creditpay/creditpay/pkg/localbroker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, cfg localbroker.Config) *localbroker.Broker {
	t.Helper()
	cfg.GroupSessionMin = time.Second
	b, err := localbroker.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func ensure(t *testing.T, b *localbroker.Broker, topics ...localbroker.Topic) {
	t.Helper()
	if err := b.EnsureTopics(t.Context(), topics); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, addr, topic string, from, to int) {
	t.Helper()
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	w := &kafka.Writer{
		Addr: kafka.TCP(addr), Topic: topic, Balancer: &kafka.Hash{}, RequiredAcks: kafka.RequireAll,
		BatchTimeout: time.Millisecond, Transport: transport,
	}
	var messages []kafka.Message
	for n := from; n < to; n++ {
		messages = append(messages, kafka.Message{Key: []byte(strconv.Itoa(n)), Value: []byte(fmt.Sprint("value ", n))})
	}
	if err := w.WriteMessages(t.Context(), messages...); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// consume reads and commits count messages as group and returns their values.
func consume(t *testing.T, addr, topic, group string, count int) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{addr}, GroupID: group, Topic: topic, StartOffset: kafka.FirstOffset,
		HeartbeatInterval: 200 * time.Millisecond, SessionTimeout: 2 * time.Second, RebalanceTimeout: 2 * time.Second,
		JoinGroupBackoff: 100 * time.Millisecond, MaxWait: 100 * time.Millisecond,
	})
	got := make(map[string]int)
	for range count {
		m, err := r.FetchMessage(ctx)
		if err != nil {
			t.Fatalf("after %d messages: %v", len(got), err)
		}
		got[string(m.Value)]++
		if err := r.CommitMessages(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestWhatIsWrittenIsReadOnceOverTheWire(t *testing.T) {
	t.Parallel()
	b := start(t, localbroker.Config{})
	ensure(t, b, localbroker.Topic{Name: "orders"})
	write(t, b.Addr(), "orders", 0, 50)
	got := consume(t, b.Addr(), "orders", "g", 50)
	if len(got) != 50 || got["value 49"] != 1 {
		t.Fatalf("got %d different values, want 50: %v", len(got), got)
	}
}

func TestRestartKeepsRecordsOffsetsAndPort(t *testing.T) {
	t.Parallel()
	for _, mode := range []localbroker.Writes{localbroker.WritesCached, localbroker.WritesSynced} {
		cfg := localbroker.Config{Dir: filepath.Join(t.TempDir(), "broker"), Writes: mode}
		first := start(t, cfg)
		ensure(t, first, localbroker.Topic{Name: "orders", Partitions: 2})
		write(t, first.Addr(), "orders", 0, 20)
		before := consume(t, first.Addr(), "orders", "g", 12)
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}

		second := start(t, cfg)
		if second.Addr() != first.Addr() {
			t.Errorf("address moved from %s to %s", first.Addr(), second.Addr())
		}
		ensure(t, second, localbroker.Topic{Name: "orders", Partitions: 2})
		write(t, second.Addr(), "orders", 20, 25)
		after := consume(t, second.Addr(), "orders", "g", 13)
		for value := range after {
			if before[value] != 0 {
				t.Errorf("%q was committed before the restart and came again", value)
			}
		}
		if total := len(before) + len(after); total != 25 {
			t.Errorf("saw %d different records, want 25", total)
		}
		if err := second.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestChosenPortIsBelowTheEphemeralRange(t *testing.T) {
	t.Parallel()
	b := start(t, localbroker.Config{Dir: t.TempDir()})
	_, port, err := net.SplitHostPort(b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1024 || n >= 32768 {
		t.Errorf("port %s, want one in 1024..32767", port)
	}
}

func TestSecondOwnerOfADirectoryIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, localbroker.Config{Dir: dir})
	_, err := localbroker.Start(localbroker.Config{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "in use") || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Fatalf("second owner: %v, want a refusal naming directory and process", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	start(t, localbroker.Config{Dir: dir})
}

func TestTakenRememberedPortIsAnErrorNotAMove(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, localbroker.Config{Dir: dir})
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	thief, err := net.Listen("tcp", first.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = thief.Close() }()
	if _, err := localbroker.Start(localbroker.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "port")) {
		t.Fatalf("error %v, want one that names the file with the port", err)
	}
	// The failed start must have released the directory.
	if err := os.Remove(filepath.Join(dir, "port")); err != nil {
		t.Fatal(err)
	}
	start(t, localbroker.Config{Dir: dir})
}

func TestRetentionIsSetAndFollowsChanges(t *testing.T) {
	t.Parallel()
	b := start(t, localbroker.Config{})
	for _, retention := range []time.Duration{time.Hour, 2 * time.Hour} {
		ensure(t, b, localbroker.Topic{Name: "orders", Partitions: 3, Retention: retention})
		transport := &kafka.Transport{}
		client := &kafka.Client{Addr: kafka.TCP(b.Addr()), Transport: transport}
		resp, err := client.DescribeConfigs(t.Context(), &kafka.DescribeConfigsRequest{
			Resources: []kafka.DescribeConfigRequestResource{{
				ResourceType: kafka.ResourceTypeTopic, ResourceName: "orders", ConfigNames: []string{"retention.ms"},
			}},
		})
		transport.CloseIdleConnections()
		if err != nil {
			t.Fatal(err)
		}
		got := resp.Resources[0].ConfigEntries[0].ConfigValue
		if want := strconv.FormatInt(retention.Milliseconds(), 10); got != want {
			t.Errorf("retention.ms = %s, want %s", got, want)
		}
	}
}

func TestOtherPartitionCountIsRefused(t *testing.T) {
	t.Parallel()
	b := start(t, localbroker.Config{Partitions: 4})
	ensure(t, b, localbroker.Topic{Name: "orders"})
	err := b.EnsureTopics(t.Context(), []localbroker.Topic{{Name: "orders", Partitions: 5}})
	if err == nil || !strings.Contains(err.Error(), "orders exists with 4 partitions, not 5") {
		t.Fatalf("error %v, want the two partition counts", err)
	}
}
