package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/jobs"

	"github.com/creditpay/creditpay/services/refund/internal/app"
	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

// story is the timeline of a refund, without its times.
func (b *bed) story(t *testing.T, r domain.Refund) (out []string) {
	t.Helper()
	_, changes, err := b.GetRefund(t.Context(), spm(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		out = append(out, fmt.Sprintf("%s>%s %s: %s", c.From, c.To, c.Actor, c.Cause))
	}
	return out
}

func TestTheTimelineNamesTheAmountAndWhatBecameOfEachLeg(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	r := b.drive(t, b.mustAsk(t, b.order(100_000, 20_000, 80_000, "CLOSED"), 100_000, "r-1").ID)
	down, repayment := r.Legs[0].Reference, r.Legs[1].Reference
	b.world.end(domain.LegFailed)
	r = b.drive(t, r.ID)
	if _, err := b.RetryRefundLeg(t.Context(), "ADMIN:bob", r.ID, down); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.ResolveRefundLeg(t.Context(), "ADMIN:bob", app.ResolveLeg{RefundID: r.ID, Reference: repayment, GivenBack: true, Evidence: "transfer 4711"}); err != nil {
		t.Fatal(err)
	}
	b.world.end(domain.LegReturned)
	r = b.drive(t, r.ID)
	want := []string{
		">REQUESTED SPM:marketplace: IDR 100000: sent back",
		"REQUESTED>EXECUTING SERVICE:refund: carried out",
		"EXECUTING>EXECUTING SERVICE:refund: plan adjusted",
		"EXECUTING>EXECUTING SERVICE:refund: " + down + " PENDING → RETURNING: payment reduced",
		"EXECUTING>EXECUTING SERVICE:refund: " + repayment + " PENDING → RETURNING: repayment on its way back",
		"EXECUTING>EXECUTING SERVICE:refund: all legs asked for",
		"EXECUTING>EXECUTING SERVICE:refund: " + down + " RETURNING → FAILED, " + repayment + " RETURNING → FAILED: asked the payment service",
		"EXECUTING>EXECUTING ADMIN:bob: " + down + " FAILED → RETURNING: asked for once more",
		"EXECUTING>EXECUTING ADMIN:bob: " + repayment + " FAILED → RETURNED: resolved: transfer 4711",
		"EXECUTING>EXECUTING SERVICE:refund: " + down + " RETURNING → RETURNED: asked the payment service",
		"EXECUTING>SUCCEEDED SERVICE:refund: the payer has everything",
	}
	if got := b.story(t, r); !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	b.prove(t)
}

func TestARefundThatWaitsForWeeksFillsNoTimeline(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	r := b.drive(t, b.mustAsk(t, b.order(100_000, 20_000, 0, "CONFIRMED"), 100_000, "r-1").ID)
	before := b.story(t, r)
	const m = time.Minute
	for i, wait := range []time.Duration{m, 2 * m, 4 * m, 8 * m, 16 * m, 32 * m, time.Hour, time.Hour} {
		out, err := b.DriveRefund(t.Context(), r.ID)
		if want := jobs.Again(b.clock.Now().Add(wait)); err != nil || out != want {
			t.Errorf("look %d: %+v, want %+v, %v", i+2, out, want, err)
		}
	}
	if after := b.story(t, r); !slices.Equal(before, after) {
		t.Errorf("the timeline grew by %v", after[len(before):])
	}
	b.prove(t)
}
