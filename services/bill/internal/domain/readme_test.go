package domain

import (
	"testing"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/statetable"
)

func TestReadmeShowsTheStatesOfTheTables(t *testing.T) {
	const readme = "../../README.md"
	statetable.SyncReadme(t, readme, approval.Moves.Name(), approval.Moves.Mermaid())
	statetable.SyncReadme(t, readme, AccountStates.Name(), AccountStates.Mermaid())
	statetable.SyncReadme(t, readme, LoanStates.Name(), LoanStates.Mermaid())
	statetable.SyncReadme(t, readme, RepaymentStates.Name(), RepaymentStates.Mermaid())
	statetable.SyncReadme(t, readme, BillStates.Name(), BillStates.Mermaid())
	statetable.SyncReadme(t, readme, ChallengeStates.Name(), ChallengeStates.Mermaid())
}
