package app_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// pinEvents are the events about PINs, oldest first.
func (w *world) pinEvents() []domain.PinChange {
	w.t.Helper()
	rows, err := w.db.QueryContext(context.Background(), `SELECT payload FROM outbox WHERE message_key = ? ORDER BY id`, user)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var out []domain.PinChange
	for rows.Next() {
		var payload []byte
		if err := rows.Scan(&payload); err != nil {
			w.t.Fatal(err)
		}
		out = append(out, pinChangeOf(w.t, payload))
	}
	return out
}

func (w *world) wantPinEvents(want ...domain.PinChange) {
	w.t.Helper()
	got := w.pinEvents()
	if len(got) != len(want) {
		w.t.Fatalf("got %d events about the PIN, want %d: %v", len(got), len(want), got)
	}
	for i := range want {
		if got[i] != want[i] {
			w.t.Errorf("event %d: got %d, want %d", i, got[i], want[i])
		}
	}
}

// A stolen session set the first PIN and bought with it: nothing asked who the payer is.
func TestPin_FirstOneNeedsAProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	bare := app.SetPin{UserID: user, Caller: who, RequestID: "pin-0001", NewPin: pin}
	w.wantReason(w.SetPaymentPin(ctx, bare), errs.PinProofRequired)
	withCode := bare
	withCode.ChallengeID, withCode.Code = "chl_"+user, goodCode
	w.wantReason(w.SetPaymentPin(ctx, withCode), errs.NotFound)
	sent, err := w.SendPinCode(ctx, user, "code-0001")
	if err != nil || sent.ChallengeID != withCode.ChallengeID {
		t.Fatalf("got %+v, %v", sent, err)
	}
	wrong := withCode
	wrong.Code = "000000"
	w.wantReason(w.SetPaymentPin(ctx, wrong), errs.EsignCodeWrong)
	for range 2 {
		if err := w.SetPaymentPin(ctx, withCode); err != nil {
			t.Fatal(err)
		}
	}
	if a, err := w.commit("commit-1", w.quote()); err != nil || a.State != domain.PaymentSucceeded {
		t.Errorf("got %+v, %v", a, err)
	}
	w.wantPinEvents(domain.PinSet)
	w.proveBooks()
}

func TestPin_ForgottenOneHasAWayBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	w.setPin()
	quote := w.quote()
	for range domain.PinTriesMax {
		_, _ = w.DoCommitPayment(ctx, user, who, "guess-"+w.gen.New().String(), "111222", app.CommitRequest{CheckoutID: w.checkoutID(), QuoteID: quote})
	}
	_, err := w.commit("commit-1", quote)
	w.wantReason(err, errs.PinLocked)
	// A second factor sets the first PIN only: it does not take the place of one that is set.
	w.wantReason(w.SetPaymentPin(ctx, setPin(user, who, "pin-0002", "602481", "")), errs.PinWrong)
	if _, err := w.SendPinCode(ctx, user, "code-0001"); err != nil {
		t.Fatal(err)
	}
	reset := app.SetPin{UserID: user, Caller: who, RequestID: "pin-0003", NewPin: "602481", ChallengeID: "chl_" + user, Code: goodCode}
	if err := w.SetPaymentPin(ctx, reset); err != nil {
		t.Fatal(err)
	}
	again := reset
	again.RequestID = "pin-0004"
	w.wantReason(w.SetPaymentPin(ctx, again), errs.EsignCodeUsed)
	_, err = w.commit("commit-1", quote)
	w.wantReason(err, errs.PinWrong)
	a, err := w.DoCommitPayment(ctx, user, who, "commit-2", "602481", app.CommitRequest{CheckoutID: w.checkoutID(), QuoteID: quote})
	if err != nil || a.State != domain.PaymentSucceeded {
		t.Errorf("got %+v, %v", a, err)
	}
	w.wantPinEvents(domain.PinSet, domain.PinLocked, domain.PinReset)
	w.proveBooks()
}

// The lock is half an hour, two hours, then a day; a right PIN and a calm week make the next one a first one again.
func TestPin_LockGrowsAndForgets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setPin()
	lock := func() time.Duration {
		t.Helper()
		for range domain.PinTriesMax {
			_, _ = w.DoCommitPayment(context.Background(), user, who, "guess-"+w.gen.New().String(), "111222",
				app.CommitRequest{CheckoutID: w.checkoutID(), QuoteID: w.quote()})
		}
		p, err := w.store.Pin(context.Background(), user)
		if err != nil {
			t.Fatal(err)
		}
		until := p.LockedUntil.Sub(w.clock.Now())
		w.clock.Advance(until)
		return until
	}
	w.orders.checkout.ExpireTime = w.clock.Now().Add(365 * 24 * time.Hour)
	for i, want := range []time.Duration{30 * time.Minute, 2 * time.Hour, 24 * time.Hour, 24 * time.Hour} {
		if got := lock(); got != want {
			t.Errorf("lock %d: got %s, want %s", i+1, got, want)
		}
	}
	w.clock.Advance(domain.PinCalm)
	if got := lock(); got != domain.PinLockTime {
		t.Errorf("after a calm week: got %s, want %s", got, domain.PinLockTime)
	}
	if got := lock(); got != 2*time.Hour {
		t.Errorf("the second after that: got %s, want 2h", got)
	}
	if _, err := w.commit("commit-1", w.quote()); err != nil {
		t.Fatal(err)
	}
	w.orders.checkout.Open = true
	if got := lock(); got != domain.PinLockTime {
		t.Errorf("after a right PIN: got %s, want %s", got, domain.PinLockTime)
	}
	w.proveBooks()
}

func TestPin_ChangeIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setPin()
	if err := w.SetPaymentPin(context.Background(), setPin(user, who, "pin-0002", "602481", pin)); err != nil {
		t.Fatal(err)
	}
	w.wantPinEvents(domain.PinSet, domain.PinChanged)
}

// pinChangeOf reads what an event says of a PIN.
func pinChangeOf(t *testing.T, payload []byte) domain.PinChange {
	t.Helper()
	var envelope commonv1.EventEnvelope
	if err := proto.Unmarshal(payload, &envelope); err != nil {
		t.Fatal(err)
	}
	var m paymentv1.PinChanged
	if err := envelope.GetPayload().UnmarshalTo(&m); err != nil {
		t.Fatal(err)
	}
	if m.GetUserId() != user || m.GetChangeTime() == nil || (m.GetChange() == paymentv1.PinChange_PIN_CHANGE_LOCKED) != (m.GetLockedUntil() != nil) {
		t.Errorf("the event is not whole: %v", &m)
	}
	return domain.PinChange(m.GetChange())
}
