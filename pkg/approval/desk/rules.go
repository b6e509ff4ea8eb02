package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/unit"
)

// changesShown is how many changes of tiers are shown.
const changesShown = 50

// SetTiers is a request for other tiers.
type SetTiers struct {
	// Requester is who asks, as caller.Caller.String writes it; RequestID is unique among that person's.
	Requester, RequestID, Reason string
	// Verb is the act, Currency that of its amounts.
	Verb     string
	Currency money.Currency
	Tiers    []approval.Tier
}

type tiersAsked struct {
	ID ids.ID `json:"approval_id"`
}

// SetTiers asks for other tiers of a verb in a currency; somebody else must approve them. Repeating the request returns it as it is now.
// Errors: INVALID_ARGUMENT, APPROVAL_PENDING, REQUEST_ID_REUSED.
func (d *Desk) SetTiers(ctx context.Context, in SetTiers) (approval.Request, error) {
	if v, ok := d.verbs[in.Verb]; !ok || !v.Tiers {
		return approval.Request{}, errs.InvalidArgument.New("verb: %q has no tiers; verbs with tiers are %s", in.Verb, strings.Join(d.tiered(), ", ")).
			With("field", "verb")
	}
	if err := approval.CheckTiers(in.Currency, in.Tiers); err != nil {
		return approval.Request{}, err
	}
	change := approval.Change{Verb: in.Verb, Currency: in.Currency.Code(), Tiers: in.Tiers}
	key := idempotency.Key{Verb: approval.VerbSetTiers, Caller: in.Requester, RequestID: in.RequestID}
	fp, err := idempotency.FingerprintOf([]any{change, in.Reason})
	if err != nil {
		return approval.Request{}, err
	}
	asked, err := idempotency.Do(ctx, d.kit.DB, key, fp, func() (tiersAsked, error) {
		ask := approval.Ask{ID: d.kit.IDs.New(), Verb: approval.VerbSetTiers, Object: in.Verb + "/" + change.Currency, Requester: in.Requester,
			Reason: in.Reason, Summary: summary(change), Arguments: change, AtLeast: 1, Single: true, Now: d.now()}
		return tiersAsked{ask.ID}, d.kit.Do(ctx, func(w *unit.Work) error {
			w.Remember(key, fp, tiersAsked{ask.ID})
			_, err := Gate(ctx, w, ask)
			return err
		})
	})
	if err != nil {
		return approval.Request{}, err
	}
	return d.Get(ctx, asked.ID)
}

// tiered are the verbs that have tiers.
func (d *Desk) tiered() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(d.verbs)), func(name string) bool { return !d.verbs[name].Tiers })
}

// summary is tiers in one line.
func summary(c approval.Change) string {
	parts := make([]string, len(c.Tiers))
	for i, t := range c.Tiers {
		parts[i] = fmt.Sprintf("from %s: %d", t.From, t.Approvals)
	}
	return c.Verb + " " + strings.Join(parts, ", ")
}

// carryTiers schedules an approved change of tiers.
func (d *Desk) carryTiers(ctx context.Context, r approval.Request) error {
	change, err := ChangeOf(r)
	if err != nil {
		return err
	}
	c, err := money.CurrencyOf(change.Currency)
	if err != nil {
		return errs.Internal.Wrap(err, "a change of tiers has a currency that is not known")
	}
	now := d.now()
	return d.kit.Do(ctx, func(w *unit.Work) error {
		before, err := InForce(ctx, w.Tx.Query, change.Verb, c, now)
		if err != nil {
			return err
		}
		if _, err := Gate(ctx, w, approval.Ask{Verb: r.Verb, Object: r.Object, Arguments: change, Now: now, Ticket: r.ID}); err != nil {
			return err
		}
		putRule(w.Tx, approval.Rule{ID: r.ID, Verb: change.Verb, Currency: c, Tiers: change.Tiers,
			EffectiveTime: approval.EffectiveAt(c, before.Tiers, change.Tiers, now, d.delay)})
		return nil
	})
}

