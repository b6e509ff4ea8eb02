package approval

import (
	"time"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// Rule is the tiers of a verb in a currency from a time on, until a later one takes effect.
type Rule struct {
	// ID is that of the request that set it, or a fixed one for a rule that came with the schema.
	ID       ids.ID
	Verb     string
	Currency money.Currency
	Tiers    []Tier
	// EffectiveTime is since when it is in force; CancelTime when it was taken back before, zero when it was not.
	EffectiveTime, CancelTime time.Time
}

// Change is what a request to change tiers would do. Its JSON is part of the database.
type Change struct {
	Verb     string `json:"verb"`
	Currency string `json:"currency_code"`
	Tiers    []Tier `json:"tiers"`
}

// EffectiveAt returns when a change that is approved now takes effect. Looser tiers wait, so that who would misuse them is seen before they
// are in force. Tiers that need no fewer people for any amount hold at once: they let no money out, and waiting would leave open what they
// are to close.
func EffectiveAt(c money.Currency, before, after []Tier, now time.Time, delay time.Duration) time.Time {
	if Loosens(c, before, after) {
		return now.Add(delay)
	}
	return now
}

// Seeded reports whether a rule came with the schema: nobody asked for it, and its id is zero but for the last bytes.
func (r Rule) Seeded() bool { return [8]byte(r.ID[:8]) == [8]byte{} }
