package caller

import (
	"fmt"
	"strings"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
)

// Role is what an operator may do; the numbers are those of commonv1.OperatorRole. The zero Role is none.
type Role uint8

// The roles.
const (
	// View looks at everything and changes nothing.
	View Role = iota + 1
	// Credit opens, limits and freezes accounts, waives fees, writes loans off.
	Credit
	// Cash follows cash: legs that failed, bounces, recoveries, payouts.
	Cash
	// RefundRequest asks for refunds.
	RefundRequest
	// RefundApprove approves and rejects refunds.
	RefundApprove
	// Administer sets products, approval tiers, and endpoints.
	Administer
	// Operate keeps the suite running.
	Operate
	// Approve approves and rejects what is no refund.
	Approve
)

// AllRoles gives every role, in the order of their numbers.
func AllRoles() []Role {
	return []Role{View, Credit, Cash, RefundRequest, RefundApprove, Administer, Operate, Approve}
}

// rolePrefix stands before a role's name in the contract.
const rolePrefix = "OPERATOR_ROLE_"

// String is the role's name in tokens and configuration, for example "REFUND_APPROVE".
func (r Role) String() string {
	return strings.TrimPrefix(commonv1.OperatorRole(r).String(), rolePrefix)
}

// RoleOf is the role of the contract's value; false for UNSPECIFIED and values that this version does not know.
func RoleOf(r commonv1.OperatorRole) (Role, bool) {
	if r < 1 || r > commonv1.OperatorRole(Approve) {
		return 0, false
	}
	return Role(r), true
}

// Roles is a set of roles, a comparable value.
type Roles uint16

// RolesOf is the set of these roles.
func RolesOf(list ...Role) Roles {
	var set Roles
	for _, r := range list {
		set |= 1 << r
	}
	return set
}

// EveryRole is the set of all roles: for who works alone, as in a development stack.
func EveryRole() Roles { return RolesOf(AllRoles()...) }

// ParseRoles reads role names as String writes them. It fails for a name that is no role.
func ParseRoles(names []string) (Roles, error) {
	var set Roles
	for _, name := range names {
		r, ok := RoleOf(commonv1.OperatorRole(commonv1.OperatorRole_value[rolePrefix+name]))
		if !ok {
			return 0, fmt.Errorf("%q is not a role; roles are %s", name, strings.Join(EveryRole().Names(), ", "))
		}
		set |= RolesOf(r)
	}
	return set, nil
}

// Meets reports whether the sets have a role in common.
func (s Roles) Meets(other Roles) bool { return s&other != 0 }

// Names gives the names of the roles, in the order of their numbers.
func (s Roles) Names() []string {
	var names []string
	for _, r := range AllRoles() {
		if s.Meets(RolesOf(r)) {
			names = append(names, r.String())
		}
	}
	return names
}
