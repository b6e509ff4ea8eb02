package app_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/secret"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
	"github.com/creditpay/creditpay/services/bill/internal/store"
)

// mustSign is whether QuotePlans asks the user to sign for a product; the purchase must be allowed all the same.
func (s *signBed) mustSign(t *testing.T, user, product string) bool {
	t.Helper()
	q, err := s.QuotePlans(t.Context(), app.QuoteRequest{UserID: user, Business: "marketplace", ProductCode: product, TenorMonths: 3,
		Orders: []app.FinancedOrder{{Amount: rp(100_000)}}})
	if err != nil || q.Refusal != nil {
		t.Fatalf("%v, %v", q.Refusal, err)
	}
	return q.MustSign
}

func TestAPurchaseNeedsASignatureOfItsContractOnceUntilTheTextChanges(t *testing.T) {
	t.Parallel()
	s := newSignBed(t)
	s.signer(t, "u1")
	first := s.purchase("u1", 100_000)
	_, err := s.ReserveCredit(t.Context(), first)
	wantReason(t, err, errs.EsignRequired)
	if !s.mustSign(t, "u1", "SPL_ID") {
		t.Error("the quote does not ask for a signature")
	}
	s.wantFigures(t, "u1", 50_000_000, 0, 0)
	s.sign(t, "u1", s.flat())
	s.reserve(t, first)
	s.reserve(t, first) // the same commit again
	s.reserve(t, s.purchase("u1", 50_000))
	if s.mustSign(t, "u1", "SPL_ID") {
		t.Error("the quote asks for a second signature")
	}
	if _, err := s.fleet.ReserveCredit(t.Context(), s.purchase("u1", 50_000)); err != nil {
		t.Errorf("another replica does not see the signature: %v", err)
	}
	other := s.purchase("u1", 50_000)
	other.ProductCode = "SPL_ID_REDUCING"
	_, err = s.ReserveCredit(t.Context(), other)
	wantReason(t, err, errs.EsignRequired)

	next := s.flat()
	next.Version, next.ContractVersion = 2, "2026-07"
	if err := s.rows.Seed(t.Context(), []domain.Product{next}, s.clock.Now()); err != nil {
		t.Fatal(err)
	}
	s.clock.Advance(2 * time.Second)
	changed := s.purchase("u1", 50_000)
	changed.ProductVersion = 2
	_, err = s.ReserveCredit(t.Context(), changed)
	wantReason(t, err, errs.EsignRequired)
	if !s.mustSign(t, "u1", "SPL_ID") {
		t.Error("the quote does not ask for the signature of the changed text")
	}
	s.sign(t, "u1", next)
	s.reserve(t, changed)
}

func TestWhatStandsAgainstTheAccountComesBeforeTheSignature(t *testing.T) {
	t.Parallel()
	s := newSignBed(t)
	s.signer(t, "u1")
	if _, err := s.FreezeCreditAccount(t.Context(), s.request("u1")); err != nil {
		t.Fatal(err)
	}
	_, err := s.ReserveCredit(t.Context(), s.purchase("u1", 100_000))
	wantReason(t, err, errs.AccountFrozen)
	_, err = s.ReserveCredit(t.Context(), s.purchase("stranger", 100_000))
	wantReason(t, err, errs.AccountNotFound)
}

