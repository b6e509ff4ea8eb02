package app_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

// frozen is what was frozen of a refund, each time that it was.
func (b *bed) frozen(t *testing.T, r domain.Refund) (out []domain.Effect) {
	t.Helper()
	rows, err := b.db.QueryContext(t.Context(), `SELECT effect FROM refund_snapshots WHERE refund_id = ? ORDER BY snapshot`, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var text []byte
		var e domain.Effect
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// The refund's own effect is what it did; what people approved must be there beside it, for who asks later.
func TestEveryFrozenEffectIsKept(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	order := b.order(1_000_000, 0, 0, "CONFIRMED")
	r := b.mustAsk(t, order, 500_000, "")
	b.world.orders[order].repaid = 600_000 // The user repaid: cash would go back now.
	if got := b.decide(t, b.ApproveRefund, "ADMIN:bob", r.ID); !slices.Equal(got, []string{"PENDING_APPROVAL REFUND_CHANGED"}) {
		t.Fatalf("%q", got)
	}
	if got := b.decide(t, b.ApproveRefund, "ADMIN:bob", r.ID); !slices.Equal(got, []string{"APPROVED "}) {
		t.Fatalf("%q", got)
	}
	b.prove(t)
	b.world.orders[order].repaid = 800_000 // And once more, before it was carried out: the approvers are asked again.
	if r = b.drive(t, r.ID); r.State != domain.StatePendingApproval {
		t.Fatal(r.State)
	}
	if got := b.decide(t, b.ApproveRefund, "ADMIN:bob", r.ID); !slices.Equal(got, []string{"APPROVED "}) {
		t.Fatalf("%q", got)
	}
	r = b.drive(t, r.ID)
	var cash []int64
	for _, e := range append(b.frozen(t, r), r.Effect) {
		var sum int64
		for _, s := range e.Sources {
			sum += s.Amount
		}
		cash = append(cash, sum)
	}
	if !slices.Equal(cash, []int64{0, 100_000, 300_000, 300_000}) {
		t.Errorf("frozen and done: %v", cash)
	}
	b.prove(t)
}
