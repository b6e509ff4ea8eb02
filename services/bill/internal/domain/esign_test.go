package domain

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// challenge is a fresh challenge with the code hash 1.
func challenge(t *testing.T) Challenge {
	t.Helper()
	c, err := NewChallenge(DefaultChallengeRules(), Challenge{
		ID: ids.ID{1}, Subject: ids.ID{2}, UserID: "u1", ContractVersion: "2026-01", Hash: CodeHash{1},
	}, aTime())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheRightCodeSignsOnce(t *testing.T) {
	t.Parallel()
	rules, at := DefaultChallengeRules(), aTime().Add(time.Minute)
	c, err := challenge(t).Answer(rules, CodeHash{1}, at)
	if err != nil || c.State != ChallengeVerified || !c.VerifyTime.Equal(at) {
		t.Fatalf("%+v, %v", c, err)
	}
	if err := c.Allows(rules, "u1", ids.ID{2}, "2026-01"); err != nil {
		t.Errorf("allows: %v", err)
	}
	for name, err := range map[string]error{
		"another user":    c.Allows(rules, "u2", ids.ID{2}, "2026-01"),
		"another subject": c.Allows(rules, "u1", ids.ID{3}, "2026-01"),
		"another text":    c.Allows(rules, "u1", ids.ID{2}, "2026-02"),
	} {
		if !errors.Is(err, ErrChallengeUsed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Answer(rules, CodeHash{1}, at); !errors.Is(err, ErrChallengeUsed) {
		t.Errorf("a replayed code: %v", err)
	}
	if _, err := c.Resend(rules, CodeHash{2}, at.Add(time.Hour)); !errors.Is(err, ErrChallengeUsed) {
		t.Errorf("resend: %v", err)
	}
	if c.Replace().State != ChallengeVerified {
		t.Error("a signature cannot be replaced")
	}
}

func TestWrongCodesLockAndSayHowManyAreLeft(t *testing.T) {
	t.Parallel()
	rules, c := DefaultChallengeRules(), challenge(t)
	var err error
	for left := 4; left >= 1; left-- {
		c, err = c.Answer(rules, CodeHash{9}, aTime())
		var refusal *ChallengeError
		if !errors.As(err, &refusal) || !errors.Is(err, ErrCodeWrong) || refusal.TriesLeft != left {
			t.Fatalf("with %d left: %v", left, err)
		}
	}
	if c, err = c.Answer(rules, CodeHash{9}, aTime()); !errors.Is(err, ErrChallengeLocked) || c.State != ChallengeLocked {
		t.Fatalf("the fifth: %v", err)
	}
	if _, err = c.Answer(rules, CodeHash{1}, aTime()); !errors.Is(err, ErrChallengeLocked) {
		t.Errorf("the right code comes too late: %v", err)
	}
	if _, err = c.Resend(rules, CodeHash{2}, aTime().Add(time.Hour)); !errors.Is(err, ErrChallengeLocked) {
		t.Errorf("resend: %v", err)
	}
}

func TestCodesExpireAndAreSentAgainWithinLimits(t *testing.T) {
	t.Parallel()
	rules, c := DefaultChallengeRules(), challenge(t)
	late := aTime().Add(rules.Lifetime)
	expired, err := c.Answer(rules, CodeHash{1}, late)
	if !errors.Is(err, ErrChallengeExpired) || expired.State != ChallengeExpired || c.StateAt(late) != ChallengeExpired || c.StateAt(late.Add(-1)) != ChallengeSent {
		t.Fatalf("%+v, %v", expired, err)
	}
	var refusal *ChallengeError
	if _, err := c.Resend(rules, CodeHash{2}, aTime().Add(59*time.Second)); !errors.Is(err, ErrResendTooSoon) || !errors.As(err, &refusal) || !refusal.RetryTime.Equal(aTime().Add(time.Minute)) {
		t.Errorf("too soon: %v", err)
	}
	c = expired
	for n := byte(2); n <= 4; n++ {
		late = late.Add(time.Minute)
		if c, err = c.Resend(rules, CodeHash{n}, late); err != nil || c.State != ChallengeSent || !c.ExpireTime.Equal(late.Add(rules.Lifetime)) {
			t.Fatalf("resend %d: %v", n, err)
		}
	}
	if _, err := c.Resend(rules, CodeHash{5}, late.Add(time.Hour)); !errors.Is(err, ErrResendsUsedUp) {
		t.Errorf("the fourth: %v", err)
	}
	if _, err := c.Answer(rules, CodeHash{3}, late); !errors.Is(err, ErrCodeWrong) {
		t.Errorf("an earlier code: %v", err)
	}
	if c, err = c.Answer(rules, CodeHash{4}, late); err != nil || c.State != ChallengeVerified {
		t.Errorf("the last code: %v", err)
	}
}

func TestReplacedChallengeIsOver(t *testing.T) {
	t.Parallel()
	c := challenge(t).Replace()
	if _, err := c.Answer(DefaultChallengeRules(), CodeHash{1}, aTime()); !errors.Is(err, ErrChallengeReplaced) {
		t.Errorf("got %v", err)
	}
	if err := challenge(t).Allows(DefaultChallengeRules(), "u1", ids.ID{2}, "2026-01"); !errors.Is(err, ErrCodeWrong) {
		t.Errorf("not answered: %v", err)
	}
}

func TestChallengeRefusesIncompleteNamesAndRules(t *testing.T) {
	t.Parallel()
	if _, err := NewChallenge(DefaultChallengeRules(), Challenge{}, aTime()); !errors.Is(err, ErrInvariant) {
		t.Errorf("names: %v", err)
	}
	if _, err := NewChallenge(ChallengeRules{}, challenge(t), aTime()); !errors.Is(err, ErrInvariant) {
		t.Errorf("rules: %v", err)
	}
	if _, err := challenge(t).Resend(DefaultChallengeRules(), CodeHash{1}, aTime().Add(time.Hour)); !errors.Is(err, ErrInvariant) {
		t.Errorf("the same code again: %v", err)
	}
}

// Whatever comes, a challenge makes only moves of its table, and is verified only by
// the code sent last, in time, within the tries.
func TestChallengeMovesAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	start := challenge(t)
	rapid.Check(t, func(t *rapid.T) {
		rules, c, at := DefaultChallengeRules(), start, aTime()
		for range 12 {
			at = at.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "seconds")) * time.Second)
			before, hash := c, CodeHash{byte(rapid.IntRange(1, 4).Draw(t, "hash"))}
			var err error
			switch rapid.IntRange(0, 2).Draw(t, "act") {
			case 0:
				c, err = c.Answer(rules, hash, at)
				right := before.State == ChallengeSent && hash == before.Hash && at.Before(before.ExpireTime) && before.WrongTries < rules.TriesMax
				if (err == nil) != right {
					t.Fatalf("answer %v to %+v: %v", hash[0], before, err)
				}
			case 1:
				c, _ = c.Resend(rules, hash, at)
			default:
				if rapid.IntRange(0, 9).Draw(t, "seldom") == 0 {
					c = c.Replace()
				}
			}
			if c.State != before.State && ChallengeStates.Check(before.State, c.State) != nil {
				t.Fatalf("%s becomes %s", before.State, c.State)
			}
			if c.WrongTries > rules.TriesMax || c.Resends > rules.ResendsMax {
				t.Fatalf("%+v", c)
			}
		}
	})
}

func TestFirstPurchaseAndChangedTextNeedASignature(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	signed := []SignedContract{{"SPL_ID_REDUCING", "2026-01"}, {"SPL_ID", "2025-07"}}
	if !SignatureNeeded(p, nil) || !SignatureNeeded(p, signed) {
		t.Error("the first purchase, and a changed text, need a signature")
	}
	if SignatureNeeded(p, append(signed, SignedContract{"SPL_ID", "2026-01"})) {
		t.Error("a text is signed once")
	}
	if p.ContractVersion = ""; SignatureNeeded(p, nil) {
		t.Error("a product without contract needs none")
	}
}

func TestContractNumberNamesDayAndLoan(t *testing.T) {
	t.Parallel()
	id, err := ids.Parse(ids.Loan, "lon_01h455vb4pex5vsknk084sn02q")
	if err != nil {
		t.Fatal(err)
	}
	if got := ContractNumber(id, day(t, "2026-04-10")); got != "CP-20260410-01H455VB4PEX5VSKNK084SN02Q" {
		t.Errorf("got %s", got)
	}
}
