package random

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	opsv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/ops/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/testkit"

	"github.com/creditpay/creditpay/deploy/audit"
	"github.com/creditpay/creditpay/deploy/devstack"
	"github.com/creditpay/creditpay/deploy/devstack/program"
	"github.com/creditpay/creditpay/deploy/keys"
)

func TestMain(m *testing.M) { testkit.Main(m, program.Remove) }

const (
	// clockStepMax is the furthest that the stack's clock moves in one call.
	clockStepMax = 400 * 24 * time.Hour
	// auditTime is how long the audit may find what is still on its way.
	auditTime = 90 * time.Second
	// tokenLife is longer than any test.
	tokenLife = 6 * time.Hour
)

// operators are the people who ask for refunds, approve them and look after legs that failed.
func operators() []string { return []string{"alice", "bob", "carol"} }

// site is the stack that runs meet on, with the clients of its callers.
type site struct {
	process *program.Process
	conn    *grpc.ClientConn
	info    devstack.Info
	tokens  *keys.Ring
	market  *market
	// ahead is how far the stack's clock is ahead of the machine's, in nanoseconds.
	ahead atomic.Int64
	// spm, bill and refund are the tokens of the marketplace and of two services of the suite; admins are the operators' by name.
	spm, bill, refund string
	admins            map[string]string

	orders   orderv1.OrderServiceClient
	payments paymentv1.PaymentServiceClient
	cash     paymentv1.PaymentInternalServiceClient
	bills    billv1.BillServiceClient
	accounts billv1.BillAdminServiceClient
	refunds  refundv1.RefundServiceClient
	returns  paymentv1.PaymentAdminServiceClient
	ops      opsv1.OpsServiceClient
}

// newSite starts a stack without data, and its products.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{admins: map[string]string{}}
	s.start(t)
	must := func(who caller.Caller) string {
		token, err := s.mint(who)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for _, name := range operators() {
		s.admins[name] = must(caller.Caller{Kind: caller.Admin, Name: name, Roles: caller.EveryRole()})
	}
	s.spm = must(caller.Caller{Kind: caller.SPM, Name: "marketplace"})
	s.bill, s.refund = must(caller.Caller{Kind: caller.Service, Name: "bill"}), must(caller.Caller{Kind: caller.Service, Name: "refund"})
	s.orders, s.payments, s.bills = orderv1.NewOrderServiceClient(s.conn), paymentv1.NewPaymentServiceClient(s.conn), billv1.NewBillServiceClient(s.conn)
	s.cash, s.accounts = paymentv1.NewPaymentInternalServiceClient(s.conn), billv1.NewBillAdminServiceClient(s.conn)
	s.returns = paymentv1.NewPaymentAdminServiceClient(s.conn)
	s.refunds, s.ops = refundv1.NewRefundServiceClient(s.conn), opsv1.NewOpsServiceClient(s.conn)
	if err := s.makeProducts(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.market = listen(t, s.info.KafkaAddr)
	return s
}

func (s *site) start(t *testing.T) {
	t.Helper()
	file, err := program.Devstack()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := program.MemoryDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var addrs [2]string
	for i := range addrs {
		if addrs[i], err = program.FreeAddr(); err != nil {
			t.Fatal(err)
		}
	}
	state := filepath.Join(dir, "state")
	s.process, err = program.Start(file, []string{"CREDITPAY_STATE_DIR=" + state, "CREDITPAY_HTTP_ADDR=" + addrs[0], "CREDITPAY_GRPC_ADDR=" + addrs[1],
		"CREDITPAY_OPS_ADDR=off", "CREDITPAY_DEMO_PURCHASE=false", "CREDITPAY_LOG_LEVEL=error"}, "make audit")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.process.End(30 * time.Second); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the stack said:\n%s", &s.process.Out)
		}
	})
	if s.info, _, err = devstack.ReadInfo(state); err != nil {
		t.Fatal(err)
	}
	if s.tokens, err = keys.Open(devstack.KeysDir(state)); err != nil {
		t.Fatal(err)
	}
	if s.conn, err = grpc.NewClient(addrs[1], grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.conn.Close() })
}

// mint makes a caller's token. Every token of this package is made here.
func (s *site) mint(who caller.Caller) (string, error) {
	token, err := s.tokens.Mint(who, tokenLife, time.Now())
	if err != nil {
		return "", fmt.Errorf("make a token for %s: %w", who, err)
	}
	return token, nil
}

func as(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

func (s *site) admin(ctx context.Context, name string) context.Context {
	return as(ctx, s.admins[name])
}

// now is the time by the stack's clock.
func (s *site) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

// advance moves the stack's clock.
func (s *site) advance(ctx context.Context, d time.Duration) error {
	for d > 0 {
		step := min(d, clockStepMax)
		res, err := s.ops.AdvanceClock(s.admin(ctx, "alice"), &opsv1.AdvanceClockRequest{Duration: durationpb.New(step)})
		if err != nil {
			return fmt.Errorf("advance the clock: %w", err)
		}
		s.ahead.Store(int64(time.Until(res.GetNow().AsTime())))
		d -= step
	}
	return nil
}

// today is the day in Jakarta.
func (s *site) today() civil.Date { return civil.Of(s.now(), civil.Jakarta()) }

// reach brings the clock to nine in the morning of a day in Jakarta, or of the next one when that is over: no act passes midnight.
func (s *site) reach(ctx context.Context, day civil.Date) error {
	for {
		if d := day.In(civil.Jakarta()).Add(9 * time.Hour).Sub(s.now()); d > 0 {
			return s.advance(ctx, d.Round(time.Second)+time.Second)
		}
		day = day.AddDays(1)
	}
}

// findings are what the audit over all services finds once everything that is on its way has had its time to arrive.
func (s *site) findings(ctx context.Context) ([]audit.Finding, error) {
	r, err := audit.Run(ctx, audit.Config{Order: s.info.Schemas["order"], Payment: s.info.Schemas["payment"], Bill: s.info.Schemas["bill"],
		Refund: s.info.Schemas["refund"], Notification: s.info.Schemas["notification"], Now: s.now, Settle: auditTime})
	if err == nil && r.Checks == 0 {
		err = fmt.Errorf("the audit looked at nothing")
	}
	return r.Findings, err
}
