package bill_test

import (
	"cmp"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/eventsig/eventsigtest"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/kafkax"
	"github.com/creditpay/creditpay/pkg/localbroker"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/rpckit"
	"github.com/creditpay/creditpay/pkg/spine"
	"github.com/creditpay/creditpay/pkg/testkit"

	"github.com/creditpay/creditpay/services/bill"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// kindIsToken takes the token for the kind of the caller.
type kindIsToken struct{}

func (kindIsToken) Verify(token string, _ time.Time) (caller.Caller, error) {
	text, name, _ := strings.Cut(token, ":")
	kind, ok := caller.ParseKind(text)
	if !ok {
		return caller.Caller{}, errs.TokenInvalid.New("no such kind")
	}
	c := caller.Caller{Kind: kind, Name: cmp.Or(name, "test")}
	if kind == caller.Admin {
		c.Roles = caller.EveryRole()
	}
	return c, nil
}

// tokenOf is always the same token, but that of a service: it names the first service that may call the method.
type tokenOf string

func (t tokenOf) Token(ctx context.Context) (string, error) {
	info, _ := credentials.RequestInfoFromContext(ctx)
	if rule := rpckit.AccessRules()[info.Method]; string(t) == caller.Service.String() && len(rule.Services) > 0 {
		return string(t) + ":" + rule.Services[0], nil
	}
	return string(t), nil
}

// refunds is the refund service on the wire: it knows one refund, or cannot be reached.
type refunds struct {
	sync.Mutex
	known *refundv1.GetRefundPartsResponse
	id    string
}

func (r *refunds) Invoke(_ context.Context, _ string, args, reply any, _ ...grpc.CallOption) error {
	r.Lock()
	defer r.Unlock()
	req, out := args.(*refundv1.GetRefundPartsRequest), reply.(*refundv1.GetRefundPartsResponse)
	switch {
	case r.known == nil:
		return rpckit.FromStatus(status.Error(codes.Unavailable, "connection refused"))
	case req.GetRefundId() != r.id:
		return errs.NotFound.New("there is no such refund")
	}
	proto.Merge(out, r.known)
	return nil
}

func (r *refunds) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, errors.New("nothing streams")
}

func (r *refunds) knows(id string, known *refundv1.GetRefundPartsResponse) {
	r.Lock()
	defer r.Unlock()
	r.id, r.known = id, known
}

