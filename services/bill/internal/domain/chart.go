package domain

// The chart of accounts of the bill service. The names are stored and never
// reused for another meaning. Chart says what kind each is.
const (
	// CreditCommitment is a memorandum account: credit promised to users by holds.
	// Its balance (debit) is the sum of all Account.Held.
	CreditCommitment = "CREDIT_COMMITMENT"
	// CreditCommitmentContra is its other side, so that memoranda balance.
	CreditCommitmentContra = "CREDIT_COMMITMENT_CONTRA"
	// LoanPrincipal is an asset: principal that users owe.
	// Its balance (debit) is the sum of all Loan.Outstanding.
	LoanPrincipal = "LOAN_PRINCIPAL"
	// InterestReceivable is an asset: interest billed and not yet paid.
	InterestReceivable = "INTEREST_RECEIVABLE"
	// FeeReceivable is an asset: handling fees that users owe.
	FeeReceivable = "FEE_RECEIVABLE"
	// LateFeeReceivable is an asset: late fees charged and not yet paid.
	LateFeeReceivable = "LATE_FEE_RECEIVABLE"
	// RepaymentClearing is an asset: money of payers on its way to the lender,
	// through whatever channel, until it is settled.
	RepaymentClearing = "REPAYMENT_CLEARING"
	// CreditClearing is a liability: what the lender owes to shops for the goods that
	// loans have paid, less what they refunded, until it is settled.
	CreditClearing = "CREDIT_CLEARING"
	// CreditBalance is a liability: what users paid too much, and what refunds give
	// back that no repayment can carry. A debit balance is what a user got back of
	// money that bounced.
	CreditBalance = "CREDIT_BALANCE"
	// RefundPayable is a liability: what users get back by their repayments for
	// refunded goods that they had paid. It stays open towards the payment service,
	// which gives the cash back and has it in its own books.
	RefundPayable = "REFUND_PAYABLE"
	// PayoutClearing is a liability: money on its way to users.
	PayoutClearing = "PAYOUT_CLEARING"
	// FeeUnearned is a liability: handling fees charged and not yet billed.
	FeeUnearned = "FEE_UNEARNED"
	// InterestUnearned is a liability: interest that was paid before it was billed.
	InterestUnearned = "INTEREST_UNEARNED"
	// InterestIncome is revenue: interest that was billed, less what refunds took
	// back of it.
	InterestIncome = "INTEREST_INCOME"
	// FeeIncome is revenue: handling fees that were billed.
	FeeIncome = "FEE_INCOME"
	// LateFeeIncome is revenue: late fees charged, less those waived.
	LateFeeIncome = "LATE_FEE_INCOME"
	// RecoveryIncome is revenue: what came back of loans given up.
	RecoveryIncome = "RECOVERY_INCOME"
	// WriteOffExpense is an expense: all that was given up, before recoveries.
	WriteOffExpense = "WRITE_OFF_EXPENSE"
)

// AccountKind is what an account of the chart is.
type AccountKind string

// The kinds of accounts. Assets, expenses and the debit memorandum have debit
// balances, the others credit balances.
const (
	KindMemorandum AccountKind = "MEMORANDUM"
	KindAsset      AccountKind = "ASSET"
	KindLiability  AccountKind = "LIABILITY"
	KindIncome     AccountKind = "INCOME"
	KindExpense    AccountKind = "EXPENSE"
)

// PartyKind is whom a line of an account is about.
type PartyKind string

// The kinds of parties.
const (
	PartyUser     PartyKind = "USER"
	PartyMerchant PartyKind = "MERCHANT"
	PartyHouse    PartyKind = "HOUSE"
)

// ChartEntry is one account of the chart.
type ChartEntry struct {
	// Account is its name in journals.
	Account string
	// Kind is what it is, Party whom its lines are about.
	Kind  AccountKind
	Party PartyKind
}

// Chart is the chart of accounts, in the order in which Lines lists them.
func Chart() []ChartEntry {
	return []ChartEntry{
		{CreditCommitment, KindMemorandum, PartyUser},
		{CreditCommitmentContra, KindMemorandum, PartyUser},
		{LoanPrincipal, KindAsset, PartyUser},
		{InterestReceivable, KindAsset, PartyUser},
		{FeeReceivable, KindAsset, PartyUser},
		{LateFeeReceivable, KindAsset, PartyUser},
		{RepaymentClearing, KindAsset, PartyUser},
		{CreditClearing, KindLiability, PartyMerchant},
		{CreditBalance, KindLiability, PartyUser},
		{RefundPayable, KindLiability, PartyUser},
		{PayoutClearing, KindLiability, PartyUser},
		{FeeUnearned, KindLiability, PartyHouse},
		{InterestUnearned, KindLiability, PartyHouse},
		{InterestIncome, KindIncome, PartyHouse},
		{FeeIncome, KindIncome, PartyHouse},
		{LateFeeIncome, KindIncome, PartyHouse},
		{RecoveryIncome, KindIncome, PartyHouse},
		{WriteOffExpense, KindExpense, PartyHouse},
	}
}
