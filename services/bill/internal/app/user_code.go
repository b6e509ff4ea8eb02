package app

import (
	"context"
	"errors"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/secret"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// JobSendUserCode hands a one-time code that signs nothing to the sender; the key is the challenge's typed id.
const JobSendUserCode = "user_code_send"

// UserCodeStore reads one-time codes that sign nothing.
type UserCodeStore interface {
	// UserCode finds a challenge; false when there is none.
	UserCode(ctx context.Context, id ids.ID) (Challenge, bool, error)
	// LiveUserCode finds the challenge that a user may answer for a purpose, or that has run out unnoticed; false when there is none.
	LiveUserCode(ctx context.Context, userID string, p domain.CodePurpose) (Challenge, bool, error)
	// RecentUserCodes returns a user's challenges for a purpose that were made after a time, newest first, a bounded number.
	RecentUserCodes(ctx context.Context, userID string, p domain.CodePurpose, after time.Time) ([]Challenge, error)
}

// UserCodeTx queues the writes of one-time codes; see Tx.
type UserCodeTx interface {
	// InsertUserCode adds a challenge with its sealed code. A user has one that is live for a purpose: a second one is
	// errs.ConcurrentChange.
	InsertUserCode(c Challenge)
	// UpdateUserCode writes all but the code to the challenge in c's version; it drops the code of one that is not live any more.
	UpdateUserCode(c Challenge)
	// SetUserCode writes the code of a challenge that waits to be sent.
	SetUserCode(id ids.ID, sealed []byte)
	// DropUserCode forgets the code after it was sent, unless another one waits since.
	DropUserCode(id ids.ID, resends int)
	// CountCode counts a code of a subject in an hour; the transaction fails with refusal when there were as many as may be.
	CountCode(subject string, hour time.Time, most int, refusal error)
}

// UserCode asks for a one-time code.
type UserCode struct {
	UserID, RequestID string
	Purpose           domain.CodePurpose
}

// SendUserCode sends a one-time code to the user's telephone: a new challenge, or another code for the one that waits. Errors:
// errs.NotFound, errs.EsignResendTooSoon, errs.EsignLocked, and as idempotency.Do's.
func (a *App) SendUserCode(ctx context.Context, r UserCode) (SentCode, error) {
	if err := a.codesAvailable(); err != nil {
		return SentCode{}, err
	}
	// The requests of one user are apart from another's, whoever passes them on.
	key := idempotency.Key{Verb: "SendUserCode", Caller: "H5:" + r.UserID, RequestID: r.RequestID}
	fp, err := idempotency.FingerprintOf(r.Purpose)
	if err != nil {
		return SentCode{}, err
	}
	return idempotency.Do(ctx, a.requests, key, fp, func() (SentCode, error) {
		signer, _, err := a.signer(ctx, r.UserID)
		if err != nil {
			return SentCode{}, err
		}
		return again(ctx, func() (SentCode, error) { return a.sendUserCode(ctx, r, signer, key, fp) })
	})
}

// codesAvailable refuses calls about codes where nobody sends them.
func (a *App) codesAvailable() error {
	if a.esign.Keys == nil || a.esign.Sender == nil {
		return errs.NotYetAvailable.New("this installation sends no one-time codes")
	}
	return nil
}

// sendUserCode is one attempt. The user's one live challenge is what callers at the same time meet at.
func (a *App) sendUserCode(ctx context.Context, r UserCode, signer Signer, key idempotency.Key, fp idempotency.Fingerprint) (SentCode, error) {
	now := a.now()
	live, found, err := a.store.LiveUserCode(ctx, r.UserID, r.Purpose)
	if err != nil {
		return SentCode{}, err
	}
	code, err := newCode()
	if err != nil {
		return SentCode{}, err
	}
	next, same := live, found
	if found {
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
		next, err = a.newUserCode(ctx, r, code, now)
	}
	if err != nil {
		return SentCode{}, err
	}
	sealed, err := a.seal("user_codes.code", next.ID.String(), code)
	if err != nil {
		return SentCode{}, err
	}
	answer := SentCode{ChallengeID: next.ID, MaskedTarget: signer.masked(0).Target, ExpireTime: next.ExpireTime, ResendTime: next.ResendTime(a.esign.Rules)}
	return answer, a.store.Do(ctx, func(tx Tx) error {
		tx.Remember(key, fp, answer)
		a.countCode(tx, r.UserID, signer.Phone, now)
		switch {
		case same:
			tx.UpdateUserCode(next)
			tx.SetUserCode(next.ID, sealed)
		case found:
			tx.UpdateUserCode(ended(live, now))
			fallthrough
		default:
			next.CodeSealed = sealed
			tx.InsertUserCode(next)
		}
		tx.Schedule(JobSendUserCode, ids.Format(ids.Challenge, next.ID), now)
		return nil
	})
}

// newUserCode is a challenge of a user who may have one.
func (a *App) newUserCode(ctx context.Context, r UserCode, code secret.Masked, now time.Time) (Challenge, error) {
	recent, err := a.store.RecentUserCodes(ctx, r.UserID, r.Purpose, now.Add(-domain.CodeLockMax))
	if err != nil {
		return Challenge{}, err
	}
	if err := a.mayChallenge(recent, now); err != nil {
		return Challenge{}, err
	}
	id := a.ids.New()
	c, err := domain.NewChallenge(a.esign.Rules, domain.Challenge{ID: id, Purpose: r.Purpose, UserID: r.UserID, Hash: a.codeHash(id, 0, code)}, now)
	return Challenge{Challenge: c, Version: 1}, err
}

// CodeAnswer is a code that came back.
type CodeAnswer struct {
	UserID      string
	Purpose     domain.CodePurpose
	ChallengeID ids.ID
	Code        secret.Masked
	// UseID names what the code is used for: a right code is good for this use only.
	UseID string
}

// useLife is how long a use may be asked about again.
const useLife = time.Hour

// CheckUserCode verifies a code, once a try: a right one is used up, a wrong one is counted before the answer. A repeat for the same use
// answers the same. Errors: errs.NotFound, errs.EsignCodeWrong, errs.EsignCodeExpired, errs.EsignCodeUsed, errs.EsignLocked,
// errs.ConcurrentChange.
func (a *App) CheckUserCode(ctx context.Context, r CodeAnswer) error {
	if err := a.codesAvailable(); err != nil {
		return err
	}
	c, found, err := a.store.UserCode(ctx, r.ChallengeID)
	switch {
	case err != nil:
		return err
	case !found || c.UserID != r.UserID || c.Purpose != r.Purpose:
		return errs.NotFound.New("no such challenge; ask for a code with %s", asksForCode(r.Purpose))
	case c.usedFor(r.UseID, a.answerHash(c, r.Code), a.now()):
		return nil
	}
	if err = a.judge(ctx, c, r); !errs.Is(err, errs.ConcurrentChange) {
		return err
	}
	// The same use may have been asked about twice at once.
	if c, _, err = a.store.UserCode(ctx, r.ChallengeID); err == nil && c.usedFor(r.UseID, a.answerHash(c, r.Code), a.now()) {
		return nil
	}
	return a.overtaken(c, err)
}

// judge is one try.
func (a *App) judge(ctx context.Context, c Challenge, r CodeAnswer) error {
	next := c
	var refused error
	next.Challenge, refused = c.Answer(a.esign.Rules, a.answerHash(c, r.Code), a.now())
	if refused != nil {
		return a.countWrong(ctx, c, next, refused, func(tx Tx) { tx.UpdateUserCode(next) })
	}
	next.UseID = r.UseID
	return a.store.Do(ctx, func(tx Tx) error {
		tx.UpdateUserCode(next)
		return nil
	})
}

// usedFor reports whether this code was used for this use, a short while ago.
func (c Challenge) usedFor(useID string, hash domain.CodeHash, now time.Time) bool {
	return c.State == domain.ChallengeVerified && c.UseID == useID && hash == c.Hash && now.Before(c.VerifyTime.Add(useLife))
}

// DeliverUserCode hands the code of a challenge to the sender, for the job, as DeliverCode does.
func (a *App) DeliverUserCode(ctx context.Context, challengeText string) error {
	id, err := ids.Parse(ids.Challenge, challengeText)
	if err != nil {
		return errs.InvalidArgument.Wrap(err, "the job names no challenge")
	}
	c, found, err := a.store.UserCode(ctx, id)
	if err != nil || !found || c.CodeSealed == nil {
		return err
	}
	if err := a.deliver(ctx, c, "user_codes.code"); err != nil {
		return err
	}
	return a.store.Do(ctx, func(tx Tx) error {
		tx.DropUserCode(id, c.Resends)
		return nil
	})
}

// deliver hands a sealed code to the sender; one that is not good any more is dropped.
func (a *App) deliver(ctx context.Context, c Challenge, field string) error {
	if c.StateAt(a.now()) != domain.ChallengeSent {
		return nil
	}
	code, err := a.open(field, c.ID.String(), c.CodeSealed)
	if err != nil {
		return err
	}
	signer, profile, err := a.signer(ctx, c.UserID)
	if err != nil {
		return err
	}
	message := CodeMessage{ChallengeID: c.ID, UserID: c.UserID, Purpose: c.Purpose, Kind: profile.Kind, Target: signer.Phone, Code: code,
		ExpireTime: c.ExpireTime}
	if err := a.esign.Sender.Send(ctx, message); err != nil {
		return errs.DependencyUnavailable.Wrap(err, "send a code")
	}
	return nil
}
