// Package bench owns the measurement that anyone can repeat: the suite in separate processes on a durable MariaDB under a load of
// purchases, beside two yardsticks on the same database in the same run.
//
// It sees the services as strangers do (gRPC, REST, metrics, /proc) and proves the books afterwards with package audit. It must
// not tune a service: what it starts is what production starts. Only the fill of a large database writes to the services'
// schemas.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/creditpay/creditpay/deploy/audit"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/ids"
)

// Names of the hidden commands with which the bench starts itself as another process.
const (
	// LimitCommand takes an address and a DSN, see ServeLimit.
	LimitCommand = "limit-server"
	// BrokerCommand takes a directory and a port, see ServeBroker.
	BrokerCommand = "broker-server"
)

// Result is what was measured.
type Result struct {
	Options Options
	Machine Machine
	Floor   []Yardstick
	Limit   []Yardstick
	Stack   []Round
	Sweep   []Round
	REST    *Round
	// Quoted is a round in which each purchase locks a quote before it commits.
	Quoted *Round
	// Eager is a round in which each purchase is confirmed in the moment in which it is paid.
	Eager    *Round
	Fill     Fill
	BillDay  *BillDay
	Webhooks *Webhooks
	Memory   map[string]float64 // resident MB by process, after the load
	Health   map[string]time.Duration
	Devstack *Devstack
	Audit    audit.Report
	AuditFor time.Duration
}

// Fill is the measurement on a database that holds many orders.
type Fill struct {
	Orders int
	// Took is how long the fill took, Megabytes is how large the database is then.
	Took      time.Duration
	Megabytes float64
	Floor     []Yardstick
	Stack     []Round
}

// bench is a run.
type bench struct {
	options Options
	out     io.Writer
	stack   *stack
	writer  *ledgerWriter
	limit   *limitClient
	market  *market
	result  Result
	free    *ports
	begin   time.Time
}

// Run measures. Progress goes to out, one line a step. An error means that something could not be measured; errors of purchases
// and findings of the audit are part of the result.
func Run(ctx context.Context, o Options, out io.Writer) (result Result, err error) {
	if err := o.Validate(); err != nil {
		return Result{}, err
	}
	if err := os.MkdirAll(o.StateDir, 0o700); err != nil {
		return Result{}, err
	}
	dir, err := os.MkdirTemp(o.StateDir, "run-")
	if err != nil {
		return Result{}, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return Result{}, err
	}
	b := &bench{options: o, out: out, free: newPorts(), begin: time.Now()}
	b.result.Options = o
	defer func() {
		err = errors.Join(err, b.end())
		if o.Keep || err != nil {
			b.say("the logs are in %s", dir)
			return
		}
		err = os.RemoveAll(dir)
	}()
	if !o.YardsticksOnly {
		b.say("building the services")
		if err := buildServices(ctx, o.BinDir); err != nil {
			return b.result, err
		}
	}
	if !o.BillDayOnly && !o.WebhooksOnly {
		if err := b.run(ctx, dir); err != nil {
			return b.result, err
		}
		if err := b.end(); err != nil { // One stack at a time.
			return b.result, err
		}
	}
	if o.BillDayLoans > 0 && !o.YardsticksOnly && !o.WebhooksOnly {
		if b.result.BillDay, err = b.measureBillDay(ctx, filepath.Join(dir, "billday")); err != nil {
			return b.result, err
		}
	}
	if o.Endpoints > 0 && !o.YardsticksOnly && !o.BillDayOnly {
		b.result.Webhooks, err = b.measureWebhooks(ctx, filepath.Join(dir, "webhooks"))
	}
	return b.result, err
}

// end closes everything that runs.
func (b *bench) end() error {
	b.close()
	b.market, b.limit, b.writer = nil, nil, nil
	if b.stack == nil {
		return nil
	}
	s := b.stack
	b.stack = nil
	return s.close()
}

