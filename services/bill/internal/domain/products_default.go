package domain

import (
	"time"

	"github.com/creditpay/creditpay/pkg/money"
)

// DefaultProducts are the products that a fresh installation offers, with the
// figures published for SPayLater in Indonesia: 2.95 % a month and a handling fee
// of 1 % in 1, 3, 6 or 12 months, billed on the 25th and due on the 5th. The
// second is the same credit priced on what is left, at 24 % a year.
//
// Bounds are in minor units of the currency; they are meant for rupiah.
func DefaultProducts(currency money.Currency) []Product {
	flat := Product{
		Code: "SPL_ID", Version: 1, Name: "SPayLater", Currency: currency,
		Method: FlatPerMonth,
		Tenors: []Tenor{
			{Months: 1, RatePPM: 29_500, RatePeriod: PerMonth},
			{Months: 3, RatePPM: 29_500, RatePeriod: PerMonth},
			{Months: 6, RatePPM: 29_500, RatePeriod: PerMonth},
			{Months: 12, RatePPM: 29_500, RatePeriod: PerMonth},
		},
		FeeRatePPM: 10_000, FeeFixed: money.Zero(currency), FeeTiming: FeeFirstInstalment,
		Rounding: money.HalfUp, RoundingMultiple: 1, RemainderTo: RemainderLast, DayCount: Thirty360,
		MinAmount: money.New(10_000, currency), MaxAmount: money.New(50_000_000, currency),
		BillDay: 25, DueDay: 5, Location: ZoneJakarta,
		EffectiveFrom: time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC),
	}
	reducing := flat
	reducing.Code, reducing.Name = "SPL_ID_REDUCING", "SPayLater reducing balance"
	reducing.Method = DecliningEqualInstalment
	reducing.Tenors = []Tenor{
		{Months: 3, RatePPM: 240_000, RatePeriod: PerYear},
		{Months: 6, RatePPM: 240_000, RatePeriod: PerYear},
		{Months: 12, RatePPM: 240_000, RatePeriod: PerYear},
	}
	return []Product{flat, reducing}
}
