package app

import (
	"context"
	"encoding/json"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
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

// SetSigningProfile enters or replaces who signs for a user: r.Signer. It fails with errs.AccountNotFound, errs.InvalidArgument, and as
// idempotency.Do does. The trail of the account keeps the masked form.
func (a *App) SetSigningProfile(ctx context.Context, r AccountRequest) (MaskedSigner, error) {
	s := r.Signer
	if err := a.esign.available(); err != nil {
		return MaskedSigner{}, err
	}
	key := idempotency.Key{Verb: "SetSigningProfile", Caller: r.Actor, RequestID: r.RequestID}
	// A plain digest of a telephone number could be tried out by who reads the table: a keyed one stands for the content.
	fp, err := idempotency.FingerprintOf(a.esign.Keys.MAC("esign-profile-fingerprint", []byte(r.UserID), []byte(s.Name.Reveal()), []byte(s.Phone.Reveal()), []byte(r.Reason)))
	if err != nil {
		return MaskedSigner{}, err
	}
	return idempotency.Do(ctx, a.requests, key, fp, func() (MaskedSigner, error) {
		profile, err := a.sealProfile(r.UserID, s)
		if err != nil {
			return MaskedSigner{}, err
		}
		account, err := a.GetCreditAccount(ctx, r.UserID)
		if err != nil {
			return MaskedSigner{}, err
		}
		answer, now := s.masked(profile.Certificate), a.now()
		trail := AccountChange{ID: a.ids.New(), AccountID: account.ID, Actor: r.Actor, What: key.Verb, Reason: r.Reason, Time: now, Before: []byte("{}")}
		if trail.After, err = json.Marshal(answer); err != nil {
			return MaskedSigner{}, errs.Internal.Wrap(err, "write the profile after the change")
		}
		return answer, a.store.Do(ctx, func(tx Tx) error {
			tx.Remember(key, fp, answer)
			tx.PutProfile(profile, now)
			tx.InsertAccountChange(trail)
			return nil
		})
	})
}

// sealProfile checks a signer and seals what must not be read.
func (a *App) sealProfile(userID string, s Signer) (SigningProfile, error) {
	if err := a.esign.available(); err != nil {
		return SigningProfile{}, err
	}
	if err := domain.CheckSigner(s.Name.Reveal(), s.Phone.Reveal()); err != nil {
		return SigningProfile{}, err
	}
	p := SigningProfile{UserID: userID, Kind: domain.TargetPhone, Certificate: domain.CertificateNone}
	var err error
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
	var s Signer
	if s.Name, err = a.open("esign_profiles.name", userID, p.NameSealed); err != nil {
		return s, p, err
	}
	s.Phone, err = a.open("esign_profiles.target", userID, p.TargetSealed)
	return s, p, err
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
