package walks

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/go-sql-driver/mysql"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"pgregory.net/rapid"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/rpckit"
)

// fault is what happens below a verb, and what its caller must hear.
type fault struct {
	err    error
	reason errs.Reason
}

// secretWords stand in causes and must reach nobody.
const secretWords = "SELECT pin FROM users"

func faults() map[string]fault {
	sql := func(number uint16) error {
		return mysqlx.Fault(&mysql.MySQLError{Number: number, Message: secretWords}, "run a statement")
	}
	peer := func(code codes.Code) error { return rpckit.FromStatus(status.Error(code, secretWords)) }
	return map[string]fault{
		"database down":            {mysqlx.Fault(driver.ErrBadConn, "read"), errs.DependencyUnavailable},
		"database shuts down":      {sql(1053), errs.DependencyUnavailable},
		"deadlocks":                {sql(1213), errs.DependencyUnavailable},
		"letters no column takes":  {sql(1366), errs.Internal},
		"text too long for its":    {sql(1406), errs.Internal},
		"peer down":                {peer(codes.Unavailable), errs.DependencyUnavailable},
		"peer slow":                {peer(codes.DeadlineExceeded), errs.DependencyUnavailable},
		"peer of another version":  {peer(codes.Unimplemented), errs.NotYetAvailable},
		"peer lost a race":         {rpckit.FromStatus(rpckit.ToStatus(errs.ConcurrentChange.New("x"))), errs.ConcurrentChange},
		"time over":                {fmt.Errorf("ask: %w", context.DeadlineExceeded), errs.DeadlineTooShort},
		"time over in a statement": {mysqlx.Fault(context.DeadlineExceeded, "read"), errs.DeadlineTooShort},
		"lost race":                {errs.ConcurrentChange.New("x"), errs.ConcurrentChange},
		"in flight":                {errs.RequestInFlight.New("x"), errs.RequestInFlight},
		"commit under way":         {errs.CheckoutCommitting.New("x"), errs.CheckoutCommitting},
		"a rule":                   {errs.LimitInsufficient.New("x"), errs.LimitInsufficient},
		"odd letters":              {errs.NotFound.New("x\xff%s", strings.Repeat("😀", 9000)).With("k\xff", "v\xff"), errs.NotFound},
		"nobody thought of it":     {errors.New(secretWords), errs.Internal},
		"panic":                    {nil, errs.Internal},
	}
}

// every is each RPC of the suite with its request type.
func every(visit func(m protoreflect.MethodDescriptor)) {
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			methods := f.Services().Get(i).Methods()
			for k := range methods.Len() {
				if strings.HasPrefix(string(f.Package()), "creditpay.") {
					visit(methods.Get(k))
				}
			}
		}
		return true
	})
}

func fullName(m protoreflect.MethodDescriptor) string {
	return "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
}

// anybody is a verifier whose tokens are "KIND/name".
type anybody struct{}

func (anybody) Verify(token string, _ time.Time) (caller.Caller, error) {
	kindName, name, _ := strings.Cut(token, "/")
	kind, ok := caller.ParseKind(kindName)
	if !ok {
		return caller.Caller{}, errs.TokenInvalid.New("no such kind")
	}
	c := caller.Caller{Kind: kind, Name: name}
	switch kind {
	case caller.Admin:
		c.Roles = caller.EveryRole()
	case caller.H5:
		c.UserID = "u1"
	case caller.Merchant:
		c.MerchantID = "m1"
	}
	return c, nil
}

// tokenFor is a token that opens an RPC.
func tokenFor(m protoreflect.MethodDescriptor) string {
	rule, _ := proto.GetExtension(m.Options(), commonv1.E_Access).(*commonv1.AccessRule)
	kind := caller.KindOf(rule.GetCallers()[0])
	if kind == caller.Service {
		return kind.String() + "/" + rule.GetServices()[0]
	}
	return kind.String() + "/tester"
}

// failing serves every RPC of the suite, through the chain that all services have; its verbs do what now holds.
func failing(t *testing.T, now *atomic.Pointer[fault]) *grpc.ClientConn {
	t.Helper()
	options, err := rpckit.ServerOptions(rpckit.Config{Verifier: anybody{}})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	services := map[protoreflect.FullName]*grpc.ServiceDesc{}
	every(func(m protoreflect.MethodDescriptor) {
		name := m.Parent().FullName()
		if services[name] == nil {
			services[name] = &grpc.ServiceDesc{ServiceName: string(name), HandlerType: (*any)(nil)}
		}
		services[name].Methods = append(services[name].Methods, grpc.MethodDesc{MethodName: string(m.Name()),
			Handler: func(_ any, ctx context.Context, read func(any) error, chain grpc.UnaryServerInterceptor) (any, error) {
				req := message(t, m.Input())
				if err := read(req); err != nil {
					return nil, err
				}
				return chain(ctx, req, &grpc.UnaryServerInfo{FullMethod: fullName(m)}, func(context.Context, any) (any, error) {
					f := now.Load()
					if f.err == nil {
						panic(secretWords)
					}
					return nil, f.err
				})
			}})
	})
	for _, desc := range services {
		rpckit.Registrar(server).RegisterService(desc, struct{}{})
	}
	listener := bufconn.Listen(1 << 20)
	go func() { _ = server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///walk", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); server.Stop() })
	return conn
}

func message(t *testing.T, d protoreflect.MessageDescriptor) proto.Message {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		t.Fatal(err)
	}
	return kind.New().Interface()
}

