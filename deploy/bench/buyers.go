package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/ids"
)

const (
	buyerPIN   = "194728"
	buyerLimit = 1_000_000_000_000
	// usersPerBuyer is how many users each concurrent buyer shops for in turn: nobody buys all day without a pause.
	usersPerBuyer = 10
	tokenLife     = 12 * time.Hour
	// drainPatience bounds the wait for the last loan.
	drainPatience = 2 * time.Minute
	drainPoll     = 20 * time.Millisecond
	// planPatience bounds the wait for a product that was just made.
	planPatience = 15 * time.Second
)

// buyer is one user with an open credit account and a PIN.
type buyer struct{ userID, token string }

// market is the load generator: the marketplace and its users.
type market struct {
	stack    *stack
	clients  clients
	order    orderv1.OrderServiceClient
	spmToken string
	ids      *ids.Generator
	users    []*buyer
	// plan is what the pages of the marketplace show.
	plan *paymentv1.PlanChoice
}

func newMarket(s *stack) (m *market, err error) {
	m = &market{stack: s, ids: ids.NewGenerator(clock.System())}
	for addr, conn := range map[string]**grpc.ClientConn{
		s.grpcAddr[orderProcess]: &m.clients.order, s.grpcAddr[paymentProcess]: &m.clients.payment, s.grpcAddr[billProcess]: &m.clients.bill,
	} {
		if *conn, err = grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
			m.clients.close()
			return nil, err
		}
	}
	m.order = orderv1.NewOrderServiceClient(m.clients.order)
	m.spmToken, err = s.tokens.Mint(caller.Caller{Kind: caller.SPM, Name: "marketplace"}, tokenLife, time.Now())
	return m, err
}

func (m *market) close() { m.clients.close() }

func (m *market) overGRPC() payer {
	return grpcPayer{client: paymentv1.NewPaymentServiceClient(m.clients.payment)}
}

// withQuote gives a payer whose page locks a quote first.
func (m *market) withQuote() payer {
	return grpcPayer{client: paymentv1.NewPaymentServiceClient(m.clients.payment), quoted: true}
}

// atOnce gives a payer whose goods are received in the moment in which they are paid: the confirmation overtakes the events.
func (m *market) atOnce() payer {
	return grpcPayer{client: paymentv1.NewPaymentServiceClient(m.clients.payment), hasty: true}
}

// showPlan asks for the plans of a product page and keeps the one of that product that is bought by. A new product shows a little later.
func (m *market) showPlan(ctx context.Context, product string) error {
	deadline := time.Now().Add(planPatience)
	for {
		err := m.findPlan(ctx, product)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		pause := time.NewTimer(100 * time.Millisecond)
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
	}
}

func (m *market) findPlan(ctx context.Context, product string) error {
	res, err := billv1.NewBillServiceClient(m.clients.bill).QueryUserInstalmentInfo(as(ctx, m.spmToken), &billv1.QueryUserInstalmentInfoRequest{
		UserId: "bench-visitor", Business: "marketplace", Amount: &commonv1.Money{AmountMinor: new(int64(purchaseAmount)), CurrencyCode: currency}})
	if err != nil {
		return fmt.Errorf("ask for the plans: %w", err)
	}
	for _, p := range res.GetPlans() {
		if p.GetTenorMonths() == purchaseTenor && p.GetProductCode() == product {
			m.plan = &paymentv1.PlanChoice{Channel: "CREDIT", ProductCode: p.GetProductCode(), ProductVersion: p.GetProductVersion(),
				TenorMonths: p.GetTenorMonths(), AgreedTotal: p.GetTotal()}
			return nil
		}
	}
	return fmt.Errorf("no plan of %d months is offered in %s", purchaseTenor, product)
}

// overREST gives a payer who calls the gateway, with so many connections kept open.
func (m *market) overREST(conns int) payer {
	return restPayer{base: "http://" + m.stack.httpAddr[gatewayProcess], client: &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConns: conns, MaxIdleConnsPerHost: conns},
	}}
}

