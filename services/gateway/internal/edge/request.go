package edge

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ratelimit"
	"github.com/creditpay/creditpay/pkg/rpckit"
)

// maxTime bounds the deadline that a caller may ask for.
const maxTime = 30 * time.Second

// timeLimit reads a Grpc-Timeout header, as gRPC defines it: up to 8 digits and a unit of H, M, S, m, u or n. It is
// rpckit.DefaultDeadline without one, and at most maxTime.
func timeLimit(header string) (time.Duration, error) {
	if header == "" {
		return rpckit.DefaultDeadline, nil
	}
	malformed := errs.InvalidArgument.New(`Grpc-Timeout is not up to 8 digits and a unit of H, M, S, m, u or n, like "5S"`)
	digits := strings.TrimRight(header, "HMSmun")
	unit := strings.TrimPrefix(header, digits)
	if len(digits) == 0 || len(digits) > 8 {
		return 0, malformed
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return 0, malformed
	}
	units := map[string]time.Duration{"H": time.Hour, "M": time.Minute, "S": time.Second, "m": time.Millisecond, "u": time.Microsecond, "n": 1}
	one, ok := units[unit]
	if !ok {
		return 0, malformed
	}
	if n > uint64(maxTime/one) { //nolint:gosec // a quotient of constants above zero
		return maxTime, nil
	}
	return time.Duration(n) * one, nil
}

// clientAddress is the client's network address: the connection's, or behind proxies of ours what the outermost of them saw.
func clientAddress(r *http.Request, proxyHops int) string {
	if proxyHops > 0 {
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		// With fewer entries than proxies the header is not ours: the connection's address stays.
		if len(hops) >= proxyHops {
			if hop := strings.TrimSpace(hops[len(hops)-proxyHops]); hop != "" {
				return hop
			}
		}
	}
	return r.RemoteAddr
}

// address is the client's network address as a key of limits.
func address(r *http.Request, proxyHops int) string {
	return ratelimit.Address(clientAddress(r, proxyHops))
}
