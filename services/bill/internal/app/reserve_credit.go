package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// ReserveRequest asks to hold the limit for the orders of a commit. Its JSON is
// what repeated requests are compared by.
type ReserveRequest struct {
	// CommitID is also the idempotency key.
	CommitID ids.ID `json:"commit_id"`
	UserID   string `json:"user_id"`
	Business string `json:"business"`
	// Orders, one or more, of one currency, each once.
	Orders []FinancedOrder `json:"orders"`
	// ProductCode, ProductVersion and TenorMonths are those of the quote.
	ProductCode    string `json:"product_code"`
	ProductVersion int    `json:"product_version"`
	TenorMonths    int    `json:"tenor_months"`
	// AgreedTotal is what the payer agreed to pay in all, for a commit without a quote; the zero Amount with one.
	AgreedTotal money.Amount `json:"agreed_total,omitzero"`
	// Actor is who asks; it does not tell requests apart.
	Actor string `json:"-"`
}

// ReservedLoan is a drafted loan, and the part of its order's price that is paid at once in cash.
type ReservedLoan struct {
	LoanID, OrderID ids.ID
	DownPayment     money.Amount
}

// errHoldRefused says that the account did not take the hold; the account itself says why.
var errHoldRefused = errors.New("the account does not take the hold")

// ReserveCredit holds the limit for all orders of a commit and drafts their loans, or
// does nothing. The same commit and content answers the first answer again. It fails
// with errs.AccountNotFound, errs.AccountFrozen, errs.AccountOverdue,
// errs.EsignRequired, errs.LimitInsufficient, errs.CurrencyMismatch, errs.ProductNotEligible,
// errs.TenorNotOffered, errs.PlanChanged, errs.ReservationReleased, errs.RequestIDReused
// (same commit, other content) and errs.LoanStateInvalid (an order has a loan already).
//
// In the good case nothing is read: the unit's writes decide, and only a refusal is
// looked into.
func (a *App) ReserveCredit(ctx context.Context, r ReserveRequest) ([]ReservedLoan, error) {
	fp, err := idempotency.FingerprintOf(r)
	if err != nil {
		return nil, err
	}
	now := a.now()
	loans, total, err := a.draft(ctx, r, now)
	var contract ids.ID
	if err == nil {
		contract, err = a.contractFor(ctx, r, total)
	}
	if errs.Business(err) {
		// What was offered when the commit came first need not be offered any more.
		if _, found, readErr := a.store.Reservation(ctx, r.CommitID); readErr != nil || found {
			return a.reservedOr(ctx, r, fp, readErr)
		}
	}
	if err != nil {
		return nil, err
	}
	reservation := Reservation{
		CommitID: r.CommitID, UserID: r.UserID, State: ReservationHeld, Fingerprint: fp, Total: total, ContractID: contract,
		CreateTime: now, Version: 1,
	}
	return again(ctx, func() ([]ReservedLoan, error) {
		err := a.store.Do(ctx, func(tx Tx) error { return hold(tx, reservation, loans) })
		switch {
		case err == nil:
			return reserved(r.Orders, loans), nil
		case errors.Is(err, ErrReservationExists):
			return a.reservedBefore(ctx, r, fp)
		case errors.Is(err, errHoldRefused):
			// A commit that is repeated needs no room for a second hold: its first one answers.
			if _, found, err := a.store.Reservation(ctx, r.CommitID); err != nil || found {
				return a.reservedOr(ctx, r, fp, err)
			}
			return nil, a.whyNot(ctx, r.UserID, total)
		default:
			return nil, err
		}
	})
}

// draft makes the loans of a request and the sum of their principals.
func (a *App) draft(ctx context.Context, r ReserveRequest, now time.Time) ([]Loan, money.Amount, error) {
	if _, err := checkOrders(r.Orders); err != nil {
		return nil, money.Amount{}, err
	}
	product, err := a.products.version(ctx, a.store, r.ProductCode, r.ProductVersion)
	if err != nil {
		return nil, money.Amount{}, err
	}
	plans, err := a.plans.planAll(product, r.TenorMonths, r.Business, r.Orders, civil.Of(now, product.Zone()))
	if err != nil {
		return nil, money.Amount{}, err
	}
	total, err := financed(plans)
	if err != nil {
		return nil, money.Amount{}, err
	}
	if r.AgreedTotal.IsPositive() {
		if err := a.stillOffered(ctx, r, plans, now); err != nil {
			return nil, money.Amount{}, err
		}
	}
	loans := make([]Loan, len(plans))
	for i, o := range r.Orders {
		if slices.ContainsFunc(r.Orders[:i], func(other FinancedOrder) bool { return other.OrderID == o.OrderID }) {
			return nil, money.Amount{}, errs.InvalidArgument.New("order %s is named twice", ids.Format(ids.Order, o.OrderID))
		}
		if o.OrderID.IsZero() || o.MerchantID == "" {
			return nil, money.Amount{}, errs.InvalidArgument.New("order %d needs its id and its merchant", i+1)
		}
		// The account is the user's only one, so the loan names the user; reading the account's id would cost a round trip.
		loan := domain.Loan{
			ID: a.ids.New(), OrderID: o.OrderID, CommitID: r.CommitID,
			UserID: r.UserID, MerchantID: o.MerchantID, Business: r.Business,
			State: domain.LoanDraft, Plan: plans[i], Outstanding: money.Zero(product.Currency), DraftTime: now, Version: 1,
		}
		if err := loan.Check(); err != nil {
			return nil, money.Amount{}, err
		}
		nothing := money.Zero(product.Currency)
		loans[i] = Loan{Loan: loan, DraftActor: r.Actor, Overpaid: nothing, Overdue: nothing, Shrunk: nothing, Refunded: nothing, Payable: nothing}
	}
	return loans, total, nil
}

