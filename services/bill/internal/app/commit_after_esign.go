package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/secret"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// SignCommand signs a contract and pays.
type SignCommand struct {
	SignRequest
	ChallengeID, QuoteID ids.ID
	Code, Pin            secret.Masked
}

// SignOutcome is a signed contract and what became of the payment.
type SignOutcome struct {
	ContractNumber string
	Commit         CommitOutcome
}

// CommitAfterEsign verifies the code, signs the contract of the quote and pays as DoCommitPayment does. The signature stands whatever
// becomes of the payment. A repeat with the same request id finds the signature and asks the payment service again, which answers
// what it answered; so does a repeat after a crash between the two. It fails with errs.EsignCodeWrong, errs.EsignCodeExpired,
// errs.EsignCodeUsed, errs.EsignLocked, errs.QuoteExpired, errs.QuoteReplaced, errs.RequestIDReused, errs.NotFound, and as
// Payments.CommitFor does.
func (a *App) CommitAfterEsign(ctx context.Context, cmd SignCommand) (SignOutcome, error) {
	if err := a.esign.available(); err != nil {
		return SignOutcome{}, err
	}
	contract, err := a.sign(ctx, cmd)
	if err != nil {
		return SignOutcome{}, err
	}
	// A challenge signs once, so its id names the commit; the payer's own request ids stay free for DoCommitPayment.
	commit, err := a.esign.Payments.CommitFor(ctx, CommitFor{
		UserID: cmd.UserID, RequestID: "esign." + ids.Format(ids.Challenge, cmd.ChallengeID),
		CheckoutID: cmd.CheckoutID, QuoteID: cmd.QuoteID, Pin: cmd.Pin,
	})
	return SignOutcome{ContractNumber: contract.Number, Commit: commit}, err
}

// sign gives the contract that the code signs: a new one, or that of the same request. A wrong code is counted before the answer, so
// that tries in parallel cannot escape the count.
func (a *App) sign(ctx context.Context, cmd SignCommand) (SignedContract, error) {
	fp, err := idempotency.FingerprintOf([][]byte{cmd.CheckoutID[:], cmd.QuoteID[:], a.esign.Keys.MAC("esign-commit-fingerprint", []byte(cmd.Code.Reveal()))})
	if err != nil {
		return SignedContract{}, err
	}
	// Each beaten attempt means that another try or code was written, and of those there are not more.
	for range a.esign.Rules.TriesMax + a.esign.Rules.ResendsMax + maxTries {
		c, found, err := a.store.Challenge(ctx, cmd.ChallengeID)
		switch {
		case err != nil:
			return SignedContract{}, err
		case !found || c.UserID != cmd.UserID || c.Subject != cmd.CheckoutID:
			return SignedContract{}, errs.NotFound.New("no such challenge of this checkout")
		case c.State == domain.ChallengeVerified:
			return a.signedBefore(ctx, c, cmd, fp)
		}
		contract, err := a.answer(ctx, c, cmd, fp)
		if !errs.Is(err, errs.ConcurrentChange) {
			return contract, err
		}
	}
	return SignedContract{}, errs.ConcurrentChange.New("the code is being tried by several calls at once; repeat")
}

// answer is one attempt: the right code signs, a wrong one counts.
func (a *App) answer(ctx context.Context, c Challenge, cmd SignCommand, fp idempotency.Fingerprint) (SignedContract, error) {
	now := a.now()
	next := c
	var refused error
	next.Challenge, refused = c.Answer(a.esign.Rules, a.answerHash(c, cmd.Code), now)
	var refusal *domain.ChallengeError
	if errors.As(refused, &refusal) {
		if next.WrongTries > c.WrongTries {
			if err := a.store.Do(ctx, func(tx Tx) error {
				tx.UpdateChallenge(next)
				return nil
			}); err != nil {
				return SignedContract{}, err
			}
		}
		return SignedContract{}, a.refusedCode(next, refusal)
	}
	if refused != nil {
		return SignedContract{}, refused
	}
	contract, pdf, err := a.draw(ctx, next, cmd)
	if err != nil {
		return SignedContract{}, err
	}
	next.SignRequest, next.SignFingerprint = cmd.RequestID, fp
	err = a.store.Do(ctx, func(tx Tx) error {
		tx.UpdateChallenge(next)
		tx.InsertContract(contract, pdf)
		return nil
	})
	return contract, err
}

// signedBefore answers a challenge that was used: to the request that used it, its contract.
func (a *App) signedBefore(ctx context.Context, c Challenge, cmd SignCommand, fp idempotency.Fingerprint) (SignedContract, error) {
	if c.SignRequest != cmd.RequestID {
		return SignedContract{}, a.refusedCode(c, &domain.ChallengeError{Refusal: domain.ErrChallengeUsed})
	}
	if c.SignFingerprint != fp {
		return SignedContract{}, errs.RequestIDReused.New("this request_id came before with other content; use a new one")
	}
	contract, found, err := a.store.ContractOfChallenge(ctx, c.ID)
	if err == nil && !found {
		err = errs.Internal.New("a verified challenge has no contract")
	}
	return contract, err
}

// draw makes the contract of a verified challenge with the figures of the quote.
func (a *App) draw(ctx context.Context, c Challenge, cmd SignCommand) (SignedContract, []byte, error) {
	quote, product, err := a.toSign(ctx, cmd.UserID, cmd.CheckoutID)
	if err != nil {
		return SignedContract{}, nil, err
	}
	if quote.ID != cmd.QuoteID {
		return SignedContract{}, nil, errs.QuoteReplaced.New("a newer choice replaced this quote; use the quote of the last ConfirmPayChannel")
	}
	if product.Code != c.ProductCode || product.ContractVersion != c.ContractVersion {
		return SignedContract{}, nil, errs.EsignCodeUsed.New("the code was sent for another contract; ask for a new one with SendEsignCheck")
	}
	signer, _, err := a.signer(ctx, cmd.UserID)
	if err != nil {
		return SignedContract{}, nil, err
	}
	id, zone := a.ids.New(), product.Zone()
	number := domain.ContractNumber(id, civil.Of(c.VerifyTime, zone))
	text := domain.Agreement{
		Number: number, SignTime: c.VerifyTime, Place: a.esign.Place, LenderName: a.esign.LenderName, LenderAddress: a.esign.LenderAddress,
		BorrowerName: signer.Name.Reveal(), BorrowerID: cmd.UserID, BorrowerTarget: signer.masked(0).Target,
		Checkout: ids.Format(ids.Checkout, cmd.CheckoutID), Challenge: ids.Format(ids.Challenge, c.ID), Product: product, Plan: quote.Plan,
	}.Text()
	pdf, err := a.esign.Print(text, number, c.VerifyTime)
	if err != nil {
		return SignedContract{}, nil, errs.Internal.Wrap(err, "print a contract")
	}
	contract := SignedContract{
		ID: id, Number: number, UserID: cmd.UserID, CheckoutID: cmd.CheckoutID, ChallengeID: c.ID,
		ProductCode: product.Code, ProductVersion: product.Version, ContractVersion: product.ContractVersion, TextVersion: domain.AgreementTextVersion,
		PDFSHA256: sha256.Sum256(pdf), SignTime: c.VerifyTime,
	}
	if _, err := hex.Decode(contract.ContentSHA256[:], []byte(domain.ContentHash(text))); err != nil {
		return SignedContract{}, nil, errs.Internal.Wrap(err, "digest a contract")
	}
	return contract, pdf, nil
}
