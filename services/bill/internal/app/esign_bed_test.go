package app_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/outbox"
	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/pkg/unit"

	"github.com/creditpay/creditpay/services/bill/internal/adapter/contractpdf"
	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
	"github.com/creditpay/creditpay/services/bill/internal/event"
	"github.com/creditpay/creditpay/services/bill/internal/store"
)

const (
	goodPin   = "482913"
	signName  = "Budi Santoso"
	signPhone = "+6281234567123"
)

// chosenPlans is a payment service whose payers have chosen plans. It commits once a request, when the PIN is right.
type chosenPlans struct {
	mu     sync.Mutex
	quotes map[ids.ID]chosenPlan
	paid   map[string]string
	// down makes CommitFor fail as often.
	down int
}

type chosenPlan struct {
	user string
	app.LockedQuote
}

func (p *chosenPlans) LockedQuote(_ context.Context, userID string, checkout ids.ID) (app.LockedQuote, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q, ok := p.quotes[checkout]
	switch {
	case ok && q.user != userID:
		return app.LockedQuote{}, errs.NotFound.New("no such checkout")
	case !ok || q.ID.IsZero():
		return app.LockedQuote{}, errs.QuoteNotFound.New("no plan")
	}
	return q.LockedQuote, nil
}

func (p *chosenPlans) CommitFor(_ context.Context, r app.CommitFor) (app.CommitOutcome, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down > 0 {
		p.down--
		return app.CommitOutcome{}, errs.DependencyUnavailable.New("down")
	}
	if id, ok := p.paid[r.RequestID]; ok {
		return app.CommitOutcome{State: "SUCCEEDED", CommitID: id}, nil
	}
	if r.Pin.Reveal() != goodPin {
		return app.CommitOutcome{}, errs.PinWrong.New("wrong")
	}
	p.paid[r.RequestID] = "cmt_" + r.RequestID
	return app.CommitOutcome{State: "SUCCEEDED", CommitID: p.paid[r.RequestID]}, nil
}

// pockets are a sender that shows what users got.
type pockets struct {
	mu   sync.Mutex
	got  []app.CodeMessage
	down int
}

func (p *pockets) Send(_ context.Context, m app.CodeMessage) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down > 0 {
		p.down--
		return errors.New("no network")
	}
	p.got = append(p.got, m)
	return nil
}

func (p *pockets) last(t *testing.T) app.CodeMessage {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.got) == 0 {
		t.Fatal("no code was sent")
	}
	return p.got[len(p.got)-1]
}

func (p *pockets) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.got)
}

// signBed is a bed in which purchases need signatures.
type signBed struct {
	*bed
	rows     *store.Store
	payments *chosenPlans
	pockets  *pockets
	runner   *jobs.Runner
	fleet    *app.App // a second replica: other memory, the same database
}

func newSignBed(t *testing.T) *signBed {
	t.Helper()
	s := &signBed{bed: newBed(t), payments: &chosenPlans{quotes: map[ids.ID]chosenPlan{}, paid: map[string]string{}}, pockets: &pockets{}}
	keys, err := secret.GenerateKeyring()
	if err != nil {
		t.Fatal(err)
	}
	queue := jobs.NewQueue(s.clock)
	s.rows = store.New(&unit.Kit{DB: s.db, Outbox: outbox.NewWriter(s.ids, s.clock), Jobs: queue, IDs: s.ids, Clock: s.clock}, event.Encode)
	if err := s.rows.NoteEsignRule(t.Context(), true, s.clock.Now()); err != nil {
		t.Fatal(err)
	}
	press := contractpdf.New()
	deps := app.Deps{Store: s.rows, Requests: s.rows.Requests(), IDs: s.ids, Clock: s.clock, ProductRefresh: time.Second, PlanCacheSize: 100, Approvals: s.desk,
		Esign: app.Esign{Required: true, Keys: keys, Payments: s.payments, Sender: s.pockets, Print: press.Print, Missing: press.Missing, Rules: domain.DefaultChallengeRules(),
			ChallengesPerHour: 3, LockTime: 15 * time.Minute, CodesPerUser: 10, CodesPerPhone: 10, LenderName: "PT Lender", LenderAddress: "Jakarta", Place: "Jakarta",
			LinkBase: "https://pay.example", LinkLife: 5 * time.Minute}}
	s.App, s.fleet = app.New(deps), app.New(deps)
	s.desk.On(s.ApprovalVerbs()...)
	s.handler = event.NewHandler(s.App, s.rows)
	s.runner = &jobs.Runner{DB: s.db, Queue: queue, Clock: s.clock, Log: zap.NewNop(), Handlers: map[string]jobs.Handler{
		app.JobSendCode: func(ctx context.Context, j jobs.Job) (jobs.Outcome, error) {
			return jobs.Done(), s.DeliverCode(ctx, j.Key)
		},
		app.JobSendUserCode: func(ctx context.Context, j jobs.Job) (jobs.Outcome, error) {
			return jobs.Done(), s.DeliverUserCode(ctx, j.Key)
		}}}
	return s
}

