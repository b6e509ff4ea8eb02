package domain

import (
	"testing"

	"github.com/creditpay/creditpay/pkg/statetable"
)

func TestReadmeShowsTheStatesOfTheTables(t *testing.T) {
	const readme = "../../README.md"
	statetable.SyncReadme(t, readme, AccountStates.Name(), AccountStates.Mermaid())
	statetable.SyncReadme(t, readme, LoanStates.Name(), LoanStates.Mermaid())
	statetable.SyncReadme(t, readme, ChallengeStates.Name(), ChallengeStates.Mermaid())
}
