package bench

import (
	"math"
	"slices"
	"time"
)

// Percentile is the smallest duration that at least p percent (0 < p ≤ 100) of the values do not exceed: the nearest-rank
// definition, an observed value and not an interpolation. The values must be sorted; it is 0 for none.
func Percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Quantiles sums up how long something took.
type Quantiles struct {
	// Count of the values.
	Count int
	// P50, P95 and P99 are the nearest-rank percentiles, Max the largest value.
	P50, P95, P99, Max time.Duration
}

// QuantilesOf sorts the values in place and sums them up.
func QuantilesOf(values []time.Duration) Quantiles {
	if len(values) == 0 {
		return Quantiles{}
	}
	slices.Sort(values)
	return Quantiles{
		Count: len(values), P50: Percentile(values, 50), P95: Percentile(values, 95), P99: Percentile(values, 99), Max: values[len(values)-1],
	}
}

// Spread is the middle of several measurements and how far apart they were.
type Spread struct {
	Median, Min, Max float64
}

// SpreadOf sums measurements up; with an even number the median is the mean of the two in the middle. It is zero for none.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1]}
}