// signer opens an account for a user who may sign.
func (s *signBed) signer(t *testing.T, user string) {
	t.Helper()
	r := s.request(user)
	r.Signer = app.Signer{Name: signName, Phone: signPhone}
	if _, err := s.OpenCreditAccount(t.Context(), r, rp(50_000_000)); err != nil {
		t.Fatal(err)
	}
}

// choose locks a plan of a product for a new checkout.
func (s *signBed) choose(t *testing.T, user string, p domain.Product) (checkout, quote ids.ID) {
	t.Helper()
	plan, err := domain.BuildPlan(p, 3, rp(300_000), civil.Of(s.clock.Now(), p.Zone()))
	if err != nil {
		t.Fatal(err)
	}
	checkout, quote = s.ids.New(), s.ids.New()
	s.payments.mu.Lock()
	defer s.payments.mu.Unlock()
	s.payments.quotes[checkout] = chosenPlan{user, app.LockedQuote{ID: quote, Plan: plan, ExpireTime: s.clock.Now().Add(24 * time.Hour)}}
	return checkout, quote
}

func (s *signBed) flat() domain.Product { return domain.DefaultProducts(rp(0).Currency())[0] }

func (s *signBed) send(user string, checkout ids.ID, request string) (app.SentCode, error) {
	return s.SendEsignCheck(context.Background(), app.SignRequest{UserID: user, Caller: "H5:" + user, RequestID: request, CheckoutID: checkout})
}

// mustSend asks for a code, lets the job run, and gives the challenge with the code.
func (s *signBed) mustSend(t *testing.T, user string, checkout ids.ID) (ids.ID, secret.Masked) {
	t.Helper()
	sent, err := s.send(user, checkout, s.ids.New().String())
	if err != nil {
		t.Fatal(err)
	}
	s.work(t)
	m := s.pockets.last(t)
	if m.ChallengeID != sent.ChallengeID || m.UserID != user || m.Target.Reveal() != signPhone || len(m.Code.Reveal()) != 6 {
		t.Fatalf("sent %v to %s for %v", m.ChallengeID, m.UserID, sent)
	}
	return sent.ChallengeID, m.Code
}

// work does the jobs that are due.
func (s *signBed) work(t *testing.T) {
	t.Helper()
	if _, err := s.runner.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (s *signBed) command(user string, checkout, quote, challenge ids.ID, code secret.Masked) app.SignCommand {
	return app.SignCommand{SignRequest: app.SignRequest{UserID: user, Caller: "H5:" + user, RequestID: s.ids.New().String(), CheckoutID: checkout},
		ChallengeID: challenge, QuoteID: quote, Code: code, Pin: goodPin}
}

// sign walks a user through signing a product's contract.
func (s *signBed) sign(t *testing.T, user string, p domain.Product) app.SignOutcome {
	t.Helper()
	checkout, quote := s.choose(t, user, p)
	challenge, code := s.mustSend(t, user, checkout)
	out, err := s.CommitAfterEsign(t.Context(), s.command(user, checkout, quote, challenge, code))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// wrong is another code than this one.
func wrong(code secret.Masked) secret.Masked {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

func wantReason(t *testing.T, err error, want errs.Reason) {
	t.Helper()
	if !errs.Is(err, want) {
		t.Errorf("%v, want %s", err, want.Name())
	}
}
