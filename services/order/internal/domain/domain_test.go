package domain_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/reach"
	"github.com/creditpay/creditpay/pkg/statetable"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

const readme = "../../README.md"

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func idr(n int64) money.Amount { return money.New(n, money.IDR()) }

func id(n byte) ids.ID { return ids.ID{15: n} }

func TestTheReadmeShowsTheTables(t *testing.T) {
	statetable.SyncReadme(t, readme, "order", domain.OrderMoves.Mermaid())
	statetable.SyncReadme(t, readme, "checkout", domain.CheckoutMoves.Mermaid())
}

func draft(change func(*domain.Draft)) domain.Draft {
	d := domain.Draft{
		UserID: "u1", Business: "marketplace", CurrencyCode: "IDR", RedirectURL: "https://shop.example/done",
		Orders: []domain.OrderDraft{
			{MerchantID: "m1", OutOrderNo: "a", Amount: idr(100), Title: "shoes", Items: []domain.Item{{SKU: "s", Name: "n", Quantity: 1, UnitPrice: idr(100)}}},
			{MerchantID: "m2", OutOrderNo: "a", Amount: idr(50), Title: "hat"},
		},
	}
	if change != nil {
		change(&d)
	}
	return d
}

func TestDraft_AddressesAreCheckedWhenGiven(t *testing.T) {
	t.Parallel()
	local := reach.Reach{Loopback: true}
	for _, c := range []struct {
		redirect, notify string
		reach            reach.Reach
		field            string // that is refused; empty when none is
	}{
		{"https://shop.example/done#/thanks", "", reach.Reach{}, ""},
		{"https://shop.example/", "https://market.example/hooks?key=1", reach.Reach{}, ""},
		{"http://localhost:3000/x", "http://127.0.0.1/y", local, ""},
		{"http://localhost:3000/x", "", reach.Reach{}, "redirect_url"},
		{"http://shop.example/", "", local, "redirect_url"},
		{"javascript:alert(1)", "", local, "redirect_url"},
		{"https://shop.example:0/", "", local, "redirect_url"},
		{"https://a:b@shop.example/", "", local, "redirect_url"},
		{"", "", local, "redirect_url"},
		{"https://shop.example/", "http://127.0.0.1/y", reach.Reach{}, "notify_url"},
		{"https://shop.example/", "https://10.0.0.1/", local, "notify_url"},
		{"https://shop.example/", "https://169.254.169.254/latest", local, "notify_url"},
		{"https://shop.example/", "https://market.example:65536/", local, "notify_url"},
		{"https://shop.example/", "https://a:b@market.example/", local, "notify_url"},
	} {
		err := draft(func(d *domain.Draft) { d.RedirectURL, d.NotifyURL = c.redirect, c.notify }).CheckAddresses(c.reach)
		var e *errs.Error
		if errors.As(err, &e) != (c.field != "") || (e != nil && (e.Reason() != errs.InvalidArgument || e.Metadata()["field"] != c.field)) {
			t.Errorf("%s and %s with %+v: %v, want %q refused", c.redirect, c.notify, c.reach, err, c.field)
		}
	}
}

func TestDraftsAreCheckedBeforeAnythingMoves(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		change func(*domain.Draft)
		want   *errs.Reason
	}{
		{"a good one", nil, nil},
		{"unknown currency", func(d *domain.Draft) { d.CurrencyCode = "ABC" }, &errs.InvalidArgument},
		{"no orders", func(d *domain.Draft) { d.Orders = nil }, &errs.InvalidArgument},
		{"51 orders", func(d *domain.Draft) { d.Orders = make([]domain.OrderDraft, 51) }, &errs.InvalidArgument},
		{"zero amount", func(d *domain.Draft) { d.Orders[0].Amount = idr(0) }, &errs.InvalidArgument},
		{"negative amount", func(d *domain.Draft) { d.Orders[0].Amount = idr(-1) }, &errs.InvalidArgument},
		{"huge amount", func(d *domain.Draft) { d.Orders[0].Amount = idr(money.MaxMinor + 1) }, &errs.AmountOutOfRange},
		{"huge sum", func(d *domain.Draft) { d.Orders[0].Amount = idr(money.MaxMinor) }, &errs.AmountOutOfRange},
		{"other currency", func(d *domain.Draft) { d.Orders[1].Amount = money.New(50, money.USD()) }, &errs.CurrencyMismatch},
		{"other currency of an item", func(d *domain.Draft) { d.Orders[0].Items[0].UnitPrice = money.New(1, money.USD()) }, &errs.CurrencyMismatch},
		{"negative price", func(d *domain.Draft) { d.Orders[0].Items[0].UnitPrice = idr(-1) }, &errs.InvalidArgument},
		{"same number twice", func(d *domain.Draft) { d.Orders[1].MerchantID = "m1" }, &errs.InvalidArgument},
		{"expired", func(d *domain.Draft) { d.ExpireTime = noon() }, &errs.ExpireTimeInvalid},
		{"too far", func(d *domain.Draft) { d.ExpireTime = noon().Add(domain.ExpiryMax + time.Second) }, &errs.ExpireTimeInvalid},
		{"a minute ahead", func(d *domain.Draft) { d.ExpireTime = noon().Add(time.Minute) }, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			total, err := draft(c.change).Validate(noon())
			switch {
			case c.want == nil && (err != nil || total != idr(150)):
				t.Fatalf("total %v, error %v", total, err)
			case c.want != nil && !errs.Is(err, *c.want):
				t.Fatalf("error %v, want %s", err, c.want.Name())
			}
		})
	}
}

