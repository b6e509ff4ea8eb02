package domain

import (
	"fmt"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/statetable"
)

// AccountState is the state of a credit account. The numbers are stored and equal
// creditpay.common.v1.CreditAccountState.
type AccountState uint8

const (
	// AccountActive may buy.
	AccountActive AccountState = 1
	// AccountFrozen may not buy until an operator lifts it; repayments are welcome.
	AccountFrozen AccountState = 2
	// AccountOverdue may not buy until what is overdue is paid.
	AccountOverdue AccountState = 3
	// AccountClosed has ended.
	AccountClosed AccountState = 4
)

// String is the name, such as "ACTIVE".
func (s AccountState) String() string {
	return nameOf(accountStateNames(), uint8(s), "ACCOUNT_STATE")
}

// accountStateNames are the names in stored products; index 0 is none.
func accountStateNames() []string { return []string{"", "ACTIVE", "FROZEN", "OVERDUE", "CLOSED"} }

// ParseAccountState reads a name that String gives.
func ParseAccountState(name string) (AccountState, error) {
	n, err := parseName(accountStateNames(), []byte(name), "account state")
	return AccountState(n), err
}

// AccountStates are the legal moves of an account. An overdue account that is
// frozen goes back to ACTIVE when it is lifted; whether it is still overdue is
// found again by the next look at its bills.
var AccountStates = statetable.MustNew("account",
	statetable.Move[AccountState]{From: AccountActive, To: AccountFrozen, Cause: "operator freezes"},
	statetable.Move[AccountState]{From: AccountActive, To: AccountOverdue, Cause: "a bill is overdue"},
	statetable.Move[AccountState]{From: AccountActive, To: AccountClosed, Cause: "closed with nothing used or held"},
	statetable.Move[AccountState]{From: AccountFrozen, To: AccountActive, Cause: "operator lifts the freeze"},
	statetable.Move[AccountState]{From: AccountFrozen, To: AccountClosed, Cause: "closed with nothing used or held"},
	statetable.Move[AccountState]{From: AccountOverdue, To: AccountActive, Cause: "overdue bills are paid"},
	statetable.Move[AccountState]{From: AccountOverdue, To: AccountFrozen, Cause: "operator freezes"},
)

// Account is a user's credit line. All amounts are of one currency.
type Account struct {
	// ID is written "acc_…".
	ID ids.ID
	// UserID is the user, as the marketplace names him.
	UserID string
	// Limit is what was granted, Used the principal of running loans, Held what
	// purchases reserve whose goods are not confirmed.
	Limit, Used, Held money.Amount
	// State decides whether the user may buy.
	State AccountState
	// FreezeReason says why it is frozen; empty when it is not.
	FreezeReason string
	// Version is the row's; the store raises it.
	Version int64
}

// Available is limit − used − held, never below nothing: figures that Check would
// refuse leave nothing to spend.
func (a Account) Available() money.Amount {
	inUse, err := a.inUse()
	if err != nil {
		return money.Zero(a.Limit.Currency())
	}
	left, err := a.Limit.Sub(inUse)
	if err != nil || left.IsNegative() {
		return money.Zero(a.Limit.Currency())
	}
	return left
}

// inUse is used + held.
func (a Account) inUse() (money.Amount, error) {
	sum, err := a.Used.Add(a.Held)
	if err != nil {
		return money.Amount{}, fmt.Errorf("%w: account %s: add used and held: %w", ErrInvariant, a.ID, err)
	}
	return sum, nil
}

// MayBuy returns nil when the account may reserve amount, else
// errs.AccountNotFound (closed: the user has no account any more),
// errs.AccountFrozen, errs.AccountOverdue, errs.CurrencyMismatch,
// errs.AmountOutOfRange or errs.LimitInsufficient.
func (a Account) MayBuy(amount money.Amount) error {
	switch a.State {
	case AccountActive:
	case AccountFrozen:
		return errs.AccountFrozen.New("the credit account is frozen")
	case AccountOverdue:
		return errs.AccountOverdue.New("pay the overdue bills first")
	case AccountClosed:
		return errs.AccountNotFound.New("the credit account is closed")
	default:
		return broken("account %s is in %s", a.ID, a.State)
	}
	if err := a.checkAmount(amount); err != nil {
		return err
	}
	if available := a.Available(); amount.Minor() > available.Minor() {
		return errs.LimitInsufficient.New("%s is available, not %s", available, amount)
	}
	return nil
}

// checkAmount refuses an amount that is not positive, bounded and in the
// account's currency.
func (a Account) checkAmount(amount money.Amount) error {
	switch {
	case amount.Currency() != a.Limit.Currency():
		return errs.CurrencyMismatch.New("the credit account is in %s, the amount in %s", a.Limit.Currency(), amount.Currency())
	case !amount.IsPositive() || money.Bounded(amount) != nil:
		return errs.AmountOutOfRange.New("the amount must be positive and at most %d minor units, is %s", money.MaxMinor, amount)
	default:
		return nil
	}
}

// Reserve is the account with amount held. It fails as MayBuy does.
func (a Account) Reserve(amount money.Amount) (Account, error) {
	if err := a.MayBuy(amount); err != nil {
		return a, err
	}
	return a.moved(money.Zero(amount.Currency()), amount)
}

// ReleaseHold is the account with amount of its hold given back, in whatever
// state it is. Releasing more than is held is ErrInvariant.
func (a Account) ReleaseHold(amount money.Amount) (Account, error) {
	if err := a.checkAmount(amount); err != nil {
		return a, err
	}
	back, err := amount.Neg()
	if err != nil {
		return a, fmt.Errorf("release hold: %w", err)
	}
	return a.moved(money.Zero(amount.Currency()), back)
}

