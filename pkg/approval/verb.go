package approval

import (
	"context"

	"github.com/creditpay/creditpay/pkg/caller"
)

// Verb is an act that may need more than one person.
type Verb struct {
	// Name of the act, as in the contract.
	Name string
	// Role is what a person needs to approve it.
	Role caller.Role
	// Tiers says that its amounts have tiers; an act without them needs a fixed number of people.
	Tiers bool
	// Carry does what an approved request says, by the verb itself: with the requester and the arguments of the request, and with the
	// request's id as its ticket. A refusal by a rule means that nothing was done and ends the request as FAILED; after any other error it
	// is repeated.
	Carry func(ctx context.Context, r Request) error
}
