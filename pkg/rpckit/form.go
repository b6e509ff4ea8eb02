package rpckit

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// What every request holds, whatever its .proto says of a field: texts are one line, and enum numbers are values of their enum.
const (
	ruleOneLine = "text.one_line"
	ruleDefined = "enum.defined"
)

// form is what must be looked at in messages of one type. It is computed once; a message without texts and enums has none, so that
// a call pays only for what it holds.
type form struct {
	fields []formField
}

// formField is one field that must be looked at: a text, an enum, a message that has a form, or a list or map of them.
type formField struct {
	field protoreflect.FieldDescriptor
	value formValue
	// key is looked at in a map besides the value.
	key bool
}

// formValue is what a single value must be.
type formValue struct {
	text  bool
	enum  protoreflect.EnumDescriptor
	inner *form
}

// forms are the forms of messages by name. They are not safe for concurrent use while forms are added.
type forms struct {
	made map[protoreflect.FullName]*form
	// texts includes texts. What our services send one another was looked at where it came in, and may be older than the rule: a text
	// that was stored years ago must not stop the work that carries it.
	texts bool
}

func newForms(texts bool) *forms {
	return &forms{made: map[protoreflect.FullName]*form{}, texts: texts}
}

// add is the form of a message type and of all that it holds.
func (all *forms) add(message protoreflect.MessageDescriptor) *form {
	if made, ok := all.made[message.FullName()]; ok {
		return made
	}
	made := &form{}
	all.made[message.FullName()] = made // First, so that a type that holds itself ends here.
	fields := message.Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		held := formField{field: f}
		if f.IsMap() {
			held.key = all.texts && f.MapKey().Kind() == protoreflect.StringKind
			held.value = all.value(f.MapValue())
		} else {
			held.value = all.value(f)
		}
		if held.key || held.value != (formValue{}) {
			made.fields = append(made.fields, held)
		}
	}
	return made
}

func (all *forms) value(f protoreflect.FieldDescriptor) formValue {
	switch f.Kind() {
	case protoreflect.StringKind:
		return formValue{text: all.texts}
	case protoreflect.EnumKind:
		return formValue{enum: f.Enum()}
	case protoreflect.MessageKind, protoreflect.GroupKind:
		if all.holds(f.Message(), map[protoreflect.FullName]bool{}) {
			return formValue{inner: all.add(f.Message())}
		}
	default: // numbers and bytes have no form beyond their type
	}
	return formValue{}
}

// holds reports whether a message, or one that it holds, has a text or an enum to look at.
func (all *forms) holds(message protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if seen[message.FullName()] {
		return false
	}
	seen[message.FullName()] = true
	fields := message.Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Kind() == protoreflect.EnumKind || all.texts && f.Kind() == protoreflect.StringKind ||
			f.Message() != nil && all.holds(f.Message(), seen) {
			return true
		}
	}
	return false
}

// check returns what breaks the form, with field paths as protovalidate writes them.
func (f *form) check(m protoreflect.Message) FieldViolations {
	var found FieldViolations
	for i := range f.fields {
		held := &f.fields[i]
		switch {
		case held.field.IsMap():
			found = append(found, held.checkMap(m)...)
		case held.field.IsList():
			found = append(found, held.checkList(m)...)
		case held.value.inner != nil && !m.Has(held.field):
		default:
			found = append(found, under(string(held.field.Name()), held.value.check(m.Get(held.field)))...)
		}
	}
	return found
}

func (h *formField) checkList(m protoreflect.Message) FieldViolations {
	var found FieldViolations
	list := m.Get(h.field).List()
	for i := range list.Len() {
		if len(found) >= maxViolations {
			break
		}
		if wrong := h.value.check(list.Get(i)); wrong != nil {
			found = append(found, under(string(h.field.Name())+"["+strconv.Itoa(i)+"]", wrong)...)
		}
	}
	return found
}

func (h *formField) checkMap(m protoreflect.Message) FieldViolations {
	var found FieldViolations
	m.Get(h.field).Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
		wrong := h.value.check(value)
		if h.key {
			wrong = append(wrong, checkText(key.String())...)
		}
		found = append(found, under(string(h.field.Name())+"["+strconv.QuoteToASCII(key.String())+"]", wrong)...)
		return len(found) < maxViolations
	})
	return found
}

func (v formValue) check(value protoreflect.Value) FieldViolations {
	switch {
	case v.text:
		return checkText(value.String())
	case v.enum != nil:
		if n := value.Enum(); v.enum.Values().ByNumber(n) == nil {
			return FieldViolations{{Rule: ruleDefined, Text: fmt.Sprintf("%d is not a value of %s", n, v.enum.Name())}}
		}
	case v.inner != nil:
		return v.inner.check(value.Message())
	}
	return nil
}

// under puts a field in front of the paths of violations.
func under(field string, found FieldViolations) FieldViolations {
	for i := range found {
		if found[i].Field == "" {
			found[i].Field = field
		} else {
			found[i].Field = field + "." + found[i].Field
		}
	}
	return found
}

// checkText refuses what no line of text holds. Nearly all texts are ASCII, which one loop settles.
func checkText(text string) FieldViolations {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' {
			return checkRunes(text[i:])
		}
	}
	return nil
}

func checkRunes(text string) FieldViolations {
	if !utf8.ValidString(text) {
		return FieldViolations{{Rule: ruleOneLine, Text: "the text is not UTF-8"}}
	}
	for _, r := range text {
		if !inLine(r) {
			return FieldViolations{{Rule: ruleOneLine, Text: fmt.Sprintf("holds %U: send one line of text, without control characters, "+
				"line breaks and marks that turn the direction of writing", r)}}
		}
	}
	return nil
}

// inLine reports whether a character may stand in a line of text: not a control character (NUL, tab and line ends are), not one that
// ends a line or a paragraph, and not one that turns the direction of what follows, by which a text can look like another.
func inLine(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r < 0xa0:
		return false
	case r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return false
	default:
		return true
	}
}
