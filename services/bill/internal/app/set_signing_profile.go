package app

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/secret"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// Signer is who signs for a user: the name on the contract and the number that codes go to.
type Signer struct{ Name, Phone secret.Masked }

// given reports whether there is anything to enter.
func (s Signer) given() bool { return s != Signer{} }

// MaskedSigner is a signer as callers see it.
type MaskedSigner struct {
	Name        string                  `json:"name"`
	Target      string                  `json:"target"`
	Certificate domain.CertificateState `json:"certificate"`
}

func (s Signer) masked(certificate domain.CertificateState) MaskedSigner {
	return MaskedSigner{Name: domain.MaskName(s.Name.Reveal()), Target: domain.MaskPhone(s.Phone.Reveal()), Certificate: certificate}
}

// profileSet is the recorded answer of SetSigningProfile.
type profileSet struct {
	MaskedSigner
	// Approval is the request that somebody else must approve first; zero where nobody has to.
	Approval ids.ID `json:"approval_id,omitzero"`
}

// profileAct is the profile that an approved act sets, sealed. Its JSON is part of the database.
type profileAct struct {
	UserID string            `json:"user_id"`
	Name   []byte            `json:"name_sealed"`
	Target []byte            `json:"target_sealed"`
	Kind   domain.TargetKind `json:"target_kind"`
}

// SetSigningProfile enters or replaces who signs for a user: r.Signer. Another telephone number than before needs a second person, whose
// request it returns: one-time codes sign contracts, and go there. Errors: ACCOUNT_NOT_FOUND, INVALID_ARGUMENT, APPROVAL_PENDING. The
// trail of the account keeps the masked form.
func (a *App) SetSigningProfile(ctx context.Context, r AccountRequest) (MaskedSigner, approval.Request, error) {
	s := r.Signer
	if err := a.esign.available(); err != nil {
		return MaskedSigner{}, approval.Request{}, err
	}
	key := idempotency.Key{Verb: verbSetProfile, Caller: r.Actor, RequestID: r.RequestID}
	// A plain digest of a telephone number could be tried out by who reads the table: a keyed one stands for the content.
	fp, err := idempotency.FingerprintOf(a.esign.Keys.MAC("esign-profile-fingerprint", []byte(r.UserID), []byte(s.Name.Reveal()), []byte(s.Phone.Reveal()), []byte(r.Reason)))
	if err != nil {
		return MaskedSigner{}, approval.Request{}, err
	}
	done, err := idempotency.Do(ctx, a.requests, key, fp, func() (profileSet, error) {
		profile, err := a.sealProfile(r.UserID, s)
		if err != nil {
			return profileSet{}, err
		}
		op := Operation{Actor: r.Actor, RequestID: r.RequestID, Reason: r.Reason}
		return a.setProfile(ctx, op, s, profile, func(tx LockingTx, done profileSet) { tx.Remember(key, fp, done) })
	})
	if err != nil {
		return MaskedSigner{}, approval.Request{}, err
	}
	asked, err := a.waiting(ctx, done.Approval)
	return done.MaskedSigner, asked, err
}

// carryProfile sets the profile that somebody approved.
func (a *App) carryProfile(ctx context.Context, r approval.Request) error {
	args, err := argumentsOf[profileAct](r)
	if err != nil {
		return err
	}
	p := SigningProfile{UserID: args.UserID, NameSealed: args.Name, TargetSealed: args.Target, Kind: args.Kind, Certificate: domain.CertificateNone}
	s, err := a.openSigner(p)
	if err != nil {
		return err
	}
	_, err = again(ctx, func() (profileSet, error) {
		return a.setProfile(ctx, approvedOperation(r), s, p, func(LockingTx, profileSet) {})
	})
	return err
}

// setProfile is one attempt: it sets a sealed profile, or has somebody else asked where it changes the telephone number.
func (a *App) setProfile(ctx context.Context, op Operation, s Signer, p SigningProfile, remember func(LockingTx, profileSet)) (profileSet, error) {
	account, err := a.GetCreditAccount(ctx, p.UserID)
	if err != nil {
		return profileSet{}, err
	}
	before, found, err := a.store.Profile(ctx, p.UserID)
	if err != nil {
		return profileSet{}, err
	}
	now, ask := Signer{}, approval.Ask{}
	if found {
		if now, err = a.openSigner(before); err != nil {
			return profileSet{}, err
		}
	}
	if found && now.Phone.Reveal() != s.Phone.Reveal() || !op.Ticket.IsZero() {
		ask = a.ask(verbSetProfile, p.UserID, op)
		ask.Payer, ask.AtLeast, ask.Single, ask.Basis = p.UserID, 1, true, before.Version
		ask.Arguments = profileAct{UserID: p.UserID, Name: p.NameSealed, Target: p.TargetSealed, Kind: p.Kind}
		ask.Summary = fmt.Sprintf("%s: codes of user %s go to %s (%s) instead of %s", verbSetProfile, p.UserID, s.masked(0).Target, s.masked(0).Name,
			now.masked(0).Target)
	}
	done := profileSet{MaskedSigner: s.masked(p.Certificate)}
	trail := AccountChange{ID: a.ids.New(), AccountID: account.ID, Actor: op.Actor, What: verbSetProfile, Reason: op.Reason, Time: a.now(), Before: []byte("{}")}
	if trail.After, err = json.Marshal(done.MaskedSigner); err != nil {
		return profileSet{}, errs.Internal.Wrap(err, "write the profile after the change")
	}
	ask.Effect, p.Version = trail.ID, before.Version
	err = a.store.DoLocking(ctx, func(tx LockingTx) error {
		if ask.Verb != "" {
			asked, err := tx.Gate(ctx, ask)
			if err != nil {
				return err
			}
			if asked.Waits() {
				done = profileSet{MaskedSigner: now.masked(before.Certificate), Approval: asked.ID}
				remember(tx, done)
				return nil
			}
		}
		remember(tx, done)
		tx.PutProfile(p, trail.Time)
		tx.InsertAccountChange(trail)
		return nil
	})
	return done, err
}

