// Package desk stores acts that more than one person must approve, takes the approvals, and has an act carried out once it has enough.
//
// A service embeds it: its verbs call Gate in the transaction of their effect, and it registers each verb with the way to carry it out.
// The rules are those of package approval. It must not know what an act does, and no contract.
package desk

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/unit"
)

// The timers of approvals; their keys are ids of requests.
const (
	// JobExpire ends a request that nobody approved in time.
	JobExpire = "expire_approval"
	// JobCarry carries an approved request out where the call that brought the last approval did not.
	JobCarry = "carry_approval"
)

const (
	// DelayDefault is how long a change of tiers that loosens them waits until it takes effect.
	DelayDefault = 24 * time.Hour
	// carryAfter leaves the call with the last approval time to carry the request out itself.
	carryAfter = 15 * time.Second
)

// Settings configure approvals.
type Settings struct {
	// Delay is how long a change of tiers that loosens them waits, after its approval, until it takes effect.
	Delay time.Duration `env:"APPROVAL_RULE_DELAY" envDefault:"24h"`
}

// delayMost bounds the delay: a rule that never takes effect is a mistake.
const delayMost = 30 * 24 * time.Hour

// Validate returns what is out of bounds.
func (s Settings) Validate() error {
	if s.Delay < 0 || s.Delay > delayMost {
		return errors.New("CREDITPAY_APPROVAL_RULE_DELAY must be 0 to 720h; 0 is the default of 24h")
	}
	return nil
}

// Desk is the approvals of one service.
type Desk struct {
	kit   *unit.Kit
	log   *zap.Logger
	delay time.Duration
	verbs map[string]approval.Verb
}

// New makes a desk. A change of tiers is a verb of its own.
func New(kit *unit.Kit, log *zap.Logger, cfg Settings) *Desk {
	d := &Desk{kit: kit, log: log, delay: cfg.Delay, verbs: map[string]approval.Verb{}}
	if d.delay <= 0 {
		d.delay = DelayDefault
	}
	d.On(approval.Verb{Name: approval.VerbSetTiers, Role: caller.Administer, Carry: d.carryTiers})
	return d
}

// On adds verbs. Before the first call.
func (d *Desk) On(verbs ...approval.Verb) {
	for _, v := range verbs {
		d.verbs[v.Name] = v
	}
}

// Jobs are the handlers of the timers, by kind.
func (d *Desk) Jobs() map[string]jobs.Handler {
	on := func(verb func(ctx context.Context, id ids.ID) error) jobs.Handler {
		return func(ctx context.Context, j jobs.Job) (jobs.Outcome, error) {
			id, err := ids.Parse(ids.Approval, j.Key)
			if err != nil {
				return jobs.Outcome{}, err
			}
			return jobs.Done(), verb(ctx, id)
		}
	}
	return map[string]jobs.Handler{JobExpire: on(d.expire), JobCarry: on(d.carryLater)}
}

func (d *Desk) now() time.Time { return d.kit.Clock.Now().UTC().Truncate(time.Microsecond) }

// Get reads a request. Errors: NOT_FOUND.
func (d *Desk) Get(ctx context.Context, id ids.ID) (approval.Request, error) {
	r, err := one(ctx, d.kit.DB.QueryContext, selectRequest, id)
	return r, mysqlx.Fault(err, "read a request")
}

// Decision is one person's word about a request.
type Decision struct {
	// By is who decides; RequestID is unique among that person's.
	By        caller.Caller
	RequestID string
	// ID is the request that is decided.
	ID      ids.ID
	Comment string
}

// Approve adds a person's approval; the last one has the request carried out. Repeating the request returns the request as it is now.
// Errors: NOT_FOUND, CALLER_NOT_ALLOWED, APPROVER_IS_REQUESTER, ALREADY_APPROVED, APPROVAL_STATE_INVALID, REQUEST_ID_REUSED.
func (d *Desk) Approve(ctx context.Context, in Decision) (approval.Request, error) {
	err := d.decide(ctx, "ApproveRequest", in, func(w *unit.Work, r approval.Request, now time.Time) (approval.Request, error) {
		if err := d.mayApprove(r, in.By); err != nil {
			return r, err
		}
		next, err := r.Approved(approval.Vote{By: approval.PersonOf(in.By.String()), Comment: in.Comment, Time: now})
		if err == nil && next.State == approval.StateApproved {
			w.Unschedule(JobExpire, ids.Format(ids.Approval, r.ID))
			w.Schedule(JobCarry, ids.Format(ids.Approval, r.ID), now.Add(carryAfter))
		}
		return next, err
	})
	if err != nil {
		return approval.Request{}, err
	}
	if err := d.carryLater(ctx, in.ID); err != nil {
		// The approval stands, and the timer carries the request out: its state says so.
		d.log.Warn("an approved request is not carried out yet", zap.String("approval", ids.Format(ids.Approval, in.ID)), zap.Error(err))
	}
	return d.Get(ctx, in.ID)
}

