package money_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/creditpay/creditpay/pkg/money"
)

func minorsOf(shares []money.Amount) []int64 {
	out := make([]int64, len(shares))
	for i, s := range shares {
		out[i] = s.Minor()
	}
	return out
}

func TestSplitGivesTheFirstSharesTheRest(t *testing.T) {
	t.Parallel()
	tests := []struct {
		minor int64
		n     int
		want  []int64
	}{
		{100, 3, []int64{34, 33, 33}},
		{101, 3, []int64{34, 34, 33}},
		{-100, 3, []int64{-34, -33, -33}},
		{2, 4, []int64{1, 1, 0, 0}},
		{0, 2, []int64{0, 0}},
		{7, 1, []int64{7}},
		{math.MinInt64, 1, []int64{math.MinInt64}},
	}
	for _, tt := range tests {
		got, err := money.New(tt.minor, money.IDR()).Split(tt.n)
		if err != nil || !slices.Equal(minorsOf(got), tt.want) {
			t.Errorf("Split(%d, %d) = %v, %v; want %v", tt.minor, tt.n, got, err, tt.want)
		}
	}
}

func TestSplitAddsUpAndIsLevel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		whole := money.New(minors().Draw(t, "minor"), money.USD())
		n := rapid.IntRange(1, 40).Draw(t, "n")
		shares, err := whole.Split(n)
		if err != nil || len(shares) != n {
			t.Fatalf("Split = %v, %v", shares, err)
		}
		if sum, err := money.Sum(money.USD(), shares...); err != nil || sum != whole {
			t.Fatalf("the shares add up to %v, %v; want %v", sum, err, whole)
		}
		// Equal to within one unit, larger magnitudes first.
		if d := shares[0].Minor() - shares[n-1].Minor(); d < -1 || d > 1 || (d != 0 && (d > 0) != whole.IsPositive()) {
			t.Fatalf("first %v, last %v", shares[0], shares[n-1])
		}
	})
}

func TestAllocateByLargestRemainder(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		minor   int64
		weights []int64
		want    []int64
	}{
		{"even", 100, []int64{1, 1}, []int64{50, 50}},
		{"ties go to the lowest index", 100, []int64{1, 1, 1}, []int64{34, 33, 33}},
		{"the largest remainder wins over the index", 10, []int64{1, 2, 4}, []int64{1, 3, 6}},
		{"weight zero gets nothing", 5, []int64{0, 1, 0, 1}, []int64{0, 3, 0, 2}},
		{"negative mirrors positive", -10, []int64{1, 2, 4}, []int64{-1, -3, -6}},
		{"nothing", 0, []int64{3, 4}, []int64{0, 0}},
		{"weights beyond int64 in all", 3, []int64{math.MaxInt64, math.MaxInt64, math.MaxInt64}, []int64{1, 1, 1}},
		{"the lowest int64", math.MinInt64, []int64{1}, []int64{math.MinInt64}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := money.New(tt.minor, money.IDR()).Allocate(tt.weights)
			if err != nil || !slices.Equal(minorsOf(got), tt.want) {
				t.Errorf("Allocate(%d, %v) = %v, %v; want %v", tt.minor, tt.weights, got, err, tt.want)
			}
		})
	}
}

func TestAllocateAddsUpWithinOneUnitOfTheQuota(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		minor := rapid.Int64Range(-money.MaxMinor, money.MaxMinor).Draw(t, "minor")
		weights := rapid.SliceOfN(rapid.Int64Range(0, 1000), 1, 20).Draw(t, "weights")
		var total int64
		for _, w := range weights {
			total += w
		}
		shares, err := money.New(minor, money.IDR()).Allocate(weights)
		if total == 0 {
			if !errors.Is(err, money.ErrShares) {
				t.Fatalf("all weights zero: %v, want ErrShares", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if sum, err := money.Sum(money.IDR(), shares...); err != nil || sum.Minor() != minor {
			t.Fatalf("the shares add up to %v, %v; want %d", sum, err, minor)
		}
		for i, s := range shares {
			// |share × total − minor × weight| < total says: less than one unit off.
			off := s.Minor()*total - minor*weights[i]
			if off <= -total || off >= total || (weights[i] == 0 && !s.IsZero()) {
				t.Fatalf("share %d of weight %d is %v", i, weights[i], s)
			}
		}
	})
}

func TestSharesThatCannotBeServedAreRefused(t *testing.T) {
	t.Parallel()
	a := money.New(10, money.IDR())
	for _, n := range []int{0, -1, money.MaxShares + 1} {
		if _, err := a.Split(n); !errors.Is(err, money.ErrShares) {
			t.Errorf("Split(%d): %v, want ErrShares", n, err)
		}
	}
	for _, weights := range [][]int64{nil, {}, {0, 0}, {1, -1}, make([]int64, money.MaxShares+1)} {
		if _, err := a.Allocate(weights); !errors.Is(err, money.ErrShares) {
			t.Errorf("Allocate of %d weights: %v, want ErrShares", len(weights), err)
		}
	}
}
