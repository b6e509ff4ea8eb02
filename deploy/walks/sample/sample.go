// Package sample makes messages out of their contract: the smallest that its rules let through with every field set, and the largest.
// Tests walk them.
//
// It knows no message by name. What only a service can judge, such as whether an order exists, is the caller's to fill in.
package sample

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	validate "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Maker makes messages.
type Maker struct {
	// Large makes every text and list as long as its rules allow, with characters of four bytes where they are allowed.
	Large bool
	// Leave names fields that are left out, by full name: of fields that exclude one another a message has one.
	Leave map[string]bool
}

// Message makes a message of a type.
func (k Maker) Message(d protoreflect.MessageDescriptor) *dynamicpb.Message {
	m := dynamicpb.NewMessage(d)
	k.fill(m, 0)
	return m
}

// Rules returns the rules that a field's contract states; empty rules when it states none.
func Rules(f protoreflect.FieldDescriptor) *validate.FieldRules {
	if rules, ok := proto.GetExtension(f.Options(), validate.E_Field).(*validate.FieldRules); ok && rules != nil {
		return rules
	}
	return &validate.FieldRules{}
}

func (k Maker) fill(m protoreflect.Message, number int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if k.Leave[string(f.FullName())] || f.IsMap() {
			continue
		}
		if !f.IsList() {
			m.Set(f, k.value(f, Rules(f), func() protoreflect.Value { return m.NewField(f) }, number))
			continue
		}
		list := m.Mutable(f).List()
		for n := range k.items(Rules(f).GetRepeated()) {
			list.Append(k.value(f, Rules(f).GetRepeated().GetItems(), list.NewElement, n))
		}
	}
}

// count is a bound of the contract as a number of things to make.
func count(bound uint64) int { return int(min(bound, longestText)) } //nolint:gosec // bounded by a constant

func (k Maker) items(rules *validate.RepeatedRules) int {
	if k.Large {
		if in := rules.GetItems().GetString().GetIn(); len(in) > 0 && rules.GetUnique() {
			return min(len(in), count(rules.GetMaxItems()))
		}
		return count(rules.GetMaxItems())
	}
	return max(count(rules.GetMinItems()), 1)
}

// value makes a value of a field or of an element of it.
func (k Maker) value(f protoreflect.FieldDescriptor, rules *validate.FieldRules, empty func() protoreflect.Value, number int) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(k.text(rules.GetString(), number))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(make([]byte, max(count(rules.GetBytes().GetMaxLen()), 1)))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return k.enum(f.Enum(), rules.GetEnum())
	case protoreflect.MessageKind:
		return k.message(f.Message(), rules, empty())
	default:
		return k.integer(f.Kind(), rules)
	}
}

func (k Maker) text(rules *validate.StringRules, number int) string {
	switch {
	case len(rules.GetIn()) > 0:
		return rules.GetIn()[number%len(rules.GetIn())]
	case rules.GetPattern() != "":
		return matched(rules.GetPattern(), k.Large, count(rules.GetMaxLen()), number)
	}
	begin := ""
	if rules.GetUri() {
		begin = "https://shop.example/"
	} else if number > 0 {
		begin = fmt.Sprintf("%04d", number)
	}
	if !k.Large {
		return begin + strings.Repeat("x", max(count(rules.GetMinLen())-utf8.RuneCountInString(begin), 1))
	}
	fill := "\U0001F600"
	if rules.GetUri() {
		fill = "x"
	}
	if most := count(rules.GetMaxBytes()); most > 0 {
		return begin + strings.Repeat("x", most-len(begin))
	}
	return begin + strings.Repeat(fill, max(count(rules.GetMaxLen())-utf8.RuneCountInString(begin), 0))
}

