package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// Channel is a way to pay.
type Channel struct {
	Code string
	Kind domain.LegKind
	// Disabled is why it cannot be chosen now; nil when it can.
	Disabled error
	Min, Max money.Amount
	Fee      money.Amount
}

// QueryPayChannels gives the ways to pay a checkout; those that cannot be used now say why.
func (a *App) QueryPayChannels(ctx context.Context, userID, checkoutText string) ([]Channel, error) {
	checkoutID, err := parseID(ids.Checkout, "checkout_id", checkoutText)
	if err != nil {
		return nil, err
	}
	checkout, err := a.ownCheckout(ctx, checkoutID, userID)
	if err != nil {
		return nil, err
	}
	cur := checkout.Amount.Currency()
	credit := Channel{Code: domain.ChannelCredit, Kind: domain.LegCredit, Min: money.New(1, cur), Max: money.Zero(cur), Fee: money.Zero(cur)}
	if !checkout.Open {
		credit.Disabled = checkout.Why
		return []Channel{credit}, nil
	}
	offers, err := a.Bill.QuotePlans(ctx, checkout, Pick{})
	switch {
	case errs.Passing(err):
		credit.Disabled = err
	case err != nil:
		return nil, err
	default:
		if offers.Available != nil {
			credit.Max = *offers.Available
		}
		if !offers.Allowed {
			credit.Disabled = offers.Why
		}
	}
	return []Channel{credit}, nil
}

// Status is the state of a checkout's payment.
type Status struct {
	State   domain.PaymentState
	Failure *errs.Error
	// RedirectURL is where the payer pays the down payment; empty when none is awaited.
	RedirectURL string
	Payments    []domain.Payment
}

// QueryPaymentStatus tells how far the payment of a checkout is; only to its own user.
func (a *App) QueryPaymentStatus(ctx context.Context, userID, checkoutText string) (Status, error) {
	checkoutID, err := parseID(ids.Checkout, "checkout_id", checkoutText)
	if err != nil {
		return Status{}, err
	}
	c, err := a.Store.LastCommit(ctx, checkoutID, userID)
	if err != nil {
		return Status{}, err
	}
	if c == nil {
		if _, err := a.ownCheckout(ctx, checkoutID, userID); err != nil {
			return Status{}, err
		}
		return Status{State: domain.PaymentCreated}, nil
	}
	s := Status{State: c.State.SeenState()}
	switch c.State {
	case domain.CommitFailed:
		s.Failure = c.Failed()
	case domain.CommitSucceeded:
		if s.Payments, err = a.Store.PaymentsOfCommit(ctx, c.ID); err != nil {
			return Status{}, err
		}
		s.State = foldState(s.Payments)
	case domain.CommitAwaitingCash:
		s.RedirectURL, err = a.cashPage(ctx, *c)
		return s, err
	default: // Not decided: there is nothing more to tell.
	}
	return s, nil
}

// foldState is the one state that stands for several payments: succeeded while any is, else reversing while any is.
func foldState(ps []domain.Payment) domain.PaymentState {
	state := domain.PaymentReversed
	for _, p := range ps {
		if p.State == domain.PaymentSucceeded {
			return domain.PaymentSucceeded
		}
		if p.State == domain.PaymentReversing {
			state = domain.PaymentReversing
		}
	}
	return state
}

// QueryPayment gives the payment of one order; only to its own user.
func (a *App) QueryPayment(ctx context.Context, userID, paymentText string) (Status, error) {
	id, err := parseID(ids.Payment, "payment_id", paymentText)
	if err != nil {
		return Status{}, err
	}
	p, err := a.Store.Payment(ctx, id)
	if err != nil {
		return Status{}, err
	}
	if p == nil || p.UserID != userID {
		return Status{}, errs.NotFound.New("no such payment, or it is not paid yet; ask by checkout_id")
	}
	return Status{State: p.State, Payments: []domain.Payment{*p}}, nil
}

// History is what the payment service knows of orders: payments, the commits that made or tried them, the cash of the payments, and
// what refunds took out of them.
type History struct {
	Payments []domain.Payment
	Commits  []domain.Commit
	Legs     []domain.CashLeg
	Returns  []domain.CashReturn
	Refunds  []domain.Refund
}

// BatchGetPayments gives payments, commits and cash of up to 100 orders.
func (a *App) BatchGetPayments(ctx context.Context, orderTexts []string) (h History, err error) {
	orderIDs := make([]ids.ID, len(orderTexts))
	for i, t := range orderTexts {
		if orderIDs[i], err = parseID(ids.Order, "order_ids", t); err != nil {
			return h, err
		}
	}
	if h.Payments, err = a.Store.PaymentsOfOrders(ctx, orderIDs); err != nil {
		return h, err
	}
	if h.Commits, err = a.Store.CommitsOfOrders(ctx, orderIDs); err != nil {
		return h, err
	}
	var withCash, refunded []ids.ID
	for _, p := range h.Payments {
		if p.Cash() != nil {
			withCash = append(withCash, p.ID)
		}
		if p.Refunded() {
			refunded = append(refunded, p.ID)
		}
	}
	if len(withCash) > 0 {
		if h.Legs, h.Returns, err = a.Store.CashOfPayments(ctx, withCash); err != nil {
			return h, err
		}
	}
	if len(refunded) > 0 {
		h.Refunds, err = a.Store.RefundsOfPayments(ctx, refunded)
	}
	return h, err
}
