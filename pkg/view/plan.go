package view

import (
	"maps"
	"slices"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/creditpay/creditpay/pkg/caller"
)

// plan is what a kind of caller does not see of a type of message. It is made once; a nil plan hides nothing.
type plan struct{ steps []step }

// step is what is done to one field.
type step struct {
	field protoreflect.FieldDescriptor
	// sight is Everything for a field that is only looked into.
	sight Sight
	// hidden are elements that are left out.
	hidden []element
	// inside is done to the message, or to each of the messages, that the field holds; nil for nothing.
	inside *plan
}

// element names elements by the value of a text field.
type element struct {
	field protoreflect.FieldDescriptor
	value string
}

type planKey struct {
	kind    caller.Kind
	message protoreflect.MessageDescriptor
}

// plans are the plans that were made, by planKey: there are as many as types of answers.
var plans sync.Map

// planOf is the plan of a type for a kind.
func planOf(kind caller.Kind, message protoreflect.MessageDescriptor) *plan {
	key := planKey{kind, message}
	if known, ok := plans.Load(key); ok {
		p, _ := known.(*plan)
		return p
	}
	p := build(kind, message, map[protoreflect.FullName]*plan{})
	known, _ := plans.LoadOrStore(key, p)
	p, _ = known.(*plan)
	return p
}

// build makes a plan. What is being built is in begun, so that a message that holds itself ends.
func build(kind caller.Kind, message protoreflect.MessageDescriptor, begun map[protoreflect.FullName]*plan) *plan {
	if p, ok := begun[message.FullName()]; ok {
		return p
	}
	if !restricted(kind, message, map[protoreflect.FullName]bool{}) {
		return nil
	}
	p := &plan{}
	begun[message.FullName()] = p
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		s := step{field: field, sight: Of(kind, field), hidden: hiddenElements(kind, field)}
		if held := heldBy(field); held != nil && s.sight == Everything {
			s.inside = build(kind, held, begun)
		}
		if s.sight != Everything || s.inside != nil || len(s.hidden) > 0 {
			p.steps = append(p.steps, s)
		}
	}
	return p
}

// restricted reports whether something of a type, at any depth, is hidden from a kind.
func restricted(kind caller.Kind, message protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if seen[message.FullName()] {
		return false
	}
	seen[message.FullName()] = true
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		if Of(kind, field) != Everything || len(hiddenElements(kind, field)) > 0 {
			return true
		}
		if held := heldBy(field); held != nil && restricted(kind, held, seen) {
			return true
		}
	}
	return false
}

// heldBy is the type of the messages in a field; nil when it holds none.
func heldBy(field protoreflect.FieldDescriptor) protoreflect.MessageDescriptor {
	if field.IsMap() {
		return field.MapValue().Message()
	}
	return field.Message()
}

func hiddenElements(kind caller.Kind, field protoreflect.FieldDescriptor) []element {
	var out []element
	values := HiddenElements(kind, field)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		of := field.Message().Fields().ByName(protoreflect.Name(name))
		for _, value := range values[name] {
			out = append(out, element{field: of, value: value})
		}
	}
	return out
}

// apply hides, when change is set, and reports whether something is there to be hidden.
func (p *plan) apply(m protoreflect.Message, change bool) bool {
	found := false
	for i := range p.steps {
		s := &p.steps[i]
		if !m.Has(s.field) {
			continue
		}
		if s.sight != Everything {
			found = s.limit(m, change) || found
		} else {
			found = s.leaveOut(m, change) || found
			found = s.look(m, change) || found
		}
		if found && !change {
			return true
		}
	}
	return found
}

// limit shows less of a field, or nothing.
func (s *step) limit(m protoreflect.Message, change bool) bool {
	if s.sight != Nothing && s.field.Kind() == protoreflect.StringKind && s.field.Cardinality() != protoreflect.Repeated {
		text := m.Get(s.field).String()
		left := shown(s.sight, text)
		if change && left != "" {
			m.Set(s.field, protoreflect.ValueOfString(left))
			return left != text
		}
		if left != "" {
			return left != text
		}
	}
	if change {
		m.Clear(s.field)
	}
	return true
}

// leaveOut takes hidden elements out of a list.
func (s *step) leaveOut(m protoreflect.Message, change bool) bool {
	if len(s.hidden) == 0 {
		return false
	}
	list := m.Get(s.field).List()
	kept := 0
	for i := range list.Len() {
		if s.hides(list.Get(i).Message()) {
			continue
		}
		if change {
			list.Set(kept, list.Get(i))
		}
		kept++
	}
	found := kept < list.Len()
	if change {
		list.Truncate(kept)
	}
	return found
}

func (s *step) hides(m protoreflect.Message) bool {
	return slices.ContainsFunc(s.hidden, func(e element) bool { return m.Get(e.field).String() == e.value })
}

// look goes into the messages of a field.
func (s *step) look(m protoreflect.Message, change bool) bool {
	switch {
	case s.inside == nil:
		return false
	case s.field.IsMap():
		found := false
		m.Get(s.field).Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
			found = s.inside.apply(v.Message(), change) || found
			return true
		})
		return found
	case s.field.IsList():
		found := false
		list := m.Get(s.field).List()
		for i := range list.Len() {
			found = s.inside.apply(list.Get(i).Message(), change) || found
		}
		return found
	default:
		return s.inside.apply(m.Get(s.field).Message(), change)
	}
}

// alike reports whether two plans hide the same.
func alike(a, b *plan) bool {
	if a == nil || b == nil || len(a.steps) != len(b.steps) {
		return a == b
	}
	for i, x := range a.steps {
		y := b.steps[i]
		if x.field.Number() != y.field.Number() || x.sight != y.sight || !slices.Equal(x.hidden, y.hidden) {
			return false
		}
		itself := x.inside == a && y.inside == b
		if !itself && !alike(x.inside, y.inside) {
			return false
		}
	}
	return true
}
