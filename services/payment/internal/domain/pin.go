package domain

import (
	"strconv"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
)

// Limits of wrong PINs.
const (
	// PinTriesMax wrong PINs in a row lock it.
	PinTriesMax = 5
	// PinLockTime is how long it stays locked.
	PinLockTime = 15 * time.Minute
)

// Pin is a user's PIN as it is kept: never the digits, only a keyed digest. The key lives outside the database, because six
// digits can be tried out against any digest that stands alone, however slow.
type Pin struct {
	UserID      string
	Salt        []byte
	MAC         []byte
	FailedCount int
	// LockedUntil is zero when the PIN is not locked.
	LockedUntil time.Time
	Version     int64
}

// MayTry tells whether a PIN may be tried now.
func (p Pin) MayTry(now time.Time) error {
	if now.Before(p.LockedUntil) {
		return errs.PinLocked.New("too many wrong PINs; try again later").
			With("locked_until", p.LockedUntil.UTC().Format(time.RFC3339))
	}
	return nil
}

// Wrong gives the PIN after a wrong try, and the error that the payer gets.
func (p Pin) Wrong(now time.Time) (Pin, error) {
	if !p.LockedUntil.IsZero() {
		p.FailedCount, p.LockedUntil = 0, time.Time{} // The lock ran out; counting begins again.
	}
	p.FailedCount++
	p.Version++
	if p.FailedCount >= PinTriesMax {
		p.LockedUntil = now.Add(PinLockTime)
		return p, p.MayTry(now)
	}
	return p, errs.PinWrong.New("the PIN is wrong").With("tries_left", strconv.Itoa(PinTriesMax-p.FailedCount))
}

// StrongPin tells whether six digits are hard enough to guess: not one digit six times, not a run up or down.
func StrongPin(digits string) error {
	if len(digits) != 6 {
		return errs.InvalidArgument.New("a PIN has 6 digits")
	}
	same, up, down := true, true, true
	for i := 1; i < len(digits); i++ {
		d := int(digits[i]) - int(digits[i-1])
		same, up, down = same && d == 0, up && d == 1, down && d == -1
	}
	if same || up || down {
		return errs.PinTooWeak.New("choose a PIN that is not one digit repeated and not a run of digits")
	}
	return nil
}