// Every RPC under every fault: the code and the reason are those of the table, an answer says when to repeat exactly where repeating helps,
// and nothing of a cause comes out. A new RPC is walked by itself.
func TestFaults_AnswersAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	var now atomic.Pointer[fault]
	conn := failing(t, &now)
	table := faults()
	reached := 0
	every(func(m protoreflect.MethodDescriptor) {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+tokenFor(m))
		now.Store(&fault{errs.NotFound.New("x"), errs.NotFound})
		req := valid(t, m, func(req proto.Message) error { return conn.Invoke(ctx, fullName(m), req, message(t, m.Output())) })
		if req == nil {
			t.Errorf("%s: no valid request was made for it; teach fill its rules", fullName(m))
			return
		}
		for _, name := range slices.Sorted(maps.Keys(table)) {
			f := table[name]
			now.Store(&f)
			err := conn.Invoke(ctx, fullName(m), req, message(t, m.Output()))
			if got := reasonOf(err); got != f.reason.Name() {
				t.Errorf("%s, %s: %v, want %s", fullName(m), name, err, f.reason.Name())
			}
			reached++
			conforms(t, fullName(m)+", "+name, err)
		}
		late, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		if err := conn.Invoke(late, fullName(m), req, message(t, m.Output())); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("%s without time: %v", fullName(m), err)
		}
	})
	if reached < 60*len(table) {
		t.Errorf("only %d answers", reached)
	}
}

// valid makes a request that the rules of an RPC take: with all fields, or without one of those that exclude each other. nil when there is
// none.
func valid(t *testing.T, m protoreflect.MethodDescriptor, try func(proto.Message) error) proto.Message {
	t.Helper()
	for left := -1; left < m.Input().Fields().Len(); left++ {
		req := message(t, m.Input())
		fill(req.ProtoReflect(), 0)
		if left >= 0 {
			req.ProtoReflect().Clear(m.Input().Fields().Get(left))
		}
		if reasonOf(try(req)) != errs.InvalidArgument.Name() {
			return req
		}
	}
	return nil
}

func reasonOf(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// conforms holds an answer against the table.
func conforms(t *testing.T, name string, err error) {
	t.Helper()
	reason, known := errs.ByName(reasonOf(err))
	if !known || status.Code(err) != rpckit.CodeOf(reason.New("")) {
		t.Errorf("%s: code %s with reason %q", name, status.Code(err), reasonOf(err))
	}
	var pause time.Duration
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			pause = info.GetRetryDelay().AsDuration()
		}
	}
	if pause != reason.RetryAfter() {
		t.Errorf("%s: repeat after %s, want %s", name, pause, reason.RetryAfter())
	}
	if strings.Contains(err.Error(), secretWords) {
		t.Errorf("%s: the answer holds its cause: %v", name, err)
	}
}

// fill gives a message values that its rules take, as far as they stand at its fields.
func fill(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		rules, _ := proto.GetExtension(f.Options(), validate.E_Field).(*validate.FieldRules)
		if one := f.ContainingOneof(); one != nil && !one.IsSynthetic() && one.Fields().Get(0) != f {
			continue
		}
		switch {
		case f.IsMap():
		case f.IsList():
			if rules.GetRepeated().GetMinItems() > 0 && depth < 4 {
				list := m.Mutable(f).List()
				list.Append(value(f, rules.GetRepeated().GetItems(), list.NewElement(), depth))
			}
		case f.Message() != nil && depth > 3:
		default:
			m.Set(f, value(f, rules, m.NewField(f), depth))
		}
	}
}

func value(f protoreflect.FieldDescriptor, rules *validate.FieldRules, empty protoreflect.Value, depth int) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(textFor(f, rules.GetString()))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(max(rules.GetInt32().GetGte(), rules.GetInt32().GetGt()+1, 1))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(max(rules.GetInt64().GetGte(), rules.GetInt64().GetGt()+1, 1))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(make([]byte, max(rules.GetBytes().GetMinLen(), rules.GetBytes().GetLen())))
	case protoreflect.MessageKind:
		switch f.Message().FullName() {
		case "google.protobuf.Timestamp", "google.protobuf.Duration":
			empty.Message().Set(f.Message().Fields().ByName("seconds"), protoreflect.ValueOfInt64(100))
		default:
			fill(empty.Message(), depth+1)
		}
	}
	return empty
}

// textFor is a text that the rules of a field take.
func textFor(f protoreflect.FieldDescriptor, rules *validate.StringRules) string {
	switch {
	case f.Name() == "currency_code":
		return "IDR"
	case rules.GetUri():
		return "https://shop.example/x"
	case rules.HasPattern():
		return rapid.StringMatching(rules.GetPattern()).Filter(func(s string) bool { return rules.GetMaxLen() == 0 || len(s) <= int(rules.GetMaxLen()) }).Example(1)
	case len(rules.GetIn()) > 0:
		return rules.GetIn()[0]
	default:
		return strings.Repeat("a", int(max(rules.GetMinLen(), rules.GetLen(), 1)))
	}
}
