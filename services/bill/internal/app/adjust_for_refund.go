package app

import (
	"context"
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// RefundRequest asks to adjust an order's loan for a refund.
type RefundRequest struct {
	// RefundID is also the idempotency key.
	RefundID, OrderID ids.ID
	// Amount is the part of the refund that the loan financed, above zero.
	Amount money.Amount
	// Expected is the fingerprint of the only adjustment that may be made; empty for whatever it is.
	Expected string
	// Actor is who asks; it does not tell requests apart.
	Actor string
}

// AdjustForRefund adjusts the loan that counts of an order. A draft shrinks, or is taken back when nothing of it is left; a loan that
// has begun gets a fact of today, and what follows from it is figured by replay. Cash goes back by the repayments that brought it, the
// rest of it is credit balance. The same refund with the same content answers its record; before there is one, the refund service is asked
// what the refund is. It fails with errs.NotFound (no loan counts, or there is no such refund), errs.RefundExceedsBudget,
// errs.RefundChanged (not the adjustment that is expected), errs.RequestIDReused, errs.CurrencyMismatch and errs.AmountOutOfRange; with
// errs.RefundStateInvalid and errs.LegAmountMismatch when the refund service does not confirm it.
func (a *App) AdjustForRefund(ctx context.Context, r RefundRequest) (domain.RefundAdjustment, error) {
	known, found, err := a.store.LoanRefund(ctx, r.RefundID)
	if err != nil {
		return domain.RefundAdjustment{}, err
	}
	if found {
		return known.again(r)
	}
	if err := a.confirmRefund(ctx, r); err != nil {
		return domain.RefundAdjustment{}, err
	}
	return again(ctx, func() (domain.RefundAdjustment, error) {
		var adj domain.RefundAdjustment
		err := a.store.DoLocking(ctx, func(tx LockingTx) (err error) {
			adj, err = a.adjust(ctx, tx, r)
			return err
		})
		return adj, err
	})
}

// again is the answer to a refund that has a record.
func (known LoanRefund) again(r RefundRequest) (domain.RefundAdjustment, error) {
	if known.OrderID != r.OrderID || known.Amount != r.Amount {
		return domain.RefundAdjustment{}, errs.RequestIDReused.New("this refund came before with other content; use a new one")
	}
	return known.Effect, nil
}

// RefundParts is a refund as its owner knows it.
type RefundParts struct {
	OrderID ids.ID
	// Credit is the part that credit financed.
	Credit money.Amount
	// Adjusting says that the refund is carried out, and that the loan is what comes next.
	Adjusting bool
	// Expected is the fingerprint of the only adjustment that was approved; empty for whatever it is.
	Expected string
}

// Refunds is the refund service.
type Refunds interface {
	// RefundParts is a refund as its owner knows it. Errors: errs.NotFound.
	RefundParts(ctx context.Context, refundID ids.ID) (RefundParts, error)
}

// confirmRefund holds a refund that is not known here against the refund service's. No transaction is open.
func (a *App) confirmRefund(ctx context.Context, r RefundRequest) error {
	parts, err := a.refunds.RefundParts(ctx, r.RefundID)
	name := ids.Format(ids.Refund, r.RefundID)
	switch {
	case err != nil:
		return err
	case parts.OrderID != r.OrderID || parts.Credit != r.Amount:
		return errs.LegAmountMismatch.New("refund %s does not take %s out of the credit of order %s", name, r.Amount, ids.Format(ids.Order, r.OrderID))
	case !parts.Adjusting:
		return errs.RefundStateInvalid.New("refund %s is not at the step that adjusts the loan: nothing was adjusted", name)
	case parts.Expected != r.Expected:
		return errs.RefundChanged.New("refund %s was approved with another adjustment; ask with its fingerprint", name)
	default:
		return nil
	}
}

// adjust is AdjustForRefund in its transaction. The loans are locked first: whatever else happens to them, goods that are received,
// money that arrives, another refund, is before or after.
func (a *App) adjust(ctx context.Context, tx LockingTx, r RefundRequest) (domain.RefundAdjustment, error) {
	loans, err := tx.LockLoans(ctx, []ids.ID{r.OrderID})
	if err != nil {
		return domain.RefundAdjustment{}, err
	}
	known, found, err := tx.LoanRefund(ctx, r.RefundID)
	switch {
	case err != nil:
		return domain.RefundAdjustment{}, err
	case found:
		return known.again(r)
	}
	now := a.now()
	w, err := a.workOut(ctx, tx, loans, r, now)
	if err != nil {
		return domain.RefundAdjustment{}, err
	}
	if r.Expected != "" && r.Expected != w.adj.Fingerprint() {
		return domain.RefundAdjustment{}, errs.RefundChanged.New("the refund would now do something else to the loan than what was approved; look at it again")
	}
	tx.InsertLoanRefund(LoanRefund{
		RefundID: r.RefundID, LoanID: w.loan.ID, OrderID: r.OrderID, Kind: w.kind(), Amount: r.Amount, Effect: w.adj, Actor: r.Actor, CreateTime: now,
	})
	switch w.kind() {
	case RefundShrankDraft:
		err = a.writeShrunk(tx, w, r, now)
	case RefundVoidedDraft:
		err = a.writeTakenBack(ctx, tx, w, r, now)
	default:
		err = a.writeRefunded(ctx, tx, w, r, now)
	}
	return w.adj, err
}

// workedOut is what a refund does, before anything is written.
type workedOut struct {
	// loan is as it was, draft what it becomes when it was one.
	loan  Loan
	draft domain.Loan
	// facts are those before, fact is the refund's, of a loan that has begun.
	facts []domain.Fact
	fact  domain.Fact
	adj   domain.RefundAdjustment
}

func (w workedOut) kind() RefundKind {
	switch {
	case w.loan.State != domain.LoanDraft:
		return RefundOfBegun
	case w.draft.State == domain.LoanVoid:
		return RefundVoidedDraft
	default:
		return RefundShrankDraft
	}
}

// RefundReader reads what a refund depends on, inside a transaction or not.
type RefundReader interface {
	ProductReader
	// Account finds the credit account of a user; false when there is none.
	Account(ctx context.Context, userID string) (Account, bool, error)
	// Facts gives the facts of loans that stand, by loan.
	Facts(ctx context.Context, loanIDs []ids.ID) (map[ids.ID][]domain.Fact, error)
	// RefundsGiven is what refunds of a loan gave back by repayments, kept as credit balance since or not.
	RefundsGiven(ctx context.Context, loanID ids.ID) ([]domain.Given, error)
}

// workOut is the one computation of the preview and of the refund itself.
func (a *App) workOut(ctx context.Context, rd RefundReader, loans []Loan, r RefundRequest, now time.Time) (w workedOut, err error) {
	for _, l := range loans {
		if l.State != domain.LoanVoid {
			w.loan = l
		}
	}
	if w.loan.ID.IsZero() {
		return w, errs.NotFound.New("no loan of order %s counts", ids.Format(ids.Order, r.OrderID))
	}
	account, found, err := rd.Account(ctx, w.loan.UserID)
	if err == nil && !found {
		err = noAccount()
	}
	if err != nil {
		return w, err
	}
	if w.loan.State == domain.LoanDraft {
		return a.workOutDraft(ctx, rd, w, account, r, now)
	}
	return a.workOutBegun(ctx, rd, w, account, r, now)
}

func (a *App) workOutDraft(ctx context.Context, rd RefundReader, w workedOut, account Account, r RefundRequest, now time.Time) (workedOut, error) {
	product, err := a.products.version(ctx, rd, w.loan.Plan.ProductCode, w.loan.Plan.ProductVersion)
	if err != nil {
		return w, err
	}
	if w.draft, w.adj, err = w.loan.ReduceDraft(product, r.Amount, now); err != nil {
		return w, err
	}
	held, err := account.Held.Sub(r.Amount)
	if err != nil {
		return w, err
	}
	w.adj.LimitFreed, err = account.FreedBy(account.Used, held)
	return w, err
}

func (a *App) workOutBegun(ctx context.Context, rd RefundReader, w workedOut, account Account, r RefundRequest, now time.Time) (workedOut, error) {
	terms, err := a.contract(ctx, rd, w.loan)
	if err != nil {
		return w, err
	}
	facts, err := rd.Facts(ctx, []ids.ID{w.loan.ID})
	if err != nil {
		return w, err
	}
	given, err := rd.RefundsGiven(ctx, w.loan.ID)
	if err != nil {
		return w, err
	}
	w.facts = facts[w.loan.ID]
	w.fact = domain.Fact{ID: r.RefundID, Kind: domain.FactRefunded, Date: later(today(terms.Product, now), w.loan.Start), Amount: r.Amount}
	begun := domain.BegunLoan{Terms: terms, Facts: w.facts, Payable: w.loan.Payable, Given: given}
	adj, after, err := begun.Refund(w.fact, w.fact.Date)
	if err != nil {
		return w, err
	}
	w.adj = adj
	less, err := w.loan.Outstanding.Sub(after.Open.Principal)
	if err != nil {
		return w, err
	}
	used, err := account.Used.Sub(less)
	if err != nil {
		return w, err
	}
	w.adj.LimitFreed, err = account.FreedBy(used, account.Held)
	return w, err
}

// writeShrunk writes a draft that a refund made smaller. Its journal is the refund's: a loan may shrink several times.
func (a *App) writeShrunk(tx Tx, w workedOut, r RefundRequest, now time.Time) error {
	next := w.loan
	next.Loan = w.draft
	var err error
	if next.Shrunk, err = w.loan.Shrunk.Add(r.Amount); err != nil {
		return err
	}
	tx.UpdateDraft(next)
	lines, err := domain.ReleaseLines(r.Amount)
	if err != nil {
		return err
	}
	postOf(tx, ids.Format(ids.Refund, r.RefundID), next.UserID, causeReduced, lines)
	tx.ReleaseHold(next.UserID, r.Amount, now, errs.Internal.New("the account of user %s holds less than its drafts", next.UserID))
	return nil
}

// writeTakenBack voids a draft of which nothing is left, as ReleaseCredit does.
func (a *App) writeTakenBack(ctx context.Context, tx LockingTx, w workedOut, r RefundRequest, now time.Time) error {
	reservation, found, err := tx.LockReservation(ctx, w.loan.CommitID)
	if err != nil {
		return err
	}
	if !found {
		return errs.Internal.New("loan %s has no reservation", ids.Format(ids.Loan, w.loan.ID))
	}
	// Read after the reservation is locked: of two drafts that are taken back at once, the second sees the first.
	loans, err := tx.LoansOfCommit(ctx, w.loan.CommitID)
	if err != nil {
		return err
	}
	if countLive(loans) == 1 {
		reservation.State, reservation.ReleaseTime = ReservationReleased, now
	}
	tx.UpdateReservation(reservation)
	next := w.loan
	next.Loan, next.EndActor, next.EndCause = w.draft, r.Actor, "refunded: "+ids.Format(ids.Refund, r.RefundID)
	if err := writeVoided(tx, []Loan{next}); err != nil {
		return err
	}
	tx.ReleaseHold(next.UserID, r.Amount, now, errs.Internal.New("the account of user %s holds less than its drafts", next.UserID))
	return nil
}

// writeRefunded writes the fact of a refund and the loan as it is with it.
func (a *App) writeRefunded(ctx context.Context, tx LockingTx, w workedOut, r RefundRequest, now time.Time) error {
	tx.InsertFacts([]LoanFact{{LoanID: w.loan.ID, Fact: w.fact, Actor: r.Actor, Cause: "refund", CreateTime: now}})
	next := w.loan
	for _, s := range w.adj.Sources {
		var err error
		if next.Payable, err = next.Payable.Add(s.Amount); err != nil {
			return err
		}
	}
	f, err := a.figure(ctx, tx, next, slices.Concat(w.facts, []domain.Fact{w.fact}), now)
	if err != nil {
		return err
	}
	return a.writeFigured(tx, []figured{f}, causeRefunded, r.Actor, AllBills, now)
}
