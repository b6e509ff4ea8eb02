package domain

import (
	"encoding/json"
	"fmt"
)

// Part is a part of what a loan costs. The numbers are stored.
type Part uint8

const (
	// PartPrincipal is the amount financed.
	PartPrincipal Part = 1
	// PartInterest is interest.
	PartInterest Part = 2
	// PartFee is the handling fee.
	PartFee Part = 3
	// PartLate is late fees, the penalty.
	PartLate Part = 4
	// PartOverpaid is what a repayment leaves when nothing is owed any more: it belongs to the payer. It is a part of allocations only.
	PartOverpaid Part = 5
)

// partNames are the names in stored products; index 0 is none.
func partNames() []string {
	return []string{"", "PRINCIPAL", "INTEREST", "FEE", "LATE", "OVERPAID"}
}

// String is the name in stored products, such as "PRINCIPAL".
func (p Part) String() string { return nameOf(partNames(), uint8(p), "PART") }

// Valid reports whether p is one of the named values.
func (p Part) Valid() bool { return p >= PartPrincipal && p <= PartOverpaid }

// MarshalText gives the name; it fails for an unnamed number.
func (p Part) MarshalText() ([]byte, error) {
	return marshalName(partNames(), uint8(p), "part")
}

// UnmarshalText reads what MarshalText writes.
func (p *Part) UnmarshalText(text []byte) error {
	n, err := parseName(partNames(), text, "part")
	*p = Part(n)
	return err
}

// LateBasis is how often a late fee is charged. The numbers are stored.
type LateBasis uint8

const (
	// LateNone is never.
	LateNone LateBasis = 1
	// LatePerMonth is once for each started month after the due date.
	LatePerMonth LateBasis = 2
	// LatePerDay is once for each day after the due date.
	LatePerDay LateBasis = 3
)

// lateBasisNames are the names in stored products; index 0 is none.
func lateBasisNames() []string {
	return []string{"", "NONE", "PER_MONTH", "PER_DAY"}
}

// String is the name in stored products, such as "NONE".
func (l LateBasis) String() string { return nameOf(lateBasisNames(), uint8(l), "LATE_BASIS") }

// Valid reports whether l is one of the named values.
func (l LateBasis) Valid() bool { return l >= LateNone && l <= LatePerDay }

// MarshalText gives the name; it fails for an unnamed number.
func (l LateBasis) MarshalText() ([]byte, error) {
	return marshalName(lateBasisNames(), uint8(l), "late fee basis")
}

// UnmarshalText reads what MarshalText writes.
func (l *LateBasis) UnmarshalText(text []byte) error {
	n, err := parseName(lateBasisNames(), text, "late fee basis")
	*l = LateBasis(n)
	return err
}

// AllocationMode is how a repayment is spread over several instalments that are due. The numbers are stored.
type AllocationMode uint8

const (
	// Horizontal is instalment by instalment, each with all its parts.
	Horizontal AllocationMode = 1
	// Vertical is part by part, each over all due instalments.
	Vertical AllocationMode = 2
)

// allocationModeNames are the names in stored products; index 0 is none.
func allocationModeNames() []string {
	return []string{"", "HORIZONTAL", "VERTICAL"}
}

// String is the name in stored products, such as "HORIZONTAL".
func (a AllocationMode) String() string {
	return nameOf(allocationModeNames(), uint8(a), "ALLOCATION_MODE")
}

// Valid reports whether a is one of the named values.
func (a AllocationMode) Valid() bool { return a >= Horizontal && a <= Vertical }

// MarshalText gives the name; it fails for an unnamed number.
func (a AllocationMode) MarshalText() ([]byte, error) {
	return marshalName(allocationModeNames(), uint8(a), "allocation mode")
}

// UnmarshalText reads what MarshalText writes.
func (a *AllocationMode) UnmarshalText(text []byte) error {
	n, err := parseName(allocationModeNames(), text, "allocation mode")
	*a = AllocationMode(n)
	return err
}

// Strategy is which instalments of the future an amount goes to. The numbers are stored.
type Strategy uint8

const (
	// StrategyNext is the next instalment first.
	StrategyNext Strategy = 1
	// StrategyLast is the last instalment first: most published pay-later policies.
	StrategyLast Strategy = 2
	// StrategyReamortize is all of them in equal shares, none more than it is open.
	StrategyReamortize Strategy = 3
)

// strategyNames are the names in stored products; index 0 is none.
func strategyNames() []string {
	return []string{"", "NEXT", "LAST", "REAMORTIZE"}
}

// String is the name in stored products, such as "NEXT".
func (s Strategy) String() string { return nameOf(strategyNames(), uint8(s), "STRATEGY") }

// Valid reports whether s is one of the named values.
func (s Strategy) Valid() bool { return s >= StrategyNext && s <= StrategyReamortize }

// MarshalText gives the name; it fails for an unnamed number.
func (s Strategy) MarshalText() ([]byte, error) {
	return marshalName(strategyNames(), uint8(s), "strategy")
}

// UnmarshalText reads what MarshalText writes.
func (s *Strategy) UnmarshalText(text []byte) error {
	n, err := parseName(strategyNames(), text, "strategy")
	*s = Strategy(n)
	return err
}

// RefundInterest is which interest a merchant's refund takes back. The numbers are stored.
type RefundInterest uint8

