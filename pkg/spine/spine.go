// Package spine owns what every service has besides its own rules: the database with its migrations, the unit of work, the
// relay, the inbox and the timers.
//
// A service embeds a Spine and adds its verbs. It must not know any service.
package spine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/eventsig"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/kafkax"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/outbox"
	"github.com/creditpay/creditpay/pkg/schema"
	"github.com/creditpay/creditpay/pkg/unit"
)

// Config is what every service is told from outside. Each field is read from the environment with the service's prefix.
type Config struct {
	// DSN of the service's own schema with its own user, go-sql-driver form. Required.
	DSN string `env:"MYSQL_DSN"`
	// DBConns is the size of the connection pool.
	DBConns int `env:"MYSQL_CONNS" envDefault:"32"`
	// Brokers of Kafka, "host:port". Required.
	Brokers []string `env:"KAFKA_BROKERS"`
	// KafkaPartitions of topics that are made at start.
	KafkaPartitions int `env:"KAFKA_PARTITIONS" envDefault:"8"`
	// KafkaReplicas of topics that are made at start; 3 in production.
	KafkaReplicas int `env:"KAFKA_REPLICAS" envDefault:"1"`
	// Security is how connections to Kafka are protected.
	Security kafkax.Security
	// EventsUnsignedUntil is until when events without a signature are applied (RFC 3339, at most 8 days ahead), for the change from a
	// release that did not sign. Not set: never; have the service that wrote them send them again with "creditctl outbox replay".
	EventsUnsignedUntil time.Time `env:"EVENTS_UNSIGNED_UNTIL"`
	// Migrate brings the schema up to date at start. Switch it off where a release job does it.
	Migrate bool `env:"MIGRATE" envDefault:"true"`
	// SweepTurns is how many batches of each kind of a night's work are done at once in this process. One leaves much of a small machine
	// to those who wait for an answer.
	SweepTurns int `env:"SWEEP_TURNS" envDefault:"1"`
}

// Validate tells what is missing.
func (c Config) Validate() error {
	if c.DSN == "" {
		return errors.New("CREDITPAY_MYSQL_DSN is not set: give the data source name of the service's schema")
	}
	if len(c.Brokers) == 0 {
		return errors.New("CREDITPAY_KAFKA_BROKERS is not set: give one broker or more as host:port")
	}
	if most := clock.System().Now().Add(unsignedMost); c.EventsUnsignedUntil.After(most) {
		return fmt.Errorf("CREDITPAY_EVENTS_UNSIGNED_UNTIL is %s: want %s at most", c.EventsUnsignedUntil.Format(time.RFC3339), most.Format(time.RFC3339))
	}
	return c.Security.Validate()
}

// unsignedMost is how far ahead EventsUnsignedUntil may lie: what a topic keeps, and a day.
const unsignedMost = 8 * 24 * time.Hour

// Deps are the parts that a process shares between the services that it hosts.
type Deps struct {
	Log   *zap.Logger
	Clock clock.Clock
	// IDs makes ids from the clock.
	IDs *ids.Generator
	// TxObserver counts transactions; nil for none.
	TxObserver mysqlx.Observer
	// Signer signs the service's events with its own key. Required.
	Signer eventsig.Signer
	// EventKeys finds the keys of the services whose events are read. Required.
	EventKeys eventsig.Keys
	// Registry takes the metrics; nil for none.
	Registry prometheus.Registerer
	// Owner names this process in leases.
	Owner string
}

// Spine is the backbone of one service in one process.
type Spine struct {
	// Kit makes units of work.
	Kit *unit.Kit
	// Log of this service.
	Log *zap.Logger

	name     string
	cfg      Config
	kafka    *kafkax.Client
	deps     Deps
	producer *kafka.Writer
	access   kafkax.Access
	refused  *prometheus.CounterVec
	handlers map[string]jobs.Handler
	columns  []jobs.Column
	sweeps   []jobs.Sweep
	purges   []Purge
	apply    inbox.Apply
	consumer *inbox.Consumer
}

