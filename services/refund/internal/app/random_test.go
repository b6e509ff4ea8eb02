package app_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/refund/internal/app"
	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

const (
	randomStories = 25
	randomEvents  = 120
)

// story is random refunds of a few orders, as the marketplace, operators, the payer and time bring them.
type story struct {
	*bed
	t       *testing.T
	dice    *rand.Rand
	orders  []ids.ID
	refunds []ids.ID
}

// Thousands of random events: whatever is asked for, approved, refused, lost, failed, retried or forgotten, no order gives back more than
// was paid, what was adjusted is what was reserved, and the books are clean.
func TestRandomRefundsNeverGiveBackMoreThanWasPaid(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for seed := range uint64(randomStories) {
		s := &story{bed: b, t: t, dice: rand.New(rand.NewPCG(seed, 4))}
		b.world.lose = seed%2 == 0
		for range 4 {
			price := 1 + s.dice.Int64N(8_000_000)
			down := s.dice.Int64N(price/2 + 1)
			s.orders = append(s.orders, b.order(price, down, s.dice.Int64N(price-down+1), "CONFIRMED"))
		}
		for range randomEvents {
			s.event()
		}
		s.end()
		s.judge()
		if t.Failed() {
			t.Fatalf("story %d", seed)
		}
	}
	b.prove(t)
}

func pick[T any](dice *rand.Rand, list []T) T { return list[dice.IntN(len(list))] }

// event is whatever comes next; refusals are answers.
func (s *story) event() {
	switch s.dice.IntN(10) {
	case 0, 1, 2:
		s.asks()
	case 3:
		s.decides()
	case 4, 5:
		if len(s.refunds) > 0 {
			_, err := s.DriveRefund(s.t.Context(), pick(s.dice, s.refunds))
			s.allow(err, errs.DependencyUnavailable)
		}
	case 6:
		s.world.end(pick(s.dice, []domain.LegState{domain.LegReturned, domain.LegFailed}))
	case 7:
		s.operates()
	case 8:
		s.clock.Advance(time.Duration(s.dice.IntN(60)) * time.Hour)
		if len(s.refunds) > 0 {
			_, err := s.ExpireRefund(s.t.Context(), pick(s.dice, s.refunds))
			s.allow(err)
		}
	default:
		// The payer repays a part: what was owed will go back in cash.
		s.world.mu.Lock()
		o := s.world.orders[pick(s.dice, s.orders)]
		o.repaid += s.dice.Int64N(o.credit - o.repaid + 1)
		s.world.mu.Unlock()
	}
}

// allow takes an error that a rule gives; another one fails the test.
func (s *story) allow(err error, reasons ...errs.Reason) {
	s.t.Helper()
	for _, r := range reasons {
		if errs.Is(err, r) {
			return
		}
	}
	if err != nil {
		s.t.Error(err)
	}
}

func (s *story) asks() {
	order := pick(s.dice, s.orders)
	price := s.world.orders[order].Paid.Minor()
	amount := 1 + s.dice.Int64N(price)
	if s.dice.IntN(3) > 0 {
		amount = 1 + s.dice.Int64N(price/3+1)
	}
	number := ""
	if s.dice.IntN(2) == 0 {
		number = fmt.Sprint("r-", s.dice.IntN(500))
	}
	r, err := s.ask(s.t, order, amount, number)
	s.allow(err, errs.RefundExceedsBudget, errs.RequestIDReused)
	if err == nil {
		s.refunds = append(s.refunds, r.ID)
	}
}

func (s *story) decides() {
	if len(s.refunds) == 0 {
		return
	}
	verb := s.ApproveRefund
	if s.dice.IntN(4) == 0 {
		verb = s.RejectRefund
	}
	_, err := verb(s.t.Context(), app.Decision{Approver: pick(s.dice, []string{"ADMIN:alice", "ADMIN:bob", "ADMIN:carol"}), RequestID: s.ids.New().String(),
		RefundIDs: []ids.ID{pick(s.dice, s.refunds)}, Comment: "so be it"})
	s.allow(err)
}

func (s *story) operates() {
	if len(s.refunds) == 0 {
		return
	}
	r := s.get(s.t, pick(s.dice, s.refunds))
	for _, l := range r.Legs {
		if l.State != domain.LegFailed {
			continue
		}
		if s.dice.IntN(2) == 0 {
			_, err := s.RetryRefundLeg(s.t.Context(), "ADMIN:bob", r.ID, l.Reference)
			s.allow(err, errs.DependencyUnavailable)
			continue
		}
		_, _, err := s.ResolveRefundLeg(s.t.Context(), "ADMIN:bob", app.ResolveLeg{RefundID: r.ID, Reference: l.Reference, GivenBack: s.dice.IntN(2) == 0, Evidence: "as agreed"})
		s.allow(err, errs.DependencyUnavailable, errs.RefundStateInvalid)
	}
}

// end lets everything that can end do so.
func (s *story) end() {
	for _, id := range s.refunds {
		s.drive(s.t, id) // Some go back to their approvers.
	}
	s.clock.Advance(domain.ApprovalTime + time.Hour)
	s.world.lose = false
	for _, id := range s.refunds {
		if _, err := s.ExpireRefund(s.t.Context(), id); err != nil {
			s.t.Error(err)
		}
		s.drive(s.t, id)
	}
	for range 3 {
		s.world.end(domain.LegReturned)
		for _, id := range s.refunds {
			r := s.drive(s.t, id)
			for _, l := range r.Legs {
				if l.State == domain.LegFailed {
					if _, err := s.RetryRefundLeg(s.t.Context(), "ADMIN:bob", id, l.Reference); err != nil {
						s.t.Error(err)
					}
				}
			}
		}
	}
}

// judge holds what was refunded against what was paid, and against what the neighbours did.
func (s *story) judge() {
	refunded, adjusted := map[ids.ID]int64{}, map[ids.ID]int64{}
	for _, id := range s.refunds {
		r := s.get(s.t, id)
		if !r.State.Ended() {
			s.t.Errorf("refund %s stays %s %s with %v", id, r.State, r.Step, states(r.Legs))
		}
		if e, ok := s.world.adjusted[id]; ok != (r.State == domain.StateSucceeded && r.Share.Credit.IsPositive()) {
			s.t.Errorf("refund %s is %s, its loan was adjusted: %v", id, r.State, ok)
		} else if ok && !e.Equal(r.Effect) {
			s.t.Errorf("refund %s did %+v and says %+v", id, e, r.Effect)
		}
		if r.State == domain.StateSucceeded {
			refunded[r.OrderID] += r.Amount.Minor()
			adjusted[r.OrderID] += r.Share.Credit.Minor()
		}
	}
	for order, sum := range refunded {
		o := s.world.orders[order]
		if sum > o.Paid.Minor() {
			s.t.Errorf("%d refunded of %s", sum, o.Paid)
		}
		if left := o.Paid.Minor() - o.down.Minor() - adjusted[order]; left != o.credit {
			s.t.Errorf("%d of the credit are left, the refunds leave %d", o.credit, left)
		}
	}
	s.refunds = nil
}