// open makes sure that there are at least n users, each with a credit account and a PIN.
func (m *market) open(ctx context.Context, n int) error {
	admin, err := m.adminToken()
	if err != nil {
		return err
	}
	missing := make([]*buyer, max(0, n-len(m.users)))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(32)
	for i := range missing {
		userID := fmt.Sprintf("bench-user-%06d", len(m.users)+i)
		group.Go(func() error {
			b, err := m.openOne(ctx, userID, admin)
			missing[i] = b
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("open users: %w", err)
	}
	m.users = append(m.users, missing...)
	return nil
}

func (m *market) adminToken() (string, error) {
	return m.stack.tokens.Mint(caller.Caller{Kind: caller.Admin, Name: "bench", Roles: caller.EveryRole()}, tokenLife, time.Now())
}

func (m *market) openOne(ctx context.Context, userID, adminToken string) (*buyer, error) {
	token, err := m.stack.tokens.Mint(caller.Caller{Kind: caller.H5, Name: "bench", UserID: userID, FactorTime: time.Now().Unix()}, tokenLife, time.Now())
	if err != nil {
		return nil, err
	}
	if _, err := billv1.NewBillAdminServiceClient(m.clients.bill).OpenCreditAccount(as(ctx, adminToken), &billv1.OpenCreditAccountRequest{
		RequestId: "open-" + userID, UserId: userID, Reason: "load test", Limit: &commonv1.Money{AmountMinor: new(int64(buyerLimit)), CurrencyCode: currency},
	}); err != nil {
		return nil, fmt.Errorf("open a credit account: %w", err)
	}
	if _, err := paymentv1.NewPaymentServiceClient(m.clients.payment).SetPaymentPin(as(ctx, token),
		&paymentv1.SetPaymentPinRequest{RequestId: "pin-" + userID, NewPin: buyerPIN}); err != nil {
		return nil, fmt.Errorf("set a PIN: %w", err)
	}
	return &buyer{userID: userID, token: token}, nil
}

// Round is one measurement of the stack.
type Round struct {
	Buyers, Purchases int
	// Elapsed is from the first call until the last loan was active; Drain is the part of it after the last call.
	Elapsed, Drain time.Duration
	// Early counts repeated confirmations, see market.confirm.
	Early int
	// Steps sums up each call of a purchase, Total the purchase from the first call to the confirmation.
	Steps [stepCount]Quantiles
	Total Quantiles
	// Errors counts what went wrong, by text.
	Errors map[string]int
	// Used is what the round took, from before the first call until the outboxes were empty.
	Used counters
}

// PerSecond is purchases per second, with the time until the last loan was active.
func (r Round) PerSecond() float64 { return perSecond(r.Purchases, r.Elapsed) }

// run lets n buyers purchase for the given time, each one purchase after the other, then waits until everything that follows by
// events has happened.
func (m *market) run(ctx context.Context, n int, duration time.Duration, p payer) (Round, error) {
	if err := m.open(ctx, n*usersPerBuyer); err != nil {
		return Round{}, err
	}
	before, err := m.stack.counters(ctx)
	if err != nil {
		return Round{}, err
	}
	begin := time.Now()
	tallies := m.shop(ctx, n, begin.Add(duration), p)
	r := sumUp(tallies)
	r.Buyers = n
	shopped := time.Now()
	if err := m.drained(ctx, begin, r.Purchases); err != nil {
		return r, err
	}
	r.Elapsed, r.Drain = time.Since(begin), time.Since(shopped)
	if err := m.outboxesEmpty(ctx); err != nil {
		return r, err
	}
	after, err := m.stack.counters(ctx)
	r.Used = after.since(before)
	return r, err
}

// shop runs the closed loops. A buyer's goods arrive while the buyer makes the next purchase, so each turn confirms the purchase of
// the turn before; a purchase that was begun before the deadline is finished.
func (m *market) shop(ctx context.Context, n int, deadline time.Time, p payer) []tally {
	tallies := make([]tally, n)
	var group sync.WaitGroup
	for i := range tallies {
		group.Go(func() {
			t := &tallies[i]
			t.errors = map[string]int{}
			var underway sold
			receive := func(s sold) {
				if s == (sold{}) {
					return
				}
				if err := m.confirm(ctx, s, t); err != nil {
					t.errors[err.Error()]++
				}
			}
			for turn := 0; time.Now().Before(deadline) && ctx.Err() == nil; turn++ {
				bought, err := m.purchase(ctx, m.users[i+n*(turn%usersPerBuyer)], p, m.ids.New().String(), t)
				if err != nil {
					t.errors[err.Error()]++
					continue
				}
				arrived := underway
				underway = bought
				if p.eager() {
					arrived, underway = bought, sold{}
				}
				receive(arrived)
			}
			receive(underway)
		})
	}
	group.Wait()
	return tallies
}

func sumUp(tallies []tally) Round {
	r := Round{Errors: map[string]int{}}
	var took [stepCount][]time.Duration
	var total []time.Duration
	for _, t := range tallies {
		r.Purchases += t.purchases
		r.Early += t.early
		for s := range stepCount {
			took[s] = append(took[s], t.took[s]...)
		}
		total = append(total, t.total...)
		for text, n := range t.errors {
			r.Errors[text] += n
		}
	}
	for s := range stepCount {
		r.Steps[s] = QuantilesOf(took[s])
	}
	r.Total = QuantilesOf(total)
	return r
}

// drained waits until so many loans that were drafted since begin are active. Loans are found by their ids, which tell their
// time: the question costs the same however many loans there are.
func (m *market) drained(ctx context.Context, begin time.Time, purchases int) error {
	first := idAt(begin.Add(-time.Millisecond))
	return m.poll(ctx, fmt.Sprintf("%d active loans", purchases), func() (int, bool, error) {
		var active int
		err := m.stack.admin.QueryRowContext(ctx, `SELECT COUNT(*) FROM `+schemaOf(billProcess)+`.loans WHERE id >= ? AND state = 2`, first).Scan(&active)
		return active, active >= purchases, err
	})
}

// outboxesEmpty waits until every event was sent.
func (m *market) outboxesEmpty(ctx context.Context) error {
	return m.poll(ctx, "empty outboxes", func() (int, bool, error) {
		waiting := 0
		for _, name := range servicesWithSchema() {
			var n int
			if err := m.stack.admin.QueryRowContext(ctx, `SELECT COUNT(*) FROM `+schemaOf(name)+`.outbox WHERE published = 0`).Scan(&n); err != nil {
				return 0, false, err
			}
			waiting += n
		}
		return waiting, waiting == 0, nil
	})
}

func (m *market) poll(ctx context.Context, what string, look func() (count int, done bool, err error)) error {
	deadline := time.Now().Add(drainPatience)
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	for {
		count, done, err := look()
		if err != nil {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		if done {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("wait for %s: after %s it is %d", what, drainPatience, count)
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("wait for %s", what), ctx.Err())
		case <-ticker.C:
		}
	}
}

// idAt is the smallest UUIDv7 of a millisecond.
func idAt(t time.Time) ids.ID {
	var id ids.ID
	var stamp [8]byte
	binary.BigEndian.PutUint64(stamp[:], uint64(t.UnixMilli()))
	copy(id[:6], stamp[2:])
	id[6], id[8] = 0x70, 0x80
	return id
}
