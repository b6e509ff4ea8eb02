package rpckit_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/protobuf/types/known/emptypb"

	opsv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/ops/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ratelimit"
	"github.com/creditpay/creditpay/pkg/rpckit"
	"github.com/creditpay/creditpay/pkg/testkit"
)

const listMethod = opsv1.OpsService_ListDeadLetters_FullMethodName

// rawConn speaks HTTP/2 without the manners of a gRPC client.
type rawConn struct {
	tb     testing.TB
	conn   net.Conn
	framer *http2.Framer
	mu     sync.Mutex // guards writing
	buf    bytes.Buffer
	enc    *hpack.Encoder
	next   uint32
}

func (s *stack) raw(tb testing.TB) *rawConn {
	tb.Helper()
	conn, err := s.connect(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	c := &rawConn{tb: tb, conn: conn, framer: http2.NewFramer(conn, conn), next: 1}
	c.enc = hpack.NewEncoder(&c.buf)
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		tb.Fatal(err)
	}
	if err := c.framer.WriteSettings(); err != nil {
		tb.Fatal(err)
	}
	return c
}

// open sends the headers of a call, and nothing else. It returns false when the server has closed the connection.
func (c *rawConn) open(method, token string, more ...hpack.HeaderField) bool {
	c.tb.Helper()
	c.buf.Reset()
	fields := append([]hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: method}, {Name: ":authority", Value: "x"},
		{Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"},
	}, more...)
	if token != "" {
		fields = append(fields, hpack.HeaderField{Name: "authorization", Value: "Bearer " + token})
	}
	for _, f := range fields {
		if err := c.enc.WriteField(f); err != nil {
			c.tb.Fatal(err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: c.next, BlockFragment: c.buf.Bytes(), EndHeaders: true})
	c.next += 2
	return err == nil
}

// drain counts how the calls of the connection end, until it ends itself.
func (c *rawConn) drain(ended chan<- string) {
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				c.mu.Lock()
				_ = c.framer.WriteSettingsAck() // a closed connection ends the loop
				c.mu.Unlock()
			}
		case *http2.RSTStreamFrame:
			ended <- f.ErrCode.String()
		case *http2.MetaHeadersFrame:
			if f.StreamEnded() {
				for _, field := range f.Fields {
					if field.Name == "grpc-status" {
						ended <- "status " + field.Value
					}
				}
			}
		}
	}
}

// heapMB is what lives on the heap and on stacks.
func heapMB() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapInuse+m.StackInuse) / (1 << 20)
}

// TestFlood_HeadersAloneHoldNoMemory opens many thousand calls that send headers and no message, on many connections, and looks
// at what the server holds for them.
func TestFlood_HeadersAloneHoldNoMemory(t *testing.T) {
	for _, one := range []struct {
		name, method, token string
		most                int // goroutines that may be left
	}{
		{"no token", listMethod, "", 300},
		{"a bad token", listMethod, "nobody", 300},
		{"an unknown method", "/creditpay.ops.v1.OpsService/Nothing", "", 300},
		{"health", "/grpc.health.v1.Health/Check", "", 1500},
		{"a good token", listMethod, "ADMIN", 1800},
	} {
		t.Run(one.name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			dial := func(ctx context.Context) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", listener.Addr().String())
			}
			s := serveOn(t, rpckit.Config{Log: zap.NewNop(), AddressRate: ratelimit.Rate{PerSecond: 100, Burst: 200}}, empty, listener, dial)
			before := heapMB()
			const conns, perConn = 12, 500
			ended := make(chan string, conns*perConn)
			open := 0
			for range conns {
				c := s.raw(t)
				go c.drain(ended)
				for range perConn {
					if !c.open(one.method, one.token) {
						break
					}
					open++
				}
			}
			if open < conns*perConn/2 {
				t.Fatalf("only %d calls were opened", open)
			}
			testkit.Eventually(t, 30*time.Second, func() error {
				if n := len(ended); n < open-one.most {
					return fmt.Errorf("%d of %d calls have ended", n, open)
				}
				return nil
			})
			if grown, left := heapMB()-before, runtime.NumGoroutine(); grown > 48 || left > one.most {
				t.Errorf("%d calls without a message hold %.0f MB and %d goroutines; %d have ended", open, grown, left, len(ended))
			}
		})
	}
}

func TestFlood_ACallWithoutAMessageEnds(t *testing.T) {
	t.Parallel()
	s := serve(t, rpckit.Config{}, empty)
	c := s.raw(t)
	ended := make(chan string, 1)
	go c.drain(ended)
	begin := time.Now()
	c.open(listMethod, "ADMIN", hpack.HeaderField{Name: "grpc-timeout", Value: "9H"})
	select {
	case how := <-ended:
		if how != "status 4" {
			t.Errorf("it ended with %s, want DEADLINE_EXCEEDED", how)
		}
		if took := time.Since(begin); took < 4*time.Second {
			t.Errorf("it had only %s for its message", took)
		}
	case <-time.After(10 * time.Second):
		t.Error("a call without a message is open after 10 s")
	}
}

