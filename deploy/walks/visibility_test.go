package walks_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/view"
	"github.com/creditpay/creditpay/services/notification"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	visibilityFile = "testdata/visibility.txt"
	ours           = "creditpay."
	legend         = `# Who sees which field of answers and events: a column each for SPM, H5, ADMIN, MERCHANT, CHANNEL, SERVICE.
#   x sees it   k of "KIND:name" the kind only   r names of error reasons only   . does not see it   - does not get the message
# A line more is a field more: decide who sees it by (creditpay.common.v1.visible_to), then run
#   go test ./deploy/walks -run TestVisibility -update
`
)

// root is a message that leaves the suite, and to whom.
type root struct {
	message protoreflect.MessageDescriptor
	kinds   []caller.Kind
}

// roots are the answers of all RPCs and all events of a contract.
func roots(files *protoregistry.Files) []root {
	told := notification.Receivers()
	var out []root
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(f.Package()), ours) {
			return true
		}
		for i := range f.Services().Len() {
			methods := f.Services().Get(i).Methods()
			for j := range methods.Len() {
				rule, _ := proto.GetExtension(methods.Get(j).Options(), commonv1.E_Access).(*commonv1.AccessRule)
				r := root{message: methods.Get(j).Output()}
				for _, k := range rule.GetCallers() {
					r.kinds = append(r.kinds, caller.KindOf(k))
				}
				out = append(out, r)
			}
		}
		if strings.HasSuffix(f.Path(), "/events.proto") {
			for i := range f.Messages().Len() {
				m := f.Messages().Get(i)
				out = append(out, root{message: m, kinds: append([]caller.Kind{caller.Service}, told[m.FullName()]...)})
			}
		}
		return true
	})
	return out
}

// row is what each kind sees of a field; kinds that do not get its message are missing.
type row map[caller.Kind]view.Sight

func (r row) String() string {
	var b strings.Builder
	for _, k := range caller.Kinds() {
		sight, gets := r[k]
		switch {
		case !gets:
			b.WriteByte('-')
		case sight == view.Everything:
			b.WriteByte('x')
		case sight == view.KindOnly:
			b.WriteByte('k')
		case sight == view.ReasonOnly:
			b.WriteByte('r')
		default:
			b.WriteByte('.')
		}
	}
	return b.String()
}

// sights is the table: each field that can leave the suite, with who sees it. Elements that only some see have rows of their own.
func sights(files *protoregistry.Files) map[string]row {
	table := map[string]row{}
	set := func(name string, k caller.Kind, s view.Sight) {
		if table[name] == nil {
			table[name] = row{}
		}
		table[name][k] = s
	}
	for _, k := range caller.Kinds() {
		seen := map[protoreflect.FullName]bool{}
		var visit func(protoreflect.MessageDescriptor)
		visit = func(m protoreflect.MessageDescriptor) {
			if seen[m.FullName()] || !strings.HasPrefix(string(m.FullName()), ours) {
				return
			}
			seen[m.FullName()] = true
			for i := range m.Fields().Len() {
				f := m.Fields().Get(i)
				sight := view.Of(k, f)
				set(string(f.FullName()), k, sight)
				v, _ := proto.GetExtension(f.Options(), commonv1.E_VisibleTo).(*commonv1.Visibility)
				for _, e := range v.GetElements() {
					s := view.Everything
					if slices.Contains(view.HiddenElements(k, f)[e.GetField()], e.GetValue()) {
						s = view.Nothing
					}
					set(fmt.Sprintf("%s[%s=%s]", f.FullName(), e.GetField(), e.GetValue()), k, s)
				}
				if held := f.Message(); held != nil && sight == view.Everything {
					visit(held)
				}
			}
		}
		for _, r := range roots(files) {
			if slices.Contains(r.kinds, k) {
				visit(r.message)
			}
		}
	}
	return table
}

// lines are the table as text.
func lines(table map[string]row) []string {
	out := make([]string, 0, len(table))
	for _, name := range slices.Sorted(maps.Keys(table)) {
		out = append(out, fmt.Sprintf("%s %s", table[name], name))
	}
	return out
}

