package rest

import (
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/rpckit"
)

// query reads query parameters as the library does, and says in our words which of them it could not read.
type query struct{ runtime.DefaultQueryParser }

// Parse sets the fields of msg that values name.
func (q *query) Parse(msg proto.Message, values url.Values, filter *utilities.DoubleArray) error {
	err := q.DefaultQueryParser.Parse(msg, values, filter)
	if err == nil {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		one := msg.ProtoReflect().New().Interface()
		if q.DefaultQueryParser.Parse(one, url.Values{key: values[key]}, filter) != nil {
			return wrongParameter{Field: key, Rule: ruleQuery, Text: expected(msg.ProtoReflect().Descriptor(), key, len(values[key]))}
		}
	}
	return wrongParameter{Rule: ruleQuery, Text: "a query parameter is given under two names; give it once"}
}

// wrongParameter is a parameter, or a field of a body, that is refused before a service is asked. The generated code keeps only the text of an error, so that text is JSON behind
// a mark.
type wrongParameter struct{ Field, Rule, Text string }

const (
	wrongParameterMark = "creditpay query: "
	// The rules that a wrongParameter breaks: it cannot be read, is unknown, is null, or contradicts the address.
	ruleQuery = "query"
	ruleNull  = "null"
	rulePath  = "path"
)

// Error is what asWrongParameter reads.
func (w wrongParameter) Error() string {
	text, _ := json.Marshal(w) // strings never fail
	return wrongParameterMark + string(text)
}

// asWrongParameter makes the suite's error out of a text of wrongParameter.
func asWrongParameter(message string) (refused *errs.Error, ok bool) {
	text, ours := strings.CutPrefix(message, wrongParameterMark)
	var w wrongParameter
	if !ours {
		return nil, false
	}
	if json.Unmarshal([]byte(text), &w) != nil {
		return nil, false //nolint:nilerr // words of the library that begin like ours are not ours
	}
	return w.refusal(), true
}

// refusal is the suite's error for it.
func (w wrongParameter) refusal() *errs.Error {
	violation := rpckit.FieldViolation{Field: rpckit.Echo(w.Field), Rule: w.Rule, Text: w.Text}
	return errs.InvalidArgument.Wrap(rpckit.FieldViolations{violation}, "%s", violation.String())
}

// expected says what a parameter takes.
func expected(message protoreflect.MessageDescriptor, key string, values int) string {
	field, err := fieldOf(message, key)
	switch {
	case err != nil:
		return "cannot be read"
	case values > 1 && field.Cardinality() != protoreflect.Repeated:
		return "is given more than once; give it once"
	}
	switch field.Kind() {
	case protoreflect.BoolKind:
		return "must be true or false"
	case protoreflect.EnumKind:
		return "must be the name of a value of " + string(field.Enum().Name())
	case protoreflect.MessageKind:
		switch field.Message().FullName() {
		case "google.protobuf.Timestamp":
			return `must be a time such as "2026-01-31T00:00:00Z"`
		case "google.protobuf.Duration":
			return `must be a duration in seconds such as "90s"`
		default:
			return "must be given field by field, as " + key + ".<field>"
		}
	case protoreflect.StringKind:
		return "must be text in UTF-8"
	case protoreflect.BytesKind:
		return "must be base64"
	default:
		return "must be a whole number within the bounds of " + field.Kind().String()
	}
}

// fieldOf finds the field that a key such as "filter.pageSize" names.
func fieldOf(message protoreflect.MessageDescriptor, key string) (protoreflect.FieldDescriptor, error) {
	var field protoreflect.FieldDescriptor
	for name := range strings.SplitSeq(key, ".") {
		if message == nil {
			return nil, errors.New("no such field")
		}
		if field = message.Fields().ByJSONName(name); field == nil {
			field = message.Fields().ByTextName(name)
		}
		if field == nil {
			return nil, errors.New("no such field")
		}
		message = field.Message()
	}
	return field, nil
}
