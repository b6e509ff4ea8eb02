package app_test

import (
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/services/order/internal/app"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

func TestOfFiftyCommitsExactlyOneBegins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.generate("request-0", draft("a", "b"))
	won := 0
	for _, err := range atOnce(50, func(int) error {
		_, err := w.BeginCommit(t.Context(), c.ID, domain.Commit{ID: w.IDs.New(), UserID: c.UserID, Expected: c.Total}, "SERVICE:payment")
		return err
	}) {
		switch {
		case err == nil:
			won++
		case !errs.Is(err, errs.CheckoutCommitting):
			t.Errorf("a loser was told %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d commits began", won)
	}
	wantStates(t, w.checkout(c.ID), domain.CheckoutCommitting, domain.OrderCommitting, domain.OrderCommitting)
}

func TestOneOfBeginCancelAndExpiryWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.payment.say(app.CommitProcessing, domain.Settlement{})
	for round := range 15 {
		c := w.generate(request(round), draft(request(round)))
		early := w.clock.Now()
		failures := atOnce(3, func(i int) error {
			switch i {
			case 0:
				_, err := w.BeginCommit(t.Context(), c.ID, domain.Commit{ID: w.IDs.New(), UserID: c.UserID, Expected: c.Total}, "SERVICE:payment")
				return err
			case 1:
				_, err := w.CancelPayments(t.Context(), app.Cancel{Caller: spm(), RequestID: "cancel-" + request(round), CheckoutID: c.ID, Reason: "no"})
				return err
			default:
				w.clock.Set(c.ExpireTime)
				_, err := w.ExpireCheckout(t.Context(), jobs.Job{Kind: app.JobCheckoutExpiry, Key: ids.Format(ids.Checkout, c.ID)})
				return err
			}
		})
		now := w.checkout(c.ID)
		if failures[1] != nil || failures[2] != nil {
			t.Errorf("round %d: cancel %v, expiry %v", round, failures[1], failures[2])
		}
		began := failures[0] == nil
		if began != (now.State == domain.CheckoutCommitting) || now.State == domain.CheckoutOpen || now.Version != 2 || now.Orders[0].Version != 2 {
			t.Errorf("round %d: begin %v, checkout %s version %d", round, failures[0], now.State, now.Version)
		}
		w.clock.Set(early)
	}
}

func TestFiftyCallersOfOneRequestMakeOneCheckout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := make([]app.Generated, 50)
	for i, err := range atOnce(50, func(i int) (err error) {
		made[i], err = w.GeneratePayments(t.Context(), app.Generate{Caller: spm(), RequestID: "request-0", Draft: draft("a", "b")})
		return err
	}) {
		if err != nil || made[i].CheckoutID != made[0].CheckoutID {
			t.Errorf("caller %d got %s, error %v", i, made[i].CheckoutID, err)
		}
	}
	if n := w.count(`SELECT COUNT(*) FROM checkouts`); n != 1 {
		t.Errorf("%d checkouts", n)
	}
	_, err := w.GeneratePayments(t.Context(), app.Generate{Caller: spm(), RequestID: "request-0", Draft: draft("other")})
	if !errs.Is(err, errs.RequestIDReused) {
		t.Errorf("other content under the same request_id: %v", err)
	}
}

