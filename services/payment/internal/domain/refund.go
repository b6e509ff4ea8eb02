package domain

import (
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/ledger"
	"github.com/creditpay/creditpay/pkg/money"
)

// Refund is what a refund takes out of a payment. It is kept, and is the record of its request.
type Refund struct {
	ID, PaymentID ids.ID
	// Credit is of the part that credit financed, Cash of the part that was paid in cash; zero or above, not both zero.
	Credit, Cash money.Amount
	CreateTime   time.Time
}

// Part is the payment's leg of a kind; nil when it has none.
func (p Payment) Part(kind LegKind) *Leg {
	for _, l := range p.Legs {
		if l.Kind == kind {
			return &l
		}
	}
	return nil
}

// Left is what refunds have not taken out of the leg.
func (l Leg) Left() money.Amount {
	return money.New(l.Amount.Minor()-l.Refunded.Minor(), l.Amount.Currency())
}

// Refunded tells whether a refund took something out of the payment.
func (p Payment) Refunded() bool {
	return slices.ContainsFunc(p.Legs, func(l Leg) bool { return l.Refunded.IsPositive() })
}

// of is the refund's part of a leg.
func (r Refund) of(l Leg) money.Amount {
	if l.Kind == LegCash {
		return r.Cash
	}
	return r.Credit
}

// RefundLines is the journal of a refund, if the payment can bear it. Errors: ORDER_STATE_INVALID when it was taken back as a whole,
// INVALID_ARGUMENT, REFUND_EXCEEDS_BUDGET.
func (p Payment) RefundLines(r Refund) ([]ledger.Line, error) {
	if p.State != PaymentSucceeded {
		return nil, errs.OrderStateInvalid.New("the payment is %s: it is taken back as a whole", p.State)
	}
	if r.Credit.Currency() != p.Amount.Currency() || r.Cash.Currency() != p.Amount.Currency() {
		return nil, errs.InvalidArgument.New("the payment has another currency").With("field", "credit_amount")
	}
	for _, x := range []struct {
		kind  LegKind
		asked money.Amount
	}{{LegCredit, r.Credit}, {LegCash, r.Cash}} {
		left := money.Zero(p.Amount.Currency())
		if l := p.Part(x.kind); l != nil {
			left = l.Left()
		}
		if x.asked.Minor() > left.Minor() {
			return nil, errs.RefundExceedsBudget.New("of this part of the payment %s are left", left)
		}
	}
	return p.backLines(r.of), nil
}

// ReversedLines takes back what refunds left of the payment.
func (p Payment) ReversedLines() []ledger.Line { return p.backLines(Leg.Left) }

// backLines takes parts of PaidLines back, except that the cash is there and is owed to the payer until it was given back.
func (p Payment) backLines(part func(Leg) money.Amount) []ledger.Line {
	none := money.Zero(p.Amount.Currency())
	lines := make([]ledger.Line, 0, len(p.Legs)+1)
	var total int64
	for _, l := range p.Legs {
		account := AccountCreditClearing
		if l.Kind == LegCash {
			account = AccountCashReturnable
		}
		a := part(l)
		total += a.Minor()
		lines = append(lines, ledger.Line{Account: account, Party: p.UserID, Debit: none, Credit: a})
	}
	return append(lines, ledger.Line{Account: AccountMerchantPayable, Party: p.MerchantID, Debit: money.New(total, p.Amount.Currency()), Credit: none})
}
