package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// The figures that must hold, from the project's requirements.
const (
	wantFloorRatio   = 0.4
	wantTailRatio    = 8.0
	wantFilledRatio  = 0.9
	wantDevstackMB   = 300.0
	wantHealthyAfter = 5 * time.Second
	wantBillShare    = 0.3
	// billShareLoans is from how many loans on the share counts: of fewer, the second until the sweep looks is the most of it.
	billShareLoans   = 50_000
	wantBillDelay    = 2.0
	wantQuoteRatio   = 5.0
	wantWebhookDelay = 3.0
	wantBacklogDelay = 3.0
)

// Check is one figure that must hold.
type Check struct {
	Name string
	// Holds tells whether it does; Figure is the true value with what is wanted.
	Holds  bool
	Figure string
	// Correctness says that a miss is an error or wrong books, not a slow machine.
	Correctness bool
}

// Errors counts the failed purchases of all rounds and the yardsticks' failed transactions.
func (r Result) Errors() int {
	n := 0
	for _, round := range r.rounds() {
		for _, count := range round.Errors {
			n += count
		}
	}
	for _, y := range slices.Concat(r.Floor, r.Limit, r.Fill.Floor) {
		n += y.Errors
	}
	return n
}

func (r Result) rounds() []Round {
	all := slices.Concat(r.Stack, r.Sweep, r.Fill.Stack)
	for _, one := range []*Round{r.REST, r.Quoted, r.Eager} {
		if one != nil {
			all = append(all, *one)
		}
	}
	if r.BillDay != nil {
		all = append(all, r.BillDay.Calm, r.BillDay.Busy)
	}
	return all
}

// FloorRatio is the median, over the rounds, of the stack's purchases/s to those of the floor measured right before it.
func (r Result) FloorRatio() Spread { return ratios(r.Stack, r.Floor) }

func ratios(rounds []Round, yardsticks []Yardstick) Spread {
	var out []float64
	for i := range min(len(rounds), len(yardsticks)) {
		if y := yardsticks[i].PerSecond(); y > 0 {
			out = append(out, rounds[i].PerSecond()/y)
		}
	}
	return SpreadOf(out)
}

func roundsPerSecond(rounds []Round) Spread {
	var out []float64
	for _, r := range rounds {
		out = append(out, r.PerSecond())
	}
	return SpreadOf(out)
}

func yardsticksPerSecond(ys []Yardstick) Spread {
	var out []float64
	for _, y := range ys {
		out = append(out, y.PerSecond())
	}
	return SpreadOf(out)
}

// CommitTail is the median, over the rounds, of p99 to p50 of DoCommitPayment.
func (r Result) CommitTail() Spread {
	var out []float64
	for _, round := range r.Stack {
		if q := round.Steps[stepCommit]; q.P50 > 0 {
			out = append(out, float64(q.P99)/float64(q.P50))
		}
	}
	return SpreadOf(out)
}

