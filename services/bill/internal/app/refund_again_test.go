package app_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/creditpay/creditpay/services/bill/internal/app"
)

// What was bought, refunded and bought again is what was bought once: the account, the debt, its bills and the journal, whether the
// goods had been received before the refund or not.
func TestARefundAndTheSamePurchaseAgainIsOnePurchase(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(*testing.T, *bed, app.ReserveRequest){
		"not received": func(*testing.T, *bed, app.ReserveRequest) {},
		"received": func(t *testing.T, b *bed, r app.ReserveRequest) {
			if err := b.apply(t.Context(), b.confirmed(r.Orders[0].OrderID, b.clock.Now())); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			again, once := newBed(t), newBed(t)
			for _, b := range []*bed{again, once} {
				b.open(t, "u1", 1_000_000)
				if b == again {
					r := b.purchase("u1", loanPrice)
					b.reserve(t, r)
					before(t, b, r)
					for _, part := range []int64{100_000, loanPrice - 100_000} {
						if _, err := b.AdjustForRefund(t.Context(), b.refunding(r.Orders[0].OrderID, part)); err != nil {
							t.Fatal(err)
						}
					}
					b.wantFigures(t, "u1", 1_000_000, 0, 0)
				}
				b.running(t, "u1", loanPrice)
				b.advanceTo(t, 2026, time.July, 7)
			}
			x, y := again.standing(t, "u1"), once.standing(t, "u1")
			if got, want := x.Loans[len(x.Loans)-1].Position, y.Loans[0].Position; !reflect.DeepEqual(got, want) {
				t.Errorf("the debt is %+v, bought once it is %+v", got, want)
			}
			if x.Account.Used != y.Account.Used || x.Account.Held != y.Account.Held || x.Account.Credit != y.Account.Credit || x.Account.State != y.Account.State {
				t.Errorf("the account is %+v, bought once it is %+v", x.Account, y.Account)
			}
			if got, want := openOf(x), openOf(y); !slices.Equal(got, want) {
				t.Errorf("bills of %v, bought once %v", got, want)
			}
			if got, want := again.balances(t), once.balances(t); got != want {
				t.Errorf("the journal says %s, bought once %s", got, want)
			}
		})
	}
}

func openOf(s app.Standing) []int64 {
	var out []int64
	for _, b := range s.Bills {
		out = append(out, b.OpenTotal.Minor())
	}
	return out
}

// balances are those of every account of the journal that has one.
func (b *bed) balances(t *testing.T) (text string) {
	t.Helper()
	if err := b.db.QueryRowContext(t.Context(), `SELECT GROUP_CONCAT(account, ' ', balance ORDER BY account) FROM
		(SELECT account, SUM(debit_minor - credit_minor) AS balance FROM journal_lines GROUP BY account HAVING balance <> 0) x`).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}
