package rpckit

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// refusalsPerSecond is how many refusals of a second get a line of their own.
const refusalsPerSecond = 10

// Refusals logs who was refused: a missing or bad token, a call that is not allowed, too many calls. Of each second it logs
// ten, and then how many more there were: a flood of refusals must not become a flood of lines.
type Refusals struct {
	log *zap.Logger

	mu      sync.Mutex
	until   time.Time // the end of the second
	lines   int       // of this second
	skipped int       // since the last count was logged
}

// NewRefusals returns Refusals that log to log.
func NewRefusals(log *zap.Logger) *Refusals { return &Refusals{log: log} }

// Log writes a line with the fields, or counts it.
func (r *Refusals) Log(fields func() []zap.Field) {
	if r.admit(time.Now()) {
		r.log.Warn("refused", fields()...)
	}
}

// admit reports whether this refusal gets a line.
func (r *Refusals) admit(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !now.Before(r.until) {
		r.until, r.lines = now.Add(time.Second), 0
	}
	if r.lines < refusalsPerSecond {
		r.lines++
		return true
	}
	if r.skipped++; r.skipped == 1 {
		time.AfterFunc(r.until.Sub(now), r.count)
	}
	return false
}

// count logs how many refusals got no line.
func (r *Refusals) count() {
	r.mu.Lock()
	skipped := r.skipped
	r.skipped = 0
	r.mu.Unlock()
	r.log.Warn("refused more than are logged one by one", zap.Int("refusals", skipped))
}
