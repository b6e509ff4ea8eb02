package rpc

import (
	"context"

	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/refund/internal/app"
	"github.com/creditpay/creditpay/services/refund/internal/domain"
	"github.com/creditpay/creditpay/services/refund/internal/wire"
)

// ListApprovalTiers gives the tiers and who changed them.
func (s *Refund) ListApprovalTiers(ctx context.Context, _ *refundv1.ListApprovalTiersRequest) (*refundv1.ListApprovalTiersResponse, error) {
	tiers, changes, err := s.App.ListApprovalTiers(ctx)
	if err != nil {
		return nil, err
	}
	out := &refundv1.ListApprovalTiersResponse{Tiers: tiersOf(tiers)}
	for _, c := range changes {
		out.Changes = append(out.Changes, &refundv1.ApprovalTierChange{CurrencyCode: c.Currency.Code(), Tiers: tiersOf(c.Tiers), Actor: c.Actor,
			Reason: c.Reason, Time: timestamppb.New(c.Time)})
	}
	return out, nil
}

// SetApprovalTiers replaces the tiers of a currency.
func (s *Refund) SetApprovalTiers(ctx context.Context, req *refundv1.SetApprovalTiersRequest) (*refundv1.SetApprovalTiersResponse, error) {
	c := app.TierChange{Actor: caller.FromContext(ctx).String(), Reason: req.GetReason()}
	var err error
	if c.Currency, err = money.CurrencyOf(req.GetCurrencyCode()); err != nil {
		return nil, errs.InvalidArgument.Wrap(err, "currency_code is not known").With("field", "currency_code")
	}
	for _, t := range req.GetTiers() {
		from, err := wire.Amount(t.GetFrom())
		if err != nil {
			return nil, err
		}
		c.Tiers = append(c.Tiers, domain.Tier{From: from, Approvals: int(t.GetApprovals())})
	}
	tiers, err := s.App.SetApprovalTiers(ctx, req.GetRequestId(), c)
	if err != nil {
		return nil, err
	}
	return &refundv1.SetApprovalTiersResponse{Tiers: tiersOf(tiers)}, nil
}

func tiersOf(list []domain.Tier) []*refundv1.ApprovalTier {
	out := make([]*refundv1.ApprovalTier, len(list))
	for i, t := range list {
		out[i] = &refundv1.ApprovalTier{From: wire.Money(t.From), Approvals: new(int32(t.Approvals))}
	}
	return out
}
