package domain

import (
	"math/big"
	"slices"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/money"
)

// repay gives the money of a fact to what is owed and returns what is left:
// first past due instalments, oldest first, then what is due today, then what is
// billed (Mode says whether by instalment or by part), then the rest by the
// prepayment strategy. Inside an instalment the parts come in the product's order.
func (r *replay) repay(f Fact) money.Amount {
	s, left := r.terms.Product.Servicing, f.Amount
	asked := r.askedFor(f.Date)
	if s.Mode == Vertical {
		for _, part := range s.Order {
			for _, i := range asked {
				left = r.sub(left, r.pay(f, i, []Part{part}, left))
			}
		}
	} else {
		for _, i := range asked {
			left = r.sub(left, r.pay(f, i, s.Order, left))
		}
	}
	return r.spread(r.from(len(asked)), s.Prepayment, left, r.openTotal, func(i int, share money.Amount) {
		r.pay(f, i, s.Order, share)
	})
}

// askedFor is the instalments that are past due, due or billed on a date. Due
// dates rise, so they are the first ones, and their order is that of repay.
func (r *replay) askedFor(date civil.Date) []int {
	n := 0
	for n < len(r.pos.Instalments) && (r.billed(n, date) || !date.Before(r.pos.Instalments[n].DueDate)) {
		n++
	}
	return r.from(0)[:n]
}

// from is the instalments from an index on.
func (r *replay) from(first int) []int {
	var out []int
	for i := first; i < len(r.pos.Instalments); i++ {
		out = append(out, i)
	}
	return out
}

// pay moves at most amount from open to paid, part by part, and gives what moved.
func (r *replay) pay(f Fact, i int, order []Part, amount money.Amount) money.Amount {
	in := &r.pos.Instalments[i]
	return r.settleParts(f, in, &in.Open, &in.Paid, order, amount)
}

// recover gives the money of a fact to what was written off, oldest first, and
// returns what is left.
func (r *replay) recover(f Fact) money.Amount {
	left := f.Amount
	for i := range r.pos.Instalments {
		in := &r.pos.Instalments[i]
		left = r.sub(left, r.settleParts(f, in, &in.WrittenOff, &in.Recovered, r.terms.Product.Servicing.Order, left))
	}
	return left
}

// settleParts moves at most amount between two buckets of an instalment, notes the
// allocations and gives what moved.
func (r *replay) settleParts(f Fact, in *InstalmentPosition, from, to *Parts, order []Part, amount money.Amount) money.Amount {
	moved := money.Zero(amount.Currency())
	for _, part := range order {
		m := r.move(from, to, part, r.sub(amount, moved))
		if m.IsPositive() {
			r.pos.Allocations = append(r.pos.Allocations, Allocation{FactID: f.ID, Sequence: in.Sequence, Part: part, Amount: m})
			moved = r.add(moved, m)
		}
	}
	return moved
}

// spread gives an amount to instalments by a strategy, none more than it has open,
// and returns what is left. REAMORTIZE is the rule of Apache Fineract: the share is
// what remains over the number of open instalments, rounded half even; each gets
// at most that, the last one what is left; repeated while something remains.
func (r *replay) spread(list []int, s Strategy, amount money.Amount, open func(int) money.Amount, give func(int, money.Amount)) money.Amount {
	if s == StrategyReamortize {
		return r.spreadEvenly(list, amount, open, give)
	}
	if s == StrategyLast {
		list = slices.Clone(list)
		slices.Reverse(list)
	}
	for _, i := range list {
		amount = r.giveAtMost(i, amount, amount, open, give)
	}
	return amount
}

// spreadEvenly is spread by REAMORTIZE.
func (r *replay) spreadEvenly(list []int, amount money.Amount, open func(int) money.Amount, give func(int, money.Amount)) money.Amount {
	for amount.IsPositive() && r.err == nil {
		list = slices.DeleteFunc(slices.Clone(list), func(i int) bool { return !open(i).IsPositive() })
		if len(list) == 0 {
			break
		}
		share, err := amount.MulRat(big.NewRat(1, int64(len(list))), money.HalfEven)
		r.keep(err)
		for k, i := range list {
			if k == len(list)-1 {
				share = amount
			}
			amount = r.giveAtMost(i, share, amount, open, give)
		}
	}
	return amount
}

// giveAtMost gives an instalment a share, at most what it has open and what
// remains, and returns what remains then.
func (r *replay) giveAtMost(i int, share, remaining money.Amount, open func(int) money.Amount, give func(int, money.Amount)) money.Amount {
	share = lesser(lesser(share, remaining), open(i))
	if !share.IsPositive() {
		return remaining
	}
	give(i, share)
	return r.sub(remaining, share)
}
