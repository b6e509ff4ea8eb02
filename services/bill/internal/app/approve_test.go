package app_test

import (
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// asks makes an operation of alice, with an amount above zero or none.
func (b *bed) asks(minor int64) app.Operation {
	op := app.Operation{Actor: "ADMIN:alice", RequestID: b.ids.New().String(), Reason: "test"}
	if minor > 0 {
		op.Amount = rp(minor)
	}
	return op
}

// state reads a request's state.
func (b *bed) state(t *testing.T, asked approval.Request) approval.State {
	t.Helper()
	r, err := b.desk.Get(t.Context(), asked.ID)
	if err != nil {
		t.Fatal(err)
	}
	return r.State
}

// rich is an account whose user repaid too much: it has exactly this balance.
func rich(t *testing.T, balance int64) *bed {
	t.Helper()
	b, _ := begun(t)
	b.repay(t, "u1", 1_000_000)
	rest := b.standing(t, "u1").Account.Credit.Minor()
	if rest >= balance {
		if _, _, err := b.PayOutCreditBalance(t.Context(), "u1", b.asks(rest-balance)); err != nil {
			t.Fatal(err)
		}
	} else {
		b.repay(t, "u1", balance-rest)
	}
	b.wantCredit(t, "u1", balance)
	b.clock.Advance(24 * time.Hour) // What was paid out before counts no more.
	return b
}

func TestPayOut_WaitsAboveTheLimitAndByTheSum(t *testing.T) {
	t.Parallel()
	b := rich(t, 10_000_000)
	left, asked, err := b.PayOutCreditBalance(t.Context(), "u1", b.asks(1_000_000))
	if err != nil || asked.Needed != 0 || left != rp(9_000_000) {
		t.Fatalf("%s, %+v, %v", left, asked, err)
	}
	op := b.asks(1)
	for range 2 { // A repeat answers the same request.
		again, waits, err := b.PayOutCreditBalance(t.Context(), "u1", op)
		if err != nil || !waits.Waits() || waits.Needed != 1 || again != rp(9_000_000) || (asked.Needed > 0 && waits.ID != asked.ID) {
			t.Fatalf("the rupiah above the limit of the day: %s, %+v, %v", again, waits, err)
		}
		asked = waits
	}
	b.approve(t, asked)
	b.wantCredit(t, "u1", 8_999_999)
	if got := b.state(t, asked); got != approval.StateCarriedOut {
		t.Error(got)
	}
	b.clock.Advance(24 * time.Hour)
	if _, asked, err = b.PayOutCreditBalance(t.Context(), "u1", b.asks(1_000_000)); err != nil || asked.Needed != 0 {
		t.Errorf("the next day: %+v, %v", asked, err)
	}
	if _, asked, err = b.PayOutCreditBalance(t.Context(), "u1", b.asks(7_500_000)); err != nil || !asked.Waits() {
		t.Fatalf("%+v, %v", asked, err)
	}
	if _, small, err := b.PayOutCreditBalance(t.Context(), "u1", app.Operation{Actor: "ADMIN:bob", RequestID: "payout-bob", Reason: "r", Amount: rp(999_000)}); err != nil || !small.Waits() {
		t.Fatalf("another operator for the same payer: %+v, %v", small, err)
	} else {
		b.approve(t, small)
	}
	// The balance is smaller than what was asked for by now: it is refused, not cut.
	b.approve(t, asked)
	if got := b.state(t, asked); got != approval.StateFailed {
		t.Error(got)
	}
	b.wantCredit(t, "u1", 7_000_999)
}

func TestPayOut_ACurrencyWithoutTiersNeedsTwo(t *testing.T) {
	t.Parallel()
	b := rich(t, 10_000_000)
	if _, err := b.db.ExecContext(t.Context(), `DELETE FROM approval_rule_tiers`); err != nil {
		t.Fatal(err)
	}
	_, asked, err := b.PayOutCreditBalance(t.Context(), "u1", b.asks(1))
	if err != nil || !asked.Waits() || asked.Needed != approval.MaxApprovals {
		t.Errorf("%+v, %v", asked, err)
	}
}

func TestReverseRepayment_WaitsAboveTheLimit(t *testing.T) {
	t.Parallel()
	b, _ := begun(t)
	id := b.repay(t, "u1", 1_500_000)
	before := b.standing(t, "u1").Account.Credit
	r, asked, err := b.ReverseRepayment(t.Context(), id, b.asks(0))
	if err != nil || !asked.Waits() || r.State != domain.RepaymentSucceeded || b.standing(t, "u1").Account.Credit != before {
		t.Fatalf("%s, %+v, %v", r.State, asked, err)
	}
	if _, same, err := b.ReverseRepayment(t.Context(), id, b.asks(0)); err != nil || same.ID != asked.ID {
		t.Errorf("asked for twice by the same person: %+v, %v", same, err)
	}
	if _, _, err := b.ReverseRepayment(t.Context(), id, app.Operation{Actor: "ADMIN:bob", RequestID: "reverse-bob", Reason: "r"}); !errs.Is(err, errs.ApprovalPending) {
		t.Errorf("asked for by somebody else: %v", err)
	}
	b.approve(t, asked)
	if r, _, err := b.rows.Repayment(t.Context(), id); err != nil || r.State != domain.RepaymentBounced {
		t.Errorf("%s, %v", r.State, err)
	}
	if got := b.state(t, asked); got != approval.StateCarriedOut {
		t.Error(got)
	}
}

// A write-off that waits is of the principal of that moment: who repays meanwhile has it asked for anew.
func TestWriteOff_FailsWhenTheDebtChanged(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 10_000_000)
	loan := b.running(t, "u1", 3_000_000)
	l, asked, err := b.WriteOffLoan(t.Context(), loan, b.asks(0))
	if err != nil || !asked.Waits() || l.State != domain.LoanActive {
		t.Fatalf("%s, %+v, %v", l.State, asked, err)
	}
	b.repay(t, "u1", 2_000_000)
	b.approve(t, asked)
	if got := b.state(t, asked); got != approval.StateFailed {
		t.Errorf("%s after a repayment", got)
	}
	if _, asked, err = b.WriteOffLoan(t.Context(), loan, b.asks(0)); err != nil || !asked.Waits() {
		t.Fatalf("%+v, %v", asked, err)
	}
	b.approve(t, asked)
	if l, _, _, err := b.rows.LoanByID(t.Context(), loan); err != nil || l.State != domain.LoanWrittenOff {
		t.Errorf("%s, %v", l.State, err)
	}
	if _, asked, err = b.RecordRecovery(t.Context(), loan, b.asks(1_000_001)); err != nil || !asked.Waits() {
		t.Fatalf("%+v, %v", asked, err)
	}
	b.approve(t, asked)
	if got := b.state(t, asked); got != approval.StateCarriedOut {
		t.Errorf("a recovery is %s", got)
	}
}

