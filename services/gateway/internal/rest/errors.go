// Package rest owns the form of the REST answers: the routes' JSON and the one form of every error.
//
// It must not decide whether a request is let in; package edge does.
package rest

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/rpckit"
)

// Error is the body of every refusal, under the key "error".
type Error struct {
	// Code is the gRPC code's name, "FAILED_PRECONDITION".
	Code string `json:"code"`
	// Reason is the name of a commonv1.ErrorReason without its prefix, "QUOTE_EXPIRED". Programs branch on it.
	Reason string `json:"reason"`
	// Message says what the caller can do.
	Message string `json:"message"`
	// Metadata is what a program may read besides the reason.
	Metadata map[string]string `json:"metadata"`
	// Fields are the fields that break a rule.
	Fields []Field `json:"fields"`
	// RequestID is the id under which the log has the request.
	RequestID string `json:"request_id"`
}

// Field says which field breaks which rule.
type Field struct {
	// Field is the field's path; empty for a rule on the whole request.
	Field string `json:"field"`
	// Rule is the rule's id.
	Rule string `json:"rule,omitempty"`
	// Message is what the rule wants.
	Message string `json:"message"`
}

// Write answers with an error of the suite, with the HTTP status of its code.
func Write(w http.ResponseWriter, err error) {
	wire := status.Convert(rpckit.ToStatus(err))
	write(w, runtime.HTTPStatusFromCode(wire.Code()), wire)
}

// WriteStatus is Write with a HTTP status that says more than the code: 405, 413.
func WriteStatus(w http.ResponseWriter, httpStatus int, err error) {
	write(w, httpStatus, status.Convert(rpckit.ToStatus(err)))
}

// WriteNotFound answers 404 for an address that does not exist.
func WriteNotFound(w http.ResponseWriter, r *http.Request) {
	Write(w, errs.NotFound.New("there is nothing at this address; see /docs"))
}

func write(w http.ResponseWriter, httpStatus int, wire *status.Status) {
	body := Error{
		Code:    code.Code(wire.Code()).String(), //nolint:gosec // gRPC codes are 0 to 16
		Message: wire.Message(), Metadata: map[string]string{}, Fields: []Field{},
		RequestID: w.Header().Get(rpckit.RequestIDKey),
	}
	for _, detail := range wire.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			body.Reason = d.GetReason()
			if len(d.GetMetadata()) > 0 {
				body.Metadata = d.GetMetadata()
			}
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				body.Fields = append(body.Fields, Field{Field: v.GetField(), Rule: v.GetReason(), Message: v.GetDescription()})
			}
		case *errdetails.RetryInfo:
			// Whole seconds, rounded up (RFC 9110 §10.2.3); an exact one that the edge computed stays.
			if w.Header().Get("Retry-After") == "" {
				w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(d.GetRetryDelay().AsDuration().Seconds()))))
			}
		}
	}
	if httpStatus == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="creditpay"`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(httpStatus)
	_ = json.NewEncoder(w).Encode(map[string]Error{"error": body}) // a client that went away is no fault of ours
}

// writeRPCError answers with what a service, or the translation of the request, refused.
func writeRPCError(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
	// When the caller's time is over, that is why no service answered: none need be down.
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && rpckit.CodeOf(err) == codes.Unavailable {
		err = errs.DeadlineTooShort.Wrap(err, "the call's time ran out; repeat it with the same request_id and a longer Grpc-Timeout")
	}
	// The suite's clients give the suite's errors; a bare INVALID_ARGUMENT is the translator's, about the request's form.
	if s, ok := status.FromError(err); ok && s.Code() == codes.InvalidArgument && len(s.Details()) == 0 {
		if wrong, ok := asWrongParameter(s.Message()); ok {
			err = wrong
		} else {
			err = errs.InvalidArgument.New("%s", rpckit.Echo(readable(s.Message())))
		}
	}
	Write(w, err)
}

// readable takes the library's own words off a message about malformed JSON.
func readable(message string) string {
	message = strings.ReplaceAll(message, "\u00a0", " ") // protobuf varies its spaces on purpose
	return strings.TrimSpace(strings.TrimPrefix(message, "proto:"))
}

// writeRoutingError answers when no route fits.
func writeRoutingError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, httpStatus int) {
	switch httpStatus {
	case http.StatusNotFound:
		WriteNotFound(w, r)
	case http.StatusMethodNotAllowed:
		WriteStatus(w, httpStatus, errs.InvalidArgument.New("this address does not take %s; see /docs", r.Method))
	default:
		WriteStatus(w, http.StatusBadRequest, errs.InvalidArgument.New("the address is malformed"))
	}
}
