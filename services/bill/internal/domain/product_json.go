package domain

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/creditpay/creditpay/pkg/money"
)

// storedProduct is the stored form of a Product. Its names are part of the
// database: fields may be added, never renamed or given another meaning.
type storedProduct struct {
	Code             string         `json:"code"`
	Version          int            `json:"version"`
	Name             string         `json:"name"`
	CurrencyCode     string         `json:"currency_code"`
	Businesses       []string       `json:"businesses,omitempty"`
	Method           InterestMethod `json:"interest_method"`
	Tenors           []Tenor        `json:"tenors"`
	FeeRatePPM       int64          `json:"fee_rate_ppm,string"`
	FeeFixed         money.Amount   `json:"fee_fixed"`
	FeeTiming        FeeTiming      `json:"fee_timing"`
	Rounding         string         `json:"rounding"`
	RoundingMultiple int64          `json:"rounding_multiple_minor,string"`
	RemainderTo      RemainderTo    `json:"remainder_to"`
	DayCount         DayCount       `json:"day_count"`
	MinAmount        money.Amount   `json:"min_amount"`
	MaxAmount        money.Amount   `json:"max_amount"`
	BillDay          int            `json:"bill_day"`
	DueDay           int            `json:"due_day"`
	Location         string         `json:"location"`
	DownPaymentPPM   int64          `json:"down_payment_ppm,string"`
	EffectiveFrom    time.Time      `json:"effective_time"`
	ContractVersion  string         `json:"contract_version,omitempty"`
	Servicing        *Servicing     `json:"servicing,omitempty"`
}

// MarshalJSON is the stored form of a valid product; the same product always
// gives the same bytes. Enumerations are names, 64-bit numbers are strings, the
// time is in UTC. It fails for a product that Validate refuses, so that no such
// product is ever stored.
func (p Product) MarshalJSON() ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return json.Marshal(storedProduct{
		Code: p.Code, Version: p.Version, Name: p.Name, CurrencyCode: p.Currency.Code(),
		Businesses: p.Businesses, Method: p.Method, Tenors: p.Tenors,
		FeeRatePPM: p.FeeRatePPM, FeeFixed: p.FeeFixed, FeeTiming: p.FeeTiming,
		Rounding: p.Rounding.String(), RoundingMultiple: p.RoundingMultiple,
		RemainderTo: p.RemainderTo, DayCount: p.DayCount,
		MinAmount: p.MinAmount, MaxAmount: p.MaxAmount, BillDay: p.BillDay, DueDay: p.DueDay,
		Location: p.Location, DownPaymentPPM: p.DownPaymentPPM, EffectiveFrom: p.EffectiveFrom.UTC(),
		ContractVersion: p.ContractVersion, Servicing: &p.Servicing,
	})
}

// UnmarshalJSON reads the stored form and validates it. A product stored before
// servicing was part of it gets DefaultServicing. Unknown fields are left
// alone: a newer binary may have written them.
func (p *Product) UnmarshalJSON(data []byte) error {
	var s storedProduct
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("read stored product: %w", err)
	}
	currency, err := money.CurrencyOf(s.CurrencyCode)
	if err != nil {
		return fmt.Errorf("read stored product: %w", err)
	}
	rounding, err := parseRounding(s.Rounding)
	if err != nil {
		return fmt.Errorf("read stored product: %w", err)
	}
	read := Product{
		Code: s.Code, Version: s.Version, Name: s.Name, Currency: currency,
		Businesses: s.Businesses, Method: s.Method, Tenors: s.Tenors,
		FeeRatePPM: s.FeeRatePPM, FeeFixed: s.FeeFixed, FeeTiming: s.FeeTiming,
		Rounding: rounding, RoundingMultiple: s.RoundingMultiple,
		RemainderTo: s.RemainderTo, DayCount: s.DayCount,
		MinAmount: s.MinAmount, MaxAmount: s.MaxAmount, BillDay: s.BillDay, DueDay: s.DueDay,
		Location: s.Location, DownPaymentPPM: s.DownPaymentPPM, EffectiveFrom: s.EffectiveFrom.UTC(),
		ContractVersion: s.ContractVersion, Servicing: DefaultServicing(s.Method, currency),
	}
	if s.Servicing != nil {
		read.Servicing = *s.Servicing
	}
	if err := read.Validate(); err != nil {
		return fmt.Errorf("read stored product: %w", err)
	}
	*p = read
	return nil
}
