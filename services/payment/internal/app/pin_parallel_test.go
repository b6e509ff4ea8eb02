package app_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// guess is what one of many tries at once was answered.
type guess struct {
	right bool
	err   error
}

// guesses tries 79 wrong PINs and the right one at once, over two instances of the service.
func (w *world) guesses(try func(a *app.App, i int, digits string) error) []guess {
	w.t.Helper()
	second := app.New(w.Deps)
	out := make([]guess, 80)
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for i := range out {
		digits, right := fmt.Sprintf("7%05d", i), i == len(out)/2
		if right {
			digits = pin
		}
		a := w.App
		if i%2 == 1 {
			a = second
		}
		wg.Go(func() {
			<-begin
			out[i] = guess{right, try(a, i, digits)}
		})
	}
	close(begin)
	wg.Wait()
	return out
}

// checkGuesses holds that wrong tries were judged five times at most and that the right one, unless it won, is answered as a wrong one
// may be. It reports whether the right one won.
func checkGuesses(t *testing.T, all []guess) (won bool) {
	t.Helper()
	wrong, texts := 0, map[errs.Reason]map[string]bool{}
	for _, g := range all {
		if g.err == nil {
			won = won || g.right
			if !g.right {
				t.Error("a wrong PIN was taken")
			}
			continue
		}
		reason, _ := errs.ReasonOf(g.err)
		switch reason {
		case errs.PinWrong:
			wrong++
			if g.right {
				t.Error("the right PIN was called wrong")
			}
		case errs.PinLocked, errs.ConcurrentChange:
			if texts[reason] == nil {
				texts[reason] = map[string]bool{}
			}
			texts[reason][g.err.Error()] = true
		default:
			t.Errorf("got %v", g.err)
		}
	}
	// The fifth wrong one answers PIN_LOCKED. A right one that won lets counting begin again.
	if !won && wrong > domain.PinTriesMax-1 {
		t.Errorf("%d wrong tries were judged before the lock, want %d", wrong+1, domain.PinTriesMax)
	}
	if n := len(texts[errs.ConcurrentChange]); n > 1 {
		t.Errorf("lost races have %d answers, want 1: %v", n, texts[errs.ConcurrentChange])
	}
	return won
}

// The right guess among 80 at once answered CONCURRENT_CHANGE where wrong ones were counted: it stood out, and 67 guesses were judged
// per lock.
func TestPin_EightyAtOnceAreJudgedOneByOne(t *testing.T) {
	t.Parallel()
	const rounds = 25
	w := newWorld(t)
	w.setPin()
	quote := w.quote()
	wins, alike := 0, 0
	for round := range rounds {
		w.setTries(0)
		all := w.guesses(func(a *app.App, i int, digits string) error {
			_, err := a.DoCommitPayment(context.Background(), user, who, fmt.Sprintf("guess-%03d-%03d", round, i), digits,
				app.CommitRequest{CheckoutID: w.checkoutID(), QuoteID: quote})
			// The right one that won may find the checkout taken by the right one of an earlier round.
			if errs.Is(err, errs.CheckoutAlreadyPaid) || errs.Is(err, errs.CheckoutCommitting) {
				return nil
			}
			return err
		})
		if checkGuesses(t, all) {
			wins++
			continue
		}
		alike += lostAlike(all)
	}
	// One of 80, five times, is a chance of 6 %; a try that is judged without its turn wins nearly always.
	if wins > rounds/2 {
		t.Errorf("the right PIN won %d of %d rounds", wins, rounds)
	}
	if alike == 0 {
		t.Error("no round showed the right PIN beside wrong ones that lost alike; the test proves nothing")
	}
}

func TestPin_EightyChangesAtOnceAreJudgedAlike(t *testing.T) {
	t.Parallel()
	const rounds = 10
	w := newWorld(t)
	w.setPin()
	for round := range rounds {
		w.setTries(0)
		all := w.guesses(func(a *app.App, i int, digits string) error {
			return a.SetPaymentPin(context.Background(), setPin(user, who, fmt.Sprintf("change-%03d-%03d", round, i), pin, digits))
		})
		checkGuesses(t, all)
	}
}

// lostAlike counts wrong tries that were answered as the right one was.
func lostAlike(all []guess) int {
	n := 0
	for _, right := range all {
		for _, g := range all {
			if right.right && !g.right && g.err.Error() == right.err.Error() {
				n++
			}
		}
	}
	return n
}

// setTries sets the count of wrong tries, and lifts a lock.
func (w *world) setTries(n int) {
	w.t.Helper()
	if _, err := w.db.ExecContext(context.Background(), `UPDATE pins SET failed_count = ?, locked_until = NULL, version = version + 1`, n); err != nil {
		w.t.Fatal(err)
	}
}
