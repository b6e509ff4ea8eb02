// Package bill is the door of the bill service: credit accounts and limits, products,
// loans and instalments.
//
// It owns the wiring and nothing else. Other services meet it through its contract
// (creditpay.bill.v1) and its events; only a program that hosts it imports this package.
package bill

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"

	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/kafkax"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/pkg/spine"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
	"github.com/creditpay/creditpay/services/bill/internal/event"
	"github.com/creditpay/creditpay/services/bill/internal/peer"
	"github.com/creditpay/creditpay/services/bill/internal/rpc"
	"github.com/creditpay/creditpay/services/bill/internal/store"
)

// Name of the service.
const Name = "bill"

// Deps are what the service needs besides its configuration. Without Keys and Payment nothing can be signed.
type Deps struct {
	Spine spine.Deps
	// Keys seal and digest what signing keeps.
	Keys *secret.Keyring
	// Payment is a connection to the payment service.
	Payment grpc.ClientConnInterface
	// Refund is a connection to the refund service.
	Refund grpc.ClientConnInterface
	// Sender brings one-time codes to users; nil for the sandbox of the configuration.
	Sender CodeSender
}

// Service is the bill service in one process. Run works until its context ends; Close comes after that.
type Service struct {
	*spine.Spine
	app  *app.App
	desk *desk.Desk
	home string
}

// Topics is what the service does with Kafka, and what its ACLs must allow.
func Topics() kafkax.Access {
	return spine.Access(Name, []string{event.Topic}, event.OrderTopic, event.PaymentTopic)
}

// New opens the database, brings it up to date and wires the rooms. It fails for a
// configuration that cannot work and when the database cannot be reached.
func New(ctx context.Context, cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
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
	if cfg.SeedProducts {
		if err := rows.Seed(ctx, domain.DefaultProducts(money.IDR()), deps.Spine.Clock.Now()); err != nil {
			return nil, errors.Join(fmt.Errorf("start %s: %w", Name, err), backbone.Close())
		}
	}
	esign, err := openEsign(ctx, cfg.Esign, deps, rows)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", Name, err), backbone.Close())
	}
	approvals := desk.New(backbone.Kit, backbone.Log, cfg.Approval)
	verbs := app.New(app.Deps{
		Store: rows, Requests: rows.Requests(), Payments: peer.NewCashDesk(deps.Payment), Refunds: peer.NewRefunds(deps.Refund), IDs: deps.Spine.IDs, Clock: deps.Spine.Clock,
		ProductRefresh: cfg.ProductRefresh, PlanCacheSize: cfg.PlanCacheSize, OpenRepaymentsMax: cfg.OpenRepaymentsMax, Esign: esign,
		Approvals: approvals,
	})
	approvals.On(verbs.ApprovalVerbs()...)
	for kind, handle := range approvals.Jobs() {
		backbone.OnJob(kind, handle)
	}
	backbone.OnJob(app.JobSendCode, func(ctx context.Context, j jobs.Job) (jobs.Outcome, error) {
		return jobs.Done(), verbs.DeliverCode(ctx, j.Key)
	})
	backbone.OnJob(app.JobSendUserCode, func(ctx context.Context, j jobs.Job) (jobs.Outcome, error) {
		return jobs.Done(), verbs.DeliverUserCode(ctx, j.Key)
	})
	backbone.OnHouse(store.CodePurges()...)
	backbone.OnEvents(event.NewHandler(verbs, rows).Apply, event.Wanted())
	roll := store.RollSweep()
	roll.Handle = verbs.RollLoans
	backbone.OnSweep(roll)
	look := store.BillSweep()
	look.Handle = verbs.LookAtBills
	backbone.OnSweep(look)
	backbone.OnDue(store.RepaymentColumn(), func(ctx context.Context, j jobs.Job) (jobs.Outcome, error) {
		id, err := ids.Parse(ids.Repayment, j.Key)
		if err != nil {
			return jobs.Outcome{}, err
		}
		return verbs.AskAboutRepayment(ctx, id)
	})
	return &Service{Spine: backbone, app: verbs, desk: approvals, home: cmp.Or(cfg.HomeMarketplace, auth.HomeMarketplace)}, nil
}

// Register adds the service's RPCs to a server. Callers, access rules and validation are the server's.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	billv1.RegisterBillServiceServer(r, &rpc.BillServer{App: s.app})
	billv1.RegisterBillInternalServiceServer(r, &rpc.InternalServer{App: s.app})
	billv1.RegisterBillAdminServiceServer(r, &rpc.AdminServer{App: s.app, Desk: s.desk, Home: s.home})
	billv1.RegisterEsignServiceServer(r, &rpc.EsignServer{App: s.app})
}

// Audit gives the checks of this service's own books, to be run on its schema.
func Audit() []audit.Check { return store.Audit() }

// AuditStream is the query, on this service's schema, of what it knows about each order
// that was to be financed: (hex of the order id, state of the loan by name, price in
// minor units), by order id. An order has one row: the loan that counts, or the last void one.
func AuditStream() string { return store.AuditStream() }

// AuditUsers selects (order id in hex, borrower, number of other borrowers), by order id, over the loans of each order.
func AuditUsers() string { return store.AuditUsers }

// AuditBooks returns what this service says of money that another service has in its books, too; see deploy/audit.
func AuditBooks() map[string]string { return store.AuditBooks() }
