// Package caller owns who is calling: the kind of caller, its name, and whose data it may see, carried in a context.
//
// It must not verify anything (package auth does) and must not decide who may call what (package rpckit does).
package caller

import (
	"context"
	"strings"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
)

// Kind is a kind of caller. The zero Kind is nobody and is allowed nothing.
type Kind uint8

// The kinds, with the numbers of commonv1.CallerKind.
const (
	// SPM is the marketplace's payment middleware.
	SPM Kind = iota + 1
	// H5 is the payer's mobile web page; it speaks for one user.
	H5
	// Admin is an operator.
	Admin
	// Merchant is a merchant or store.
	Merchant
	// Channel is a payment channel calling back.
	Channel
	// Service is another service of this suite.
	Service
)

// Kinds gives every kind, in the order of their numbers.
func Kinds() []Kind { return []Kind{SPM, H5, Admin, Merchant, Channel, Service} }

// String is the kind's name in tokens and logs, for example "SPM"; "NONE" for the zero Kind and unknown ones.
func (k Kind) String() string {
	switch k {
	case SPM:
		return "SPM"
	case H5:
		return "H5"
	case Admin:
		return "ADMIN"
	case Merchant:
		return "MERCHANT"
	case Channel:
		return "CHANNEL"
	case Service:
		return "SERVICE"
	default:
		return "NONE"
	}
}

// Proto is the kind in the contract; UNSPECIFIED for the zero Kind and unknown ones.
func (k Kind) Proto() commonv1.CallerKind {
	if k > Service {
		return commonv1.CallerKind_CALLER_KIND_UNSPECIFIED
	}
	return commonv1.CallerKind(k)
}

// KindOf is the kind of the contract's value; the zero Kind for UNSPECIFIED and values that this version does not know.
func KindOf(k commonv1.CallerKind) Kind {
	if k < 1 || k > commonv1.CallerKind(Service) {
		return 0
	}
	return Kind(k)
}

// ParseKind reads what String wrote; false for anything else, "NONE" included.
func ParseKind(name string) (Kind, bool) {
	for _, k := range Kinds() {
		if k.String() == name {
			return k, true
		}
	}
	return 0, false
}

// Caller is who calls. It is a comparable value; the zero Caller is nobody.
type Caller struct {
	// Kind is the kind of caller.
	Kind Kind
	// Name is the caller's own name: a program ("marketplace", "order"), or an operator ("alice").
	Name string
	// UserID is the one user whose data an H5 caller sees; empty for the other kinds.
	UserID string
	// MerchantID is the one merchant whose orders a MERCHANT caller sees; empty for the other kinds.
	MerchantID string
	// Roles are what an ADMIN caller may do; none for the other kinds.
	Roles Roles
	// Owner is the marketplace that an SPM, H5 or MERCHANT caller acts in. It is empty for the home marketplace, and for the other
	// kinds, who act in all of them. An SPM's is its name, an H5 caller's stands in its user id ("<owner>~<user>").
	Owner string
	// FactorTime is when the payer last showed a second factor to whoever signed them in, in seconds since 1970; 0 when that is not
	// known. Only H5 callers have one.
	FactorTime int64
}

// String returns the kind and the name that the caller speaks for: "SPM:marketplace", "H5:user-1", "MERCHANT:shop-1", and "MERCHANT:owner~shop-1"
// for a shop of another marketplace than the home one. Two callers with the same String are the same to idempotency records and
// rate limits. It is "NONE" for the zero Caller.
func (c Caller) String() string {
	switch c.Kind {
	case 0:
		return "NONE"
	case H5:
		return "H5:" + c.UserID
	case Merchant:
		if c.Owner != "" {
			return "MERCHANT:" + c.Owner + "~" + c.MerchantID
		}
		return "MERCHANT:" + c.MerchantID
	default:
		return c.Kind.String() + ":" + c.Name
	}
}

// SplitUserID parts a user id into the marketplace that the user belongs to, empty for the home marketplace, and the name that the
// marketplace has for the user: "b~user-1" is user-1 of b, "user-1" is user-1 of the home marketplace.
func SplitUserID(userID string) (owner, user string) {
	if owner, user, found := strings.Cut(userID, "~"); found {
		return owner, user
	}
	return "", userID
}

// QualifiedUserID is the user id of a marketplace's user: what SplitUserID parts.
func QualifiedUserID(owner, user string) string {
	if owner == "" {
		return user
	}
	return owner + "~" + user
}

type contextKey struct{}

// NewContext is ctx with the caller.
func NewContext(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// FromContext is the caller of ctx; the zero Caller when there is none.
func FromContext(ctx context.Context) Caller {
	c, _ := ctx.Value(contextKey{}).(Caller)
	return c
}