// bed is the whole service behind its door.
type bed struct {
	refunds refunds
	service *bill.Service
	dsn     string
	broker  string
	ids     *ids.Generator
	dial    func(kind caller.Kind) *grpc.ClientConn
	keys    eventsigtest.Keys
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{dsn: testkit.Database(t), ids: ids.NewGenerator(clock.System())}
	b.broker = testkit.Broker(t, localbroker.Topic{Name: "creditpay.order.events.v1", Partitions: 1})
	cfg := bill.Config{
		Config: spine.Config{DSN: b.dsn, DBConns: 8, Brokers: []string{b.broker}, KafkaPartitions: 1, KafkaReplicas: 1, Migrate: true,
			Security: kafkax.Security{Plaintext: true}},
		SeedProducts: true, ProductRefresh: time.Second, PlanCacheSize: 10,
	}
	var err error
	b.service, err = bill.New(t.Context(), cfg, bill.Deps{Spine: spine.Deps{Log: zap.NewNop(), Clock: clock.System(), IDs: b.ids, Owner: "test",
		Signer: b.keys.Signer(t, bill.Name), EventKeys: &b.keys}, Refund: &b.refunds})
	if err != nil {
		t.Fatal(err)
	}
	options, err := rpckit.ServerOptions(rpckit.Config{Verifier: kindIsToken{}})
	if err != nil {
		t.Fatal(err)
	}
	server, wire := grpc.NewServer(options...), bufconn.Listen(1<<20)
	b.service.Register(rpckit.Registrar(server))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- server.Serve(wire) }()
	go func() { ended <- b.service.Run(ctx) }()
	t.Cleanup(func() {
		server.GracefulStop()
		stop()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if err := b.service.Close(); err != nil {
			t.Error(err)
		}
	})
	b.dial = func(kind caller.Kind) *grpc.ClientConn {
		conn, err := rpckit.Dial("passthrough:///bill", rpckit.ClientConfig{
			TokenSource: tokenOf(kind.String()), Transport: rpckit.Plaintext,
			Dialer: func(ctx context.Context, _ string) (net.Conn, error) { return wire.DialContext(ctx) },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	return b
}

func rp(minor int64) *commonv1.Money {
	return &commonv1.Money{AmountMinor: new(minor), CurrencyCode: "IDR"}
}

// send puts an event on the order service's topic.
func (b *bed) send(t *testing.T, at time.Time, message proto.Message) {
	t.Helper()
	payload, err := anypb.New(message)
	if err != nil {
		t.Fatal(err)
	}
	value, err := proto.Marshal(&commonv1.EventEnvelope{
		EventId: ids.Format(ids.Event, b.ids.New()), OccurredTime: timestamppb.New(at), Key: "k", Payload: payload,
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &kafka.Writer{Addr: kafka.TCP(b.broker), BatchTimeout: time.Millisecond}
	defer func() { _ = w.Close() }()
	if err := w.WriteMessages(t.Context(), b.keys.Sign(t, kafka.Message{Topic: "creditpay.order.events.v1", Key: []byte("k"), Value: value})...); err != nil {
		t.Fatal(err)
	}
}

func TestAPurchaseFromQuoteToDebtOverTheWire(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := t.Context()
	admin, internal := billv1.NewBillAdminServiceClient(b.dial(caller.Admin)), billv1.NewBillInternalServiceClient(b.dial(caller.Service))
	opened, err := admin.OpenCreditAccount(ctx, &billv1.OpenCreditAccountRequest{RequestId: "request-1", UserId: "u1", Limit: rp(1_000_000), Reason: "new"})
	if err != nil || opened.GetAccount().GetSummary().GetAvailable().GetAmountMinor() != 1_000_000 {
		t.Fatal(opened, err)
	}
	if b := opened.GetAccount().GetCreditBalance(); b.GetAmountMinor() != 0 || b.GetCurrencyCode() != "IDR" {
		t.Errorf("credit balance of a new account: %v", b)
	}
	order, commit := ids.Format(ids.Order, b.ids.New()), ids.Format(ids.Commit, b.ids.New())
	orders := []*billv1.FinancedOrder{{OrderId: order, Amount: rp(300_000), MerchantId: "shop-1"}}
	quote, err := internal.QuotePlans(ctx, &billv1.QuotePlansRequest{UserId: "u1", Business: "marketplace", Orders: orders, TenorMonths: 3})
	if err != nil || !quote.GetAllowed() || len(quote.GetOffers()) != 2 {
		t.Fatal(quote, err)
	}
	plan := quote.GetOffers()[0].GetTotal()
	reserve := &billv1.ReserveCreditRequest{
		CommitId: commit, UserId: "u1", Business: "marketplace", Orders: orders,
		ProductCode: plan.GetProductCode(), ProductVersion: plan.GetProductVersion(), TenorMonths: plan.GetTenorMonths(),
	}
	reserved, err := internal.ReserveCredit(ctx, reserve)
	if err != nil || len(reserved.GetLoans()) != 1 || reserved.GetLoans()[0].GetOrderId() != order {
		t.Fatal(reserved, err)
	}
	at := time.Now()
	b.send(t, at, &orderv1.OrderConfirmed{Order: &orderv1.OrderRef{OrderId: order}})
	var got *billv1.BatchGetLoansResponse
	testkit.Eventually(t, 20*time.Second, func() bool {
		got, err = internal.BatchGetLoans(ctx, &billv1.BatchGetLoansRequest{OrderIds: []string{order}})
		return err == nil && got.GetLoans()[0].GetState() == billv1.LoanState_LOAN_STATE_ACTIVE
	})
	loan := got.GetLoans()[0]
	if loan.GetOutstandingPrincipal().GetAmountMinor() != 300_000 || loan.GetPlan().GetTotal().GetAmountMinor() != plan.GetTotal().GetAmountMinor() || len(got.GetTimeline()) != 2 {
		t.Errorf("loan: %v", got)
	}
	account, err := admin.GetCreditAccount(ctx, &billv1.GetCreditAccountRequest{UserId: "u1"})
	if s := account.GetAccount().GetSummary(); err != nil || s.GetUsed().GetAmountMinor() != 300_000 || s.GetHeld().GetAmountMinor() != 0 {
		t.Errorf("account: %v, %v", account, err)
	}
	if _, err := internal.ReleaseCredit(ctx, &billv1.ReleaseCreditRequest{CommitId: commit}); !errs.Is(err, errs.LoanStateInvalid) {
		t.Errorf("release of a debt: %v", err)
	}
	b.refundOverTheWire(t, internal, order)
	b.auditBooks(t)
}

// refundOverTheWire refunds a third of a loan of 300,000 of which nothing is paid.
func (b *bed) refundOverTheWire(t *testing.T, internal billv1.BillInternalServiceClient, order string) {
	t.Helper()
	preview, err := internal.PreviewRefundAdjustment(t.Context(), &billv1.PreviewRefundAdjustmentRequest{OrderId: order, Amount: rp(100_000)})
	if err != nil {
		t.Fatal(err)
	}
	refund := &billv1.AdjustForRefundRequest{RefundId: ids.Format(ids.Refund, b.ids.New()), OrderId: order, Amount: rp(100_000)}
	_, err = internal.AdjustForRefund(t.Context(), refund)
	if reason, _ := errs.ReasonOf(err); reason != errs.DependencyUnavailable || reason.RetryAfter() == 0 {
		t.Errorf("the refund service is away: %v, to be repeated after %s", err, reason.RetryAfter())
	}
	parts := &refundv1.GetRefundPartsResponse{OrderId: order, CreditAmount: rp(100_000), CashAmount: rp(0),
		State: refundv1.RefundState_REFUND_STATE_EXECUTING, Step: refundv1.RefundStep_REFUND_STEP_PAYMENT}
	b.refunds.knows(refund.GetRefundId(), parts)
	if _, err := internal.AdjustForRefund(t.Context(), refund); !errs.Is(err, errs.RefundStateInvalid) {
		t.Errorf("a refund that is past this step: %v", err)
	}
	adjusting := proto.CloneOf(parts)
	adjusting.Step = refundv1.RefundStep_REFUND_STEP_ADJUST
	b.refunds.knows(refund.GetRefundId(), adjusting)
	for range 2 {
		done, err := internal.AdjustForRefund(t.Context(), refund)
		if err != nil || !proto.Equal(done.GetAdjustment(), preview.GetAdjustment()) || done.GetCashAmount().GetAmountMinor() != 0 {
			t.Errorf("preview %v, effect %v, %v", preview, done, err)
		}
	}
	a := preview.GetAdjustment()
	if a.GetPrincipalReleased().GetAmountMinor() != 100_000 || a.GetInterestReleased().GetAmountMinor() != 8_850 || a.GetLoanState() != "ACTIVE" ||
		a.GetLimitFreed().GetAmountMinor() != 100_000 || a.GetPlanAfter().GetPrincipal().GetAmountMinor() != 200_000 || len(a.GetInstalments()) != 1 {
		t.Error(a)
	}
	if _, err := internal.KeepRefundAsCredit(t.Context(), &billv1.KeepRefundAsCreditRequest{
		RefundId: refund.GetRefundId(), RepaymentId: ids.Format(ids.Repayment, b.ids.New()),
	}); !errs.Is(err, errs.NotFound) {
		t.Errorf("what the refund does not give back: %v", err)
	}
}

// auditBooks waits for the events to be sent and fails for every finding.
func (b *bed) auditBooks(t *testing.T) {
	t.Helper()
	db, err := mysqlx.Open(b.dsn, mysqlx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	testkit.Eventually(t, 20*time.Second, func() bool {
		var waiting int
		return db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM outbox WHERE published = 0`).Scan(&waiting) == nil && waiting == 0
	})
	found, err := audit.Run(t.Context(), db, bill.Name, time.Now(), append(bill.Audit(), audit.Mechanism()...))
	if err != nil || len(found) != 0 {
		t.Errorf("audit: %v, %v", found, err)
	}
}

func TestTheDoorSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := t.Context()
	spm, service, admin := b.dial(caller.SPM), b.dial(caller.Service), b.dial(caller.Admin)
	internal := billv1.NewBillInternalServiceClient(service)
	info, err := billv1.NewBillServiceClient(spm).QueryUserInstalmentInfo(ctx, &billv1.QueryUserInstalmentInfoRequest{UserId: "u1", Amount: rp(100_000), Business: "marketplace"})
	if err != nil || info.GetAllowed() || info.GetReason() != commonv1.ErrorReason_ERROR_REASON_ACCOUNT_NOT_FOUND || info.GetCredit() != nil || len(info.GetPlans()) != 7 {
		t.Errorf("a user without account: %v, %v", info, err)
	}
	page, err := billv1.NewBillAdminServiceClient(admin).ListProducts(ctx, &billv1.ListProductsRequest{PageSize: 1})
	if err != nil || len(page.GetProducts()) != 1 || page.GetNextPageToken() == "" {
		t.Fatal(page, err)
	}
	page, err = billv1.NewBillAdminServiceClient(admin).ListProducts(ctx, &billv1.ListProductsRequest{PageToken: page.GetNextPageToken()})
	if err != nil || len(page.GetProducts()) != 1 || page.GetProducts()[0].GetTenors()[0].GetRatePpm() != 240_000 || page.GetNextPageToken() != "" {
		t.Error(page, err)
	}
	for name, c := range map[string]struct {
		call func() error
		want errs.Reason
	}{
		"malformed commit id": {func() error {
			_, err := internal.ReleaseCredit(ctx, &billv1.ReleaseCreditRequest{CommitId: "ord_1"})
			return err
		}, errs.InvalidArgument},
		"malformed order id": {func() error {
			_, err := internal.BatchGetLoans(ctx, &billv1.BatchGetLoansRequest{OrderIds: []string{"x"}})
			return err
		}, errs.InvalidArgument},
		"malformed order id of a contract": {func() error {
			_, err := internal.BatchGetContracts(ctx, &billv1.BatchGetContractsRequest{OrderIds: []string{"x"}})
			return err
		}, errs.InvalidArgument},
		"unknown currency": {func() error {
			_, err := billv1.NewBillServiceClient(spm).QueryUserInstalmentInfo(ctx, &billv1.QueryUserInstalmentInfoRequest{
				UserId: "u1", Amount: &commonv1.Money{AmountMinor: new(int64(1)), CurrencyCode: "ZZZ"}, Business: "marketplace"})
			return err
		}, errs.InvalidArgument},
		"user of the home marketplace by its name": {func() error {
			_, err := billv1.NewBillAdminServiceClient(admin).OpenCreditAccount(ctx, &billv1.OpenCreditAccountRequest{RequestId: "request-8",
				UserId: "marketplace~u1", Limit: &commonv1.Money{AmountMinor: new(int64(1)), CurrencyCode: "IDR"}, Reason: "new"})
			return err
		}, errs.InvalidArgument},
		"page token of nobody": {func() error {
			_, err := billv1.NewBillAdminServiceClient(admin).ListProducts(ctx, &billv1.ListProductsRequest{PageToken: "!"})
			return err
		}, errs.PageTokenInvalid},
		"product without a method": {func() error {
			_, err := billv1.NewBillAdminServiceClient(admin).CreateProductVersion(ctx, &billv1.CreateProductVersionRequest{
				RequestId: "request-9", Product: &billv1.Product{Code: "X", Name: "x", CurrencyCode: "IDR"}})
			return err
		}, errs.InvalidArgument},
		"product whose code is no name": {func() error {
			_, err := billv1.NewBillAdminServiceClient(admin).CreateProductVersion(ctx, &billv1.CreateProductVersionRequest{
				RequestId: "request-9", Product: &billv1.Product{Code: "../x\n", Name: "x", CurrencyCode: "IDR",
					InterestMethod: commonv1.InterestMethod_INTEREST_METHOD_ZERO}})
			return err
		}, errs.InvalidArgument},
		"account of nobody": {func() error {
			_, err := billv1.NewBillAdminServiceClient(admin).GetCreditAccount(ctx, &billv1.GetCreditAccountRequest{UserId: "nobody"})
			return err
		}, errs.AccountNotFound},
		"malformed refund id": {func() error {
			_, err := internal.AdjustForRefund(ctx, &billv1.AdjustForRefundRequest{RefundId: "rfd_1", OrderId: "ord_1", Amount: rp(1)})
			return err
		}, errs.InvalidArgument},
		"malformed repayment id": {func() error {
			_, err := internal.KeepRefundAsCredit(ctx, &billv1.KeepRefundAsCreditRequest{
				RefundId: ids.Format(ids.Refund, b.ids.New()), RepaymentId: "rpy_1"})
			return err
		}, errs.InvalidArgument},
		"refund of an order without a loan": {func() error {
			_, err := internal.PreviewRefundAdjustment(ctx, &billv1.PreviewRefundAdjustmentRequest{
				OrderId: ids.Format(ids.Order, b.ids.New()), Amount: rp(1)})
			return err
		}, errs.NotFound},
		"not for the marketplace": {func() error {
			_, err := billv1.NewBillInternalServiceClient(spm).ReleaseCredit(ctx, &billv1.ReleaseCreditRequest{CommitId: "cmt_1"})
			return err
		}, errs.CallerNotAllowed},
	} {
		if err := c.call(); !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want.Name())
		}
	}
}

func TestConfigThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	good := bill.Config{Config: spine.Config{DSN: "x", Brokers: []string{"y"}, Security: kafkax.Security{Plaintext: true}}, ProductRefresh: time.Second, PlanCacheSize: 1}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*bill.Config){
		"no database":      func(c *bill.Config) { c.DSN = "" },
		"no broker":        func(c *bill.Config) { c.Brokers = nil },
		"negative refresh": func(c *bill.Config) { c.ProductRefresh = -1 },
		"endless cache":    func(c *bill.Config) { c.PlanCacheSize = 1 << 30 },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