// Access returns what a service does with Kafka: the topics that it writes, its dead letters among them, and those that it reads.
func Access(name string, writes []string, reads ...string) kafkax.Access {
	a := kafkax.Access{Writes: append(slices.Clone(writes), inbox.DeadLetterTopic(name)), Reads: reads}
	if len(reads) > 0 {
		a.Group = Group(name)
	}
	return a
}

// New opens the database, brings it up to date and makes the parts. Access is all that the service does with Kafka.
func New(ctx context.Context, name string, cfg Config, deps Deps, migrations mysqlx.MigrationSet, access kafkax.Access) (*Spine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure %s: %w", name, err)
	}
	if deps.Signer == nil || deps.EventKeys == nil {
		return nil, fmt.Errorf("configure %s: events are signed and verified: set CREDITPAY_TOKEN_SIGNING_KEY_FILE and CREDITPAY_TOKEN_KEYS_FILE", name)
	}
	refused, err := newRefused(deps.Registry)
	if err != nil {
		return nil, fmt.Errorf("configure %s: %w", name, err)
	}
	client, err := kafkax.New(kafkax.Config{Brokers: cfg.Brokers, Partitions: cfg.KafkaPartitions, Replicas: cfg.KafkaReplicas, Security: cfg.Security})
	if err != nil {
		return nil, fmt.Errorf("configure %s: %w", name, err)
	}
	log := deps.Log.Named(name)
	db, err := mysqlx.Open(cfg.DSN, mysqlx.Options{MaxConns: cfg.DBConns, Log: log, Observer: deps.TxObserver})
	if err != nil {
		return nil, fmt.Errorf("configure %s: %w", name, err)
	}
	if cfg.Migrate {
		mechanism, err := schema.Migrations()
		if err == nil {
			err = db.Migrate(ctx, mechanism, migrations)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), db.Close())
		}
	}
	return &Spine{
		Kit: &unit.Kit{DB: db, Outbox: outbox.NewWriter(deps.IDs, deps.Clock), Jobs: jobs.NewQueue(deps.Clock), IDs: deps.IDs, Clock: deps.Clock},
		Log: log, name: name, cfg: cfg, kafka: client, deps: deps, refused: refused,
		producer: client.Producer(), handlers: map[string]jobs.Handler{},
		access: access,
	}, nil
}

// Group is the consumer group of a service.
func Group(service string) string { return "creditpay." + service }

// Name of the service.
func (s *Spine) Name() string { return s.name }

// OnJob gives jobs of a kind to a handler. Before Run.
func (s *Spine) OnJob(kind string, h jobs.Handler) { s.handlers[kind] = h }

// OnDue gives the timers in a column to a handler. Before Run.
func (s *Spine) OnDue(c jobs.Column, h jobs.Handler) {
	s.columns = append(s.columns, c)
	s.handlers[c.Kind] = h
}

// OnSweep has the due rows of a table done in batches. Before Run.
func (s *Spine) OnSweep(w jobs.Sweep) { s.sweeps = append(s.sweeps, w) }

// Timers are the kinds of this service's timers with where they stand: all kinds of jobs, columns and sweeps, each once.
func (s *Spine) Timers() (kinds []string, places []jobs.Place) {
	for kind := range s.handlers {
		kinds = append(kinds, kind)
	}
	for _, c := range s.columns {
		places = append(places, c.Place())
	}
	for _, w := range s.sweeps {
		kinds, places = append(kinds, w.Kind), append(places, w.Place())
	}
	slices.Sort(kinds)
	return kinds, places
}

