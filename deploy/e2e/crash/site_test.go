package crash

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	opsv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/ops/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/localdb"
	"github.com/creditpay/creditpay/pkg/testkit"

	"github.com/creditpay/creditpay/deploy/audit"
	"github.com/creditpay/creditpay/deploy/devstack"
	"github.com/creditpay/creditpay/deploy/devstack/program"
	"github.com/creditpay/creditpay/deploy/keys"
	"github.com/creditpay/creditpay/deploy/signing"
)

const (
	// settleTime bounds how long everything may take to settle after a crash.
	settleTime = 40 * time.Second
	// leaseTime is longer than any lease of the stack; its clock is moved by so much, or every crash would cost half a minute.
	leaseTime = 35 * time.Second

	price      = 100_000
	tenor      = 3
	buyerPIN   = "194728"
	buyerLimit = 1_000_000_000_000
)

// site is a place where a stack is started and killed; its database and its files survive.
type site struct {
	db      *localdb.Instance
	dir     string
	env     []string
	process *process
	conn    *grpc.ClientConn
	info    devstack.Info
	creds   devstack.Credentials
}

func newSite(t *testing.T, env ...string) *site {
	t.Helper()
	s := &site{db: testkit.MySQLInstance(t), dir: shortDir(t)}
	grpcAddr := freeAddr(t)
	s.env = append(slices.Clone(env), "CREDITPAY_STATE_DIR="+filepath.Join(s.dir, "state"), "CREDITPAY_DEMO_PURCHASE=false", "CREDITPAY_LOG_LEVEL=error",
		"CREDITPAY_HTTP_ADDR="+freeAddr(t), "CREDITPAY_GRPC_ADDR="+grpcAddr,
		"CREDITPAY_OPS_ADDR=off", "CREDITPAY_CALL_RATES=H5=1000/1000,SPM=5000/10000,ADMIN=500/1000", "CREDITPAY_MYSQL_DSN="+s.db.AdminDSN())
	var err error
	s.conn, err = grpc.NewClient(grpcAddr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithConnectParams(grpc.ConnectParams{
		Backoff: backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.2, MaxDelay: 100 * time.Millisecond}, MinConnectTimeout: time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.conn.Close()
		if s.process != nil {
			s.process.Kill()
		}
	})
	return s
}

// start starts the stack; crashAfter is the transaction, counted from arm on, after which it kills itself, 0 for none.
func (s *site) start(t *testing.T, crashAfter int) {
	t.Helper()
	file, err := program.Devstack()
	if err != nil {
		t.Fatal(err)
	}
	env := append([]string{fmt.Sprintf("CREDITPAY_CRASH_AFTER_TX=%d", crashAfter)}, s.env...)
	if s.process, err = run(file, env, "make audit"); err != nil {
		t.Fatal(err)
	}
	if s.info, s.creds, err = devstack.ReadInfo(filepath.Join(s.dir, "state")); err != nil {
		t.Fatal(err)
	}
	// The first connection after a crash may still be the dead one.
	testkit.Eventually(t, 10*time.Second, func() error {
		_, err := s.orders().GetOrderInfo(as(t.Context(), s.creds.SPMToken), &orderv1.GetOrderInfoRequest{OrderId: "ord_00000000000000000000000000"})
		if status.Code(err) == codes.Unavailable {
			return err
		}
		return nil
	})
}

func (s *site) orders() orderv1.OrderServiceClient { return orderv1.NewOrderServiceClient(s.conn) }
func (s *site) payments() paymentv1.PaymentServiceClient {
	return paymentv1.NewPaymentServiceClient(s.conn)
}
func (s *site) bills() billv1.BillServiceClient { return billv1.NewBillServiceClient(s.conn) }

// skipLeases moves the stack's clock past the leases that the dead process held.
func (s *site) skipLeases(t *testing.T) {
	t.Helper()
	if err := s.advance(t.Context(), leaseTime); err != nil {
		t.Fatal(err)
	}
}

// advance moves the stack's clock.
func (s *site) advance(ctx context.Context, d time.Duration) error {
	_, err := opsv1.NewOpsServiceClient(s.conn).AdvanceClock(as(ctx, s.creds.AdminToken), &opsv1.AdvanceClockRequest{Duration: durationpb.New(d)})
	return err
}