// UseHold is the account with amount of its hold turned into debt, in whatever
// state it is: the purchase was reserved before. More than is held is
// ErrInvariant.
func (a Account) UseHold(amount money.Amount) (Account, error) {
	if err := a.checkAmount(amount); err != nil {
		return a, err
	}
	back, err := amount.Neg()
	if err != nil {
		return a, fmt.Errorf("use hold: %w", err)
	}
	return a.moved(amount, back)
}

// DebtChanged is the account after the open principal of one of its loans went
// from before to after: what is used changes by the difference, in whatever state
// the account is. A bounced repayment may bring what is used above the limit;
// Available is nothing then. It fails with ErrInvariant when less than nothing
// would be used, and for other currencies.
func (a Account) DebtChanged(before, after money.Amount) (Account, error) {
	var k calculation
	next := a
	next.Used = k.add(a.Used, k.sub(after, before))
	if k.err != nil {
		return a, k.err
	}
	if err := next.CheckFigures(); err != nil {
		return a, err
	}
	return next, nil
}

// moved is the account with used and held changed, checked. The limit is not: a
// hold that becomes debt or is released does not raise what is in use, and Reserve
// has asked MayBuy.
func (a Account) moved(used, held money.Amount) (Account, error) {
	next := a
	var err error
	if next.Used, err = a.Used.Add(used); err != nil {
		return a, fmt.Errorf("change what is used: %w", err)
	}
	if next.Held, err = a.Held.Add(held); err != nil {
		return a, fmt.Errorf("change what is held: %w", err)
	}
	if err := next.CheckFigures(); err != nil {
		return a, err
	}
	return next, nil
}

// SetLimit is the account with another limit, zero included. It fails with
// errs.LimitBelowUse below used + held, errs.CurrencyMismatch or
// errs.AmountOutOfRange.
func (a Account) SetLimit(limit money.Amount) (Account, error) {
	switch {
	case limit.Currency() != a.Limit.Currency():
		return a, errs.CurrencyMismatch.New("the credit account is in %s, the limit in %s", a.Limit.Currency(), limit.Currency())
	case limit.IsNegative() || money.Bounded(limit) != nil:
		return a, errs.AmountOutOfRange.New("the limit must be 0 to %d minor units, is %s", money.MaxMinor, limit)
	}
	inUse, err := a.inUse()
	if err != nil {
		return a, err
	}
	if limit.Minor() < inUse.Minor() {
		return a, errs.LimitBelowUse.New("%s is used and held, the limit cannot be %s", inUse, limit)
	}
	a.Limit = limit
	return a, nil
}

// Freeze is the account frozen for a reason that must be given. It fails with
// errs.InvalidArgument without one, and with errs.AccountStateInvalid for a frozen
// or closed account.
func (a Account) Freeze(reason string) (Account, error) {
	if reason == "" {
		return a, errs.InvalidArgument.New("say why the account is frozen")
	}
	if err := AccountStates.Check(a.State, AccountFrozen); err != nil {
		return a, errs.AccountStateInvalid.Wrap(err, "a credit account that is %s cannot be frozen", a.State).With("state", a.State.String())
	}
	a.State, a.FreezeReason = AccountFrozen, reason
	return a, nil
}

// Unfreeze is the frozen account active again; any other is
// errs.AccountStateInvalid.
func (a Account) Unfreeze() (Account, error) {
	if a.State != AccountFrozen {
		return a, errs.AccountStateInvalid.New("the credit account is %s, not frozen", a.State).With("state", a.State.String())
	}
	a.State, a.FreezeReason = AccountActive, ""
	return a, nil
}

// Check returns nil when CheckFigures does and used + held is within the limit, as
// after everything but a bounced repayment (DebtChanged). It fails with
// ErrInvariant.
func (a Account) Check() error {
	if err := a.CheckFigures(); err != nil {
		return err
	}
	inUse, err := a.inUse()
	if err != nil {
		return err
	}
	if inUse.Minor() > a.Limit.Minor() {
		return broken("account %s uses and holds %s of %s", a.ID, inUse, a.Limit)
	}
	return nil
}

// CheckFigures returns nil when the account's figures agree: one currency, nothing
// negative, a known state, and a freeze reason exactly when it is frozen. It fails
// with ErrInvariant.
func (a Account) CheckFigures() error {
	c := a.Limit.Currency()
	inUse, err := a.inUse()
	switch {
	case c.IsZero():
		return broken("account %s has no currency", a.ID)
	case err != nil:
		return err
	case inUse.Currency() != c:
		return broken("account %s has a limit in %s and uses %s", a.ID, c, inUse.Currency())
	case a.Limit.IsNegative() || a.Used.IsNegative() || a.Held.IsNegative():
		return broken("account %s has a negative figure: limit %s, used %s, held %s", a.ID, a.Limit, a.Used, a.Held)
	case a.State < AccountActive || a.State > AccountClosed:
		return broken("account %s is in %s", a.ID, a.State)
	case (a.State == AccountFrozen) != (a.FreezeReason != ""):
		return broken("account %s is %s with freeze reason %q", a.ID, a.State, a.FreezeReason)
	case a.State == AccountClosed && !inUse.IsZero():
		return broken("closed account %s uses and holds %s", a.ID, inUse)
	default:
		return nil
	}
}
