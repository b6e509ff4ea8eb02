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
	counted, refusal := pin.Wrong(a.now())
	err := a.Store.Do(ctx, func(tx Tx) error {
		tx.CountPin(counted)
		return nil
	})
	if err != nil {
		return pinTried(err)
	}
	return refusal
}

// pinTried is the one answer to every try, right or wrong, that another try of the same PIN overtook: it must not tell which it was.
func pinTried(err error) error {
	if errs.Is(err, errs.ConcurrentChange) {
		return errs.ConcurrentChange.New("the PIN is being tried by several calls at once; repeat")
	}
	return err
}

// SetPaymentPin sets the user's PIN, or changes it with the old one. Errors: PIN_TOO_WEAK, PIN_WRONG, PIN_LOCKED.
func (a *App) SetPaymentPin(ctx context.Context, userID, caller, requestID, newPin, oldPin string) error {
	key := idempotency.Key{Verb: "SetPaymentPin", Caller: caller, RequestID: requestID}
	// The record must not tell the PIN to who reads the table: a keyed digest stands for it.
	fp, err := idempotency.FingerprintOf(a.Keys.MAC("pin-fingerprint", []byte(userID), []byte(newPin), []byte(oldPin)))
	if err != nil {
		return err
	}
	type done struct{}
	_, err = idempotency.Do(ctx, a.Store.Requests(), key, fp, func() (done, error) {
		if err := domain.StrongPin(newPin); err != nil {
			return done{}, err
		}
		pin, err := a.Store.Pin(ctx, userID)
		if err != nil {
			return done{}, err
		}
		next := domain.Pin{UserID: userID, Salt: make([]byte, 16), Version: 1}
		if pin != nil {
			if oldPin == "" {
				return done{}, errs.PinWrong.New("a PIN is set; give it as old_pin to change it")
			}
			if err := a.verifyPin(ctx, pin, oldPin); err != nil {
				return done{}, err
			}
			next.Version = pin.Version + 1
		}
		if _, err := rand.Read(next.Salt); err != nil {
			return done{}, err
		}
		next.MAC = a.Keys.MAC(pinPurpose, []byte(userID), next.Salt, []byte(newPin))
		return done{}, pinTried(a.Store.Do(ctx, func(tx Tx) error {
			tx.PutPin(next, a.now())
			tx.Remember(key, fp, done{})
			return nil
		}))
	})
	return err
}
