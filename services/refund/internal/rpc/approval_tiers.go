package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/approval/approvalrpc"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

// tierChangesMost is how many changes of the tiers are shown.
const tierChangesMost = 50

// ListApprovalTiers returns the tiers of every verb and who changed them.
func (s *Refund) ListApprovalTiers(ctx context.Context, _ *refundv1.ListApprovalTiersRequest) (*refundv1.ListApprovalTiersResponse, error) {
	rules, changes, err := approvalrpc.Tiers(ctx, s.Desk)
	if err != nil {
		return nil, err
	}
	out := &refundv1.ListApprovalTiersResponse{Rules: rules, RuleChanges: changes}
	inForce := map[string]bool{}
	for _, r := range rules { // Those that are in force come before those that will be.
		if r.GetVerb() == domain.VerbRefund && !inForce[r.GetCurrencyCode()] {
			inForce[r.GetCurrencyCode()] = true
			out.Tiers = append(out.Tiers, tiersOf(r.GetTiers())...)
		}
	}
	for _, c := range changes {
		if rule := c.GetRule(); rule.GetVerb() == domain.VerbRefund && rule.GetEffectiveTime() != nil {
			out.Changes = append(out.Changes, &refundv1.ApprovalTierChange{CurrencyCode: rule.GetCurrencyCode(), Tiers: tiersOf(rule.GetTiers()),
				Actor: c.GetRequester(), Reason: c.GetReason(), Time: c.GetCreateTime()})
		}
	}
	former, err := s.App.FormerTierChanges(ctx)
	for _, c := range former {
		if len(out.Changes) < tierChangesMost {
			out.Changes = append(out.Changes, &refundv1.ApprovalTierChange{CurrencyCode: c.Currency.Code(), Tiers: tiersOf(approvalrpc.TierMessages(c.Tiers)),
				Actor: c.Actor, Reason: c.Reason, Time: timestamppb.New(c.Time)})
		}
	}
	return out, err
}

// setTiers is a request whose verb is a refund where it names none.
type setTiers struct {
	*refundv1.SetApprovalTiersRequest
}

// GetVerb returns the verb whose tiers are set.
func (r setTiers) GetVerb() string {
	if v := r.SetApprovalTiersRequest.GetVerb(); v != "" {
		return v
	}
	return domain.VerbRefund
}

// SetApprovalTiers asks for other tiers of a verb in a currency.
func (s *Refund) SetApprovalTiers(ctx context.Context, req *refundv1.SetApprovalTiersRequest) (*refundv1.SetApprovalTiersResponse, error) {
	asked := setTiers{req}
	tiers := make([]*commonv1.ApprovalTier, len(req.GetTiers()))
	for i, t := range req.GetTiers() {
		tiers[i] = &commonv1.ApprovalTier{From: t.GetFrom(), Approvals: t.Approvals}
	}
	m, err := approvalrpc.SetTiers(ctx, s.Desk, asked, tiers)
	if err != nil {
		return nil, err
	}
	out := &refundv1.SetApprovalTiersResponse{Approval: m}
	if c, err := money.CurrencyOf(req.GetCurrencyCode()); err == nil && asked.GetVerb() == domain.VerbRefund {
		now, err := s.App.RefundTiers(ctx, c)
		if err != nil {
			return nil, err
		}
		out.Tiers = tiersOf(approvalrpc.TierMessages(now))
	}
	return out, nil
}

func tiersOf(list []*commonv1.ApprovalTier) []*refundv1.ApprovalTier {
	out := make([]*refundv1.ApprovalTier, len(list))
	for i, t := range list {
		out[i] = &refundv1.ApprovalTier{From: t.GetFrom(), Approvals: t.Approvals}
	}
	return out
}
