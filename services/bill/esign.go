package bill

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/creditpay/creditpay/services/bill/internal/adapter/contractpdf"
	"github.com/creditpay/creditpay/services/bill/internal/adapter/sandbox"
	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
	"github.com/creditpay/creditpay/services/bill/internal/peer"
	"github.com/creditpay/creditpay/services/bill/internal/store"
)

// CodeSender brings one-time codes to users; a program that hosts the service gives its own. It must not log them.
type CodeSender = app.CodeSender

// SandboxCode is what the sandbox writes for a user: the newest code, in the file "<user id>.json" of SANDBOX_DIR.
type SandboxCode = sandbox.File

// EsignConfig is how contracts are signed, read from CREDITPAY_ESIGN_*.
type EsignConfig struct {
	// Required makes purchases wait for the signature that their product's contract needs. Switch it off only where nobody signs:
	// the zero EsignConfig is off, the environment's default is on.
	Required bool `env:"REQUIRED" envDefault:"true"`
	// SandboxDir is where codes are written to instead of being sent; for development only. A production process names none and
	// has a sender of its own, see Deps.Sender.
	SandboxDir string `env:"SANDBOX_DIR"`
	// TriesMax wrong codes lock a challenge.
	TriesMax int `env:"TRIES_MAX" envDefault:"5"`
	// ResendsMax is how many further codes a challenge may send.
	ResendsMax int `env:"RESENDS_MAX" envDefault:"3"`
	// CodeLife is how long a code is good.
	CodeLife time.Duration `env:"CODE_LIFE" envDefault:"5m"`
	// ResendPause is how long to wait between codes.
	ResendPause time.Duration `env:"RESEND_PAUSE" envDefault:"1m"`
	// ChallengesPerHour bounds the challenges of one user.
	ChallengesPerHour int `env:"CHALLENGES_PER_HOUR" envDefault:"5"`
	// CodesPerUserHour and CodesPerPhoneHour bound the one-time codes, for signatures and PINs alike, that a user gets and that go to one
	// telephone in an hour of the clock.
	CodesPerUserHour  int `env:"CODES_PER_USER_HOUR" envDefault:"10"`
	CodesPerPhoneHour int `env:"CODES_PER_PHONE_HOUR" envDefault:"10"`
	// LockTime is how long a user waits for a new challenge after one was locked or used up its codes.
	LockTime time.Duration `env:"LOCK_TIME" envDefault:"15m"`
	// LinkBase is where REST is reached from outside, for links to contracts.
	LinkBase string `env:"LINK_BASE" envDefault:"http://localhost:8080"`
	// LinkLife is how long a link to a contract is good.
	LinkLife time.Duration `env:"LINK_LIFE" envDefault:"5m"`
	// LenderName, LenderAddress and Place are printed on contracts.
	LenderName    string `env:"LENDER_NAME" envDefault:"PT Credit Pay Finance"`
	LenderAddress string `env:"LENDER_ADDRESS" envDefault:"Jakarta, Indonesia"`
	Place         string `env:"PLACE" envDefault:"Jakarta"`
}

func (c EsignConfig) rules() domain.ChallengeRules {
	return domain.ChallengeRules{TriesMax: c.TriesMax, ResendsMax: c.ResendsMax, Lifetime: c.CodeLife, ResendPause: c.ResendPause}
}

// Validate tells what is out of bounds. The zero EsignConfig is good: nobody signs.
func (c EsignConfig) Validate() error {
	if c == (EsignConfig{}) {
		return nil
	}
	var wrong []error
	when := func(bad bool, text string) {
		if bad {
			wrong = append(wrong, errors.New(text))
		}
	}
	when(c.rules().Check() != nil || c.TriesMax > 10 || c.ResendsMax > 10 || c.CodeLife > time.Hour,
		"CREDITPAY_ESIGN_TRIES_MAX must be 1 to 10, CREDITPAY_ESIGN_RESENDS_MAX 0 to 10, "+
			"CREDITPAY_ESIGN_CODE_LIFE above zero and at most 1h, and CREDITPAY_ESIGN_RESEND_PAUSE above zero")
	when(c.ChallengesPerHour < 1 || c.ChallengesPerHour > 50, "CREDITPAY_ESIGN_CHALLENGES_PER_HOUR must be 1 to 50")
	when(c.CodesPerUserHour < 1 || c.CodesPerUserHour > 100 || c.CodesPerPhoneHour < 1 || c.CodesPerPhoneHour > 100,
		"CREDITPAY_ESIGN_CODES_PER_USER_HOUR and CREDITPAY_ESIGN_CODES_PER_PHONE_HOUR must be 1 to 100")
	when(c.LockTime <= 0 || c.LockTime > 24*time.Hour, "CREDITPAY_ESIGN_LOCK_TIME must be above zero and at most 24h")
	when(c.LinkLife < time.Second || c.LinkLife > 24*time.Hour, "CREDITPAY_ESIGN_LINK_LIFE must be 1s to 24h")
	base, err := url.Parse(c.LinkBase)
	when(err != nil || base.Host == "" || base.RawQuery != "", "CREDITPAY_ESIGN_LINK_BASE must be the address of REST, such as https://pay.example")
	when(c.LenderName == "" || c.Place == "", "CREDITPAY_ESIGN_LENDER_NAME and CREDITPAY_ESIGN_PLACE must not be empty")
	return errors.Join(wrong...)
}

// openEsign wires signing, and notes from when on purchases need signatures.
func openEsign(ctx context.Context, c EsignConfig, deps Deps, rows *store.Store) (app.Esign, error) {
	sender := deps.Sender
	if sender == nil && c.SandboxDir != "" {
		sender = sandbox.Sender{Dir: c.SandboxDir}
	}
	if c.Required {
		switch {
		case deps.Keys == nil:
			return app.Esign{}, errors.New("signing needs keys: set CREDITPAY_KEYRING_FILE, or CREDITPAY_ESIGN_REQUIRED=false where nobody signs")
		case deps.Payment == nil:
			return app.Esign{}, errors.New("signing needs a connection to the payment service")
		case sender == nil:
			return app.Esign{}, errors.New("signing needs a sender of codes: host the service with one (Deps.Sender), set CREDITPAY_ESIGN_SANDBOX_DIR in " +
				"development, or CREDITPAY_ESIGN_REQUIRED=false where nobody signs")
		}
	}
	if err := rows.NoteEsignRule(ctx, c.Required, deps.Spine.Clock.Now()); err != nil {
		return app.Esign{}, fmt.Errorf("note the rule of signing: %w", err)
	}
	press := contractpdf.New()
	e := app.Esign{
		Required: c.Required, Keys: deps.Keys, Sender: sender, Print: press.Print, Missing: press.Missing, Rules: c.rules(),
		ChallengesPerHour: c.ChallengesPerHour, CodesPerUser: c.CodesPerUserHour, CodesPerPhone: c.CodesPerPhoneHour,
		LockTime: c.LockTime, LenderName: c.LenderName, LenderAddress: c.LenderAddress, Place: c.Place,
		LinkBase: strings.TrimRight(c.LinkBase, "/"), LinkLife: c.LinkLife,
	}
	if deps.Payment != nil {
		e.Payments = peer.NewSigning(deps.Payment)
	}
	return e, nil
}
