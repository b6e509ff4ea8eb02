package money

import (
	"errors"
	"fmt"
	"math/big"
	"sort"
)

// MaxShares bounds the number of parts of Split and Allocate.
const MaxShares = 10_000

// ErrShares is returned for a number or weighting of shares that cannot be
// served: none, more than MaxShares, a negative weight, or all weights zero.
var ErrShares = errors.New("cannot share amount")

// Split cuts a into n equal shares that add up to a. When a does not divide,
// the first shares are one minor unit larger (in magnitude): 100 in 3 is
// 34, 33, 33, and −100 is −34, −33, −33. n is 1 to MaxShares, else ErrShares.
func (a Amount) Split(n int) ([]Amount, error) {
	if n < 1 || n > MaxShares {
		return nil, fmt.Errorf("%w into %d shares", ErrShares, n)
	}
	each, rest := a.minor/int64(n), a.minor%int64(n)
	step := int64(1)
	if rest < 0 {
		step = -1
	}
	shares := make([]Amount, n)
	for i := range shares {
		shares[i] = Amount{each, a.currency}
		if rest != 0 {
			shares[i].minor += step
			rest -= step
		}
	}
	return shares, nil
}

// Allocate cuts a in proportion to weights, by the largest remainder method
// (Hamilton): each share is first rounded toward zero, then the units left over
// go one each to the largest remainders, the lowest index first among equals.
// The shares always add up to a; a share of weight zero is zero; a negative
// amount is shared as its magnitude and negated.
//
// Weights are non-negative and not all zero, 1 to MaxShares of them, else
// ErrShares.
func (a Amount) Allocate(weights []int64) ([]Amount, error) {
	total, err := totalWeight(weights)
	if err != nil {
		return nil, err
	}
	magnitude := new(big.Int).Abs(big.NewInt(a.minor))
	quotas := make([]*big.Int, len(weights))
	remainders := make([]*big.Int, len(weights))
	left := new(big.Int).Set(magnitude)
	for i, w := range weights {
		product := new(big.Int).Mul(magnitude, big.NewInt(w))
		quotas[i], remainders[i] = product.QuoRem(product, total, new(big.Int))
		left.Sub(left, quotas[i])
	}
	order := make([]int, len(weights))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool {
		return remainders[order[i]].Cmp(remainders[order[j]]) > 0
	})
	// What is left is the sum of the remainders over the total, so it is less
	// than the number of non-zero remainders: nobody of weight zero gets a unit.
	one := big.NewInt(1)
	for k := range int(left.Int64()) {
		quotas[order[k]].Add(quotas[order[k]], one)
	}
	shares := make([]Amount, len(weights))
	for i, quota := range quotas {
		if a.minor < 0 {
			quota.Neg(quota)
		}
		if shares[i], err = a.whole(quota); err != nil {
			return nil, err
		}
	}
	return shares, nil
}

// totalWeight checks weights and adds them up.
func totalWeight(weights []int64) (*big.Int, error) {
	if len(weights) < 1 || len(weights) > MaxShares {
		return nil, fmt.Errorf("%w into %d shares", ErrShares, len(weights))
	}
	total := new(big.Int)
	for i, w := range weights {
		if w < 0 {
			return nil, fmt.Errorf("%w: weight %d of share %d is negative", ErrShares, w, i)
		}
		total.Add(total, big.NewInt(w))
	}
	if total.Sign() == 0 {
		return nil, fmt.Errorf("%w: all weights are zero", ErrShares)
	}
	return total, nil
}
