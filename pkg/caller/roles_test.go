package caller_test

import (
	"slices"
	"testing"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/caller"
)

func TestEveryRoleOfTheContractHasARoleWithItsNameAndBack(t *testing.T) {
	t.Parallel()
	for number, name := range commonv1.OperatorRole_name {
		role, ok := caller.RoleOf(commonv1.OperatorRole(number))
		if ok != (number != 0) {
			t.Errorf("%s is a role: %t", name, ok)
		}
		if !ok {
			continue
		}
		if "OPERATOR_ROLE_"+role.String() != name {
			t.Errorf("%s became %s", name, role)
		}
		if back, err := caller.ParseRoles([]string{role.String()}); err != nil || back != caller.RolesOf(role) {
			t.Errorf("%s was read as %v, %v", role, back.Names(), err)
		}
	}
	if len(caller.AllRoles()) != len(commonv1.OperatorRole_name)-1 {
		t.Errorf("%d roles, the contract has %d", len(caller.AllRoles()), len(commonv1.OperatorRole_name)-1)
	}
	if _, ok := caller.RoleOf(99); ok {
		t.Error("99 is a role")
	}
}

func TestASetOfRolesIsItsNames(t *testing.T) {
	t.Parallel()
	set := caller.RolesOf(caller.Operate, caller.View)
	if got := set.Names(); !slices.Equal(got, []string{"VIEW", "OPERATE"}) {
		t.Error(got)
	}
	if !set.Meets(caller.RolesOf(caller.View, caller.Cash)) || set.Meets(caller.RolesOf(caller.Cash)) || set.Meets(0) || caller.Roles(0).Meets(caller.EveryRole()) {
		t.Error("sets meet where they have no role in common, or do not where they have")
	}
	for _, name := range []string{"", "ROOT", "view", "UNSPECIFIED", "OPERATOR_ROLE_VIEW"} {
		if got, err := caller.ParseRoles([]string{"VIEW", name}); err == nil {
			t.Errorf("%q was read as %v", name, got.Names())
		}
	}
}
