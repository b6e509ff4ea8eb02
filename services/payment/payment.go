// Package payment is the door of the payment service: the payment of a checkout, its quote, its commit and its legs.
package payment

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"

	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/kafkax"
	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/pkg/spine"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/event"
	"github.com/creditpay/creditpay/services/payment/internal/peer"
	"github.com/creditpay/creditpay/services/payment/internal/rpc"
	"github.com/creditpay/creditpay/services/payment/internal/store"
)

// Name of the service, of its schema and of its consumer group.
const Name = "payment"

// Deps are the parts that the service is given.
type Deps struct {
	Spine spine.Deps
	// Keys digest PINs.
	Keys *secret.Keyring
	// Proofs checks the proofs of checkouts; nil where the order service is always asked.
	Proofs *secret.Keyring
	// Order, Bill and Refund are connections to the neighbours.
	Order, Bill, Refund grpc.ClientConnInterface
}

// Service is the payment service.
type Service struct {
	*spine.Spine
	app  *app.App
	desk *desk.Desk
}

// Topics is what the service does with Kafka, and what its ACLs must allow.
func Topics() kafkax.Access {
	return spine.Access(Name, []string{event.TopicOut}, event.TopicOrders)
}

// New opens the service: database, verbs, doors.
func New(ctx context.Context, cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure %s: %w", Name, err)
	}
	cashier, err := cfg.cashier()
	if err != nil {
		return nil, fmt.Errorf("configure %s: %w", Name, err)
	}
	migrations, err := store.Migrations()
	if err != nil {
		return nil, err
	}
	sp, err := spine.New(ctx, Name, cfg.Config, deps.Spine, migrations, Topics())
	if err != nil {
		return nil, err
	}
	st := store.New(sp.Kit, event.Encode)
	approvals := desk.New(sp.Kit, sp.Log, cfg.Approval)
	billPeer := peer.NewBill(deps.Bill)
	verbs := app.New(app.Deps{
		Store: st, Orders: peer.NewOrders(deps.Order), Bill: billPeer, Refunds: peer.NewRefunds(deps.Refund), Codes: billPeer, Keys: deps.Keys, Proofs: deps.Proofs,
		Clock: deps.Spine.Clock, IDs: deps.Spine.IDs, Log: sp.Log,
		Limits: app.Limits{QuoteLife: cfg.QuoteLife, RecoverAfter: cfg.RecoverAfter, Patience: cfg.Patience,
			DownPaymentLife: cfg.DownPaymentLife, RepaymentLife: cfg.RepaymentLife},
		Cashier: cashier,
	})
	approvals.On(verbs.ApprovalVerbs()...)
	for kind, handle := range approvals.Jobs() {
		sp.OnJob(kind, handle)
	}
	listener := &event.Listener{App: verbs, Store: st}
	sp.OnEvents(listener.Apply, event.Wanted())
	sp.OnDue(store.RecoverColumn(), func(ctx context.Context, j jobs.Job) (jobs.Outcome, error) {
		return lookAgain(verbs.RecoverCommit(ctx, j.Key))
	})
	sp.OnDue(store.LegColumn(), func(ctx context.Context, j jobs.Job) (jobs.Outcome, error) {
		return lookAgain(verbs.TickCashLeg(ctx, j.Key))
	})
	sp.OnDue(store.ReturnColumn(), func(ctx context.Context, j jobs.Job) (jobs.Outcome, error) {
		// Asked once a day at most: after a hundred days of silence a person is asked.
		at, err := verbs.TickCashReturn(ctx, j.Key)
		if err != nil || at.IsZero() {
			return lookAgain(at, err)
		}
		return jobs.Waiting(at, "the marketplace does not say what became of the cash"), nil
	})
	sp.OnJob(app.JobKeepCash, func(ctx context.Context, j jobs.Job) (jobs.Outcome, error) {
		return jobs.Done(), verbs.KeepCash(ctx, j.Key)
	})
	sp.OnJob(app.JobReversePayment, func(ctx context.Context, j jobs.Job) (jobs.Outcome, error) {
		return jobs.Done(), verbs.ReversePayment(ctx, j.Key)
	})
	return &Service{Spine: sp, app: verbs, desk: approvals}, nil
}

// lookAgain keeps a timer for when the verb wants to look again; the zero time ends it.
func lookAgain(at time.Time, err error) (jobs.Outcome, error) {
	if at.IsZero() {
		return jobs.Done(), err
	}
	return jobs.Again(at), err
}

// Register adds the service's RPCs to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	paymentv1.RegisterPaymentServiceServer(r, &rpc.Payment{App: s.app})
	paymentv1.RegisterPaymentInternalServiceServer(r, &rpc.Internal{App: s.app})
	paymentv1.RegisterPaymentAdminServiceServer(r, &rpc.Admin{App: s.app, Desk: s.desk})
}

// Audit gives the checks over the payment schema.
func Audit() []audit.Check { return store.Audit() }

// AuditStream selects (order id in hex, state, amount) of every payment by order id.
func AuditStream() string { return store.AuditStream }

// AuditUsers selects (order id in hex, payer, 0), by order id, of every payment.
func AuditUsers() string { return store.AuditUsers }

// AuditBooks returns what this service says of money that another service has in its books, too; see deploy/audit.
func AuditBooks() map[string]string { return store.AuditBooks() }
