package app_test

import (
	"context"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// The bed's clock begins in April 2026. A loan of 300,000 over three months at 2.95 % with 1 % fee: instalments of 108,850 with the
// fee of 3,000 in the first, due on the 5th of June, July and August when it began between the 25th of April and the 24th of May.
const (
	loanPrice       = 300_000
	firstInstalment = 100_000 + 8_850 + 3_000
	nextInstalment  = 100_000 + 8_850
)

func begun(t *testing.T) (*bed, ids.ID) {
	t.Helper()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	b.clock.Set(time.Date(2026, time.May, 10, 12, 0, 0, 0, civil.Jakarta()))
	return b, b.running(t, "u1", loanPrice)
}

func wantBills(t *testing.T, s app.Standing, want ...domain.BillState) {
	t.Helper()
	if len(s.Bills) != len(want) {
		t.Fatalf("%d bills, want %d", len(s.Bills), len(want))
	}
	for i, b := range s.Bills {
		if b.State != want[i] {
			t.Errorf("bill of %s is %s, want %s", b.BillDate, b.State, want[i])
		}
	}
}

func TestALoanIsBilledBecomesLateAndIsPaidOff(t *testing.T) {
	t.Parallel()
	b, loan := begun(t)
	wantBills(t, b.standing(t, "u1"))
	b.advanceTo(t, 2026, time.May, 25)
	s := b.standing(t, "u1")
	wantBills(t, s, domain.BillIssued)
	if s.Bills[0].OpenTotal != rp(firstInstalment) || s.Bills[0].DueDate.String() != "2026-06-05" {
		t.Errorf("bill %+v", s.Bills[0])
	}
	b.advanceTo(t, 2026, time.June, 6)
	s = b.standing(t, "u1")
	wantBills(t, s, domain.BillOverdue)
	// 5 % of what is unpaid, from the first day after the due date.
	late := rp(5_593)
	if got := s.Loans[0].Position.Open.Late; got != late || s.Account.State != domain.AccountOverdue || s.Account.OverdueLoans != 1 {
		t.Errorf("late fee %s, account %+v", got, s.Account)
	}
	if _, err := b.ReserveCredit(t.Context(), b.purchase("u1", 20_000)); !errs.Is(err, errs.AccountOverdue) {
		t.Errorf("a purchase while overdue: %v", err)
	}
	b.repay(t, "u1", 0)
	s = b.standing(t, "u1")
	if s.Loans[0].State != domain.LoanSettled || s.Account.State != domain.AccountActive || !s.Account.Used.IsZero() {
		t.Errorf("after paying everything: %+v", s.Account)
	}
	if n := b.count(t, `SELECT COUNT(*) FROM outbox WHERE payload LIKE '%LoanSettled%'`); n != 1 {
		t.Errorf("%d LoanSettled events", n)
	}
	if n := b.count(t, `SELECT COUNT(*) FROM outbox WHERE payload LIKE '%LoanOverdueChanged%'`); n != 2 {
		t.Errorf("%d LoanOverdueChanged events, want one each way", n)
	}
	b.advanceTo(t, 2026, time.September, 1)
	wantBills(t, b.standing(t, "u1"), domain.BillPaid, domain.BillPaid, domain.BillPaid)
	_ = loan
}

func TestWhatIsWrittenWhenALoanBeginsIsItsFirstDaysReplay(t *testing.T) {
	t.Parallel()
	b, loan := begun(t)
	rows := `SELECT GROUP_CONCAT(CONCAT_WS('/', sequence, bill_date, due_date, billed, principal_minor, interest_minor, fee_minor, late_minor, paid_principal_minor,
		open_principal_minor, open_interest_minor, open_fee_minor, open_late_minor, cancelled_principal_minor, state) ORDER BY sequence) FROM instalments`
	read := func() (text, timer string) {
		t.Helper()
		if err := b.db.QueryRowContext(t.Context(), `SELECT (`+rows+`), roll_time FROM loans WHERE id = ?`, loan).Scan(&text, &timer); err != nil {
			t.Fatal(err)
		}
		return text, timer
	}
	before, timer := read()
	journal := b.count(t, `SELECT COUNT(*) FROM journal_lines`)
	if _, err := b.db.ExecContext(t.Context(), `UPDATE loans SET roll_time = ?`, b.clock.Now()); err != nil {
		t.Fatal(err)
	}
	if err := b.RollLoans(t.Context(), []ids.ID{loan}); err != nil {
		t.Fatal(err)
	}
	if after, again := read(); after != before || again != timer {
		t.Errorf("written %s, due %s; replayed %s, due %s", before, timer, after, again)
	}
	if n := b.count(t, `SELECT COUNT(*) FROM journal_lines`); n != journal {
		t.Errorf("the replay of the first day posted %d lines", n-journal)
	}
}

func TestComingWeeksLateGivesTheSameAsComingEachDay(t *testing.T) {
	t.Parallel()
	daily, loan := begun(t)
	late, same := begun(t)
	end := time.Date(2026, time.October, 20, 12, 0, 0, 0, civil.Jakarta())
	for at := daily.clock.Now(); at.Before(end); at = at.AddDate(0, 0, 1) {
		day := civil.Of(at, civil.Jakarta())
		daily.advanceTo(t, day.Year, day.Month, day.Day)
	}
	daily.advanceTo(t, 2026, time.October, 20)
	late.advanceTo(t, 2026, time.October, 20)
	x, y := daily.standing(t, "u1"), late.standing(t, "u1")
	if x.Loans[0].Position.OpenTotal != y.Loans[0].Position.OpenTotal || x.Loans[0].Outstanding != y.Loans[0].Outstanding || x.Account.State != y.Account.State {
		t.Errorf("daily %s, late %s", x.Loans[0].Position.OpenTotal, y.Loans[0].Position.OpenTotal)
	}
	sum := func(b *bed) int {
		return b.count(t, `SELECT COALESCE(SUM(credit_minor - debit_minor), 0) FROM journal_lines WHERE account = 'LATE_FEE_INCOME'`)
	}
	if sum(daily) != sum(late) || sum(daily) == 0 {
		t.Errorf("late fees recognised: daily %d, late %d", sum(daily), sum(late))
	}
	_, _ = loan, same
}

func TestARepaymentIsAllocatedOnceAndTheRestIsCreditBalance(t *testing.T) {
	t.Parallel()
	b, loan := begun(t)
	b.advanceTo(t, 2026, time.May, 26)
	req := app.Repay{LoanIDs: []ids.ID{loan}, Amount: rp(500_000), Channel: "VA"}
	first, err := b.RepayBills(t.Context(), "u1", "H5:u1", "repay-0001", req)
	if err != nil || first.RedirectURL == "" || first.Repayment.State != domain.RepaymentPending {
		t.Fatal(first, err)
	}
	again, err := b.RepayBills(t.Context(), "u1", "H5:u1", "repay-0001", req)
	if err != nil || again.Repayment.ID != first.Repayment.ID || again.RedirectURL != first.RedirectURL {
		t.Fatal(again, err)
	}
	if _, err := b.RepayBills(t.Context(), "u1", "H5:u1", "repay-0001", app.Repay{Amount: rp(1), Channel: "VA"}); !errs.Is(err, errs.RequestIDReused) {
		t.Errorf("other content: %v", err)
	}
	for range 3 {
		b.outcome(t, first.Repayment, app.CashLegSucceeded)
	}
	s := b.standing(t, "u1")
	owed := int64(firstInstalment + 2*nextInstalment)
	if s.Loans[0].State != domain.LoanSettled || s.Account.Credit != rp(500_000-owed) || !s.Account.Used.IsZero() {
		t.Errorf("account %+v", s.Account)
	}
	got, allocations, err := b.QueryRepayment(t.Context(), "u1", first.Repayment.ID)
	sum := int64(0)
	for _, a := range allocations {
		sum += a.Amount.Minor()
	}
	if err != nil || got.Repayment.State != domain.RepaymentSucceeded || sum != 500_000 {
		t.Errorf("%+v, allocations of %d, %v", got, sum, err)
	}
	if _, _, err := b.QueryRepayment(t.Context(), "u2", first.Repayment.ID); !errs.Is(err, errs.NotFound) {
		t.Errorf("another's repayment: %v", err)
	}
	left, _, err := b.PayOutCreditBalance(t.Context(), "u1", app.Operation{Actor: "ADMIN:alice", RequestID: "payout-1", Reason: "asked for", Amount: rp(100_000)})
	if err != nil || left != rp(500_000-owed-100_000) {
		t.Error(left, err)
	}
	b.entriesAddUp(t, "u1")
	if _, _, err := b.PayOutCreditBalance(t.Context(), "u1", app.Operation{Actor: "ADMIN:alice", RequestID: "payout-2", Reason: "more", Amount: rp(500_000)}); !errs.Is(err, errs.BalanceInsufficient) {
		t.Errorf("more than there is: %v", err)
	}
}

func TestABouncedRepaymentIsAsIfItHadNeverBeenPaid(t *testing.T) {
	t.Parallel()
	paid, loan := begun(t)
	never, _ := begun(t)
	paid.advanceTo(t, 2026, time.June, 3)
	never.advanceTo(t, 2026, time.June, 3)
	id := paid.repay(t, "u1", 600_000)
	paid.advanceTo(t, 2026, time.August, 20)
	if s := paid.standing(t, "u1"); s.Loans[0].State != domain.LoanSettled {
		t.Fatalf("%s", s.Loans[0].State)
	}
	r, found, err := paid.rows.Repayment(t.Context(), id)
	if err != nil || !found {
		t.Fatal(err)
	}
	for range 2 {
		paid.outcome(t, r, app.CashLegReversed)
	}
	never.advanceTo(t, 2026, time.August, 20)
	x, y := paid.standing(t, "u1"), never.standing(t, "u1")
	if x.Loans[0].Position.OpenTotal != y.Loans[0].Position.OpenTotal || x.Account.Used != y.Account.Used || !x.Account.Credit.IsZero() || x.Account.State != y.Account.State {
		t.Errorf("bounced %s %+v, never paid %s %+v", x.Loans[0].Position.OpenTotal, x.Account, y.Loans[0].Position.OpenTotal, y.Account)
	}
	if _, _, err := paid.ReverseRepayment(t.Context(), id, app.Operation{Actor: "ADMIN:a", RequestID: "reverse-1", Reason: "again"}); !errs.Is(err, errs.RepaymentStateInvalid) {
		t.Errorf("reversed twice: %v", err)
	}
	_ = loan
}

func TestAnEarlySettlementCostsItsQuoteAndLeavesNothing(t *testing.T) {
	t.Parallel()
	b, loan := begun(t)
	b.advanceTo(t, 2026, time.May, 28)
	quote, err := b.QuoteEarlySettlement(t.Context(), "u1", loan)
	if err != nil || quote.Amount != rp(loanPrice+8_850+3_000) || quote.SavedInterest != rp(2*8_850) {
		t.Fatalf("%+v, %v", quote, err)
	}
	begunSettlement, err := b.SettleEarly(t.Context(), "u1", "H5:u1", "settle-001", loan, "VA")
	if err != nil || begunSettlement.Repayment.Amount != quote.Amount {
		t.Fatal(begunSettlement, err)
	}
	b.outcome(t, begunSettlement.Repayment, app.CashLegSucceeded)
	s := b.standing(t, "u1")
	if s.Loans[0].State != domain.LoanSettled || !s.Account.Credit.IsZero() || !s.Account.Used.IsZero() {
		t.Errorf("%s, %+v", s.Loans[0].State, s.Account)
	}
	b.entriesAddUp(t, "u1")
	if _, err := b.SettleEarly(t.Context(), "u1", "H5:u1", "settle-002", loan, "VA"); !errs.Is(err, errs.NothingToPay) {
		t.Errorf("settled twice: %v", err)
	}
	if _, err := b.QuoteEarlySettlement(t.Context(), "u2", loan); !errs.Is(err, errs.NotFound) {
		t.Errorf("another's loan: %v", err)
	}
}

// The price of a day is kept while its money is collected: interest by the day does not make it fall short past midnight.
func TestAnEarlySettlementThatIsPaidTheNextDayCostsItsQuote(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	b.clock.Set(time.Date(2026, time.May, 10, 12, 0, 0, 0, civil.Jakarta()))
	r := b.purchase("u1", loanPrice)
	r.ProductCode = "SPL_ID_REDUCING"
	loan := b.reserve(t, r)[0].LoanID
	if err := b.apply(t.Context(), b.confirmed(r.Orders[0].OrderID, b.clock.Now())); err != nil {
		t.Fatal(err)
	}
	b.advanceTo(t, 2026, time.May, 20)
	settlement, err := b.SettleEarly(t.Context(), "u1", "H5:u1", "settle-001", loan, "VA")
	if err != nil {
		t.Fatal(err)
	}
	b.advanceTo(t, 2026, time.May, 21)
	b.outcome(t, settlement.Repayment, app.CashLegSucceeded)
	s := b.standing(t, "u1")
	if s.Loans[0].State != domain.LoanSettled || !s.Account.Used.IsZero() || !s.Account.Credit.IsZero() {
		t.Errorf("%s with %s open, %+v", s.Loans[0].State, s.Loans[0].Position.OpenTotal, s.Account)
	}
	b.entriesAddUp(t, "u1")
}

func TestOperatorsWaiveGiveUpAndRecover(t *testing.T) {
	t.Parallel()
	b, loan := begun(t)
	b.advanceTo(t, 2026, time.June, 20)
	op := func(id string, amount int64) app.Operation {
		o := app.Operation{Actor: "ADMIN:alice", RequestID: id, Reason: "goodwill"}
		if amount > 0 {
			o.Amount = rp(amount)
		}
		return o
	}
	if _, _, err := b.WaiveFee(t.Context(), loan, op("waive-001", 6_000)); !errs.Is(err, errs.AmountOutOfRange) {
		t.Errorf("more than was charged: %v", err)
	}
	for range 2 {
		if _, _, err := b.WaiveFee(t.Context(), loan, op("waive-002", 5_593)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.FreezeCreditAccount(t.Context(), b.request("u1")); err != nil {
		t.Fatal(err)
	}
	if account, err := b.UnfreezeCreditAccount(t.Context(), b.request("u1")); err != nil || account.State != domain.AccountOverdue {
		t.Errorf("lifted while a loan is overdue: %s, %v", account.State, err)
	}
	if s := b.standing(t, "u1"); !s.Loans[0].Position.Open.Late.IsZero() {
		t.Errorf("late fee after the waiver: %s", s.Loans[0].Position.Open.Late)
	}
	if _, _, err := b.RecordRecovery(t.Context(), loan, op("recover-1", 10)); !errs.Is(err, errs.LoanStateInvalid) {
		t.Errorf("a recovery of a loan that runs: %v", err)
	}
	l, _, err := b.WriteOffLoan(t.Context(), loan, op("giveup-01", 0))
	if err != nil || l.State != domain.LoanWrittenOff {
		t.Fatal(l.State, err)
	}
	b.wantFigures(t, "u1", 1_000_000, 0, 0)
	if s := b.standing(t, "u1"); s.Account.State != domain.AccountFrozen {
		t.Errorf("the account is %s", s.Account.State)
	}
	if _, _, err := b.WriteOffLoan(t.Context(), loan, op("giveup-02", 0)); !errs.Is(err, errs.LoanStateInvalid) {
		t.Errorf("given up twice: %v", err)
	}
	late := b.purchase("u1", 20_000)
	if _, err := b.ReserveCredit(t.Context(), late); !errs.Is(err, errs.AccountFrozen) {
		t.Errorf("a purchase after a write-off: %v", err)
	}
	if _, _, err := b.RecordRecovery(t.Context(), loan, op("recover-2", 50_000)); err != nil {
		t.Fatal(err)
	}
	b.entriesAddUp(t, "u1")
	b.advanceTo(t, 2026, time.December, 1)
	b.entriesAddUp(t, "u1")
	if s := b.standing(t, "u1"); s.Loans[0].State != domain.LoanWrittenOff || s.Loans[0].Position.Received != rp(50_000) {
		t.Errorf("%+v", s.Loans[0].Position)
	}
}

// A loan that was given up before a bill was made is not on it: the bill is of the other loan, and not late before its own day.
func TestALoanThatWasGivenUpMakesNoLaterBillLate(t *testing.T) {
	t.Parallel()
	b, loan := begun(t)
	b.running(t, "u1", 90_000)
	b.advanceTo(t, 2026, time.June, 2)
	if _, _, err := b.WriteOffLoan(t.Context(), loan, app.Operation{Actor: "ADMIN:alice", RequestID: "giveup-01", Reason: "gone"}); err != nil {
		t.Fatal(err)
	}
	b.repay(t, "u1", 30_000+2_655+900)
	b.advanceTo(t, 2026, time.June, 26)
	s := b.standing(t, "u1")
	wantBills(t, s, domain.BillOverdue, domain.BillIssued)
	if len(s.Bills[1].Lines) != 1 {
		t.Errorf("lines %+v", s.Bills[1].Lines)
	}
	if n := b.count(t, `SELECT state FROM bills WHERE bill_date = '2026-06-25'`); n != int(domain.BillIssued) {
		t.Errorf("the bill was told to be in state %d", n)
	}
}

func TestARepaymentOfWhichNobodyToldIsAskedAbout(t *testing.T) {
	t.Parallel()
	b, _ := begun(t)
	begunRepayment, err := b.RepayBills(t.Context(), "u1", "H5:u1", "repay-0001", app.Repay{Amount: rp(50_000), Channel: "VA"})
	if err != nil {
		t.Fatal(err)
	}
	id := begunRepayment.Repayment.ID
	if out, err := b.AskAboutRepayment(t.Context(), id); err != nil || out == jobs.Done() {
		t.Errorf("pending: %v, %v", out, err)
	}
	b.payments.legs[id] = app.CashLeg{State: app.CashLegSucceeded, PayTime: b.clock.Now()}
	if out, err := b.AskAboutRepayment(t.Context(), id); err != nil || out != jobs.Done() {
		t.Fatalf("%v, %v", out, err)
	}
	if s := b.standing(t, "u1"); s.Loans[0].Position.Received != rp(50_000) {
		t.Errorf("received %s", s.Loans[0].Position.Received)
	}
}

// lost is a repayment whose call died before it had a leg.
func (b *bed) lost(t *testing.T, requestID string) app.Repayment {
	t.Helper()
	b.payments.away = true
	_, err := b.RepayBills(t.Context(), "u1", "H5:u1", requestID, app.Repay{Amount: rp(50_000), Channel: "VA"})
	b.payments.away = false
	if !errs.Is(err, errs.DependencyUnavailable) {
		t.Fatal(err)
	}
	r, found, err := b.rows.RepaymentOfRequest(t.Context(), "H5:u1", requestID)
	if err != nil || !found {
		t.Fatal(err)
	}
	b.clock.Advance(20 * time.Minute)
	return r
}

func TestARepaymentWithoutALegGetsOneAndEndsAsItDoes(t *testing.T) {
	t.Parallel()
	b, _ := begun(t)
	state := func(r app.Repayment) domain.RepaymentState {
		now, _, err := b.rows.Repayment(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		return now.State
	}
	late := b.lost(t, "repay-0001")
	if out, err := b.AskAboutRepayment(t.Context(), late.ID); err != nil || out == jobs.Done() || state(late) != domain.RepaymentPending {
		t.Fatalf("%v, %v: %s", out, err, state(late))
	}
	again, err := b.RepayBills(t.Context(), "u1", "H5:u1", "repay-0001", app.Repay{Amount: rp(50_000), Channel: "VA"})
	if err != nil || again.Repayment.ID != late.ID || again.RedirectURL == "" {
		t.Errorf("its caller comes back: %+v, %v", again, err)
	}
	b.payments.legs[late.ID] = app.CashLeg{State: app.CashLegFailed}
	if out, err := b.AskAboutRepayment(t.Context(), late.ID); err != nil || out != jobs.Done() || state(late) != domain.RepaymentFailed {
		t.Errorf("nobody paid: %v, %v: %s", out, err, state(late))
	}
	refused := b.lost(t, "repay-0002")
	b.payments.closed = true
	if out, err := b.AskAboutRepayment(t.Context(), refused.ID); err != nil || out != jobs.Done() || state(refused) != domain.RepaymentFailed {
		t.Errorf("no leg can be had: %v, %v: %s", out, err, state(refused))
	}
}

func TestEntriesAddUpToWhatIsOpenAndPagesGiveEachOnce(t *testing.T) {
	t.Parallel()
	b, loan := begun(t)
	b.advanceTo(t, 2026, time.June, 20)
	b.repay(t, "u1", 70_000)
	b.advanceTo(t, 2026, time.July, 2)
	s := b.standing(t, "u1")
	var sum int64
	var seen []string
	filter := app.EntryFilter{Limit: 2}
	for {
		page, next, err := b.QueryBillTxnList(t.Context(), "u1", filter)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			seen = append(seen, e.ID)
			if e.Kind != app.EntryPurchase {
				sum += e.Amount.Minor()
			}
		}
		if next == "" {
			break
		}
		filter.Before = next
	}
	if want := s.Loans[0].Position.BilledOpen.Minor(); sum != want || len(seen) != 5 {
		t.Errorf("entries %v add up to %d, billed and open is %d", seen, sum, want)
	}
	lines, err := b.QueryBusinessList(t.Context(), "u1")
	if err != nil || len(lines) != 1 || lines[0].Code != "marketplace" || lines[0].Amount != s.Loans[0].Position.OpenTotal {
		t.Errorf("%+v, %v", lines, err)
	}
	detail, err := b.QueryBillTxnDetail(t.Context(), "u1", "", s.Bills[0].ID)
	if err != nil || len(detail.Entries) != 2 || len(detail.Loans) != 1 || detail.Loans[0].ID != loan {
		t.Errorf("%+v, %v", detail.Entries, err)
	}
	if len(detail.Repayments) != 1 || len(detail.Repayments[0].Allocations) != 4 {
		t.Errorf("paid by %+v", detail.Repayments)
	}
	repaid, err := b.QueryBillTxnDetail(t.Context(), "u1", ids.Format(ids.Repayment, detail.Repayments[0].ID), ids.ID{})
	if err != nil || len(repaid.Entries) != 1 || len(repaid.Repayments) != 1 || len(repaid.Loans) != 1 || repaid.Loans[0].ID != loan {
		t.Errorf("a repayment: %+v, %v", repaid, err)
	}
	if none, err := b.QueryBillTxnDetail(t.Context(), "u1", "", ids.ID{}); !errs.Is(err, errs.NotFound) {
		t.Errorf("a bill without an id: %+v, %v", none.Entries, err)
	}
	if _, err := b.QueryRepayChannels(t.Context(), "u1", []ids.ID{s.Bills[0].ID}); err != nil {
		t.Errorf("channels for a bill: %v", err)
	}
	if _, err := b.QueryRepayChannels(t.Context(), "u1", []ids.ID{{1}}); !errs.Is(err, errs.NotFound) {
		t.Errorf("channels for a bill that is nobody's: %v", err)
	}
	if _, err := b.QueryBillTxnDetail(t.Context(), "u1", "lon_x", ids.ID{}); !errs.Is(err, errs.NotFound) {
		t.Errorf("an unknown entry: %v", err)
	}
}

func TestMoneyThatArrivesInAnyOrderWithinADayLeavesTheSame(t *testing.T) {
	t.Parallel()
	x, _ := begun(t)
	y, _ := begun(t)
	for i, b := range []*bed{x, y} {
		b.advanceTo(t, 2026, time.June, 20)
		amounts := []int64{30_000, 250_000}
		b.repay(t, "u1", amounts[i])
		b.repay(t, "u1", amounts[1-i])
	}
	p, q := x.standing(t, "u1").Loans[0].Position, y.standing(t, "u1").Loans[0].Position
	if p.Open != q.Open || p.Paid != q.Paid {
		t.Errorf("open %v and %v, paid %v and %v", p.Open, q.Open, p.Paid, q.Paid)
	}
}

func TestTwentyRollsOfOneLoanAtOnceAreOne(t *testing.T) {
	t.Parallel()
	b, loan := begun(t)
	b.clock.Set(time.Date(2026, time.June, 20, 12, 0, 0, 0, civil.Jakarta()))
	for _, err := range together(20, func(int) error { return b.RollLoans(context.Background(), []ids.ID{loan}) }) {
		if err != nil && !errs.Is(err, errs.ConcurrentChange) {
			t.Error(err)
		}
	}
	if n := b.count(t, `SELECT COUNT(*) FROM journal_lines WHERE account = 'LATE_FEE_INCOME'`); n != 1 {
		t.Errorf("%d late fees", n)
	}
}
