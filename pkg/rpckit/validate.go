package rpckit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// maxViolations bounds the violations of an answer.
const maxViolations = 16

// newValidator compiles the rules of every request of the suite that is linked into the program, so that the first request does
// not wait for that. It fails when a rule in a .proto is wrong.
func newValidator() (protovalidate.Validator, error) {
	var (
		requests []protoreflect.MessageDescriptor
		seen     = map[protoreflect.FullName]bool{}
	)
	eachMethod(func(m protoreflect.MethodDescriptor) {
		if input := m.Input(); strings.HasPrefix(string(input.FullName()), Domain+".") && !seen[input.FullName()] {
			seen[input.FullName()] = true
			requests = append(requests, input)
		}
	})
	validator, err := protovalidate.New(protovalidate.WithMessageDescriptors(requests...))
	if err != nil {
		return nil, fmt.Errorf("compile validation rules: %w", err)
	}
	// Mistakes are kept until a message is validated.
	for _, input := range requests {
		if err := compiles(validator, input); err != nil {
			return nil, err
		}
	}
	return validator, nil
}

// validation refuses requests that break a rule of their .proto.
func validation(validator protovalidate.Validator) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if message, ok := req.(proto.Message); ok {
			if err := validator.Validate(message); err != nil {
				return nil, violationsOf(err)
			}
		}
		return handler(ctx, req)
	}
}

// violationsOf is the caller's error for what the validator found. A rule that could not be evaluated is our fault, not theirs.
func violationsOf(err error) error {
	var found *protovalidate.ValidationError
	if !errors.As(err, &found) {
		return fmt.Errorf("validate request: %w", err)
	}
	violations := make(FieldViolations, 0, len(found.Violations))
	for _, v := range found.Violations[:min(len(found.Violations), maxViolations)] {
		violations = append(violations, FieldViolation{
			Field: protovalidate.FieldPathString(v.Proto.GetField()),
			Rule:  v.Proto.GetRuleId(),
			Text:  v.Proto.GetMessage(),
		})
	}
	return invalid(violations)
}

// compiles reports the mistake in the rules of a message, if there is one: the library tells it only when a message is validated.
func compiles(validator protovalidate.Validator, message protoreflect.MessageDescriptor) error {
	var mistake *protovalidate.CompilationError
	if err := validator.Validate(dynamicpb.NewMessage(message)); errors.As(err, &mistake) {
		return fmt.Errorf("compile validation rules of %s: %w", message.FullName(), err)
	}
	return nil
}
