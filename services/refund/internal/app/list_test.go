package app_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/creditpay/creditpay/services/refund/internal/app"
	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

// The newest refunds are those that move; a list of them must not wait until all stand still.
func TestAListIsReadWhileItsRefundsMove(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	const count = 50
	var list []domain.Refund
	for n := range count {
		list = append(list, b.mustAsk(t, b.order(100_000, 20_000, 80_000, "CLOSED"), 100_000, fmt.Sprintf("r-%d", n)))
	}
	driven := make(chan struct{})
	var readers, drivers sync.WaitGroup
	for part := range 4 {
		drivers.Go(func() {
			for i := part; i < count; i += 4 {
				b.drive(t, list[i].ID)
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			for {
				got, err := b.ListRefunds(t.Context(), app.Filter{Limit: count})
				if err != nil || len(got) != count {
					t.Errorf("%d refunds, %v", len(got), err)
					return
				}
				for _, r := range got {
					if r.EffectKnown() != (len(r.Legs) == 2) {
						t.Errorf("%s %s with %d legs", r.State, r.Step, len(r.Legs))
						return
					}
				}
				select {
				case <-driven:
					return
				default:
				}
			}
		})
	}
	drivers.Wait()
	close(driven)
	readers.Wait()
}
