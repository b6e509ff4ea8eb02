package rpckit

import (
	"context"
	"slices"
	"strings"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
)

// Rule is who may call a method. The zero Rule allows nobody.
type Rule struct {
	kinds uint16
	// Roles are those of which an ADMIN caller must have one.
	Roles caller.Roles
	// Services are the names that a SERVICE caller may have.
	Services []string
}

// Allows reports whether that caller may call: its kind is named, an operator has a role that is named, and a service is named.
func (r Rule) Allows(c caller.Caller) bool {
	if !r.AllowsKind(c.Kind) {
		return false
	}
	switch c.Kind {
	case caller.Admin:
		return r.Roles.Meets(c.Roles)
	case caller.Service:
		return slices.Contains(r.Services, c.Name)
	default:
		return true
	}
}

// AllowsKind reports whether callers of that kind may call: operators with the right role, and services of the right name.
func (r Rule) AllowsKind(k caller.Kind) bool { return k != 0 && r.kinds&(1<<k) != 0 }

// Kinds returns the kinds that may call, in the order of their numbers.
func (r Rule) Kinds() []caller.Kind {
	var kinds []caller.Kind
	for _, k := range caller.Kinds() {
		if r.AllowsKind(k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// AccessRules reads the (creditpay.common.v1.access) option of every method that is linked into the program. Keys are full
// method names as gRPC has them: "/creditpay.order.v1.OrderService/GetOrderInfo". A method that is not in the map, or whose Rule
// is zero, is refused to everybody; but see IsPublic.
func AccessRules() map[string]Rule {
	rules := map[string]Rule{}
	eachMethod(func(m protoreflect.MethodDescriptor) {
		if rule, ok := RuleOf(m); ok {
			rules[fullName(m)] = rule
		}
	})
	return rules
}

// RuleOf returns the rule that a method's option states; false when the method has no such option.
func RuleOf(m protoreflect.MethodDescriptor) (Rule, bool) {
	option, ok := proto.GetExtension(m.Options(), commonv1.E_Access).(*commonv1.AccessRule)
	if !ok || option == nil {
		return Rule{}, false
	}
	rule := Rule{Services: slices.Clone(option.GetServices())}
	for _, k := range option.GetCallers() {
		if kind := caller.KindOf(k); kind != 0 {
			rule.kinds |= 1 << kind
		}
	}
	for _, r := range option.GetRoles() {
		if role, ok := caller.RoleOf(r); ok {
			rule.Roles |= caller.RolesOf(role)
		}
	}
	return rule, true
}

// IsPublic reports whether everybody may call the method, without a token: gRPC's own health and reflection services.
func IsPublic(fullMethod string) bool {
	return strings.HasPrefix(fullMethod, "/grpc.health.v1.") || strings.HasPrefix(fullMethod, "/grpc.reflection.")
}

// eachMethod walks the methods of all services that are linked into the program.
func eachMethod(visit func(protoreflect.MethodDescriptor)) {
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				visit(methods.Get(j))
			}
		}
		return true
	})
}

// fullName is the method's name as gRPC has it.
func fullName(m protoreflect.MethodDescriptor) string {
	return "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
}

// access refuses callers that the method's rule does not name.
func access(rules map[string]Rule) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if !IsPublic(info.FullMethod) {
			if err := refuse(rules[info.FullMethod], caller.FromContext(ctx)); err != nil {
				return nil, err
			}
		}
		return handler(ctx, req)
	}
}

// refuse returns CALLER_NOT_ALLOWED, with what is missing, for a caller that the rule does not allow.
func refuse(rule Rule, c caller.Caller) error {
	switch {
	case rule.Allows(c):
		return nil
	case rule.AllowsKind(c.Kind) && c.Kind == caller.Service:
		needed := "none"
		if len(rule.Services) > 0 {
			needed = strings.Join(rule.Services, " or ")
		}
		return errs.CallerNotAllowed.New("of the services only %s may call this method, and the token is of %s", needed, c.Name).
			With("needs_service", needed)
	case rule.AllowsKind(c.Kind):
		needed := strings.Join(rule.Roles.Names(), " or ")
		return errs.CallerNotAllowed.New("an operator needs the role %s to call this method", needed).With("needs_role", needed)
	default:
		return errs.CallerNotAllowed.New("a caller of kind %s may not call this method", c.Kind)
	}
}
