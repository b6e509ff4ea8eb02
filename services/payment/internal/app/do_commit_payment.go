package app

import (
	"context"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// CommitRequest is what the payer asks for.
type CommitRequest struct {
	CheckoutID string
	QuoteID    string
}

// CommitAnswer is the outcome of a commit as far as it is known.
type CommitAnswer struct {
	CommitID ids.ID
	State    domain.PaymentState
	// FailureReason and FailureMessage are set when State is FAILED.
	FailureReason, FailureMessage string
	Payments                      []domain.Payment
}

// DoCommitPayment pays the whole checkout or nothing. The intent is durable before anything is asked of others; from then on
// the commit ends by itself, in this call or in the recovery worker: paid once, or nothing held and payable again.
// A rule's refusal is answered as its error and leaves no record, so that the request may be sent again.
func (a *App) DoCommitPayment(ctx context.Context, userID, caller, requestID, pinDigits string, req CommitRequest) (CommitAnswer, error) {
	key := commitKey(caller, requestID)
	fp, err := idempotency.FingerprintOf(req)
	if err != nil {
		return CommitAnswer{}, err
	}
	return idempotency.Do(ctx, a.Store.Requests(), key, fp, func() (CommitAnswer, error) {
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
		if commit.State != domain.CommitSucceeded {
			return CommitAnswer{}, commit.Failed()
		}
		return succeeded(commit, payments), nil
	})
}

func commitKey(caller, requestID string) idempotency.Key {
	return idempotency.Key{Verb: "DoCommitPayment", Caller: caller, RequestID: requestID}
}

func succeeded(c domain.Commit, payments []domain.Payment) CommitAnswer {
	return CommitAnswer{CommitID: c.ID, State: domain.PaymentSucceeded, Payments: payments}
}

// startCommit verifies quote and PIN and stores the intent.
func (a *App) startCommit(ctx context.Context, userID, caller, requestID, pinDigits string, req CommitRequest, fp idempotency.Fingerprint) (domain.Commit, error) {
	checkoutID, err := parseID(ids.Checkout, "checkout_id", req.CheckoutID)
	if err != nil {
		return domain.Commit{}, err
	}
	quoteID, err := parseID(ids.Quote, "quote_id", req.QuoteID)
	if err != nil {
		return domain.Commit{}, err
	}
	quote, pin, err := a.Store.QuoteAndPin(ctx, checkoutID, userID)
	if err != nil {
		return domain.Commit{}, err
	}
	if quote == nil {
		// Tell a stranger nothing that the owner would not be told.
		return domain.Commit{}, a.whyUnusable(ctx, checkoutID, userID, errs.QuoteNotFound.New("no plan was chosen for this checkout; call ConfirmPayChannel"))
	}
	if err := quote.Usable(userID, quoteID, a.now()); err != nil {
		return domain.Commit{}, a.whyUnusable(ctx, checkoutID, userID, err)
	}
	if err := a.verifyPin(ctx, pin, pinDigits); err != nil {
		return domain.Commit{}, err
	}
	commit := domain.Commit{
		ID: a.IDs.New(), CheckoutID: checkoutID, UserID: userID, Caller: caller, RequestID: requestID,
		Terms: quote.Terms, State: domain.CommitStarted, Version: 1, CreateTime: a.now(),
	}
	err = a.Store.Do(ctx, func(tx Tx) error {
		tx.InsertCommit(commit)
		tx.Remember(commitKey(caller, requestID), fp, nil)
		tx.GuardPin(*pin)
		tx.Schedule(JobRecoverCommit, ids.Format(ids.Commit, commit.ID), commit.CreateTime.Add(a.Limits.RecoverAfter))
		return nil
	})
	if k, dup := mysqlx.Duplicate(err); dup && k == "uq_active_checkout" {
		return domain.Commit{}, a.whyNoSecondCommit(ctx, checkoutID)
	}
	return commit, err
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
func (a *App) whyNoSecondCommit(ctx context.Context, checkoutID ids.ID) error {
	last, err := a.Store.LastCommit(ctx, checkoutID)
	if err != nil {
		return err
	}
	if last != nil && last.State == domain.CommitSucceeded {
		return errs.CheckoutAlreadyPaid.New("the checkout is paid")
	}
	return errs.CheckoutCommitting.New("another commit of this checkout is under way; ask QueryPaymentStatus for its outcome")
}
