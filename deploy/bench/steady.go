package bench

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Load that arrives at its own pace, whether or not what came before is answered: what payers do. It shows a delay that a closed loop
// would hide by calling less often.

// steadily calls fn so many times a second until ctx ends, and waits for all calls.
func steadily(ctx context.Context, perSecond float64, fn func(n int)) {
	ticker := time.NewTicker(time.Duration(float64(time.Second) / perSecond))
	defer ticker.Stop()
	var group sync.WaitGroup
	defer group.Wait()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			group.Go(func() { fn(n) })
		}
	}
}

// goodsArrive is how long after the payment the marketplace confirms in a steady load.
const goodsArrive = time.Second

// steadyPurchases has purchases come at a pace until ctx ends, each by a user of its own turn. Those that were begun are finished.
func (m *market) steadyPurchases(ctx context.Context, perSecond float64, p payer) Round {
	calls := context.WithoutCancel(ctx)
	var mu sync.Mutex
	var tallies []tally
	begin := time.Now()
	steadily(ctx, perSecond, func(n int) {
		t := tally{errors: map[string]int{}}
		bought, err := m.purchase(calls, m.users[n%len(m.users)], p, m.ids.New().String(), &t)
		if err == nil {
			time.Sleep(goodsArrive)
			err = m.confirm(calls, bought, &t)
		}
		if err != nil {
			t.errors[err.Error()]++
		}
		mu.Lock()
		defer mu.Unlock()
		tallies = append(tallies, t)
	})
	r := sumUp(tallies)
	r.Elapsed = time.Since(begin)
	return r
}

// steadyCalls times one call that comes at a pace for the given time. The first error ends it.
func steadyCalls(ctx context.Context, perSecond float64, duration time.Duration, call func(ctx context.Context, n int) error) (Quantiles, error) {
	run, stop := context.WithTimeout(ctx, duration)
	defer stop()
	var mu sync.Mutex
	var took []time.Duration
	var wrong error
	steadily(run, perSecond, func(n int) {
		begin := time.Now()
		err := call(ctx, n)
		spent := time.Since(begin)
		mu.Lock()
		defer mu.Unlock()
		if err != nil && wrong == nil {
			wrong = fmt.Errorf("call %d: %w", n, err)
			stop()
		}
		took = append(took, spent)
	})
	return QuantilesOf(took), wrong
}
