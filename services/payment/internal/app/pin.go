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

// pinRaces bounds how often a try is repeated because another try of the same PIN came between.
const pinRaces = 5

// verifyPin compares a PIN and gives it as it was when it was right. A wrong one is counted before the answer, so that tries in
// parallel cannot escape the count.
func (a *App) verifyPin(ctx context.Context, pin *domain.Pin, digits string) (*domain.Pin, error) {
	for range pinRaces {
		if err := a.mayTryPin(pin); err != nil {
			return nil, err
		}
		if a.Keys.VerifyMAC(pinPurpose, pin.MAC, []byte(pin.UserID), pin.Salt, []byte(digits)) {
			return pin, nil
		}
		counted, refusal := pin.Wrong(a.now())
		err := a.Store.Do(ctx, func(tx Tx) error {
			tx.CountPin(counted)
			return nil
		})
		if err == nil {
			return nil, refusal
		}
		if !errs.Is(err, errs.ConcurrentChange) {
			return nil, err
		}
		if pin, err = a.Store.Pin(ctx, pin.UserID); err != nil {
			return nil, err
		}
	}
	return nil, errs.ConcurrentChange.New("the PIN is being tried by several calls at once; repeat")
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
			if pin, err = a.verifyPin(ctx, pin, oldPin); err != nil {
				return done{}, err
			}
			next.Version = pin.Version + 1
		}
		if _, err := rand.Read(next.Salt); err != nil {
			return done{}, err
		}
		next.MAC = a.Keys.MAC(pinPurpose, []byte(userID), next.Salt, []byte(newPin))
		return done{}, a.Store.Do(ctx, func(tx Tx) error {
			tx.PutPin(next, a.now())
			tx.Remember(key, fp, done{})
			return nil
		})
	})
	return err
}
