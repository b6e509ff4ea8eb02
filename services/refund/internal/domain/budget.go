package domain

import (
	"math/big"
	"strconv"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// Budget is what may be refunded of a paid order. Refunds reserve their part when they are asked for and give it back when they end
// without an effect.
type Budget struct {
	OrderID ids.ID
	// Price was paid, DownPayment of it in cash.
	Price, DownPayment money.Amount
	// Reserved is what refunds took, ReservedCash the part of it that is of the down payment.
	Reserved, ReservedCash money.Amount
}

// Share is a refund's part of what was paid: by credit and in cash. They add up to its amount.
type Share struct{ Credit, Cash money.Amount }

// MayRefund returns nil for the state of an order that was paid and is not being taken back as a whole, named as the order service does.
// Errors: errs.CheckoutCommitting while its payment is under way, which passes: the order learns of a payment a moment after the payer
// does; errs.OrderStateInvalid.
func MayRefund(orderState string) error {
	switch orderState {
	case "PAID", "CONFIRMED", "CLOSED":
		return nil
	case "COMMITTING":
		return errs.CheckoutCommitting.New("the order is COMMITTING: its payment is not finished; repeat once it is PAID, or cancel it").With("state", orderState)
	default:
		return errs.OrderStateInvalid.New("the order is %s and cannot be refunded", orderState).With("state", orderState)
	}
}

// Left is what may still be refunded.
func (b Budget) Left() (money.Amount, error) { return b.Price.Sub(b.Reserved) }

// Reserve gives the budget with a refund reserved, and the refund's share. Cash and credit are refunded in the proportion in which they
// paid: after each refund, the cash refunded so far is the down payment × refunded / price, rounded down, so that refunds of the whole
// price give the whole down payment back whatever their number. Refunds that were given up in between bend the proportion only as far as
// the parts that are left allow. Errors: errs.RefundExceedsBudget, errs.CurrencyMismatch, errs.InvalidArgument.
func (b Budget) Reserve(amount money.Amount) (Budget, Share, error) {
	none := Share{}
	if amount.Currency() != b.Price.Currency() {
		return b, none, errs.CurrencyMismatch.New("the order was paid in %s; refund in that currency", b.Price.Currency())
	}
	if !amount.IsPositive() {
		return b, none, errs.InvalidArgument.New("the amount must be above zero")
	}
	left, err := b.Left()
	if err != nil {
		return b, none, errs.Internal.Wrap(err, "the budget of a refund")
	}
	if amount.Minor() > left.Minor() {
		return b, none, exceeds(left)
	}
	cash := cashShare(b, amount)
	c := b.Price.Currency()
	share := Share{Credit: money.New(amount.Minor()-cash, c), Cash: money.New(cash, c)}
	b.Reserved = money.New(b.Reserved.Minor()+amount.Minor(), c)
	b.ReservedCash = money.New(b.ReservedCash.Minor()+cash, c)
	return b, share, nil
}

// exceeds refuses a refund of more than what is left, and says how much that is.
func exceeds(left money.Amount) error {
	err := errs.RefundExceedsBudget.New("%s is left to refund; ask for that at most", left)
	if left.IsZero() {
		err = errs.RefundExceedsBudget.New("nothing is left to refund: all of the order was refunded, or is asked for")
	}
	return err.With("left_minor", strconv.FormatInt(left.Minor(), 10)).With("currency_code", left.Currency().Code())
}

// cashShare is the part of a refund that is of the down payment, in minor units. Products of amounts do not fit 64 bits.
func cashShare(b Budget, amount money.Amount) int64 {
	target := new(big.Int).Mul(big.NewInt(b.DownPayment.Minor()), big.NewInt(b.Reserved.Minor()+amount.Minor()))
	target.Quo(target, big.NewInt(b.Price.Minor()))
	cash := target.Int64() - b.ReservedCash.Minor()
	cashLeft := b.DownPayment.Minor() - b.ReservedCash.Minor()
	creditLeft := (b.Price.Minor() - b.DownPayment.Minor()) - (b.Reserved.Minor() - b.ReservedCash.Minor())
	return min(max(cash, amount.Minor()-creditLeft, 0), cashLeft, amount.Minor())
}

// Release gives the budget with a refund's share given back. Errors: errs.Internal when it never was reserved.
func (b Budget) Release(s Share) (Budget, error) {
	c := b.Price.Currency()
	b.Reserved = money.New(b.Reserved.Minor()-s.Credit.Minor()-s.Cash.Minor(), c)
	b.ReservedCash = money.New(b.ReservedCash.Minor()-s.Cash.Minor(), c)
	return b, b.Check()
}

// Check returns nil when the figures can be: both parts within what was paid.
func (b Budget) Check() error {
	credit, reservedCredit := b.Price.Minor()-b.DownPayment.Minor(), b.Reserved.Minor()-b.ReservedCash.Minor()
	if credit < 0 || b.DownPayment.IsNegative() || !b.Price.IsPositive() || b.ReservedCash.IsNegative() || reservedCredit < 0 ||
		b.ReservedCash.Minor() > b.DownPayment.Minor() || reservedCredit > credit {
		return errs.Internal.New("the refunds of an order do not add up: %s of %s, %s of %s in cash", b.Reserved, b.Price, b.ReservedCash, b.DownPayment)
	}
	return nil
}
