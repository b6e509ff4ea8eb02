package domain

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/statetable"
)

// The refusals of a signing challenge, for errors.Is; the app maps them to
// reasons. Those about a try are *ChallengeError.
var (
	// ErrCodeWrong: the code is not the one that was sent last.
	ErrCodeWrong = errors.New("the code is wrong")
	// ErrChallengeLocked: there were too many wrong codes.
	ErrChallengeLocked = errors.New("the challenge is locked")
	// ErrChallengeExpired: the code's lifetime is over.
	ErrChallengeExpired = errors.New("the challenge has expired")
	// ErrChallengeUsed: the code was used already; it signs once.
	ErrChallengeUsed = errors.New("the challenge was used")
	// ErrChallengeReplaced: another challenge took its place.
	ErrChallengeReplaced = errors.New("the challenge was replaced")
	// ErrResendTooSoon: another code may be sent later.
	ErrResendTooSoon = errors.New("wait before asking for another code")
	// ErrResendsUsedUp: no further code is sent for this challenge.
	ErrResendsUsedUp = errors.New("no further code is sent")
)

// ChallengeError is a refusal with what the user may still do.
type ChallengeError struct {
	// Refusal is one of the errors above.
	Refusal error
	// TriesLeft is how many wrong codes are still allowed.
	TriesLeft int
	// RetryTime is from when on another code can be asked for; zero when never.
	RetryTime time.Time
}

// Error is the refusal's text.
func (e *ChallengeError) Error() string {
	return fmt.Sprintf("%v: %d tries left", e.Refusal, e.TriesLeft)
}

// Unwrap makes errors.Is find the refusal.
func (e *ChallengeError) Unwrap() error { return e.Refusal }

// ChallengeState is the state of a signing challenge. The numbers are stored.
type ChallengeState uint8

const (
	// ChallengeSent waits for its code.
	ChallengeSent ChallengeState = 1
	// ChallengeVerified got the right code: the contract is signed.
	ChallengeVerified ChallengeState = 2
	// ChallengeLocked got too many wrong codes.
	ChallengeLocked ChallengeState = 3
	// ChallengeExpired was not answered in time.
	ChallengeExpired ChallengeState = 4
	// ChallengeReplaced gave way to a newer one for the same thing.
	ChallengeReplaced ChallengeState = 5
)

// String is the name, such as "SENT".
func (s ChallengeState) String() string {
	return nameOf([]string{"", "SENT", "VERIFIED", "LOCKED", "EXPIRED", "REPLACED"}, uint8(s), "CHALLENGE_STATE")
}

// ChallengeStates are the legal moves of a challenge.
var ChallengeStates = statetable.MustNew("esign challenge",
	statetable.Move[ChallengeState]{From: ChallengeSent, To: ChallengeSent, Cause: "a wrong code, or another code sent"},
	statetable.Move[ChallengeState]{From: ChallengeSent, To: ChallengeVerified, Cause: "the right code"},
	statetable.Move[ChallengeState]{From: ChallengeSent, To: ChallengeLocked, Cause: "too many wrong codes"},
	statetable.Move[ChallengeState]{From: ChallengeSent, To: ChallengeExpired, Cause: "not answered in time"},
	statetable.Move[ChallengeState]{From: ChallengeSent, To: ChallengeReplaced, Cause: "a newer challenge"},
	statetable.Move[ChallengeState]{From: ChallengeExpired, To: ChallengeSent, Cause: "another code sent"},
)

// ChallengeRules bound a challenge.
type ChallengeRules struct {
	// TriesMax is how many wrong codes lock it, over all its codes, 1 or more.
	TriesMax int
	// ResendsMax is how many further codes may be sent, 0 or more.
	ResendsMax int
	// Lifetime is how long a code is good for, ResendPause how long to wait between
	// codes; both positive.
	Lifetime, ResendPause time.Duration
}

// DefaultChallengeRules are five tries, three further codes, five minutes each, a
// minute apart.
func DefaultChallengeRules() ChallengeRules {
	return ChallengeRules{TriesMax: 5, ResendsMax: 3, Lifetime: 5 * time.Minute, ResendPause: time.Minute}
}

// Check fails with ErrInvariant for rules that let nobody or everybody in.
func (r ChallengeRules) Check() error {
	if r.TriesMax < 1 || r.ResendsMax < 0 || r.Lifetime <= 0 || r.ResendPause <= 0 {
		return broken("challenge rules %+v", r)
	}
	return nil
}