func TestTheContentHashLeavesOutTheExpireTimeOnly(t *testing.T) {
	t.Parallel()
	first := hash(t, draft(nil))
	if first != hash(t, draft(func(d *domain.Draft) { d.ExpireTime = noon() })) {
		t.Error("another expire time is another content")
	}
	for name, change := range map[string]func(*domain.Draft){
		"amount": func(d *domain.Draft) { d.Orders[0].Amount = idr(101) }, "user": func(d *domain.Draft) { d.UserID = "u2" },
		"item": func(d *domain.Draft) { d.Orders[0].Items[0].Quantity = 2 }, "notify": func(d *domain.Draft) { d.NotifyURL = "https://x.example/" },
	} {
		if first == hash(t, draft(change)) {
			t.Errorf("another %s is the same content", name)
		}
	}
}

func hash(t *testing.T, d domain.Draft) [32]byte {
	t.Helper()
	h, err := d.ContentHash(0)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func checkout(state domain.CheckoutState, commit ids.ID, orders ...domain.OrderState) domain.Checkout {
	c := domain.Checkout{ID: id(1), State: state, CommitID: commit, Total: idr(int64(100 * len(orders))), ExpireTime: noon().Add(time.Hour), Version: 1}
	for i, s := range orders {
		c.Orders = append(c.Orders, domain.Order{ID: id(byte(10 + i)), CheckoutID: c.ID, PaymentID: id(byte(20 + i)), Amount: idr(100), Paid: idr(0),
			Refunded: idr(0), State: s, CommitID: commit, Version: 1})
	}
	return c
}

func TestBeginSaysWhyNot(t *testing.T) {
	t.Parallel()
	mine := domain.Commit{ID: id(5), Expected: idr(100)}
	cases := []struct {
		name   string
		c      domain.Checkout
		barred bool
		at     time.Time
		begun  bool
		want   *errs.Reason
	}{
		{"open", checkout(domain.CheckoutOpen, ids.ID{}, domain.OrderCreated), false, noon(), false, nil},
		{"mine already", checkout(domain.CheckoutCommitting, id(5), domain.OrderCommitting), false, noon(), true, nil},
		{"paid by mine", checkout(domain.CheckoutPaid, id(5), domain.OrderPaid), false, noon(), true, nil},
		{"another's", checkout(domain.CheckoutCommitting, id(6), domain.OrderCommitting), false, noon(), false, &errs.CheckoutCommitting},
		{"paid by another", checkout(domain.CheckoutPaid, id(6), domain.OrderPaid), false, noon(), false, &errs.CheckoutAlreadyPaid},
		{"cancelled", checkout(domain.CheckoutCancelled, ids.ID{}, domain.OrderCancelled), false, noon(), false, &errs.CheckoutCancelled},
		{"expired", checkout(domain.CheckoutExpired, ids.ID{}, domain.OrderExpired), false, noon(), false, &errs.CheckoutExpired},
		{"expired by the clock", checkout(domain.CheckoutOpen, ids.ID{}, domain.OrderCreated), false, noon().Add(time.Hour), false, &errs.CheckoutExpired},
		{"other total", checkout(domain.CheckoutOpen, ids.ID{}, domain.OrderCreated, domain.OrderCreated), false, noon(), false, &errs.CheckoutChanged},
		{"barred", checkout(domain.CheckoutOpen, ids.ID{}, domain.OrderCreated), true, noon(), false, &errs.CommitAborted},
	}
	for _, c := range cases {
		begun, err := c.c.Begin(mine, c.barred, c.at)
		if begun != c.begun || (c.want == nil) != (err == nil) || (c.want != nil && !errs.Is(err, *c.want)) {
			t.Errorf("%s: begun %v, error %v", c.name, begun, err)
		}
	}
}

func TestASettlementMustFitToTheRupiah(t *testing.T) {
	t.Parallel()
	c := checkout(domain.CheckoutCommitting, id(5), domain.OrderCommitting, domain.OrderCommitting)
	good := func() domain.Settlement {
		return domain.Settlement{CheckoutID: c.ID, CommitID: id(5), PayTime: noon(), Orders: []domain.PaidOrder{
			{OrderID: id(10), PaymentID: id(20), Amount: idr(100)}, {OrderID: id(11), PaymentID: id(21), Amount: idr(100)}}}
	}
	if pays, err := c.Settles(good()); err != nil || len(pays) != 2 {
		t.Fatalf("%d orders, error %v", len(pays), err)
	}
	for name, change := range map[string]func(*domain.Settlement){
		"amount":   func(s *domain.Settlement) { s.Orders[0].Amount = idr(99) },
		"currency": func(s *domain.Settlement) { s.Orders[0].Amount = money.New(100, money.USD()) },
		"commit":   func(s *domain.Settlement) { s.CommitID = id(6) },
		"unknown":  func(s *domain.Settlement) { s.Orders[0].OrderID = id(99) },
		"payment":  func(s *domain.Settlement) { s.Orders[0].PaymentID = id(99) },
		"left out": func(s *domain.Settlement) { s.Orders = s.Orders[:1] },
		"no time":  func(s *domain.Settlement) { s.PayTime = time.Time{} },
	} {
		s := good()
		change(&s)
		if _, err := c.Settles(s); !errs.Is(err, errs.OrderStateInvalid) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestOnlyMovesOfTheTableHappen(t *testing.T) {
	t.Parallel()
	for from := domain.OrderCreated; from <= domain.OrderExpired; from++ {
		for to := domain.OrderCreated; to <= domain.OrderExpired; to++ {
			o := domain.Order{State: from, Version: 3, Amount: idr(7), Paid: idr(0)}
			next, err := o.Moved(to, domain.Mark{Time: noon()}, id(9))
			legal := domain.OrderMoves.Check(from, to) == nil
			if legal != (err == nil) || (legal && (next.State != to || next.Version != 4)) || (!legal && next != o) {
				t.Errorf("%s to %s: %v, error %v", from, to, next.State, err)
			}
			if err != nil && !errors.Is(err, statetable.ErrIllegalMove) {
				t.Errorf("%s to %s: %v", from, to, err)
			}
		}
	}
}

func TestCancellingEveryOrderCancelsTheCheckout(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 50).Draw(t, "orders")
		states := make([]domain.OrderState, n)
		for i := range states {
			states[i] = domain.OrderCreated
		}
		c := checkout(domain.CheckoutOpen, ids.ID{}, states...)
		left := n
		for left > 0 {
			batch := rapid.IntRange(1, left).Draw(t, "batch")
			var cancelled []domain.Order
			for _, o := range c.In(domain.OrderCreated)[:batch] {
				after, err := o.Moved(domain.OrderCancelled, domain.Mark{Time: noon()}, ids.ID{})
				if err != nil {
					t.Fatal(err)
				}
				cancelled = append(cancelled, after)
			}
			next, err := c.WithoutOrders(cancelled...)
			if err != nil {
				t.Fatal(err)
			}
			left -= batch
			if next.Total != idr(int64(100*left)) || next.Version != c.Version+1 || (left == 0) != (next.State == domain.CheckoutCancelled) {
				t.Fatalf("%d left: total %s, state %s", left, next.Total, next.State)
			}
			c = next
		}
	})
}

