package walks_test

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/rpckit"
	"github.com/creditpay/creditpay/services/gateway"

	"github.com/creditpay/creditpay/deploy/walks/sample"
)

// inputWalk looks at every field of every request of a contract.
type inputWalk struct {
	rules *rpckit.Rules
	// inside reports whether only services send the request at hand.
	inside bool
	// found are the faults, leftOut the fields that may be left out, named by message and field.
	found   map[string]bool
	leftOut map[string]bool
	// addressed are the names that others give and that stand in addresses.
	addressed map[string]bool
}

func methodsOf(files *protoregistry.Files) []protoreflect.MethodDescriptor {
	var out []protoreflect.MethodDescriptor
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				if strings.HasPrefix(string(f.Package()), ours) {
					out = append(out, f.Services().Get(i).Methods().Get(j))
				}
			}
		}
		return true
	})
	return out
}

// walkInput returns what is wrong with the requests of the packages of a contract whose names begin with a prefix.
func walkInput(t *testing.T, files *protoregistry.Files, prefix string) []string {
	t.Helper()
	methods := slices.DeleteFunc(methodsOf(files), func(m protoreflect.MethodDescriptor) bool {
		return !strings.HasPrefix(string(m.FullName()), prefix)
	})
	rules, err := rpckit.NewRules(methods)
	if err != nil {
		t.Fatal(err)
	}
	w := &inputWalk{rules: rules, found: map[string]bool{}, leftOut: map[string]bool{}, addressed: addressedNames(methods)}
	for _, m := range methods {
		rule, _ := rpckit.RuleOf(m)
		w.inside = slices.Equal(rule.Kinds(), []caller.Kind{caller.Service})
		for _, leave := range alternatives(m.Input().FullName()) {
			w.request(m, leave)
		}
	}
	for name := range maps.Keys(mayBeLeftOut) {
		if strings.HasPrefix(name, prefix) && !w.leftOut[name] {
			w.fault("%s stands in the table of what may be left out, and is required or no field of a request", name)
		}
	}
	return slices.Sorted(maps.Keys(w.found))
}

func (w *inputWalk) fault(format string, args ...any) { w.found[fmt.Sprintf(format, args...)] = true }

// alternatives are the fields to leave out of a message, once for each way to send it.
func alternatives(message protoreflect.FullName) []map[string]bool {
	ways := eitherOr[string(message)]
	if len(ways) == 0 {
		return []map[string]bool{nil}
	}
	var out []map[string]bool
	for _, way := range ways {
		leave := map[string]bool{}
		for _, field := range way {
			leave[string(message)+"."+field] = true
		}
		out = append(out, leave)
	}
	return out
}

func (w *inputWalk) request(m protoreflect.MethodDescriptor, leave map[string]bool) {
	name := m.Input().FullName()
	small := sample.Maker{Leave: leave}.Message(m.Input())
	if err := w.rules.Check(small); err != nil {
		w.fault("%s: no message that its rules let through can be made; place it in eitherOr or mend sample: %v", name, err)
		return
	}
	sample.Visit(small, func(parent protoreflect.Message, f protoreflect.FieldDescriptor, path string) {
		w.bounded(f)
		w.left(small, parent, f, path)
		w.odd(small, parent, f, path)
	})
	w.size(m, leave)
}

// refusedAt reports whether a message is refused and the refusal names a field.
func (w *inputWalk) refusedAt(m proto.Message, path string) bool {
	var found rpckit.FieldViolations
	if !errors.As(w.rules.Check(m), &found) {
		return false
	}
	last := path[strings.LastIndexByte(path, '.')+1:]
	return slices.ContainsFunc(found, func(v rpckit.FieldViolation) bool {
		return v.Field == path || v.Field == "" && strings.Contains(v.Text, last)
	})
}

// left leaves a field out.
func (w *inputWalk) left(m proto.Message, parent protoreflect.Message, f protoreflect.FieldDescriptor, path string) {
	held := parent.Get(f)
	parent.Clear(f)
	refused := w.refusedAt(m, path)
	parent.Set(f, held)
	key := string(f.FullName())
	switch {
	case refused || pages[f.Name()]:
	case mayBeLeftOut[key] == "":
		w.fault("%s may be left out: make it required, or write into mayBeLeftOut what that means", key)
	default:
		w.leftOut[key] = true
	}
}

