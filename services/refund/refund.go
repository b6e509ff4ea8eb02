// Package refund is the door of the refund service: refunds, their approval, and what may still be refunded of an order.
//
// It owns the wiring and nothing else. Other services meet it through its contract (creditpay.refund.v1) and its events; only a program
// that hosts it imports this package.
package refund

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/kafkax"
	"github.com/creditpay/creditpay/pkg/spine"

	"github.com/creditpay/creditpay/services/refund/internal/app"
	"github.com/creditpay/creditpay/services/refund/internal/event"
	"github.com/creditpay/creditpay/services/refund/internal/peer"
	"github.com/creditpay/creditpay/services/refund/internal/rpc"
	"github.com/creditpay/creditpay/services/refund/internal/store"
)

// Name of the service.
const Name = "refund"

// Deps are the parts that the service is given. All are required.
type Deps struct {
	Spine spine.Deps
	// Order, Payment and Bill are connections to the neighbours, made by rpckit.Dial.
	Order, Payment, Bill grpc.ClientConnInterface
}

// Service is the refund service in one process. Run works until its context ends; Close comes after that.
type Service struct {
	*spine.Spine
	verbs *app.App
	desk  *desk.Desk
}

// Topics is what the service does with Kafka, and what its ACLs must allow.
func Topics() kafkax.Access {
	return spine.Access(Name, []string{event.Topic}, event.PaymentTopic)
}

// New opens the database, brings it up to date and wires the rooms. It fails for a configuration that cannot work and when the database
// cannot be reached.
func New(ctx context.Context, cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure %s: %w", Name, err)
	}
	if deps.Order == nil || deps.Payment == nil || deps.Bill == nil {
		return nil, errors.New("configure refund: connections to order, payment and bill are required")
	}
	if cfg.PeerTimeout == 0 {
		cfg.PeerTimeout = defaultPeerTimeout
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
	approvals := desk.New(backbone.Kit, backbone.Log, cfg.Approval)
	verbs := app.New(app.Deps{
		Store: rows, Approvals: approvals, Orders: peer.NewOrders(deps.Order), Payments: peer.NewPayments(deps.Payment), Bills: peer.NewBills(deps.Bill),
		Clock: deps.Spine.Clock, IDs: deps.Spine.IDs, Log: backbone.Log, PeerTimeout: cfg.PeerTimeout,
	})
	backbone.OnEvents(event.NewHandler(verbs, rows).Apply, event.Wanted())
	backbone.OnJob(app.JobDrive, onRefund(verbs.DriveRefund))
	backbone.OnJob(app.JobExpire, onRefund(verbs.ExpireRefund))
	approvals.On(verbs.ApprovalVerbs()...)
	for kind, handle := range approvals.Jobs() {
		backbone.OnJob(kind, handle)
	}
	return &Service{Spine: backbone, verbs: verbs, desk: approvals}, nil
}

// onRefund gives a verb the refund that a timer is about.
func onRefund(verb func(ctx context.Context, id ids.ID) (jobs.Outcome, error)) jobs.Handler {
	return func(ctx context.Context, j jobs.Job) (jobs.Outcome, error) {
		id, err := ids.Parse(ids.Refund, j.Key)
		if err != nil {
			return jobs.Outcome{}, err
		}
		return verb(ctx, id)
	}
}

// Register adds the service's RPCs to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	refundv1.RegisterRefundServiceServer(r, &rpc.Refund{App: s.verbs, Desk: s.desk})
	refundv1.RegisterRefundInternalServiceServer(r, &rpc.Internal{App: s.verbs})
}

// Audit gives the checks over this service's own rows.
func Audit() []audit.Check { return store.Audit() }

// AuditStream selects (order id in hex, "REFUNDED", minor units), by id, of every order that refunds took something of.
func AuditStream() string { return store.AuditStream() }

// AuditUsers selects (order id in hex, buyer, number of other buyers), by order id, over the refunds of each order.
func AuditUsers() string { return store.AuditUsers }

// AuditBooks returns what this service says of money that another service has in its books, too; see deploy/audit.
func AuditBooks() map[string]string { return store.AuditBooks() }
