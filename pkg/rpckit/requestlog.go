package rpckit

import (
	"context"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"github.com/creditpay/creditpay/pkg/errs"
)

// slow is the time from which an answer is worth a line at Info.
const slow = time.Second

// requestLog writes one line per call: at Error for our own faults, with their cause; at Info for other refusals and for slow
// calls; at Debug for the rest. Who may not call, or calls too often, is logged with his address by Refusals. Never a body, a
// token or a name: ids, reason and time only.
func requestLog(log *zap.Logger) grpc.UnaryServerInterceptor {
	refusals := NewRefusals(log)
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		begin := time.Now()
		resp, err := handler(ctx, req)
		elapsed := time.Since(begin)
		level := zapcore.DebugLevel
		var e *errs.Error
		switch {
		case err != nil:
			level = zapcore.InfoLevel
			e = classify(err)
			switch e.Reason().Kind() {
			case errs.KindInternal:
				level = zapcore.ErrorLevel
			case errs.KindUnauthenticated, errs.KindPermissionDenied, errs.KindResourceExhausted:
				refusals.Log(func() []zap.Field { return refusalFields(ctx, info.FullMethod, e) })
				return resp, err
			default:
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

// refusalFields say who was refused what, and why.
func refusalFields(ctx context.Context, method string, e *errs.Error) []zap.Field {
	fields := []zap.Field{
		zap.String("method", method), zap.Stringer("code", codeOfKind(e.Reason().Kind())), zap.String("reason", e.Reason().Name()),
		zap.String("address", peerOf(ctx)),
	}
	if call := callOf(ctx); call != nil {
		fields = append(fields, zap.String("request_id", call.requestID), zap.Stringer("caller", call.caller))
	}
	return fields
}

// peerOf is the other end of a call's connection.
func peerOf(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		return p.Addr.String()
	}
	return ""
}
