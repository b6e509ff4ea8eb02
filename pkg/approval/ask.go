package approval

import (
	"crypto/sha256"
	"encoding/json"
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// Ask is an act that somebody wants to do now. A verb makes it in the transaction of its effect, once it knows that the act is possible.
type Ask struct {
	// ID of the request, when one is made.
	ID ids.ID
	// Verb is the act; Object what it is about: a typed id, or a user.
	Verb, Object string
	// Requester is who asks, as caller.Caller.String writes it.
	Requester string
	// Reason is the requester's, Summary what would be done in one line.
	Reason, Summary string
	// Amount decides how many people are needed; the zero Amount for an act without an amount. Where it must still be so when the act is
	// carried out, it belongs into Arguments or Basis.
	Amount money.Amount
	// Payer is the user whose money it is, Checkout the checkout that it is of; empty where there is none.
	Payer, Checkout string
	// Arguments are what would be done, all of it: they are stored as JSON and are what the act is carried out with.
	Arguments any
	// Basis is what the act rests on and must still be so when it is carried out, for example an amount that is owed. It is only compared.
	Basis any
	// Effect is the id of the row that the act writes, for the audit; zero where there is none.
	Effect ids.ID
	// AtLeast is how many people must approve it whatever its amount.
	AtLeast int
	// Single allows one waiting request about Object at a time.
	Single bool
	// Deferred has an act that needs nobody stored as APPROVED instead of done: for one that takes several transactions, the last of which
	// comes here with the ticket. Desk.Carry carries it out.
	Deferred bool
	// Now is the time.
	Now time.Time
	// Ticket is the approved request that the act carries out; zero when nobody approved it yet.
	Ticket ids.ID
}

// Request returns the request of an act, without what sums and tiers say. Errors: INTERNAL.
func (a Ask) Request() (Request, error) {
	arguments, err := json.Marshal(a.Arguments)
	if err != nil {
		return Request{}, errs.Internal.Wrap(err, "write the arguments of %s", a.Verb)
	}
	basis, err := json.Marshal(a.Basis)
	if err != nil {
		return Request{}, errs.Internal.Wrap(err, "write what %s rests on", a.Verb)
	}
	content, err := json.Marshal([]any{a.Verb, a.Object, a.Payer, a.Checkout, string(arguments), string(basis)})
	if err != nil {
		return Request{}, errs.Internal.Wrap(err, "digest %s", a.Verb)
	}
	r := Request{ID: a.ID, Verb: a.Verb, Object: a.Object, Requester: PersonOf(a.Requester), Reason: a.Reason, Summary: a.Summary, Amount: a.Amount,
		Payer: a.Payer, Arguments: arguments, Fingerprint: sha256.Sum256(content), Needed: a.AtLeast, CreateTime: a.Now, Version: 1}
	if a.Counts() {
		r.Counted = SumsOf(a.Verb, a.Amount, r.Requester.Subject, a.Payer, a.Checkout, civil.Of(a.Now, civil.Jakarta()))
	}
	return r, nil
}

// Counts reports whether the act has an amount.
func (a Ask) Counts() bool { return a.Amount != money.Amount{} }

// Judged returns the request as its sum and the tiers of a rule say: waiting for as many people as the larger of both needs, or free to be
// carried out at once, by the same transaction or, deferred, by later ones.
func (r Request) Judged(sum money.Amount, rule ids.ID, tiers []Tier, deferred bool) Request {
	if r.Amount != (money.Amount{}) {
		r.Sum, r.Rule = sum, rule
		r.Needed = max(r.Needed, Needed(tiers, sum))
	}
	r.State, r.FinishTime = StateCarriedOut, r.CreateTime
	switch {
	case r.Needed > 0:
		r.State, r.FinishTime, r.ExpireTime = StatePending, time.Time{}, r.CreateTime.Add(Wait)
	case deferred:
		r.State, r.FinishTime = StateApproved, time.Time{}
	}
	return r
}