// oddTexts are texts that no field takes from outside.
var oddTexts = []string{"a\x00b", "two\nlines", "tab\tbed", "\x1b[2Jx", "a\u202eb", "a\u2066b", "a\u200fb", "a\u2028b", "a\u0085b"}

// odd sends texts that are no line or too long, names that no address can hold, and numbers outside their enum.
func (w *inputWalk) odd(m proto.Message, parent protoreflect.Message, f protoreflect.FieldDescriptor, path string) {
	if f.Message() != nil || f.IsMap() {
		return
	}
	refuses := func(v protoreflect.Value) bool {
		held, at := parent.Get(f), path
		if f.IsList() {
			list := parent.NewField(f)
			list.List().Append(v)
			parent.Set(f, list)
			at += "[0]"
		} else {
			parent.Set(f, v)
		}
		refused := w.refusedAt(m, at)
		parent.Set(f, held)
		return refused
	}
	switch f.Kind() {
	case protoreflect.EnumKind:
		for _, n := range []protoreflect.EnumNumber{-1, 99, 257} {
			if !refuses(protoreflect.ValueOfEnum(n)) {
				w.fault("%s takes %d, which is no value of its enum", f.FullName(), n)
			}
		}
	case protoreflect.StringKind:
		texts := []string{strings.Repeat("x", 100_000), strings.Repeat("\U0001F600", 100_000)}
		if !w.inside {
			texts = append(texts, oddTexts...)
		}
		if w.addressed[string(f.Name())] && lookUps[string(f.FullName())] == "" {
			texts = append(texts, ".", "..", "a/b", "a%2fb", "a?b", "a#b")
		}
		for _, text := range texts {
			if !refuses(protoreflect.ValueOfString(text)) {
				w.fault("%s takes %.20q", f.FullName(), text)
			}
		}
	}
}

// bounded looks for texts and lists without a bound.
func (w *inputWalk) bounded(f protoreflect.FieldDescriptor) {
	rules := sample.Rules(f)
	if f.IsMap() && rules.GetMap().GetMaxPairs() == 0 {
		w.fault("%s has no bound: set map.max_pairs", f.FullName())
	}
	if f.IsList() {
		if rules.GetRepeated().GetMaxItems() == 0 {
			w.fault("%s has no bound: set repeated.max_items", f.FullName())
		}
		rules = rules.GetRepeated().GetItems()
	}
	switch f.Kind() {
	case protoreflect.StringKind:
		s := rules.GetString()
		most := sample.Unbounded
		if s.GetPattern() != "" {
			most, _ = sample.PatternMax(s.GetPattern())
		}
		if most == sample.Unbounded && s.GetMaxLen() == 0 && s.GetMaxBytes() == 0 && len(s.GetIn()) == 0 {
			w.fault("%s has no bound: set string.max_len, or a pattern from ^ to $ without * and +", f.FullName())
		}
	case protoreflect.BytesKind:
		if rules.GetBytes().GetMaxLen() == 0 {
			w.fault("%s has no bound: set bytes.max_len", f.FullName())
		}
	}
}

// size holds the largest message against the limits of the wire. JSON may write a character of four bytes in twelve.
func (w *inputWalk) size(m protoreflect.MethodDescriptor, leave map[string]bool) {
	name := m.Input().FullName()
	large := sample.Maker{Large: true, Leave: leave}.Message(m.Input())
	if err := w.rules.Check(large); err != nil {
		w.fault("%s: the largest message is refused: %v", name, err)
		return
	}
	if size := proto.Size(large); size > rpckit.MaxMessage && boundedAsAWhole[string(name)] == "" {
		w.fault("%s may have %d bytes, the wire takes %d: narrow its fields or write the bound of the whole into the contract",
			name, size, rpckit.MaxMessage)
	}
	text, err := protojson.Marshal(large)
	if err != nil {
		w.fault("%s: %v", name, err)
	}
	rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	if rule.GetPost() != "" && 3*len(text) > gateway.MaxBody {
		w.fault("%s may have %d bytes of JSON, the edge takes %d", name, 3*len(text), gateway.MaxBody)
	}
}

