package app_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/secret"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

func (s *signBed) sendPinCode(user, request string) (app.SentCode, error) {
	return s.SendUserCode(context.Background(), app.UserCode{UserID: user, RequestID: request, Purpose: domain.CodeForPin})
}

// pinCode sends a code for a PIN, and returns its challenge and the code.
func (s *signBed) pinCode(t *testing.T, user string) (ids.ID, secret.Masked) {
	t.Helper()
	sent, err := s.sendPinCode(user, s.ids.New().String())
	if err != nil {
		t.Fatal(err)
	}
	s.work(t)
	m := s.pockets.last(t)
	if m.ChallengeID != sent.ChallengeID || m.UserID != user || m.Target.Reveal() != signPhone || m.Purpose != domain.CodeForPin {
		t.Fatalf("sent %v to %s for %v", m.ChallengeID, m.UserID, sent)
	}
	return sent.ChallengeID, m.Code
}

func (s *signBed) checkPinCode(a *app.App, user string, challenge ids.ID, code secret.Masked, use string) error {
	return a.CheckUserCode(context.Background(), app.CodeAnswer{UserID: user, Purpose: domain.CodeForPin, ChallengeID: challenge, Code: code, UseID: use})
}

func TestUserCode_IsGoodOnceForItsUserAndUse(t *testing.T) {
	t.Parallel()
	s := newSignBed(t)
	s.signer(t, "u1")
	_, err := s.sendPinCode("u2", "pin-code-01")
	wantReason(t, err, errs.NotFound)
	challenge, code := s.pinCode(t, "u1")
	first, err := s.sendPinCode("u1", "pin-code-02")
	wantReason(t, err, errs.EsignResendTooSoon)
	if first.ChallengeID != (ids.ID{}) {
		t.Errorf("a refused call names the challenge %s", first.ChallengeID)
	}
	wantReason(t, s.checkPinCode(s.App, "u2", challenge, code, "use-0001"), errs.NotFound)
	wantReason(t, s.checkPinCode(s.App, "u1", challenge, wrong(code), "use-0001"), errs.EsignCodeWrong)
	for range 2 {
		if err := s.checkPinCode(s.App, "u1", challenge, code, "use-0001"); err != nil {
			t.Fatal(err)
		}
	}
	wantReason(t, s.checkPinCode(s.App, "u1", challenge, wrong(code), "use-0001"), errs.EsignCodeUsed)
	wantReason(t, s.checkPinCode(s.App, "u1", challenge, code, "use-0002"), errs.EsignCodeUsed)
	s.clock.Advance(2 * time.Hour)
	wantReason(t, s.checkPinCode(s.App, "u1", challenge, code, "use-0001"), errs.EsignCodeUsed)
	if n := s.count(t, `SELECT COUNT(*) FROM user_codes WHERE code_sealed IS NOT NULL`); n != 0 {
		t.Errorf("%d codes are kept after they were sent", n)
	}
}

// A code that was sent to sign with sets no PIN, and the other way round.
func TestUserCode_IsGoodForItsPurposeOnly(t *testing.T) {
	t.Parallel()
	s := newSignBed(t)
	s.signer(t, "u1")
	checkout, quote := s.choose(t, "u1", s.flat())
	signing, signCode := s.mustSend(t, "u1", checkout)
	pin, pinCode := s.pinCode(t, "u1")
	wantReason(t, s.checkPinCode(s.App, "u1", signing, signCode, "use-0001"), errs.NotFound)
	_, err := s.CommitAfterEsign(t.Context(), s.command("u1", checkout, quote, pin, pinCode))
	wantReason(t, err, errs.NotFound)
	if err := s.checkPinCode(s.App, "u1", pin, pinCode, "use-0001"); err != nil {
		t.Error(err)
	}
}

// The right code among 80 at once, over two replicas, is judged in its turn or answered as wrong ones are.
func TestUserCode_EightyAtOnceAreJudgedOneByOne(t *testing.T) {
	t.Parallel()
	const rounds = 10
	s := newSignBed(t)
	wins := 0
	for round := range rounds {
		user := fmt.Sprintf("u%d", round)
		s.signer(t, user)
		challenge, code := s.pinCode(t, user)
		s.clock.Advance(time.Hour) // The telephone is everybody's here, and has its own bound.
		if _, err := s.db.ExecContext(t.Context(), `UPDATE user_codes SET expire_time = ? WHERE id = ?`, s.clock.Now().Add(time.Hour), challenge); err != nil {
			t.Fatal(err)
		}
		if s.judged(t, code, func(a *app.App, i int, c secret.Masked) error {
			return s.checkPinCode(a, user, challenge, c, fmt.Sprintf("use-%04d", i))
		}) {
			wins++
		}
	}
	if wins > rounds/2 {
		t.Errorf("the right code won %d of %d rounds", wins, rounds)
	}
}

