package random

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
)

const (
	runsDefault = 1000
	// waveSize is how many runs go through the same days, workers how many of them are at work at the same moment.
	waveSize, workers = 200, 24
	// seedDefault makes the same runs each time, so that a change is what makes them fail.
	seedDefault = 20261127
	// acts of a wave; between them the clock moves.
	acts = 4
	// reportsMax bounds how many runs that failed are printed.
	reportsMax = 5
)

// plan is what the environment asks for.
type plan struct {
	runs int
	seed uint64
	// only is the one run that is repeated, -1 for all; from is the day on which its wave began.
	only int
	from civil.Date
}

func planOf(getenv func(string) string) (plan, error) {
	p := plan{runs: runsDefault, seed: seedDefault, only: -1}
	var err error
	if text := getenv("CREDITPAY_RANDOM_RUNS"); text != "" {
		if p.runs, err = strconv.Atoi(text); err != nil || p.runs < 1 {
			return p, fmt.Errorf("CREDITPAY_RANDOM_RUNS %q is no number of runs", text)
		}
	}
	switch text := getenv("CREDITPAY_RANDOM_SEED"); text {
	case "":
	case "new":
		p.seed = rand.Uint64N(1_000_000)
	default:
		if p.seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			return p, fmt.Errorf("CREDITPAY_RANDOM_SEED: %w", err)
		}
	}
	if text := getenv("CREDITPAY_RANDOM_RUN"); text != "" {
		if p.only, err = strconv.Atoi(text); err != nil || p.only < 0 {
			return p, fmt.Errorf("CREDITPAY_RANDOM_RUN %q is no number of a run", text)
		}
	}
	if text := getenv("CREDITPAY_RANDOM_FROM"); text != "" {
		if p.from, err = civil.Parse(text); err != nil {
			return p, fmt.Errorf("CREDITPAY_RANDOM_FROM: %w", err)
		}
	}
	return p, nil
}

// Thousands of payers whose purchases, refunds, repayments and cancellations, and whose cash desk, come in any order: each answer is one that
// is legal for what is known, a refund does what its preview said, nobody is refunded more than was paid or gets back more cash than came,
// everything ends, and the books of all services are clean.
func TestRandomSequencesOverAllServices(t *testing.T) {
	t.Parallel()
	p, err := planOf(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	e := &evening{site: s, tally: newTally(), plan: p}
	begin := time.Now()
	first, last := 0, (p.runs-1)/waveSize
	if p.only >= 0 {
		first, last = p.only/waveSize, p.only/waveSize
	}
	t.Logf("seed %d, %d runs", p.seed, p.runs)
	for n := first; n <= last && !t.Failed(); n++ {
		e.wave(t, n)
	}
	t.Logf("%d runs of seed %d in %s, until %s by the stack's clock\n%s", e.done, p.seed, time.Since(begin).Round(time.Second), s.today(), e.tally)
	if p.only < 0 && !t.Failed() {
		e.enough(t)
	}
}

// evening is the test as it goes on.
type evening struct {
	site  *site
	tally *tally
	plan  plan
	done  int
}

// wave takes the runs of a wave through their acts and to their ends.
func (e *evening) wave(t *testing.T, n int) {
	ctx, begin := t.Context(), time.Now()
	day := e.site.today().AddDays(1)
	if !e.plan.from.IsZero() {
		day = e.plan.from
	}
	if err := e.site.reach(ctx, day); err != nil {
		t.Fatal(err)
	}
	from := e.site.today()
	var runs []*run
	for number := n * waveSize; number < (n+1)*waveSize; number++ {
		if (e.plan.only < 0 && number < e.plan.runs) || number == e.plan.only {
			runs = append(runs, newRun(e.site, e.tally, e.plan.seed, number, acts))
		}
	}
	// The clock's own dice: a run that is repeated alone goes through the same days.
	dice := rand.New(rand.NewPCG(e.plan.seed, 1<<63|uint64(n)))
	var went []string
	for act := range acts {
		if act > 0 {
			d := jump(dice)
			went = append(went, d.String())
			if err := e.site.advance(ctx, d); err != nil {
				t.Fatal(err)
			}
		}
		each(runs, func(r *run) { r.act(ctx, act) })
		if e.judge(ctx, t, runs, from); t.Failed() {
			return
		}
	}
	// By now everything that waits for somebody is over, and every parcel has arrived.
	if err := e.site.advance(ctx, 31*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	each(runs, func(r *run) { r.finish(ctx) })
	e.judge(ctx, t, runs, from)
	e.done += len(runs)
	if e.plan.only >= 0 {
		t.Log(runs[0].report("the same"))
	}
	t.Logf("wave %d from %s, %s: %d runs in %s", n, from, strings.Join(went, ", "), len(runs), time.Since(begin).Round(time.Millisecond))
}

// jump draws by how much the clock moves between two acts: past a down payment, a repayment, an approval, a receipt, a bill or its due date.
func jump(dice *rand.Rand) time.Duration {
	const day = 24 * time.Hour
	return pick(dice, []time.Duration{31 * time.Minute, 3 * time.Hour, day + time.Hour, 4 * day, 8 * day, 16 * day, 20 * day, 33 * day, 45 * day})
}

// each does something for every run, a bounded number at a time.
func each(runs []*run, do func(r *run)) {
	var group sync.WaitGroup
	turns := make(chan struct{}, workers)
	for _, r := range runs {
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			do(r)
		})
	}
	group.Wait()
}

