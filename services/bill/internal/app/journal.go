package app

import (
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/ledger"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// The causes of journals. The names are stored; the audit counts them.
const (
	causeHeld      = "CREDIT_HELD"
	causeReleased  = "CREDIT_RELEASED"
	causeActivated = "LOAN_ACTIVATED"
	// causeTime is time alone: instalments were billed, late fees charged.
	causeTime          = "TIME_PASSED"
	causeRepaid        = "REPAID"
	causeBounced       = "REPAYMENT_BOUNCED"
	causeSettled       = "SETTLED_EARLY"
	causeWaived        = "LATE_FEE_WAIVED"
	causeWrittenOff    = "WRITTEN_OFF"
	causeRecovered     = "RECOVERED"
	causeCreditBalance = "CREDIT_BALANCE"
	causePaidOut       = "CREDIT_PAID_OUT"
	// causeReduced is a hold that a refund made smaller, causeRefunded a refund of a loan that has begun, causeKept cash of a refund
	// that became credit balance.
	causeReduced  = "CREDIT_REDUCED"
	causeRefunded = "REFUNDED"
	causeKept     = "REFUND_KEPT"
	// causeCashKept is a part of a down payment that became credit balance.
	causeCashKept = "CASH_KEPT"
)

// post writes a journal of a loan.
func post(tx Tx, l Loan, cause string, lines []domain.Line) {
	out := make([]ledger.Line, len(lines))
	for i, line := range lines {
		out[i] = ledger.Line{Account: line.Account, Party: partyOf(line.Account, l), Debit: line.Debit, Credit: line.Credit}
	}
	tx.Post(ids.Format(ids.Loan, l.ID), cause, out)
}

// postOf writes a journal about something else of a user.
func postOf(tx Tx, objectID, userID, cause string, lines []domain.Line) {
	out := make([]ledger.Line, len(lines))
	for i, line := range lines {
		out[i] = ledger.Line{Account: line.Account, Party: userID, Debit: line.Debit, Credit: line.Credit}
	}
	tx.Post(objectID, cause, out)
}

// partyOf is whom a line of a loan's journal is about, by the chart: the borrower, the shop, or the house.
func partyOf(account string, l Loan) string {
	for _, entry := range domain.Chart() {
		if entry.Account != account {
			continue
		}
		switch entry.Party {
		case domain.PartyUser:
			return l.UserID
		case domain.PartyMerchant:
			return l.MerchantID
		default:
			return ""
		}
	}
	return l.UserID
}
