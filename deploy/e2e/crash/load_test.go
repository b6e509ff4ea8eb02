package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/testkit"
)

// crowd is buyers who purchase without a pause.
type crowd struct {
	buyers []*buyer
	stop   chan struct{}
	wg     sync.WaitGroup

	mu       sync.Mutex
	finished []*purchase
}

func (s *site) crowd(t *testing.T, n int) *crowd {
	t.Helper()
	c := &crowd{stop: make(chan struct{})}
	for i := range n {
		c.buyers = append(c.buyers, s.newBuyer(t, fmt.Sprintf("user-%02d", i)))
	}
	for i, b := range c.buyers {
		c.wg.Go(func() {
			for turn := 0; ; turn++ {
				select {
				case <-c.stop:
					return
				default:
				}
				p, err := b.whole(t.Context(), fmt.Sprintf("load-%02d-%05d", i, turn))
				if err != nil {
					t.Errorf("buyer %d, purchase %d: %v", i, turn, err)
					return
				}
				c.mu.Lock()
				c.finished = append(c.finished, p)
				c.mu.Unlock()
			}
		})
	}
	return c
}

func (c *crowd) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.finished)
}

// goesOn waits until the crowd has finished some more purchases.
func (c *crowd) goesOn(t *testing.T, more int) {
	t.Helper()
	want := c.count() + more
	testkit.Eventually(t, settleTime, func() error {
		if n := c.count(); n < want && !t.Failed() {
			return fmt.Errorf("%d purchases, want %d", n, want)
		}
		return nil
	})
}

// home lets every buyer finish what is begun, then proves that each purchase happened once.
func (c *crowd) home(t *testing.T, s *site) {
	t.Helper()
	close(c.stop)
	c.wg.Wait()
	s.skipLeases(t)
	s.proveBooks(t)
	s.proveLimit(t, c.buyers...)
	n := int64(c.count())
	payments := s.mustCount(t, `SELECT COUNT(*) FROM creditpay_payment.payments WHERE user_id <> 'user-demo'`)
	active := s.mustCount(t, `SELECT COUNT(*) FROM creditpay_bill.loans WHERE state = 2`)
	dead := s.mustCount(t, `SELECT (SELECT COUNT(*) FROM creditpay_order.dead_letters) + (SELECT COUNT(*) FROM creditpay_bill.dead_letters)`)
	retried := 0
	for _, p := range c.finished {
		retried += p.tries
	}
	if payments != n || active != n || dead != 0 {
		t.Errorf("%d purchases, %d payments, %d active loans, %d dead letters", n, payments, active, dead)
	}
	t.Logf("%d purchases, %d of them by a second commit", n, retried)
}

// anyTime is when the next crash comes.
func anyTime() time.Duration { return 200*time.Millisecond + rand.N(600*time.Millisecond) }

func TestKilledAtAnyTimeUnderLoad(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start(t, 0)
	c := s.crowd(t, 8)
	for range 5 {
		c.goesOn(t, 5)
		pause(t.Context(), anyTime())
		s.process.Kill()
		s.start(t, 0)
		s.skipLeases(t)
	}
	c.goesOn(t, 8)
	c.home(t, s)
}

// outsideBroker is a broker in a process of its own.
type outsideBroker struct {
	dir     string
	process *process
}

func (b *outsideBroker) start(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err == nil {
		b.process, err = run(self, []string{brokerDirEnv + "=" + b.dir}, "serves at")
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestDatabaseAndBrokerKilledUnderLoad(t *testing.T) {
	t.Parallel()
	broker := &outsideBroker{dir: filepath.Join(shortDir(t), "kafka")}
	broker.start(t)
	t.Cleanup(func() { broker.process.Kill() })
	port, err := os.ReadFile(filepath.Join(broker.dir, "port"))
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, "CREDITPAY_KAFKA_PLAINTEXT=true", "CREDITPAY_KAFKA_BROKERS=127.0.0.1:"+strings.TrimSpace(string(port)))
	s.start(t, 0)
	c := s.crowd(t, 16)
	for range 3 {
		c.goesOn(t, 10)
		pause(t.Context(), anyTime())
		s.db.Kill()
		pause(t.Context(), anyTime())
		if err := s.db.Restart(context.WithoutCancel(t.Context())); err != nil {
			t.Fatal(err)
		}
		c.goesOn(t, 10)
		pause(t.Context(), anyTime())
		broker.process.Kill()
		pause(t.Context(), anyTime())
		broker.start(t)
	}
	c.goesOn(t, 16)
	if s.process.Dead() {
		t.Fatalf("the stack did not survive:\n%s", &s.process.Out)
	}
	c.home(t, s)
}
