// Package view owns what each kind of caller sees of a message: it applies the (creditpay.common.v1.visible_to) options of the contract.
//
// Every way out of the suite goes through For: answers of RPCs in package rpckit, webhooks and feeds in the notification service. The
// package must not know a service or a message, and must not decide who may call what (package rpckit does).
package view

import (
	"strings"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/creditpay/creditpay/pkg/caller"
)

// Sight is how much of a field a kind of caller sees.
type Sight uint8

// The sights.
const (
	// Nothing: the field is not set.
	Nothing Sight = iota
	// KindOnly: of "ADMIN:alice" only "ADMIN".
	KindOnly
	// ReasonOnly: the names of error reasons and no other words.
	ReasonOnly
	// Everything: the field as it is.
	Everything
)

// reasonPrefix stands before the names of commonv1.ErrorReason.
const reasonPrefix = "ERROR_REASON_"

// Of returns how much of a field callers of that kind see, whatever is inside it.
func Of(kind caller.Kind, field protoreflect.FieldDescriptor) Sight {
	v := option(field)
	names := func(list []commonv1.CallerKind) bool {
		for _, k := range list {
			if caller.KindOf(k) == kind && kind != 0 {
				return true
			}
		}
		return false
	}
	switch {
	case len(v.GetCallers())+len(v.GetKindOnly())+len(v.GetReasonOnly()) == 0, names(v.GetCallers()):
		return Everything
	case names(v.GetKindOnly()):
		return KindOnly
	case names(v.GetReasonOnly()):
		return ReasonOnly
	default:
		return Nothing
	}
}

// HiddenElements returns the elements of a repeated field that callers of that kind do not see: values by the name of the text field
// that holds them.
func HiddenElements(kind caller.Kind, field protoreflect.FieldDescriptor) map[string][]string {
	var hidden map[string][]string
	for _, e := range option(field).GetElements() {
		seen := false
		for _, k := range e.GetCallers() {
			seen = seen || (caller.KindOf(k) == kind && kind != 0)
		}
		if !seen {
			if hidden == nil {
				hidden = map[string][]string{}
			}
			hidden[e.GetField()] = append(hidden[e.GetField()], e.GetValue())
		}
	}
	return hidden
}

// option is the field's; nil for a field without one.
func option(field protoreflect.FieldDescriptor) *commonv1.Visibility {
	options := field.Options()
	if options == nil || !proto.HasExtension(options, commonv1.E_VisibleTo) {
		return nil
	}
	v, _ := proto.GetExtension(options, commonv1.E_VisibleTo).(*commonv1.Visibility)
	return v
}

// For returns m as callers of that kind see it. It is m itself when nothing of it is hidden from them, otherwise a copy: a message may
// be shared. The zero Kind sees what everybody sees.
func For(kind caller.Kind, m proto.Message) proto.Message {
	if m == nil {
		return m
	}
	message := m.ProtoReflect()
	if !message.IsValid() {
		return m
	}
	p := planOf(kind, message.Descriptor())
	if p == nil || !p.apply(message, false) {
		return m
	}
	seen := proto.Clone(m)
	p.apply(seen.ProtoReflect(), true)
	return seen
}

// Alike reports whether callers of both kinds see the same of every message of m's type.
func Alike(a, b caller.Kind, m proto.Message) bool {
	return alike(planOf(a, m.ProtoReflect().Descriptor()), planOf(b, m.ProtoReflect().Descriptor()))
}

// shown is what is left of a text.
func shown(s Sight, text string) string {
	switch s {
	case Everything:
		return text
	case KindOnly:
		kind, _, _ := strings.Cut(text, ":")
		return kind
	case ReasonOnly:
		if _, ok := commonv1.ErrorReason_value[reasonPrefix+text]; ok {
			return text
		}
		return ""
	default:
		return ""
	}
}
