package rpckit_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/rpckit"
)

func TestEveryReasonSurvivesTheWireAndBack(t *testing.T) {
	t.Parallel()
	for _, r := range errs.All() {
		sent := r.Wrap(errors.New("secret cause"), "do this").With("state", "PAID")
		wire := rpckit.ToStatus(fmt.Errorf("verb: %w", sent))
		if strings.Contains(wire.Error(), "secret") {
			t.Errorf("%s: the cause is on the wire: %v", r.Name(), wire)
		}
		if status.Code(wire) != rpckit.CodeOf(sent) {
			t.Errorf("%s: code %s, CodeOf says %s", r.Name(), status.Code(wire), rpckit.CodeOf(sent))
		}
		var got *errs.Error
		if !errors.As(rpckit.FromStatus(wire), &got) || got.Reason() != r || got.Message() != "do this" || !maps.Equal(got.Metadata(), sent.Metadata()) {
			t.Errorf("%s came back as %v", r.Name(), got)
		}
	}
}

func TestTheCodesAreThoseThatTheContractDocuments(t *testing.T) {
	t.Parallel()
	// error.proto writes the code of each reason in brackets; Go keeps no comments, so the ones that matter most stand here.
	for r, want := range map[errs.Reason]codes.Code{
		errs.InvalidArgument: codes.InvalidArgument, errs.TokenExpired: codes.Unauthenticated, errs.CallerNotAllowed: codes.PermissionDenied,
		errs.NotFound: codes.NotFound, errs.RateLimited: codes.ResourceExhausted, errs.RequestInFlight: codes.Aborted,
		errs.DependencyUnavailable: codes.Unavailable, errs.DeadlineTooShort: codes.DeadlineExceeded, errs.Internal: codes.Internal,
		errs.NotYetAvailable: codes.Unimplemented, errs.OrderContentMismatch: codes.AlreadyExists, errs.QuoteExpired: codes.FailedPrecondition,
	} {
		if got := rpckit.CodeOf(r.New("x")); got != want {
			t.Errorf("%s: %s, want %s", r.Name(), got, want)
		}
	}
	if n := commonv1.File_creditpay_common_v1_error_proto.Enums().ByName(protoreflect.Name("ErrorReason")).Values().Len(); n != len(errs.All())+1 {
		t.Errorf("the contract has %d reasons", n)
	}
}

func TestRetryInfoStandsWhereRepeatingHelps(t *testing.T) {
	t.Parallel()
	for _, r := range errs.All() {
		found := false
		for _, d := range status.Convert(rpckit.ToStatus(r.New("x"))).Details() {
			if info, ok := d.(*errdetails.RetryInfo); ok && info.GetRetryDelay().AsDuration() > 0 {
				found = true
			}
		}
		if found != (r.RetryAfter() > 0) {
			t.Errorf("%s: RetryInfo %v", r.Name(), found)
		}
	}
}

func TestErrorsThatNobodyMeantForCallersSayNothing(t *testing.T) {
	t.Parallel()
	wire := rpckit.ToStatus(errors.New("SELECT pin FROM users"))
	if status.Code(wire) != codes.Internal || strings.Contains(wire.Error(), "SELECT") {
		t.Errorf("got %v", wire)
	}
	for _, err := range []error{context.DeadlineExceeded, context.Canceled, fmt.Errorf("query: %w", context.DeadlineExceeded)} {
		if got := rpckit.FromStatus(rpckit.ToStatus(err)); !errs.Is(got, errs.DeadlineTooShort) {
			t.Errorf("%v became %v", err, got)
		}
	}
	// A peer's raw status inside a wrapped error is a cause, not an answer.
	if got := rpckit.CodeOf(fmt.Errorf("ask peer: %w", status.Error(codes.NotFound, "x"))); got != codes.Internal {
		t.Errorf("a wrapped status became %s", got)
	}
	if rpckit.ToStatus(nil) != nil || rpckit.FromStatus(nil) != nil || rpckit.CodeOf(nil) != codes.OK {
		t.Error("nil is not nil")
	}
}

func TestAnswersThatDidNotComeFromAVerbLeaveTheOutcomeUnknown(t *testing.T) {
	t.Parallel()
	for _, code := range []codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.Internal, codes.Canceled, codes.Unknown, codes.NotFound} {
		if got := rpckit.FromStatus(status.Error(code, "x")); !errs.Is(got, errs.DependencyUnavailable) {
			t.Errorf("%s became %v", code, got)
		}
	}
	if got := rpckit.FromStatus(errors.New("no status")); !errs.Is(got, errs.DependencyUnavailable) {
		t.Errorf("no status became %v", got)
	}
	if got := rpckit.FromStatus(status.Error(codes.Unimplemented, "x")); !errs.Is(got, errs.NotYetAvailable) {
		t.Errorf("UNIMPLEMENTED became %v", got)
	}
	newer, err := status.New(codes.FailedPrecondition, "x").WithDetails(&errdetails.ErrorInfo{Domain: rpckit.Domain, Reason: "FROM_THE_FUTURE"})
	if err != nil {
		t.Fatal(err)
	}
	var e *errs.Error
	if got := rpckit.FromStatus(newer.Err()); !errors.As(got, &e) || e.Reason() != errs.Internal || e.Metadata()["peer_reason"] != "FROM_THE_FUTURE" {
		t.Errorf("an unknown reason became %v", got)
	}
	foreign, err := status.New(codes.Unavailable, "x").WithDetails(&errdetails.ErrorInfo{Domain: "mesh.example", Reason: "NOT_FOUND"})
	if err != nil {
		t.Fatal(err)
	}
	if got := rpckit.FromStatus(foreign.Err()); !errs.Is(got, errs.DependencyUnavailable) {
		t.Errorf("another domain's reason became %v", got)
	}
}

func TestFieldViolationsSurviveTheWire(t *testing.T) {
	t.Parallel()
	want := rpckit.FieldViolations{{Field: "orders[0].title", Rule: "string.max_len", Text: "at most 10"}, {Field: "", Rule: "one_of", Text: "set one"}}
	wire := rpckit.ToStatus(errs.InvalidArgument.Wrap(want, "%s", want.Error()))
	var got rpckit.FieldViolations
	if !errors.As(rpckit.FromStatus(wire), &got) || len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %v", got)
	}
	// A verb that only knows the field's name.
	wire = rpckit.ToStatus(errs.InvalidArgument.New("too far ahead").With(rpckit.FieldKey, "expire_time"))
	got = nil
	if !errors.As(rpckit.FromStatus(wire), &got) || got[0] != (rpckit.FieldViolation{Field: "expire_time", Text: "too far ahead"}) {
		t.Errorf("got %v", got)
	}
}

func TestTextThatIsNotUTF8StillMakesAnAnswer(t *testing.T) {
	t.Parallel()
	if got := rpckit.FromStatus(rpckit.ToStatus(errs.NotFound.New("a\xff"))); !errs.Is(got, errs.NotFound) {
		t.Errorf("got %v", got)
	}
	if got := status.Code(rpckit.ToStatus(errs.NotFound.New("a").With("k", "\xff"))); got != codes.NotFound {
		t.Errorf("got %v", got)
	}
}