func TestTheSameOrderNumbersMakeOneCheckout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := make([]app.Generated, 12)
	for i, err := range atOnce(len(made), func(i int) (err error) {
		numbers := []string{"a", "b", "c"}
		if i%2 == 1 {
			numbers = []string{"c", "b", "a"}
		}
		made[i], err = w.GeneratePayments(t.Context(), app.Generate{Caller: spm(), RequestID: request(i), Draft: draft(numbers...)})
		return err
	}) {
		if err != nil || made[i].CheckoutID != made[0].CheckoutID || made[i].Orders[1] != made[0].Orders[1] {
			t.Errorf("caller %d got %+v, error %v", i, made[i], err)
		}
	}
	if made[1].Orders[0].OutOrderNo != "c" || made[0].Orders[0].OutOrderNo != "a" {
		t.Error("orders are not in the request's order")
	}
	for name, d := range map[string]domain.Draft{"a part of them": draft("a"), "one more": draft("a", "b", "c", "d"), "all of another user": {}} {
		if len(d.Orders) == 0 {
			d = draft("a", "b", "c")
			d.UserID = "u2"
		}
		if _, err := w.GeneratePayments(t.Context(), app.Generate{Caller: spm(), RequestID: "again-" + d.UserID + d.Orders[len(d.Orders)-1].OutOrderNo + "-xx", Draft: d}); !errs.Is(err, errs.OrderContentMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOneOfConfirmAndCancelWinsAPaidOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for round := range 15 {
		c := w.paid(request(round), request(round))
		id := c.Orders[0].ID
		var results [2][]app.OrderResult
		for i, err := range atOnce(2, func(i int) (err error) {
			if i == 0 {
				results[0], err = w.ConfirmPayment(t.Context(), app.Confirm{Caller: spm(), RequestID: "confirm-" + request(round), OrderIDs: []ids.ID{id}})
			} else {
				results[1], err = w.CancelPayments(t.Context(), app.Cancel{Caller: spm(), RequestID: "cancel-" + request(round), OrderIDs: []ids.ID{id}, Reason: "no"})
			}
			return err
		}) {
			if err != nil {
				t.Fatalf("round %d, call %d: %v", round, i, err)
			}
		}
		state := w.checkout(c.ID).Orders[0].State
		if state == domain.OrderConfirmed {
			wantReason(t, results[1][0], errs.OrderAlreadyConfirmed)
		} else {
			wantReason(t, results[0][0], errs.OrderStateInvalid)
		}
		if (results[0][0].Reason == "") == (results[1][0].Reason == "") || (state != domain.OrderConfirmed && state != domain.OrderCancelling) {
			t.Errorf("round %d: %s, confirm %+v, cancel %+v", round, state, results[0][0], results[1][0])
		}
	}
}

func TestALateBeginOfAnAbortedCommitIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for round := range 10 {
		c := w.generate(request(round), draft(request(round)))
		commit := domain.Commit{ID: w.IDs.New(), UserID: c.UserID, Expected: c.Total}
		failures := atOnce(2, func(i int) error {
			if i == 0 {
				_, err := w.BeginCommit(t.Context(), c.ID, commit, "SERVICE:payment")
				return err
			}
			return w.AbortCommit(t.Context(), app.Abort{CheckoutID: c.ID, CommitID: commit.ID, Reason: "withdrawn", Actor: "SERVICE:payment"})
		})
		if failures[1] != nil || (failures[0] != nil && !errs.Is(failures[0], errs.CommitAborted)) {
			t.Errorf("round %d: begin %v, abort %v", round, failures[0], failures[1])
		}
		wantStates(t, w.checkout(c.ID), domain.CheckoutOpen, domain.OrderCreated)
		if _, err := w.BeginCommit(t.Context(), c.ID, commit, "SERVICE:payment"); !errs.Is(err, errs.CommitAborted) {
			t.Errorf("round %d: late begin %v", round, err)
		}
		w.begin(w.checkout(c.ID))
	}
}

func TestTheEventAndAConfirmThatIsAheadOfItSettleOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for round := range 10 {
		c := w.generate(request(round), draft(request(round)+"x", request(round)+"y"))
		s := w.settlement(c, w.begin(c))
		w.clock.Advance(time.Second)
		w.payment.say(app.CommitSucceeded, s)
		for i, err := range atOnce(2, func(i int) error {
			if i == 0 {
				return w.apply(app.PaymentSucceeded{Settlement: s})
			}
			_, err := w.ConfirmPayment(t.Context(), app.Confirm{Caller: spm(), RequestID: "confirm-" + request(round), OrderIDs: orderIDs(c)[:1]})
			return err
		}) {
			if err != nil {
				t.Errorf("round %d, call %d: %v", round, i, err)
			}
		}
		wantStates(t, w.checkout(c.ID), domain.CheckoutPaid, domain.OrderConfirmed, domain.OrderPaid)
	}
}

// A marketplace that repeats a request computes the expire time again: it is the same request all the same, also when the first one was
// recorded by a version that took it for content. Anything else in it is other content still.
func TestGenerate_ExpireTimeIsNoContent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ask := func(request string, d domain.Draft) (app.Generated, error) {
		return w.GeneratePayments(t.Context(), app.Generate{Caller: spm(), RequestID: request, Draft: d})
	}
	d := draft("A1")
	d.ExpireTime = w.clock.Now().Add(time.Hour)
	first, err := ask("g1", d)
	if err != nil {
		t.Fatal(err)
	}
	for name, expire := range map[string]time.Time{"the same": d.ExpireTime, "later": d.ExpireTime.Add(7 * time.Second), "none": {},
		"in the past": w.clock.Now().Add(-time.Hour)} {
		again := draft("A1")
		again.ExpireTime = expire
		if got, err := ask("g1", again); err != nil || got.CheckoutID != first.CheckoutID || !got.ExpireTime.Equal(first.ExpireTime) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	other := draft("A1")
	other.Business = "travel"
	if _, err := ask("g1", other); !errs.Is(err, errs.RequestIDReused) {
		t.Errorf("other content: %v", err)
	}
	former, err := idempotency.FingerprintOf(d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.ExecContext(t.Context(), `UPDATE idempotency SET fingerprint = ? WHERE request_id = 'g1'`, former[:]); err != nil {
		t.Fatal(err)
	}
	if got, err := ask("g1", d); err != nil || got.CheckoutID != first.CheckoutID {
		t.Errorf("recorded by the version before: %+v, %v", got, err)
	}
}
