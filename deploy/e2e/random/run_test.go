package random

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
)

const (
	rightPin = "482913"
	wrongPin = "739164"
	// callTime bounds one try of a call, patience all tries of it.
	callTime, patience = 15 * time.Second, 90 * time.Second
)

// checkout is a checkout of the run with what its commits came to.
type checkout struct {
	name, id string
	offer    offer
	orders   []*order
	// quote is the last one that was locked.
	quote string
	// commits are the ids of commits that were answered.
	commits []string
}

// order is an order of the run.
type order struct {
	name, id string
	amount   int64
	checkout *checkout
}

// refund is a refund that was asked for.
type refund struct {
	name, id string
	order    *order
	amount   int64
	// requester is the operator who asked; empty for the marketplace. number is the marketplace's.
	requester, number string
	// ended is the state in which it ended; it may not change any more.
	ended string
}

// repayment is a repayment that was begun.
type repayment struct {
	name, id string
}

// leg is cash that the payer was sent to pay.
type leg struct {
	// name is the run's, reference the payment service's.
	name, reference, subject string
	kind                     paymentv1.ExternalLegKind
	amount                   int64
	// paid says that the cash desk had the money, by its own word; used, that it came in time.
	paid, used bool
	expire     time.Time
}

// earlier is a request that may be repeated: it must be answered as it was.
type earlier struct {
	what string
	at   time.Time
	// ask gives what the answer names, for example the id of a refund.
	ask  func(ctx context.Context) (string, string)
	want string
}

// run is one payer, and everything that happens to that payer's orders.
type run struct {
	site   *site
	tally  *tally
	number int
	dice   *rand.Rand
	// steps is how many steps it takes in each act.
	steps []int
	user  string
	token string

	checkouts []*checkout
	// last is the run as it was when it was seen at rest last, over orders that will not change any more; both help to draw steps that do
	// something, and to ask less.
	last *view
	over map[*order]bool
	// touched are the orders that may have changed since.
	touched map[*order]bool

	// mu guards what follows: two steps may be at work at once.
	mu         sync.Mutex
	refunds    []*refund
	repayments []*repayment
	legs       []*leg
	earlier    []earlier
	// resolved are the shares of cancelled orders that an operator ended.
	resolved map[string]bool
	// answered is the last state that the desk was told of a reference.
	answered map[string]paymentv1.LegState
	told     []string
	problems []string
	ids      int
}

// newRun draws a run's shape. acts is how many acts its wave has.
func newRun(s *site, tally *tally, seed uint64, number, acts int) *run {
	r := &run{site: s, tally: tally, number: number, dice: rand.New(rand.NewPCG(seed, uint64(number))), user: fmt.Sprintf("user-%d-%d", seed, number), over: map[*order]bool{}, touched: map[*order]bool{}, resolved: map[string]bool{},
		answered: map[string]paymentv1.LegState{}}
	steps := 5 + r.dice.IntN(16)
	r.steps = make([]int, acts)
	for range steps {
		r.steps[min(r.dice.IntN(acts+1), acts-1)]++ // The last act is the longest: by then there is most to do.
	}
	return r
}

// id makes an id of a request or a number, the same one each time the run is repeated.
func (r *run) id(prefix string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids++
	return fmt.Sprintf("%s-%s-%d", prefix, r.user, r.ids)
}

