package rpc

import (
	"encoding"
	"fmt"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/enum"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

func productOf(p domain.Product) *billv1.Product {
	out := &billv1.Product{
		Code: p.Code, Version: int32(p.Version), Name: p.Name, CurrencyCode: p.Currency.Code(), Businesses: p.Businesses,
		InterestMethod: commonv1.InterestMethod(p.Method), FeeRatePpm: &p.FeeRatePPM, FeeFixed: moneyOf(p.FeeFixed),
		MinAmount: moneyOf(p.MinAmount), MaxAmount: moneyOf(p.MaxAmount),
		BillDay: int32(p.BillDay), DueDay: int32(p.DueDay), EffectiveTime: timeOf(p.EffectiveFrom),
		Rounding: p.Rounding.String(), RoundingMultiple: p.RoundingMultiple, RemainderTo: p.RemainderTo.String(), DayCount: p.DayCount.String(),
		DownPaymentPpm: &p.DownPaymentPPM, ContractVersion: p.ContractVersion, Servicing: servicingOf(p.Servicing),
	}
	for _, t := range p.Tenors {
		out.Tenors = append(out.Tenors, &billv1.ProductTenor{Months: int32(t.Months), RatePpm: &t.RatePPM, RatePeriod: t.RatePeriod.String()})
	}
	return out
}

func servicingOf(s domain.Servicing) *billv1.ServicingTerms {
	out := &billv1.ServicingTerms{
		GraceDays:      new(int32(s.GraceDays)),
		LateFee:        &billv1.LateFeeRule{Basis: s.Late.Basis.String(), RatePpm: &s.Late.RatePPM, WaiveBelow: moneyOf(s.Late.WaiveBelow)},
		AllocationMode: s.Mode.String(), PrepaymentStrategy: s.Prepayment.String(),
		RefundOrder: s.Refund.Order.String(), RefundStrategy: s.Refund.Strategy.String(), RefundInterest: s.Refund.Interest.String(),
		SettlementInterest: s.Settlement.String(),
	}
	for _, c := range s.Caps {
		out.Caps = append(out.Caps, &billv1.CostCap{FromDate: c.From.String(), MaxMonths: new(int32(c.MaxMonths)), PerDayPpm: &c.PerDayPPM, TotalPpm: c.TotalPPM})
	}
	for _, part := range s.Order {
		out.AllocationOrder = append(out.AllocationOrder, part.String())
	}
	for _, state := range s.AccountStates {
		out.AccountStates = append(out.AccountStates, state.String())
	}
	return out
}

// reader reads the named values of a product and keeps the first that is unknown.
type reader struct{ err error }

func (r *reader) name(field, text string, into encoding.TextUnmarshaler) {
	if err := into.UnmarshalText([]byte(text)); err != nil && r.err == nil {
		r.err = invalid("product."+field, err, "%q is not one of the values", text)
	}
}

// named is name for a field that may be left out: fallback stands for it then.
func (r *reader) named(field, text, fallback string, into encoding.TextUnmarshaler) {
	if text == "" {
		text = fallback
	}
	r.name(field, text, into)
}

func (r *reader) amount(field string, m *commonv1.Money, c money.Currency) money.Amount {
	if m == nil {
		return money.Zero(c)
	}
	a, err := parseAmount("product."+field, m)
	if err != nil && r.err == nil {
		r.err = err
	}
	return a
}

// parseProduct reads a product. What is left out gets the usual value: half up, to single units, the remainder last, 30/360, and the
// servicing of domain.DefaultServicing. Whether it makes sense as a whole is the domain's to say.
func parseProduct(m *billv1.Product) (domain.Product, error) {
	currency, err := money.CurrencyOf(m.GetCurrencyCode())
	if err != nil {
		return domain.Product{}, invalid("product.currency_code", err, "this currency is not known")
	}
	var r reader
	p := domain.Product{
		Code: m.GetCode(), Name: m.GetName(), Currency: currency, Businesses: m.GetBusinesses(), Method: enum.Of[domain.InterestMethod](m.GetInterestMethod()),
		FeeRatePPM: m.GetFeeRatePpm(), FeeFixed: r.amount("fee_fixed", m.GetFeeFixed(), currency), FeeTiming: domain.FeeFirstInstalment,
		RoundingMultiple: max(m.GetRoundingMultiple(), 1), MinAmount: r.amount("min_amount", m.GetMinAmount(), currency),
		MaxAmount: r.amount("max_amount", m.GetMaxAmount(), currency), BillDay: int(m.GetBillDay()), DueDay: int(m.GetDueDay()),
		Location: domain.ZoneJakarta, DownPaymentPPM: m.GetDownPaymentPpm(), ContractVersion: m.GetContractVersion(),
	}
	if m.GetEffectiveTime() != nil {
		p.EffectiveFrom = m.GetEffectiveTime().AsTime()
	}
	if p.Rounding, err = roundingOf(m.GetRounding()); err != nil {
		return p, invalid("product.rounding", err, "%q is not one of the values", m.GetRounding())
	}
	if !p.Method.Valid() {
		return p, invalid("product.interest_method", nil, "name one of the methods")
	}
	r.named("remainder_to", m.GetRemainderTo(), "LAST", &p.RemainderTo)
	r.named("day_count", m.GetDayCount(), "30_360", &p.DayCount)
	for i, t := range m.GetTenors() {
		tenor := domain.Tenor{Months: int(t.GetMonths()), RatePPM: t.GetRatePpm()}
		r.name(fmt.Sprintf("tenors[%d].rate_period", i), t.GetRatePeriod(), &tenor.RatePeriod)
		p.Tenors = append(p.Tenors, tenor)
	}
	p.Servicing = r.servicing(m.GetServicing(), p)
	return p, r.err
}

func roundingOf(name string) (money.Rounding, error) {
	if name == "" {
		return money.HalfUp, nil
	}
	for r := money.HalfUp; r.Valid(); r++ {
		if r.String() == name {
			return r, nil
		}
	}
	return 0, fmt.Errorf("unknown rounding %.32q", name)
}

func (r *reader) servicing(m *billv1.ServicingTerms, p domain.Product) domain.Servicing {
	s := domain.DefaultServicing(p.Method, p.Currency)
	if m == nil {
		return s
	}
	s.GraceDays = int(m.GetGraceDays())
	if late := m.GetLateFee(); late != nil {
		r.name("servicing.late_fee.basis", late.GetBasis(), &s.Late.Basis)
		s.Late.RatePPM, s.Late.WaiveBelow = late.GetRatePpm(), r.amount("servicing.late_fee.waive_below", late.GetWaiveBelow(), p.Currency)
	}
	for i, c := range m.GetCaps() {
		from, err := civil.Parse(c.GetFromDate())
		if err != nil && r.err == nil {
			r.err = invalid(fmt.Sprintf("product.servicing.caps[%d].from_date", i), err, "give a day as YYYY-MM-DD")
		}
		s.Caps = append(s.Caps, domain.CapRule{From: from, MaxMonths: int(c.GetMaxMonths()), PerDayPPM: c.GetPerDayPpm(), TotalPPM: c.GetTotalPpm()})
	}
	if names := m.GetAllocationOrder(); len(names) > 0 {
		s.Order = make([]domain.Part, len(names))
		for i, name := range names {
			r.name(fmt.Sprintf("servicing.allocation_order[%d]", i), name, &s.Order[i])
		}
	}
	r.named("servicing.allocation_mode", m.GetAllocationMode(), s.Mode.String(), &s.Mode)
	r.named("servicing.prepayment_strategy", m.GetPrepaymentStrategy(), s.Prepayment.String(), &s.Prepayment)
	r.named("servicing.refund_order", m.GetRefundOrder(), s.Refund.Order.String(), &s.Refund.Order)
	r.named("servicing.refund_strategy", m.GetRefundStrategy(), s.Refund.Strategy.String(), &s.Refund.Strategy)
	r.named("servicing.refund_interest", m.GetRefundInterest(), s.Refund.Interest.String(), &s.Refund.Interest)
	r.named("servicing.settlement_interest", m.GetSettlementInterest(), s.Settlement.String(), &s.Settlement)
	for _, name := range m.GetAccountStates() {
		state, err := domain.ParseAccountState(name)
		if err != nil && r.err == nil {
			r.err = invalid("product.servicing.account_states", err, "%q is not one of the values", name)
		}
		s.AccountStates = append(s.AccountStates, state)
	}
	return s
}