// CodePurpose is what a one-time code is for. The numbers are stored.
type CodePurpose uint8

const (
	// CodeForSignature signs a contract.
	CodeForSignature CodePurpose = 0
	// CodeForPin sets a payment PIN, for the first time or after it was forgotten.
	CodeForPin CodePurpose = 1
)

// CodeLock returns how long a user waits for another code after a challenge was locked, when so many were locked in the last day: the base,
// then four times as long each time, a day at most.
func CodeLock(base time.Duration, locked int) time.Duration {
	for ; locked > 1 && base < CodeLockMax; locked-- {
		base *= 4
	}
	return min(base, CodeLockMax)
}

// CodeLockMax is the longest lock of codes.
const CodeLockMax = 24 * time.Hour

// CodeHash is the hash of a one-time code, made by the app with a key and the
// challenge's id, so that equal codes have different hashes. Codes are never here.
type CodeHash [32]byte

// Challenge is a one-time code on its way to a user and back.
type Challenge struct {
	// ID is the challenge's.
	ID ids.ID
	// Purpose is what its code is good for, and for nothing else.
	Purpose CodePurpose
	// Subject is what is signed: the checkout. A challenge signs nothing else. Only for a signature.
	Subject ids.ID
	// UserID is the signer.
	UserID string
	// ContractVersion is the text that is signed. Only for a signature.
	ContractVersion string
	// Hash is that of the code sent last.
	Hash CodeHash
	// State decides what may happen next.
	State ChallengeState
	// WrongTries and Resends are counted over its whole life.
	WrongTries, Resends int
	// CreateTime is when it was made, SendTime when the last code went out,
	// ExpireTime when that one is no longer good, VerifyTime when the right code
	// came; zero before.
	CreateTime, SendTime, ExpireTime, VerifyTime time.Time
}

// NewChallenge is a challenge whose first code goes out at a time. c gives the
// names: ID, Purpose, UserID, Hash, and for a signature Subject and ContractVersion. It fails with ErrInvariant
// when one is missing.
func NewChallenge(rules ChallengeRules, c Challenge, at time.Time) (Challenge, error) {
	if err := rules.Check(); err != nil {
		return Challenge{}, err
	}
	signs := c.Purpose == CodeForSignature
	if c.ID.IsZero() || c.UserID == "" || c.Hash == (CodeHash{}) || at.IsZero() || signs == c.Subject.IsZero() || signs == (c.ContractVersion == "") {
		return Challenge{}, broken("challenge %s is not complete", c.ID)
	}
	return Challenge{
		ID: c.ID, Purpose: c.Purpose, Subject: c.Subject, UserID: c.UserID, ContractVersion: c.ContractVersion, Hash: c.Hash,
		State: ChallengeSent, CreateTime: at, SendTime: at, ExpireTime: at.Add(rules.Lifetime),
	}, nil
}

// StateAt is the state at a time: a challenge that waits is expired from
// ExpireTime on, whether somebody has written that down or not.
func (c Challenge) StateAt(at time.Time) ChallengeState {
	if c.State == ChallengeSent && !at.Before(c.ExpireTime) {
		return ChallengeExpired
	}
	return c.State
}

// ResendTime is from when on another code can be asked for; zero when never.
func (c Challenge) ResendTime(rules ChallengeRules) time.Time {
	if c.State != ChallengeSent || c.Resends >= rules.ResendsMax {
		return time.Time{}
	}
	return c.SendTime.Add(rules.ResendPause)
}

// Resend is the challenge with another code, good for a whole lifetime again; the
// earlier code is good no more, and its wrong tries still count. An expired code
// may be replaced. It fails with a *ChallengeError of ErrResendTooSoon,
// ErrResendsUsedUp, ErrChallengeUsed, ErrChallengeLocked or ErrChallengeReplaced.
func (c Challenge) Resend(rules ChallengeRules, hash CodeHash, at time.Time) (Challenge, error) {
	if c.State != ChallengeSent && c.State != ChallengeExpired {
		return c, c.refuse(rules, c.ended())
	}
	if c.Resends >= rules.ResendsMax {
		return c, c.refuse(rules, ErrResendsUsedUp)
	}
	if at.Before(c.SendTime.Add(rules.ResendPause)) {
		return c, c.refuse(rules, ErrResendTooSoon)
	}
	if hash == (CodeHash{}) || hash == c.Hash {
		return c, broken("challenge %s has no new code", c.ID)
	}
	c.State, c.Hash, c.Resends = ChallengeSent, hash, c.Resends+1
	c.SendTime, c.ExpireTime = at, at.Add(rules.Lifetime)
	return c, nil
}