func (k Maker) enum(e protoreflect.EnumDescriptor, rules *validate.EnumRules) protoreflect.Value {
	chosen := protoreflect.EnumNumber(0)
	for i := range e.Values().Len() {
		n := e.Values().Get(i).Number()
		if n != 0 && !slices.Contains(rules.GetNotIn(), int32(n)) && (chosen == 0 || k.Large) {
			chosen = n
		}
	}
	return protoreflect.ValueOfEnum(chosen)
}

func (k Maker) message(d protoreflect.MessageDescriptor, rules *validate.FieldRules, empty protoreflect.Value) protoreflect.Value {
	m := empty.Message()
	seconds := d.Fields().ByName("seconds")
	switch d.FullName() {
	case "google.protobuf.Timestamp":
		m.Set(seconds, protoreflect.ValueOfInt64(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Unix()))
	case "google.protobuf.Duration":
		length := int64(1)
		if most := rules.GetDuration().GetLte(); most != nil && k.Large {
			length = most.GetSeconds()
		}
		m.Set(seconds, protoreflect.ValueOfInt64(length))
	default:
		k.fill(m, 0)
	}
	return empty
}

func (k Maker) integer(kind protoreflect.Kind, rules *validate.FieldRules) protoreflect.Value {
	switch kind { //nolint:exhaustive // the contract has no others; a new one panics below
	case protoreflect.Int32Kind:
		r := rules.GetInt32()
		if !k.Large {
			return protoreflect.ValueOfInt32(max(r.GetGte(), r.GetGt()+1, 1))
		}
		if _, bounded := r.GetLessThan().(*validate.Int32Rules_Lt); bounded {
			return protoreflect.ValueOfInt32(r.GetLt() - 1)
		}
		if r.GetLte() > 0 {
			return protoreflect.ValueOfInt32(r.GetLte())
		}
		return protoreflect.ValueOfInt32(math.MaxInt32)
	case protoreflect.Int64Kind:
		r := rules.GetInt64()
		if !k.Large {
			return protoreflect.ValueOfInt64(max(r.GetGte(), r.GetGt()+1, 1))
		}
		if _, bounded := r.GetLessThan().(*validate.Int64Rules_Lt); bounded {
			return protoreflect.ValueOfInt64(r.GetLt() - 1)
		}
		if r.GetLte() > 0 {
			return protoreflect.ValueOfInt64(r.GetLte())
		}
		return protoreflect.ValueOfInt64(math.MaxInt64)
	}
	panic(fmt.Sprintf("sample: no value for %s: the contract has no such field yet, add it here", kind))
}

// Visit calls see for every field that is set in a message, and in the messages that it holds; of a list for the list and its first
// element. The path is as protovalidate writes it. see may clear or change the field and must put it back.
func Visit(m protoreflect.Message, see func(parent protoreflect.Message, f protoreflect.FieldDescriptor, path string)) {
	visit(m, "", see)
}

func visit(m protoreflect.Message, at string, see func(protoreflect.Message, protoreflect.FieldDescriptor, string)) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !m.Has(f) {
			continue
		}
		path := at + string(f.Name())
		see(m, f, path)
		switch {
		case f.Message() == nil || f.IsMap() || strings.HasPrefix(string(f.Message().FullName()), "google."):
		case f.IsList():
			visit(m.Mutable(f).List().Get(0).Message(), path+"[0].", see)
		default:
			visit(m.Mutable(f).Message(), path+".", see)
		}
	}
}

// VisitAll calls see for every field that is set in a message and in all that it holds, every element of lists included.
func VisitAll(m protoreflect.Message, see func(parent protoreflect.Message, f protoreflect.FieldDescriptor)) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !m.Has(f) {
			continue
		}
		see(m, f)
		switch {
		case f.Message() == nil || f.IsMap():
		case f.IsList():
			for n := range m.Get(f).List().Len() {
				VisitAll(m.Mutable(f).List().Get(n).Message(), see)
			}
		default:
			VisitAll(m.Mutable(f).Message(), see)
		}
	}
}