func (b *bench) close() {
	if b.market != nil {
		b.market.close()
	}
	if b.limit != nil {
		b.limit.close()
	}
	if b.writer != nil {
		b.writer.close()
	}
}

func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.out, "%7.1fs  %s\n", time.Since(b.begin).Seconds(), fmt.Sprintf(format, args...))
}

func (b *bench) run(ctx context.Context, dir string) error {
	var err error
	if !b.options.YardsticksOnly {
		if b.options.Devstack {
			if b.result.Devstack, err = measureDevstack(ctx, b.options.BinDir, dir, b.free); err != nil {
				return err
			}
			b.say("development stack: healthy after %s, %.0f MB", b.result.Devstack.Healthy.Round(time.Millisecond), b.result.Devstack.ResidentMB)
		}
	}
	bin, err := filepath.Abs(b.options.BinDir)
	if err != nil {
		return err
	}
	if b.stack, err = openStack(ctx, dir, bin, b.options.BufferPoolMB); err != nil {
		return err
	}
	if b.result.Machine, err = describeMachine(ctx, b.stack.admin, dir); err != nil {
		return err
	}
	if err := b.openYardsticks(ctx); err != nil {
		return err
	}
	if b.options.YardsticksOnly {
		return b.yardstickRounds(ctx)
	}
	return b.measureStack(ctx)
}

func (b *bench) openYardsticks(ctx context.Context) (err error) {
	if err := b.stack.startLimit(ctx, b.free); err != nil {
		return err
	}
	if b.writer, err = newLedgerWriter(b.stack.db.DSN(yardstickSchema), ids.NewGenerator(clock.System())); err != nil {
		return err
	}
	if b.limit, err = dialLimit(b.stack.limitAddr); err != nil {
		return err
	}
	warm := min(b.options.Duration, 2*time.Second)
	measureYardstick(ctx, b.options.Buyers, warm, b.writer.write)
	measureYardstick(ctx, b.options.Buyers, warm, b.limit.step)
	return ctx.Err()
}

func (b *bench) floorRound(ctx context.Context) (Yardstick, error) {
	return b.yardstickRound(ctx, "floor", b.writer.write)
}

func (b *bench) limitRound(ctx context.Context) (Yardstick, error) {
	return b.yardstickRound(ctx, limitProcess, b.limit.step)
}

func (b *bench) yardstickRound(ctx context.Context, what string, step func(context.Context) error) (Yardstick, error) {
	before, err := b.stack.cpuTimes()
	if err != nil {
		return Yardstick{}, err
	}
	y := measureYardstick(ctx, b.options.Buyers, b.options.Duration, step)
	after, err := b.stack.cpuTimes()
	if err != nil {
		return Yardstick{}, err
	}
	y.CPU = map[string]time.Duration{}
	for name := range after {
		y.CPU[name] = after[name] - before[name]
	}
	b.say("%s: %.1f purchases/s", what, y.PerSecond())
	return y, ctx.Err()
}

// yardsticks is one round of both.
func (b *bench) yardsticks(ctx context.Context) error {
	floor, err := b.floorRound(ctx)
	if err != nil {
		return err
	}
	limit, err := b.limitRound(ctx)
	if err != nil {
		return err
	}
	b.result.Floor, b.result.Limit = append(b.result.Floor, floor), append(b.result.Limit, limit)
	return nil
}