// With a quote that was replaced, the right code answered QUOTE_REPLACED without being counted where wrong ones were: it stood out among
// any number at once.
func TestEsign_EightyAtOnceAreJudgedOneByOne(t *testing.T) {
	t.Parallel()
	const rounds = 8
	s := newSignBed(t)
	wins := 0
	for round := range rounds {
		user := fmt.Sprintf("u%d", round)
		s.signer(t, user)
		checkout, quote := s.choose(t, user, s.flat())
		challenge, code := s.mustSend(t, user, checkout)
		_, err := s.CommitAfterEsign(t.Context(), s.command(user, checkout, s.ids.New(), challenge, code))
		wantReason(t, err, errs.QuoteReplaced)
		_, err = s.CommitAfterEsign(t.Context(), s.command(user, checkout, s.ids.New(), challenge, wrong(code)))
		wantReason(t, err, errs.QuoteReplaced)
		if s.judged(t, code, func(a *app.App, _ int, c secret.Masked) error {
			_, err := a.CommitAfterEsign(context.Background(), s.command(user, checkout, quote, challenge, c))
			return err
		}) {
			wins++
		}
		s.clock.Advance(time.Hour) // The telephone is everybody's here, and has its own bound.
	}
	if wins > rounds/2 {
		t.Errorf("the right code won %d of %d rounds", wins, rounds)
	}
}

// judged tries 79 wrong codes and the right one at once and reports whether the right one was taken. Answers must not tell which was
// right: the one that is overtaken is answered as all that are.
func (s *signBed) judged(t *testing.T, code secret.Masked, try func(a *app.App, i int, c secret.Masked) error) (won bool) {
	t.Helper()
	const n, right = 80, 40
	results := together(n, func(i int) error {
		c := secret.Masked(fmt.Sprintf("%06d", i))
		switch {
		case i == right:
			c = code
		case c == code:
			c = "999999"
		}
		if i%2 == 1 {
			return try(s.fleet, i, c)
		}
		return try(s.App, i, c)
	})
	wrong, overtaken := 0, map[string]bool{}
	for i, err := range results {
		switch {
		case err == nil && i == right:
			won = true
		case err == nil:
			t.Error("a wrong code was taken")
		case errs.Is(err, errs.EsignCodeWrong) && i == right:
			t.Error("the right code was called wrong")
		case errs.Is(err, errs.EsignCodeWrong):
			wrong++
		case errs.Is(err, errs.ConcurrentChange):
			overtaken[err.Error()] = true
		case !errs.Is(err, errs.EsignLocked) && !errs.Is(err, errs.EsignCodeUsed):
			t.Errorf("got %v", err)
		}
	}
	if wrong > triesMax-1 || len(overtaken) > 1 {
		t.Errorf("%d wrong codes were judged before the lock, want %d; overtaken tries were answered %v", wrong+1, triesMax, overtaken)
	}
	return won
}

// triesMax wrong codes lock a challenge.
var triesMax = domain.DefaultChallengeRules().TriesMax

func TestCodes_AreBoundedPerUserPhoneAndHour(t *testing.T) {
	t.Parallel()
	s := newSignBed(t) // ten codes an hour for a user, and ten for a telephone
	sent, refused := 0, error(nil)
	for i := 0; i < 30 && refused == nil; i++ {
		user := fmt.Sprintf("u%02d", i)
		s.signer(t, user)
		if i%2 == 0 {
			_, refused = s.sendPinCode(user, "request-pin")
		} else {
			checkout, _ := s.choose(t, user, s.flat())
			_, refused = s.send(user, checkout, "request-sign")
		}
		if refused == nil {
			sent++
		}
	}
	wantReason(t, refused, errs.EsignLocked)
	if sent != 10 {
		t.Errorf("%d codes went to one telephone, want 10", sent)
	}
	s.work(t)
	// A repeat is answered, and sends nothing.
	if again, err := s.sendPinCode("u00", "request-pin"); err != nil || again.ChallengeID == (ids.ID{}) {
		t.Errorf("a repeat: got %+v, %v", again, err)
	}
	if got := s.pockets.count(); got != 10 {
		t.Errorf("%d codes were sent, want 10", got)
	}
	s.clock.Advance(time.Hour)
	s.pinCode(t, "u10")
}