// sealProfile checks a signer and seals what must not be read.
func (a *App) sealProfile(userID string, s Signer) (SigningProfile, error) {
	if err := a.esign.available(); err != nil {
		return SigningProfile{}, err
	}
	if err := domain.CheckSigner(s.Name.Reveal(), s.Phone.Reveal()); err != nil {
		return SigningProfile{}, err
	}
	letter, missing, err := a.esign.Missing(s.Name.Reveal())
	if err != nil {
		return SigningProfile{}, errs.Internal.Wrap(err, "look for the letters of a name")
	}
	if missing {
		return SigningProfile{}, errs.InvalidArgument.New("full_name has the letter U+%04X, which contracts have no typeface for; write the name in another script, as on a passport",
			letter).With("field", "full_name")
	}
	p := SigningProfile{UserID: userID, Kind: domain.TargetPhone, Certificate: domain.CertificateNone}
	if p.NameSealed, err = a.seal("esign_profiles.name", userID, s.Name); err != nil {
		return p, err
	}
	p.TargetSealed, err = a.seal("esign_profiles.target", userID, s.Phone)
	return p, err
}

// QueryEsignUserInfo is who signs for a user, masked, or errs.NotFound.
func (a *App) QueryEsignUserInfo(ctx context.Context, userID string) (MaskedSigner, error) {
	if err := a.esign.available(); err != nil {
		return MaskedSigner{}, err
	}
	s, profile, err := a.signer(ctx, userID)
	return s.masked(profile.Certificate), err
}

// signer opens a user's profile; errs.NotFound when there is none.
func (a *App) signer(ctx context.Context, userID string) (Signer, SigningProfile, error) {
	p, found, err := a.store.Profile(ctx, userID)
	if err != nil {
		return Signer{}, p, err
	}
	if !found {
		return Signer{}, p, errs.NotFound.New("nobody has entered the name and the telephone number that a contract needs; ask customer service")
	}
	s, err := a.openSigner(p)
	return s, p, err
}

// openSigner opens a sealed profile.
func (a *App) openSigner(p SigningProfile) (s Signer, err error) {
	if s.Name, err = a.open("esign_profiles.name", p.UserID, p.NameSealed); err != nil {
		return s, err
	}
	s.Phone, err = a.open("esign_profiles.target", p.UserID, p.TargetSealed)
	return s, err
}

// seal encrypts a field of a row.
func (a *App) seal(field, row string, text secret.Masked) ([]byte, error) {
	sealed, err := a.esign.Keys.Seal([]byte(text.Reveal()), []byte(field+":"+row))
	if err != nil {
		return nil, errs.Internal.Wrap(err, "seal %s", field)
	}
	return sealed, nil
}

// open is the inverse of seal.
func (a *App) open(field, row string, sealed []byte) (secret.Masked, error) {
	text, err := a.esign.Keys.Open(sealed, []byte(field+":"+row))
	if err != nil {
		return "", errs.Internal.Wrap(err, "open %s", field)
	}
	return secret.Masked(text), nil
}

// openingProfile is the profile of an account that is opened, and the fingerprint of the request with it; without a signer nothing
// changes.
func (a *App) openingProfile(r AccountRequest, fp idempotency.Fingerprint) (SigningProfile, idempotency.Fingerprint, error) {
	userID, s := r.UserID, r.Signer
	if !s.given() {
		return SigningProfile{}, fp, nil
	}
	profile, err := a.sealProfile(userID, s)
	if err != nil {
		return profile, fp, err
	}
	fp, err = idempotency.FingerprintOf([][]byte{fp[:], a.esign.Keys.MAC("esign-profile-fingerprint", []byte(userID), []byte(s.Name.Reveal()), []byte(s.Phone.Reveal()))})
	return profile, fp, err
}
