package approval

import (
	"cmp"
	"slices"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

// MaxApprovals is the most people that an act can need beside the requester.
const MaxApprovals = 2

// maxTiers bounds the tiers of a currency.
const maxTiers = 20

// Tier says how many people must approve an act from an amount on. Its JSON is part of the database.
type Tier struct {
	From      money.Amount
	Approvals int
}

// Needed returns how many people must approve an amount: as the tier of its currency with the highest bound that it reaches says. Where
// none is reached, or none is set, it is as many as can be asked for. Nothing counts as the smallest amount.
func Needed(tiers []Tier, amount money.Amount) int {
	reached := slices.DeleteFunc(slices.Clone(tiers), func(t Tier) bool {
		return t.From.Currency() != amount.Currency() || t.From.Minor() > max(amount.Minor(), 1)
	})
	if len(reached) == 0 {
		return MaxApprovals
	}
	return slices.MaxFunc(reached, func(a, b Tier) int { return cmp.Compare(a.From.Minor(), b.From.Minor()) }).Approvals
}

// CheckTiers refuses tiers of a currency that make no sense; they must come in the order of their amounts. Errors: INVALID_ARGUMENT.
func CheckTiers(c money.Currency, tiers []Tier) error {
	refuse := func(format string, args ...any) error {
		return errs.InvalidArgument.New("tiers: "+format, args...).With("field", "tiers")
	}
	if len(tiers) == 0 || len(tiers) > maxTiers {
		return refuse("%d tiers; send 1 to %d", len(tiers), maxTiers)
	}
	for i, t := range tiers {
		switch {
		case t.From.Currency() != c:
			return refuse("%s is not in %s", t.From, c.Code())
		case !t.From.IsPositive() || money.Bounded(t.From) != nil:
			return refuse("an amount must be above zero and at most %d minor units", money.MaxMinor)
		case t.Approvals < 0 || t.Approvals > MaxApprovals:
			return refuse("0 to %d people can approve, not %d", MaxApprovals, t.Approvals)
		case i > 0 && t.From.Minor() <= tiers[i-1].From.Minor():
			return refuse("write each amount once, from the lowest to the highest; %s stands after %s", t.From, tiers[i-1].From)
		case i > 0 && t.Approvals < tiers[i-1].Approvals:
			return refuse("%s would need fewer people than %s", t.From, tiers[i-1].From)
		}
	}
	return nil
}

// Loosens reports whether some amount of a currency would need fewer people after a change of its tiers than before.
func Loosens(c money.Currency, before, after []Tier) bool {
	bounds := []money.Amount{money.New(1, c)}
	for _, t := range slices.Concat(before, after) {
		if t.From.Currency() == c {
			bounds = append(bounds, t.From)
		}
	}
	return slices.ContainsFunc(bounds, func(a money.Amount) bool { return Needed(after, a) < Needed(before, a) })
}
