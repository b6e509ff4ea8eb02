package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/secret"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// SentCode is a challenge whose code is on its way.
type SentCode struct {
	ChallengeID  ids.ID    `json:"challenge_id"`
	MaskedTarget string    `json:"masked_target"`
	ExpireTime   time.Time `json:"expire_time"`
	// ResendTime is from when on another code may be asked for; zero when never.
	ResendTime time.Time `json:"resend_time"`
}

// SignRequest names a payer's call about signing.
type SignRequest struct {
	UserID, Caller, RequestID string
	CheckoutID                ids.ID
}

// SendEsignCheck sends a one-time code for the contract of the plan that is locked for a checkout: a new challenge, or another code
// for the one that waits. It fails with errs.QuoteNotFound, errs.QuoteExpired, errs.NotFound, errs.EsignResendTooSoon,
// errs.EsignLocked, and as idempotency.Do does.
//
// The code leaves after the commit, by a durable job. Until then the row holds it sealed: a crash between the two sends it later.
func (a *App) SendEsignCheck(ctx context.Context, r SignRequest) (SentCode, error) {
	if err := a.esign.available(); err != nil {
		return SentCode{}, err
	}
	key := idempotency.Key{Verb: "SendEsignCheck", Caller: r.Caller, RequestID: r.RequestID}
	fp, err := idempotency.FingerprintOf(r.CheckoutID)
	if err != nil {
		return SentCode{}, err
	}
	return idempotency.Do(ctx, a.requests, key, fp, func() (SentCode, error) {
		_, product, err := a.toSign(ctx, r.UserID, r.CheckoutID)
		if err != nil {
			return SentCode{}, err
		}
		signer, _, err := a.signer(ctx, r.UserID)
		if err != nil {
			return SentCode{}, err
		}
		return again(ctx, func() (SentCode, error) { return a.sendCode(ctx, r, product, signer, key, fp) })
	})
}

// toSign is the quote of a checkout and the product whose contract it needs. It fails with errs.QuoteNotFound, errs.QuoteExpired and,
// for a product without a contract, errs.InvalidArgument.
func (a *App) toSign(ctx context.Context, userID string, checkoutID ids.ID) (LockedQuote, domain.Product, error) {
	quote, err := a.esign.Payments.LockedQuote(ctx, userID, checkoutID)
	if err != nil {
		return quote, domain.Product{}, err
	}
	if !a.now().Before(quote.ExpireTime) {
		return quote, domain.Product{}, errs.QuoteExpired.New("the quote's time is over; choose the plan again with ConfirmPayChannel")
	}
	product, err := a.products.version(ctx, a.store, quote.Plan.ProductCode, quote.Plan.ProductVersion)
	if err == nil && product.ContractVersion == "" {
		err = errs.InvalidArgument.New("the product of this checkout's plan needs no contract; call DoCommitPayment")
	}
	return quote, product, err
}

// sendCode is one attempt of SendEsignCheck. The user's one live challenge is what callers at the same time meet at: who comes
// second finds it changed, and looks again.
func (a *App) sendCode(ctx context.Context, r SignRequest, p domain.Product, signer Signer, key idempotency.Key, fp idempotency.Fingerprint) (SentCode, error) {
	now := a.now()
	live, found, err := a.store.LiveChallenge(ctx, r.UserID)
	if err != nil {
		return SentCode{}, err
	}
	code, err := newCode()
	if err != nil {
		return SentCode{}, err
	}
	var next Challenge
	same := found && live.Subject == r.CheckoutID && live.ProductCode == p.Code && live.ContractVersion == p.ContractVersion
	if same {
		next = live
		next.Challenge, err = live.Resend(a.esign.Rules, a.codeHash(live.ID, live.Resends+1, code), now)
		// A challenge that ran out of codes gives way to a new one when the user has waited.
		if errors.Is(err, domain.ErrResendsUsedUp) && !now.Before(live.SendTime.Add(a.esign.LockTime)) {
			same, err = false, nil
		}
		var refusal *domain.ChallengeError
		if errors.As(err, &refusal) {
			return SentCode{}, a.refusedCode(live, refusal)
		}
	}
	if err == nil && !same {
		next, err = a.newChallenge(ctx, r, p, code, now)
	}
	if err != nil {
		return SentCode{}, err
	}
	sealed, err := a.seal("esign_challenges.code", next.ID.String(), code)
	if err != nil {
		return SentCode{}, err
	}
	answer := SentCode{ChallengeID: next.ID, MaskedTarget: signer.masked(0).Target, ExpireTime: next.ExpireTime, ResendTime: next.ResendTime(a.esign.Rules)}
	return answer, a.store.Do(ctx, func(tx Tx) error {
		tx.Remember(key, fp, answer)
		a.countCode(tx, r.UserID, signer.Phone, now)
		switch {
		case same:
			tx.UpdateChallenge(next)
			tx.SetCode(next.ID, sealed)
		case found:
			tx.UpdateChallenge(ended(live, now))
			fallthrough
		default:
			next.CodeSealed = sealed
			tx.InsertChallenge(next)
		}
		tx.Schedule(JobSendCode, ids.Format(ids.Challenge, next.ID), now)
		return nil
	})
}

