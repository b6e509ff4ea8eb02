package enum_test

import (
	"testing"

	"github.com/creditpay/creditpay/pkg/enum"
)

func TestOf_NumbersThatDoNotFitAreNone(t *testing.T) {
	t.Parallel()
	for n, want := range map[int32]int8{0: 0, 1: 1, 127: 127, 128: 0, 256: 0, 257: 0, -1: 0, -255: 0, 1 << 30: 0} {
		if got := enum.Of[int8](n); got != want {
			t.Errorf("Of[int8](%d) = %d, want %d", n, got, want)
		}
		if got := enum.Of[uint8](int64(n)); got != uint8(want) {
			t.Errorf("Of[uint8](%d) = %d, want %d", n, got, want)
		}
	}
}
