package app

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/secret"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// JobSendCode hands the code of a challenge to the sender; the key is the challenge's typed id.
const JobSendCode = "esign_send_code"

// Esign are the parts and the bounds of signing. The zero Esign asks nobody to sign, and its calls answer errs.NotYetAvailable.
type Esign struct {
	// Required makes purchases wait for the signature that their product's contract needs.
	Required bool
	// Keys digest codes, sign links and seal names, numbers and codes.
	Keys *secret.Keyring
	// Payments is the payment service.
	Payments Payments
	// Sender brings codes to users.
	Sender CodeSender
	// Print makes the document of a contract: the same bytes for the same text and time.
	Print func(text []domain.Block, number string, signed time.Time) ([]byte, error)
	// Missing finds the first letter of a text that Print has no typeface for; false when there is none.
	Missing func(text string) (rune, bool, error)
	// Rules bound a challenge.
	Rules domain.ChallengeRules
	// ChallengesPerHour bounds a user's challenges, 1 or more; each has at most Rules.ResendsMax+1 codes.
	ChallengesPerHour int
	// LockTime is how long a user waits for a new challenge after one was locked or used up its codes; it grows, see domain.CodeLock.
	LockTime time.Duration
	// CodesPerUser and CodesPerPhone bound the codes of an hour, whatever they are for.
	CodesPerUser, CodesPerPhone int
	// LenderName, LenderAddress and Place are printed on contracts.
	LenderName, LenderAddress, Place string
	// LinkBase is where REST is reached from outside, without a slash at the end; LinkLife is how long a link is good.
	LinkBase string
	LinkLife time.Duration
}

// available refuses calls about signing where it was not set up.
func (e Esign) available() error {
	if e.Keys == nil || e.Payments == nil || e.Sender == nil || e.Print == nil || e.Missing == nil {
		return errs.NotYetAvailable.New("contracts are not signed electronically in this installation")
	}
	return nil
}

// CodeSender brings one-time codes to users. It must not log them. A message may come twice after a crash.
type CodeSender interface {
	Send(ctx context.Context, m CodeMessage) error
}

// CodeMessage is a code on its way.
type CodeMessage struct {
	ChallengeID ids.ID
	UserID      string
	// Purpose is what the code is for.
	Purpose domain.CodePurpose
	// Kind says what Target is.
	Kind         domain.TargetKind
	Target, Code secret.Masked
	// ExpireTime is until when the code is good.
	ExpireTime time.Time
}

// Payments is the payment service as signing sees it.
type Payments interface {
	// LockedQuote is the quote of a user's checkout, also when its time is over. Errors: errs.NotFound, errs.QuoteNotFound.
	LockedQuote(ctx context.Context, userID string, checkoutID ids.ID) (LockedQuote, error)
	// CommitFor is DoCommitPayment for a user.
	CommitFor(ctx context.Context, r CommitFor) (CommitOutcome, error)
}

// LockedQuote is a plan that a payer chose for a checkout.
type LockedQuote struct {
	ID         ids.ID
	Plan       domain.Plan
	ExpireTime time.Time
}

// CommitFor asks to pay a checkout by its quote.
type CommitFor struct {
	UserID, RequestID   string
	CheckoutID, QuoteID ids.ID
	Pin                 secret.Masked
}

// CommitOutcome is what became of a commit.
type CommitOutcome struct {
	// State is "SUCCEEDED", "PROCESSING" or "FAILED".
	State string
	// CommitID is a typed id.
	CommitID string
	// FailureReason is the name of a reason, empty when there is none.
	FailureReason, FailureMessage string
	// RedirectURL is where the payer goes on; empty when there is nothing to do.
	RedirectURL string
}

// SignedContract is a signed contract without its document.
type SignedContract struct {
	ID                           ids.ID
	Number, UserID               string
	CheckoutID, ChallengeID      ids.ID
	ProductCode                  string
	ProductVersion               int
	ContractVersion, TextVersion string
	ContentSHA256, PDFSHA256     [32]byte
	SignTime                     time.Time
}

// OrderContract is the contract that an order's loan rests on.
type OrderContract struct {
	OrderID ids.ID
	SignedContract
}

