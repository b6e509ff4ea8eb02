package app

import (
	"context"
	"encoding/json"
	"errors"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/checkoutproof"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// CommitRequest is what the payer asks for: by a quote, or by a choice without one.
type CommitRequest struct {
	CheckoutID string
	// QuoteID is empty with a choice.
	QuoteID string `json:",omitzero"`
	// Choice names a plan; nil with a quote.
	Choice *PlanChoice `json:",omitzero"`
	// Proof of the order service that the checkout is the payer's and open; empty when there is none. It is no content: a repeat may bring
	// another one.
	Proof string `json:"-"`
}

// PlanChoice is a plan that the payer agreed to without a quote.
type PlanChoice struct {
	Channel, ProductCode        string
	ProductVersion, TenorMonths int32
	// AgreedTotal is everything that the payer will pay.
	AgreedTotal money.Amount
	// DownPaymentChannel is empty when the plan asks for no down payment.
	DownPaymentChannel string `json:",omitzero"`
}

// CommitAnswer is the outcome of a commit as far as it is known.
type CommitAnswer struct {
	CommitID ids.ID
	State    domain.PaymentState
	// FailureReason and FailureMessage are set when State is FAILED.
	FailureReason, FailureMessage string
	// RedirectURL is where the payer pays the down payment; empty when the outcome needs nothing of the payer.
	RedirectURL string `json:",omitzero"`
	Payments    []domain.Payment
}

// DoCommitPayment pays the whole checkout or nothing. The intent is durable before anything is asked of others; from then on
// the commit ends by itself, in this call or in the recovery worker: paid once, or nothing held and payable again.
// A rule's refusal is answered as its error and leaves no record, so that the request may be sent again. The commit's row is the
// record of its request.
func (a *App) DoCommitPayment(ctx context.Context, userID, caller, requestID, pinDigits string, req CommitRequest) (CommitAnswer, error) {
	fp, err := idempotency.FingerprintOf(req)
	if err != nil {
		return CommitAnswer{}, err
	}
	before := func() (idempotency.Record, bool, error) { return a.commitRecord(ctx, caller, requestID) }
	return idempotency.DoWith(fp, before, func() (CommitAnswer, error) {
		commit, err := a.startCommit(ctx, userID, caller, requestID, pinDigits, req, fp)
		if err != nil {
			return CommitAnswer{}, err
		}
		commit, payments, err := a.drive(ctx, commit, refusalForget)
		if err != nil {
			a.Log.Info("the outcome of a commit is not known yet; the recovery worker will find it",
				zap.String("commit_id", ids.Format(ids.Commit, commit.ID)), zap.Error(err))
			return CommitAnswer{CommitID: commit.ID, State: domain.PaymentProcessing}, nil
		}
		switch commit.State {
		case domain.CommitSucceeded:
			return succeeded(commit, payments), nil
		case domain.CommitAwaitingCash:
			return a.whereToPay(ctx, commit)
		default:
			return CommitAnswer{}, commit.Failed()
		}
	})
}

// commitRecord is the request's commit as the record of the request: its answer is what the first call was told, or would have
// been; none while the commit is under way.
func (a *App) commitRecord(ctx context.Context, caller, requestID string) (idempotency.Record, bool, error) {
	c, err := a.Store.CommitOfRequest(ctx, caller, requestID)
	if err != nil || c == nil {
		return idempotency.Record{}, false, err
	}
	rec := idempotency.Record{Fingerprint: c.Fingerprint}
	var answer CommitAnswer
	switch c.State {
	case domain.CommitSucceeded:
		payments, err := a.Store.PaymentsOfCommit(ctx, c.ID)
		if err != nil {
			return rec, true, err
		}
		for i := range payments {
			payments[i] = payments[i].AsPaid()
		}
		answer = succeeded(*c, payments)
	case domain.CommitFailed:
		answer = CommitAnswer{CommitID: c.ID, State: domain.PaymentFailed, FailureReason: c.FailureReason, FailureMessage: c.FailureMessage}
	case domain.CommitAwaitingCash:
		if answer, err = a.whereToPay(ctx, *c); err != nil {
			return rec, true, err
		}
	default:
		return rec, true, nil
	}
	rec.Answer, err = json.Marshal(answer)
	return rec, true, err
}

func succeeded(c domain.Commit, payments []domain.Payment) CommitAnswer {
	return CommitAnswer{CommitID: c.ID, State: domain.PaymentSucceeded, Payments: payments}
}

// startCommit verifies plan and PIN and stores the intent.
func (a *App) startCommit(ctx context.Context, userID, caller, requestID, pinDigits string, req CommitRequest, fp idempotency.Fingerprint) (domain.Commit, error) {
	checkoutID, err := parseID(ids.Checkout, "checkout_id", req.CheckoutID)
	if err != nil {
		return domain.Commit{}, err
	}
	terms, pin, err := a.agreed(ctx, userID, checkoutID, req)
	if err != nil {
		return domain.Commit{}, err
	}
	if err := a.mayPay(ctx, userID, caller, requestID, checkoutID, req); err != nil {
		return domain.Commit{}, err
	}
	if err := a.verifyPin(ctx, pin, pinDigits); err != nil {
		return domain.Commit{}, err
	}
	commit := domain.Commit{
		ID: a.IDs.New(), CheckoutID: checkoutID, UserID: userID, Caller: caller, RequestID: requestID, Fingerprint: fp,
		Terms: terms, State: domain.CommitStarted, Version: 1, CreateTime: a.now(),
	}
	commit.RecoverTime = commit.CreateTime.Add(a.Limits.RecoverAfter)
	err = a.Store.Do(ctx, func(tx Tx) error {
		tx.InsertCommit(commit, *pin)
		return nil
	})
	if errors.Is(err, ErrCheckoutTaken) {
		return domain.Commit{}, a.whyNoSecondCommit(ctx, checkoutID, userID)
	}
	return commit, pinTried(err)
}

// mayPay proves that the checkout is the payer's and open before anything is stored about it. A quote proves it, because the order
// service was asked when it was locked for this payer, and so does the order service's own proof; otherwise it is asked now. A request
// that made a commit before is answered from that commit, also while the order service is away.
func (a *App) mayPay(ctx context.Context, userID, caller, requestID string, checkoutID ids.ID, req CommitRequest) error {
	if req.Choice == nil || checkoutproof.Good(a.Proofs, req.Proof, checkoutID, userID, a.now()) {
		return nil
	}
	if known, err := a.Store.CommitOfRequest(ctx, caller, requestID); err != nil || known != nil {
		return err
	}
	checkout, err := a.ownCheckout(ctx, checkoutID, userID)
	if err == nil && !checkout.Open {
		err = checkout.Why
	}
	return err
}

// agreed gives the terms that the payer agreed to, and the payer's PIN; nil when there is none.
func (a *App) agreed(ctx context.Context, userID string, checkoutID ids.ID, req CommitRequest) (domain.Terms, *domain.Pin, error) {
	if req.Choice != nil {
		terms, err := a.termsOf(*req.Choice)
		if err != nil {
			return domain.Terms{}, nil, err
		}
		pin, err := a.Store.Pin(ctx, userID)
		return terms, pin, err
	}
	quoteID, err := parseID(ids.Quote, "quote_id", req.QuoteID)
	if err != nil {
		return domain.Terms{}, nil, err
	}
	quote, pin, err := a.Store.QuoteAndPin(ctx, checkoutID, userID)
	if err != nil {
		return domain.Terms{}, nil, err
	}
	if quote == nil {
		// Tell a stranger nothing that the owner would not be told.
		return domain.Terms{}, nil, a.whyUnusable(ctx, checkoutID, userID, errs.QuoteNotFound.New("no plan was chosen for this checkout; call ConfirmPayChannel"))
	}
	if err := quote.Usable(userID, quoteID, a.now()); err != nil {
		return domain.Terms{}, nil, a.whyUnusable(ctx, checkoutID, userID, err)
	}
	return quote.Terms, pin, nil
}

// termsOf reads a choice without a quote. Whether it is offered, costs what was agreed and asks for a down payment is the bill
// service's to say.
func (a *App) termsOf(c PlanChoice) (domain.Terms, error) {
	if c.Channel != domain.ChannelCredit {
		return domain.Terms{}, unknownChannel(c.Channel)
	}
	if c.DownPaymentChannel != "" {
		if err := a.Cashier.offers(c.DownPaymentChannel); err != nil {
			return domain.Terms{}, err
		}
	}
	if !c.AgreedTotal.IsPositive() || money.Bounded(c.AgreedTotal) != nil {
		return domain.Terms{}, errs.InvalidArgument.New("choice.agreed_total must be above zero and at most %d minor units", money.MaxMinor).With("field", "choice.agreed_total")
	}
	return domain.Terms{Channel: c.Channel, ProductCode: c.ProductCode, ProductVersion: c.ProductVersion, TenorMonths: c.TenorMonths,
		AgreedTotal: c.AgreedTotal, DownPaymentChannel: c.DownPaymentChannel}, nil
}

// whyUnusable tells why a quote cannot be used: what ended the checkout comes before what ended the quote, because a new quote
// would not help. CheckCommitPayment looks in the same order.
func (a *App) whyUnusable(ctx context.Context, checkoutID ids.ID, userID string, refusal error) error {
	if errs.Is(refusal, errs.NotFound) {
		return refusal
	}
	switch checkout, err := a.ownCheckout(ctx, checkoutID, userID); {
	case err != nil:
		return err
	case !checkout.Open:
		return checkout.Why
	default:
		return refusal
	}
}

// whyNoSecondCommit tells what the checkout's other commit came to.
func (a *App) whyNoSecondCommit(ctx context.Context, checkoutID ids.ID, userID string) error {
	last, err := a.Store.LastCommit(ctx, checkoutID, userID)
	if err != nil {
		return err
	}
	if last != nil && last.State == domain.CommitSucceeded {
		return errs.CheckoutAlreadyPaid.New("the checkout is paid")
	}
	return errs.CheckoutCommitting.New("another commit of this checkout is under way; ask QueryPaymentStatus for its outcome")
}