const (
	// RefundInterestNone is none: interest stays as planned.
	RefundInterestNone RefundInterest = 1
	// RefundInterestUnbilled is the part of unbilled interest that belongs to the principal taken back.
	RefundInterestUnbilled RefundInterest = 2
	// RefundInterestAll is the same of billed and paid interest too, as if that principal had never been lent.
	RefundInterestAll RefundInterest = 3
)

// refundInterestNames are the names in stored products; index 0 is none.
func refundInterestNames() []string {
	return []string{"", "NONE", "UNBILLED", "ALL"}
}

// String is the name in stored products, such as "NONE".
func (r RefundInterest) String() string {
	return nameOf(refundInterestNames(), uint8(r), "REFUND_INTEREST")
}

// Valid reports whether r is one of the named values.
func (r RefundInterest) Valid() bool { return r >= RefundInterestNone && r <= RefundInterestAll }

// MarshalText gives the name; it fails for an unnamed number.
func (r RefundInterest) MarshalText() ([]byte, error) {
	return marshalName(refundInterestNames(), uint8(r), "refund interest rule")
}

// UnmarshalText reads what MarshalText writes.
func (r *RefundInterest) UnmarshalText(text []byte) error {
	n, err := parseName(refundInterestNames(), text, "refund interest rule")
	*r = RefundInterest(n)
	return err
}

// RefundOrder is which instalments a merchant's refund reaches first. The numbers are stored.
type RefundOrder uint8

const (
	// RefundUnbilledFirst is unbilled instalments by the strategy, then billed ones, oldest first.
	RefundUnbilledFirst RefundOrder = 1
	// RefundPastDueFirst is what is past due or due today, oldest first, then the rest by the strategy, as Apache Fineract does.
	RefundPastDueFirst RefundOrder = 2
)

// refundOrderNames are the names in stored products; index 0 is none.
func refundOrderNames() []string {
	return []string{"", "UNBILLED_FIRST", "PAST_DUE_FIRST"}
}

// String is the name in stored products, such as "UNBILLED_FIRST".
func (r RefundOrder) String() string { return nameOf(refundOrderNames(), uint8(r), "REFUND_ORDER") }

// Valid reports whether r is one of the named values.
func (r RefundOrder) Valid() bool { return r >= RefundUnbilledFirst && r <= RefundPastDueFirst }

// MarshalText gives the name; it fails for an unnamed number.
func (r RefundOrder) MarshalText() ([]byte, error) {
	return marshalName(refundOrderNames(), uint8(r), "refund order")
}

// UnmarshalText reads what MarshalText writes.
func (r *RefundOrder) UnmarshalText(text []byte) error {
	n, err := parseName(refundOrderNames(), text, "refund order")
	*r = RefundOrder(n)
	return err
}

// SettlementInterest is which interest an early settlement still pays, besides all that is billed. The numbers are stored.
type SettlementInterest uint8

const (
	// SettleTillPreclose is that of the running period up to the day, by actual days. For declining methods.
	SettleTillPreclose SettlementInterest = 1
	// SettleTillRest is that of the whole running period. For declining methods.
	SettleTillRest SettlementInterest = 2
	// SettleDropUnbilled is none that is not billed. For flat methods.
	SettleDropUnbilled SettlementInterest = 3
	// SettleKeepAll is all of it: settling early saves nothing.
	SettleKeepAll SettlementInterest = 4
)

// settlementInterestNames are the names in stored products; index 0 is none.
func settlementInterestNames() []string {
	return []string{"", "TILL_PRECLOSE", "TILL_REST", "DROP_UNBILLED", "KEEP_ALL"}
}

// String is the name in stored products, such as "TILL_PRECLOSE".
func (s SettlementInterest) String() string {
	return nameOf(settlementInterestNames(), uint8(s), "SETTLEMENT_INTEREST")
}

// Valid reports whether s is one of the named values.
func (s SettlementInterest) Valid() bool { return s >= SettleTillPreclose && s <= SettleKeepAll }

// MarshalText gives the name; it fails for an unnamed number.
func (s SettlementInterest) MarshalText() ([]byte, error) {
	return marshalName(settlementInterestNames(), uint8(s), "settlement interest rule")
}

// UnmarshalText reads what MarshalText writes.
func (s *SettlementInterest) UnmarshalText(text []byte) error {
	n, err := parseName(settlementInterestNames(), text, "settlement interest rule")
	*s = SettlementInterest(n)
	return err
}

// AccountStateList is a list of account states that is stored as their names.
type AccountStateList []AccountState

// MarshalJSON gives the names, such as ["ACTIVE"].
func (l AccountStateList) MarshalJSON() ([]byte, error) {
	names := make([]string, len(l))
	for i, s := range l {
		name, err := marshalName(accountStateNames(), uint8(s), "account state")
		if err != nil {
			return nil, err
		}
		names[i] = string(name)
	}
	return json.Marshal(names)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (l *AccountStateList) UnmarshalJSON(data []byte) error {
	var names []string
	if err := json.Unmarshal(data, &names); err != nil {
		return fmt.Errorf("read account states: %w", err)
	}
	out := make(AccountStateList, len(names))
	for i, name := range names {
		n, err := parseName(accountStateNames(), []byte(name), "account state")
		if err != nil {
			return err
		}
		out[i] = AccountState(n)
	}
	*l = out
	return nil
}