// judge fails the test for runs that went wrong, and for what the audit finds.
func (e *evening) judge(ctx context.Context, t *testing.T, runs []*run, from civil.Date) {
	t.Helper()
	how := func(r *run) string {
		return fmt.Sprintf("CREDITPAY_RANDOM_SEED=%d CREDITPAY_RANDOM_RUN=%d CREDITPAY_RANDOM_FROM=%s", e.plan.seed, r.number, from)
	}
	printed := 0
	for _, r := range runs {
		if r.failed() {
			if printed++; printed <= reportsMax {
				t.Error(r.report(how(r)))
			}
		}
	}
	if printed > 0 {
		t.Errorf("%d of %d runs went wrong", printed, len(runs))
	}
	found, err := e.site.findings(ctx)
	if err != nil {
		t.Fatalf("audit: %v", err)
	}
	for i, f := range found {
		if t.Errorf("audit: %s %s %s: %s", f.Service, f.Check, f.ID, f.Text); i >= reportsMax {
			continue
		}
		for _, r := range runs {
			if text := r.report(how(r)); strings.Contains(text, f.ID) || strings.Contains(f.ID, r.user) {
				t.Errorf("it is of this run:\n%s", text)
			}
		}
	}
}

// enough fails the test when the runs met too little of what they are about; the figures are per thousand runs, far below what is usual.
func (e *evening) enough(t *testing.T) {
	for _, least := range []struct {
		n             int
		kind, outcome string
	}{
		{150, "previews that were compared", "without cash"}, {60, "previews that were compared", "with a down payment"},
		{30, "previews that were compared", "with repayments"},
		{800, "refunds ended", "SUCCEEDED"}, {4, "refunds ended", "FAILED"}, {8, "refunds ended", "REJECTED"}, {40, "refunds ended", "EXPIRED"},
		{15, "approves", "APPROVED"}, {5, "approves", "REFUND_CHANGED"}, {4, "approves", "APPROVER_IS_REQUESTER"},
		{3, "retry", "DONE"}, {3, "resolve as given back", "DONE"}, {3, "resolve as kept", "DONE"},
		{60, "bounce", "REVERSED"}, {50, "repayments ended", "BOUNCED"}, {400, "repayments ended", "SUCCEEDED"},
		{400, "orders ended", "CLOSED, loan SETTLED"}, {30, "orders ended", "CLOSED, loan VOID"}, {100, "orders ended", "CANCELLED, loan VOID"},
		{200, "orders ended", "EXPIRED"}, {10, "orders ended", "CONFIRMED"},
		{3, "together: refund || cancel", "REQUESTED || CANCELLING"}, {5, "together: refund || refund", "REQUESTED || REFUND_EXCEEDS_BUDGET"},
	} {
		if got, want := e.tally.of(least.kind, least.outcome), least.n*e.done/runsDefault; got < want {
			t.Errorf("the runs met %q of %q %d times, fewer than %d", least.outcome, least.kind, got, want)
		}
	}
}
