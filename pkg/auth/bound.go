package auth

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"

	"github.com/creditpay/creditpay/pkg/caller"
)

// Any is written where a key may speak for any name, or for the payers and merchants of any marketplace.
const Any = "*"

// Bound is what a key may speak for. The zero Bound is nothing.
type Bound struct {
	// Kinds are the kinds of callers. A key of SERVICE has no other kind.
	Kinds []caller.Kind
	// Names are the callers' own names ("sub"), or Any alone. SERVICE, SPM and CHANNEL need real names, SERVICE exactly one: a key
	// that two services hold would be one identity.
	Names []string
	// Owner is the marketplace whose payers and merchants an H5 or MERCHANT key may speak for: empty for the home marketplace,
	// Any for all.
	Owner string
}

// Key is a public key with what it may speak for.
type Key struct {
	Public ed25519.PublicKey
	Bound  Bound
}

// String is the bound for people: "SERVICE order", "ADMIN *", "H5 * of b".
func (b Bound) String() string {
	kinds := make([]string, len(b.Kinds))
	for i, k := range b.Kinds {
		kinds[i] = k.String()
	}
	text := strings.Join(kinds, ",") + " " + strings.Join(b.Names, ",")
	if b.Owner != "" {
		text += " of " + b.Owner
	}
	return text
}

// check reports what is wrong with a bound.
func (b Bound) check() error {
	if len(b.Kinds) == 0 {
		return fmt.Errorf(`"kinds" is empty: name what the key may sign, of %v`, caller.Kinds())
	}
	if len(b.Names) == 0 {
		return fmt.Errorf(`"names" is empty: name the callers ("sub") that the key may sign for, or ["*"] for any`)
	}
	for _, name := range b.Names {
		if !identifier(name) && (name != Any || len(b.Names) > 1) {
			return fmt.Errorf("name %q is not 1 to %d characters of A-Z, a-z, 0-9, _ . @ and -, nor %q alone", name, nameLength, Any)
		}
	}
	for _, k := range b.Kinds {
		if k.Proto() == 0 {
			return fmt.Errorf("kind %d is not a kind of caller", k)
		}
		if named := k == caller.Service || k == caller.SPM || k == caller.Channel; named && b.Names[0] == Any {
			return fmt.Errorf(`a key of %s needs real names, such as ["%s"]`, k, example(k))
		}
		if k == caller.Service && (len(b.Kinds) > 1 || len(b.Names) > 1) {
			return fmt.Errorf("a key of SERVICE is of one service and of no other kind; make a key for each")
		}
	}
	if b.Owner == "" || slices.Contains(b.Kinds, caller.H5) || slices.Contains(b.Kinds, caller.Merchant) {
		if b.Owner == "" || b.Owner == Any || identifier(b.Owner) {
			return nil
		}
		return fmt.Errorf("owner %q is not 1 to %d characters of A-Z, a-z, 0-9, _ . @ and -, nor %q", b.Owner, nameLength, Any)
	}
	return fmt.Errorf("owner belongs to keys of H5 and MERCHANT; an SPM's marketplace is its name")
}

func example(k caller.Kind) string {
	switch k {
	case caller.Service:
		return "order"
	case caller.SPM:
		return HomeMarketplace
	default:
		return "wechat-1"
	}
}

// names reports whether the bound has the kind and the name.
func (b Bound) names(k caller.Kind, name string) bool {
	return slices.Contains(b.Kinds, k) && (b.Names[0] == Any || slices.Contains(b.Names, name))
}

// permits reports whether a key with this bound may speak for c; home is the name of the home marketplace.
func (b Bound) permits(c caller.Caller, home string) bool {
	if !b.names(c.Kind, c.Name) {
		return false
	}
	if c.Kind != caller.H5 && c.Kind != caller.Merchant {
		return true
	}
	return b.Owner == Any || b.Owner == c.Owner || b.Owner == home && c.Owner == ""
}
