// Package notification is the door of the notification service: who is told of what happened, signed and repeated until it is
// acknowledged, and the feed for who was away.
//
// It owns the wiring and nothing else. Other services are met through their events; only a program that hosts it imports this package.
package notification

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"

	notificationv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/notification/v1"

	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/kafkax"
	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/pkg/spine"

	"github.com/creditpay/creditpay/services/notification/internal/adapter/webhook"
	"github.com/creditpay/creditpay/services/notification/internal/app"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
	"github.com/creditpay/creditpay/services/notification/internal/event"
	"github.com/creditpay/creditpay/services/notification/internal/rpc"
	"github.com/creditpay/creditpay/services/notification/internal/store"
	"github.com/creditpay/creditpay/services/notification/internal/wire"
)

// Name of the service, of its schema and of its consumer group.
const Name = "notification"

// Deps are the parts that the service is given. All are required.
type Deps struct {
	Spine spine.Deps
	// Keys seal the secrets of endpoints.
	Keys *secret.Keyring
}

// Service is the notification service in one process. Run works until its context ends; Close comes after that.
type Service struct {
	*spine.Spine
	app    *app.App
	poster *webhook.Poster
	home   string
}

// Topics is what the service does with Kafka, and what its ACLs must allow.
func Topics() kafkax.Access {
	return spine.Access(Name, nil, event.OrderTopic, event.PaymentTopic, event.BillTopic, event.RefundTopic)
}

// New opens the database, brings it up to date and wires the rooms. It fails for a configuration that cannot work and when the
// database cannot be reached.
func New(ctx context.Context, cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure %s: %w", Name, err)
	}
	if deps.Keys == nil {
		return nil, errors.New("configure notification: the secrets of endpoints need keys to be sealed with: set KEYRING_FILE")
	}
	cfg = cfg.withDefaults()
	migrations, err := store.Migrations()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", Name, err)
	}
	backbone, err := spine.New(ctx, Name, cfg.Config, deps.Spine, migrations, Topics())
	if err != nil {
		return nil, err
	}
	rows, reach := store.New(backbone.Kit), domain.Reach{Loopback: cfg.AllowLoopback}
	poster := webhook.New(reach, nil)
	verbs := app.New(app.Deps{
		Store: rows, Poster: poster, Keys: deps.Keys, Clock: deps.Spine.Clock, Wall: clock.System(), IDs: deps.Spine.IDs, Log: backbone.Log,
		Settings: app.Settings{PerEndpoint: cfg.PerEndpoint, InFlight: cfg.InFlight, AttemptTimeout: cfg.AttemptTimeout, Reach: reach},
	})
	listener := &event.Listener{App: verbs, Store: rows}
	backbone.OnEvents(listener.Apply, event.Wanted())
	backbone.OnHouse(store.Purges()...)
	return &Service{Spine: backbone, app: verbs, poster: poster, home: cfg.HomeMarketplace}, nil
}

// Register adds the service's RPCs to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	notificationv1.RegisterNotificationServiceServer(r, &rpc.Feed{App: s.app})
	notificationv1.RegisterNotificationAdminServiceServer(r, &rpc.Admin{App: s.app, Home: s.home})
}

// Run works in the background until ctx ends: it receives events and sends deliveries.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Spine.Run(ctx) })
	g.Go(func() error { return s.app.RunSender(ctx) })
	return g.Wait()
}

// Close ends the connections. After Run.
func (s *Service) Close() error {
	s.poster.Close()
	return s.Spine.Close()
}

// Audit gives the checks over this service's own rows.
func Audit() []audit.Check { return store.Audit() }

// Receivers returns who receives which event outside: kinds of receivers of webhooks and feeds, by the event's full name.
func Receivers() map[protoreflect.FullName][]caller.Kind {
	out := map[protoreflect.FullName][]caller.Kind{}
	for _, e := range wire.Catalogue() {
		kinds := []caller.Kind{caller.SPM}
		if slices.Contains(domain.EventTypes(domain.Owner{MerchantID: "a merchant"}), e.Type) {
			kinds = append(kinds, caller.Merchant)
		}
		out[e.Message.ProtoReflect().Descriptor().FullName()] = kinds
	}
	return out
}