// ChangeOf returns what a request to change tiers would set. Errors: INTERNAL for another request.
func ChangeOf(r approval.Request) (approval.Change, error) {
	var c approval.Change
	if r.Verb != approval.VerbSetTiers {
		return c, errs.Internal.New("request %s is a %s", ids.Format(ids.Approval, r.ID), r.Verb)
	}
	if err := json.Unmarshal(r.Arguments, &c); err != nil {
		return c, errs.Internal.Wrap(err, "request %s cannot be read", ids.Format(ids.Approval, r.ID))
	}
	return c, nil
}

// effective returns when the rule that a request set takes effect; the zero time when it set none.
func effective(ctx context.Context, w *unit.Work, r approval.Request) (time.Time, error) {
	if r.Verb != approval.VerbSetTiers {
		return time.Time{}, nil
	}
	list, err := readRules(ctx, w.Tx.Query, "r.id = ?", r.ID)
	if err != nil || len(list) == 0 {
		return time.Time{}, err
	}
	return list[0].EffectiveTime, nil
}

// TierChange is a change of tiers that was asked for, and the rule that it set; a rule without an id where it set none.
type TierChange struct {
	Request approval.Request
	Rule    approval.Rule
}

// Tiers returns the rules that are in force and those that will be, and the last changes that were asked for, newest first.
func (d *Desk) Tiers(ctx context.Context) ([]approval.Rule, []TierChange, error) {
	now := d.now()
	rules, err := readRules(ctx, d.kit.DB.QueryContext, `r.cancel_time IS NULL AND NOT EXISTS (SELECT 1 FROM approval_rules l
		WHERE l.verb = r.verb AND l.currency_code = r.currency_code AND l.cancel_time IS NULL AND l.effective_time <= ?
		AND (l.effective_time > r.effective_time OR (l.effective_time = r.effective_time AND l.id > r.id)))`, now)
	if err != nil {
		return nil, nil, mysqlx.Fault(err, "read the tiers of approval")
	}
	list, err := d.List(ctx, Filter{Verb: approval.VerbSetTiers, Limit: changesShown})
	if err != nil || len(list) == 0 {
		return rules, nil, err
	}
	keys := make([]any, len(list))
	for i, r := range list {
		keys[i] = r.ID
	}
	set, err := readRules(ctx, d.kit.DB.QueryContext, "r.id IN "+mysqlx.In(len(keys)), keys...)
	if err != nil {
		return nil, nil, mysqlx.Fault(err, "read changes of the tiers")
	}
	changes := make([]TierChange, len(list))
	for i, r := range list {
		changes[i].Request = r
		if at := slices.IndexFunc(set, func(rule approval.Rule) bool { return rule.ID == r.ID }); at >= 0 {
			changes[i].Rule = set[at]
		}
	}
	return rules, changes, nil
}

// RuleOf returns the rule that a change of tiers set; false when it set none yet.
func (d *Desk) RuleOf(ctx context.Context, id ids.ID) (approval.Rule, bool, error) {
	list, err := readRules(ctx, d.kit.DB.QueryContext, "r.id = ?", id)
	if err != nil || len(list) == 0 {
		return approval.Rule{}, false, mysqlx.Fault(err, "read the tiers of approval")
	}
	return list[0], true, nil
}

// Filter says which requests are wanted, newest first; its zero value takes all.
type Filter struct {
	// State; zero for all.
	State approval.State
	// Verb; empty for all.
	Verb string
	// Below is where the page begins: requests older than this one; zero for the newest.
	Below ids.ID
	Limit int
}

// List returns requests, newest first.
func (d *Desk) List(ctx context.Context, f Filter) ([]approval.Request, error) {
	where, args := "TRUE", []any{}
	add := func(condition string, arg any) { where, args = where+" AND "+condition, append(args, arg) }
	if f.State != 0 {
		add("state = ?", f.State)
	}
	if f.Verb != "" {
		add("verb = ?", f.Verb)
	}
	if !f.Below.IsZero() {
		add("id < ?", f.Below)
	}
	list, err := readRequests(ctx, d.kit.DB.QueryContext, `SELECT `+columns+` FROM approval_requests WHERE `+where+` ORDER BY id DESC LIMIT ?`,
		append(args, f.Limit)...)
	return list, mysqlx.Fault(err, "list requests")
}