// addressedNames are the variables of REST addresses whose values others choose.
func addressedNames(methods []protoreflect.MethodDescriptor) map[string]bool {
	names := map[string]bool{"out_refund_no": true} // not yet in an address, and a number like the others
	for _, m := range methods {
		rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
		for _, b := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
			for _, part := range strings.Split(b.GetGet()+b.GetPost(), "{")[1:] {
				if name, _, _ := strings.Cut(part, "}"); !ourIDs[name] {
					names[name] = true
				}
			}
		}
	}
	return names
}

func TestInput_EveryFieldIsPlaced(t *testing.T) {
	t.Parallel()
	for _, fault := range walkInput(t, protoregistry.GlobalFiles, ours) {
		t.Error(fault)
	}
}

// A field, a message and an RPC more make the walk red until they are placed.
func TestInput_FindsWhatIsNew(t *testing.T) {
	t.Parallel()
	field := func(message string, add ...*descriptorpb.FieldDescriptorProto) func(*descriptorpb.FileDescriptorProto) {
		return func(f *descriptorpb.FileDescriptorProto) {
			for _, m := range f.GetMessageType() {
				if m.GetName() == message {
					m.Field = append(m.Field, add...)
				}
			}
		}
	}
	number := textField("extra_days", 101)
	number.Type = descriptorpb.FieldDescriptorProto_TYPE_INT32.Enum()
	method := textField("extra_method", 102)
	method.Type, method.TypeName = descriptorpb.FieldDescriptorProto_TYPE_ENUM.Enum(), proto.String(".creditpay.common.v1.InterestMethod")
	list := textField("extra_names", 103)
	list.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
	rpc := func(f *descriptorpb.FileDescriptorProto) {
		f.MessageType = append(f.MessageType, &descriptorpb.DescriptorProto{Name: proto.String("RenameUserRequest"),
			Field: []*descriptorpb.FieldDescriptorProto{textField("user_id", 1)}})
		options := &descriptorpb.MethodOptions{}
		proto.SetExtension(options, commonv1.E_Access, &commonv1.AccessRule{Callers: []commonv1.CallerKind{commonv1.CallerKind_CALLER_KIND_ADMIN}})
		f.Service[0].Method = append(f.Service[0].Method, &descriptorpb.MethodDescriptorProto{Name: proto.String("RenameUser"), Options: options,
			InputType: proto.String(".creditpay.bill.v1.RenameUserRequest"), OutputType: proto.String(".creditpay.bill.v1.GetCreditAccountResponse")})
	}
	const admin, tiers, credit = "creditpay/bill/v1/bill_admin_service.proto", "creditpay/refund/v1/refund_service.proto", "creditpay/bill/v1/bill.proto"
	for _, c := range []struct {
		what, path string
		edit       func(*descriptorpb.FileDescriptorProto)
		want       []string
	}{
		{"a text", admin, field("SetCreditLimitRequest", textField("extra", 100)),
			[]string{"SetCreditLimitRequest.extra may be left out", "SetCreditLimitRequest.extra has no bound", `SetCreditLimitRequest.extra takes "xxx`}},
		{"a number inside", credit, field("ServicingTerms", number), []string{"ServicingTerms.extra_days may be left out"}},
		{"a decision", credit, field("LateFeeRule", method), []string{"LateFeeRule.extra_method may be left out"}},
		{"a list", tiers, field("ApprovalTier", list), []string{"ApprovalTier.extra_names has no bound: set repeated", "no bound: set string"}},
		{"an RPC", admin, rpc, []string{"RenameUserRequest.user_id may be left out", `RenameUserRequest.user_id takes ".."`}},
	} {
		faults := strings.Join(walkInput(t, changed(t, c.path, c.edit), strings.ReplaceAll(path.Dir(c.path), "/", ".")), "\n")
		for _, want := range c.want {
			if !strings.Contains(faults, want) {
				t.Errorf("%s more: the walk does not say %q:\n%s", c.what, want, faults)
			}
		}
	}
}
