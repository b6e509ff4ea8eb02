package app

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// RepaymentKind is what a repayment is for. The numbers are stored.
type RepaymentKind uint8

const (
	// RepayDebt pays bills, loans, or whatever is owed.
	RepayDebt RepaymentKind = 1
	// RepayEarly settles one loan at the price of the day.
	RepayEarly RepaymentKind = 2
)

// Repayment is money that a user pays back. Its row is the record of the request that began it.
type Repayment struct {
	ID                ids.ID
	UserID            string
	Caller, RequestID string
	Fingerprint       idempotency.Fingerprint
	Kind              RepaymentKind
	Target            domain.RepaymentTarget
	Channel           string
	Amount            money.Amount
	// Rest is what no loan took: it became credit balance.
	Rest  money.Amount
	State domain.RepaymentState
	// CreateTime began it, PayTime is when the money arrived, EndTime of the last change of state; the last two zero before.
	CreateTime, PayTime, EndTime time.Time
	// AskTime is when the payment service is asked what became of it; zero once it is known.
	AskTime time.Time
	Version int64
}

// Repay asks for a repayment.
type Repay struct {
	// BillIDs or LoanIDs name what is paid; neither: whatever is owed.
	BillIDs, LoanIDs []ids.ID
	// Amount is the zero Amount for what the named bills or loans need.
	Amount  money.Amount
	Channel string
}

// CashLeg is where the money of a repayment is collected.
type CashLeg struct {
	State CashLegState
	// RedirectURL is where the payer pays; empty once it is not pending.
	RedirectURL string
	PayTime     time.Time
}

// CashLegState is what became of a leg.
type CashLegState uint8

// The states of a leg that matter here.
const (
	CashLegPending   CashLegState = 1
	CashLegSucceeded CashLegState = 2
	CashLegFailed    CashLegState = 3
	// CashLegReversed had its money and gave it back.
	CashLegReversed CashLegState = 4
)

// CashChannel is a way to pay cash.
type CashChannel struct{ Code, Name string }

// CashDesk is the payment service as far as it has cash collected.
type CashDesk interface {
	// OpenCashLeg has money collected for a repayment; repeating answers the same leg. Errors: errs.ChannelNotAvailable.
	OpenCashLeg(ctx context.Context, r Repayment) (CashLeg, error)
	// CashLeg is the leg of a repayment. Errors: errs.NotFound.
	CashLeg(ctx context.Context, repaymentID ids.ID) (CashLeg, error)
	// CashChannels are the channels that can collect now.
	CashChannels(ctx context.Context) ([]CashChannel, error)
	// CashReturn is a return as its owner knows it. Errors: errs.NotFound.
	CashReturn(ctx context.Context, reference ids.ID) (CashReturn, error)
	// RepaymentReturn is what became of the part of a repayment that a refund gives back.
	RepaymentReturn(ctx context.Context, refundID, repaymentID ids.ID) (RepaymentReturn, error)
}

// CashReturn is cash on its way back to a user, or a part of it that was given up.
type CashReturn struct {
	UserID string
	Amount money.Amount
	// OfDownPayment says that it had paid a down payment.
	OfDownPayment bool
	// Abandoned says that the payer does not get it this way.
	Abandoned bool
}

// RepaymentReturn is the return of a part of a repayment, and what of the repayment may still go back.
type RepaymentReturn struct {
	// Made says that there is a return, Abandoned that the payer does not get it.
	Made, Abandoned bool
	// Left may still go back; the zero Amount when the repayment's money is not there.
	Left money.Amount
}

// Begun is a repayment and where to pay it.
type Begun struct {
	Repayment   Repayment
	RedirectURL string
}

const (
	// askAfter is when the payment service is asked about a repayment of which no event told.
	askAfter = 15 * time.Minute
	// askAgain is the pause between two questions.
	askAgain = 15 * time.Minute
)

// RepayBills begins a repayment: the amount is fixed, and its money is collected by the marketplace. What it pays is decided when
// the money arrives. Errors: errs.NotFound for bills and loans that are not the user's, errs.NothingToPay, errs.AmountOutOfRange,
// errs.CurrencyMismatch, errs.ChannelNotAvailable, errs.AccountNotFound, errs.TooManyOpenRepayments.
func (a *App) RepayBills(ctx context.Context, userID, caller, requestID string, req Repay) (Begun, error) {
	return a.begin(ctx, userID, caller, requestID, req, func() (Repayment, error) {
		account, own, err := a.ownLoans(ctx, userID)
		if err != nil {
			return Repayment{}, err
		}
		target, err := own.target(req.BillIDs, req.LoanIDs)
		if err != nil {
			return Repayment{}, err
		}
		amount := req.Amount
		if amount == (money.Amount{}) {
			if amount, err = domain.SumToPay(account.Limit.Currency(), own.positions, target); err != nil {
				return Repayment{}, err
			}
			if amount.IsZero() {
				return Repayment{}, errs.NothingToPay.New("nothing is owed of what was named")
			}
		}
		switch {
		case amount.Currency() != account.Limit.Currency():
			return Repayment{}, errs.CurrencyMismatch.New("the account is in %s", account.Limit.Currency())
		case !amount.IsPositive() || money.Bounded(amount) != nil:
			return Repayment{}, errs.AmountOutOfRange.New("the amount must be above zero and at most %d minor units", money.MaxMinor)
		}
		return Repayment{Kind: RepayDebt, Target: target, Amount: amount}, nil
	})
}

