package payment_test

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

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
	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/pkg/spine"
	"github.com/creditpay/creditpay/pkg/testkit"

	"github.com/creditpay/creditpay/services/payment"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const user, pin = "u1", "482913"

// kindIsToken takes the token for the kind of the caller; H5 speaks for the one user.
type kindIsToken struct{}

func (kindIsToken) Verify(token string, _ time.Time) (caller.Caller, error) {
	text, name, _ := strings.Cut(token, ":")
	kind, ok := caller.ParseKind(text)
	if !ok {
		return caller.Caller{}, errs.TokenInvalid.New("no such kind")
	}
	c := caller.Caller{Kind: kind, Name: cmp.Or(name, "test")}
	switch kind {
	case caller.H5:
		c.UserID, c.FactorTime = user, time.Now().Unix()
	case caller.Admin:
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

// orderWithTwo is an order service with one checkout of two orders that any commit may take.
type orderWithTwo struct {
	orderv1.UnimplementedOrderInternalServiceServer
	mu       sync.Mutex
	checkout string
	orders   []*orderv1.PayableOrder
	// aborted counts the commits that gave it back.
	aborted int
}

func (o *orderWithTwo) GetCheckout(context.Context, *orderv1.GetCheckoutRequest) (*orderv1.GetCheckoutResponse, error) {
	return &orderv1.GetCheckoutResponse{UserId: user, Business: "marketplace", Orders: o.orders, PayableAmount: rp(300), State: orderv1.CheckoutState_CHECKOUT_STATE_OPEN,
		ExpireTime: timestamppb.New(time.Now().Add(time.Hour))}, nil
}

func (o *orderWithTwo) BeginCommit(context.Context, *orderv1.BeginCommitRequest) (*orderv1.BeginCommitResponse, error) {
	return &orderv1.BeginCommitResponse{Business: "marketplace", Orders: o.orders}, nil
}

func (o *orderWithTwo) AbortCommit(context.Context, *orderv1.AbortCommitRequest) (*orderv1.AbortCommitResponse, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.aborted++
	return &orderv1.AbortCommitResponse{}, nil
}

// billWithDownPayment offers one plan, which asks for a tenth at once.
type billWithDownPayment struct {
	billv1.UnimplementedBillInternalServiceServer
}

func (billWithDownPayment) QuotePlans(context.Context, *billv1.QuotePlansRequest) (*billv1.QuotePlansResponse, error) {
	return &billv1.QuotePlansResponse{Allowed: true, RequiredActions: []commonv1.RequiredAction{commonv1.RequiredAction_REQUIRED_ACTION_DOWN_PAYMENT},
		Offers: []*billv1.PlanOffer{{Total: &commonv1.Plan{ProductCode: "DP", ProductVersion: 2, TenorMonths: 3, Principal: rp(270), Total: rp(290), DownPayment: rp(30)}}}}, nil
}

func (billWithDownPayment) ReserveCredit(_ context.Context, req *billv1.ReserveCreditRequest) (*billv1.ReserveCreditResponse, error) {
	res := &billv1.ReserveCreditResponse{}
	for i, o := range req.GetOrders() {
		res.Loans = append(res.Loans, &billv1.ReservedLoan{OrderId: o.GetOrderId(), LoanId: fmt.Sprintf("lon_%d", i), DownPayment: rp(o.GetAmount().GetAmountMinor() / 10)})
	}
	return res, nil
}

// GetRepayment confirms the only repayment that is asked for here.
func (billWithDownPayment) GetRepayment(context.Context, *billv1.GetRepaymentRequest) (*billv1.GetRepaymentResponse, error) {
	return &billv1.GetRepaymentResponse{UserId: user, Channel: "QRIS", Amount: rp(5000), State: billv1.RepaymentState_REPAYMENT_STATE_PENDING}, nil
}

func (billWithDownPayment) ReleaseCredit(context.Context, *billv1.ReleaseCreditRequest) (*billv1.ReleaseCreditResponse, error) {
	return &billv1.ReleaseCreditResponse{}, nil
}

func rp(minor int64) *commonv1.Money {
	return &commonv1.Money{AmountMinor: new(minor), CurrencyCode: "IDR"}
}

// bed is the whole service behind its door, between an order and a bill service on the wire.
type bed struct {
	h5, spm  paymentv1.PaymentServiceClient
	internal paymentv1.PaymentInternalServiceClient
	admin    paymentv1.PaymentAdminServiceClient
	// intruder calls the operator's service as the marketplace.
	intruder paymentv1.PaymentAdminServiceClient
	order    *orderWithTwo
	dsn      string
}

func newBed(t *testing.T, downPaymentLife time.Duration) *bed {
	t.Helper()
	gen := ids.NewGenerator(clock.System())
	b := &bed{dsn: testkit.Database(t), order: &orderWithTwo{checkout: ids.Format(ids.Checkout, gen.New())}}
	for _, minor := range []int64{100, 200} {
		b.order.orders = append(b.order.orders, &orderv1.PayableOrder{OrderId: ids.Format(ids.Order, gen.New()), PaymentId: ids.Format(ids.Payment, gen.New()),
			MerchantId: "shop", Amount: rp(minor), State: orderv1.OrderState_ORDER_STATE_CREATED})
	}
	neighbours := serve(t, func(r grpc.ServiceRegistrar) {
		orderv1.RegisterOrderInternalServiceServer(r, b.order)
		billv1.RegisterBillInternalServiceServer(r, billWithDownPayment{})
	})
	keys, err := secret.GenerateKeyring()
	if err != nil {
		t.Fatal(err)
	}
	broker := testkit.Broker(t, localbroker.Topic{Name: "creditpay.order.events.v1", Partitions: 1})
	var events eventsigtest.Keys
	cfg := payment.Config{Config: spine.Config{DSN: b.dsn, DBConns: 8, Brokers: []string{broker}, KafkaPartitions: 1, KafkaReplicas: 1, Migrate: true,
		Security: kafkax.Security{Plaintext: true}},
		QuoteLife: time.Minute, RecoverAfter: time.Second, Patience: time.Minute, CashURL: "https://pay.example/cash", CashChannels: []string{"QRIS:QRIS"},
		DownPaymentLife: downPaymentLife, RepaymentLife: time.Second}
	svc, err := payment.New(t.Context(), cfg, payment.Deps{Spine: spine.Deps{Log: zap.NewNop(), Clock: clock.System(), IDs: gen, Owner: "test",
		Signer: events.Signer(t, payment.Name), EventKeys: &events}, Keys: keys,
		Order: neighbours(caller.Service), Bill: neighbours(caller.Service)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- svc.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := svc.Close(); err != nil {
			t.Error(err)
		}
	})
	dial := serve(t, svc.Register)
	b.h5, b.spm = paymentv1.NewPaymentServiceClient(dial(caller.H5)), paymentv1.NewPaymentServiceClient(dial(caller.SPM))
	b.internal = paymentv1.NewPaymentInternalServiceClient(dial(caller.Service))
	b.admin, b.intruder = paymentv1.NewPaymentAdminServiceClient(dial(caller.Admin)), paymentv1.NewPaymentAdminServiceClient(dial(caller.SPM))
	if _, err := b.h5.SetPaymentPin(t.Context(), &paymentv1.SetPaymentPinRequest{RequestId: "pin-0001", NewPin: pin}); err != nil {
		t.Fatal(err)
	}
	return b
}

// serve serves in memory and gives the way to dial in as a kind of caller.
func serve(t *testing.T, register func(grpc.ServiceRegistrar)) func(caller.Kind) *grpc.ClientConn {
	t.Helper()
	options, err := rpckit.ServerOptions(rpckit.Config{Verifier: kindIsToken{}})
	if err != nil {
		t.Fatal(err)
	}
	server, wire := grpc.NewServer(options...), bufconn.Listen(1<<20)
	register(rpckit.Registrar(server))
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(wire) }()
	t.Cleanup(func() {
		server.GracefulStop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return func(kind caller.Kind) *grpc.ClientConn {
		conn, err := rpckit.Dial("passthrough:///memory", rpckit.ClientConfig{TokenSource: tokenOf(kind.String()), Transport: rpckit.Plaintext,
			Dialer: func(ctx context.Context, _ string) (net.Conn, error) { return wire.DialContext(ctx) }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
}

func (b *bed) choice(channel string) *paymentv1.PlanChoice {
	return &paymentv1.PlanChoice{Channel: "CREDIT", ProductCode: "DP", ProductVersion: 2, TenorMonths: 3, AgreedTotal: rp(290), DownPaymentChannel: channel}
}

// commit pays and gives the leg that the payer is sent to.
func (b *bed) commit(t *testing.T) (*paymentv1.DoCommitPaymentResponse, *paymentv1.CashLeg) {
	t.Helper()
	res, err := b.h5.DoCommitPayment(t.Context(), &paymentv1.DoCommitPaymentRequest{RequestId: "commit-1", CheckoutId: b.order.checkout, Choice: b.choice("QRIS"), Pin: pin})
	if err != nil || res.GetState() != paymentv1.PaymentState_PAYMENT_STATE_PROCESSING {
		t.Fatal(res, err)
	}
	got, err := b.internal.GetCashLeg(t.Context(), &paymentv1.GetCashLegRequest{SubjectId: res.GetCommitId()})
	if err != nil {
		t.Fatal(err)
	}
	return res, got.GetLeg()
}

func (b *bed) notify(t *testing.T, l *paymentv1.CashLeg, status paymentv1.ExternalLegStatus) paymentv1.LegState {
	t.Helper()
	res, err := b.spm.NotifyPaymentStatus(t.Context(), &paymentv1.NotifyPaymentStatusRequest{RequestId: "notice-" + status.String()[20:] + "-" + l.GetReference()[20:],
		ExternalReference: l.GetReference(), Leg: l.GetKind(), Status: status, Amount: l.GetAmount(), PayTime: timestamppb.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetState()
}

func (b *bed) auditBooks(t *testing.T) {
	t.Helper()
	db, err := mysqlx.Open(b.dsn, mysqlx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	found, err := audit.Run(t.Context(), db, payment.Name, time.Now(), append(payment.Audit(), audit.Mechanism()...))
	if err != nil || len(found) != 0 {
		t.Errorf("audit: %v, %v", found, err)
	}
}

func TestADownPaymentFromPlanToPaidOverTheWire(t *testing.T) {
	t.Parallel()
	b := newBed(t, time.Minute)
	ctx := t.Context()
	check := func(channel string) *paymentv1.CheckCommitPaymentResponse {
		res, err := b.h5.CheckCommitPayment(ctx, &paymentv1.CheckCommitPaymentRequest{CheckoutId: b.order.checkout, Choice: b.choice(channel)})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if r := check(""); r.GetReady() || len(r.GetRequiredActions()) != 2 || r.GetRequiredActions()[1] != commonv1.RequiredAction_REQUIRED_ACTION_DOWN_PAYMENT {
		t.Errorf("without a channel: %v", r)
	}
	if r := check("QRIS"); !r.GetReady() {
		t.Errorf("with a channel: %v", r)
	}
	res, leg := b.commit(t)
	url := res.GetNextAction().GetRedirect().GetUrl()
	if url != "https://pay.example/cash?reference="+leg.GetReference() || leg.GetRedirectUrl() != url || leg.GetAmount().GetAmountMinor() != 30 ||
		leg.GetChannel() != "QRIS" || leg.GetSubjectId() != res.GetCommitId() || leg.GetUserId() != user {
		t.Fatalf("sent to %q for %v", url, leg)
	}
	st, err := b.h5.QueryPaymentStatus(ctx, &paymentv1.QueryPaymentStatusRequest{CheckoutId: b.order.checkout})
	if err != nil || st.GetState() != paymentv1.PaymentState_PAYMENT_STATE_PROCESSING || !proto.Equal(st.GetNextAction(), res.GetNextAction()) {
		t.Errorf("asked again: %v, %v, want %v", st, err, res.GetNextAction())
	}
	if s := b.notify(t, leg, paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_PAID); s != paymentv1.LegState_LEG_STATE_SUCCEEDED {
		t.Fatalf("leg is %s", s)
	}
	st, err = b.h5.QueryPaymentStatus(ctx, &paymentv1.QueryPaymentStatusRequest{CheckoutId: b.order.checkout})
	if err != nil || st.GetState() != paymentv1.PaymentState_PAYMENT_STATE_SUCCEEDED || len(st.GetPayments()) != 2 || len(st.GetPayments()[0].GetLegs()) != 2 ||
		st.GetNextAction() != nil {
		t.Fatal(st, err)
	}
	down, err := b.spm.QueryDownPayResult(ctx, &paymentv1.QueryDownPayResultRequest{OrderId: b.order.orders[1].GetOrderId()})
	if err != nil || down.GetLeg().GetAmount().GetAmountMinor() != 20 || down.GetLeg().GetPaymentId() != b.order.orders[1].GetPaymentId() ||
		down.GetLeg().GetKind() != paymentv1.ChannelKind_CHANNEL_KIND_CASH || down.GetLeg().GetReference() != leg.GetReference() {
		t.Error(down, err)
	}
	history, err := b.internal.BatchGetPayments(ctx, &paymentv1.BatchGetPaymentsRequest{OrderIds: []string{b.order.orders[0].GetOrderId()}})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, e := range history.GetTimeline() {
		seen = append(seen, e.GetObjectId()[:3]+" "+e.GetFromState()+">"+e.GetToState())
	}
	if got := strings.Join(seen, ", "); got != "leg >PENDING, leg PENDING>SUCCEEDED, cmt >STARTED, cmt AWAITING_CASH>SUCCEEDED, pay >SUCCEEDED" {
		t.Errorf("timeline %s", got)
	}
	b.auditBooks(t)
}

func TestTimersEndWhatNobodyPays(t *testing.T) {
	t.Parallel()
	b := newBed(t, 300*time.Millisecond)
	ctx := t.Context()
	opened, err := b.internal.OpenCashLeg(ctx, &paymentv1.OpenCashLegRequest{Kind: paymentv1.ExternalLegKind_EXTERNAL_LEG_KIND_REPAYMENT,
		SubjectId: ids.Format(ids.Repayment, ids.NewGenerator(clock.System()).New()), UserId: user, Channel: "QRIS", Amount: rp(5000)})
	if err != nil {
		t.Fatal(err)
	}
	res, leg := b.commit(t)
	for _, subject := range []string{res.GetCommitId(), opened.GetLeg().GetSubjectId()} {
		testkit.Eventually(t, 15*time.Second, func() bool {
			got, err := b.internal.GetCashLeg(ctx, &paymentv1.GetCashLegRequest{SubjectId: subject})
			return err == nil && got.GetLeg().GetState() == paymentv1.LegState_LEG_STATE_FAILED && got.GetLeg().GetRedirectUrl() == ""
		})
	}
	testkit.Eventually(t, 15*time.Second, func() bool {
		st, err := b.h5.QueryPaymentStatus(ctx, &paymentv1.QueryPaymentStatusRequest{CheckoutId: b.order.checkout})
		return err == nil && st.GetState() == paymentv1.PaymentState_PAYMENT_STATE_FAILED && st.GetFailureReason() == commonv1.ErrorReason_ERROR_REASON_COMMIT_ABORTED
	})
	b.order.mu.Lock()
	aborted := b.order.aborted
	b.order.mu.Unlock()
	if aborted == 0 {
		t.Error("the checkout was not given back")
	}
	if s := b.notify(t, opened.GetLeg(), paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_FAILED); s != paymentv1.LegState_LEG_STATE_FAILED {
		t.Errorf("leg is %s", s)
	}
	if s := b.notify(t, leg, paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_REFUNDED); s != paymentv1.LegState_LEG_STATE_REVERSED {
		t.Errorf("leg is %s", s)
	}
	b.auditBooks(t)
}

func TestAnOperatorListsNotificationsThatDidNotFit(t *testing.T) {
	t.Parallel()
	b := newBed(t, time.Minute)
	ctx := t.Context()
	res, leg := b.commit(t)
	at := timestamppb.New(time.Now().Truncate(time.Millisecond))
	wrong := &paymentv1.NotifyPaymentStatusRequest{RequestId: "notice-wrong", ExternalReference: leg.GetReference(), Leg: leg.GetKind(),
		Status: paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_PAID, Amount: rp(31), PayTime: at}
	if _, err := b.spm.NotifyPaymentStatus(ctx, wrong); !errs.Is(err, errs.LegAmountMismatch) {
		t.Fatal(err)
	}
	b.notify(t, leg, paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_PAID)
	b.notify(t, leg, paymentv1.ExternalLegStatus_EXTERNAL_LEG_STATUS_FAILED)
	first, err := b.admin.ListUnfitNotifications(ctx, &paymentv1.ListUnfitNotificationsRequest{PageSize: 1})
	if err != nil || len(first.GetNotifications()) != 1 || first.GetNextPageToken() == "" ||
		first.GetNotifications()[0].GetMisfit() != paymentv1.Misfit_MISFIT_CONTRADICTION {
		t.Fatal(first, err)
	}
	last, err := b.admin.ListUnfitNotifications(ctx, &paymentv1.ListUnfitNotificationsRequest{PageSize: 1, PageToken: first.GetNextPageToken()})
	if err != nil || len(last.GetNotifications()) != 1 || last.GetNextPageToken() != "" {
		t.Fatal(last, err)
	}
	n := last.GetNotifications()[0]
	now, err := b.internal.GetCashLeg(ctx, &paymentv1.GetCashLegRequest{SubjectId: res.GetCommitId()})
	if err != nil || !proto.Equal(n.GetLeg(), now.GetLeg()) || !strings.HasPrefix(n.GetNotificationId(), "ntf_") || n.GetMisfit() != paymentv1.Misfit_MISFIT_MISMATCH ||
		n.GetStatus() != wrong.GetStatus() || !proto.Equal(n.GetAmount(), rp(31)) || !proto.Equal(n.GetPayTime(), at) ||
		n.GetStateThen() != paymentv1.LegState_LEG_STATE_PENDING || n.GetCaller() != "SPM:test" || n.GetRequestId() != "notice-wrong" || n.GetCreateTime() == nil {
		t.Errorf("notification %v, leg %v, %v", n, now, err)
	}
	for name, c := range map[string]struct {
		req  *paymentv1.ListUnfitNotificationsRequest
		want int
	}{
		"contradictions": {&paymentv1.ListUnfitNotificationsRequest{Misfit: paymentv1.Misfit_MISFIT_CONTRADICTION}, 1},
		"of repayments":  {&paymentv1.ListUnfitNotificationsRequest{Leg: paymentv1.ExternalLegKind_EXTERNAL_LEG_KIND_REPAYMENT}, 0},
		"until now":      {&paymentv1.ListUnfitNotificationsRequest{FromTime: at, ToTime: timestamppb.New(time.Now().Add(time.Second))}, 2},
		"of later":       {&paymentv1.ListUnfitNotificationsRequest{FromTime: timestamppb.New(time.Now().Add(time.Second))}, 0},
	} {
		if got, err := b.admin.ListUnfitNotifications(ctx, c.req); err != nil || len(got.GetNotifications()) != c.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for name, c := range map[string]struct {
		client paymentv1.PaymentAdminServiceClient
		req    *paymentv1.ListUnfitNotificationsRequest
		want   errs.Reason
	}{
		"the marketplace":         {b.intruder, &paymentv1.ListUnfitNotificationsRequest{}, errs.CallerNotAllowed},
		"a foreign page token":    {b.admin, &paymentv1.ListUnfitNotificationsRequest{PageToken: "bGVn"}, errs.PageTokenInvalid},
		"a damaged page token":    {b.admin, &paymentv1.ListUnfitNotificationsRequest{PageToken: "!"}, errs.PageTokenInvalid},
		"a misfit that is none":   {b.admin, &paymentv1.ListUnfitNotificationsRequest{Misfit: 9}, errs.InvalidArgument},
		"a page that is too long": {b.admin, &paymentv1.ListUnfitNotificationsRequest{PageSize: 101}, errs.InvalidArgument},
		"no time":                 {b.admin, &paymentv1.ListUnfitNotificationsRequest{ToTime: &timestamppb.Timestamp{Seconds: 1 << 60}}, errs.InvalidArgument},
	} {
		if _, err := c.client.ListUnfitNotifications(ctx, c.req); !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want.Name())
		}
	}
	b.auditBooks(t)
}