func TestFlood_LongHeadersAreRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, rpckit.Config{}, empty)
	c := s.raw(t)
	ended := make(chan string, 1)
	go c.drain(ended)
	filler := make([]hpack.HeaderField, 17)
	for i := range filler {
		filler[i] = hpack.HeaderField{Name: "x-filler", Value: strings.Repeat("x", 1000)}
	}
	c.open(listMethod, "ADMIN", filler...)
	select {
	case how := <-ended:
		if how != "FRAME_SIZE_ERROR" {
			t.Errorf("it ended with %s", how)
		}
	case <-time.After(3 * time.Second):
		t.Error("headers of 17 KB beside a token were taken")
	}
}

func TestFlood_NothingIsDecodedOfWhoMayNotCall(t *testing.T) {
	t.Parallel()
	s := serve(t, rpckit.Config{}, empty)
	garbage := []byte{0xff, 0xff, 0xff}
	for token, want := range map[string]errs.Reason{
		"": errs.TokenMissing, "nobody": errs.TokenInvalid, "SPM": errs.CallerNotAllowed, "ADMIN": errs.InvalidArgument,
	} {
		err := s.dial(t, token).Invoke(t.Context(), listMethod, garbage, &emptypb.Empty{}, grpc.ForceCodec(rawBytes{}))
		wantReason(t, err, want)
	}
}

func TestFlood_CompressedMessagesAreBounded(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(make([]byte, 16<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	message := append([]byte{1, 0, 0, 0, 0}, bomb.Bytes()...)
	binary.BigEndian.PutUint32(message[1:], uint32(bomb.Len()))
	if len(message) > 60<<10 {
		t.Fatalf("the message does not fit into a window: %d bytes", len(message))
	}
	s := serve(t, rpckit.Config{}, empty)
	c := s.raw(t)
	ended := make(chan string, 1)
	go c.drain(ended)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.open(listMethod, "ADMIN", hpack.HeaderField{Name: "grpc-encoding", Value: "gzip"})
	for part := range slices.Chunk(message, 16<<10) {
		c.mu.Lock()
		err := c.framer.WriteData(1, false, part)
		c.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
	}
	select {
	case how := <-ended:
		if how != "status 8" {
			t.Errorf("it ended with %s", how)
		}
	case <-time.After(10 * time.Second):
		t.Error("it did not end")
	}
	runtime.ReadMemStats(&after)
	mb := float64(after.TotalAlloc-before.TotalAlloc) / (1 << 20)
	if mb > 12 {
		t.Errorf("16 MB of zeros in %d bytes took %.0f MB", len(message), mb)
	}
}

func TestRates_OneCallerIsLimitedAndNotTheOthers(t *testing.T) {
	t.Parallel()
	rates, err := rpckit.ParseRates("ADMIN=1/5")
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, rpckit.Config{Rates: rates}, empty)
	ops := s.ops(t, "ADMIN")
	refused := 0
	for range 12 {
		_, err := ops.ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{})
		if err != nil {
			wantReason(t, err, errs.RateLimited)
			refused++
		}
	}
	if refused < 6 || refused > 7 {
		t.Errorf("%d of 12 calls were refused at 5 at once", refused)
	}
	if _, err := s.ops(t, "SPM").ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{}); !errs.Is(err, errs.CallerNotAllowed) {
		t.Errorf("another caller: %v", err)
	}
}

func TestRates_StrangersAreLimitedByAddress(t *testing.T) {
	t.Parallel()
	s := serve(t, rpckit.Config{AddressRate: ratelimit.Rate{PerSecond: 1, Burst: 5}}, empty)
	stranger := s.ops(t, "nobody")
	last := errs.TokenInvalid
	for range 10 {
		_, err := stranger.ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{})
		if last, _ = errs.ReasonOf(err); last == errs.RateLimited {
			break
		}
	}
	if last != errs.RateLimited {
		t.Fatalf("ten bad tokens from one address end with %s", last.Name())
	}
	// The verifier of this test remembers ADMIN as one that it has seen.
	if _, err := s.ops(t, "ADMIN").ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{}); err != nil {
		t.Errorf("a known caller of the same address: %v", err)
	}
	_, err := s.ops(t, "SPM").ListDeadLetters(t.Context(), &opsv1.ListDeadLettersRequest{})
	wantReason(t, err, errs.RateLimited)
}

func TestRates_AreReadOrRefused(t *testing.T) {
	t.Parallel()
	if _, err := rpckit.ParseRates(rpckit.DefaultRates); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"", "H5", "H5=20", "H5=0/1", "H5=1/0", "H5=-1/5", "NOBODY=1/1", "H5=1/1,", "H5=1000001/1", "H5=1/x"} {
		if r, err := rpckit.ParseRates(text); err == nil {
			t.Errorf("%q was read as %v", text, r)
		}
	}
}
