// Package approvalrpc owns the way between the contract's messages about approvals and package desk, which every service that has approvals
// shares.
//
// It must not decide anything: it translates.
package approvalrpc

import (
	"context"
	"encoding/base64"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/enum"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

const (
	pageDefault = 50
	pageMost    = 100
)

// ListRequest is what every ListApprovals is asked with.
type ListRequest interface {
	GetState() commonv1.ApprovalState
	GetVerb() string
	GetPageSize() int32
	GetPageToken() string
}

// List returns a page of requests and the token of the next one. Errors: PAGE_TOKEN_INVALID.
func List(ctx context.Context, d *desk.Desk, req ListRequest) (page []*commonv1.Approval, next string, err error) {
	f := desk.Filter{State: enum.Of[approval.State](req.GetState()), Verb: req.GetVerb(), Limit: pageDefault}
	if size := int(req.GetPageSize()); size > 0 {
		f.Limit = min(size, pageMost)
	}
	if text := req.GetPageToken(); text != "" {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err == nil {
			err = f.Below.UnmarshalText(raw)
		}
		if err != nil {
			return nil, "", errs.PageTokenInvalid.Wrap(err, "the page token is not one of this list; start from the first page")
		}
	}
	f.Limit++ // One more says whether there is another page.
	list, err := d.List(ctx, f)
	if err != nil {
		return nil, "", err
	}
	if len(list) == f.Limit {
		list = list[:f.Limit-1]
		next = base64.RawURLEncoding.EncodeToString([]byte(list[len(list)-1].ID.String()))
	}
	for _, r := range list {
		page = append(page, Message(r))
	}
	return page, next, nil
}

// parseID reads the id of a request. Errors: INVALID_ARGUMENT.
func parseID(text string) (ids.ID, error) {
	id, err := ids.Parse(ids.Approval, text)
	if err != nil {
		return id, errs.InvalidArgument.Wrap(err, "approval_id is not an id of the form apr_…").With("field", "approval_id")
	}
	return id, nil
}

// Get returns a request. Errors: INVALID_ARGUMENT, NOT_FOUND.
func Get(ctx context.Context, d *desk.Desk, idText string) (*commonv1.Approval, error) {
	id, err := parseID(idText)
	if err != nil {
		return nil, err
	}
	r, err := d.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	return withRule(ctx, d, r)
}

// DecideRequest is what a decision is asked with.
type DecideRequest interface {
	GetRequestId() string
	GetApprovalId() string
	GetComment() string
}

// Approve adds the caller's approval. Errors: as desk.Desk.Approve.
func Approve(ctx context.Context, d *desk.Desk, req DecideRequest) (*commonv1.Approval, error) {
	return decide(ctx, d, req, d.Approve)
}

// Reject ends a request without an effect. Errors: as desk.Desk.Reject.
func Reject(ctx context.Context, d *desk.Desk, req DecideRequest) (*commonv1.Approval, error) {
	return decide(ctx, d, req, d.Reject)
}

func decide(ctx context.Context, d *desk.Desk, req DecideRequest, verb func(context.Context, desk.Decision) (approval.Request, error)) (*commonv1.Approval, error) {
	id, err := parseID(req.GetApprovalId())
	if err != nil {
		return nil, err
	}
	r, err := verb(ctx, desk.Decision{By: caller.FromContext(ctx), RequestID: req.GetRequestId(), ID: id, Comment: req.GetComment()})
	if err != nil {
		return nil, err
	}
	return withRule(ctx, d, r)
}

// withRule writes a request, with the rule that it set when it is a change of tiers.
func withRule(ctx context.Context, d *desk.Desk, r approval.Request) (*commonv1.Approval, error) {
	m := Message(r)
	if m.GetRule() == nil {
		return m, nil
	}
	rule, found, err := d.RuleOf(ctx, r.ID)
	if err == nil && found {
		m.Rule = Rule(rule)
	}
	return m, err
}

// SetRequest is what every SetApprovalTiers is asked with.
type SetRequest interface {
	GetRequestId() string
	GetReason() string
	GetVerb() string
	GetCurrencyCode() string
}

// SetTiers asks for other tiers. Errors: as desk.Desk.SetTiers.
func SetTiers(ctx context.Context, d *desk.Desk, req SetRequest, tiers []*commonv1.ApprovalTier) (*commonv1.Approval, error) {
	in := desk.SetTiers{Requester: caller.FromContext(ctx).String(), RequestID: req.GetRequestId(), Reason: req.GetReason(), Verb: req.GetVerb()}
	var err error
	if in.Currency, err = money.CurrencyOf(req.GetCurrencyCode()); err != nil {
		return nil, errs.InvalidArgument.Wrap(err, "currency_code is not known").With("field", "currency_code")
	}
	for _, t := range tiers {
		if t.Approvals == nil {
			return nil, errs.InvalidArgument.New("tiers: approvals is missing; write how many people must approve, 0 for none").With("field", "tiers")
		}
		c, err := money.CurrencyOf(t.GetFrom().GetCurrencyCode())
		if err != nil {
			return nil, errs.InvalidArgument.Wrap(err, "tiers: currency_code is not known").With("field", "tiers")
		}
		in.Tiers = append(in.Tiers, approval.Tier{From: money.New(t.GetFrom().GetAmountMinor(), c), Approvals: int(t.GetApprovals())})
	}
	r, err := d.SetTiers(ctx, in)
	if err != nil {
		return nil, err
	}
	return withRule(ctx, d, r)
}

// Tiers returns the rules that are in force or will be, and the last changes that were asked for.
func Tiers(ctx context.Context, d *desk.Desk) ([]*commonv1.ApprovalRule, []*commonv1.Approval, error) {
	rules, changes, err := d.Tiers(ctx)
	if err != nil {
		return nil, nil, err
	}
	out, log := make([]*commonv1.ApprovalRule, len(rules)), make([]*commonv1.Approval, len(changes))
	for i, r := range rules {
		out[i] = Rule(r)
	}
	for i, c := range changes {
		log[i] = Message(c.Request)
		if !c.Rule.ID.IsZero() {
			log[i].Rule = Rule(c.Rule)
		}
	}
	return out, log, nil
}

// Rule writes a rule.
func Rule(r approval.Rule) *commonv1.ApprovalRule {
	m := &commonv1.ApprovalRule{Verb: r.Verb, CurrencyCode: r.Currency.Code(), Tiers: TierMessages(r.Tiers), EffectiveTime: timeOf(r.EffectiveTime),
		CancelTime: timeOf(r.CancelTime)}
	if !r.Seeded() {
		m.ApprovalId = ids.Format(ids.Approval, r.ID)
	}
	return m
}

// TierMessages writes tiers.
func TierMessages(list []approval.Tier) []*commonv1.ApprovalTier {
	out := make([]*commonv1.ApprovalTier, len(list))
	for i, t := range list {
		out[i] = &commonv1.ApprovalTier{From: moneyOf(t.From), Approvals: new(int32(t.Approvals))}
	}
	return out
}

// Message writes a request. A change of tiers has its rule without times.
func Message(r approval.Request) *commonv1.Approval {
	m := &commonv1.Approval{ApprovalId: ids.Format(ids.Approval, r.ID), Verb: r.Verb, State: commonv1.ApprovalState(r.State), ApprovalsNeeded: int32(r.Needed),
		ApprovalsGiven: int32(len(r.Votes)), Requester: r.Requester.Name, Reason: r.Reason, ObjectId: r.Object, Summary: r.Summary,
		Amount: moneyOf(r.Amount), Sum: moneyOf(r.Sum), UserId: r.Payer, CreateTime: timeOf(r.CreateTime), ExpireTime: timeOf(r.ExpireTime),
		FinishTime: timeOf(r.FinishTime), EndedBy: r.Ended.Name, Failure: r.Failure}
	for _, v := range r.Votes {
		m.Votes = append(m.Votes, &commonv1.ApprovalVote{Approver: v.By.Name, Comment: v.Comment, Time: timeOf(v.Time)})
	}
	if c, err := desk.ChangeOf(r); err == nil {
		m.Rule = &commonv1.ApprovalRule{Verb: c.Verb, CurrencyCode: c.Currency, Tiers: TierMessages(c.Tiers)}
	}
	return m
}

// Waiting writes a request that waits to be approved, or was to be; nil for an act that needed nobody.
func Waiting(r approval.Request) *commonv1.Approval {
	if r.Needed == 0 {
		return nil
	}
	return Message(r)
}

func moneyOf(a money.Amount) *commonv1.Money {
	if a == (money.Amount{}) {
		return nil
	}
	return &commonv1.Money{AmountMinor: new(a.Minor()), CurrencyCode: a.Currency().Code()}
}

func timeOf(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
