package app_test

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
	"github.com/creditpay/creditpay/services/bill/internal/store"
)

// refunding is a refund of a part of what an order's loan finances.
func (b *bed) refunding(order ids.ID, amount int64) app.RefundRequest {
	return b.refunds.knows(app.RefundRequest{RefundID: b.ids.New(), OrderID: order, Amount: rp(amount), Actor: "SERVICE:refund"})
}

// refund previews a refund, does it, and wants both to be the same.
func (b *bed) refund(t *testing.T, order ids.ID, amount int64) (app.RefundRequest, domain.RefundAdjustment) {
	t.Helper()
	preview, err := b.PreviewRefundAdjustment(t.Context(), order, rp(amount))
	if err != nil {
		t.Fatal(err)
	}
	r := b.refunding(order, amount)
	adj, err := b.AdjustForRefund(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(preview, adj) {
		t.Errorf("the preview was %+v, the effect is %+v", preview, adj)
	}
	b.wantAgain(t, r, adj)
	return r, adj
}

// wantAgain wants a repeated refund to answer what it answered.
func (b *bed) wantAgain(t *testing.T, r app.RefundRequest, adj domain.RefundAdjustment) {
	t.Helper()
	again, err := b.AdjustForRefund(t.Context(), r)
	if err != nil || !reflect.DeepEqual(again, adj) {
		t.Errorf("it answered %+v, repeated %+v: %v", adj, again, err)
	}
}

// wantRefused wants a refund and its preview to be refused for a reason.
func (b *bed) wantRefused(t *testing.T, order ids.ID, amount int64, reason errs.Reason) {
	t.Helper()
	if _, err := b.AdjustForRefund(t.Context(), b.refunding(order, amount)); !errs.Is(err, reason) {
		t.Errorf("a refund of %d: %v, want %s", amount, err, reason.Name())
	}
	if _, err := b.PreviewRefundAdjustment(t.Context(), order, rp(amount)); !errs.Is(err, reason) {
		t.Errorf("its preview: %v, want %s", err, reason.Name())
	}
}

// effect is principal, interest and fee released, cash, its part that is credit balance, and the limit freed.
type effect [6]int64

func wantEffect(t *testing.T, adj domain.RefundAdjustment, state domain.LoanState, want effect) {
	t.Helper()
	got := effect{
		adj.Released.Principal.Minor(), adj.Released.Interest.Minor(), adj.Released.Fee.Minor(), adj.Cash.Minor(), adj.Credit.Minor(), adj.LimitFreed.Minor(),
	}
	if got != want || adj.State != state {
		t.Errorf("principal, interest, fee, cash, credit, limit are %v and the loan %s, want %v and %s", got, adj.State, want, state)
	}
}

// begunOrder is a loan of 300,000 that began on the 10th of May, and its order.
func begunOrder(t *testing.T) (b *bed, order, loan ids.ID) {
	t.Helper()
	b, loan = begun(t)
	l, _, _, err := b.rows.LoanByID(t.Context(), loan)
	if err != nil {
		t.Fatal(err)
	}
	return b, l.OrderID, loan
}

func (b *bed) wantCredit(t *testing.T, user string, minor int64) {
	t.Helper()
	if got := b.standing(t, user).Account.Credit; got != rp(minor) {
		t.Errorf("the credit balance of %s is %s, want %d", user, got, minor)
	}
}

// wantPrice wants the other services' audits to hear of the price that was paid, whatever was refunded of it.
func (b *bed) wantPrice(t *testing.T, order ids.ID, minor int64) {
	t.Helper()
	rows, err := b.db.QueryContext(t.Context(), store.AuditStream())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, state string
		var price int64
		if err := rows.Scan(&id, &state, &price); err != nil {
			t.Fatal(err)
		}
		if id == strings.ToUpper(hex.EncodeToString(order[:])) && price != minor {
			t.Errorf("the order is told to have cost %d, want %d", price, minor)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestARefundBeforeReceiptShrinksTheDraftAndThenTakesItBack(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	buy := b.purchase("u1", 300_000, 200_000)
	b.reserve(t, buy)
	first, second := buy.Orders[0].OrderID, buy.Orders[1].OrderID
	b.wantRefused(t, first, 300_001, errs.RefundExceedsBudget)
	r, adj := b.refund(t, first, 100_000)
	wantEffect(t, adj, domain.LoanDraft, effect{100_000, 8_850, 1_000, 0, 0, 100_000})
	if adj.Plan.Principal != rp(200_000) || len(adj.Instalments) != 3 {
		t.Errorf("%+v", adj)
	}
	b.wantFigures(t, "u1", 1_000_000, 0, 400_000)
	b.audit(t)
	// 5,000 is less than the product lets anybody buy.
	_, _ = b.refund(t, first, 195_000)
	_, last := b.refund(t, first, 5_000)
	wantEffect(t, last, domain.LoanVoid, effect{5_000, 443, 50, 0, 0, 5_000})
	if last.Plan.Instalments != nil {
		t.Error("nothing is left of the loan, and it has a plan")
	}
	b.wantFigures(t, "u1", 1_000_000, 0, 200_000)
	b.audit(t)
	b.wantPrice(t, first, 300_000)
	b.wantRefused(t, first, 1, errs.NotFound)
	b.refund(t, second, 200_000)
	b.wantFigures(t, "u1", 1_000_000, 0, 0)
	if n := b.count(t, `SELECT COUNT(*) FROM reservations WHERE state = 2`); n != 1 {
		t.Errorf("%d reservations are released, want the one of which all was refunded", n)
	}
	if n := b.count(t, `SELECT COUNT(*) FROM outbox WHERE payload LIKE '%LoanVoided%'`); n != 2 {
		t.Errorf("%d loans were told to be void, want 2", n)
	}
	b.wantAgain(t, r, adj)
}

func TestAShrunkDraftBeginsAsWhatIsLeft(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	buy := b.purchase("u1", 300_000)
	b.reserve(t, buy)
	order := buy.Orders[0].OrderID
	b.refund(t, order, 100_000)
	if err := b.apply(t.Context(), b.confirmed(order, b.clock.Now())); err != nil {
		t.Fatal(err)
	}
	b.wantFigures(t, "u1", 1_000_000, 200_000, 0)
	b.wantRefused(t, order, 200_001, errs.RefundExceedsBudget)
	b.refund(t, order, 200_000)
	b.wantFigures(t, "u1", 1_000_000, 0, 0)
}

func TestAFullRefundBeforeTheFirstBillLeavesNothing(t *testing.T) {
	t.Parallel()
	b, order, _ := begunOrder(t)
	_, adj := b.refund(t, order, 300_000)
	wantEffect(t, adj, domain.LoanSettled, effect{300_000, 26_550, 3_000, 0, 0, 300_000})
	if s := b.standing(t, "u1"); s.Loans[0].State != domain.LoanSettled || !s.Account.Used.IsZero() {
		t.Errorf("%+v", s)
	}
	if n := b.count(t, `SELECT COUNT(*) FROM outbox WHERE payload LIKE '%LoanSettled%'`); n != 1 {
		t.Errorf("told %d times that the loan is settled", n)
	}
	b.wantRefused(t, order, 1, errs.RefundExceedsBudget)
}

func TestRefundsOfALoanThatIsPartlyPaidAddUpToAllOfIt(t *testing.T) {
	t.Parallel()
	b, order, _ := begunOrder(t)
	b.advanceTo(t, 2026, time.May, 25)
	older := b.repay(t, "u1", firstInstalment)
	b.advanceTo(t, 2026, time.May, 27)
	newer := b.repay(t, "u1", nextInstalment)
	first, adj := b.refund(t, order, 100_000)
	wantEffect(t, adj, domain.LoanSettled, effect{100_000, 8_850, 0, 0, 0, 100_000})
	if len(adj.Instalments) != 1 || adj.Instalments[0].Sequence != 3 || adj.Instalments[0].Before != rp(nextInstalment) || !adj.Instalments[0].After.IsZero() {
		t.Errorf("%+v", adj.Instalments)
	}
	// The second instalment was paid before it was billed: its interest goes back with it.
	_, adj2 := b.refund(t, order, 50_000)
	wantEffect(t, adj2, domain.LoanSettled, effect{0, 0, 0, 54_425, 0, 0})
	if !reflect.DeepEqual(adj2.Sources, []domain.RepaymentReturn{{RepaymentID: newer, Amount: rp(54_425)}}) {
		t.Errorf("%+v", adj2.Sources)
	}
	_, adj3 := b.refund(t, order, 150_000)
	wantEffect(t, adj3, domain.LoanSettled, effect{0, 0, 0, 154_425, 0, 0})
	if !reflect.DeepEqual(adj3.Sources, []domain.RepaymentReturn{{RepaymentID: newer, Amount: rp(54_425)}, {RepaymentID: older, Amount: rp(100_000)}}) {
		t.Errorf("%+v", adj3.Sources)
	}
	if len(adj3.Plan.Instalments) != 0 {
		t.Error("no principal is left, and there is a plan")
	}
	b.wantCredit(t, "u1", 0)
	b.wantRefused(t, order, 1, errs.RefundExceedsBudget)
	b.wantAgain(t, first, adj)
}

func TestWhatWasOverpaidStaysCreditBalanceAndTheRestGoesBack(t *testing.T) {
	t.Parallel()
	b, order, _ := begunOrder(t)
	b.advanceTo(t, 2026, time.June, 3)
	paid := b.repay(t, "u1", 600_000)
	b.wantCredit(t, "u1", 270_450)
	_, adj := b.refund(t, order, 100_000)
	wantEffect(t, adj, domain.LoanSettled, effect{0, 0, 0, 108_850, 0, 0})
	if len(adj.Sources) != 1 || adj.Sources[0].RepaymentID != paid || adj.Plan.Principal != rp(200_000) {
		t.Errorf("%+v", adj)
	}
	b.wantCredit(t, "u1", 270_450)
}

func TestARefundOnTheDayOfAnEarlySettlementGivesBackWhatItSaves(t *testing.T) {
	t.Parallel()
	b, order, loan := begunOrder(t)
	s, err := b.SettleEarly(t.Context(), "u1", "H5:u1", "settle-001", loan, "VA")
	if err != nil {
		t.Fatal(err)
	}
	b.outcome(t, s.Repayment, app.CashLegSucceeded)
	_, adj := b.refund(t, order, 100_000)
	wantEffect(t, adj, domain.LoanSettled, effect{0, 0, 0, 100_000, 0, 0})
	if len(adj.Sources) != 1 || adj.Sources[0].RepaymentID != s.Repayment.ID {
		t.Errorf("%+v", adj.Sources)
	}
	b.wantCredit(t, "u1", 0)
}

func TestARefundOfALoanThatWasGivenUpReturnsRecoveriesAsCreditBalance(t *testing.T) {
	t.Parallel()
	b, order, loan := begunOrder(t)
	b.advanceTo(t, 2026, time.July, 6)
	op := func(id string, amount int64) app.Operation {
		return app.Operation{Actor: "ADMIN:a", RequestID: id, Reason: "r", Amount: rp(amount)}
	}
	if _, _, err := b.WriteOffLoan(t.Context(), loan, op("write-off", 0)); err != nil {
		t.Fatal(err)
	}
	_, adj := b.refund(t, order, 100_000)
	wantEffect(t, adj, domain.LoanWrittenOff, effect{100_000, 0, 0, 0, 0, 0})
	if _, _, err := b.RecordRecovery(t.Context(), loan, op("recovery", 250_000)); err != nil {
		t.Fatal(err)
	}
	beyond := b.standing(t, "u1").Account.Credit.Minor()
	_, adj = b.refund(t, order, 200_000)
	if adj.Cash.IsZero() || adj.Credit != adj.Cash || len(adj.Sources) != 0 || adj.State != domain.LoanWrittenOff {
		t.Errorf("%+v", adj)
	}
	b.wantCredit(t, "u1", beyond+adj.Cash.Minor())
}

func TestARepaymentThatBouncesAfterItsRefundLeavesTheBalanceBelowZero(t *testing.T) {
	t.Parallel()
	b, order, _ := begunOrder(t)
	b.advanceTo(t, 2026, time.June, 3)
	paid := b.repay(t, "u1", loanPrice+3*8_850+3_000)
	r, adj := b.refund(t, order, 100_000)
	wantEffect(t, adj, domain.LoanSettled, effect{0, 0, 0, 108_850, 0, 0})
	before, _, err := b.rows.Repayment(t.Context(), paid)
	if err != nil {
		t.Fatal(err)
	}
	b.outcome(t, before, app.CashLegReversed)
	b.audit(t)
	b.wantCredit(t, "u1", -108_850)
	b.wantFigures(t, "u1", 1_000_000, 200_000, 0)
	b.wantAgain(t, r, adj)
	// What was not given back after all makes it even again.
	for range 2 {
		if err := b.KeepRefundAsCredit(t.Context(), r.RefundID, paid, "SERVICE:refund"); err != nil {
			t.Fatal(err)
		}
	}
	b.wantCredit(t, "u1", 0)
	b.wantAgain(t, r, adj)
}

func TestWhatCannotGoBackBecomesCreditBalanceOnce(t *testing.T) {
	t.Parallel()
	b, order, _ := begunOrder(t)
	paid := b.repay(t, "u1", loanPrice+3*8_850+3_000)
	r, adj := b.refund(t, order, 100_000)
	for _, err := range together(8, func(int) error { return b.KeepRefundAsCredit(t.Context(), r.RefundID, paid, "SERVICE:refund") }) {
		if err != nil {
			t.Error(err)
		}
	}
	b.wantCredit(t, "u1", adj.Cash.Minor())
	for _, pair := range [][2]ids.ID{{r.RefundID, b.ids.New()}, {b.ids.New(), paid}} {
		if err := b.KeepRefundAsCredit(t.Context(), pair[0], pair[1], "SERVICE:refund"); !errs.Is(err, errs.NotFound) {
			t.Errorf("what no refund gives back: %v", err)
		}
	}
}

func TestARefundWithOtherContentIsRefused(t *testing.T) {
	t.Parallel()
	b, order, _ := begunOrder(t)
	r, adj := b.refund(t, order, 100_000)
	other, elsewhere := r, r
	other.Amount, elsewhere.OrderID = rp(99_999), b.ids.New()
	for _, reused := range []app.RefundRequest{other, elsewhere} {
		if _, err := b.AdjustForRefund(t.Context(), reused); !errs.Is(err, errs.RequestIDReused) {
			t.Errorf("%+v: %v", reused, err)
		}
	}
	b.wantAgain(t, r, adj)
	b.wantRefused(t, b.ids.New(), 1, errs.NotFound)
	b.wantRefused(t, order, 0, errs.AmountOutOfRange)
}

func TestOneRefundOfTwoOrdersAtOnceIsOfOne(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	for range 6 {
		buy := b.purchase("u1", 40_000, 40_000)
		b.reserve(t, buy)
		r := b.refunding(buy.Orders[0].OrderID, 30_000)
		list := together(2, func(i int) error {
			mine := r
			mine.OrderID = buy.Orders[i].OrderID
			_, err := b.AdjustForRefund(t.Context(), mine)
			return err
		})
		// The refund service knows it of the first order; whether it is asked depends on who comes first.
		if list[0] != nil || !errs.Is(list[1], errs.RequestIDReused) && !errs.Is(list[1], errs.LegAmountMismatch) {
			t.Error(list)
		}
	}
	b.wantFigures(t, "u1", 1_000_000, 0, 6*50_000)
}

// A preview reads without locks, and still tells nothing that never was.
func TestPreviewsStandWhileEverythingChanges(t *testing.T) {
	t.Parallel()
	b, order, loan := begunOrder(t)
	var paid []app.Repayment
	for i := range 4 {
		begun, err := b.RepayBills(t.Context(), "u1", "H5:u1", fmt.Sprintf("repay-%04d", i), app.Repay{LoanIDs: []ids.ID{loan}, Channel: "VA", Amount: rp(70_000)})
		if err != nil {
			t.Fatal(err)
		}
		paid = append(paid, begun.Repayment)
	}
	for i, err := range together(16, func(i int) error {
		switch {
		case i < 4:
			return b.settle(t.Context(), app.LegOutcome{RepaymentID: paid[i].ID, State: app.CashLegSucceeded, Amount: paid[i].Amount, PayTime: b.clock.Now()})
		case i < 8:
			_, err := b.AdjustForRefund(t.Context(), b.refunding(order, 60_000))
			return err
		}
		adj, err := b.PreviewRefundAdjustment(t.Context(), order, rp(60_000))
		if sum := adj.Released.Principal.Minor() + adj.Cash.Minor(); err == nil && sum < 60_000 {
			t.Errorf("%d of 60,000 is told", sum)
		}
		if errs.Is(err, errs.ConcurrentChange) {
			return nil
		}
		return err
	}) {
		if err != nil {
			t.Error(i, err)
		}
	}
	b.wantFigures(t, "u1", 1_000_000, 0, 0)
}

func TestOneOfTwoRefundsThatAreTooMuchTogetherIsRefused(t *testing.T) {
	t.Parallel()
	for _, begin := range []bool{false, true} {
		b := newBed(t)
		b.open(t, "u1", 1_000_000)
		buy := b.purchase("u1", 300_000)
		b.reserve(t, buy)
		order := buy.Orders[0].OrderID
		if begin {
			if err := b.apply(t.Context(), b.confirmed(order, b.clock.Now())); err != nil {
				t.Fatal(err)
			}
		}
		done := 0
		for _, err := range together(8, func(int) error { _, err := b.AdjustForRefund(t.Context(), b.refunding(order, 200_000)); return err }) {
			switch {
			case err == nil:
				done++
			case !errs.Is(err, errs.RefundExceedsBudget):
				t.Error(err)
			}
		}
		if done != 1 {
			t.Errorf("%d refunds of 200,000 of 300,000 were done", done)
		}
		same := b.refunding(order, 50_000)
		for _, err := range together(8, func(int) error { _, err := b.AdjustForRefund(t.Context(), same); return err }) {
			if err != nil {
				t.Error(err)
			}
		}
		if f := b.figures(t, "u1"); f[1]+f[2] != 50_000 {
			t.Errorf("limit, used, held are %v", f)
		}
	}
}

func TestARefundAndReceiptAtOnceAreOneAfterTheOther(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	for range 12 {
		buy := b.purchase("u1", 30_000)
		b.reserve(t, buy)
		order := buy.Orders[0].OrderID
		for _, err := range together(2, func(i int) error {
			if i == 0 {
				return b.apply(t.Context(), b.confirmed(order, b.clock.Now()))
			}
			_, err := b.AdjustForRefund(t.Context(), b.refunding(order, 10_000))
			return err
		}) {
			if err != nil {
				t.Error(err)
			}
		}
	}
	b.wantFigures(t, "u1", 1_000_000, 12*20_000, 0)
}

func TestARefundAndAReleaseAtOnceGiveTheHoldBackOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	for n := range 12 {
		buy := b.purchase("u1", 30_000, 20_000)
		b.reserve(t, buy)
		part := int64(10_000 + n%2*20_000) // A part of the draft, or all of it.
		list := together(2, func(i int) error {
			if i == 0 {
				return b.ReleaseCredit(t.Context(), app.ReleaseRequest{CommitID: buy.CommitID, Reason: "cancelled", Actor: "SERVICE:payment"})
			}
			_, err := b.AdjustForRefund(t.Context(), b.refunding(buy.Orders[0].OrderID, part))
			return err
		})
		if list[0] != nil || (list[1] != nil && !errs.Is(list[1], errs.NotFound)) {
			t.Error(list)
		}
	}
	b.wantFigures(t, "u1", 1_000_000, 0, 0)
}

func TestARefundAndMoneyAtOnceAreOneAfterTheOther(t *testing.T) {
	t.Parallel()
	b, order, loan := begunOrder(t)
	req, err := b.RepayBills(t.Context(), "u1", "H5:u1", "repay-0001", app.Repay{LoanIDs: []ids.ID{loan}, Channel: "VA", Amount: rp(200_000)})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range together(6, func(i int) error {
		if i == 0 {
			return b.settle(t.Context(), app.LegOutcome{RepaymentID: req.Repayment.ID, State: app.CashLegSucceeded, Amount: req.Repayment.Amount, PayTime: b.clock.Now()})
		}
		_, err := b.AdjustForRefund(t.Context(), b.refunding(order, 60_000))
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	b.wantFigures(t, "u1", 1_000_000, 0, 0)
	if s := b.standing(t, "u1"); s.Loans[0].State != domain.LoanSettled {
		t.Errorf("all was refunded, and it is %s", s.Loans[0].State)
	}
}

// What is above the limit, since a repayment bounced, has to come below it before anybody may buy for it.
func TestARefundFreesOnlyWhatComesBelowTheLimit(t *testing.T) {
	t.Parallel()
	b, order, _ := begunOrder(t)
	paid := b.repay(t, "u1", 100_000)
	if _, err := b.SetCreditLimit(t.Context(), b.request("u1"), rp(220_000)); err != nil {
		t.Fatal(err)
	}
	r, _, err := b.rows.Repayment(t.Context(), paid)
	if err != nil {
		t.Fatal(err)
	}
	b.outcome(t, r, app.CashLegReversed)
	_, adj := b.refund(t, order, 100_000)
	if adj.Released.Principal != rp(100_000) || adj.LimitFreed != rp(20_000) {
		t.Errorf("%s is owed no longer, %s is freed", adj.Released.Principal, adj.LimitFreed)
	}
}

func TestOnlyTheAdjustmentThatIsExpectedIsMade(t *testing.T) {
	t.Parallel()
	b, order, _ := begunOrder(t)
	foretold, err := b.PreviewRefundAdjustment(t.Context(), order, rp(100_000))
	if err != nil {
		t.Fatal(err)
	}
	b.advanceTo(t, 2026, time.June, 3)
	b.repay(t, "u1", 250_000)
	r := b.refunding(order, 100_000)
	r.Expected = foretold.Fingerprint()
	if _, err := b.AdjustForRefund(t.Context(), b.refunds.knows(r)); !errs.Is(err, errs.RefundChanged) {
		t.Errorf("the payer repaid since: %v", err)
	}
	if n := b.count(t, `SELECT COUNT(*) FROM loan_refunds`); n != 0 {
		t.Errorf("%d refunds are there", n)
	}
	now, err := b.PreviewRefundAdjustment(t.Context(), order, rp(100_000))
	if err != nil || now.Fingerprint() == foretold.Fingerprint() || len(now.Fingerprint()) != 64 {
		t.Errorf("%s and %s, %v", now.Fingerprint(), foretold.Fingerprint(), err)
	}
	// What other purchases take from the limit does not count.
	b.reserve(t, b.purchase("u1", 10_000))
	r.Expected = now.Fingerprint()
	b.refunds.knows(r)
	for range 2 {
		if adj, err := b.AdjustForRefund(t.Context(), r); err != nil || adj.Fingerprint() != now.Fingerprint() {
			t.Errorf("%+v, %v", adj, err)
		}
	}
	b.audit(t)
}
