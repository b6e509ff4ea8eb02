package domain

import (
	"fmt"

	"github.com/creditpay/creditpay/pkg/money"
)

// Parts are amounts of one currency by the part of a loan's cost.
type Parts struct {
	Principal, Interest, Fee, Late money.Amount
}

// loanParts are the parts of Parts, in a fixed order.
func loanParts() [4]Part { return [4]Part{PartPrincipal, PartInterest, PartFee, PartLate} }

// ZeroParts are nothing of a currency.
func ZeroParts(c money.Currency) Parts {
	zero := money.Zero(c)
	return Parts{zero, zero, zero, zero}
}

// Of is one part; the zero Amount for a part that is none of a loan's cost.
func (p Parts) Of(part Part) money.Amount {
	if at := p.at(part); at != nil {
		return *at
	}
	return money.Amount{}
}

// at is where a part is kept.
func (p *Parts) at(part Part) *money.Amount {
	switch part {
	case PartPrincipal:
		return &p.Principal
	case PartInterest:
		return &p.Interest
	case PartFee:
		return &p.Fee
	case PartLate:
		return &p.Late
	default:
		return nil
	}
}

// Total is the sum of the parts. It fails with ErrInvariant when they do not fit
// one amount.
func (p Parts) Total() (money.Amount, error) {
	sum, err := money.Sum(p.Principal.Currency(), p.Principal, p.Interest, p.Fee, p.Late)
	if err != nil {
		return money.Amount{}, fmt.Errorf("%w: add up parts: %w", ErrInvariant, err)
	}
	return sum, nil
}

// Add is p + other, part by part. It fails with ErrInvariant.
func (p Parts) Add(other Parts) (Parts, error) {
	var k calculation
	return k.addParts(p, other), k.err
}

// calculation is arithmetic whose first error is kept, so that long sums stay
// readable; err must be looked at before any result is used.
type calculation struct{ err error }

// keep notes the first error.
func (k *calculation) keep(err error) {
	if err != nil && k.err == nil {
		k.err = fmt.Errorf("%w: %w", ErrInvariant, err)
	}
}

// add is a + b.
func (k *calculation) add(a, b money.Amount) money.Amount {
	sum, err := a.Add(b)
	if err != nil {
		k.keep(err)
		return a
	}
	return sum
}

// sub is a − b.
func (k *calculation) sub(a, b money.Amount) money.Amount {
	diff, err := a.Sub(b)
	if err != nil {
		k.keep(err)
		return a
	}
	return diff
}

// total is the sum of parts.
func (k *calculation) total(p Parts) money.Amount {
	return k.add(k.add(p.Principal, p.Interest), k.add(p.Fee, p.Late))
}

// addParts is a + b, part by part.
func (k *calculation) addParts(a, b Parts) Parts {
	return Parts{
		Principal: k.add(a.Principal, b.Principal), Interest: k.add(a.Interest, b.Interest),
		Fee: k.add(a.Fee, b.Fee), Late: k.add(a.Late, b.Late),
	}
}

// move takes at most amount of a part out of from and into to, and gives what
// moved.
func (k *calculation) move(from, to *Parts, part Part, amount money.Amount) money.Amount {
	moved := lesser(amount, *from.at(part))
	if !moved.IsPositive() {
		return money.Zero(amount.Currency())
	}
	*from.at(part) = k.sub(*from.at(part), moved)
	*to.at(part) = k.add(*to.at(part), moved)
	return moved
}
