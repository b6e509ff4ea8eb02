package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/deploy/audit"
	"github.com/creditpay/creditpay/pkg/civil"
)

const (
	// cycleProduct is the product of the loans that are billed: it is made so that its bill day has come.
	cycleProduct = "BENCH_BILL_DAY"
	cycleRequest = "bench-bill-day"
	// cycleLoansPerUser is how many running loans a user has.
	cycleLoansPerUser = 4
	// heldShare is the part of the loans that is billed later, while the service is killed again and again.
	heldShare = 0.1
	// cyclePace is how many purchases come a second while loans are billed: 1.7 million a day.
	cyclePace = 20
	// cycleCalm is how many times as long as other measurements that of purchases without billing is: a percentile needs many.
	cycleCalm = 4
	// queryPace is how many calls come a second in the comparison of the quote with the health check.
	queryPace = 200
	// queryRounds is how many rounds of both are measured, one after the other.
	queryRounds = 3
	// cycleMost bounds the billing of all loans.
	cycleMost = 30 * time.Minute
	// cycleLook is how often the progress of the billing is looked at.
	cycleLook = 200 * time.Millisecond
	// killsMost is how many times the service is killed.
	killsMost = 3
	// quoteStride spreads the users that ask for quotes over all.
	quoteStride = 7919
	// straightLoans is how many loans go into one transaction, of the sweep and of the straight writer.
	straightLoans = 100
)

// BillDay is what a night on which every loan is billed cost.
type BillDay struct {
	// Loans that were billed under load, Bills that were made of them, and Rows that were written for it.
	Loans, Bills, Rows int
	// Took is from the moment in which they were due until the last bill was told; Straight is how long the same rows took the
	// straight writer, with as many connections as the sweep has turns (one) and with twice as many.
	Took     time.Duration
	Straight [2]time.Duration
	// Calm and Busy are purchases that came at the same pace before and meanwhile.
	Calm, Busy Round
	// Held loans were billed while the service was killed Kills times; AllOnce says that each loan was billed once.
	Held, Kills int
	HeldTook    time.Duration
	AllOnce     bool
	// Health and Quote are rounds of a health check and of QueryUserInstalmentInfo, each at 200 calls/s.
	Health, Quote []Quantiles
	CPU           map[string]time.Duration
	Audit         audit.Report
	AuditFor      time.Duration
}

// Share is the speed of billing as a part of that of the straight writer with so many connections, 1 or 2.
func (d BillDay) Share(connections int) float64 {
	return quotient(d.Straight[connections-1].Seconds(), d.Took.Seconds())
}

// Delay is how many times as long DoCommitPayment takes at the 99th percentile while loans are billed.
func (d BillDay) Delay() float64 {
	return quotient(d.Busy.Steps[stepCommit].P99.Seconds(), d.Calm.Steps[stepCommit].P99.Seconds())
}

// QuoteRatio is the median of how many times as long a quote takes as a health check, both at the 99th percentile.
func (d BillDay) QuoteRatio() Spread {
	var out []float64
	for i := range min(len(d.Quote), len(d.Health)) {
		out = append(out, quotient(d.Quote[i].P99.Seconds(), d.Health[i].P99.Seconds()))
	}
	return SpreadOf(out)
}

// billDay measures on a stack of its own.
type billDay struct {
	*bench
	bill string // schema
	fill fill
	// first is the first user whose loans are held back.
	first string
	// begun is when the first loans became due.
	begun time.Time
	told  BillDay
}

// measureBillDay fills a database with loans whose bill day has come and has them billed under a load of purchases.
func (b *bench) measureBillDay(ctx context.Context, dir string) (_ *BillDay, err error) {
	begin, held := time.Now(), int(float64(b.options.BillDayLoans)*heldShare)/cycleLoansPerUser*cycleLoansPerUser
	d := &billDay{bench: &bench{options: b.options, out: b.out, free: b.free, begin: b.begin}, bill: schemaOf(billProcess),
		fill: fill{orders: b.options.BillDayLoans + held, perUser: cycleLoansPerUser, now: begin}}
	d.first = filledUser(b.options.BillDayLoans / cycleLoansPerUser)
	d.told.Held = held
	bin, err := filepath.Abs(b.options.BinDir)
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if d.stack, err = openStack(ctx, dir, bin, b.options.BufferPoolMB); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.end()) }()
	if b.result.Machine, err = describeMachine(ctx, d.stack.admin, dir); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{d.prepare, d.calm, d.busy, d.straight, d.quotes, d.killed, d.prove} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("bill day: %w", err)
		}
	}
	return &d.told, nil
}