// Checks compares the figures with what must hold; figures that were not measured are left out.
func (r Result) Checks() []Check {
	checks := []Check{{Name: "no errors", Holds: r.Errors() == 0, Figure: fmt.Sprintf("%d errors", r.Errors()), Correctness: true}}
	checks = append(checks, r.BillDay.checks()...)
	if w := r.Webhooks; w != nil {
		checks = append(checks,
			Check{Name: "each delivery arrives", Holds: w.Missing == 0, Correctness: true, Figure: fmt.Sprintf("%d of %d are missing", w.Missing, 3*w.Events*w.Good)},
			Check{Name: "deliveries beside bad endpoints", Holds: w.Delay() <= wantWebhookDelay, Figure: fmt.Sprintf("p99 %.2f × that without, at most %.0f ×", w.Delay(), wantWebhookDelay)})
		checks = append(checks, w.backlogChecks()...)
	}
	if len(r.Stack) == 0 {
		return checks
	}
	n := len(r.Audit.Findings)
	checks = append(checks, Check{Name: "clean audit", Holds: n == 0 && r.Audit.Checks > 0, Correctness: true,
		Figure: fmt.Sprintf("%d findings in %d checks over %d orders", n, r.Audit.Checks, r.Audit.Orders)})
	floor, tail := r.FloorRatio(), r.CommitTail()
	checks = append(checks,
		Check{Name: "share of the floor", Holds: floor.Median >= wantFloorRatio, Figure: fmt.Sprintf("%.3f, at least %.1f", floor.Median, wantFloorRatio)},
		Check{Name: "p99 of DoCommitPayment", Holds: tail.Median <= wantTailRatio, Figure: fmt.Sprintf("%.1f × p50, at most %.0f ×", tail.Median, wantTailRatio)})
	if len(r.Fill.Stack) > 0 {
		filled := roundsPerSecond(r.Fill.Stack).Median / roundsPerSecond(r.Stack).Median
		checks = append(checks, Check{Name: fmt.Sprintf("with %d orders stored", r.Fill.Orders), Holds: filled >= wantFilledRatio,
			Figure: fmt.Sprintf("%.3f of the purchases/s without, at least %.1f", filled, wantFilledRatio)})
	}
	slowest := time.Duration(0)
	for _, d := range r.Health {
		slowest = max(slowest, d)
	}
	checks = append(checks, Check{Name: "each service healthy", Holds: slowest <= wantHealthyAfter, Figure: fmt.Sprintf("%.2f s after its start, at most %s", slowest.Seconds(), wantHealthyAfter)})
	if d := r.Devstack; d != nil {
		first := max(d.Healthy, d.Again)
		checks = append(checks,
			Check{Name: "development stack healthy", Holds: first <= wantHealthyAfter, Figure: fmt.Sprintf("%.2f s after its start, at most %s", first.Seconds(), wantHealthyAfter)},
			Check{Name: "memory of the development stack", Holds: d.ResidentMB <= wantDevstackMB, Figure: fmt.Sprintf("%.0f MB without MariaDB, at most %.0f MB", d.ResidentMB, wantDevstackMB)})
	}
	return checks
}

// checks compares the night's figures with what must hold.
func (d *BillDay) checks() []Check {
	if d == nil {
		return nil
	}
	findings := len(d.Audit.Findings)
	share, delay, quote := d.Share(1), d.Delay(), d.QuoteRatio()
	checks := []Check{
		{Name: "each loan billed once", Holds: d.AllOnce, Correctness: true, Figure: fmt.Sprintf("%d loans, of %d of them with %d kills", d.Loans+d.Held, d.Held, d.Kills)},
		{Name: "clean audit after bill day", Holds: findings == 0 && d.Audit.Checks > 0, Correctness: true,
			Figure: fmt.Sprintf("%d findings in %d checks over %d orders", findings, d.Audit.Checks, d.Audit.Orders)},
		{Name: "DoCommitPayment while loans are billed", Holds: delay <= wantBillDelay, Figure: fmt.Sprintf("p99 %.2f × that without, at most %.0f ×", delay, wantBillDelay)},
		{Name: "QueryUserInstalmentInfo", Holds: quote.Median <= wantQuoteRatio, Figure: fmt.Sprintf("p99 %.2f × that of a health check, at most %.0f ×", quote.Median, wantQuoteRatio)},
	}
	if d.Loans >= billShareLoans {
		checks = append(checks, Check{Name: "speed of billing", Holds: share >= wantBillShare,
			Figure: fmt.Sprintf("%.3f of writing the same rows straight, at least %.1f", share, wantBillShare)})
	}
	return checks
}

// backlogChecks compares what was measured while a backlog drained with what must hold.
func (w Webhooks) backlogChecks() []Check {
	b := w.Backlog
	if b == nil {
		return nil
	}
	return []Check{
		{Name: "a backlog drains", Holds: b.Missing == 0 && b.Open == 0, Correctness: true,
			Figure: fmt.Sprintf("of %d in the backlog and %d new ones %d never came, %d are not told to be delivered", b.Deliveries, b.Events*w.Endpoints, b.Missing, b.Open)},
		{Name: "new deliveries while a backlog drains", Holds: w.BacklogDelay() <= wantBacklogDelay,
			Figure: fmt.Sprintf("p99 %.2f × that without, at most %.0f ×", w.BacklogDelay(), wantBacklogDelay)},
	}
}

// Wrong reports whether purchases failed or the books are wrong: no figure counts then.
func (r Result) Wrong() bool {
	return slices.ContainsFunc(r.Checks(), func(c Check) bool { return c.Correctness && !c.Holds })
}