// placed are the lines of the golden file.
func placed(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(visibilityFile)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	return out
}

// differences are the lines that only one of two tables has.
func differences(want, got []string) (out []string) {
	for _, line := range got {
		if !slices.Contains(want, line) {
			out = append(out, "+ "+line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			out = append(out, "- "+line)
		}
	}
	return out
}

// Every field that can leave the suite has its place in the table.
func TestVisibility_TableIsComplete(t *testing.T) {
	t.Parallel()
	got := lines(sights(protoregistry.GlobalFiles))
	if *update {
		if err := os.WriteFile(visibilityFile, []byte(legend+strings.Join(got, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := differences(placed(t), got); len(diff) > 0 {
		t.Errorf("%s differs from the contract; decide who sees these fields by (creditpay.common.v1.visible_to), then run it with -update:\n%s",
			visibilityFile, strings.Join(diff, "\n"))
	}
}

// changed is a copy of the contract in which a file was edited.
func changed(t *testing.T, path string, edit func(*descriptorpb.FileDescriptorProto)) *protoregistry.Files {
	t.Helper()
	set := &descriptorpb.FileDescriptorSet{}
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		p := protodesc.ToFileDescriptorProto(f)
		if f.Path() == path {
			edit(p)
		}
		set.File = append(set.File, p)
		return true
	})
	files, err := protodesc.NewFiles(set)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func textField(name string, number int32) *descriptorpb.FieldDescriptorProto {
	return &descriptorpb.FieldDescriptorProto{Name: proto.String(name), Number: proto.Int32(number), JsonName: proto.String(name),
		Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
}

// A field more, a message more and an RPC that a further kind may call make the table red until they are placed.
func TestVisibility_FindsWhatIsNew(t *testing.T) {
	t.Parallel()
	field := func(f *descriptorpb.FileDescriptorProto) {
		for _, m := range f.GetMessageType() {
			if m.GetName() == "OrderBrief" {
				m.Field = append(m.Field, textField("operator_note", 100))
			}
		}
	}
	message := func(f *descriptorpb.FileDescriptorProto) {
		f.MessageType = append(f.MessageType, &descriptorpb.DescriptorProto{Name: proto.String("OrderArchived"),
			Field: []*descriptorpb.FieldDescriptorProto{textField("archivist", 1)}})
	}
	caller := func(f *descriptorpb.FileDescriptorProto) {
		for _, s := range f.GetService() {
			for _, m := range s.GetMethod() {
				if m.GetName() == "GetCreditAccount" {
					m.Options = proto.CloneOf(m.GetOptions())
					rule, _ := proto.GetExtension(m.GetOptions(), commonv1.E_Access).(*commonv1.AccessRule)
					rule = proto.CloneOf(rule)
					rule.Callers = append(rule.Callers, commonv1.CallerKind_CALLER_KIND_H5)
					proto.SetExtension(m.GetOptions(), commonv1.E_Access, rule)
				}
			}
		}
	}
	for _, c := range []struct {
		what, path string
		edit       func(*descriptorpb.FileDescriptorProto)
		want       string
	}{
		{"a field", "creditpay/order/v1/order.proto", field, "+ xxxx-x creditpay.order.v1.OrderBrief.operator_note"},
		{"an event", "creditpay/order/v1/events.proto", message, "+ -----x creditpay.order.v1.OrderArchived.archivist"},
		{"a caller", "creditpay/bill/v1/bill_admin_service.proto", caller, "+ -.x--- creditpay.bill.v1.CreditAccount.freeze_reason"},
	} {
		diff := differences(placed(t), lines(sights(changed(t, c.path, c.edit))))
		if !slices.Contains(diff, c.want) {
			t.Errorf("%s more: differences %v, want %q among them", c.what, diff, c.want)
		}
	}
}

// privateName are names of texts that hold people's names and words, and what goes on inside.
var privateName = regexp.MustCompile(`(^|_)(actor|operator|approvers?|approved_by|decided_by|requester|evidence|comment|cause|failure|reason|note|caller)$`)

// reasonNames are texts of such a name that hold the name of an ErrorReason, or the marketplace's own words for the marketplace.
func reasonNames() []string {
	return []string{"creditpay.payment.v1.PaymentFailed.reason", "creditpay.payment.v1.PayChannel.disabled_reason", "creditpay.bill.v1.RepayChannel.disabled_reason",
		"creditpay.refund.v1.RefundResult.reason", "creditpay.order.v1.OrderCancelRequested.reason", "creditpay.order.v1.OrderCancelled.reason"}
}

// A text that is named like a person's name or words is not shown whole to payers, shops and marketplaces.
func TestVisibility_PrivateWordsStayInside(t *testing.T) {
	t.Parallel()
	for name, r := range sights(protoregistry.GlobalFiles) {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			continue // An element's row.
		}
		f, ok := d.(protoreflect.FieldDescriptor)
		if !ok || f.Kind() != protoreflect.StringKind || !privateName.MatchString(string(f.Name())) || slices.Contains(reasonNames(), name) {
			continue
		}
		for _, k := range []caller.Kind{caller.SPM, caller.H5, caller.Merchant, caller.Channel} {
			if s, gets := r[k]; gets && s == view.Everything {
				t.Errorf("%s is shown whole to %s; restrict it by (creditpay.common.v1.visible_to)", name, k)
			}
		}
	}
}

// mark fills every field of a message, texts with a person's mark. It ends at messages that hold themselves.
func mark(m protoreflect.Message, deep int) {
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		switch {
		case f.ContainingOneof() != nil && m.WhichOneof(f.ContainingOneof()) != nil:
		case f.IsMap():
			m.Mutable(f).Map().Set(protoreflect.ValueOfString("key").MapKey(), protoreflect.ValueOfString("ADMIN:mark"))
		case f.IsList() && f.Message() != nil:
			if deep > 0 {
				mark(m.Mutable(f).List().AppendMutable().Message(), deep-1)
			}
		case f.Message() != nil:
			if deep > 0 {
				mark(m.Mutable(f).Message(), deep-1)
			}
		case f.IsList():
			m.Mutable(f).List().Append(valueOf(f))
		default:
			m.Set(f, valueOf(f))
		}
	}
}

func valueOf(f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("ADMIN:mark")
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("ADMIN:mark"))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(1)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(1)
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(1)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(1)
	default:
		return protoreflect.ValueOfInt64(1)
	}
}

// What view.For leaves of a full message is what the table says, for every answer and event and every kind that gets it.
func TestVisibility_TableIsWhatIsShown(t *testing.T) {
	t.Parallel()
	table := sights(protoregistry.GlobalFiles)
	for _, r := range roots(protoregistry.GlobalFiles) {
		for _, k := range r.kinds {
			m := dynamicpb.NewMessage(r.message)
			mark(m, 6)
			before := proto.Clone(m)
			compare(t, table, k, m, view.For(k, m).ProtoReflect())
			if !proto.Equal(m, before) {
				t.Errorf("%s: the message itself was changed for %s", r.message.FullName(), k)
			}
		}
	}
}

// compare checks what is seen of a marked message.
func compare(t *testing.T, table map[string]row, k caller.Kind, m, seen protoreflect.Message) {
	t.Helper()
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		s, known := table[string(f.FullName())][k]
		switch {
		case !strings.HasPrefix(string(f.FullName()), ours):
		case !known:
			t.Errorf("%s reaches %s and is not in the table", f.FullName(), k)
		case seen.Has(f) != (s == view.Everything || s == view.KindOnly):
			t.Errorf("%s for %s: seen %v, the table says %v", f.FullName(), k, seen.Has(f), table[string(f.FullName())])
		case s == view.KindOnly && seen.Get(f).String() != "ADMIN":
			t.Errorf("%s for %s: %q, want the kind only", f.FullName(), k, seen.Get(f))
		case s != view.Everything || f.Message() == nil || f.IsMap():
		case f.IsList():
			compare(t, table, k, v.List().Get(0).Message(), seen.Get(f).List().Get(0).Message())
		default:
			compare(t, table, k, v.Message(), seen.Get(f).Message())
		}
		return true
	})
}
