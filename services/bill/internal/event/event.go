// Package event owns the bill service's way to and from Kafka: the messages that tell
// what happened here, and the verbs that other services' messages drive.
//
// It must not hold a rule: it turns messages into the app's requests and the domain's
// events into messages.
package event

import (
	"context"

	"google.golang.org/protobuf/proto"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
	"github.com/creditpay/creditpay/services/bill/internal/wire"
)

const (
	// Topic is where this service tells what happened, keyed by user.
	Topic = "creditpay.bill.events.v1"
	// OrderTopic is where it hears about orders.
	OrderTopic = "creditpay.order.events.v1"
	// PaymentTopic is where it hears about the money of repayments.
	PaymentTopic = "creditpay.payment.events.v1"
)

// Encode turns an event into a message of Topic; see store.Encoder. The payload is nil for an event that is not told.
func Encode(e domain.Event) (topic, key, objectID string, version int64, payload proto.Message) {
	switch e := e.(type) {
	case domain.LoanActivated:
		loan := ref(e.LoanID, e.OrderID, e.UserID)
		return Topic, e.UserID, loan.LoanId, e.Version, &billv1.LoanActivated{
			Loan: loan, Principal: moneyOf(e.Principal), FirstDueDate: e.FirstDueDate.String(),
		}
	case domain.LoanVoided:
		loan := ref(e.LoanID, e.OrderID, e.UserID)
		return Topic, e.UserID, loan.LoanId, e.Version, &billv1.LoanVoided{Loan: loan}
	case domain.LoanSettledEvent:
		loan := ref(e.LoanID, e.OrderID, e.UserID)
		return Topic, e.UserID, loan.LoanId, e.Version, &billv1.LoanSettled{Loan: loan}
	case domain.LoanReopened:
		loan := ref(e.LoanID, e.OrderID, e.UserID)
		return Topic, e.UserID, loan.LoanId, e.Version, &billv1.LoanReopened{Loan: loan}
	case domain.LoanOverdueChanged:
		loan := ref(e.LoanID, e.OrderID, e.UserID)
		return Topic, e.UserID, loan.LoanId, e.Version, &billv1.LoanOverdueChanged{Loan: loan, Overdue: moneyOf(e.Overdue)}
	case domain.BillChanged:
		id := ids.Format(ids.Bill, e.BillID)
		return Topic, e.UserID, id, e.Version, &billv1.BillChanged{BillId: id, UserId: e.UserID, BillDate: e.BillDate.String(),
			DueDate: e.DueDate.String(), State: e.State.String(), Open: moneyOf(e.Open)}
	case domain.RepaymentChanged:
		id := ids.Format(ids.Repayment, e.RepaymentID)
		return Topic, e.UserID, id, e.Version, &billv1.RepaymentChanged{RepaymentId: id, UserId: e.UserID, State: e.State.String(), Amount: moneyOf(e.Amount)}
	case domain.CreditAccountChanged:
		id := ids.Format(ids.Account, e.AccountID)
		return Topic, e.UserID, id, e.Version, &billv1.CreditAccountChanged{
			AccountId: id, UserId: e.UserID, Limit: moneyOf(e.Limit), State: e.State.String(),
		}
	default:
		return "", "", "", 0, nil
	}
}

func ref(loan, order ids.ID, userID string) *billv1.LoanRef {
	return &billv1.LoanRef{LoanId: ids.Format(ids.Loan, loan), OrderId: ids.Format(ids.Order, order), UserId: userID}
}

func moneyOf(a money.Amount) *commonv1.Money {
	return &commonv1.Money{AmountMinor: new(a.Minor()), CurrencyCode: a.Currency().Code()}
}

// Verbs are what events drive.
type Verbs interface {
	ActivateLoans(ctx context.Context, tx app.LockingTx, confirmed []app.Confirmation) error
	SettleRepayments(ctx context.Context, tx app.LockingTx, outcomes []app.LegOutcome) error
}

// Joiner runs a unit of work inside a transaction that is open already.
type Joiner interface {
	Join(tx *mysqlx.Tx, fn func(app.LockingTx) error) error
}

// Handler applies events of other services.
type Handler struct {
	verbs Verbs
	store Joiner
}

// NewHandler makes a handler.
func NewHandler(verbs Verbs, store Joiner) *Handler { return &Handler{verbs: verbs, store: store} }

// Apply applies a batch of events inside the inbox's transaction; see inbox.Apply.
// Events of other types are passed over.
func (h *Handler) Apply(ctx context.Context, tx *mysqlx.Tx, events []inbox.Event) error {
	var confirmed []app.Confirmation
	var outcomes []app.LegOutcome
	for _, e := range events {
		switch message := e.Payload.(type) {
		case *orderv1.OrderConfirmed:
			id, err := ids.Parse(ids.Order, message.GetOrder().GetOrderId())
			if err != nil {
				return errs.InvalidArgument.Wrap(err, "the event names no order")
			}
			c := app.Confirmation{OrderID: id, Time: e.Time, UserID: message.GetOrder().GetUserId()}
			if m := message.GetOrder().GetAmount(); m != nil {
				currency, err := money.CurrencyOf(m.GetCurrencyCode())
				if err != nil {
					return errs.InvalidArgument.Wrap(err, "the event has no amount")
				}
				c.Amount = money.New(m.GetAmountMinor(), currency)
			}
			confirmed = append(confirmed, c)
		case *paymentv1.CashLegChanged:
			if message.GetLeg().GetKind() != paymentv1.ExternalLegKind_EXTERNAL_LEG_KIND_REPAYMENT {
				continue
			}
			o, err := outcomeOf(message)
			if err != nil {
				return err
			}
			outcomes = append(outcomes, o)
		}
	}
	if len(confirmed) == 0 && len(outcomes) == 0 {
		return nil
	}
	// Repayments first: they lock loans of users, confirmations those of orders that no repayment knows yet.
	return h.store.Join(tx, func(tx app.LockingTx) error {
		if len(outcomes) > 0 {
			if err := h.verbs.SettleRepayments(ctx, tx, outcomes); err != nil {
				return err
			}
		}
		return h.verbs.ActivateLoans(ctx, tx, confirmed)
	})
}

func outcomeOf(m *paymentv1.CashLegChanged) (app.LegOutcome, error) {
	leg := m.GetLeg()
	id, err := ids.Parse(ids.Repayment, leg.GetSubjectId())
	if err != nil {
		return app.LegOutcome{}, errs.InvalidArgument.Wrap(err, "the event names no repayment")
	}
	currency, err := money.CurrencyOf(leg.GetAmount().GetCurrencyCode())
	if err != nil {
		return app.LegOutcome{}, errs.InvalidArgument.Wrap(err, "the event has no amount")
	}
	read := wire.Leg(leg)
	return app.LegOutcome{RepaymentID: id, State: read.State, Amount: money.New(leg.GetAmount().GetAmountMinor(), currency), PayTime: read.PayTime}, nil
}

// Wanted are the events that concern this service.
func Wanted() []proto.Message {
	return []proto.Message{&orderv1.OrderConfirmed{}, &paymentv1.CashLegChanged{}}
}