// begin opens the account and the first checkout.
func (r *run) begin(ctx context.Context) {
	var err error
	if r.token, err = r.site.mint(caller.Caller{Kind: caller.H5, Name: "h5", UserID: r.user, FactorTime: time.Now().Unix()}); err != nil {
		r.problem("%v", err)
		return
	}
	limit := pick(r.dice, []int64{50_000_000, 50_000_000, 20_000_000, 2_000_000})
	call(ctx, r, "OpenCreditAccount", func(ctx context.Context) (*billv1.OpenCreditAccountResponse, error) {
		return r.site.accounts.OpenCreditAccount(r.site.admin(ctx, "alice"), &billv1.OpenCreditAccountRequest{RequestId: "open-" + r.user, UserId: r.user,
			Limit: idr(limit), Reason: "random"})
	})
	call(ctx, r, "SetPaymentPin", func(ctx context.Context) (*paymentv1.SetPaymentPinResponse, error) {
		return r.site.payments.SetPaymentPin(r.h5(ctx), &paymentv1.SetPaymentPinRequest{RequestId: "pin-" + r.user, NewPin: rightPin})
	})
	r.say("0. %s opens an account with a limit of %d", r.user, limit)
	r.take(ctx, r.opens(), nil)
	// Most payers pay: there is more to see of those.
	if r.dice.IntN(8) > 0 && !r.failed() {
		r.take(ctx, r.commits(), nil)
		if r.dice.IntN(5) > 0 {
			r.take(ctx, r.paysAtDesk(), nil)
		}
		if r.dice.IntN(2) == 0 {
			r.take(ctx, r.confirms(), nil)
		}
	}
}

func (r *run) h5(ctx context.Context) context.Context { return as(ctx, r.token) }

// act takes the steps of an act.
func (r *run) act(ctx context.Context, act int) {
	if act == 0 {
		r.begin(ctx)
	}
	r.touch(nil) // Time passed.
	for range r.steps[act] {
		if r.failed() || ctx.Err() != nil {
			return
		}
		// Half of the steps come when everything before has happened: then it is known what they must do.
		var v *view
		if r.dice.IntN(2) == 0 {
			if v = r.settle(ctx); v == nil {
				return
			}
		}
		r.take(ctx, r.next(), v)
	}
}

// step is something that one of the callers does, with everything about it drawn already.
type step struct {
	kind, what string
	// touches are the orders that it may change; nil for all.
	touches []*order
	// do gives what became of it. v is nil when other things happen at the same time.
	do func(ctx context.Context, v *view) string
}

// take takes a step.
func (r *run) take(ctx context.Context, s *step, v *view) {
	if s == nil {
		return
	}
	n := len(r.told)
	rest := "at rest, "
	if v == nil {
		rest = ""
	}
	r.say("%d. %s%s", n, rest, s.what)
	r.touch(s.touches)
	outcome := s.do(ctx, v)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told[n] += " → " + outcome
	r.tally.count(s.kind, outcome)
}

// touch notes which orders may change; nil for all.
func (r *run) touch(orders []*order) {
	if orders == nil {
		orders = r.ordersOf()
	}
	for _, o := range orders {
		r.touched[o] = true
	}
}

func (r *run) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, fmt.Sprintf(format, args...))
}

// problem notes what must not be.
func (r *run) problem(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

func (r *run) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.problems) > 0
}

// report is the run for a person who must find out what went wrong.
func (r *run) report(how string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "run %d, repeat it alone with %s\n", r.number, how)
	for _, line := range r.told {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	for _, o := range r.ordersOf() {
		fmt.Fprintf(&b, "  (%s is %s of %s, %d)\n", o.name, o.id, o.checkout.id, o.amount)
	}
	for _, x := range r.refunds {
		fmt.Fprintf(&b, "  (%s is %s)\n", x.name, x.id)
	}
	for _, l := range r.legs {
		fmt.Fprintf(&b, "  (%s is %s of %s)\n", l.name, l.reference, l.subject)
	}
	for _, p := range r.problems {
		fmt.Fprintf(&b, "  WRONG: %s\n", p)
	}
	return b.String()
}

// ordersOf are the orders of all checkouts.
func (r *run) ordersOf() []*order {
	var out []*order
	for _, c := range r.checkouts {
		out = append(out, c.orders...)
	}
	return out
}

// subjects are what cash was collected for.
func (r *run) subjects() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, l := range r.legs {
		if !slices.Contains(out, l.subject) {
			out = append(out, l.subject)
		}
	}
	return out
}

// legOf is the leg of a subject; nil when the run knows none.
func (r *run) legOf(subject string) *leg {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.legs {
		if l.subject == subject {
			return l
		}
	}
	return nil
}