// prepare starts the services and makes the loans.
func (d *billDay) prepare(ctx context.Context) (err error) {
	if err := d.stack.startServices(ctx, d.free); err != nil {
		return err
	}
	if d.market, err = newMarket(d.stack); err != nil {
		return err
	}
	if err := d.offerCycleProduct(ctx); err != nil {
		return err
	}
	if err := d.market.showPlan(ctx, cycleProduct); err != nil {
		return err
	}
	copied, err := d.templatePurchase(ctx, func() error { return d.moveBack(ctx) })
	if err != nil {
		return err
	}
	if err := relaxed(ctx, d.stack.admin, func() error {
		if err := copied.insert(ctx, d.stack.admin, d.fill, d.percent("loans")); err != nil {
			return err
		}
		for i := range d.told.Straight {
			if err := prepareStraight(ctx, d.stack.admin, d.bill, straightSchema(i+1), d.written(time.Time{})); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	d.say("%d loans are stored", d.fill.orders)
	if err := d.market.showPlan(ctx, defaultProduct); err != nil {
		return err
	}
	return d.market.open(ctx, cyclePace*usersPerBuyer)
}

// offerCycleProduct makes a product that bills on the last day that was not later than today and is in every month.
func (d *billDay) offerCycleProduct(ctx context.Context) error {
	token, err := d.market.adminToken()
	if err != nil {
		return err
	}
	const everyMonth = 28
	bills := min(civil.Of(time.Now(), civil.Jakarta()).Day, everyMonth)
	rupiah := func(minor int64) *commonv1.Money {
		return &commonv1.Money{AmountMinor: new(minor), CurrencyCode: currency}
	}
	_, err = billv1.NewBillAdminServiceClient(d.market.clients.bill).CreateProductVersion(as(ctx, token), &billv1.CreateProductVersionRequest{
		RequestId: cycleRequest, Product: &billv1.Product{
			Code: cycleProduct, Name: "billed today", CurrencyCode: currency, InterestMethod: commonv1.InterestMethod_INTEREST_METHOD_FLAT_PER_MONTH,
			Tenors:     []*billv1.ProductTenor{{Months: purchaseTenor, RatePpm: new(int64(29_500)), RatePeriod: "PER_MONTH"}},
			FeeRatePpm: new(int64(10_000)), DownPaymentPpm: new(int64(0)), FeeFixed: rupiah(0), MinAmount: rupiah(1), MaxAmount: rupiah(100_000_000),
			BillDay: int32(bills), DueDay: int32((bills+9)%everyMonth + 1),
		}})
	return err
}

// aDate finds the dates in a stored plan.
var aDate = regexp.MustCompile(`\b\d{4}-\d{2}-\d{2}\b`)

// farAhead is when loans are due that are not to be billed yet.
var farAhead = time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)

// moveBack puts the only loan a month back, so that its first bill is due, and stops its timer.
func (d *billDay) moveBack(ctx context.Context) error {
	var plan []byte
	var start civil.Date
	if err := d.stack.admin.QueryRowContext(ctx, `SELECT plan, start_date FROM `+d.bill+`.loans`).Scan(&plan, &start); err != nil {
		return err
	}
	var wrong error
	back := func(day civil.Date) civil.Date { return day.AddMonths(-1, day.Day) }
	moved := aDate.ReplaceAllStringFunc(string(plan), func(text string) string {
		day, err := civil.Parse(text)
		wrong = errors.Join(wrong, err)
		return back(day).String()
	})
	if wrong != nil {
		return wrong
	}
	for _, s := range []struct {
		query string
		args  []any
	}{
		{`DELETE FROM ` + d.bill + `.` + requestsTable + ` WHERE request_id = ?`, []any{cycleRequest}}, // of no user
		{`UPDATE ` + d.bill + `.loans SET plan = ?, start_date = ?, roll_time = ?`, []any{moved, back(start), farAhead}},
		// Bill day and due day are in every month, so that the database's months are the calendar's.
		{`UPDATE ` + d.bill + `.instalments SET bill_date = bill_date - INTERVAL 1 MONTH, due_date = due_date - INTERVAL 1 MONTH`, nil},
	} {
		if _, err := d.stack.admin.ExecContext(ctx, s.query, s.args...); err != nil {
			return fmt.Errorf("move the template back: %w", err)
		}
	}
	return nil
}

// written are the tables that the night writes, with the rows that it wrote since a moment.
func (d *billDay) written(since time.Time) []writtenTable {
	first, own := filledUser(0), `user_id >= ? AND user_id < ?`
	return []writtenTable{
		{name: "loans", where: own, args: []any{first, d.first}, before: true},
		{name: "instalments", where: `billed = 1 AND loan_id IN (SELECT id FROM ` + d.bill + `.loans WHERE ` + own + `)`, args: []any{first, d.first}, before: true},
		{name: "journal_lines", where: `journal_id >= ? AND cause = 'TIME_PASSED'`, args: []any{idAt(since)}},
		{name: "bills", where: own, args: []any{first, d.first}},
		{name: "outbox", where: `id >= ? AND message_key >= ? AND message_key < ?`, args: []any{idAt(since), first, d.first}},
	}
}

// calm measures purchases while nothing is billed.
func (d *billDay) calm(ctx context.Context) error {
	if _, err := d.stackRound(ctx, "warm-up", d.options.Buyers, min(d.options.Duration, 3*time.Second), d.market.overGRPC()); err != nil {
		return err
	}
	run, stop := context.WithTimeout(ctx, cycleCalm*d.options.Duration)
	defer stop()
	d.told.Calm = d.market.steadyPurchases(run, cyclePace, d.market.overGRPC())
	d.say("%d purchases at %d/s: DoCommitPayment p99 %s", d.told.Calm.Purchases, cyclePace, ms(d.told.Calm.Steps[stepCommit].P99))
	return ctx.Err()
}

// busy has the loans billed while purchases come.
func (d *billDay) busy(ctx context.Context) error {
	before, err := d.stack.cpuTimes()
	if err != nil {
		return err
	}
	run, stop := context.WithCancel(ctx)
	defer stop()
	d.begun = time.Now()
	var group sync.WaitGroup
	d.told.Took, err = d.release(ctx, filledUser(0), d.first, func() {
		group.Go(func() { d.told.Busy = d.market.steadyPurchases(run, cyclePace, d.market.overGRPC()) })
	}, nil)
	stop()
	group.Wait()
	if err != nil {
		return err
	}
	after, err := d.stack.cpuTimes()
	if err != nil {
		return err
	}
	d.told.CPU = map[string]time.Duration{}
	for name := range after {
		d.told.CPU[name] = after[name] - before[name]
	}
	d.told.Loans = d.options.BillDayLoans
	d.say("%d loans are billed after %.1f s; meanwhile %d purchases: DoCommitPayment p99 %s", d.told.Loans, d.told.Took.Seconds(), d.told.Busy.Purchases,
		ms(d.told.Busy.Steps[stepCommit].P99))
	return nil
}

// release makes the loans of some users due, calls meanwhile, and waits until each loan is billed and each bill told. It calls
// disturb, if any, again and again.
func (d *billDay) release(ctx context.Context, from, to string, meanwhile func(), disturb func(ctx context.Context) error) (time.Duration, error) {
	if _, err := d.stack.admin.ExecContext(ctx, `UPDATE `+d.bill+`.loans SET roll_time = ? WHERE user_id >= ? AND user_id < ?`,
		time.Now().UTC().Truncate(time.Second), from, to); err != nil {
		return 0, fmt.Errorf("make loans due: %w", err)
	}
	begin := time.Now()
	meanwhile()
	ticker := time.NewTicker(cycleLook)
	defer ticker.Stop()
	for time.Since(begin) < cycleMost {
		done, err := d.billed(ctx, from, to)
		if done || err != nil {
			return time.Since(begin), err
		}
		if disturb != nil {
			if err := disturb(ctx); err != nil {
				return 0, err
			}
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-ticker.C:
		}
	}
	return 0, fmt.Errorf("loans are not billed within %s", cycleMost)
}

// billed reports whether nothing is due, and no bill of these users is untold.
func (d *billDay) billed(ctx context.Context, from, to string) (bool, error) {
	now := time.Now().UTC()
	var due bool
	if err := d.stack.admin.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM `+d.bill+`.loans WHERE roll_time <= ? LIMIT 1)
		OR EXISTS (SELECT 1 FROM `+d.bill+`.bills WHERE look_time <= ? LIMIT 1)`, now, now).Scan(&due); err != nil || due {
		return false, err
	}
	var open int
	err := d.stack.admin.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM `+d.bill+`.loans WHERE user_id >= ? AND user_id < ? AND roll_time <= ?)
		+ (SELECT COUNT(*) FROM `+d.bill+`.bills WHERE user_id >= ? AND user_id < ? AND state = 0)`, from, to, now, from, to).Scan(&open)
	return open == 0, err
}

