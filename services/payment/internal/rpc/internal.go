package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
	"github.com/creditpay/creditpay/services/payment/internal/wire"
)

// Internal serves creditpay.payment.v1.PaymentInternalService.
type Internal struct {
	paymentv1.UnsafePaymentInternalServiceServer
	App *app.App
}

// GetCommit tells the outcome of a commit.
func (s *Internal) GetCommit(ctx context.Context, req *paymentv1.GetCommitRequest) (*paymentv1.GetCommitResponse, error) {
	c, ps, err := s.App.Commit(ctx, req.GetCommitId())
	if err != nil {
		return nil, err
	}
	return &paymentv1.GetCommitResponse{State: paymentv1.PaymentState(c.State.SeenState()), Payments: wire.Payments(ps)}, nil
}

// WithdrawCommit stops a commit that has not succeeded.
func (s *Internal) WithdrawCommit(ctx context.Context, req *paymentv1.WithdrawCommitRequest) (*paymentv1.WithdrawCommitResponse, error) {
	c, ps, err := s.App.WithdrawCommit(ctx, req.GetCommitId(), req.GetReason())
	var refused *errs.Error
	if err != nil && (c.ID.IsZero() || errors.As(err, &refused) && refused.Reason() == errs.NotFound) {
		return nil, err
	}
	// An error on the way back leaves the commit FAILING: the caller sees PROCESSING and asks again.
	return &paymentv1.WithdrawCommitResponse{State: paymentv1.PaymentState(c.State.SeenState()), Payments: wire.Payments(ps)}, nil
}

// BatchGetPayments gives payments of orders with their timelines.
func (s *Internal) BatchGetPayments(ctx context.Context, req *paymentv1.BatchGetPaymentsRequest) (*paymentv1.BatchGetPaymentsResponse, error) {
	h, err := s.App.BatchGetPayments(ctx, req.GetOrderIds())
	if err != nil {
		return nil, err
	}
	return &paymentv1.BatchGetPaymentsResponse{Payments: wire.Payments(h.Payments), Timeline: timeline(h)}, nil
}

// line is an entry of this service's timeline.
type line struct {
	at                        time.Time
	object, from, to, by, why string
}

func (l line) entry() *commonv1.TimelineEntry {
	return &commonv1.TimelineEntry{Time: timestamppb.New(l.at), Service: "payment", ObjectId: l.object, FromState: l.from, ToState: l.to, Actor: l.by, Cause: l.why}
}

// self is who does what this service does of its own.
const self = "SERVICE:payment"

// timeline tells what happened, from the times that the rows keep.
func timeline(h app.History) []*commonv1.TimelineEntry {
	var lines []line
	started := map[ids.ID]string{}
	for _, l := range h.Legs {
		started[l.SubjectID] = domain.CommitAwaitingCash.String()
		id := ids.Format(ids.Leg, l.ID)
		lines = append(lines, line{l.CreateTime, id, "", domain.LegPending.String(), self, "down payment asked for"},
			line{l.UpdateTime, id, domain.LegPending.String(), l.State.String(), "SPM", "down payment arrived"})
	}
	for _, c := range h.Commits {
		id := ids.Format(ids.Commit, c.ID)
		lines = append(lines, line{c.CreateTime, id, "", domain.CommitStarted.String(), c.Caller, "commit started"})
		if c.FinishTime.IsZero() {
			continue
		}
		from, cause := domain.CommitStarted.String(), "order taken and credit reserved"
		if waited, ok := started[c.ID]; ok {
			from, cause = waited, "down payment arrived"
		}
		if c.State == domain.CommitFailed {
			cause = c.FailureReason
		}
		lines = append(lines, line{c.FinishTime, id, from, c.State.String(), self, cause})
	}
	for _, p := range h.Payments {
		id := ids.Format(ids.Payment, p.ID)
		lines = append(lines, line{p.PayTime, id, "", domain.PaymentSucceeded.String(), self, "paid"})
		if !p.ReverseTime.IsZero() {
			lines = append(lines, line{p.ReverseTime, id, domain.PaymentReversing.String(), domain.PaymentReversed.String(), self, "order cancelled"})
		}
	}
	for _, f := range h.Refunds {
		stands := domain.PaymentSucceeded.String()
		lines = append(lines, line{f.CreateTime, ids.Format(ids.Payment, f.PaymentID), stands, stands, self,
			fmt.Sprintf("refund %s took %s of credit and %s of cash", ids.Format(ids.Refund, f.ID), f.Credit, f.Cash)})
	}
	for _, r := range h.Returns {
		lines = append(lines, returnLines(r)...)
	}
	out := make([]*commonv1.TimelineEntry, len(lines))
	for i, l := range lines {
		out[i] = l.entry()
	}
	return out
}

// returnLines tell of a return. Tries that failed and were repeated left no time in the row; its notifications have them.
func returnLines(r domain.CashReturn) []line {
	id, why := ids.Format(ids.Leg, r.ID), "cash of a cancelled order goes back"
	if !r.RefundID.IsZero() {
		why = "cash goes back for " + ids.Format(ids.Refund, r.RefundID)
	}
	state := domain.ReturnReturning
	lines := []line{{r.CreateTime, id, "", state.String(), self, why}}
	move := func(at time.Time, to domain.ReturnState, by, why string) {
		lines = append(lines, line{at, id, state.String(), to.String(), by, why})
		state = to
	}
	switch r.Resolution {
	case domain.ResolvedElsewhere:
		move(r.ResolveTime, domain.ReturnReturned, r.Actor, "given back another way: "+r.Evidence)
	case domain.ResolvedAbandoned:
		move(r.ResolveTime, domain.ReturnAbandoned, r.Actor, "not given back: "+r.Evidence)
	case domain.ResolvedByBounce:
		move(r.ResolveTime, domain.ReturnReturned, "SPM", "its repayment bounced")
	case domain.NotResolved: // The marketplace's word, below.
	}
	if !r.GivenTime.IsZero() {
		move(r.GivenTime, domain.ReturnReturned, "SPM", "cash given back")
	}
	return lines
}
