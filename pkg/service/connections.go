package service

import (
	"net"
	"sync"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/ratelimit"
	"github.com/creditpay/creditpay/pkg/rpckit"
)

// boundedListener bounds the open connections, in all and of one address, before a byte of them is read. One too many is closed
// at once, so that the others go on.
type boundedListener struct {
	net.Listener
	most, mostOfOne int
	refusals        *rpckit.Refusals

	mu   sync.Mutex
	open int
	of   map[string]int
}

func newBoundedListener(l net.Listener, most, mostOfOne int, refusals *rpckit.Refusals) *boundedListener {
	return &boundedListener{Listener: l, most: most, mostOfOne: mostOfOne, refusals: refusals, of: map[string]int{}}
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		address := ratelimit.Address(conn.RemoteAddr().String())
		if l.enter(address) {
			return &countedConn{Conn: conn, leave: sync.OnceFunc(func() { l.leave(address) })}, nil
		}
		l.refusals.Log(func() []zap.Field {
			return []zap.Field{zap.String("reason", "TOO_MANY_CONNECTIONS"), zap.String("address", conn.RemoteAddr().String())}
		})
		_ = conn.Close() // nothing was said on it
	}
}

func (l *boundedListener) enter(address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.most || l.of[address] >= l.mostOfOne {
		return false
	}
	l.open++
	l.of[address]++
	return true
}

func (l *boundedListener) leave(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.of[address]--; l.of[address] == 0 {
		delete(l.of, address)
	}
}

// countedConn frees its place when it is closed.
type countedConn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