// SettleEarly begins the settlement of a loan at today's price, which is kept while the money is collected. Errors: errs.NotFound,
// errs.NothingToPay, errs.LoanStateInvalid, errs.ChannelNotAvailable.
func (a *App) SettleEarly(ctx context.Context, userID, caller, requestID string, loanID ids.ID, channel string) (Begun, error) {
	return a.begin(ctx, userID, caller, requestID, Repay{LoanIDs: []ids.ID{loanID}, Channel: channel}, func() (Repayment, error) {
		quote, err := a.QuoteEarlySettlement(ctx, userID, loanID)
		if err != nil {
			return Repayment{}, err
		}
		if !quote.Amount.IsPositive() {
			return Repayment{}, errs.NothingToPay.New("nothing is owed of this loan")
		}
		return Repayment{Kind: RepayEarly, Target: domain.RepaymentTarget{Loans: []ids.ID{loanID}}, Amount: quote.Amount}, nil
	})
}

// QuoteEarlySettlement is what it costs to settle a loan of the user today. Errors: errs.NotFound, errs.LoanStateInvalid.
func (a *App) QuoteEarlySettlement(ctx context.Context, userID string, loanID ids.ID) (domain.PayOffQuote, error) {
	l, facts, found, err := a.store.LoanByID(ctx, loanID)
	if err != nil {
		return domain.PayOffQuote{}, err
	}
	if !found || l.UserID != userID {
		return domain.PayOffQuote{}, errs.NotFound.New("no such loan")
	}
	if l.Start.IsZero() {
		return domain.PayOffQuote{}, errs.LoanStateInvalid.New("the goods are not confirmed, so nothing is owed").With("state", l.State.String())
	}
	terms, err := a.contract(ctx, a.store, l)
	if err != nil {
		return domain.PayOffQuote{}, err
	}
	return domain.QuotePayOff(terms, facts, later(today(terms.Product, a.now()), l.Start))
}

func later(x, y civil.Date) civil.Date {
	if x.Before(y) {
		return y
	}
	return x
}

// begin stores the repayment that plan makes, once per request, and opens its leg. The leg has the repayment's id for a key, so that
// a repeat finds the same one, also after a crash between the two.
func (a *App) begin(ctx context.Context, userID, caller, requestID string, req Repay, plan func() (Repayment, error)) (Begun, error) {
	fp, err := idempotency.FingerprintOf(req)
	if err != nil {
		return Begun{}, err
	}
	before := func() (idempotency.Record, bool, error) {
		r, found, err := a.store.RepaymentOfRequest(ctx, caller, requestID)
		if err != nil || !found {
			return idempotency.Record{}, false, err
		}
		answer, err := json.Marshal(r.ID)
		return idempotency.Record{Fingerprint: r.Fingerprint, Answer: answer}, true, err
	}
	id, err := idempotency.DoWith(fp, before, func() (ids.ID, error) {
		if err := a.mayPayBy(ctx, req.Channel); err != nil {
			return ids.ID{}, err
		}
		r, err := plan()
		if err != nil {
			return ids.ID{}, err
		}
		r.ID, r.UserID, r.Caller, r.RequestID, r.Fingerprint, r.Channel = a.ids.New(), userID, caller, requestID, fp, req.Channel
		r.Rest, r.State, r.Version = money.Zero(r.Amount.Currency()), domain.RepaymentPending, 1
		r.CreateTime = a.now()
		r.AskTime = r.CreateTime.Add(askAfter)
		return r.ID, a.store.Do(ctx, func(tx Tx) error {
			tx.InsertRepayment(r, a.openRepayments)
			return nil
		})
	})
	if err != nil {
		return Begun{}, err
	}
	r, err := a.ownRepayment(ctx, userID, id)
	if err != nil || r.State != domain.RepaymentPending {
		return Begun{Repayment: r}, err
	}
	leg, err := a.payments.OpenCashLeg(ctx, r)
	return Begun{Repayment: r, RedirectURL: leg.RedirectURL}, err
}

