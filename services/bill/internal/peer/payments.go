// Package peer owns the bill service's view of its neighbours: the payment service by its generated client, behind the interfaces of
// app.
//
// It must not decide anything: it translates.
package peer

import (
	"context"
	"strings"

	"google.golang.org/grpc"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/enum"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// Signing is the payment service as signing sees it.
type Signing struct {
	client paymentv1.PaymentInternalServiceClient
}

// NewSigning makes a client on a connection of package rpckit, whose errors are the suite's own.
func NewSigning(conn grpc.ClientConnInterface) *Signing {
	return &Signing{client: paymentv1.NewPaymentInternalServiceClient(conn)}
}

var _ app.Payments = (*Signing)(nil)

// LockedQuote implements app.Payments.
func (s *Signing) LockedQuote(ctx context.Context, userID string, checkoutID ids.ID) (app.LockedQuote, error) {
	res, err := s.client.GetQuote(ctx, &paymentv1.GetQuoteRequest{CheckoutId: ids.Format(ids.Checkout, checkoutID), UserId: userID})
	if err != nil {
		return app.LockedQuote{}, err
	}
	q := app.LockedQuote{ExpireTime: res.GetQuote().GetExpireTime().AsTime()}
	if q.ID, err = ids.Parse(ids.Quote, res.GetQuote().GetQuoteId()); err != nil {
		return q, errs.Internal.Wrap(err, "the payment service gave a malformed id")
	}
	if q.Plan, err = planOf(res.GetQuote().GetPlan()); err == nil {
		err = q.Plan.Check()
	}
	if err != nil {
		return q, errs.Internal.Wrap(err, "the payment service gave a plan that does not add up")
	}
	return q, nil
}

// CommitFor implements app.Payments.
func (s *Signing) CommitFor(ctx context.Context, r app.CommitFor) (app.CommitOutcome, error) {
	res, err := s.client.CommitFor(ctx, &paymentv1.CommitForRequest{
		UserId: r.UserID, RequestId: r.RequestID, CheckoutId: ids.Format(ids.Checkout, r.CheckoutID),
		QuoteId: ids.Format(ids.Quote, r.QuoteID), Pin: r.Pin.Reveal(),
	})
	if err != nil {
		return app.CommitOutcome{}, err
	}
	out := app.CommitOutcome{
		State: strings.TrimPrefix(res.GetState().String(), "PAYMENT_STATE_"), CommitID: res.GetCommitId(),
		FailureMessage: res.GetFailureMessage(), RedirectURL: res.GetNextAction().GetRedirect().GetUrl(),
	}
	if res.GetFailureReason() != commonv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
		out.FailureReason = strings.TrimPrefix(res.GetFailureReason().String(), "ERROR_REASON_")
	}
	return out, nil
}

// planOf reads a plan that this service made, and that the payment service kept.
func planOf(m *commonv1.Plan) (domain.Plan, error) {
	r := &reader{}
	p := domain.Plan{
		ProductCode: m.GetProductCode(), ProductVersion: int(m.GetProductVersion()), TenorMonths: int(m.GetTenorMonths()),
		Method:    enum.Of[domain.InterestMethod](m.GetInterestMethod()),
		Principal: r.amount(m.GetPrincipal()), Interest: r.amount(m.GetInterest()), Fee: r.amount(m.GetFee()), Total: r.amount(m.GetTotal()),
		MonthlyRatePPM: m.GetMonthlyRatePpm(), EffectiveAnnualRatePPM: m.GetEffectiveAnnualRatePpm(), DownPayment: r.amount(m.GetDownPayment()),
	}
	for _, in := range m.GetInstalments() {
		p.Instalments = append(p.Instalments, domain.Instalment{
			Sequence: int(in.GetSequence()), DueDate: r.date(in.GetDueDate()),
			Principal: r.amount(in.GetPrincipal()), Interest: r.amount(in.GetInterest()), Fee: r.amount(in.GetFee()), Total: r.amount(in.GetTotal()),
		})
	}
	return p, r.err
}

// reader reads the fields of a message and keeps the first error.
type reader struct{ err error }

func (r *reader) amount(m *commonv1.Money) money.Amount {
	c, err := money.CurrencyOf(m.GetCurrencyCode())
	if err != nil && r.err == nil {
		r.err = err
	}
	return money.New(m.GetAmountMinor(), c)
}

func (r *reader) date(text string) civil.Date {
	d, err := civil.Parse(text)
	if err != nil && r.err == nil {
		r.err = err
	}
	return d
}