// Answer is the challenge after a code came whose hash is given. It must be stored
// also when it comes with an error: a wrong code counts, and the last one allowed
// locks. It fails with a *ChallengeError of ErrCodeWrong, ErrChallengeLocked,
// ErrChallengeExpired, ErrChallengeUsed or ErrChallengeReplaced.
func (c Challenge) Answer(rules ChallengeRules, hash CodeHash, at time.Time) (Challenge, error) {
	if state := c.StateAt(at); state != ChallengeSent {
		c.State = state
		return c, c.refuse(rules, c.ended())
	}
	// In constant time: how long it takes must not tell how much was right.
	if subtle.ConstantTimeCompare(hash[:], c.Hash[:]) == 1 {
		c.State, c.VerifyTime = ChallengeVerified, at
		return c, nil
	}
	c.WrongTries++
	if c.WrongTries >= rules.TriesMax {
		c.State = ChallengeLocked
		return c, c.refuse(rules, ErrChallengeLocked)
	}
	return c, c.refuse(rules, ErrCodeWrong)
}

// Over returns why no code can be answered any more at a time; nil while one can.
func (c Challenge) Over(rules ChallengeRules, at time.Time) *ChallengeError {
	if c.State = c.StateAt(at); c.State == ChallengeSent {
		return nil
	}
	return c.refuse(rules, c.ended())
}

// Replace is the waiting challenge after a newer one took its place; others stay
// what they are.
func (c Challenge) Replace() Challenge {
	if c.State == ChallengeSent {
		c.State = ChallengeReplaced
	}
	return c
}

// Allows returns nil when the challenge is a verified one of the user for the
// subject and the contract version. Else it is a *ChallengeError as Answer's.
func (c Challenge) Allows(rules ChallengeRules, userID string, subject ids.ID, contractVersion string) error {
	if c.State != ChallengeVerified {
		return c.refuse(rules, c.ended())
	}
	if c.UserID != userID || c.Subject != subject || c.ContractVersion != contractVersion {
		return c.refuse(rules, ErrChallengeUsed)
	}
	return nil
}

// ended is the refusal of a challenge by its state.
func (c Challenge) ended() error {
	switch c.State {
	case ChallengeVerified:
		return ErrChallengeUsed
	case ChallengeLocked:
		return ErrChallengeLocked
	case ChallengeReplaced:
		return ErrChallengeReplaced
	case ChallengeExpired:
		return ErrChallengeExpired
	default:
		return ErrCodeWrong // still waiting for its code
	}
}

// refuse is a refusal with what is left.
func (c Challenge) refuse(rules ChallengeRules, refusal error) *ChallengeError {
	return &ChallengeError{Refusal: refusal, TriesLeft: max(0, rules.TriesMax-c.WrongTries), RetryTime: c.ResendTime(rules)}
}

// SignedContract is a text that a user signed.
type SignedContract struct {
	// ProductCode and ContractVersion name the text.
	ProductCode, ContractVersion string
}

// SignatureNeeded reports whether a purchase with the product needs a signature
// first: it has a contract, and the user never signed this version of it. So the
// first purchase needs one, later ones do not, and a changed text needs one again.
func SignatureNeeded(p Product, signed []SignedContract) bool {
	if p.ContractVersion == "" {
		return false
	}
	for _, s := range signed {
		if s.ProductCode == p.Code && s.ContractVersion == p.ContractVersion {
			return false
		}
	}
	return true
}

// ContractNumber is the number printed on the contract of a loan, such as
// "CP-20260410-01H455VB4PEX5VSKNK084SN02Q": the day of signing in the product's
// calendar and the loan's id. It is unique as the id is.
func ContractNumber(loan ids.ID, signed civil.Date) string {
	_, suffix, _ := strings.Cut(ids.Format(ids.Loan, loan), "_")
	return fmt.Sprintf("CP-%04d%02d%02d-%s", signed.Year, int(signed.Month), signed.Day, strings.ToUpper(suffix))
}