// A user who changes telephones has a bound of the own.
func TestCodes_ManyPhonesOfOneUserAreOneUser(t *testing.T) {
	t.Parallel()
	s := newSignBed(t)
	s.signer(t, "u1")
	refused, sent := error(nil), 0
	for i := 0; i < 30 && refused == nil; i++ {
		r := s.request("u1")
		r.Signer = app.Signer{Name: signName, Phone: secret.Masked(fmt.Sprintf("+628123456%04d", i))}
		_, asked, err := s.SetSigningProfile(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		s.approve(t, asked)
		if _, refused = s.sendPinCode("u1", fmt.Sprintf("request-%04d", i)); refused == nil {
			sent++
		}
		s.work(t)
		s.clock.Advance(time.Minute)
		if i%4 == 3 { // A challenge has four codes; another one needs that this one is over.
			if _, err := s.db.ExecContext(t.Context(), `UPDATE user_codes SET state = 4, live = NULL WHERE live = 1`); err != nil {
				t.Fatal(err)
			}
		}
	}
	wantReason(t, refused, errs.EsignLocked)
	if sent != 10 {
		t.Errorf("a user got %d codes in an hour, want 10", sent)
	}
}

// The lock after wrong codes grows: 15 minutes, an hour, four hours, a day.
func TestCodes_LockGrowsWithRepetition(t *testing.T) {
	t.Parallel()
	base := 15 * time.Minute
	for locked, want := range []time.Duration{base, base, 4 * base, 16 * base, 64 * base, domain.CodeLockMax, domain.CodeLockMax} {
		if got := domain.CodeLock(base, locked); got != min(want, domain.CodeLockMax) {
			t.Errorf("after %d locked challenges: got %s, want %s", locked, got, want)
		}
	}
	s := newSignBed(t)
	s.signer(t, "u1")
	lock := func() {
		challenge, code := s.pinCode(t, "u1")
		for range triesMax {
			_ = s.checkPinCode(s.App, "u1", challenge, wrong(code), "use-0001")
		}
	}
	lock()
	s.clock.Advance(base)
	lock()
	s.clock.Advance(base)
	_, err := s.sendPinCode("u1", "too-soon-1")
	wantReason(t, err, errs.EsignLocked)
	s.clock.Advance(3 * base)
	s.pinCode(t, "u1")
}

// Repayments that wait for their money cost a leg and a page each: a payer has twenty at most, also when eighty are asked for at once.
func TestRepay_OpenOnesAreBounded(t *testing.T) {
	t.Parallel()
	b, loan := begun(t)
	var open []app.Repayment
	results := make([]app.Begun, 80)
	for i, err := range together(80, func(i int) (err error) {
		results[i], err = b.RepayBills(context.Background(), "u1", "H5:u1", fmt.Sprintf("repay-%04d", i),
			app.Repay{LoanIDs: []ids.ID{loan}, Amount: rp(1_000), Channel: "VA"})
		return err
	}) {
		if err == nil {
			open = append(open, results[i].Repayment)
		} else if !errs.Is(err, errs.TooManyOpenRepayments) {
			t.Errorf("got %v, want TOO_MANY_OPEN_REPAYMENTS", err)
		}
	}
	if n := b.count(t, `SELECT COUNT(*) FROM repayments`); len(open) != 20 || n != 20 {
		t.Fatalf("%d repayments began, %d are stored, want 20", len(open), n)
	}
	// A repeat of one that began is answered.
	if again, err := b.RepayBills(t.Context(), "u1", "H5:u1", open[0].RequestID, app.Repay{LoanIDs: []ids.ID{loan}, Amount: rp(1_000), Channel: "VA"}); err != nil ||
		again.Repayment.ID != open[0].ID {
		t.Errorf("a repeat: got %+v, %v", again, err)
	}
	b.outcome(t, open[0], app.CashLegFailed)
	if _, err := b.RepayBills(t.Context(), "u1", "H5:u1", "repay-later", app.Repay{LoanIDs: []ids.ID{loan}, Amount: rp(1_000), Channel: "VA"}); err != nil {
		t.Errorf("after one ended: %v", err)
	}
	for _, r := range open[1:] {
		b.outcome(t, r, app.CashLegFailed)
	}
}
