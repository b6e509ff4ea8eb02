package bench

import (
	"context"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/creditpay/creditpay/deploy/audit"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestPercentileIsTheNearestRank(t *testing.T) {
	t.Parallel()
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for _, c := range []struct {
		name   string
		values []time.Duration
		p      float64
		want   time.Duration
	}{
		{"none", nil, 50, 0},
		{"one", []time.Duration{7}, 99, 7},
		{"lower of two at the middle", []time.Duration{1, 2}, 50, 1},
		{"above the middle of two", []time.Duration{1, 2}, 51, 2},
		{"1 of 100", hundred, 1, 1},
		{"50 of 100", hundred, 50, 50},
		{"95 of 100", hundred, 95, 95},
		{"99 of 100", hundred, 99, 99},
		{"all", hundred, 100, 100},
		{"99 of 10 is the largest", hundred[:10], 99, 10},
		{"the published example, 30 of 5", []time.Duration{15, 20, 35, 40, 50}, 30, 20},
	} {
		if got := Percentile(c.values, c.p); got != c.want {
			t.Errorf("%s: Percentile(%v) = %d, want %d", c.name, c.p, got, c.want)
		}
	}
}

func TestQuantilesOfSortsFirst(t *testing.T) {
	t.Parallel()
	values := []time.Duration{5, 1, 4, 2, 3}
	got := QuantilesOf(values)
	if want := (Quantiles{Count: 5, P50: 3, P95: 5, P99: 5, Max: 5}); got != want {
		t.Errorf("QuantilesOf = %+v, want %+v", got, want)
	}
	if !slices.IsSorted(values) {
		t.Error("the values are not sorted")
	}
}

func TestSpreadOfIsMedianAndEnds(t *testing.T) {
	t.Parallel()
	if got, want := SpreadOf([]float64{9, 1, 4}), (Spread{Median: 4, Min: 1, Max: 9}); got != want {
		t.Errorf("SpreadOf(odd) = %+v, want %+v", got, want)
	}
	if got, want := SpreadOf([]float64{9, 1, 4, 2}), (Spread{Median: 3, Min: 1, Max: 9}); got != want {
		t.Errorf("SpreadOf(even) = %+v, want %+v", got, want)
	}
	if got := SpreadOf(nil); got != (Spread{}) {
		t.Errorf("SpreadOf(nil) = %+v", got)
	}
}

// freePort gives a port of the loopback interface that nothing listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return addr
}

func TestFloorAndLimitCommitPurchases(t *testing.T) {
	t.Parallel()
	instance := testkit.MySQLInstance(t)
	if err := prepareYardstick(t.Context(), instance.AdminDSN()); err != nil {
		t.Fatal(err)
	}
	dsn := instance.DSN(yardstickSchema)
	writer, err := newLedgerWriter(dsn, ids.NewGenerator(clock.System()))
	if err != nil {
		t.Fatal(err)
	}
	defer writer.close()
	addr := freePort(t)
	serving, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- ServeLimit(serving, addr, dsn) }()
	defer func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("ServeLimit: %v", err)
		}
	}()
	client, err := dialLimit(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.close()

	floor := measureYardstick(t.Context(), 8, time.Second, writer.write)
	limit := measureYardstick(t.Context(), 8, time.Second, client.step)
	for name, y := range map[string]Yardstick{"floor": floor, "limit": limit} {
		if y.Purchases == 0 || y.Errors != 0 {
			t.Errorf("%s: %d purchases, %d errors", name, y.Purchases, y.Errors)
		}
		if y.Transaction.Count != y.Purchases*yardstickTransactions {
			t.Errorf("%s: %d transactions for %d purchases", name, y.Transaction.Count, y.Purchases)
		}
	}
	var entries, events int
	if err := writer.db.QueryRowContext(t.Context(), `SELECT (SELECT COUNT(*) FROM entries), (SELECT COUNT(*) FROM outbox)`).Scan(&entries, &events); err != nil {
		t.Fatal(err)
	}
	if want := (floor.Purchases + limit.Purchases) * yardstickTransactions; entries != want || events != want {
		t.Errorf("the database holds %d entries and %d events, want %d of each", entries, events, want)
	}
}

func TestCallsAreCountedOverAllCodes(t *testing.T) {
	t.Parallel()
	text := `# HELP creditpay_rpc_seconds Time to answer a call, by method and gRPC code.
creditpay_rpc_seconds_bucket{code="OK",method="/creditpay.order.v1.OrderService/GetOrderInfo",le="+Inf"} 9
creditpay_rpc_seconds_sum{code="OK",method="/creditpay.order.v1.OrderService/GetOrderInfo"} 0.5
creditpay_rpc_seconds_count{code="OK",method="/creditpay.order.v1.OrderService/GetOrderInfo"} 9
creditpay_rpc_seconds_count{code="NotFound",method="/creditpay.order.v1.OrderService/GetOrderInfo"} 2
creditpay_rpc_seconds_count{code="OK",method="/creditpay.order.v1.OrderService/ConfirmPayment"} 1.5e+03
`
	got := map[string]float64{}
	addCalls(got, "order", text)
	if len(got) != 2 || got["order GetOrderInfo"] != 11 || got["order ConfirmPayment"] != 1500 {
		t.Errorf("addCalls = %v", got)
	}
}

func TestOwnProcessorTimeAndMemoryAreRead(t *testing.T) {
	t.Parallel()
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 30*time.Second, func() bool {
		sum := 0
		for i := range 1_000_000 {
			sum += i
		}
		now, err := cpuTime(os.Getpid())
		return err == nil && sum > 0 && now > before
	})
	if mb, err := residentMB(os.Getpid()); err != nil || mb < 1 || mb > 10_000 {
		t.Errorf("residentMB = %v, %v", mb, err)
	}
}

func TestVerdictTellsErrorsFromSlowness(t *testing.T) {
	t.Parallel()
	second := time.Second
	good := Result{
		Floor: []Yardstick{{Purchases: 100, Elapsed: second}}, Limit: []Yardstick{{Purchases: 80, Elapsed: second}},
		Stack: []Round{{Purchases: 50, Elapsed: second}}, Audit: audit.Report{Checks: 3, Orders: 50},
	}
	slow, failed, dirty, blind := good, good, good, good
	slow.Stack = []Round{{Purchases: 10, Elapsed: second}}
	failed.Stack = []Round{{Purchases: 50, Elapsed: second, Errors: map[string]int{"boom": 1}}}
	dirty.Audit.Findings = []audit.Finding{{Service: "bill", Check: "x"}}
	blind.Audit.Checks = 0
	for _, c := range []struct {
		name          string
		result        Result
		wrong, missed bool
	}{{"good", good, false, false}, {"slow", slow, false, true}, {"failed", failed, true, true}, {"dirty", dirty, true, true}, {"no checks made", blind, true, true}} {
		missed := slices.ContainsFunc(c.result.Checks(), func(k Check) bool { return !k.Holds })
		if c.result.Wrong() != c.wrong || missed != c.missed {
			t.Errorf("%s: wrong %t, missed %t; want %t, %t: %+v", c.name, c.result.Wrong(), missed, c.wrong, c.missed, c.result.Checks())
		}
		if err := c.result.Write(io.Discard); err != nil {
			t.Errorf("%s: Write: %v", c.name, err)
		}
	}
}
