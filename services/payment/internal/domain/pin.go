package domain

import (
	"strconv"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
)

const (
	// PinTriesMax wrong PINs in a row lock it.
	PinTriesMax = 5
	// PinLockTime is how long it stays locked the first time; see PinLock.
	PinLockTime = 30 * time.Minute
	// PinCalm is how long after a lock no wrong PIN may come for the next lock to be a first one again.
	PinCalm = 7 * 24 * time.Hour
	// PinFactorLife is how long a second factor that was shown at sign-in proves who sets the first PIN.
	PinFactorLife = 10 * time.Minute
)

// PinLock returns how long the n-th lock in a row lasts: half an hour, two hours, a day from the third on.
func PinLock(n int) time.Duration {
	switch {
	case n <= 1:
		return PinLockTime
	case n == 2:
		return 2 * time.Hour
	default:
		return 24 * time.Hour
	}
}

// Pin is a user's PIN as it is kept: never the digits, only a keyed digest. The key lives outside the database, because six
// digits can be tried out against any digest that stands alone, however slow.
type Pin struct {
	UserID      string
	Salt        []byte
	MAC         []byte
	FailedCount int
	// LockedUntil is the end of the last lock; zero when it was not locked since the last right PIN, or a wrong one came after the lock.
	LockedUntil time.Time
	// LockCount is how many locks there were since the last right PIN, or a calm time.
	LockCount int
	Version   int64
}

// MayTry tells whether a PIN may be tried now.
func (p Pin) MayTry(now time.Time) error {
	if now.Before(p.LockedUntil) {
		return errs.PinLocked.New("too many wrong PINs; try again later").
			With("locked_until", p.LockedUntil.UTC().Format(time.RFC3339))
	}
	return nil
}

// Wrong returns the PIN after a wrong try, and the error that the payer gets. locked reports that this try locked it.
func (p Pin) Wrong(now time.Time) (next Pin, locked bool, refusal error) {
	if !p.LockedUntil.IsZero() { // The lock ran out; counting begins again.
		if !now.Before(p.LockedUntil.Add(PinCalm)) {
			p.LockCount = 0
		}
		p.FailedCount, p.LockedUntil = 0, time.Time{}
	}
	p.FailedCount++
	p.Version++
	if p.FailedCount >= PinTriesMax {
		p.LockCount++
		p.LockedUntil = now.Add(PinLock(p.LockCount))
		return p, true, p.MayTry(now)
	}
	return p, false, errs.PinWrong.New("the PIN is wrong").With("tries_left", strconv.Itoa(PinTriesMax-p.FailedCount))
}

// Untouched reports that no wrong PIN was counted since the last right one.
func (p Pin) Untouched() bool { return p.FailedCount == 0 && p.LockCount == 0 }

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
