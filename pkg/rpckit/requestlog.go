package rpckit

import (
	"context"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"

	"github.com/creditpay/creditpay/pkg/errs"
)

// slow is the time from which an answer is worth a line at Info.
const slow = time.Second

// requestLog writes one line per call: at Error for our own faults, with their cause; at Info for other refusals and for slow
// calls; at Debug for the rest. Never a body, a token or a name: ids, reason and time only.
func requestLog(log *zap.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		begin := time.Now()
		resp, err := handler(ctx, req)
		elapsed := time.Since(begin)
		level := zapcore.DebugLevel
		var e *errs.Error
		switch {
		case err != nil:
			level = zapcore.InfoLevel
			if e = classify(err); e.Reason() == errs.Internal {
				level = zapcore.ErrorLevel
			}
		case elapsed > slow:
			level = zapcore.InfoLevel
		}
		line := log.Check(level, "call")
		if line == nil {
			return resp, err
		}
		fields := make([]zap.Field, 0, 7)
		fields = append(fields, zap.String("method", info.FullMethod), zap.Stringer("code", CodeOf(err)), zap.Duration("elapsed", elapsed))
		if call := callOf(ctx); call != nil {
			fields = append(fields, zap.String("request_id", call.requestID), zap.Stringer("caller", call.caller))
		}
		if e != nil {
			fields = append(fields, zap.String("reason", e.Reason().Name()))
			// The cause of a refusal by a rule can name what the caller sent; only faults are explained.
			if !errs.Business(e) {
				fields = append(fields, zap.NamedError("cause", err))
			}
		}
		line.Write(fields...)
		return resp, err
	}
}
