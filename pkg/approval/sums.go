package approval

import (
	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/money"
)

// SumKind says over what amounts are added up. The numbers are stored.
type SumKind uint8

// The kinds of sums.
const (
	// SumRequester adds up what a person asked for on a business day.
	SumRequester SumKind = 1
	// SumPayer adds up what was asked for a payer on a business day, whoever asked.
	SumPayer SumKind = 2
	// SumCheckout adds up what was asked for of a checkout, whoever asked and whenever: a checkout has one price, so spreading it over days
	// must not help.
	SumCheckout SumKind = 3
)

// SumKey names one sum of a verb in a currency.
type SumKey struct {
	Verb, Currency string
	Kind           SumKind
	// Subject is whose sum it is.
	Subject string
	// Day is the business day; a fixed one for a checkout's sum, which has no day.
	Day civil.Date
}

// undated is the day of sums that have none.
func undated() civil.Date { return civil.Date{Year: 1970, Month: 1, Day: 1} }

// SumsOf returns the sums in which an act counts: those of its requester, its payer and its checkout, without what it does not have.
// They come in one order, in which rows are locked.
func SumsOf(verb string, amount money.Amount, requester Subject, payer, checkout string, day civil.Date) []SumKey {
	of := func(kind SumKind, subject string, day civil.Date) SumKey {
		return SumKey{Verb: verb, Currency: amount.Currency().Code(), Kind: kind, Subject: subject, Day: day}
	}
	keys := []SumKey{of(SumRequester, string(requester), day)}
	if payer != "" {
		keys = append(keys, of(SumPayer, payer, day))
	}
	if checkout != "" {
		keys = append(keys, of(SumCheckout, checkout, undated()))
	}
	return keys
}