func (b *bench) yardstickRounds(ctx context.Context) error {
	for range b.options.Rounds {
		if err := b.yardsticks(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) measureStack(ctx context.Context) error {
	if err := b.stack.startServices(ctx, b.free); err != nil {
		return err
	}
	b.result.Health = b.stack.healthAfter
	var err error
	if b.market, err = newMarket(b.stack); err != nil {
		return err
	}
	if err := b.market.showPlan(ctx, defaultProduct); err != nil {
		return err
	}
	var copied *template
	if b.options.FillOrders > 0 {
		if copied, err = b.templatePurchase(ctx, nil); err != nil {
			return err
		}
	}
	grpc := b.market.overGRPC()
	if _, err := b.stackRound(ctx, "warm-up", b.options.Buyers, min(b.options.Duration, 3*time.Second), grpc); err != nil {
		return err
	}
	for range b.options.Rounds {
		if err := b.yardsticks(ctx); err != nil {
			return err
		}
		r, err := b.stackRound(ctx, "stack", b.options.Buyers, b.options.Duration, grpc)
		if err != nil {
			return err
		}
		b.result.Stack = append(b.result.Stack, r)
	}
	if err := b.furtherRounds(ctx, grpc); err != nil {
		return err
	}
	if copied != nil {
		if err := b.filled(ctx, copied, grpc); err != nil {
			return err
		}
	}
	return b.finish(ctx)
}

// furtherRounds are those with other numbers of buyers, and the one over REST.
func (b *bench) furtherRounds(ctx context.Context, grpc payer) error {
	for _, n := range b.options.Sweep {
		r, err := b.stackRound(ctx, "stack", n, b.options.Duration, grpc)
		if err != nil {
			return err
		}
		b.result.Sweep = append(b.result.Sweep, r)
	}
	quoted, err := b.stackRound(ctx, "stack with locked quotes", b.options.Buyers, b.options.Duration, b.market.withQuote())
	if err != nil {
		return err
	}
	b.result.Quoted = &quoted
	eager, err := b.stackRound(ctx, "stack, confirmed at once", b.options.Buyers, b.options.Duration, b.market.atOnce())
	if err != nil {
		return err
	}
	b.result.Eager = &eager
	if b.options.REST {
		r, err := b.stackRound(ctx, "stack over REST", b.options.Buyers, b.options.Duration, b.market.overREST(b.options.Buyers))
		if err != nil {
			return err
		}
		b.result.REST = &r
	}
	return nil
}

func (b *bench) stackRound(ctx context.Context, what string, buyers int, duration time.Duration, p payer) (Round, error) {
	r, err := b.market.run(ctx, buyers, duration, p)
	if err != nil {
		for text, n := range r.Errors {
			b.say("%d × %s", n, text)
		}
		return r, fmt.Errorf("%s with %d buyers: %w", what, buyers, err)
	}
	b.say("%s with %d buyers: %.1f purchases/s", what, buyers, r.PerSecond())
	return r, nil
}

// templatePurchase makes one purchase on the empty database and reads what it left behind, after change, if any, was done to it.
func (b *bench) templatePurchase(ctx context.Context, change func() error) (*template, error) {
	admin, err := b.market.adminToken()
	if err != nil {
		return nil, err
	}
	buyer, err := b.market.openOne(ctx, templateUser, admin)
	if err != nil {
		return nil, err
	}
	no, begin := "T"+b.market.ids.New().String(), time.Now()
	t := tally{errors: map[string]int{}}
	bought, err := b.market.purchase(ctx, buyer, b.market.overGRPC(), no, &t)
	if err == nil {
		err = b.market.confirm(ctx, bought, &t)
	}
	if err != nil {
		return nil, fmt.Errorf("the purchase that is to be copied: %w", err)
	}
	if err := b.market.drained(ctx, begin, 1); err != nil {
		return nil, err
	}
	if err := b.market.outboxesEmpty(ctx); err != nil {
		return nil, err
	}
	if change != nil {
		if err := change(); err != nil {
			return nil, err
		}
	}
	var schemas []string
	for _, name := range servicesWithSchema() {
		schemas = append(schemas, schemaOf(name))
	}
	return readTemplate(ctx, b.stack.db.AdminDSN(), schemas, no, begin)
}

// filled measures on a database that holds many orders.
func (b *bench) filled(ctx context.Context, copied *template, grpc payer) error {
	begin := time.Now()
	err := relaxed(ctx, b.stack.admin, func() error {
		return copied.insert(ctx, b.stack.admin, fill{orders: b.options.FillOrders, perUser: fillOrdersPerUser, now: begin}, b.percent("orders"))
	})
	if err != nil {
		return err
	}
	f := &b.result.Fill
	f.Orders, f.Took = b.options.FillOrders, time.Since(begin)
	if err := b.stack.admin.QueryRowContext(ctx, `SELECT SUM(data_length + index_length) / 1e6 FROM information_schema.tables
		WHERE table_schema LIKE 'creditpay_%'`).Scan(&f.Megabytes); err != nil {
		return err
	}
	b.say("%d orders are stored, %.0f MB", f.Orders, f.Megabytes)
	if _, err := b.stackRound(ctx, "warm-up on the filled database", b.options.Buyers, min(b.options.Duration, 3*time.Second), grpc); err != nil {
		return err
	}
	if err := b.rest(ctx); err != nil {
		return err
	}
	for range b.options.Rounds {
		floor, err := b.floorRound(ctx)
		if err != nil {
			return err
		}
		f.Floor = append(f.Floor, floor)
		r, err := b.stackRound(ctx, "stack on the filled database", b.options.Buyers, b.options.Duration, grpc)
		if err != nil {
			return err
		}
		f.Stack = append(f.Stack, r)
	}
	return nil
}

// restMost bounds the wait for a machine that has just written a hundred gigabytes, restCalm is how many short floors in a row must
// bring nothing better.
const (
	restMost = 90 * time.Second
	restCalm = 4
)

// rest waits until the machine is as fast as it gets: a database that has held its orders for weeks is not still being written out by
// the disk below it. Short floors tell.
func (b *bench) rest(ctx context.Context) error {
	begin, best, calm := time.Now(), 0.0, 0
	for calm < restCalm && time.Since(begin) < restMost {
		rate := measureYardstick(ctx, b.options.Buyers, 2*time.Second, b.writer.write).PerSecond()
		if rate > best*1.01 {
			best, calm = max(best, rate), 0
		} else {
			calm++
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	b.say("rested %.0f s: floor of %.0f purchases/s", time.Since(begin).Seconds(), best)
	return nil
}

// finish weighs the processes and proves the books.
func (b *bench) finish(ctx context.Context) error {
	b.result.Memory = map[string]float64{}
	for name, pid := range b.stack.pids() {
		mb, err := residentMB(pid)
		if err != nil {
			return fmt.Errorf("weigh %s: %w", name, err)
		}
		b.result.Memory[name] = mb
	}
	b.say("auditing")
	begin := time.Now()
	report, err := b.audit(ctx)
	b.result.Audit, b.result.AuditFor = report, time.Since(begin)
	return err
}

// audit proves the books of the stack.
func (b *bench) audit(ctx context.Context) (audit.Report, error) {
	dsns := map[string]string{}
	for _, name := range servicesWithSchema() {
		dsn, err := patient(b.stack.dsns[name])
		if err != nil {
			return audit.Report{}, err
		}
		dsns[name] = dsn
	}
	return audit.Run(ctx, audit.Config{Order: dsns[orderProcess], Payment: dsns[paymentProcess], Bill: dsns[billProcess], Refund: dsns[refundProcess]})
}

// percent gives a teller of progress, in tenths.
func (b *bench) percent(what string) func(percent int) {
	var told atomic.Int64
	return func(percent int) {
		if last, now := told.Load(), int64(percent/10*10); now > last && told.CompareAndSwap(last, now) {
			b.say("%s: filled %d %%", what, now)
		}
	}
}

// auditReadMax is how long one check of the audit may take to answer: it reads every row of large tables.
const auditReadMax = 10 * time.Minute

// patient gives a DSN whose connections wait that long, where the services' wait for half a minute.
func patient(dsn string) (string, error) {
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return "", fmt.Errorf("read the DSN of the audit: %w", err)
	}
	config.ReadTimeout = auditReadMax
	return config.FormatDSN(), nil
}
