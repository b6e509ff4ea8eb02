package rpckit

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/text"
)

// Domain is the domain of our google.rpc.ErrorInfo.
const Domain = "creditpay"

const (
	// FieldKey is the metadata key under which a verb names the field of an InvalidArgument: it becomes a field violation.
	FieldKey = "field"
	// peerReasonKey is the metadata key for a reason of a newer peer that this version does not know.
	peerReasonKey = "peer_reason"
)

const textInternal = "internal error; the log has it under the request's id"

// codeOfKind is the one mapping of error kinds to gRPC codes.
func codeOfKind(k errs.Kind) codes.Code {
	switch k {
	case errs.KindInvalidArgument:
		return codes.InvalidArgument
	case errs.KindNotFound:
		return codes.NotFound
	case errs.KindAlreadyExists:
		return codes.AlreadyExists
	case errs.KindFailedPrecondition:
		return codes.FailedPrecondition
	case errs.KindAborted:
		return codes.Aborted
	case errs.KindPermissionDenied:
		return codes.PermissionDenied
	case errs.KindUnauthenticated:
		return codes.Unauthenticated
	case errs.KindUnavailable:
		return codes.Unavailable
	case errs.KindResourceExhausted:
		return codes.ResourceExhausted
	case errs.KindDeadlineExceeded:
		return codes.DeadlineExceeded
	case errs.KindUnimplemented:
		return codes.Unimplemented
	default:
		return codes.Internal
	}
}

// FieldViolation says which field of a request breaks which rule.
type FieldViolation struct {
	// Field is the path of the field as in the .proto, for example "orders[0].amount.amount_minor"; empty for a rule on the
	// whole message.
	Field string
	// Rule is the rule's id, for example "string.max_len" or the id of a CEL rule.
	Rule string
	// Text is what the rule wants. It does not repeat the value.
	Text string
}

// FieldViolations is the cause of an errs.InvalidArgument that names fields. It travels as google.rpc.BadRequest.
type FieldViolations []FieldViolation

// Error lists the violations.
func (v FieldViolations) Error() string {
	texts := make([]string, len(v))
	for i, one := range v {
		texts[i] = one.String()
	}
	return strings.Join(texts, "; ")
}

// String is field, text and rule.
func (v FieldViolation) String() string {
	words := v.Text
	if v.Field != "" {
		words = v.Field + ": " + words
	}
	if v.Rule != "" {
		words += " (" + v.Rule + ")"
	}
	return words
}

// classify finds the suite's error in err: the one that it wraps, or what a gRPC status or a context error stands for, or
// errs.Internal with a text that says nothing, since nobody meant err for callers.
func classify(err error) *errs.Error {
	var e *errs.Error
	if errors.As(err, &e) {
		return e
	}
	if _, ok := err.(interface{ GRPCStatus() *status.Status }); ok { //nolint:errorlint // a wrapped status is a peer's, not an answer
		if errors.As(FromStatus(err), &e) {
			return e
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return errs.DeadlineTooShort.Wrap(err, "the call's time ran out; repeat it with the same request_id and a longer deadline")
	}
	return errs.Internal.Wrap(err, textInternal)
}

// CodeOf is the gRPC code that ToStatus gives err; codes.OK for nil.
func CodeOf(err error) codes.Code {
	if err == nil {
		return codes.OK
	}
	return codeOfKind(classify(err).Reason().Kind())
}

// ToStatus makes the answer to a caller out of a verb's error: a gRPC status error whose details hold google.rpc.ErrorInfo
// {reason, domain "creditpay", metadata}, google.rpc.BadRequest for field violations, and google.rpc.RetryInfo when repeating
// helps. Causes stay inside. An error without a reason becomes INTERNAL with a text that says nothing; the end of a context
// becomes DEADLINE_TOO_SHORT. ToStatus of nil is nil.
func ToStatus(err error) error {
	if err == nil {
		return nil
	}
	e := classify(err)
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: e.Reason().Name(), Domain: Domain, Metadata: sayableMap(e.Metadata())}}
	if bad := badRequest(e); bad != nil {
		details = append(details, bad)
	}
	if delay := e.Reason().RetryAfter(); delay > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(delay)})
	}
	plain := status.New(codeOfKind(e.Reason().Kind()), sayable(e.Message()))
	full, err := plain.WithDetails(details...)
	if err != nil {
		return plain.Err() // nothing comes here as long as every text is sayable: the code is better than nothing
	}
	return full.Err()
}

// sayableMax bounds a text of an answer, in characters. Answers about errors travel in headers, whose size others bound.
const sayableMax = 1000

// sayable returns a text of an answer as gRPC carries it: valid UTF-8, of bounded length.
func sayable(s string) string { return text.Cut(s, sayableMax) }

func sayableMap(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for key, value := range m {
		out[sayable(key)] = sayable(value)
	}
	return out
}

// badRequest is the field violations of e; nil when it names no field.
func badRequest(e *errs.Error) *errdetails.BadRequest {
	var (
		bad       errdetails.BadRequest
		violation FieldViolations
	)
	if errors.As(e.Unwrap(), &violation) {
		for _, v := range violation {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: sayable(v.Field), Description: sayable(v.Text), Reason: v.Rule})
		}
	} else if field := e.Metadata()[FieldKey]; field != "" {
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: sayable(field), Description: sayable(e.Message())})
	}
	if len(bad.FieldViolations) == 0 {
		return nil
	}
	return &bad
}

// FromStatus is the inverse of ToStatus, for what a peer answered: an error with the peer's reason, text and metadata, and with
// FieldViolations as its cause when the peer named fields. An answer without our ErrorInfo did not come from a verb (connection
// lost, time over, a proxy) and becomes errs.DependencyUnavailable: whether the call took effect is unknown. A reason that this
// version does not know becomes errs.Internal with it in the metadata. FromStatus of nil is nil.
func FromStatus(err error) error {
	if err == nil {
		return nil
	}
	var e *errs.Error
	if errors.As(err, &e) {
		return err
	}
	s := status.Convert(err)
	var (
		ours       *errdetails.ErrorInfo
		violations FieldViolations
	)
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == Domain {
				ours = d
			}
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				violations = append(violations, FieldViolation{Field: v.GetField(), Rule: v.GetReason(), Text: v.GetDescription()})
			}
		}
	}
	if ours == nil {
		if s.Code() == codes.Unimplemented {
			return errs.NotYetAvailable.Wrap(err, "the service does not offer this call yet")
		}
		return errs.DependencyUnavailable.Wrap(err, "a part that this call needs cannot be reached; repeat with the same request_id")
	}
	reason, ok := errs.ByName(ours.GetReason())
	if !ok {
		return errs.Internal.Wrap(err, textInternal).With(peerReasonKey, ours.GetReason())
	}
	var cause error
	if len(violations) > 0 {
		cause = violations
	}
	e = reason.Wrap(cause, "%s", sayable(s.Message()))
	for key, value := range ours.GetMetadata() {
		e = e.With(sayable(key), sayable(value))
	}
	return e
}

// invalid makes an errs.InvalidArgument out of violations.
func invalid(violations FieldViolations) error {
	return errs.InvalidArgument.Wrap(violations, "%s", violations.Error())
}
