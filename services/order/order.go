// Package order is the door of the order service: checkouts and orders, their states, their expiry and their auto-confirm.
//
// It owns the wiring and nothing else. Other services meet it through its contract (creditpay.order.v1) and its events; only a
// program that hosts it imports this package.
package order

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"

	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/kafkax"
	"github.com/creditpay/creditpay/pkg/reach"
	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/pkg/spine"

	"github.com/creditpay/creditpay/services/order/internal/app"
	"github.com/creditpay/creditpay/services/order/internal/event"
	"github.com/creditpay/creditpay/services/order/internal/peer"
	"github.com/creditpay/creditpay/services/order/internal/rpc"
	"github.com/creditpay/creditpay/services/order/internal/store"
)

// Name of the service, of its schema and of its consumer group.
const Name = "order"

// Deps are the parts that the service is given. All but Proofs are required.
type Deps struct {
	Spine spine.Deps
	// Keyring authenticates checkout tokens.
	Keyring *secret.Keyring
	// Proofs makes the proofs of checkouts; nil where none are made.
	Proofs *secret.Keyring
	// Payment, Bill and Refund are connections to the neighbours, made by rpckit.Dial.
	Payment, Bill, Refund grpc.ClientConnInterface
}

// Service is the order service in one process. Run works until its context ends; Close comes after that.
type Service struct {
	*spine.Spine
	verbs *app.App
}

// Topics is what the service does with Kafka, and what its ACLs must allow.
func Topics() kafkax.Access {
	return spine.Access(Name, []string{event.Topic}, event.PaymentTopic, event.BillTopic, event.RefundTopic)
}

// New opens the database, brings it up to date and wires the rooms. It fails for a configuration that cannot work and when the
// database cannot be reached.
func New(ctx context.Context, cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure %s: %w", Name, err)
	}
	if deps.Keyring == nil || deps.Payment == nil || deps.Bill == nil || deps.Refund == nil {
		return nil, errors.New("configure order: keyring and connections to payment, bill and refund are required")
	}
	cfg = cfg.withDefaults()
	location, err := time.LoadLocation(cfg.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("configure %s: %w", Name, err)
	}
	migrations, err := store.Migrations()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", Name, err)
	}
	backbone, err := spine.New(ctx, Name, cfg.Config, deps.Spine, migrations, Topics())
	if err != nil {
		return nil, err
	}
	rows := store.New(backbone.Kit, event.Encode)
	verbs := app.New(app.Deps{
		Store: rows, Payment: peer.NewPayment(deps.Payment), Bill: peer.NewBill(deps.Bill), Refund: peer.NewRefund(deps.Refund),
		Clock: deps.Spine.Clock, IDs: deps.Spine.IDs, Keyring: deps.Keyring, Proofs: deps.Proofs, Log: backbone.Log,
		Settings: app.Settings{
			CashierURL: cfg.CashierURL, CheckoutExpiry: cfg.CheckoutExpiry, Reach: reach.Reach{Loopback: cfg.AllowLoopback},
			AutoConfirmAfter: time.Duration(cfg.AutoConfirmDays) * day, AutoConfirmByBusiness: cfg.autoConfirmByBusiness(),
			PeerTimeout: cfg.PeerTimeout, DetailTimeout: cfg.DetailTimeout, Home: cfg.HomeMarketplace, ProofLife: cfg.CheckoutProofLife, Location: location,
		},
	})
	backbone.OnEvents(event.NewListener(verbs, rows).Apply, event.Wanted())
	backbone.OnDue(store.ExpiryColumn(), verbs.ExpireCheckout)
	backbone.OnDue(store.AutoConfirmColumn(), verbs.AutoConfirm)
	return &Service{Spine: backbone, verbs: verbs}, nil
}

// Register adds the service's RPCs to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	orderv1.RegisterOrderServiceServer(r, rpc.NewOrder(s.verbs))
	orderv1.RegisterOrderInternalServiceServer(r, rpc.NewInternal(s.verbs))
}

// Audit gives the checks over this service's own rows.
func Audit() []audit.Check { return store.Audit() }

// AuditStream selects (order id in hex, name of its state, paid minor units), by id, of every order that a payment should know:
// in a commit, paid, or whatever became of a paid one.
func AuditStream() string { return store.AuditStream() }

// AuditUsers selects (order id in hex, buyer, 0), by id, of every order: to be compared with whose its payment, loans and refunds are.
func AuditUsers() string { return store.AuditUsers }

// AuditBooks returns what this service says of money that another service has in its books, too; see deploy/audit.
func AuditBooks() map[string]string { return store.AuditBooks() }
