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
)

// post writes a journal of a loan.
func post(tx Tx, l Loan, cause string, lines []domain.Line) {
	out := make([]ledger.Line, len(lines))
	for i, line := range lines {
		out[i] = ledger.Line{Account: line.Account, Party: partyOf(line.Account, l), Debit: line.Debit, Credit: line.Credit}
	}
	tx.Post(ids.Format(ids.Loan, l.ID), cause, out)
}

// partyOf is whom a line of a loan's journal is about: the borrower, but for what is owed to the shop and for the house's own accounts.
func partyOf(account string, l Loan) string {
	switch account {
	case domain.CreditClearing:
		return l.MerchantID
	case domain.FeeUnearned, domain.InterestIncome:
		return ""
	default:
		return l.UserID
	}
}
