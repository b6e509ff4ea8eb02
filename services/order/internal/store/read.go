package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/services/order/internal/app"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

const (
	orderColumns = `o.id, o.checkout_id, o.payment_id, o.owner, o.merchant_id, o.out_order_no, o.content_hash, o.user_id, o.business, o.notify_url, o.currency_code,
		o.amount_minor, o.paid_minor, o.refunded_minor, o.title, o.state, o.commit_id, o.version, o.create_time, o.expire_time, o.pay_time,
		o.confirm_time, o.cancel_time`
	checkoutColumns = `c.id, c.user_id, c.business, c.currency_code, c.state, c.commit_id, c.total_minor, c.redirect_url, c.notify_url,
		c.expire_time, c.create_time, c.version`
	// A checkout always has orders. STRAIGHT_JOIN keeps the locking order: the checkout, then its orders.
	checkoutsFrom = ` FROM checkouts c STRAIGHT_JOIN orders o ON o.checkout_id = c.id WHERE c.id IN `

	selectOrders    = `SELECT ` + orderColumns + ` FROM orders o WHERE o.id IN `
	selectByNumber  = `SELECT ` + orderColumns + ` FROM orders o WHERE `
	selectCheckouts = `SELECT ` + checkoutColumns + `, 0, ` + orderColumns + checkoutsFrom
	selectForCommit = `SELECT ` + checkoutColumns + `, EXISTS (SELECT 1 FROM aborted_commits a WHERE a.commit_id = ?), ` + orderColumns + oneCheckout
	byCheckout      = ` ORDER BY c.id, o.id`
	// One checkout is a constant for the server: its orders come by their index, without a sort.
	oneCheckout    = ` FROM checkouts c STRAIGHT_JOIN orders o ON o.checkout_id = c.id WHERE c.id = ? ORDER BY o.id`
	selectOne      = `SELECT ` + checkoutColumns + `, 0, ` + orderColumns + oneCheckout
	selectItems    = `SELECT items FROM orders WHERE id = ?`
	selectTimeline = `SELECT timeline FROM orders WHERE id = ?`
)

// scanner is a row of a result.
type scanner interface{ Scan(dest ...any) error }

// rows is a result to walk through.
type rows interface {
	scanner
	Next() bool
	Err() error
	Close() error
}

// orderRow holds an order's columns until they are an order.
type orderRow struct {
	o                      domain.Order
	hash                   []byte
	currency               string
	amount, paid, refunded int64
	commit                 ids.NullID
	pay, confirm, cancel   sql.NullTime
}

func (r *orderRow) dest() []any {
	return []any{&r.o.ID, &r.o.CheckoutID, &r.o.PaymentID, &r.o.Owner, &r.o.MerchantID, &r.o.OutOrderNo, &r.hash, &r.o.UserID, &r.o.Business, &r.o.NotifyURL, &r.currency,
		&r.amount, &r.paid, &r.refunded, &r.o.Title, &r.o.State, &r.commit, &r.o.Version, &r.o.CreateTime, &r.o.ExpireTime, &r.pay, &r.confirm,
		&r.cancel}
}

func (r *orderRow) order() (domain.Order, error) {
	currency, err := money.CurrencyOf(r.currency)
	if err != nil || len(r.hash) != len(r.o.ContentHash) {
		return domain.Order{}, errs.Internal.Wrap(err, "order %s is damaged", ids.Format(ids.Order, r.o.ID))
	}
	o := r.o
	copy(o.ContentHash[:], r.hash)
	o.Amount, o.Paid, o.Refunded = money.New(r.amount, currency), money.New(r.paid, currency), money.New(r.refunded, currency)
	o.CommitID = r.commit.ID
	o.PayTime, o.ConfirmTime, o.CancelTime = r.pay.Time, r.confirm.Time, r.cancel.Time
	return o, nil
}