func TestPlansAddUpAndDueDatesAreTheNext(t *testing.T) {
	t.Parallel()
	plan := func(principal int64, due ...string) domain.Plan {
		p := domain.Plan{ProductCode: "SPL", ProductVersion: 1, TenorMonths: int32(len(due)), Principal: idr(principal), Total: idr(principal), MonthlyRatePPM: 5}
		for i, d := range due {
			p.Instalments = append(p.Instalments, domain.Instalment{Sequence: int32(i + 1), DueDate: d, Total: idr(principal / int64(len(due)))})
		}
		return p
	}
	first := plan(100, "2026-02-05", "2026-03-05")
	sum, ok := domain.SumPlans([]domain.Plan{first, plan(50, "2026-02-04", "2026-03-06")})
	if !ok || sum.Total != idr(150) || sum.Instalments[0].Total != idr(75) || sum.Instalments[0].DueDate != "2026-02-04" || sum.MonthlyRatePPM != 5 {
		t.Errorf("sum %+v, ok %v", sum, ok)
	}
	if first.Instalments[0].Total != idr(50) {
		t.Error("adding changed its input")
	}
	if _, ok := domain.SumPlans([]domain.Plan{first, plan(50, "2026-02-05")}); ok {
		t.Error("plans of different tenors were added")
	}
	if next := domain.NextDueDate([]domain.Plan{first}, "2026-02-06"); next != "2026-03-05" {
		t.Errorf("next due date %q", next)
	}
}
