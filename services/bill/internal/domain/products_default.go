package domain

import (
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/money"
)

// DefaultProducts are the products that a fresh installation offers, with the
// figures published for SPayLater in Indonesia: 2.95 % a month and a handling fee
// of 1 % in 1, 3, 6 or 12 months, billed on the 25th and due on the 5th. The
// second is the same credit priced on what is left, at 24 % a year.
//
// A late bill costs 5 % of what is unpaid of it for each started month, without
// grace (poskota.co.id, 28 January 2026); fees and interest together stay within
// the principal (SEOJK 19/SEOJK.06/2023, which binds peer-to-peer lenders and is
// kept here by choice). The second charges 0.1 % a day instead, within the daily
// bounds that OJK set from 2025 on for consumptive loans: 0.3 % up to six months,
// 0.2 % beyond.
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
		EffectiveFrom:   time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC),
		ContractVersion: "2026-01", Servicing: DefaultServicing(FlatPerMonth, currency),
	}
	flat.Servicing.Late.Basis, flat.Servicing.Late.RatePPM = LatePerMonth, 50_000
	flat.Servicing.Caps = []CapRule{{From: civil.Date{Year: 2024, Month: time.January, Day: 1}, TotalPPM: money.PPM}}
	reducing := flat
	reducing.Code, reducing.Name = "SPL_ID_REDUCING", "SPayLater reducing balance"
	reducing.Method = DecliningEqualInstalment
	reducing.Tenors = []Tenor{
		{Months: 3, RatePPM: 240_000, RatePeriod: PerYear},
		{Months: 6, RatePPM: 240_000, RatePeriod: PerYear},
		{Months: 12, RatePPM: 240_000, RatePeriod: PerYear},
	}
	reducing.Servicing = DefaultServicing(DecliningEqualInstalment, currency)
	reducing.Servicing.Late.Basis, reducing.Servicing.Late.RatePPM = LatePerDay, 1_000
	from := civil.Date{Year: 2025, Month: time.January, Day: 1}
	reducing.Servicing.Caps = []CapRule{
		{From: from, MaxMonths: 6, PerDayPPM: 3_000, TotalPPM: money.PPM},
		{From: from, PerDayPPM: 2_000, TotalPPM: money.PPM},
	}
	return []Product{flat, reducing}
}