// checkoutRow holds a checkout's columns until they are a checkout.
type checkoutRow struct {
	c        domain.Checkout
	currency string
	commit   ids.NullID
	total    int64
	barred   bool
}

func (r *checkoutRow) dest() []any {
	return []any{&r.c.ID, &r.c.UserID, &r.c.Business, &r.currency, &r.c.State, &r.commit, &r.total, &r.c.RedirectURL, &r.c.NotifyURL,
		&r.c.ExpireTime, &r.c.CreateTime, &r.c.Version, &r.barred}
}

func (r *checkoutRow) checkout() (domain.Checkout, error) {
	currency, err := money.CurrencyOf(r.currency)
	if err != nil {
		return domain.Checkout{}, errs.Internal.Wrap(err, "checkout %s is damaged", ids.Format(ids.Checkout, r.c.ID))
	}
	c := r.c
	c.Total, c.CommitID = money.New(r.total, currency), r.commit.ID
	return c, nil
}

// scanCheckouts reads a result of checkout columns, a flag and order columns, in the order of checkouts.
func scanCheckouts(found rows) (list []domain.Checkout, barred bool, err error) {
	defer func() { err = errors.Join(err, found.Close()) }()
	for found.Next() {
		var cr checkoutRow
		var or orderRow
		if err := found.Scan(append(cr.dest(), or.dest()...)...); err != nil {
			return nil, false, err
		}
		if len(list) == 0 || list[len(list)-1].ID != cr.c.ID {
			c, err := cr.checkout()
			if err != nil {
				return nil, false, err
			}
			list = append(list, c)
		}
		o, err := or.order()
		if err != nil {
			return nil, false, err
		}
		last := &list[len(list)-1]
		last.Orders = append(last.Orders, o)
		barred = barred || cr.barred
	}
	return list, barred, found.Err()
}