// Reject ends a request without an effect; who asked for it may take it back so. Errors: NOT_FOUND, CALLER_NOT_ALLOWED,
// APPROVAL_STATE_INVALID, REQUEST_ID_REUSED.
func (d *Desk) Reject(ctx context.Context, in Decision) (approval.Request, error) {
	by := approval.PersonOf(in.By.String())
	err := d.decide(ctx, "RejectRequest", in, func(w *unit.Work, r approval.Request, now time.Time) (approval.Request, error) {
		if err := d.mayApprove(r, in.By); err != nil && by.Subject != r.Requester.Subject {
			return r, err
		}
		rule, err := effective(ctx, w, r)
		if err != nil {
			return r, err
		}
		next, err := r.Rejected(by, in.Comment, rule, now)
		if err == nil && next.State == approval.StateCancelled {
			w.Tx.QueueExpect(1, changed(), cancelRule, now, r.ID, now)
		}
		w.Unschedule(JobExpire, ids.Format(ids.Approval, r.ID))
		return next, err
	})
	if err != nil {
		return approval.Request{}, err
	}
	return d.Get(ctx, in.ID)
}

// mayApprove returns nil for who has the role that a request's verb asks for. Errors: CALLER_NOT_ALLOWED.
func (d *Desk) mayApprove(r approval.Request, by caller.Caller) error {
	role := caller.Administer // A verb that this version does not know.
	if v, ok := d.verbs[r.Verb]; ok {
		role = v.Role
	}
	if by.Roles.Meets(caller.RolesOf(role)) {
		return nil
	}
	return errs.CallerNotAllowed.New("deciding %s needs the role %s", r.Verb, role)
}

// decide runs a decision once per request, in one transaction with its record.
func (d *Desk) decide(ctx context.Context, verb string, in Decision, rule func(*unit.Work, approval.Request, time.Time) (approval.Request, error)) error {
	key := idempotency.Key{Verb: verb, Caller: in.By.String(), RequestID: in.RequestID}
	fp, err := idempotency.FingerprintOf([]any{in.ID, in.Comment})
	if err != nil {
		return err
	}
	if rec, found, err := idempotency.Find(ctx, d.kit.DB, key); err != nil || found {
		if err == nil {
			_, err = idempotency.Replay[struct{}](rec, fp)
		}
		return err
	}
	_, err = idempotency.Do(ctx, d.kit.DB, key, fp, func() (struct{}, error) {
		return struct{}{}, d.change(ctx, in.ID, func(w *unit.Work, r approval.Request, now time.Time) (approval.Request, error) {
			w.Remember(key, fp, struct{}{})
			return rule(w, r, now)
		})
	})
	return err
}

// change locks a request, has rule make the next one of it, and stores that. A request that ends without an effect leaves its sums.
func (d *Desk) change(ctx context.Context, id ids.ID, rule func(*unit.Work, approval.Request, time.Time) (approval.Request, error)) error {
	return d.kit.Do(ctx, func(w *unit.Work) error {
		r, err := lock(ctx, w, id)
		if err != nil {
			return err
		}
		next, err := rule(w, r, d.now())
		if err != nil || (next.State == r.State && len(next.Votes) == len(r.Votes)) {
			return err
		}
		move(w.Tx, r, next)
		if next.State.GaveUp() {
			Uncount(w.Tx, r.Counted, r.Amount)
		}
		return nil
	})
}

// carryLater is Carry for who does not want to hear of a refusal: the request's state has it.
func (d *Desk) carryLater(ctx context.Context, id ids.ID) error {
	if err := d.Carry(ctx, id); !errs.Business(err) {
		return err
	}
	return nil
}

// Carry has an approved request carried out. One that is not approved, or done, is passed over. A refusal by a rule ends the request as
// FAILED and is returned; after any other error the request is tried again by its timer.
func (d *Desk) Carry(ctx context.Context, id ids.ID) error {
	r, err := d.Get(ctx, id)
	if err != nil || r.State != approval.StateApproved {
		return err
	}
	v, ok := d.verbs[r.Verb]
	if !ok {
		return errs.Internal.New("nobody can carry out %s", r.Verb)
	}
	refused := v.Carry(ctx, r)
	if !errs.Business(refused) {
		return refused
	}
	reason, _ := errs.ReasonOf(refused)
	d.log.Warn("an approved request was refused", zap.String("approval", ids.Format(ids.Approval, id)), zap.Error(refused))
	err = d.change(ctx, id, func(w *unit.Work, r approval.Request, now time.Time) (approval.Request, error) {
		if r.State != approval.StateApproved {
			return r, nil // Another process carried it out meanwhile.
		}
		w.Unschedule(JobCarry, ids.Format(ids.Approval, id))
		r.Failure = reason.Name()
		return r.Moved(approval.StateFailed, now)
	})
	if err != nil {
		return err
	}
	return refused
}

// expire ends a request that nobody approved in time.
func (d *Desk) expire(ctx context.Context, id ids.ID) error {
	return d.change(ctx, id, func(_ *unit.Work, r approval.Request, now time.Time) (approval.Request, error) {
		if !r.Waits() || now.Before(r.ExpireTime) {
			return r, nil
		}
		return r.Moved(approval.StateExpired, now)
	})
}
