package devstack

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// crashPlan kills the process after a number of committed transactions, so that tests can die between any two steps of a
// purchase. It counts from the first SIGUSR1 on. The kill is SIGKILL: nothing is closed, flushed or released.
type crashPlan struct {
	after int64
	armed atomic.Bool
	count atomic.Int64
}

// newCrashPlan gives nil when no crash is planned.
func newCrashPlan(ctx context.Context, after int) *crashPlan {
	if after <= 0 {
		return nil
	}
	p := &crashPlan{after: int64(after)}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	go func() {
		defer signal.Stop(signals)
		select {
		case <-ctx.Done():
		case <-signals:
			p.armed.Store(true)
		}
	}()
	return p
}

// TxDone counts a transaction. It is called after its COMMIT and before anybody learns of it.
func (p *crashPlan) TxDone(_ time.Duration, _ int, err error) {
	if err != nil || !p.armed.Load() {
		return
	}
	if p.count.Add(1) == p.after {
		if self, err := os.FindProcess(os.Getpid()); err == nil {
			_ = self.Kill()
		}
		select {} // The signal is on its way; nothing more happens here.
	}
}