func scanOrders(found rows) (list []domain.Order, err error) {
	defer func() { err = errors.Join(err, found.Close()) }()
	for found.Next() {
		var r orderRow
		if err := found.Scan(r.dest()...); err != nil {
			return nil, err
		}
		o, err := r.order()
		if err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return list, found.Err()
}

// Checkout reads a checkout with its orders; errs.NotFound when there is none.
func (s *Store) Checkout(ctx context.Context, id ids.ID) (domain.Checkout, error) {
	found, err := s.kit.DB.QueryContext(ctx, selectOne, id)
	if err != nil {
		return domain.Checkout{}, mysqlx.Fault(err, "read a checkout")
	}
	list, _, err := scanCheckouts(found)
	return only(list, mysqlx.Fault(err, "read a checkout"))
}

func only(list []domain.Checkout, err error) (domain.Checkout, error) {
	switch {
	case err != nil:
		return domain.Checkout{}, err
	case len(list) == 0:
		return domain.Checkout{}, errs.NotFound.New("no such checkout")
	default:
		return list[0], nil
	}
}

// CheckoutForCommit reads a checkout, and in the same snapshot whether the commit was aborted; errs.NotFound when there is none.
func (s *Store) CheckoutForCommit(ctx context.Context, id, commit ids.ID) (domain.Checkout, bool, error) {
	found, err := s.kit.DB.QueryContext(ctx, selectForCommit, commit, id)
	if err != nil {
		return domain.Checkout{}, false, mysqlx.Fault(err, "read a checkout")
	}
	list, barred, err := scanCheckouts(found)
	c, err := only(list, mysqlx.Fault(err, "read a checkout"))
	return c, barred, err
}

// Checkouts reads checkouts in the order of their ids; those that do not exist are left out.
func (s *Store) Checkouts(ctx context.Context, list []ids.ID) ([]domain.Checkout, error) {
	found, err := s.kit.DB.QueryContext(ctx, selectCheckouts+mysqlx.In(len(list))+byCheckout, args(list)...)
	if err != nil {
		return nil, mysqlx.Fault(err, "read checkouts")
	}
	checkouts, _, err := scanCheckouts(found)
	return checkouts, mysqlx.Fault(err, "read checkouts")
}

// Orders reads orders in the order of their ids; those that do not exist are left out.
func (s *Store) Orders(ctx context.Context, list []ids.ID) ([]domain.Order, error) {
	if len(list) == 0 {
		return nil, nil
	}
	found, err := s.kit.DB.QueryContext(ctx, selectOrders+mysqlx.In(len(list))+` ORDER BY o.id`, args(list)...)
	if err != nil {
		return nil, mysqlx.Fault(err, "read orders")
	}
	orders, err := scanOrders(found)
	return orders, mysqlx.Fault(err, "read orders")
}

// OrdersByNumber reads orders by the marketplace's numbers; those that do not exist are left out.
func (s *Store) OrdersByNumber(ctx context.Context, numbers []app.OrderNumber) ([]domain.Order, error) {
	query, values := selectByNumber, make([]any, 0, 3*len(numbers))
	for i, n := range numbers {
		if i > 0 {
			query += ` OR `
		}
		query += `(o.merchant_id = ? AND o.out_order_no = ? AND o.owner = ?)`
		values = append(values, n.MerchantID, n.OutOrderNo, n.Owner)
	}
	found, err := s.kit.DB.QueryContext(ctx, query+` ORDER BY o.id`, values...)
	if err != nil {
		return nil, mysqlx.Fault(err, "read orders by number")
	}
	orders, err := scanOrders(found)
	return orders, mysqlx.Fault(err, "read orders by number")
}

// Items reads an order's lines; errs.NotFound when there is no such order.
func (s *Store) Items(ctx context.Context, order ids.ID) ([]domain.Item, error) {
	var blob []byte
	err := s.kit.DB.QueryRowContext(ctx, selectItems, order).Scan(&blob)
	if mysqlx.NoRows(err) {
		return nil, errs.NotFound.New("no such order")
	}
	if err != nil {
		return nil, mysqlx.Fault(err, "read items")
	}
	var items []domain.Item
	if err := json.Unmarshal(blob, &items); err != nil {
		return nil, errs.Internal.Wrap(err, "the items of an order are damaged")
	}
	return items, nil
}

// Timeline reads an order's changes, oldest first; errs.NotFound when there is no such order.
func (s *Store) Timeline(ctx context.Context, order ids.ID) ([]domain.TimelineEntry, error) {
	var blob []byte
	err := s.kit.DB.QueryRowContext(ctx, selectTimeline, order).Scan(&blob)
	if mysqlx.NoRows(err) {
		return nil, errs.NotFound.New("no such order")
	}
	if err != nil {
		return nil, mysqlx.Fault(err, "read a timeline")
	}
	list, err := readTimeline(blob)
	if err != nil {
		return nil, errs.Internal.Wrap(err, "the timeline of an order is damaged")
	}
	return list, nil
}

// LockCheckouts reads and locks checkouts with their orders, in the order of their ids.
func (tx *Tx) LockCheckouts(ctx context.Context, list []ids.ID) ([]domain.Checkout, error) {
	found, err := tx.Tx.Query(ctx, selectCheckouts+mysqlx.In(len(list))+byCheckout+` FOR UPDATE`, args(list)...)
	if err != nil {
		return nil, err
	}
	checkouts, _, err := scanCheckouts(found)
	return checkouts, err
}

// LockOrders reads and locks orders, in the order of their ids.
func (tx *Tx) LockOrders(ctx context.Context, list []ids.ID) ([]domain.Order, error) {
	found, err := tx.Tx.Query(ctx, selectOrders+mysqlx.In(len(list))+` ORDER BY o.id FOR UPDATE`, args(list)...)
	if err != nil {
		return nil, err
	}
	return scanOrders(found)
}

func args(list []ids.ID) []any {
	values := make([]any, len(list))
	for i, id := range list {
		values[i] = id
	}
	return values
}
