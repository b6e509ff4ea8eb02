package crash

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"

	"github.com/creditpay/creditpay/deploy/devstack"
	"github.com/creditpay/creditpay/deploy/signing"
)

// signature is a first purchase: its buyer signs with a code, which pays it.
type signature struct {
	p *purchase
	// challenge, code and contract are empty until they are known.
	challenge, code, contract string
}

// firstPurchase opens a checkout of a user who has signed nothing.
func (s *site) firstPurchase(t *testing.T, no string) *signature {
	t.Helper()
	b := s.newUser(t, "user-"+no)
	b.setPin(t)
	if _, err := billv1.NewBillAdminServiceClient(s.conn).SetSigningProfile(as(t.Context(), s.creds.AdminToken), &billv1.SetSigningProfileRequest{
		RequestId: "profile-" + no, UserId: b.user, FullName: signing.Name, Phone: signing.PhoneOf(b.user), Reason: "crash test"}); err != nil {
		t.Fatal(err)
	}
	p, err := b.open(t.Context(), no)
	if err != nil {
		t.Fatal(err)
	}
	return &signature{p: p}
}

func (s *site) esign() billv1.EsignServiceClient { return billv1.NewEsignServiceClient(s.conn) }

// ask has a code sent; a repeat must find the same challenge.
func (g *signature) ask(ctx context.Context) error {
	res, err := g.p.b.site.esign().SendEsignCheck(as(ctx, g.p.b.token), &billv1.SendEsignCheckRequest{RequestId: "code-" + g.p.no, CheckoutId: g.p.checkout})
	if err != nil {
		return err
	}
	if g.challenge != "" && g.challenge != res.GetChallengeId() {
		return fmt.Errorf("the same request sends a code for %s, then for %s", g.challenge, res.GetChallengeId())
	}
	g.challenge = res.GetChallengeId()
	return nil
}

// receive reads the code as the user does.
func (g *signature) receive(ctx context.Context) (err error) {
	g.code, err = signing.AwaitCode(ctx, devstack.CodesDir(filepath.Join(g.p.b.site.dir, "state")), g.p.b.user, g.challenge)
	return err
}

// sign signs and pays; a repeat must find the same contract.
func (g *signature) sign(ctx context.Context) (*billv1.CommitAfterEsignResponse, error) {
	res, err := g.p.b.site.esign().CommitAfterEsign(as(ctx, g.p.b.token), &billv1.CommitAfterEsignRequest{RequestId: "sign-" + g.p.no,
		ChallengeId: g.challenge, Code: g.code, CheckoutId: g.p.checkout, QuoteId: g.p.quote, Pin: buyerPIN})
	if err != nil {
		return nil, err
	}
	if g.contract != "" && g.contract != res.GetContractId() {
		return nil, fmt.Errorf("the same request signs %s, then %s", g.contract, res.GetContractId())
	}
	g.contract = res.GetContractId()
	return res, nil
}

// state repeats the signing until it is known what became of the payment.
func (g *signature) state(ctx context.Context) (state string, err error) {
	err = keep(ctx, func(ctx context.Context) error {
		res, err := g.sign(ctx)
		if state = res.GetCommitState(); err == nil && state == "PROCESSING" {
			err = errProcessing
		}
		return err
	})
	return state, err
}

// signedOnce repeats both calls as their callers do, pays what the crash left unpaid, and proves that there is one signature.
func (g *signature) signedOnce(t *testing.T) {
	t.Helper()
	s, ctx := g.p.b.site, t.Context()
	s.skipLeases(t)
	for range 2 {
		must(t, keep(ctx, g.ask))
	}
	must(t, g.receive(ctx))
	first, err := g.state(ctx)
	must(t, err)
	second, err := g.state(ctx)
	must(t, err)
	if first != second {
		t.Errorf("the same request answers %s, then %s", first, second)
	}
	if first != "SUCCEEDED" {
		must(t, g.p.choose(ctx))
		must(t, g.p.pay(ctx))
	}
	must(t, g.p.reaches(ctx, paid))
	g.p.paidOnce(t)
	for _, table := range []string{"esign_challenges", "esign_contracts", "esign_signatures"} {
		if n := s.mustCount(t, `SELECT COUNT(*) FROM creditpay_bill.`+table+` WHERE user_id = ?`, g.p.b.user); n != 1 {
			t.Errorf("%s has %d rows in %s", g.p.b.user, n, table)
		}
	}
	s.proveLimit(t, g.p.b)
}

func TestKilledBetweenAnyTwoStepsOfASignature(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start(t, 1)
	eachStep(t, s, "send code",
		func(n int) *signature {
			g := s.firstPurchase(t, fmt.Sprintf("code-%03d", n))
			s.diesOrRests(t, briefRest)
			return g
		},
		func(ctx context.Context, g *signature) { _ = g.ask(ctx) },
		func(g *signature) { g.signedOnce(t) })
	eachStep(t, s, "sign and pay",
		func(n int) *signature {
			g := s.firstPurchase(t, fmt.Sprintf("sign-%03d", n))
			if err := g.ask(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := g.receive(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.diesOrRests(t, briefRest)
			return g
		},
		func(ctx context.Context, g *signature) { _, _ = g.sign(ctx) },
		func(g *signature) { g.signedOnce(t) })
}
