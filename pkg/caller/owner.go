package caller

import (
	"github.com/creditpay/creditpay/pkg/errs"
)

// Sees reports whether what belongs to a user may be shown to the caller, or be done for it: a payer sees its own, a marketplace and
// its shops what is of the marketplace's users, operators and services everything. Which shop's it is must be asked beside it.
func (c Caller) Sees(userID string) bool {
	switch c.Kind {
	case H5:
		return c.UserID != "" && c.UserID == userID
	case SPM, Merchant:
		owner, user := SplitUserID(userID)
		return user != "" && owner == c.Owner
	case Admin, Service:
		return true
	default:
		return false
	}
}

// CheckUser refuses a user of another marketplace that a marketplace names in a field of its request. Errors: INVALID_ARGUMENT.
func (c Caller) CheckUser(field, userID string) error {
	owner, _ := SplitUserID(userID)
	switch {
	case c.Kind != SPM || owner == c.Owner:
		return nil
	case c.Owner == "":
		return errs.InvalidArgument.New("%s names a user of the marketplace %q; name one of your own, without a marketplace and ~ in front",
			field, owner).With("field", field)
	default:
		return errs.InvalidArgument.New("%s names no user of your marketplace; write %s", field, QualifiedUserID(c.Owner, "<user>")).With("field", field)
	}
}
