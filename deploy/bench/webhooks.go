package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	notificationv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/notification/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/eventsig"
	"github.com/creditpay/creditpay/pkg/ids"
)

const (
	orderEvents = "creditpay.order.events.v1"
	// webhookPace is how long after an event the next one comes.
	webhookPace = 3 * time.Second
	// hangTime is how long a hanging endpoint keeps the connection; hangingShare and failingShare are the parts of the endpoints that hang
	// and that answer 500 in the second run.
	hangTime                   = 30 * time.Second
	hangingShare, failingShare = 0.1, 0.1
	// webhookPatience bounds the wait for the last delivery of a run.
	webhookPatience = 2 * time.Minute
)

// Webhooks is what bad receivers cost the others.
type Webhooks struct {
	// Endpoints in all, Good of them in both runs; Events that each run told.
	Endpoints, Good, Events int
	// Alone is from an event until its receipt at the good endpoints while all are good, Beside while a tenth hangs and a tenth fails.
	Alone, Beside Quantiles
	// Missing counts deliveries that never came to a good endpoint.
	Missing int
	// Backlog is nil where it was not measured.
	Backlog *Backlog
}

// BacklogDelay is how many times as long the 99th percentile of new deliveries is while a backlog drains.
func (w Webhooks) BacklogDelay() float64 {
	return quotient(w.Backlog.New.P99.Seconds(), w.Alone.P99.Seconds())
}

// Delay is how many times as long the 99th percentile is beside bad endpoints.
func (w Webhooks) Delay() float64 {
	return quotient(w.Beside.P99.Seconds(), w.Alone.P99.Seconds())
}

// receivers are all endpoints, on one address.
type receivers struct {
	server *http.Server
	addr   string
	count  int
	// bad says that the first tenth hangs and the second fails.
	bad atomic.Bool

	mu   sync.Mutex
	told map[string]time.Time // by event
	seen map[string]bool      // by event and endpoint
	took []time.Duration
	// waits are the deliveries of the backlog that have not arrived, by event and endpoint; last is when one did last.
	waits map[string]bool
	last  time.Time
}

func listen(ctx context.Context, count int) (*receivers, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receivers{addr: l.Addr().String(), count: count, told: map[string]time.Time{}, seen: map[string]bool{}, waits: map[string]bool{}}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	go func() { _ = r.server.Serve(l) }() // It ends when it is closed.
	return r, nil
}

func (r *receivers) good(number int) bool {
	return number >= int(float64(r.count)*(hangingShare+failingShare))
}

// ServeHTTP receives a delivery.
func (r *receivers) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	at := time.Now()
	number, err := strconv.Atoi(strings.TrimPrefix(req.URL.Path, "/"))
	if err != nil {
		http.NotFound(w, req)
		return
	}
	if r.bad.Load() && !r.good(number) {
		if number < int(float64(r.count)*hangingShare) {
			select {
			case <-time.After(hangTime):
			case <-req.Context().Done():
			}
		}
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	event := req.Header.Get("webhook-id")
	r.mu.Lock()
	defer r.mu.Unlock()
	begin, known := r.told[event]
	key := event + req.URL.Path
	if r.waits[key] {
		delete(r.waits, key)
		r.last = at
	}
	if known && !r.seen[key] && r.good(number) {
		r.seen[key] = true
		r.took = append(r.took, at.Sub(begin))
	}
}

// wait gives what was received since the last run, once all of it came or patience is over.
func (r *receivers) wait(ctx context.Context, want int) (Quantiles, int) {
	deadline := time.Now().Add(webhookPatience)
	for {
		r.mu.Lock()
		got := len(r.took)
		if got >= want || time.Now().After(deadline) || ctx.Err() != nil {
			q := QuantilesOf(r.took)
			r.took, r.told, r.seen = nil, map[string]time.Time{}, map[string]bool{}
			r.mu.Unlock()
			return q, want - got
		}
		r.mu.Unlock()
		time.Sleep(drainPoll)
	}
}

