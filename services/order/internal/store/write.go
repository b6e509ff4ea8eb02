package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

const (
	insertCheckout = `INSERT INTO checkouts (id, user_id, business, currency_code, state, commit_id, total_minor, redirect_url, notify_url,
		expire_time, timer_time, create_time, version) VALUES (?, ?, ?, ?, ?, NULL, ?, ?, ?, ?, ?, ?, ?)`
	insertOrders = `INSERT INTO orders (id, checkout_id, payment_id, owner, merchant_id, out_order_no, content_hash, user_id, business, notify_url,
		currency_code, amount_minor, paid_minor, refunded_minor, title, items, state, commit_id, version, timeline, create_time, expire_time, pay_time,
		confirm_time, cancel_time) VALUES `
	insertOrdersWidth = 25
	updateCheckout    = `UPDATE checkouts SET state = ?, commit_id = ?, total_minor = ?, version = ?`
	endExpiry         = `, timer_time = NULL`
	whereCheckout     = ` WHERE id = ? AND state = ? AND version = ?`
	barCommit         = `INSERT INTO aborted_commits (commit_id, time) VALUES (?, ?) ON DUPLICATE KEY UPDATE commit_id = commit_id`
)

// InsertCheckout adds a checkout with its orders, their lines (one list per order) and the first entries of their timelines.
func (tx *Tx) InsertCheckout(c domain.Checkout, items [][]domain.Item, m domain.Mark) {
	tx.Tx.Queue(insertCheckout, c.ID, c.UserID, c.Business, c.Total.Currency().Code(), c.State, c.Total.Minor(), c.RedirectURL, c.NotifyURL,
		c.ExpireTime, c.ExpireTime, c.CreateTime, c.Version)
	values := make([]any, 0, len(c.Orders)*insertOrdersWidth)
	entry := timelineLine(domain.OrderCreated, m)
	for i, o := range c.Orders {
		lines := items[i]
		if lines == nil {
			lines = []domain.Item{}
		}
		blob, err := json.Marshal(lines)
		if err != nil {
			tx.Fail(errs.Internal.Wrap(err, "write items"))
			return
		}
		values = append(values, o.ID, o.CheckoutID, o.PaymentID, o.Owner, o.MerchantID, o.OutOrderNo, o.ContentHash[:], o.UserID, o.Business, o.NotifyURL,
			o.Amount.Currency().Code(), o.Amount.Minor(), o.Paid.Minor(), o.Refunded.Minor(), o.Title, string(blob), o.State, ids.Null(o.CommitID),
			o.Version, entry, o.CreateTime, o.ExpireTime, nullTime(o.PayTime), nullTime(o.ConfirmTime), nullTime(o.CancelTime))
	}
	tx.Tx.Queue(insertOrders+mysqlx.Tuples(len(c.Orders), insertOrdersWidth), values...)
}

// MoveCheckout changes a checkout by compare-and-set on state and version, and ends its expiry when it cannot be paid any more.
func (tx *Tx) MoveCheckout(from, to domain.Checkout) {
	query := updateCheckout + whereCheckout
	if !to.State.Payable() {
		query = updateCheckout + endExpiry + whereCheckout
	}
	tx.Tx.QueueExpect(1, changed(), query, to.State, ids.Null(to.CommitID), to.Total.Minor(), to.Version, from.ID, from.State, from.Version)
}

// MoveOrders changes orders by compare-and-set on state and version, in one statement, and adds to their timelines. All move between
// the same two states. Those that become PAID get the timer autoConfirm, those that leave it lose theirs.
func (tx *Tx) MoveOrders(from, to []domain.Order, m domain.Mark, autoConfirm time.Time) {
	if len(from) == 0 || len(from) != len(to) {
		tx.Fail(fmt.Errorf("move %d orders to %d", len(from), len(to)))
		return
	}
	first := to[0]
	set, values := assignments(first, m, autoConfirm)
	if from[0].State == domain.OrderPaid {
		set += `, auto_confirm_time = NULL`
	}
	var query strings.Builder
	query.WriteString(`UPDATE orders SET state = ?, version = version + 1, timeline = CONCAT(timeline, ?)` + set + ` WHERE state = ? AND (`)
	values = append([]any{first.State, timelineLine(first.State, m)}, append(values, from[0].State)...)
	for i := range from {
		if from[i].State != from[0].State || to[i].State != first.State || from[i].ID != to[i].ID {
			tx.Fail(fmt.Errorf("orders that move together differ in state"))
			return
		}
		if i > 0 {
			query.WriteString(` OR `)
		}
		query.WriteString(`(id = ? AND version = ?)`)
		values = append(values, from[i].ID, from[i].Version)
	}
	query.WriteByte(')')
	tx.Tx.QueueExpect(int64(len(from)), changed(), query.String(), values...)
}

// assignments is what a move to a state changes besides state and version, see domain.Order.Moved.
func assignments(to domain.Order, m domain.Mark, autoConfirm time.Time) (set string, values []any) {
	switch to.State {
	case domain.OrderCommitting:
		return `, commit_id = ?`, []any{to.CommitID}
	case domain.OrderCreated, domain.OrderExpired:
		return `, commit_id = NULL`, nil
	case domain.OrderPaid:
		return `, paid_minor = amount_minor, pay_time = ?, auto_confirm_time = ?`, []any{m.Time, nullTime(autoConfirm)}
	case domain.OrderConfirmed:
		return `, confirm_time = COALESCE(confirm_time, ?)`, []any{m.Time}
	case domain.OrderCancelled:
		return `, cancel_time = ?`, []any{m.Time}
	default:
		return ``, nil
	}
}

// NoteRefund writes what was refunded of an order by compare-and-set.
func (tx *Tx) NoteRefund(from, to domain.Order) {
	tx.Tx.QueueExpect(1, changed(), `UPDATE orders SET refunded_minor = ? WHERE id = ? AND refunded_minor = ?`, to.Refunded.Minor(), from.ID, from.Refunded.Minor())
}

// BarCommit remembers that a commit was aborted; repeating is harmless.
func (tx *Tx) BarCommit(commit ids.ID, at time.Time) { tx.Tx.Queue(barCommit, commit, at) }
