// Package peer owns this service's questions to the payment and bill services: the generated clients behind the interfaces of
// package app.
//
// It must not decide anything: it translates.
package peer

import (
	"context"
	"strings"

	"google.golang.org/grpc"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/order/internal/app"
	"github.com/creditpay/creditpay/services/order/internal/wire"
)

// Payment asks the payment service.
type Payment struct {
	client paymentv1.PaymentInternalServiceClient
}

// NewPayment makes a client on a connection of package rpckit, whose errors are the suite's own.
func NewPayment(conn grpc.ClientConnInterface) *Payment {
	return &Payment{client: paymentv1.NewPaymentInternalServiceClient(conn)}
}

// Commit tells what a commit came to.
func (p *Payment) Commit(ctx context.Context, commit ids.ID) (app.CommitOutcome, error) {
	id := ids.Format(ids.Commit, commit)
	answer, err := p.client.GetCommit(ctx, &paymentv1.GetCommitRequest{CommitId: id})
	if err != nil {
		return app.CommitOutcome{}, err
	}
	return outcome(id, answer.GetState(), answer.GetPayments())
}

// Withdraw stops a commit that has not succeeded, and tells what it came to.
func (p *Payment) Withdraw(ctx context.Context, commit ids.ID, reason string) (app.CommitOutcome, error) {
	id := ids.Format(ids.Commit, commit)
	answer, err := p.client.WithdrawCommit(ctx, &paymentv1.WithdrawCommitRequest{CommitId: id, Reason: reason})
	if err != nil {
		return app.CommitOutcome{}, err
	}
	return outcome(id, answer.GetState(), answer.GetPayments())
}

// outcome reads what a commit came to; a state that is none of the three counts as not known.
func outcome(commit string, state paymentv1.PaymentState, payments []*paymentv1.Payment) (app.CommitOutcome, error) {
	switch state {
	case paymentv1.PaymentState_PAYMENT_STATE_SUCCEEDED:
		s, err := wire.Settlement(commit, payments)
		if err != nil {
			return app.CommitOutcome{}, errs.Internal.Wrap(err, "the payment service's answer cannot be read")
		}
		return app.CommitOutcome{State: app.CommitSucceeded, Settlement: s}, nil
	case paymentv1.PaymentState_PAYMENT_STATE_FAILED:
		return app.CommitOutcome{State: app.CommitFailed}, nil
	default:
		return app.CommitOutcome{State: app.CommitProcessing}, nil
	}
}

// Payments reads the payments of orders with their history.
func (p *Payment) Payments(ctx context.Context, orders []ids.ID) (app.Payments, error) {
	answer, err := p.client.BatchGetPayments(ctx, &paymentv1.BatchGetPaymentsRequest{OrderIds: orderIDs(orders)})
	if err != nil {
		return app.Payments{}, err
	}
	out := app.Payments{Timeline: timeline(answer.GetTimeline())}
	for _, payment := range answer.GetPayments() {
		for _, l := range payment.GetLegs() {
			amount, err := wire.Amount(l.GetAmount())
			if err != nil {
				return app.Payments{}, err
			}
			out.Legs = append(out.Legs, app.Leg{
				Kind: strings.TrimPrefix(l.GetKind().String(), "CHANNEL_KIND_"), Channel: l.GetChannel(), Amount: amount,
				State: strings.TrimPrefix(l.GetState().String(), "LEG_STATE_"), Reference: l.GetReference(),
			})
		}
	}
	return out, nil
}

func orderIDs(orders []ids.ID) []string {
	texts := make([]string, len(orders))
	for i, id := range orders {
		texts[i] = ids.Format(ids.Order, id)
	}
	return texts
}

func timeline(entries []*commonv1.TimelineEntry) []app.TimelineEntry {
	out := make([]app.TimelineEntry, len(entries))
	for i, e := range entries {
		out[i] = app.TimelineEntry{Time: wire.ReadTime(e.GetTime()), Service: e.GetService(), ObjectID: e.GetObjectId(), From: e.GetFromState(),
			To: e.GetToState(), Actor: e.GetActor(), Cause: e.GetCause()}
	}
	return out
}
