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

// sign returns the contract that the code signs: a new one, or that of the same request. All that can be refused besides the code is
// refused before the code is looked at: a refusal of something else must not tell that a code was right.
func (a *App) sign(ctx context.Context, cmd SignCommand) (SignedContract, error) {
	fp, err := idempotency.FingerprintOf([][]byte{cmd.CheckoutID[:], cmd.QuoteID[:], a.esign.Keys.MAC("esign-commit-fingerprint", []byte(cmd.Code.Reveal()))})
	if err != nil {
		return SignedContract{}, err
	}
	c, found, err := a.store.Challenge(ctx, cmd.ChallengeID)
	switch {
	case err != nil:
		return SignedContract{}, err
	case !found || c.UserID != cmd.UserID || c.Subject != cmd.CheckoutID:
		return SignedContract{}, errs.NotFound.New("no such challenge of this checkout")
	case c.State == domain.ChallengeVerified:
		return a.signedBefore(ctx, c, cmd, fp)
	}
	p, err := a.paperOf(ctx, c, cmd)
	if err != nil {
		return SignedContract{}, err
	}
	contract, err := a.answer(ctx, c, cmd, p, fp)
	if !errs.Is(err, errs.ConcurrentChange) {
		return contract, err
	}
	if c, found, err = a.store.Challenge(ctx, cmd.ChallengeID); err == nil && found && c.State == domain.ChallengeVerified {
		return a.signedBefore(ctx, c, cmd, fp)
	}
	return SignedContract{}, a.overtaken(c, err)
}

// overtaken is the answer to every code, right or wrong, that another try of the same challenge overtook: by what the challenge is now, so
// that it does not tell which it was.
func (a *App) overtaken(c Challenge, err error) error {
	if err != nil {
		return err
	}
	if over := c.Over(a.esign.Rules, a.now()); over != nil {
		return a.refusedCode(c, over)
	}
	return errs.ConcurrentChange.New("the code is being tried by several calls at once; repeat")
}

// answer judges the code once, as the challenge was read: a right one signs, a wrong one is counted before the answer.
func (a *App) answer(ctx context.Context, c Challenge, cmd SignCommand, p paper, fp idempotency.Fingerprint) (SignedContract, error) {
	next := c
	var refused error
	next.Challenge, refused = c.Answer(a.esign.Rules, a.answerHash(c, cmd.Code), a.now())
	if refused != nil {
		return SignedContract{}, a.countWrong(ctx, c, next, refused, func(tx Tx) { tx.UpdateChallenge(next) })
	}
	contract, pdf, err := a.draw(next, cmd, p)
	if err != nil {
		return SignedContract{}, err
	}
	next.SignRequest, next.SignFingerprint = cmd.RequestID, fp
	return contract, a.store.Do(ctx, func(tx Tx) error {
		tx.UpdateChallenge(next)
		tx.InsertContract(contract, pdf)
		return nil
	})
}

// countWrong stores a wrong try, and returns the refusal that its caller gets.
func (a *App) countWrong(ctx context.Context, c, next Challenge, refused error, store func(tx Tx)) error {
	var refusal *domain.ChallengeError
	if !errors.As(refused, &refusal) {
		return refused
	}
	if next.WrongTries > c.WrongTries {
		if err := a.store.Do(ctx, func(tx Tx) error {
			store(tx)
			return nil
		}); err != nil {
			return err
		}
	}
	return a.refusedCode(next, refusal)
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

// paper is what a contract is made of besides the code.
type paper struct {
	quote   LockedQuote
	product domain.Product
	signer  Signer
}

// paperOf reads what is to be signed. Errors: as toSign's, errs.QuoteReplaced, errs.EsignCodeUsed, errs.NotFound.
func (a *App) paperOf(ctx context.Context, c Challenge, cmd SignCommand) (d paper, err error) {
	if d.quote, d.product, err = a.toSign(ctx, cmd.UserID, cmd.CheckoutID); err != nil {
		return d, err
	}
	if d.quote.ID != cmd.QuoteID {
		return d, errs.QuoteReplaced.New("a newer choice replaced this quote; use the quote of the last ConfirmPayChannel")
	}
	if d.product.Code != c.ProductCode || d.product.ContractVersion != c.ContractVersion {
		return d, errs.EsignCodeUsed.New("the code was sent for another contract; ask for a new one with SendEsignCheck")
	}
	d.signer, _, err = a.signer(ctx, cmd.UserID)
	return d, err
}

// draw makes the contract of a verified challenge with the figures of the quote.
func (a *App) draw(c Challenge, cmd SignCommand, d paper) (SignedContract, []byte, error) {
	product := d.product
	id, zone := a.ids.New(), product.Zone()
	number := domain.ContractNumber(id, civil.Of(c.VerifyTime, zone))
	text := domain.Agreement{
		Number: number, SignTime: c.VerifyTime, Place: a.esign.Place, LenderName: a.esign.LenderName, LenderAddress: a.esign.LenderAddress,
		BorrowerName: d.signer.Name.Reveal(), BorrowerID: cmd.UserID, BorrowerTarget: d.signer.masked(0).Target,
		Checkout: ids.Format(ids.Checkout, cmd.CheckoutID), Challenge: ids.Format(ids.Challenge, c.ID), Product: product, Plan: d.quote.Plan,
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
