package rpckit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/creditpay/creditpay/pkg/caller"
)

// maxViolations bounds the violations of an answer.
const maxViolations = 16

// Rules are the rules of requests: those that their .proto writes, and those that hold for every text and enum (form.go).
type Rules struct {
	validator protovalidate.Validator
	forms     map[protoreflect.FullName]*form
}

// NewRules compiles the rules of the requests of methods. It fails when a rule in a .proto is wrong.
func NewRules(methods []protoreflect.MethodDescriptor) (*Rules, error) {
	var messages []protoreflect.MessageDescriptor
	outside := map[protoreflect.FullName]bool{}
	seen := map[protoreflect.FullName]bool{}
	for _, m := range methods {
		name := m.Input().FullName()
		if !seen[name] {
			messages = append(messages, m.Input())
		}
		seen[name] = true
		if rule, _ := RuleOf(m); !slices.Equal(rule.Kinds(), []caller.Kind{caller.Service}) {
			outside[name] = true
		}
	}
	validator, err := protovalidate.New(protovalidate.WithMessageDescriptors(messages...))
	if err != nil {
		return nil, fmt.Errorf("compile validation rules: %w", err)
	}
	rules := &Rules{validator: validator, forms: map[protoreflect.FullName]*form{}}
	made := map[bool]*forms{true: newForms(true), false: newForms(false)}
	// Mistakes are kept until a message is validated.
	for _, message := range messages {
		if err := compiles(validator, message); err != nil {
			return nil, err
		}
		rules.forms[message.FullName()] = made[outside[message.FullName()]].add(message)
	}
	return rules, nil
}

// newValidator compiles the rules of every request of the suite that is linked into the program, so that the first request does
// not wait for that. It fails when a rule in a .proto is wrong.
func newValidator() (*Rules, error) {
	var methods []protoreflect.MethodDescriptor
	eachMethod(func(m protoreflect.MethodDescriptor) {
		if strings.HasPrefix(string(m.Input().FullName()), Domain+".") {
			methods = append(methods, m)
		}
	})
	return NewRules(methods)
}

// Check refuses a message that breaks a rule; the error names the fields.
func (r *Rules) Check(message proto.Message) error {
	m := message.ProtoReflect()
	var found FieldViolations
	if f, ok := r.forms[m.Descriptor().FullName()]; ok {
		found = f.check(m)
	}
	if err := r.validator.Validate(message); err != nil {
		return violationsOf(err, found)
	}
	if len(found) > 0 {
		return invalid(found[:min(len(found), maxViolations)])
	}
	return nil
}

// validation refuses requests that break a rule.
func validation(rules *Rules) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if message, ok := req.(proto.Message); ok {
			if err := rules.Check(message); err != nil {
				return nil, err
			}
		}
		return handler(ctx, req)
	}
}

// violationsOf is the caller's error for what the validator found besides violations of the form. A rule that could not be evaluated
// is our fault, not theirs.
func violationsOf(err error, violations FieldViolations) error {
	var found *protovalidate.ValidationError
	if !errors.As(err, &found) {
		return fmt.Errorf("validate request: %w", err)
	}
	named := map[string]bool{}
	for _, v := range violations {
		named[v.Field] = true
	}
	for _, v := range found.Violations {
		// One refusal a field is enough: the form's says more than that a pattern does not match.
		if field := protovalidate.FieldPathString(v.Proto.GetField()); !named[field] || field == "" {
			violations = append(violations, FieldViolation{Field: field, Rule: v.Proto.GetRuleId(), Text: v.Proto.GetMessage()})
		}
	}
	return invalid(violations[:min(len(violations), maxViolations)])
}

// compiles reports the mistake in the rules of a message, if there is one: the library tells it only when a message is validated.
func compiles(validator protovalidate.Validator, message protoreflect.MessageDescriptor) error {
	var mistake *protovalidate.CompilationError
	if err := validator.Validate(dynamicpb.NewMessage(message)); errors.As(err, &mistake) {
		return fmt.Errorf("compile validation rules of %s: %w", message.FullName(), err)
	}
	return nil
}
