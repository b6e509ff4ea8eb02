package ids

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"

	"github.com/creditpay/creditpay/pkg/clock"
)

// maxTicks is the largest time of a UUIDv7: 48 bits of milliseconds (the year
// 10889) and 12 bits of fraction.
const maxTicks = 1<<60 - 1

// Generator makes UUIDv7 ids (RFC 9562 §5.7). It is safe for concurrent use and
// must not be copied.
type Generator struct {
	clk  clock.Clock
	mu   sync.Mutex
	last uint64
}

// NewGenerator is a Generator whose ids carry the time of clk.
func NewGenerator(clk clock.Clock) *Generator { return &Generator{clk: clk} }

// New is a new id. Each id of a Generator is greater than the one before, even
// within a millisecond or when the clock goes back: the time counts in ticks of
// 1/4096 ms (RFC 9562 §6.2, method 3) and takes the next tick when it must.
//
// The last 62 bits come from crypto/rand, so an id cannot be guessed from
// another one, and two processes do not collide.
func (g *Generator) New() ID {
	now := ticks(g.clk.Now())
	g.mu.Lock()
	if now <= g.last {
		now = g.last + 1
	}
	g.last = now
	g.mu.Unlock()

	var id ID
	// crypto/rand.Read never fails: it ends the program instead (Go 1.24).
	_, _ = rand.Read(id[8:])
	// 48 bits of milliseconds, then the version, then 12 bits of fraction.
	binary.BigEndian.PutUint64(id[:8], now>>12<<16|7<<12|now&0xfff)
	id[8] = id[8]&0x3f | 0x80 // the RFC's variant, 0b10
	return id
}

// ticks is t in units of 1/4096 ms since 1970; earlier times are 0.
func ticks(t time.Time) uint64 {
	milliseconds := t.UnixMilli()
	if milliseconds < 0 {
		return 0
	}
	// Half of the range is left free for the ticks borrowed from the future.
	if milliseconds > maxTicks>>13 {
		milliseconds = maxTicks >> 13
	}
	fraction := uint64(t.Nanosecond()%int(time.Millisecond)) << 12 / uint64(time.Millisecond)
	return uint64(milliseconds)<<12 | fraction
}
