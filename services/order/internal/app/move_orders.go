package app

import (
	"time"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

// movement is a group of orders that move between the same two states.
type movement struct {
	from, to []domain.Order
	mark     domain.Mark
	// autoConfirm is when orders that become PAID are confirmed by themselves.
	autoConfirm time.Time
}

// planMove computes a movement; nothing is written. An illegal move is errs.OrderStateInvalid.
func planMove(orders []domain.Order, to domain.OrderState, m domain.Mark, commit ids.ID) (movement, error) {
	after := make([]domain.Order, len(orders))
	for i, o := range orders {
		var err error
		if after[i], err = o.Moved(to, m, commit); err != nil {
			return movement{}, err
		}
	}
	return movement{from: orders, to: after, mark: m}, nil
}

// write queues the movement with its timeline entries and events.
func (mv movement) write(tx Tx) {
	if len(mv.from) == 0 {
		return
	}
	tx.MoveOrders(mv.from, mv.to, mv.mark, mv.autoConfirm)
	for _, o := range mv.to {
		if e, ok := domain.EventOf(o, mv.mark); ok {
			tx.Emit(e)
		}
	}
}

// moveOrders plans and writes.
func moveOrders(tx Tx, orders []domain.Order, to domain.OrderState, m domain.Mark) ([]domain.Order, error) {
	mv, err := planMove(orders, to, m, ids.ID{})
	if err != nil {
		return nil, err
	}
	mv.write(tx)
	return mv.to, nil
}

func checkoutKey(id ids.ID) string { return ids.Format(ids.Checkout, id) }
func orderKey(id ids.ID) string    { return ids.Format(ids.Order, id) }