func TestFiftyWrongCodesAtOnceNeverExceedTheTries(t *testing.T) {
	t.Parallel()
	s := newSignBed(t)
	s.signer(t, "u1")
	checkout, quote := s.choose(t, "u1", s.flat())
	challenge, code := s.mustSend(t, "u1", checkout)
	counted := 0
	for _, err := range together(50, func(int) error {
		_, err := s.CommitAfterEsign(context.Background(), s.command("u1", checkout, quote, challenge, wrong(code)))
		return err
	}) {
		switch {
		case errs.Is(err, errs.EsignCodeWrong):
			counted++
		case !errs.Is(err, errs.EsignLocked) && !errs.Is(err, errs.ConcurrentChange):
			t.Errorf("a wrong code: %v", err)
		}
	}
	for range 5 - s.count(t, `SELECT wrong_tries FROM esign_challenges`) {
		if _, err := s.CommitAfterEsign(t.Context(), s.command("u1", checkout, quote, challenge, wrong(code))); errs.Is(err, errs.EsignCodeWrong) {
			counted++
		}
	}
	// The fifth wrong code locks, and is answered so.
	if counted != 4 || s.count(t, `SELECT wrong_tries FROM esign_challenges`) != 5 {
		t.Errorf("%d were told that they were wrong, %d were counted", counted, s.count(t, `SELECT wrong_tries FROM esign_challenges`))
	}
	_, err := s.CommitAfterEsign(t.Context(), s.command("u1", checkout, quote, challenge, code))
	wantReason(t, err, errs.EsignLocked)
	_, err = s.send("u1", checkout, "after-lock-1")
	wantReason(t, err, errs.EsignLocked)
	other, _ := s.choose(t, "u1", s.flat())
	_, err = s.send("u1", other, "after-lock-2")
	wantReason(t, err, errs.EsignLocked)
	s.clock.Advance(15 * time.Minute)
	s.mustSend(t, "u1", checkout)
}

func TestTwentyCallersWithTheRightCodeSignOnce(t *testing.T) {
	t.Parallel()
	s := newSignBed(t)
	for _, same := range []string{"", "one-request"} {
		user := "u" + same
		s.signer(t, user)
		checkout, quote := s.choose(t, user, s.flat())
		challenge, code := s.mustSend(t, user, checkout)
		numbers := make([]string, 20)
		results := together(20, func(i int) error {
			cmd := s.command(user, checkout, quote, challenge, code)
			if same != "" {
				cmd.RequestID = same
			}
			out, err := s.CommitAfterEsign(context.Background(), cmd)
			numbers[i] = out.ContractNumber
			return err
		})
		signed := 0
		for i, err := range results {
			switch {
			case err == nil:
				signed++
			case same != "" || !errs.Is(err, errs.EsignCodeUsed):
				t.Errorf("caller %d: %v", i, err)
			}
		}
		if want := map[string]int{"": 1, "one-request": 20}[same]; signed != want {
			t.Errorf("%d of 20 signed, want %d", signed, want)
		}
		numbers = slices.DeleteFunc(numbers, func(n string) bool { return n == "" })
		if slices.Sort(numbers); numbers[0] != numbers[len(numbers)-1] {
			t.Errorf("several contracts: %v", numbers)
		}
		for _, table := range []string{"esign_contracts", "esign_signatures"} {
			if n := s.count(t, `SELECT COUNT(*) FROM `+table+` WHERE user_id = ?`, user); n != 1 {
				t.Errorf("%d rows in %s", n, table)
			}
		}
	}
	if len(s.payments.paid) != 2 {
		t.Errorf("paid %v", s.payments.paid)
	}
}