// SigningProfile is who signs, as it is kept: name and target are sealed.
type SigningProfile struct {
	UserID                   string
	NameSealed, TargetSealed []byte
	Kind                     domain.TargetKind
	Certificate              domain.CertificateState
	// Version is the row's; 0 for one that is not stored.
	Version int64
}

// Challenge is a challenge and what is kept beside it.
type Challenge struct {
	domain.Challenge
	// ProductCode is the product whose contract is signed.
	ProductCode string
	// CodeSealed is the code until it was handed to the sender; nil after that.
	CodeSealed []byte
	// SignRequest and SignFingerprint are those of the request that brought the right code; zero before.
	SignRequest     string
	SignFingerprint idempotency.Fingerprint
	// UseID is what the right code of a challenge that signs nothing was used for; empty before.
	UseID   string
	Version int64
}

// EsignStore reads what signing keeps.
type EsignStore interface {
	// Profile finds who signs for a user; false when nobody was entered.
	Profile(ctx context.Context, userID string) (SigningProfile, bool, error)
	// Challenge finds a challenge; false when there is none.
	Challenge(ctx context.Context, id ids.ID) (Challenge, bool, error)
	// LiveChallenge finds the challenge that a user may answer, or that has run out unnoticed; false when there is none.
	LiveChallenge(ctx context.Context, userID string) (Challenge, bool, error)
	// RecentChallenges gives a user's challenges that were made after a time, newest first, a bounded number.
	RecentChallenges(ctx context.Context, userID string, after time.Time) ([]Challenge, error)
	// Signatures gives what a user signed, oldest first.
	Signatures(ctx context.Context, userID string) ([]Signature, error)
	// ContractOfChallenge finds the contract that a challenge signed; false when there is none.
	ContractOfChallenge(ctx context.Context, challengeID ids.ID) (SignedContract, bool, error)
	// ContractsOfOrders gives the contracts that the loans of the orders rest on, by order and time; only a user's when one is named.
	ContractsOfOrders(ctx context.Context, orderIDs []ids.ID, userID string) ([]OrderContract, error)
	// ContractFile finds a contract's document by its number; false when there is none.
	ContractFile(ctx context.Context, number string) ([]byte, bool, error)
	UserCodeStore
}

// EsignTx queues the writes of signing; see Tx.
type EsignTx interface {
	// Schedule sets a timer, or moves it.
	Schedule(kind, key string, due time.Time)
	// PutProfile enters who signs for a user, or replaces the profile of p's version; another version fails the unit with CONCURRENT_CHANGE.
	PutProfile(p SigningProfile, at time.Time)
	// InsertChallenge adds a challenge with its sealed code. A user has one that is live: a second one is errs.ConcurrentChange.
	InsertChallenge(c Challenge)
	// UpdateChallenge writes all but the code to the challenge in c's version; it drops the code of one that is not live any more.
	UpdateChallenge(c Challenge)
	// SetCode writes the code of a challenge that waits to be sent.
	SetCode(challengeID ids.ID, sealed []byte)
	// DropCode forgets the code after it was sent, unless another one waits since.
	DropCode(challengeID ids.ID, resends int)
	// InsertContract adds a contract with its document and its signature.
	InsertContract(c SignedContract, pdf []byte)
	UserCodeTx
}

// Signature is what says that a user signed a contract version.
type Signature struct {
	ContractID ids.ID
	domain.SignedContract
}

// signatures are what users signed, kept in memory: a signature is never taken back, so what was read stays true. Two
// generations bound it, as in planner.
type signatures struct {
	mu         sync.Mutex
	young, old map[string][]Signature
}

// signaturesMax bounds the users in one generation.
const signaturesMax = 20_000

func (s *signatures) find(userID string) []Signature {
	s.mu.Lock()
	defer s.mu.Unlock()
	if list, ok := s.young[userID]; ok {
		return list
	}
	list, ok := s.old[userID]
	if ok {
		s.put(userID, list)
	}
	return list
}

func (s *signatures) keep(userID string, list []Signature) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(userID, list)
}

func (s *signatures) put(userID string, list []Signature) {
	if s.young == nil || len(s.young) >= signaturesMax {
		s.young, s.old = map[string][]Signature{}, s.young
	}
	s.young[userID] = list
}

