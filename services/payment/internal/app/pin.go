package app

import (
	"context"
	"crypto/rand"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// pinPurpose separates the PIN's digest from every other use of the keyring.
const pinPurpose = "payment-pin"

// verifyPin compares a PIN as it was read, once. A wrong one is counted before the answer, a right one is good only together with the
// write that follows, see Tx.InsertCommit and Tx.PutPin: both need that nobody else tried this PIN since it was read. So of any number
// of tries at once one is judged and the others, right or wrong, are answered alike, see pinTried.
func (a *App) verifyPin(ctx context.Context, pin *domain.Pin, digits string) error {
	if err := a.mayTryPin(pin); err != nil {
		return err
	}
	if a.Keys.VerifyMAC(pinPurpose, pin.MAC, []byte(pin.UserID), pin.Salt, []byte(digits)) {
		return nil
	}
	now := a.now()
	counted, locked, refusal := pin.Wrong(now)
	err := a.Store.Do(ctx, func(tx Tx) error {
		tx.CountPin(counted)
		if locked {
			tx.Emit(domain.PinMoved{UserID: pin.UserID, Change: domain.PinLocked, LockedUntil: counted.LockedUntil, Version: counted.Version, Time: now})
		}
		return nil
	})
	if err != nil {
		return pinTried(err)
	}
	return refusal
}

// pinTried is the one answer to every try, right or wrong, that another try of the same PIN overtook: it must not show which it was.
func pinTried(err error) error {
	if errs.Is(err, errs.ConcurrentChange) {
		return errs.ConcurrentChange.New("the PIN is being tried by several calls at once; repeat")
	}
	return err
}

// SendPinCode sends a one-time code for SetPinRequest. Errors: as Codes.SendPinCode's.
func (a *App) SendPinCode(ctx context.Context, userID, requestID string) (SentCode, error) {
	return a.Codes.SendPinCode(ctx, userID, requestID)
}

// SetPin asks for another PIN.
type SetPin struct {
	UserID, Caller, RequestID string
	NewPin                    string
	// OldPin is the PIN so far; empty for the first one, or with a code.
	OldPin string
	// ChallengeID and Code are a one-time code of SendPinCode; empty without one.
	ChallengeID, Code string
	// FactorShown says that the payer has just shown a second factor at sign-in, see domain.PinFactorLife.
	FactorShown bool
}

// content is what the request asks for, without the digits: the record must not show the PIN to a reader of the table, so a keyed digest
// stands for it.
func (a *App) content(r SetPin) (idempotency.Fingerprint, error) {
	parts := [][]byte{[]byte(r.UserID), []byte(r.NewPin), []byte(r.OldPin)}
	if r.ChallengeID != "" {
		parts = append(parts, []byte(r.ChallengeID), []byte(r.Code))
	}
	return idempotency.FingerprintOf(a.Keys.MAC("pin-fingerprint", parts...))
}

// SetPaymentPin sets the user's PIN: changes it with the old one, or sets it with a proof of who the user is. Errors: PIN_TOO_WEAK,
// PIN_PROOF_REQUIRED, PIN_WRONG, PIN_LOCKED, CONCURRENT_CHANGE, and as Codes.CheckPinCode's.
func (a *App) SetPaymentPin(ctx context.Context, r SetPin) error {
	key := idempotency.Key{Verb: "SetPaymentPin", Caller: r.Caller, RequestID: r.RequestID}
	fp, err := a.content(r)
	if err != nil {
		return err
	}
	type done struct{}
	_, err = idempotency.Do(ctx, a.Store.Requests(), key, fp, func() (done, error) {
		if err := domain.StrongPin(r.NewPin); err != nil {
			return done{}, err
		}
		pin, err := a.Store.Pin(ctx, r.UserID)
		if err != nil {
			return done{}, err
		}
		change, err := a.mayChangePin(ctx, pin, r)
		if err != nil {
			return done{}, err
		}
		next := domain.Pin{UserID: r.UserID, Salt: make([]byte, 16), Version: 1}
		if pin != nil {
			next.Version = pin.Version + 1
		}
		if _, err := rand.Read(next.Salt); err != nil {
			return done{}, err
		}
		next.MAC = a.Keys.MAC(pinPurpose, []byte(r.UserID), next.Salt, []byte(r.NewPin))
		now := a.now()
		return done{}, pinTried(a.Store.Do(ctx, func(tx Tx) error {
			tx.PutPin(next, now)
			tx.Emit(domain.PinMoved{UserID: r.UserID, Change: change, Version: next.Version, Time: now})
			tx.Remember(key, fp, done{})
			return nil
		}))
	})
	return err
}

// mayChangePin proves who changes the PIN: by the PIN so far, by a one-time code, or, for the first one, by a second factor that was
// just shown at sign-in.
func (a *App) mayChangePin(ctx context.Context, pin *domain.Pin, r SetPin) (domain.PinChange, error) {
	change := domain.PinSet
	if pin != nil {
		change = domain.PinReset
	}
	switch {
	case r.Code != "":
		// The code is used for this request and no other, so that a repeat after a crash finds it used by itself.
		return change, a.Codes.CheckPinCode(ctx, r.UserID, r.ChallengeID, r.Code, "SetPaymentPin."+r.RequestID)
	case pin != nil && r.OldPin != "":
		return domain.PinChanged, a.verifyPin(ctx, pin, r.OldPin)
	case pin != nil:
		return 0, errs.PinWrong.New("a PIN is set; send it as old_pin to change it, or the code of SendPinCode when it is forgotten")
	case r.FactorShown:
		return change, nil
	default:
		return 0, errs.PinProofRequired.New("the first PIN needs a proof of who sets it; ask for a one-time code with SendPinCode, and send it along")
	}
}