// OnEvents passes the events of these types, in the topics that the service reads, to it; nil for all types. Before Run, once.
func (s *Spine) OnEvents(apply inbox.Apply, types []proto.Message) {
	s.apply = apply
	s.consumer = &inbox.Consumer{DB: s.Kit.DB, Apply: apply, Types: types, Verifier: eventsig.NewVerifier(s.deps.EventKeys),
		UnsignedUntil: s.cfg.EventsUnsignedUntil, Refused: s.countRefused, Outbox: s.Kit.Outbox, IDs: s.deps.IDs, Clock: s.deps.Clock, Log: s.Log,
		Service: s.name}
}

// newRefused returns the counter of refused events, which the services of a process share; one that nobody shows without a registry.
func newRefused(registry prometheus.Registerer) (*prometheus.CounterVec, error) {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "creditpay_events_refused_total",
		Help: "Events that were not signed by the service that owns their topic, and were not applied."}, []string{"service", "topic", "reason"})
	if registry == nil {
		return c, nil
	}
	err := registry.Register(c)
	var held prometheus.AlreadyRegisteredError
	if errors.As(err, &held) {
		if same, ok := held.ExistingCollector.(*prometheus.CounterVec); ok {
			return same, nil
		}
	}
	return c, err
}

func (s *Spine) countRefused(topic string, reason eventsig.Reason) {
	s.refused.WithLabelValues(s.name, topic, string(reason)).Inc()
}

// Consumer digests this service's events; nil when it consumes none. For the replay of dead letters.
func (s *Spine) Consumer() *inbox.Consumer { return s.consumer }

// Run works in the background until ctx ends, and returns when everything has stopped.
func (s *Spine) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	// Timers do not wait for Kafka: a commit that a crash cut off ends without it.
	g.Go(func() error { return s.runMessaging(ctx) })
	runner := &jobs.Runner{DB: s.Kit.DB, Queue: s.Kit.Jobs, Clock: s.deps.Clock, Log: s.Log, Handlers: s.handlers, Columns: s.columns}
	g.Go(func() error { return runner.Run(ctx) })
	for _, w := range s.sweeps {
		sweeper := &jobs.Sweeper{DB: s.Kit.DB, Clock: s.deps.Clock, Log: s.Log, Owner: s.deps.Owner, Sweep: w, Turns: s.cfg.SweepTurns}
		g.Go(func() error { return sweeper.Run(ctx) })
	}
	g.Go(func() error { return s.keepHouse(ctx) })
	return g.Wait()
}

// runMessaging relays and consumes, once the topics are there.
func (s *Spine) runMessaging(ctx context.Context) error {
	if !s.ensureTopics(ctx) {
		return nil // ctx ended before Kafka was there.
	}
	g, ctx := errgroup.WithContext(ctx)
	relay := &outbox.Relay{DB: s.Kit.DB, Producer: s.producer, Writer: s.Kit.Outbox, Signer: s.deps.Signer,
		Clock: s.deps.Clock, Log: s.Log, Owner: s.deps.Owner}
	g.Go(func() error { return relay.Run(ctx) })
	if s.consumer != nil {
		s.consumer.Reader = s.kafka.Reader(s.access.Group, s.access.Reads)
		g.Go(func() error { return s.consumer.Run(ctx) })
	}
	return g.Wait()
}

// ensureTopics makes the topics that this service writes and reads, as long as it takes; false when ctx ended first.
func (s *Spine) ensureTopics(ctx context.Context) bool {
	topics := slices.Concat(s.access.Writes, s.access.Reads)
	for {
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := s.kafka.EnsureTopics(attempt, topics...)
		cancel()
		if err == nil || ctx.Err() != nil {
			return ctx.Err() == nil
		}
		s.Log.Warn("Kafka cannot be reached; events wait in the outbox", zap.Error(err))
		t := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
}

// Ready reports whether the service can work: its database answers. Kafka may be away for a while; events wait.
func (s *Spine) Ready(ctx context.Context) error { return s.Kit.DB.Ready(ctx) }

// Close ends the connections. After Run.
func (s *Spine) Close() error {
	err := s.producer.Close()
	s.kafka.Close()
	return errors.Join(err, s.Kit.DB.Close())
}