// restsOn gives the contract that a purchase with the product rests on; the zero ID when none is needed. needed reports that the
// user must sign first. It is the one place that decides that: QuotePlans shows what ReserveCredit refuses.
func (a *App) restsOn(ctx context.Context, userID string, p domain.Product) (contract ids.ID, needed bool, err error) {
	if !a.esign.Required || !domain.SignatureNeeded(p, nil) {
		return ids.ID{}, false, nil
	}
	list := a.signed.find(userID)
	if domain.SignatureNeeded(p, texts(list)) {
		if list, err = a.store.Signatures(ctx, userID); err != nil {
			return ids.ID{}, false, err
		}
		if domain.SignatureNeeded(p, texts(list)) {
			return ids.ID{}, true, nil
		}
		a.signed.keep(userID, list)
	}
	for _, s := range list {
		if !domain.SignatureNeeded(p, []domain.SignedContract{s.SignedContract}) {
			return s.ContractID, false, nil
		}
	}
	return ids.ID{}, true, nil
}

func texts(list []Signature) []domain.SignedContract {
	out := make([]domain.SignedContract, len(list))
	for i, s := range list {
		out[i] = s.SignedContract
	}
	return out
}

// contractFor is the contract that a reservation rests on, or errs.EsignRequired. What stands against the user's account comes
// before: signing would not help.
func (a *App) contractFor(ctx context.Context, r ReserveRequest, total money.Amount) (ids.ID, error) {
	product, err := a.products.version(ctx, a.store, r.ProductCode, r.ProductVersion)
	if err != nil {
		return ids.ID{}, err
	}
	contract, needed, err := a.restsOn(ctx, r.UserID, product)
	if err != nil || !needed {
		return contract, err
	}
	if err := a.whyNot(ctx, r.UserID, total); !errs.Is(err, errs.ConcurrentChange) {
		return ids.ID{}, err
	}
	return ids.ID{}, errs.EsignRequired.New("the credit contract must be signed first; call SendEsignCheck, then CommitAfterEsign")
}

// mustSign reports whether the preferred offer, which is the one that counts when no product is named, needs a signature first.
func (a *App) mustSign(ctx context.Context, userID string, products []domain.Product, offers []Offer) (bool, error) {
	for _, p := range products {
		if len(offers) > 0 && offers[0].Total.ProductCode == p.Code && offers[0].Total.ProductVersion == p.Version {
			_, needed, err := a.restsOn(ctx, userID, p)
			return needed, err
		}
	}
	return false, nil
}

// refusedCode is the reason of a challenge's refusal, with what the payer may still do.
func (a *App) refusedCode(c Challenge, refusal *domain.ChallengeError) error {
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	is := func(kind error) bool { return errors.Is(refusal, kind) }
	switch {
	case is(domain.ErrCodeWrong):
		return errs.EsignCodeWrong.Wrap(refusal, "the code is wrong").With("tries_left", strconv.Itoa(refusal.TriesLeft))
	case is(domain.ErrChallengeExpired):
		return errs.EsignCodeExpired.Wrap(refusal, "the code's time is over; ask for another one with %s", asksForCode(c.Purpose))
	case is(domain.ErrResendTooSoon):
		return errs.EsignResendTooSoon.Wrap(refusal, "a code was sent a moment ago; wait before asking for another one").With("retry_time", at(refusal.RetryTime))
	case is(domain.ErrChallengeLocked), is(domain.ErrResendsUsedUp):
		return locked(c.SendTime.Add(a.esign.LockTime))
	default:
		return errs.EsignCodeUsed.Wrap(refusal, "this code was used or replaced; ask for another one with %s", asksForCode(c.Purpose))
	}
}

// asksForCode is the call that sends codes for a purpose.
func asksForCode(p domain.CodePurpose) string {
	if p == domain.CodeForPin {
		return "SendPinCode"
	}
	return "SendEsignCheck"
}

// locked is the refusal of a user who had too many tries or codes.
func locked(until time.Time) error {
	return errs.EsignLocked.New("too many wrong codes, or too many codes sent; try again later").With("retry_time", until.UTC().Format(time.RFC3339))
}