// measureWebhooks tells events to many endpoints, first all good, then some of them bad.
func (b *bench) measureWebhooks(ctx context.Context, dir string) (_ *Webhooks, err error) {
	w := &Webhooks{Endpoints: b.options.Endpoints, Events: max(2, int(b.options.Duration/webhookPace))}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	bin, err := filepath.Abs(b.options.BinDir)
	if err != nil {
		return nil, err
	}
	if b.stack, err = openStack(ctx, dir, bin, b.options.BufferPoolMB); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.end()) }()
	if b.result.Machine, err = describeMachine(ctx, b.stack.admin, dir); err != nil {
		return nil, err
	}
	if err := b.stack.startNotification(ctx, b.free); err != nil {
		return nil, err
	}
	r, err := listen(ctx, w.Endpoints)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.server.Close()) }()
	if err := b.stack.register(ctx, r); err != nil {
		return nil, err
	}
	b.say("%d endpoints are registered", w.Endpoints)
	for number := range w.Endpoints {
		if r.good(number) {
			w.Good++
		}
	}
	for _, run := range []struct {
		bad  bool
		into *Quantiles
	}{{false, new(Quantiles)}, {false, &w.Alone}, {true, &w.Beside}} { // The first warms up.
		r.bad.Store(run.bad)
		if err := b.stack.tell(ctx, r, webhookPace, func(told int) bool { return told < w.Events }); err != nil {
			return nil, err
		}
		var missing int
		*run.into, missing = r.wait(ctx, w.Events*w.Good)
		w.Missing += missing
		b.say("%d events to %d endpoints, some bad: %v; at the good ones p50 %s, p99 %s", w.Events, w.Endpoints, run.bad, ms(run.into.P50), ms(run.into.P99))
	}
	if b.options.Backlog > 0 {
		if w.Backlog, err = b.measureBacklog(ctx, r, w.Good); err != nil {
			return nil, err
		}
	}
	return w, ctx.Err()
}

// startNotification starts the broker and the notification service alone.
func (s *stack) startNotification(ctx context.Context, free *ports) error {
	if err := s.makeKeys(); err != nil {
		return err
	}
	if err := s.startBroker(ctx, free); err != nil {
		return err
	}
	var err1, err2 error
	s.grpcAddr[notificationProcess], err1 = free.addr()
	s.httpAddr[notificationProcess], err2 = free.addr()
	s.opsAddr[notificationProcess] = "off" // nobody reads its metrics
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return s.runNotification(ctx)
}

// register makes an endpoint of the marketplace for each receiver.
func (s *stack) register(ctx context.Context, r *receivers) error {
	token, err := s.tokens.Mint(caller.Caller{Kind: caller.Admin, Name: "bench", Roles: caller.EveryRole()}, tokenLife, time.Now())
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient(s.grpcAddr[notificationProcess], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	client := notificationv1.NewNotificationAdminServiceClient(conn)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for number := range r.count {
		group.Go(func() error {
			_, err := client.CreateEndpoint(as(ctx, token), &notificationv1.CreateEndpointRequest{RequestId: fmt.Sprintf("endpoint-%06d", number),
				Url: fmt.Sprintf("http://%s/%d", r.addr, number), EventTypes: []string{"order.paid"}, Profile: notificationv1.DeliveryProfile_DELIVERY_PROFILE_STANDARD})
			return err
		})
	}
	return group.Wait()
}

// tell tells orders as paid, one at each pace, as the order service does, as long as more is wanted than were told.
func (s *stack) tell(ctx context.Context, r *receivers, pace time.Duration, more func(told int) bool) (err error) {
	writer := &kafka.Writer{Addr: kafka.TCP(s.brokerAddr), Balancer: &kafka.Hash{}, BatchSize: 1, RequiredAcks: kafka.RequireAll}
	defer func() { err = errors.Join(err, writer.Close()) }()
	signer, err := s.tokens.Service(orderProcess)
	if err != nil {
		return err
	}
	generator := ids.NewGenerator(clock.System())
	for told := 0; more(told); told++ {
		event, order := ids.Format(ids.Event, generator.New()), ids.Format(ids.Order, generator.New())
		payload, err := anypb.New(&orderv1.OrderPaid{Order: &orderv1.OrderRef{OrderId: order, MerchantId: "shop-1", OutOrderNo: order}})
		if err != nil {
			return err
		}
		value, err := proto.Marshal(&commonv1.EventEnvelope{EventId: event, OccurredTime: timestamppb.Now(), Key: order, ObjectId: order, ObjectVersion: 1, Payload: payload})
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.told[event] = time.Now()
		r.mu.Unlock()
		msgs := []kafka.Message{{Topic: orderEvents, Key: []byte(order), Value: value, Headers: []kafka.Header{{Key: "event-id", Value: []byte(event)}}}}
		if err := eventsig.Sign(signer, msgs); err != nil {
			return err
		}
		if err := writer.WriteMessages(ctx, msgs...); err != nil {
			return err
		}
		pause := time.NewTimer(pace)
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
	}
	return nil
}