// straight writes what the night wrote once more, without the service.
func (d *billDay) straight(ctx context.Context) error {
	if err := d.market.outboxesEmpty(ctx); err != nil {
		return err
	}
	transactions := (d.options.BillDayLoans + straightLoans - 1) / straightLoans
	s, err := readStraight(ctx, d.stack.db.AdminDSN(), d.bill, d.written(d.begun), transactions)
	if err != nil {
		return err
	}
	d.told.Rows = s.rows
	for i := range d.told.Straight {
		if d.told.Straight[i], err = s.write(ctx, d.stack.db.DSN(straightSchema(i+1)), i+1); err != nil {
			return err
		}
		d.say("the same %d rows written straight with %d connections: %.1f s, %.3f of the time", s.rows, i+1, d.told.Straight[i].Seconds(), d.told.Share(i+1))
	}
	return d.stack.admin.QueryRowContext(ctx, `SELECT COUNT(*) FROM `+d.bill+`.bills WHERE user_id >= ? AND user_id < ?`, filledUser(0), d.first).Scan(&d.told.Bills)
}

// straightSchema is where the straight writer writes with so many connections.
func straightSchema(connections int) string { return fmt.Sprintf("bench_straight_%d", connections) }

// quotes compares a quote for users with loans with a health check of the same service.
func (d *billDay) quotes(ctx context.Context) error {
	health := healthv1.NewHealthClient(d.market.clients.bill)
	plans := billv1.NewBillServiceClient(d.market.clients.bill)
	users := d.fill.users()
	check := func(ctx context.Context, _ int) error {
		_, err := health.Check(ctx, &healthv1.HealthCheckRequest{})
		return err
	}
	quote := func(ctx context.Context, n int) error {
		// Prices differ from call to call: a hundred of them, as the items of a page do.
		_, err := plans.QueryUserInstalmentInfo(as(ctx, d.market.spmToken), &billv1.QueryUserInstalmentInfoRequest{UserId: filledUser(n * quoteStride % users),
			Business: "marketplace", Amount: &commonv1.Money{AmountMinor: new(purchaseAmount + int64(n%100)*1000), CurrencyCode: currency}})
		return err
	}
	for range queryRounds {
		h, err := steadyCalls(ctx, queryPace, d.options.Duration, check)
		if err != nil {
			return fmt.Errorf("health check: %w", err)
		}
		q, err := steadyCalls(ctx, queryPace, d.options.Duration, quote)
		if err != nil {
			return fmt.Errorf("QueryUserInstalmentInfo: %w", err)
		}
		d.told.Health, d.told.Quote = append(d.told.Health, h), append(d.told.Quote, q)
		d.say("at %d calls/s: health check p99 %s, QueryUserInstalmentInfo p99 %s", queryPace, ms(h.P99), ms(q.P99))
	}
	return ctx.Err()
}