// ended is a live challenge that gives way to another one.
func ended(c Challenge, now time.Time) Challenge {
	if c.State = c.StateAt(now); c.State == domain.ChallengeSent {
		c.Challenge = c.Replace()
	}
	return c
}

// newChallenge is a challenge of a user who may have one: not soon after a locked one, and not more than some an hour.
func (a *App) newChallenge(ctx context.Context, r SignRequest, p domain.Product, code secret.Masked, now time.Time) (Challenge, error) {
	recent, err := a.store.RecentChallenges(ctx, r.UserID, now.Add(-domain.CodeLockMax))
	if err != nil {
		return Challenge{}, err
	}
	if err := a.mayChallenge(recent, now); err != nil {
		return Challenge{}, err
	}
	id := a.ids.New()
	c, err := domain.NewChallenge(a.esign.Rules, domain.Challenge{
		ID: id, Subject: r.CheckoutID, UserID: r.UserID, ContractVersion: p.ContractVersion, Hash: a.codeHash(id, 0, code),
	}, now)
	return Challenge{Challenge: c, ProductCode: p.Code, Version: 1}, err
}

// mayChallenge refuses a new challenge soon after a locked one, and more than some an hour; recent are those of the last day, newest first.
func (a *App) mayChallenge(recent []Challenge, now time.Time) error {
	wrong := 0
	for _, c := range recent {
		if c.State == domain.ChallengeLocked {
			wrong++
		}
	}
	if len(recent) > 0 && recent[0].State == domain.ChallengeLocked {
		if until := recent[0].SendTime.Add(domain.CodeLock(a.esign.LockTime, wrong)); now.Before(until) {
			return locked(until)
		}
	}
	if n := a.esign.ChallengesPerHour; len(recent) >= n {
		if until := recent[n-1].CreateTime.Add(time.Hour); now.Before(until) {
			return locked(until)
		}
	}
	return nil
}

// countCode counts a code against what a user and a telephone may get in an hour of the clock.
func (a *App) countCode(tx Tx, userID string, phone secret.Masked, now time.Time) {
	hour := now.Truncate(time.Hour)
	refusal := locked(hour.Add(time.Hour))
	digest := a.esign.Keys.MAC("code-count-phone", []byte(phone.Reveal()))
	tx.CountCode("user:"+userID, hour, a.esign.CodesPerUser, refusal)
	tx.CountCode("phone:"+hex.EncodeToString(digest[:16]), hour, a.esign.CodesPerPhone, refusal)
}

// codeDigits is how many digits a code has.
const codeDigits = 6

// newCode is a code that nobody can guess.
func newCode() (secret.Masked, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return "", errs.Internal.Wrap(err, "make a code")
	}
	return secret.Masked(fmt.Sprintf("%0*d", codeDigits, n)), nil
}

// codePurpose separates the codes' digest from every other use of the keyring.
const codePurpose = "esign-code"

// codeParts are what a code's digest is of: with the challenge and the number of the code, so that equal codes differ.
func codeParts(challengeID ids.ID, resends int, code secret.Masked) [][]byte {
	return [][]byte{challengeID[:], []byte(strconv.Itoa(resends)), []byte(code.Reveal())}
}

// codeHash is the keyed digest of a code. The key lives outside the database: six digits can be tried out against any digest that
// stands alone, however slow.
func (a *App) codeHash(challengeID ids.ID, resends int, code secret.Masked) domain.CodeHash {
	return domain.CodeHash(a.esign.Keys.MAC(codePurpose, codeParts(challengeID, resends, code)...))
}

// answerHash is codeHash for an answer; a right one under a key that was replaced meanwhile gives the hash as it was kept.
func (a *App) answerHash(c Challenge, code secret.Masked) domain.CodeHash {
	if a.esign.Keys.VerifyMAC(codePurpose, c.Hash[:], codeParts(c.ID, c.Resends, code)...) {
		return c.Hash
	}
	return a.codeHash(c.ID, c.Resends, code)
}

// DeliverCode hands the code of a challenge to the sender, for the job. A code that is not good any more is dropped. When the
// process dies between sending and writing that down, the same code is sent once more.
func (a *App) DeliverCode(ctx context.Context, challengeText string) error {
	id, err := ids.Parse(ids.Challenge, challengeText)
	if err != nil {
		return errs.InvalidArgument.Wrap(err, "the job names no challenge")
	}
	c, found, err := a.store.Challenge(ctx, id)
	if err != nil || !found || c.CodeSealed == nil {
		return err
	}
	if err := a.deliver(ctx, c, "esign_challenges.code"); err != nil {
		return err
	}
	return a.store.Do(ctx, func(tx Tx) error {
		tx.DropCode(id, c.Resends)
		return nil
	})
}
