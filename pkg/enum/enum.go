// Package enum owns the way from a number of the contract's enum, or of a column, to the domain's small one.
//
// It must not know an enum: which numbers are legal is the contract's and the domain's to say.
package enum

import "math"

// Of returns n as the domain's number, and 0, the number of none, where it does not fit: 257 must not become 1.
func Of[T ~int8 | ~uint8, N ~int32 | ~int64](n N) T {
	if n < 0 || n > math.MaxInt8 {
		return 0
	}
	return T(n) //nolint:gosec // it fits: 0 to 127
}
