package crash

import (
	"context"
	"testing"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"

	"github.com/creditpay/creditpay/pkg/civil"
)

// nightLoans is how many loans each of two buyers has: together more than one batch of the sweep.
const nightLoans = 26

// nextBillDay is the first day on which something is billed that is not.
func (s *site) nextBillDay(t *testing.T) civil.Date {
	t.Helper()
	return s.mustDate(t, `SELECT MIN(bill_date) FROM creditpay_bill.instalments WHERE billed = 0`)
}

// billedOnce proves what the nights until a bill day did with a buyer's loans: the newest bill was made, the one before, which nobody
// paid, is late. That the journal agrees is the audit's to prove.
func (b *buyer) billedOnce(t *testing.T, day civil.Date) {
	t.Helper()
	res, err := b.site.bills().QueryBills(as(t.Context(), b.token), &billv1.QueryBillsRequest{})
	if err != nil || len(res.GetBills()) < 2 || res.GetBills()[0].GetBillDate() != day.String() {
		t.Fatalf("no bill of %s for %s: %v, %v", day, b.user, res, err)
	}
	b.oneBill(t, res.GetBills()[0], billv1.BillState_BILL_STATE_ISSUED, 1)
	b.oneBill(t, res.GetBills()[1], billv1.BillState_BILL_STATE_OVERDUE, 2)
}

// oneBill proves that a bill is in a state, was told of so often, and that each of its instalments was billed and late at most once.
func (b *buyer) oneBill(t *testing.T, bill *billv1.Bill, state billv1.BillState, told int64) {
	t.Helper()
	if bill.GetState() != state || bill.GetInstalmentCount() != nightLoans {
		t.Errorf("bill %v, want %s with %d instalments", bill, state, nightLoans)
	}
	s, late := b.site, state == billv1.BillState_BILL_STATE_OVERDUE
	rows := s.mustCount(t, `SELECT COUNT(*) FROM creditpay_bill.bills WHERE user_id = ? AND bill_date = ? AND state = ?`, b.user, bill.GetBillDate(), state)
	events := s.mustCount(t, `SELECT COUNT(*) FROM creditpay_bill.outbox WHERE message_key = ? AND INSTR(payload, ?) > 0`, b.user, bill.GetBillId())
	if rows != 1 || events != told {
		t.Errorf("bill %s has %d rows that are %s and was told of %d times, want %d", bill.GetBillId(), rows, state, events, told)
	}
	// A month costs 5 % of what was not paid in time, half up to one rupiah.
	right := s.mustCount(t, `SELECT SUM(i.billed AND i.late_minor = IF(?, FLOOR(((i.principal_minor + i.interest_minor + i.fee_minor) * 5 + 50) / 100), 0))
		FROM creditpay_bill.instalments i JOIN creditpay_bill.loans l ON l.id = i.loan_id WHERE l.user_id = ? AND i.bill_date = ?`,
		late, b.user, bill.GetBillDate())
	if right != nightLoans {
		t.Errorf("bill %s has %d instalments with the late fee that they cost, want %d", bill.GetBillId(), right, nightLoans)
	}
}

// Each step is a month: one sweep makes the bill and charges for the one before, whose due day it passes.
func TestKilledBetweenAnyTwoStepsOfANight(t *testing.T) {
	t.Parallel()
	s, first := setup(t)
	buyers := []*buyer{first, s.newBuyer(t, "user-crash-2")}
	for _, b := range buyers {
		b.fillBasket(t, nightLoans)
	}
	s.mustReach(t, s.nextBillDay(t))
	eachStep(t, s, "night",
		func(int) civil.Date {
			s.diesOrRests(t, briefRest)
			return s.nextBillDay(t)
		},
		func(ctx context.Context, day civil.Date) { _ = s.advance(ctx, s.until(t, day)) },
		func(day civil.Date) {
			s.skipLeases(t)
			s.diesOrRests(t, briefRest)
			for _, b := range buyers {
				b.billedOnce(t, day)
			}
		})
}