// addLeg notes where the payer is sent to, once.
func (r *run) addLeg(ctx context.Context, subject string) *leg {
	if l := r.legOf(subject); l != nil {
		return l
	}
	got := r.cashLeg(ctx, subject)
	if got == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l := &leg{name: fmt.Sprintf("leg%d", len(r.legs)+1), reference: got.GetReference(), subject: subject, kind: got.GetKind(), amount: got.GetAmount().GetAmountMinor(),
		expire: got.GetExpireTime().AsTime()}
	r.legs = append(r.legs, l)
	return l
}

// remember keeps a request that was answered, to be repeated.
func (r *run) remember(what, want string, ask func(ctx context.Context) (string, string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.earlier = append(r.earlier, earlier{what: what, at: r.site.now(), want: want, ask: ask})
}

func pick[T any](dice *rand.Rand, list []T) T { return list[dice.IntN(len(list))] }

// passing reports whether a caller is to repeat the same call with the same request_id.
func passing(err error) bool {
	switch reasonOf(err) {
	case errs.DependencyUnavailable.Name(), errs.RequestInFlight.Name(), errs.ConcurrentChange.Name(), errs.DeadlineTooShort.Name():
		return true
	case "":
		return status.Code(err) == codes.Unavailable || status.Code(err) == codes.DeadlineExceeded
	default:
		return false
	}
}

// reasonOf gives the reason of a refusal on the wire; empty for what came from the transport.
func reasonOf(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// call makes a call as its contract says: it is repeated while what stops it may pass. Another refusal must have one of the reasons that are
// legal, which is given; anything else is a problem of the run.
func call[T any](ctx context.Context, r *run, verb string, once func(ctx context.Context) (T, error), legal ...errs.Reason) (answer T, reason string) {
	deadline := time.Now().Add(patience)
	for {
		one, cancel := context.WithTimeout(ctx, callTime)
		answer, err := once(one)
		cancel()
		r.tally.called(verb)
		if err == nil {
			return answer, ""
		}
		if passing(err) && time.Now().Before(deadline) {
			r.tally.count("repeated because of", verb+" "+reasonOf(err)+status.Code(err).String())
			if pause(ctx, 20*time.Millisecond) {
				continue
			}
		}
		reason := reasonOf(err)
		if !slices.ContainsFunc(legal, func(x errs.Reason) bool { return x.Name() == reason }) {
			r.problem("%s: %v, which is none of the answers that are legal here: %s", verb, err, names(legal))
		}
		if reason == "" {
			reason = "?"
		}
		return answer, reason
	}
}

func names(list []errs.Reason) string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = x.Name()
	}
	return strings.Join(out, ", ")
}

// want notes a problem when an answer is not what it must be.
func (r *run) want(verb, got, want string) {
	if got != want {
		r.problem("%s: answered %q, must be %q", verb, got, want)
	}
}

// tally counts what happened over all runs.
type tally struct {
	mu    sync.Mutex
	calls int
	met   map[string]map[string]int
}

func newTally() *tally { return &tally{met: map[string]map[string]int{}} }

func (t *tally) called(verb string) {
	t.count("calls", verb)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls++
}

// count counts an outcome of a kind of step.
func (t *tally) count(kind, outcome string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.met[kind] == nil {
		t.met[kind] = map[string]int{}
	}
	t.met[kind][outcome]++
}

// of gives how often an outcome of a kind was met, whatever follows its first words.
func (t *tally) of(kind, outcome string) (sum int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for text, n := range t.met[kind] {
		if strings.HasPrefix(text, outcome) {
			sum += n
		}
	}
	return sum
}

// String is a line a kind.
func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []string
	for kind, outcomes := range t.met {
		var parts []string
		for outcome, n := range outcomes {
			parts = append(parts, fmt.Sprintf("%s %d", outcome, n))
		}
		slices.Sort(parts)
		lines = append(lines, fmt.Sprintf("  %s: %s", kind, strings.Join(parts, ", ")))
	}
	slices.Sort(lines)
	return fmt.Sprintf("%d calls\n%s", t.calls, strings.Join(lines, "\n"))
}