func TestARepeatSignsOnceAtEveryCrashPoint(t *testing.T) {
	t.Parallel()
	s := newSignBed(t)
	s.signer(t, "u1")
	checkout, quote := s.choose(t, "u1", s.flat())
	challenge, code := s.mustSend(t, "u1", checkout)
	cmd := s.command("u1", checkout, quote, challenge, code)
	s.payments.down = 1 // the process dies after the signature: the payment service never answers
	_, err := s.CommitAfterEsign(t.Context(), cmd)
	wantReason(t, err, errs.DependencyUnavailable)
	badPin := cmd
	badPin.Pin = "111222"
	_, err = s.CommitAfterEsign(t.Context(), badPin)
	wantReason(t, err, errs.PinWrong)
	// Everything may be over by now: the signature stands.
	s.clock.Advance(48 * time.Hour)
	first, err := s.fleet.CommitAfterEsign(t.Context(), cmd)
	if err != nil || first.Commit.State != "SUCCEEDED" {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, err := s.CommitAfterEsign(t.Context(), cmd); err != nil || again != first {
		t.Errorf("%+v, %v, want %+v", again, err, first)
	}
	other := cmd
	other.Code = wrong(code)
	_, err = s.CommitAfterEsign(t.Context(), other)
	wantReason(t, err, errs.RequestIDReused)
	replay := cmd
	replay.RequestID = "another-one"
	_, err = s.CommitAfterEsign(t.Context(), replay)
	wantReason(t, err, errs.EsignCodeUsed)
	if s.count(t, `SELECT COUNT(*) FROM esign_contracts`) != 1 || len(s.payments.paid) != 1 {
		t.Error("signed or paid twice")
	}
}

func TestACodeIsSentOnceLaterAfterACrashAndNeverKeptInClear(t *testing.T) {
	t.Parallel()
	s := newSignBed(t)
	s.signer(t, "u1")
	checkout, _ := s.choose(t, "u1", s.flat())
	sent, err := s.send("u1", checkout, "request-1")
	if err != nil {
		t.Fatal(err)
	}
	if s.pockets.count() != 0 || s.count(t, `SELECT COUNT(*) FROM esign_challenges WHERE code_sealed IS NOT NULL`) != 1 {
		t.Error("the code does not wait for the job")
	}
	s.pockets.down = 1
	s.work(t)
	if s.pockets.count() != 0 {
		t.Fatal("the sender was down")
	}
	s.clock.Advance(2 * time.Second)
	s.work(t)
	code := s.pockets.last(t).Code.Reveal()
	again, err := s.send("u1", checkout, "request-1")
	if err != nil || again != sent {
		t.Errorf("a repeat: %+v, %v, want %+v", again, err, sent)
	}
	s.clock.Advance(2 * time.Minute) // even when another code could be sent
	if again, err = s.send("u1", checkout, "request-1"); err != nil || again != sent {
		t.Errorf("a late repeat: %+v, %v, want %+v", again, err, sent)
	}
	s.work(t)
	if s.pockets.count() != 1 {
		t.Errorf("%d codes were sent", s.pockets.count())
	}
	if s.count(t, `SELECT COUNT(*) FROM esign_challenges WHERE code_sealed IS NOT NULL`) != 0 {
		t.Error("the code is kept after it was sent")
	}
	for _, column := range []string{"code_mac", "id", "sign_request_id"} {
		if s.count(t, `SELECT COUNT(*) FROM esign_challenges WHERE LOCATE(?, `+column+`) > 0`, code) != 0 {
			t.Errorf("the code stands in %s", column)
		}
	}
	if s.count(t, `SELECT COUNT(*) FROM idempotency WHERE LOCATE(?, answer) > 0`, `"`+code+`"`) != 0 {
		t.Error("the code stands in the record of a request")
	}
	// A code that was never sent in time is dropped.
	second, _ := s.choose(t, "u1", s.flat())
	if _, err := s.send("u1", second, "request-2"); err != nil {
		t.Fatal(err)
	}
	s.clock.Advance(time.Hour)
	s.work(t)
	if s.pockets.count() != 1 || s.count(t, `SELECT COUNT(*) FROM esign_challenges WHERE code_sealed IS NOT NULL`) != 0 {
		t.Error("an expired code was sent, or is kept")
	}
}

func TestAnotherCodeTakesTheFirstOnesPlaceAndItsTriesStillCount(t *testing.T) {
	t.Parallel()
	s := newSignBed(t)
	s.signer(t, "u1")
	checkout, quote := s.choose(t, "u1", s.flat())
	challenge, old := s.mustSend(t, "u1", checkout)
	_, err := s.CommitAfterEsign(t.Context(), s.command("u1", checkout, quote, challenge, wrong(old)))
	wantReason(t, err, errs.EsignCodeWrong)
	_, err = s.send("u1", checkout, "too-soon-1")
	wantReason(t, err, errs.EsignResendTooSoon)
	var code = old
	for i := range 3 {
		s.clock.Advance(time.Minute)
		var same ids.ID
		if same, code = s.mustSend(t, "u1", checkout); same != challenge {
			t.Errorf("code %d is of another challenge", i)
		}
	}
	s.clock.Advance(time.Minute)
	_, err = s.send("u1", checkout, "one-too-many")
	wantReason(t, err, errs.EsignLocked)
	if code != old {
		_, err = s.CommitAfterEsign(t.Context(), s.command("u1", checkout, quote, challenge, old))
		var refused *errs.Error
		if !errors.As(err, &refused) || refused.Metadata()["tries_left"] != "3" {
			t.Errorf("the replaced code: %v", err)
		}
	}
	s.clock.Advance(5 * time.Minute)
	_, err = s.CommitAfterEsign(t.Context(), s.command("u1", checkout, quote, challenge, code))
	wantReason(t, err, errs.EsignCodeExpired)
	s.clock.Advance(10 * time.Minute)
	fresh, code := s.mustSend(t, "u1", checkout)
	if fresh == challenge {
		t.Error("the challenge has no codes left")
	}
	if _, err := s.CommitAfterEsign(t.Context(), s.command("u1", checkout, quote, fresh, code)); err != nil {
		t.Error(err)
	}
	_, err = s.CommitAfterEsign(t.Context(), s.command("u1", checkout, quote, challenge, code))
	wantReason(t, err, errs.EsignCodeExpired)
}

func TestAUserHasOneLiveChallengeAndSomeAnHour(t *testing.T) {
	t.Parallel()
	s := newSignBed(t)
	s.signer(t, "u1")
	checkouts := make([]ids.ID, 20)
	quotes := make([]ids.ID, 20)
	for i := range checkouts {
		checkouts[i], quotes[i] = s.choose(t, "u1", s.flat())
	}
	made := 0
	for i, err := range together(20, func(i int) error {
		_, err := s.send("u1", checkouts[i], "request-"+strconv.Itoa(i))
		return err
	}) {
		switch {
		case err == nil:
			made++
		case !errs.Is(err, errs.EsignLocked) && !errs.Is(err, errs.ConcurrentChange):
			t.Errorf("caller %d: %v", i, err)
		}
	}
	if n := s.count(t, `SELECT COUNT(*) FROM esign_challenges`); n > 3 || n != made || made == 0 {
		t.Errorf("%d challenges, %d answered", n, made)
	}
	if n := s.count(t, `SELECT COUNT(*) FROM esign_challenges WHERE live = 1`); n != 1 {
		t.Errorf("%d live challenges", n)
	}
	s.clock.Advance(time.Hour)
	s.work(t)
	challenge, _ := s.mustSend(t, "u1", checkouts[0])
	next, code := s.mustSend(t, "u1", checkouts[1])
	_, err := s.CommitAfterEsign(t.Context(), s.command("u1", checkouts[0], quotes[0], challenge, code))
	wantReason(t, err, errs.EsignCodeUsed)
	_, err = s.CommitAfterEsign(t.Context(), s.command("u1", checkouts[1], quotes[0], next, code))
	wantReason(t, err, errs.QuoteReplaced)
	_, err = s.CommitAfterEsign(t.Context(), s.command("u1", checkouts[0], quotes[0], next, code))
	wantReason(t, err, errs.NotFound)
	_, err = s.CommitAfterEsign(t.Context(), s.command("u2", checkouts[1], quotes[1], next, code))
	wantReason(t, err, errs.NotFound)
	reducing := domain.DefaultProducts(rp(0).Currency())[1]
	s.payments.quotes[checkouts[1]] = s.payments.quotes[first(s.choose(t, "u1", reducing))]
	_, err = s.CommitAfterEsign(t.Context(), s.command("u1", checkouts[1], s.payments.quotes[checkouts[1]].ID, next, code))
	wantReason(t, err, errs.EsignCodeUsed)
}

func first(a, _ ids.ID) ids.ID { return a }

func TestASigningProfileIsSealedMaskedAndNeeded(t *testing.T) {
	t.Parallel()
	s := newSignBed(t)
	s.open(t, "u1", 1_000_000)
	checkout, _ := s.choose(t, "u1", s.flat())
	_, err := s.send("u1", checkout, "request-1")
	wantReason(t, err, errs.NotFound)
	_, err = s.QueryEsignUserInfo(t.Context(), "u1")
	wantReason(t, err, errs.NotFound)
	status, err := s.PreEsignCheck(t.Context(), "u1", checkout)
	if err != nil || status.Signed || status.ContractVersion != "2026-01" || len(status.Missing) != 1 {
		t.Errorf("%+v, %v", status, err)
	}
	r := s.request("u1")
	r.Signer = app.Signer{Name: "Budi 7", Phone: signPhone}
	_, _, err = s.SetSigningProfile(t.Context(), r)
	wantReason(t, err, errs.InvalidArgument)
	r.Signer = app.Signer{Name: signName, Phone: signPhone}
	masked, _, err := s.SetSigningProfile(t.Context(), r)
	if err != nil || masked.Name != "B*** S***" || masked.Target != "+62 8** *** *123" {
		t.Fatalf("%+v, %v", masked, err)
	}
	if again, _, err := s.SetSigningProfile(t.Context(), r); err != nil || again != masked {
		t.Errorf("a repeat: %+v, %v", again, err)
	}
	other := r
	other.Signer.Phone = "+6281234567124"
	_, _, err = s.SetSigningProfile(t.Context(), other)
	wantReason(t, err, errs.RequestIDReused)
	if info, err := s.QueryEsignUserInfo(t.Context(), "u1"); err != nil || info != masked {
		t.Errorf("%+v, %v", info, err)
	}
	if s.count(t, `SELECT COUNT(*) FROM esign_profiles WHERE LOCATE('Budi', name_sealed) > 0 OR LOCATE('1234567', target_sealed) > 0`) != 0 ||
		s.count(t, `SELECT COUNT(*) FROM account_changes WHERE LOCATE('Budi', after_json) > 0 OR LOCATE('1234567', after_json) > 0`) != 0 {
		t.Error("name or number can be read in the database")
	}
	s.sign(t, "u1", s.flat())
	if status, err = s.PreEsignCheck(t.Context(), "u1", checkout); err != nil || !status.Signed || len(status.Missing) != 0 {
		t.Errorf("after signing: %+v, %v", status, err)
	}
	if status, err = s.PreEsignCheck(t.Context(), "u1", s.ids.New()); err != nil || status.Signed || len(status.Missing) != 1 {
		t.Errorf("without a plan: %+v, %v", status, err)
	}
	_, err = s.PreEsignCheck(t.Context(), "u2", checkout)
	wantReason(t, err, errs.NotFound)
	_, _, err = s.SetSigningProfile(t.Context(), app.AccountRequest{RequestID: "request-9", UserID: "stranger", Signer: r.Signer})
	wantReason(t, err, errs.AccountNotFound)
}

func TestAContractIsFoundByItsOrdersAndOpenedByAShortLink(t *testing.T) {
	t.Parallel()
	s := newSignBed(t)
	s.signer(t, "u1")
	signed := s.sign(t, "u1", s.flat())
	buy := s.purchase("u1", 100_000, 50_000)
	s.reserve(t, buy)
	orders := []ids.ID{buy.Orders[0].OrderID, buy.Orders[1].OrderID, s.ids.New()}
	if list, err := s.ContractsOfOrders(t.Context(), caller.Caller{Kind: caller.H5, UserID: "u2"}, orders); err != nil || len(list) != 0 {
		t.Errorf("somebody else sees %v, %v", list, err)
	}
	if list, err := s.ContractsOfOrders(t.Context(), caller.Caller{Kind: caller.SPM, Name: "beta", Owner: "beta"}, orders); err != nil || len(list) != 0 {
		t.Errorf("another marketplace sees %v, %v", list, err)
	}
	list, err := s.ContractsOfOrders(t.Context(), caller.Caller{Kind: caller.SPM, Name: "marketplace"}, orders)
	if err != nil || len(list) != 2 || list[0].Number != signed.ContractNumber || list[1].Number != signed.ContractNumber {
		t.Fatalf("%v, %v", list, err)
	}
	if numbers, err := s.BatchGetContracts(t.Context(), orders); err != nil || len(numbers) != 2 || numbers[0].OrderID != list[0].OrderID || numbers[1].Number != signed.ContractNumber {
		t.Errorf("the numbers alone: %v, %v", numbers, err)
	}
	link, err := url.Parse(list[0].URL)
	if err != nil || link.Path != "/h5/v1/contracts/"+signed.ContractNumber+"/pdf" {
		t.Fatalf("%s, %v", list[0].URL, err)
	}
	expires, err := strconv.ParseInt(link.Query().Get("expires"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	signature := link.Query().Get("signature")
	pdf, err := s.fleet.ContractFile(t.Context(), signed.ContractNumber, expires, signature)
	if err != nil || sha256.Sum256(pdf) != list[0].PDFSHA256 || !strings.Contains(string(pdf), hex.EncodeToString(list[0].ContentSHA256[:])) {
		t.Errorf("%d bytes, %v", len(pdf), err)
	}
	for name, c := range map[string]struct {
		number, signature string
		expires           int64
	}{
		"another time":      {signed.ContractNumber, signature, expires + 1},
		"another contract":  {"CP-20260410-X", signature, expires},
		"no signature":      {signed.ContractNumber, "", expires},
		"another signature": {signed.ContractNumber, "AAAA" + signature[4:], expires},
		"not base 64":       {signed.ContractNumber, "%%", expires},
	} {
		if _, err := s.ContractFile(t.Context(), c.number, c.expires, c.signature); !errs.Is(err, errs.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.clock.Advance(5*time.Minute + time.Second)
	_, err = s.ContractFile(t.Context(), signed.ContractNumber, expires, signature)
	wantReason(t, err, errs.TokenExpired)
}

func TestTheAuditFindsWhatSigningMustNotLeave(t *testing.T) {
	t.Parallel()
	s := newSignBed(t)
	s.signer(t, "u1")
	s.sign(t, "u1", s.flat())
	s.reserve(t, s.purchase("u1", 100_000))
	for _, c := range []struct{ check, spoil, mend string }{
		{"signature_contract", `UPDATE esign_contracts SET pdf = CONCAT(pdf, 'x')`, `UPDATE esign_contracts SET pdf = LEFT(pdf, LENGTH(pdf) - 1)`},
		{"loan_signed", `UPDATE esign_signatures SET product_code = 'OTHER'`, `UPDATE esign_signatures SET product_code = 'SPL_ID'`},
		{"loan_signed", `UPDATE reservations SET contract_id = NULL`, `UPDATE reservations SET contract_id = (SELECT id FROM esign_contracts)`},
		{"contract_signature", `UPDATE esign_challenges SET user_id = 'u2'`, `UPDATE esign_challenges SET user_id = 'u1'`},
		{"challenge_contract", `UPDATE esign_contracts SET challenge_id = REVERSE(challenge_id)`, `UPDATE esign_contracts SET challenge_id = REVERSE( challenge_id)`},
	} {
		for _, do := range []string{c.spoil, c.mend} {
			if _, err := s.db.ExecContext(t.Context(), do); err != nil {
				t.Fatal(err)
			}
			found, err := audit.Run(t.Context(), s.db, "bill", s.clock.Now(), store.Audit())
			if err != nil {
				t.Fatal(err)
			}
			seen := slices.ContainsFunc(found, func(f audit.Finding) bool { return f.Check == c.check })
			if seen != (do == c.spoil) {
				t.Errorf("after %s: %v", do, found)
			}
		}
	}
}

func TestWithoutKeysNothingIsSignedAndNothingIsAskedFor(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	b.reserve(t, b.purchase("u1", 100_000))
	_, err := b.SendEsignCheck(t.Context(), app.SignRequest{UserID: "u1", RequestID: "request-1"})
	wantReason(t, err, errs.NotYetAvailable)
	_, err = b.CommitAfterEsign(t.Context(), app.SignCommand{})
	wantReason(t, err, errs.NotYetAvailable)
	r := b.request("u2")
	r.Signer = app.Signer{Name: signName, Phone: signPhone}
	_, err = b.OpenCreditAccount(t.Context(), r, rp(1))
	wantReason(t, err, errs.NotYetAvailable)
}

// A name in any script signs; one with a letter that a contract cannot print is refused before anything is stored.
func TestSetSigningProfile_TakesWhatContractsPrint(t *testing.T) {
	t.Parallel()
	s := newSignBed(t)
	s.open(t, "u1", 100_000)
	for name, want := range map[string]bool{"王小明": true, "محمد عبد الرحمن": true, strings.Repeat("ก", 100): true, strings.Repeat("\U00020000", 100): false,
		"Ab \U00010330": false} {
		r := s.request("u1")
		r.Signer = app.Signer{Name: secret.Masked(name), Phone: "+6281234567890"}
		_, _, err := s.SetSigningProfile(t.Context(), r)
		if (err == nil) != want || !want && !errs.Is(err, errs.InvalidArgument) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
