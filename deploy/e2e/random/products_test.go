package random

import (
	"context"
	"fmt"
	"slices"
	"time"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
)

// offer is a product as a payer meets it: the business that it is for, and its tenors.
type offer struct {
	business, product string
	tenors            []int32
	// down says that a part is paid in cash.
	down bool
}

// offers are products whose rules differ in what a refund, a repayment or lateness does. None needs a signature: that is another test's.
func offers() []offer {
	return []offer{
		{business: "rnd_flat", product: "RND_FLAT", tenors: []int32{1, 3, 6}},
		{business: "rnd_annuity", product: "RND_ANNUITY", tenors: []int32{3, 12}},
		{business: "rnd_principal", product: "RND_PRINCIPAL", tenors: []int32{3, 6}},
		{business: "rnd_fifth", product: "RND_FIFTH", tenors: []int32{1, 4}, down: true},
		{business: "rnd_third", product: "RND_THIRD", tenors: []int32{3, 6}, down: true},
	}
}

func idr(minor int64) *commonv1.Money {
	return &commonv1.Money{AmountMinor: new(minor), CurrencyCode: "IDR"}
}

// products are what offers names.
func products() []*billv1.Product {
	flat := &billv1.Product{InterestMethod: commonv1.InterestMethod_INTEREST_METHOD_FLAT_PER_MONTH, FeeRatePpm: new(int64(10_000)),
		Servicing: &billv1.ServicingTerms{GraceDays: new(int32(0)), LateFee: &billv1.LateFeeRule{Basis: "PER_MONTH", RatePpm: new(int64(50_000))}}}
	annuity := &billv1.Product{InterestMethod: commonv1.InterestMethod_INTEREST_METHOD_DECLINING_EQUAL_INSTALMENT,
		Servicing: &billv1.ServicingTerms{GraceDays: new(int32(0)), LateFee: &billv1.LateFeeRule{Basis: "PER_DAY", RatePpm: new(int64(1_000))}, RefundOrder: "PAST_DUE_FIRST", RefundStrategy: "REAMORTIZE",
			RefundInterest: "ALL", PrepaymentStrategy: "LAST"}}
	principal := &billv1.Product{InterestMethod: commonv1.InterestMethod_INTEREST_METHOD_DECLINING_EQUAL_PRINCIPAL, FeeFixed: idr(500), RoundingMultiple: 100,
		Servicing: &billv1.ServicingTerms{GraceDays: new(int32(0)), SettlementInterest: "KEEP_ALL", RefundInterest: "NONE", RefundStrategy: "NEXT", AllocationMode: "VERTICAL"}}
	fifth := &billv1.Product{InterestMethod: commonv1.InterestMethod_INTEREST_METHOD_ZERO, DownPaymentPpm: new(int64(200_000)), Servicing: &billv1.ServicingTerms{GraceDays: new(int32(0))}}
	third := &billv1.Product{InterestMethod: commonv1.InterestMethod_INTEREST_METHOD_FLAT_PER_MONTH, DownPaymentPpm: new(int64(333_333)), FeeRatePpm: new(int64(5_000)),
		Servicing: &billv1.ServicingTerms{GraceDays: new(int32(3)), LateFee: &billv1.LateFeeRule{Basis: "PER_MONTH", RatePpm: new(int64(20_000))}, RefundOrder: "PAST_DUE_FIRST", RefundStrategy: "NEXT",
			RefundInterest: "ALL", PrepaymentStrategy: "REAMORTIZE"}}
	return []*billv1.Product{flat, annuity, principal, fifth, third}
}

// makeProducts adds the products and waits until they are offered.
func (s *site) makeProducts(ctx context.Context) error {
	for i, p := range products() {
		o := offers()[i]
		p.Code, p.Name, p.CurrencyCode, p.Businesses = o.product, o.product, "IDR", []string{o.business}
		p.MinAmount, p.MaxAmount, p.BillDay, p.DueDay = idr(10), idr(50_000_000), 25, 5
		p.FeeRatePpm, p.DownPaymentPpm = new(p.GetFeeRatePpm()), new(p.GetDownPaymentPpm())
		for _, months := range o.tenors {
			rate := int64(29_500)
			if p.GetInterestMethod() == commonv1.InterestMethod_INTEREST_METHOD_ZERO {
				rate = 0
			}
			p.Tenors = append(p.Tenors, &billv1.ProductTenor{Months: months, RatePpm: new(rate), RatePeriod: "PER_MONTH"})
		}
		if _, err := s.accounts.CreateProductVersion(s.admin(ctx, "alice"), &billv1.CreateProductVersionRequest{RequestId: "product-" + o.product, Product: p}); err != nil {
			return fmt.Errorf("make product %s: %w", o.product, err)
		}
	}
	deadline := time.Now().Add(20 * time.Second)
	for _, o := range offers() {
		for !s.offered(ctx, o) {
			if time.Now().After(deadline) {
				return fmt.Errorf("product %s is not offered", o.product)
			}
			pause(ctx, 50*time.Millisecond)
		}
	}
	return nil
}

func (s *site) offered(ctx context.Context, o offer) bool {
	res, err := s.bills.QueryUserInstalmentInfo(as(ctx, s.spm), &billv1.QueryUserInstalmentInfoRequest{UserId: "nobody", Amount: idr(100_000), Business: o.business})
	return err == nil && slices.ContainsFunc(res.GetPlans(), func(p *commonv1.Plan) bool { return p.GetProductCode() == o.product })
}

// pause lets others work before a condition is looked at again; false when ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