// Codes that sign contracts go to the telephone: one person cannot move it, nor see it among the requests.
func TestSigningProfile_ANewTelephoneNeedsTwo(t *testing.T) {
	t.Parallel()
	s := newSignBed(t)
	s.open(t, "u1", 1_000_000)
	set := func(who, phone string) (app.MaskedSigner, approval.Request) {
		t.Helper()
		r := s.request("u1")
		r.Actor, r.RequestID, r.Signer = who, s.ids.New().String(), app.Signer{Name: signName, Phone: ""}
		r.Signer.Phone = signPhone
		if phone != "" {
			r.Signer.Phone = "+6281299990000"
		}
		masked, asked, err := s.SetSigningProfile(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return masked, asked
	}
	first, asked := set("ADMIN:alice", "")
	if asked.Needed != 0 {
		t.Fatalf("the first number: %+v", asked)
	}
	now, asked := set("ADMIN:alice", "other")
	if !asked.Waits() || asked.Needed != 1 || now != first {
		t.Fatalf("another number: %+v, %+v", now, asked)
	}
	if s.count(t, `SELECT COUNT(*) FROM approval_requests WHERE LOCATE('99990000', arguments) > 0 OR LOCATE('99990000', summary) > 0`) != 0 {
		t.Error("the number can be read in the request")
	}
	by := caller.Caller{Kind: caller.Admin, Name: "ALICE", Roles: caller.EveryRole()}
	if _, err := s.desk.Approve(t.Context(), desk.Decision{By: by, RequestID: "approve-1", ID: asked.ID}); !errs.Is(err, errs.ApproverIsRequester) {
		t.Error(err)
	}
	s.approve(t, asked)
	if info, err := s.QueryEsignUserInfo(t.Context(), "u1"); err != nil || info.Target == first.Target {
		t.Errorf("%+v, %v", info, err)
	}
}

// The recorded answer of a pay-out that nobody has to approve is the bytes of before.
func TestPayOut_RecordedAnswerIsThatOfBefore(t *testing.T) {
	t.Parallel()
	b := rich(t, 1_000)
	if _, _, err := b.PayOutCreditBalance(t.Context(), "u1", b.asks(400)); err != nil {
		t.Fatal(err)
	}
	var answer string
	if err := b.db.QueryRowContext(t.Context(), `SELECT answer FROM idempotency WHERE scope LIKE 'PayOutCreditBalance%' ORDER BY create_time DESC LIMIT 1`).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	want, err := money.New(600, money.IDR()).MarshalJSON()
	if err != nil || answer != string(want) {
		t.Errorf("%s, want %s, %v", answer, want, err)
	}
}