// Write prints the result for people.
func (r Result) Write(to io.Writer) error {
	w := &printer{w: tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)}
	r.writeMachine(w)
	if len(r.Floor) > 0 {
		r.writeThroughput(w)
	}
	r.writeBillDay(w)
	r.writeWebhooks(w)
	if len(r.Stack) > 0 {
		r.writeSteps(w)
		r.writeCost(w)
		r.writeMemory(w)
	}
	r.writeVerdict(w)
	return w.flush()
}

// printer keeps the first error of many prints.
type printer struct {
	w   *tabwriter.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// block ends a table and names the next.
func (p *printer) block(title string) {
	if p.err == nil {
		p.err = p.w.Flush()
	}
	p.line("\n%s", title)
}

func (p *printer) flush() error {
	if p.err == nil {
		p.err = p.w.Flush()
	}
	return p.err
}

func (r Result) writeMachine(w *printer) {
	m := r.Machine
	w.block("machine")
	w.line("  %s, %d cores, %.0f MB; %s; %s", m.Processor, m.Cores, m.MemoryMB, m.System, m.Go)
	w.line("  MariaDB %s", m.Database)
	w.line("  durable write of 4 KiB: p50 %s, p99 %s", ms(m.Flush.P50), ms(m.Flush.P99))
	w.line("  load generator, services, broker and database share these cores")
}

func (r Result) writeThroughput(w *printer) {
	o := r.Options
	w.block(fmt.Sprintf("purchases/s at %d buyers, median of %d rounds of %s (lowest – highest)", o.Buyers, o.Rounds, o.Duration))
	floor, limit := yardsticksPerSecond(r.Floor), yardsticksPerSecond(r.Limit)
	w.line("%s\t\tfloor: 8 durable transactions, no RPC\t", spread(floor))
	w.line("%s\t%.3f of the floor\tlimit: each behind a bare gRPC call\t", spread(limit), quotient(limit.Median, floor.Median))
	if len(r.Stack) == 0 {
		return
	}
	stack, ratio := roundsPerSecond(r.Stack), r.FloorRatio()
	w.line("%s\t%.3f of the floor (%.3f – %.3f)\tstack\t", spread(stack), ratio.Median, ratio.Min, ratio.Max)
	w.line("\t%.3f of the limit\t\t", quotient(stack.Median, limit.Median))
	if r.REST != nil {
		w.line("%.1f\t%.3f of the stack\tstack, payer over REST\t", r.REST.PerSecond(), quotient(r.REST.PerSecond(), stack.Median))
	}
	if r.Quoted != nil {
		w.line("%.1f\t%.3f of the stack\tstack, each purchase with ConfirmPayChannel\t", r.Quoted.PerSecond(), quotient(r.Quoted.PerSecond(), stack.Median))
	}
	if r.Eager != nil {
		w.line("%.1f\t%.3f of the stack\tstack, each purchase confirmed in the moment it is paid\t", r.Eager.PerSecond(), quotient(r.Eager.PerSecond(), stack.Median))
	}
	if len(r.Fill.Stack) > 0 {
		filled, ground := roundsPerSecond(r.Fill.Stack), yardsticksPerSecond(r.Fill.Floor)
		w.line("%s\t%.3f of the stack\tstack, %d orders stored\t", spread(filled), quotient(filled.Median, stack.Median), r.Fill.Orders)
		w.line("%s\t%.3f of the floor\tfloor on that server\t", spread(ground), quotient(ground.Median, floor.Median))
		w.line("%.0f s\t%.0f MB\tthe fill: how long, and how large the database is\t", r.Fill.Took.Seconds(), r.Fill.Megabytes)
	}
	if len(r.Sweep) > 0 {
		w.block("by buyers\npurchases/s\tDoCommitPayment p50\tp99\twhole purchase p50\tp99\tbuyers\t")
		for _, s := range r.Sweep {
			c := s.Steps[stepCommit]
			w.line("%.1f\t%s\t%s\t%s\t%s\t%d\t", s.PerSecond(), ms(c.P50), ms(c.P99), ms(s.Total.P50), ms(s.Total.P99), s.Buyers)
		}
	}
}

func (r Result) writeBillDay(w *printer) {
	d := r.BillDay
	if d == nil {
		return
	}
	w.block(fmt.Sprintf("bill day: %d loans, %d bills, %d rows written, while %d purchases/s come", d.Loans, d.Bills, d.Rows, cyclePace))
	rate := func(took time.Duration) float64 { return quotient(float64(d.Loans), took.Seconds()) }
	w.line("%.1f s\t%.0f loans/s\t\tbilled, one batch at a time\t", d.Took.Seconds(), rate(d.Took))
	for i, took := range d.Straight {
		w.line("%.1f s\t%.0f loans/s\t%.3f\tthe same rows written straight, connections: %d\t", took.Seconds(), rate(took), d.Share(i+1), i+1)
	}
	w.line("%.1f s\t\t\t%d more loans, the service killed %d times\t", d.HeldTook.Seconds(), d.Held, d.Kills)
	w.block("DoCommitPayment meanwhile, ms\np50\tp95\tp99\tpurchases\t\t")
	for _, one := range []struct {
		what string
		Round
	}{{"without billing", d.Calm}, {"while loans are billed", d.Busy}} {
		q := one.Steps[stepCommit]
		w.line("%s\t%s\t%s\t%d\t%s\t", bare(q.P50), bare(q.P95), bare(q.P99), one.Purchases, one.what)
	}
	w.block(fmt.Sprintf("at %d calls/s on that database, ms\np50\tp99\t\t", queryPace))
	for i := range d.Quote {
		w.line("%s\t%s\thealth check\t", bare(d.Health[i].P50), bare(d.Health[i].P99))
		w.line("%s\t%s\tQueryUserInstalmentInfo\t", bare(d.Quote[i].P50), bare(d.Quote[i].P99))
	}
	w.block("processor time while loans were billed, s")
	for _, name := range slices.Sorted(maps.Keys(d.CPU)) {
		w.line("%.1f\t%s\t", d.CPU[name].Seconds(), name)
	}
	w.block(fmt.Sprintf("audit after bill day: %d checks, %d orders, %d findings, %.1f s", d.Audit.Checks, d.Audit.Orders, len(d.Audit.Findings), d.AuditFor.Seconds()))
	for _, f := range d.Audit.Findings[:min(len(d.Audit.Findings), errorsShown)] {
		w.line("  %s.%s %s: %s", f.Service, f.Check, f.ID, f.Text)
	}
}

func (r Result) writeWebhooks(w *printer) {
	h := r.Webhooks
	if h == nil {
		return
	}
	w.block(fmt.Sprintf("webhooks: %d events to %d endpoints each, from the event to the receipt at %d good ones, ms\np50\tp99\tmax\tdeliveries\t\t", h.Events, h.Endpoints, h.Good))
	w.line("%s\t%s\t%s\t%d\tall endpoints are good\t", bare(h.Alone.P50), bare(h.Alone.P99), bare(h.Alone.Max), h.Alone.Count)
	w.line("%s\t%s\t%s\t%d\ta tenth hangs for %s, a tenth answers 500\t", bare(h.Beside.P50), bare(h.Beside.P99), bare(h.Beside.Max), h.Beside.Count, hangTime)
	if b := h.Backlog; b != nil {
		w.line("%s\t%s\t%s\t%d\tnew ones while a backlog of %d drains\t", bare(b.New.P50), bare(b.New.P99), bare(b.New.Max), b.New.Count, b.Deliveries)
		w.block(fmt.Sprintf("the backlog of %d drained in %.1f s beside %d new events: %.0f deliveries/s", b.Deliveries, b.Took.Seconds(), b.Events, b.PerSecond(h.Endpoints)))
	}
}

// middle is the round of the median throughput.
func (r Result) middle() Round {
	sorted := slices.SortedFunc(slices.Values(r.Stack), func(a, b Round) int {
		return int(a.PerSecond()*1000) - int(b.PerSecond()*1000)
	})
	return sorted[(len(sorted)-1)/2]
}

func (r Result) writeSteps(w *printer) {
	m := r.middle()
	w.block(fmt.Sprintf("calls of a purchase at %d buyers, the median round: %d purchases, %d confirmations repeated because they overtook the payment's event\np50\tp95\tp99\tmax\tms\t",
		m.Buyers, m.Purchases, m.Early))
	for s := range stepCount {
		q := m.Steps[s]
		if s == stepChoose && r.Quoted != nil {
			q = r.Quoted.Steps[s] // From the round that makes the call.
		}
		w.line("%s\t%s\t%s\t%s\t%s\t", bare(q.P50), bare(q.P95), bare(q.P99), bare(q.Max), s)
	}
	w.line("%s\t%s\t%s\t%s\t%s\t", bare(m.Total.P50), bare(m.Total.P95), bare(m.Total.P99), bare(m.Total.Max), "from the first call to paid")
	w.block(fmt.Sprintf("the last loan was active %s after the last call; this time is part of the throughput", ms(m.Drain)))
}

func (r Result) writeCost(w *printer) {
	m := r.middle()
	if m.Purchases == 0 {
		return
	}
	each := float64(m.Purchases)
	r.writeProcessorTime(w, m)
	calls := 0.0
	for _, n := range m.Used.calls {
		calls += n
	}
	w.block(fmt.Sprintf("per purchase: %.2f durable transactions, %.2f flushes to disk, %.2f RPCs", float64(m.Used.commits)/each, float64(m.Used.flushes)/each, calls/each))
	for _, key := range slices.Sorted(maps.Keys(m.Used.calls)) {
		w.line("%.2f\t%s\t", m.Used.calls[key]/each, key)
	}
}

// writeProcessorTime sets the stack's processor time beside that of the yardsticks: where the ratio to the floor comes from.
func (r Result) writeProcessorTime(w *printer, m Round) {
	w.block("processor time per purchase, ms\nstack\tfloor\tlimit\t\t")
	per := func(d time.Duration, n int) float64 { return quotient(d.Seconds()*1000, float64(n)) }
	floor, limit := r.Floor[len(r.Floor)-1], r.Limit[len(r.Limit)-1]
	var all [3]float64
	for _, name := range slices.SortedFunc(maps.Keys(m.Used.cpu), func(a, b string) int { return int(m.Used.cpu[b] - m.Used.cpu[a]) }) {
		row := [3]float64{per(m.Used.cpu[name], m.Purchases), per(floor.CPU[name], floor.Purchases), per(limit.CPU[name], limit.Purchases)}
		for i := range all {
			all[i] += row[i]
		}
		label := name
		if name == "bench" {
			label = "load generator"
		}
		w.line("%.2f\t%.2f\t%.2f\t%s\t", row[0], row[1], row[2], label)
	}
	w.line("%.2f\t%.2f\t%.2f\t%s\t", all[0], all[1], all[2], "all")
}

func (r Result) writeMemory(w *printer) {
	w.block("memory after the load, MB resident")
	for _, name := range slices.Sorted(maps.Keys(r.Memory)) {
		healthy := ""
		if d, ok := r.Health[name]; ok {
			healthy = fmt.Sprintf("healthy %.2f s after its start", d.Seconds())
		}
		w.line("%.0f\t%s\t%s\t", r.Memory[name], name, healthy)
	}
	if d := r.Devstack; d != nil {
		w.line("%.0f\t%s\t%s\t", d.ResidentMB, "development stack", fmt.Sprintf("healthy %.2f s after its first start, %.2f s after its second", d.Healthy.Seconds(), d.Again.Seconds()))
	}
}

// errorsShown bounds the list of different errors.
const errorsShown = 10

func (r Result) writeVerdict(w *printer) {
	counts := map[string]int{}
	for _, round := range r.rounds() {
		for text, n := range round.Errors {
			counts[text] += n
		}
	}
	if len(counts) > 0 {
		w.block("errors")
		texts := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return counts[b] - counts[a] })
		for _, text := range texts[:min(len(texts), errorsShown)] {
			w.line("  %d × %s", counts[text], strings.ReplaceAll(text, "\n", " "))
		}
	}
	if len(r.Stack) > 0 {
		w.block(fmt.Sprintf("audit: %d checks, %d orders compared, %d findings, %.1f s", r.Audit.Checks, r.Audit.Orders, len(r.Audit.Findings), r.AuditFor.Seconds()))
		for _, f := range r.Audit.Findings[:min(len(r.Audit.Findings), errorsShown)] {
			w.line("  %s.%s %s: %s", f.Service, f.Check, f.ID, f.Text)
		}
	}
	w.block("what must hold")
	for _, c := range r.Checks() {
		verdict := "PASS"
		if !c.Holds {
			verdict = "MISS"
		}
		w.line("  %s  %s: %s", verdict, c.Name, c.Figure)
	}
}

func quotient(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func spread(s Spread) string { return fmt.Sprintf("%.1f (%.1f – %.1f)", s.Median, s.Min, s.Max) }

func ms(d time.Duration) string { return bare(d) + " ms" }

func bare(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond)) }
