package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/rpckit"
)

// refusal is what a caller was told, the same over gRPC and REST.
type refusal struct {
	code codes.Code
	// http is the status; 0 over gRPC.
	http     int
	reason   string
	message  string
	metadata map[string]string
	fields   []string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%s %s (HTTP %d): %s %v %v", r.code, r.reason, r.http, r.message, r.fields, r.metadata)
}

// check holds for every refusal there is: its reason is one of the contract's, and its code the one that goes with the reason.
func (r *refusal) check() error {
	reason, ok := errs.ByName(r.reason)
	if !ok {
		return fmt.Errorf("reason %q is not one of the contract's: %w", r.reason, r)
	}
	if want := rpckit.CodeOf(reason.New("x")); want != r.code {
		return fmt.Errorf("%s comes with %s instead of %s: %w", r.reason, r.code, want, r)
	}
	if r.message == "" {
		return fmt.Errorf("no text says what to do: %w", r)
	}
	return nil
}

// reasonOf is the reason of a refusal, and empty for success; anything else fails the test.
func reasonOf(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var r *refusal
	if !errors.As(err, &r) {
		t.Errorf("not refused in due form: %v", err)
		return "?"
	}
	return r.reason
}

// wantReason fails the test unless the call was refused for that reason.
func wantReason(t testing.TB, err error, reason errs.Reason) {
	t.Helper()
	_ = refusedFor(t, err, reason)
}

// refusedFor is wantReason, and gives the refusal.
func refusedFor(t testing.TB, err error, reason errs.Reason) *refusal {
	t.Helper()
	var r *refusal
	if !errors.As(err, &r) || r.reason != reason.Name() {
		t.Fatalf("got %v, want %s", err, reason.Name())
	}
	return r
}

// told reads the error of a gRPC call.
func told(err error) error {
	if err == nil {
		return nil
	}
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	r := &refusal{code: s.Code(), message: s.Message()}
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() != rpckit.Domain {
				return fmt.Errorf("domain %q: %w", d.GetDomain(), err)
			}
			r.reason, r.metadata = d.GetReason(), d.GetMetadata()
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				r.fields = append(r.fields, v.GetField())
			}
		}
	}
	if err := r.check(); err != nil {
		return err
	}
	return r
}

// httpOf is the gateway's table of codes.
func httpOf(c codes.Code) []int {
	switch c {
	case codes.InvalidArgument:
		return []int{http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge}
	case codes.FailedPrecondition:
		return []int{http.StatusBadRequest}
	case codes.Unauthenticated:
		return []int{http.StatusUnauthorized}
	case codes.PermissionDenied:
		return []int{http.StatusForbidden}
	case codes.NotFound:
		return []int{http.StatusNotFound}
	case codes.Aborted, codes.AlreadyExists:
		return []int{http.StatusConflict}
	case codes.ResourceExhausted:
		return []int{http.StatusTooManyRequests}
	case codes.Unimplemented:
		return []int{http.StatusNotImplemented}
	case codes.Unavailable:
		return []int{http.StatusServiceUnavailable}
	case codes.DeadlineExceeded:
		return []int{http.StatusGatewayTimeout}
	default:
		return []int{http.StatusInternalServerError}
	}
}

// errorBody is the one form of a REST refusal.
type errorBody struct {
	Error struct {
		Code     string            `json:"code"`
		Reason   string            `json:"reason"`
		Message  string            `json:"message"`
		Metadata map[string]string `json:"metadata"`
		Fields   []struct {
			Field   string `json:"field"`
			Rule    string `json:"rule"`
			Message string `json:"message"`
		} `json:"fields"`
		RequestID string `json:"request_id"`
	} `json:"error"`
}

// restRefusal reads a REST answer that is not a success; nothing unknown may stand in it.
func restRefusal(statusCode int, body []byte) error {
	var e errorBody
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		return fmt.Errorf("HTTP %d with a body of another form: %w: %s", statusCode, err, body)
	}
	r := &refusal{http: statusCode, reason: e.Error.Reason, message: e.Error.Message, metadata: e.Error.Metadata}
	if err := r.code.UnmarshalJSON([]byte(`"` + e.Error.Code + `"`)); err != nil {
		return fmt.Errorf("HTTP %d: %w: %s", statusCode, err, body)
	}
	for _, f := range e.Error.Fields {
		r.fields = append(r.fields, f.Field)
	}
	if e.Error.RequestID == "" {
		return fmt.Errorf("no request_id to name to us: %w", r)
	}
	if !slices.Contains(httpOf(r.code), statusCode) {
		return fmt.Errorf("HTTP %d does not go with the code: %w", statusCode, r)
	}
	if err := r.check(); err != nil {
		return err
	}
	return r
}

// send makes one REST request and gives the body of a success.
func (s *stack) send(ctx context.Context, method, path, token string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.Info.HTTP+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, restRefusal(res.StatusCode, text)
	}
	return text, nil
}

// rest makes one REST call. Fields that the contract does not know are an error, and so is a success when into is
// nil.
func (s *stack) rest(ctx context.Context, method, path, token string, body map[string]any, into proto.Message) error {
	var payload []byte
	if body != nil {
		var err error
		if payload, err = json.Marshal(body); err != nil {
			return err
		}
	}
	text, err := s.send(ctx, method, path, token, payload)
	if err != nil {
		return err
	}
	if into == nil {
		return fmt.Errorf("%s %s was expected to be refused and answers %s", method, path, text)
	}
	return protojson.Unmarshal(text, into)
}

// rawBytes is a gRPC codec that sends and receives bytes as they are.
type rawBytes struct{}

func (rawBytes) Name() string { return "proto" }

func (rawBytes) Marshal(v any) ([]byte, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("%T is not bytes", v)
	}
	return b, nil
}

func (rawBytes) Unmarshal(data []byte, v any) error {
	into, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("%T does not take bytes", v)
	}
	*into = bytes.Clone(data)
	return nil
}