// killed has the loans that were held back billed while the service is killed, each time after it has billed some.
func (d *billDay) killed(ctx context.Context) (err error) {
	last := d.told.Held
	d.told.HeldTook, err = d.release(ctx, d.first, filledUser(d.fill.users()), func() {}, func(ctx context.Context) error {
		var due int
		if err := d.stack.admin.QueryRowContext(ctx, `SELECT COUNT(*) FROM `+d.bill+`.loans WHERE roll_time <= ?`, time.Now().UTC()).Scan(&due); err != nil {
			return err
		}
		if due == 0 || due >= last || d.told.Kills == killsMost {
			return nil
		}
		last = due
		d.told.Kills++
		return d.stack.killAndRestart(ctx, billProcess)
	})
	if err != nil {
		return err
	}
	d.say("%d loans are billed after %.1f s with %d kills", d.told.Held, d.told.HeldTook.Seconds(), d.told.Kills)
	return d.market.outboxesEmpty(ctx)
}

// prove makes sure that each loan was billed once, and audits everything.
func (d *billDay) prove(ctx context.Context) error {
	var loans, journals int
	if err := d.stack.admin.QueryRowContext(ctx, `SELECT
		(SELECT COUNT(*) FROM `+d.bill+`.instalments i JOIN `+d.bill+`.loans l ON l.id = i.loan_id WHERE l.user_id >= ? AND l.user_id < ? AND i.billed = 1),
		(SELECT COUNT(DISTINCT journal_id) FROM `+d.bill+`.journal_lines WHERE journal_id >= ? AND cause = 'TIME_PASSED')`,
		filledUser(0), filledUser(d.fill.users()), idAt(d.begun)).Scan(&loans, &journals); err != nil {
		return err
	}
	d.told.AllOnce = loans == d.fill.orders && journals == d.fill.orders
	d.say("%d instalments billed by %d journals; auditing", loans, journals)
	begin := time.Now()
	report, err := d.audit(ctx)
	d.told.Audit, d.told.AuditFor = report, time.Since(begin)
	return err
}