// stillOffered refuses what a payer agreed to without a quote when the product version is not offered any more, or when the
// plans add up to another total. A quote needs neither: it was locked.
func (a *App) stillOffered(ctx context.Context, r ReserveRequest, plans []domain.Plan, now time.Time) error {
	offered, err := a.products.offered(ctx, now)
	if err != nil {
		return err
	}
	current := func(p domain.Product) bool { return p.Code == r.ProductCode && p.Version == r.ProductVersion }
	if !slices.ContainsFunc(offered, current) {
		return errs.PlanChanged.New("product %s version %d is not offered any more; show the plans again", r.ProductCode, r.ProductVersion)
	}
	totals := make([]money.Amount, len(plans))
	for i, p := range plans {
		totals[i] = p.Total
	}
	total, err := sumOf(totals)
	if err != nil {
		return err
	}
	if total != r.AgreedTotal {
		return errs.PlanChanged.New("the plan costs %s, not %s; show the plans again", total, r.AgreedTotal)
	}
	return nil
}

// hold is the unit of a reservation. The account comes first: callers of one user wait for each other there, so that
// those who repeat a commit find its reservation instead of a deadlock.
func hold(tx Tx, r Reservation, loans []Loan) error {
	tx.Hold(r.UserID, r.Total, r.CreateTime, errHoldRefused)
	tx.InsertReservation(r)
	tx.InsertLoans(loans)
	for _, l := range loans {
		lines, err := domain.HoldLines(l.Plan.Principal)
		if err != nil {
			return err
		}
		post(tx, l, causeHeld, lines)
	}
	return nil
}

// reservedOr answers a commit that is known, or the fault that hid it.
func (a *App) reservedOr(ctx context.Context, r ReserveRequest, fp idempotency.Fingerprint, fault error) ([]ReservedLoan, error) {
	if fault != nil {
		return nil, fault
	}
	return a.reservedBefore(ctx, r, fp)
}

// reservedBefore answers a commit that is known.
func (a *App) reservedBefore(ctx context.Context, r ReserveRequest, fp idempotency.Fingerprint) ([]ReservedLoan, error) {
	before, found, err := a.store.Reservation(ctx, r.CommitID)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, changed()
	case before.State == ReservationReleased:
		return nil, errs.ReservationReleased.New("the reservation was released; commit again under a new id")
	case before.Fingerprint != fp:
		return nil, errs.RequestIDReused.New("this commit_id came before with other content; use a new one")
	}
	loans, err := a.store.LoansOfCommit(ctx, r.CommitID)
	if err != nil {
		return nil, err
	}
	answer := reserved(r.Orders, loans)
	if len(answer) != len(r.Orders) {
		return nil, errs.Internal.New("the loans of the reservation are not all there")
	}
	return answer, nil
}

// whyNot asks the account why it did not take a hold. When it would now, somebody changed it in between.
func (a *App) whyNot(ctx context.Context, userID string, amount money.Amount) error {
	account, found, err := a.store.Account(ctx, userID)
	switch {
	case err != nil:
		return err
	case !found:
		return noAccount()
	}
	if err := account.MayBuy(amount); err != nil {
		return err
	}
	return changed()
}

// reserved is the loans in the order of the request.
func reserved(orders []FinancedOrder, loans []Loan) []ReservedLoan {
	answer := make([]ReservedLoan, 0, len(orders))
	for _, o := range orders {
		for _, l := range loans {
			if l.OrderID == o.OrderID {
				answer = append(answer, ReservedLoan{LoanID: l.ID, OrderID: l.OrderID, DownPayment: l.Plan.DownPayment})
			}
		}
	}
	return answer
}
