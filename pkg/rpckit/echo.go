package rpckit

import (
	"errors"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/text"
)

const (
	// EchoMax bounds what an answer repeats of a request's words, in bytes.
	EchoMax = 200
	// hidden stands where an answer would repeat a secret.
	hidden = "[hidden]"
	// shortestSecret is the length from which a secret is looked for in an answer: shorter ones stand in any text by chance.
	shortestSecret = 4
)

// Echo returns words of a request as an answer may repeat them: one visible line of at most EchoMax bytes.
func Echo(words string) string { return text.CutBytes(text.Line(words), EchoMax) }

// IsSecret reports whether a field's value must never come back: the contract marks it with debug_redact.
func IsSecret(field protoreflect.FieldDescriptor) bool {
	options, ok := field.Options().(*descriptorpb.FieldOptions)
	return ok && options.GetDebugRedact()
}

// HasSecrets reports whether a message, or one inside of it, has a field that IsSecret.
func HasSecrets(message protoreflect.MessageDescriptor) bool {
	return hasSecrets(message, map[protoreflect.FullName]bool{})
}

func hasSecrets(message protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if seen[message.FullName()] {
		return false
	}
	seen[message.FullName()] = true
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		if IsSecret(field) || (field.Message() != nil && hasSecrets(field.Message(), seen)) {
			return true
		}
	}
	return false
}

// echoed is a refusal as its caller may read it: the request's secrets are taken out of it, and its long words are cut. The verb
// that wrote it need not think of that.
func echoed(req any, e *errs.Error) *errs.Error {
	if p, ok := req.(*pending); ok {
		req = p.message
	}
	message, ok := req.(proto.Message)
	if !ok {
		return e
	}
	words := &repeated{}
	words.collect(message.ProtoReflect(), false)
	clean := e.Reason().Wrap(words.cleanCause(e.Unwrap()), "%s", words.clean(e.Message()))
	for key, value := range e.Metadata() {
		clean = clean.With(key, words.clean(value))
	}
	return clean
}

// repeated is what an answer must not repeat as it is.
type repeated struct{ secrets, long []string }

// collect walks a request's texts; all of a secret message are secret.
func (r *repeated) collect(message protoreflect.Message, secret bool) {
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		secret := secret || IsSecret(field)
		switch {
		case field.IsMap():
			value.Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
				r.one(field.MapKey(), key.Value(), secret)
				r.one(field.MapValue(), value, secret)
				return true
			})
		case field.IsList():
			for i := range value.List().Len() {
				r.one(field, value.List().Get(i), secret)
			}
		default:
			r.one(field, value, secret)
		}
		return true
	})
}

func (r *repeated) one(field protoreflect.FieldDescriptor, value protoreflect.Value, secret bool) {
	var words string
	switch field.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		r.collect(value.Message(), secret)
		return
	case protoreflect.StringKind:
		words = value.String()
	case protoreflect.BytesKind:
		words = string(value.Bytes())
	default:
		if secret {
			words = value.String()
		}
	}
	switch {
	case secret && len(words) >= shortestSecret:
		r.secrets = append(r.secrets, words)
	case len(words) > EchoMax:
		r.long = append(r.long, words)
	}
}

// clean returns a text of an answer without what must not be repeated.
func (r *repeated) clean(answer string) string {
	answer = text.Line(answer)
	for _, words := range r.secrets {
		answer = strings.ReplaceAll(answer, text.Line(words), hidden)
	}
	for _, words := range r.long {
		answer = strings.ReplaceAll(answer, text.Line(words), Echo(words))
	}
	return answer
}

// cleanCause is clean for the field violations that a refusal carries; other causes stay inside.
func (r *repeated) cleanCause(cause error) error {
	var violations FieldViolations
	if !errors.As(cause, &violations) {
		return cause
	}
	clean := make(FieldViolations, len(violations))
	for i, v := range violations {
		clean[i] = FieldViolation{Field: r.clean(v.Field), Rule: v.Rule, Text: r.clean(v.Text)}
	}
	return clean
}