func (a *App) mayPayBy(ctx context.Context, channel string) error {
	list, err := a.payments.CashChannels(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(list, func(c CashChannel) bool { return c.Code == channel }) {
		return errs.ChannelNotAvailable.New("channel %q is not offered; QueryRepayChannels lists what is", channel)
	}
	return nil
}

// QueryRepayChannels gives the channels for repayments of bills, or of an amount. Errors: errs.NotFound for bills that are not the
// user's, errs.AccountNotFound.
func (a *App) QueryRepayChannels(ctx context.Context, userID string, billIDs []ids.ID) ([]CashChannel, error) {
	if len(billIDs) > 0 {
		_, own, err := a.ownLoans(ctx, userID)
		if err != nil {
			return nil, err
		}
		if _, err := own.target(billIDs, nil); err != nil {
			return nil, err
		}
	}
	return a.payments.CashChannels(ctx)
}

func (a *App) ownRepayment(ctx context.Context, userID string, id ids.ID) (Repayment, error) {
	r, found, err := a.store.Repayment(ctx, id)
	if err != nil {
		return Repayment{}, err
	}
	if !found || r.UserID != userID {
		return Repayment{}, errs.NotFound.New("no such repayment")
	}
	return r, nil
}

// RepaymentAllocation is a piece of a repayment.
type RepaymentAllocation struct {
	// LoanID is zero for what no loan took.
	LoanID ids.ID
	domain.Allocation
}

// QueryRepayment gives a repayment of the user, where to pay it, and where its money went. Errors: errs.NotFound.
func (a *App) QueryRepayment(ctx context.Context, userID string, id ids.ID) (Begun, []RepaymentAllocation, error) {
	r, err := a.ownRepayment(ctx, userID, id)
	if err != nil {
		return Begun{}, nil, err
	}
	answer := Begun{Repayment: r}
	switch r.State {
	case domain.RepaymentPending:
		leg, err := a.payments.CashLeg(ctx, id)
		if err == nil {
			answer.RedirectURL = leg.RedirectURL
		} else if !errs.Is(err, errs.NotFound) && !errs.Passing(err) {
			return answer, nil, err
		}
		return answer, nil, nil
	case domain.RepaymentSucceeded:
		allocations, err := a.allocations(ctx, r)
		return answer, allocations, err
	default:
		return answer, nil, nil
	}
}

// allocations is where the money of a repayment went, by replay; they add up to its amount.
func (a *App) allocations(ctx context.Context, r Repayment) ([]RepaymentAllocation, error) {
	_, own, err := a.ownLoans(ctx, r.UserID)
	if err != nil {
		return nil, err
	}
	return r.allocated(own.positions), nil
}

// allocated is where the money went, when it went to loans in these positions.
func (r Repayment) allocated(positions []domain.LoanPosition) []RepaymentAllocation {
	var out []RepaymentAllocation
	for _, p := range positions {
		for _, piece := range p.Position.AllocatedBy(r.ID) {
			out = append(out, RepaymentAllocation{LoanID: p.LoanID, Allocation: piece})
		}
	}
	if r.Rest.IsPositive() {
		out = append(out, RepaymentAllocation{Allocation: domain.Allocation{FactID: r.ID, Part: domain.PartOverpaid, Amount: r.Rest}})
	}
	return out
}

// ownLoans is what a user owes today.
type ownLoans struct {
	userID    string
	loans     []Loan
	facts     map[ids.ID][]domain.Fact
	positions []domain.LoanPosition
}

// ownLoans figures every loan of a user that has begun, as of today, without writing. Errors: errs.AccountNotFound.
func (a *App) ownLoans(ctx context.Context, userID string) (Account, ownLoans, error) {
	account, found, err := a.store.Account(ctx, userID)
	switch {
	case err != nil:
		return account, ownLoans{}, err
	case !found:
		return account, ownLoans{}, noAccount()
	}
	own := ownLoans{userID: userID}
	if own.loans, own.facts, err = a.store.BegunLoans(ctx, userID); err != nil {
		return account, own, err
	}
	own.positions, err = a.positions(ctx, a.store, own.loans, own.facts, a.now())
	return account, own, err
}

// positions are loans as of the day of a time. All products follow one calendar.
func (a *App) positions(ctx context.Context, r ProductReader, loans []Loan, facts map[ids.ID][]domain.Fact, at time.Time) ([]domain.LoanPosition, error) {
	out := make([]domain.LoanPosition, 0, len(loans))
	for _, l := range loans {
		terms, err := a.contract(ctx, r, l)
		if err != nil {
			return nil, err
		}
		asOf := today(terms.Product, at)
		if l.Start.After(asOf) {
			continue // Confirmed by a clock that is ahead of ours: nothing is due yet.
		}
		pos, err := domain.Replay(terms, facts[l.ID], asOf)
		if err != nil {
			return nil, err
		}
		out = append(out, domain.LoanPosition{LoanID: l.ID, Position: pos})
	}
	return out, nil
}

// target names the bills and loans that ids stand for. Errors: errs.NotFound, errs.InvalidArgument.
func (o ownLoans) target(billIDs, loanIDs []ids.ID) (domain.RepaymentTarget, error) {
	t := domain.RepaymentTarget{Loans: loanIDs}
	if len(billIDs) == 0 {
		return t, nil
	}
	bills, err := domain.BillsOf(o.positions)
	if err != nil {
		return t, err
	}
	for _, id := range billIDs {
		i := slices.IndexFunc(bills, func(b domain.Bill) bool {
			return BillID(o.userID, domain.BillName{BillDate: b.BillDate, DueDate: b.DueDate}) == id
		})
		if i < 0 {
			return t, errs.NotFound.New("no such bill: %s", ids.Format(ids.Bill, id))
		}
		t.Bills = append(t.Bills, domain.BillName{BillDate: bills[i].BillDate, DueDate: bills[i].DueDate})
	}
	return t, nil
}