// now is the time by the stack's clock.
func (s *site) now(t *testing.T) time.Time {
	t.Helper()
	offset, err := devstack.ClockOffset(filepath.Join(s.dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	return time.Now().UTC().Add(offset)
}

// until is how long it is by the stack's clock until noon of a day in Jakarta.
func (s *site) until(t *testing.T, day civil.Date) time.Duration {
	t.Helper()
	return day.In(civil.Jakarta()).Add(12 * time.Hour).Sub(s.now(t))
}

// mustReach brings the stack's clock to noon of a day in Jakarta.
func (s *site) mustReach(t *testing.T, day civil.Date) {
	t.Helper()
	if d := s.until(t, day); d > 0 {
		if err := s.advance(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
}

// proveBooks waits until the audit finds nothing, and no event waits.
func (s *site) proveBooks(t *testing.T) {
	t.Helper()
	r, err := audit.Run(t.Context(), audit.Config{Order: s.info.Schemas["order"], Payment: s.info.Schemas["payment"], Bill: s.info.Schemas["bill"],
		Refund: s.info.Schemas["refund"], Notification: s.info.Schemas["notification"],
		Now: func() time.Time { return s.now(t) }, Settle: settleTime})
	if err != nil || r.Checks == 0 {
		t.Fatalf("audit of %d checks: %v", r.Checks, err)
	}
	for _, f := range r.Findings {
		t.Errorf("audit: %s %s %s: %s", f.Service, f.Check, f.ID, f.Text)
	}
	testkit.Eventually(t, settleTime, func() error {
		for _, name := range []string{"order", "payment", "bill", "refund"} {
			if n, err := s.count(t.Context(), `SELECT COUNT(*) FROM creditpay_`+name+`.outbox WHERE published = 0`); err != nil || n != 0 {
				return fmt.Errorf("%d events wait at %s: %w", n, name, err)
			}
		}
		return nil
	})
}

// read asks the database for one value.
func (s *site) read(ctx context.Context, value any, query string, args ...any) error {
	db, err := sql.Open("mysql", s.db.AdminDSN())
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return db.QueryRowContext(ctx, query, args...).Scan(value)
}

// count asks the database for a number.
func (s *site) count(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = s.read(ctx, &n, query, args...)
	return n, err
}

func (s *site) mustCount(t *testing.T, query string, args ...any) int64 {
	t.Helper()
	n, err := s.count(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (s *site) mustDate(t *testing.T, query string) (day civil.Date) {
	t.Helper()
	if err := s.read(t.Context(), &day, query); err != nil {
		t.Fatal(err)
	}
	return day
}

// buyer is a user with an account, a signed contract and a PIN, who shops at the marketplace.
type buyer struct {
	site             *site
	user, token, spm string
}

func (s *site) newBuyer(t *testing.T, user string) *buyer {
	t.Helper()
	b := s.newUser(t, user)
	state := filepath.Join(s.dir, "state")
	if err := (signing.Desk{Order: s.conn, Payment: s.conn, Bill: s.conn, SPMToken: s.creds.SPMToken, AdminToken: s.creds.AdminToken,
		Codes: devstack.CodesDir(state)}).Sign(t.Context(), user, b.token); err != nil {
		t.Fatal(err)
	}
	b.setPin(t)
	return b
}

// newUser is a user with an account, who signed nothing and has no PIN.
func (s *site) newUser(t *testing.T, user string) *buyer {
	t.Helper()
	tokens, err := keys.Open(devstack.KeysDir(filepath.Join(s.dir, "state")))
	if err != nil {
		t.Fatal(err)
	}
	b := &buyer{site: s, user: user, spm: s.creds.SPMToken}
	if b.token, err = tokens.Mint(caller.Caller{Kind: caller.H5, Name: "h5", UserID: user, FactorTime: time.Now().Unix()}, time.Hour, time.Now()); err != nil {
		t.Fatal(err)
	}
	_, err = billv1.NewBillAdminServiceClient(s.conn).OpenCreditAccount(as(t.Context(), s.creds.AdminToken), &billv1.OpenCreditAccountRequest{
		RequestId: "open-" + user, UserId: user, Reason: "crash test", Limit: &commonv1.Money{AmountMinor: new(int64(buyerLimit)), CurrencyCode: "IDR"}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *buyer) setPin(t *testing.T) {
	t.Helper()
	if _, err := b.site.payments().SetPaymentPin(as(t.Context(), b.token), &paymentv1.SetPaymentPinRequest{RequestId: "pin-" + b.user, NewPin: buyerPIN}); err != nil {
		t.Fatal(err)
	}
}

func as(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// reason gives the reason of a refusal on the wire; empty for what came from the transport.
func reason(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// passing reports whether a caller is to repeat the same call with the same request_id.
func passing(err error) bool {
	switch reason(err) {
	case "DEPENDENCY_UNAVAILABLE", "REQUEST_IN_FLIGHT", "CONCURRENT_CHANGE", "DEADLINE_TOO_SHORT", "CHECKOUT_COMMITTING":
		return true
	case "":
		// A connection that broke, or a call that took longer than its caller waited.
		return status.Code(err) == codes.Unavailable || status.Code(err) == codes.DeadlineExceeded
	default:
		return false
	}
}

const (
	callTime = 8 * time.Second
	// patience bounds how long a caller repeats one call.
	patience = time.Minute
	again    = 25 * time.Millisecond
)

// keep repeats a call as its contract says, until it is done or refused for good.
func keep(ctx context.Context, call func(ctx context.Context) error) error {
	deadline := time.Now().Add(patience)
	for {
		one, cancel := context.WithTimeout(ctx, callTime)
		err := call(one)
		cancel()
		if err == nil || !passing(err) || time.Now().After(deadline) || !pause(ctx, again) {
			return err
		}
	}
}
