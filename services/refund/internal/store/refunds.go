package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/text"

	"github.com/creditpay/creditpay/services/refund/internal/app"
	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

const (
	refundColumns = `r.id, r.order_id, r.merchant_id, r.user_id, r.requester, r.out_refund_no, r.currency_code, r.amount_minor, r.cash_minor, r.reason_code,
		r.reason, r.state, r.step, r.approvals_needed, r.snapshot, r.order_state, r.out_order_no, r.notify_url, r.effect, r.failure, r.attempts, r.version, r.create_time, r.expire_time,
		r.finish_time, r.checkout_id, r.business_day, r.sum_minor`
	selectRefund   = `SELECT ` + refundColumns + ` FROM refunds r WHERE r.id = ?`
	selectByNumber = `SELECT ` + refundColumns + ` FROM refunds r WHERE r.order_id = ? AND r.out_refund_no = ?`
	selectRefunds  = `SELECT ` + refundColumns + ` FROM refunds r WHERE `
	// Legs and approvals come with the version of their refund, also where there are none: it tells whether they belong to what was read
	// before.
	selectLegs = `SELECT r.id, r.version, COALESCE(l.number, 0), COALESCE(l.kind, 0), l.repayment_id, COALESCE(l.amount_minor, 0), COALESCE(l.state, 0), l.reference,
		COALESCE(l.evidence, ''), COALESCE(l.actor, '') FROM refunds r LEFT JOIN refund_legs l ON l.refund_id = r.id WHERE r.id IN `
	orderOfLegs     = ` ORDER BY r.id, l.number`
	selectApprovals = `SELECT r.id, r.version, COALESCE(a.approver, ''), COALESCE(a.request_id, ''), COALESCE(a.comment, ''), a.create_time FROM refunds r
		LEFT JOIN approvals a ON a.refund_id = r.id AND a.snapshot = r.snapshot WHERE r.id IN `
	orderOfApprovals = ` ORDER BY r.id, a.create_time, a.approver`
	selectByLeg      = `SELECT refund_id FROM refund_legs WHERE reference = ?`
	selectChanges    = `SELECT from_state, to_state, step, actor, cause, create_time FROM refund_changes WHERE refund_id = ? ORDER BY version`
)

// Refund implements app.Store.
func (s *Store) Refund(ctx context.Context, id ids.ID) (domain.Refund, bool, error) {
	return s.one(ctx, selectRefund, id)
}

// RefundByNumber implements app.Store.
func (s *Store) RefundByNumber(ctx context.Context, orderID ids.ID, number string) (domain.Refund, bool, error) {
	return s.one(ctx, selectByNumber, orderID, number)
}

func (s *Store) one(ctx context.Context, query string, args ...any) (domain.Refund, bool, error) {
	list, err := readRefunds(ctx, s.kit.DB.QueryContext, query, args...)
	if err != nil || len(list) == 0 {
		return domain.Refund{}, false, mysqlx.Fault(err, "read a refund")
	}
	return list[0], true, nil
}

// RefundOfLeg implements app.Store.
func (s *Store) RefundOfLeg(ctx context.Context, reference string) (ids.ID, bool, error) {
	var id ids.ID
	err := s.kit.DB.QueryRowContext(ctx, selectByLeg, reference).Scan(&id)
	if mysqlx.NoRows(err) {
		return id, false, nil
	}
	return id, err == nil, mysqlx.Fault(err, "find the refund of a leg")
}

// Refunds implements app.Store.
func (s *Store) Refunds(ctx context.Context, f app.Filter) ([]domain.Refund, error) {
	where, args := []string{"TRUE"}, []any{}
	add := func(condition string, arg any) {
		where, args = append(where, condition), append(args, arg)
	}
	if !f.OrderID.IsZero() {
		add("r.order_id = ?", f.OrderID)
	}
	if f.MerchantID != "" {
		add("r.merchant_id = ?", f.MerchantID)
	}
	if f.Owner != nil {
		add("r.owner = ?", *f.Owner)
	}
	if f.State != domain.StateNone {
		add("r.state = ?", f.State)
	}
	if !f.Before.IsZero() {
		add("r.id < ?", f.Before)
	}
	args = append(args, f.Limit)
	list, err := readRefunds(ctx, s.kit.DB.QueryContext, selectRefunds+strings.Join(where, " AND ")+` ORDER BY r.id DESC LIMIT ?`, args...)
	return list, mysqlx.Fault(err, "list refunds")
}

// LockRefund implements app.Tx.
func (t *Tx) LockRefund(ctx context.Context, id ids.ID) (domain.Refund, bool, error) {
	list, err := readRefunds(ctx, t.Tx.Query, selectRefund+` FOR UPDATE`, id)
	if err != nil || len(list) == 0 {
		return domain.Refund{}, false, err
	}
	return list[0], true, nil
}

// readTries bounds how often a refund is read anew because it moved meanwhile: more often than one moves before it waits for somebody.
const readTries = 20

// readRefunds reads refunds, each as it was at one moment, which need not be the same for all: one that moves between the statements is
// read anew, and keeps its place, also when it would not be found any more. It fails with errs.ConcurrentChange when one does not stand
// still.
func readRefunds(ctx context.Context, query queryFunc, text string, args ...any) ([]domain.Refund, error) {
	list, err := readRows(ctx, query, text, args...)
	open := make([]*domain.Refund, len(list))
	for i := range list {
		open[i] = &list[i]
	}
	for try := 0; err == nil && len(open) > 0; try++ {
		if try == readTries {
			return nil, errs.ConcurrentChange.New("the refund moved while it was read; repeat the call")
		}
		if try > 0 {
			if err = readAnew(ctx, query, open); err != nil {
				break
			}
		}
		open, err = complete(ctx, query, open)
	}
	return list, err
}

// readRows reads refunds without what stands in other tables.
func readRows(ctx context.Context, query queryFunc, text string, args ...any) (out []domain.Refund, err error) {
	rows, err := query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		r, err := scanRefund(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// readAnew reads the rows of refunds that moved.
func readAnew(ctx context.Context, query queryFunc, open []*domain.Refund) error {
	args, at := idsOf(open)
	now, err := readRows(ctx, query, selectRefunds+`r.id IN `+mysqlx.In(len(args)), args...)
	for _, r := range now {
		*at[r.ID] = r
	}
	return err
}

// complete adds legs and approvals, and gives the refunds that moved since their rows were read.
func complete(ctx context.Context, query queryFunc, open []*domain.Refund) ([]*domain.Refund, error) {
	moved := map[ids.ID]bool{}
	if err := addLegs(ctx, query, open, moved); err != nil {
		return nil, err
	}
	if err := addApprovals(ctx, query, open, moved); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(open), func(r *domain.Refund) bool { return !moved[r.ID] }), nil
}

// dayColumn is a DATE that may be NULL: the zero date.
type dayColumn struct{ civil.Date }

// Value implements driver.Valuer.
func (d dayColumn) Value() (driver.Value, error) {
	if d.IsZero() {
		return nil, nil
	}
	return d.Date.Value()
}

// Scan implements sql.Scanner.
func (d *dayColumn) Scan(src any) error {
	if src == nil {
		d.Date = civil.Date{}
		return nil
	}
	return d.Date.Scan(src)
}

func scanRefund(row mysqlx.Row) (r domain.Refund, err error) {
	var number sql.NullString
	var code string
	var amount, cash int64
	var effect []byte
	var expire, finish sql.NullTime
	var checkout []byte
	var day dayColumn
	var sum sql.NullInt64
	if err := row.Scan(&r.ID, &r.OrderID, &r.MerchantID, &r.UserID, &r.Requester, &number, &code, &amount, &cash, &r.ReasonCode, &r.Reason, &r.State,
		&r.Step, &r.ApprovalsNeeded, &r.Snapshot, &r.OrderState, &r.OutOrderNo, &r.NotifyURL, &effect, &r.Failure, &r.Attempts, &r.Version, &r.CreateTime, &expire, &finish,
		&checkout, &day, &sum); err != nil {
		return r, err
	}
	c, err := money.CurrencyOf(code)
	if err != nil {
		return r, errs.Internal.Wrap(err, "a refund has a currency that is not known")
	}
	copy(r.CheckoutID[:], checkout)
	r.Day = day.Date
	if sum.Valid {
		r.Sum = money.New(sum.Int64, c)
	}
	r.OutRefundNo, r.ExpireTime, r.FinishTime = number.String, expire.Time, finish.Time
	r.Amount, r.Share = money.New(amount, c), domain.Share{Credit: money.New(amount-cash, c), Cash: money.New(cash, c)}
	if err := json.Unmarshal(effect, &r.Effect); err != nil {
		return r, errs.Internal.Wrap(err, "the effect of refund %s cannot be read", ids.Format(ids.Refund, r.ID))
	}
	return r, nil
}

// idsOf are the refunds' ids as arguments, and the refund of each.
func idsOf(list []*domain.Refund) (args []any, at map[ids.ID]*domain.Refund) {
	at = make(map[ids.ID]*domain.Refund, len(list))
	for _, r := range list {
		args, at[r.ID] = append(args, r.ID), r
	}
	return args, at
}

func addLegs(ctx context.Context, query queryFunc, list []*domain.Refund, moved map[ids.ID]bool) (err error) {
	args, at := idsOf(list)
	rows, err := query(ctx, selectLegs+mysqlx.In(len(args))+orderOfLegs, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var refund ids.ID
		var version int64
		var l domain.Leg
		var repayment []byte
		var reference sql.NullString
		var amount int64
		if err := rows.Scan(&refund, &version, &l.Number, &l.Kind, &repayment, &amount, &l.State, &reference, &l.Evidence, &l.Actor); err != nil {
			return err
		}
		r := at[refund]
		if version != r.Version {
			moved[refund] = true
			continue
		}
		if l.Number == 0 {
			continue
		}
		copy(l.RepaymentID[:], repayment)
		l.Amount, l.Reference = money.New(amount, r.Amount.Currency()), reference.String
		r.Legs = append(r.Legs, l)
	}
	return rows.Err()
}

func addApprovals(ctx context.Context, query queryFunc, list []*domain.Refund, moved map[ids.ID]bool) (err error) {
	args, at := idsOf(list)
	rows, err := query(ctx, selectApprovals+mysqlx.In(len(args))+orderOfApprovals, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var refund ids.ID
		var version int64
		var a domain.Approval
		var when sql.NullTime
		if err := rows.Scan(&refund, &version, &a.Approver, &a.RequestID, &a.Comment, &when); err != nil {
			return err
		}
		r := at[refund]
		if version != r.Version {
			moved[refund] = true
			continue
		}
		if a.Approver == "" {
			continue
		}
		a.Time = when.Time
		r.Approvals = append(r.Approvals, a)
	}
	return rows.Err()
}

// Changes implements app.Store.
func (s *Store) Changes(ctx context.Context, id ids.ID) (out []app.Change, err error) {
	rows, err := s.kit.DB.QueryContext(ctx, selectChanges, id)
	if err != nil {
		return nil, mysqlx.Fault(err, "read the changes of a refund")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var c app.Change
		if err := rows.Scan(&c.From, &c.To, &c.Step, &c.Actor, &c.Cause, &c.Time); err != nil {
			return nil, mysqlx.Fault(err, "read the changes of a refund")
		}
		out = append(out, c)
	}
	return out, mysqlx.Fault(rows.Err(), "read the changes of a refund")
}

const (
	insertRefund = `INSERT INTO refunds (id, order_id, owner, merchant_id, user_id, requester, out_refund_no, currency_code, amount_minor, cash_minor, reason_code,
		reason, state, step, approvals_needed, snapshot, order_state, out_order_no, notify_url, effect, failure, attempts, version, create_time, expire_time, finish_time,
		requester_subject, checkout_id, business_day, sum_minor)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	updateRefund = `UPDATE refunds SET state = ?, step = ?, snapshot = ?, order_state = ?, effect = ?, failure = ?, attempts = ?, expire_time = ?, finish_time = ?, version = version + 1
		WHERE id = ? AND version = ?`
	countWait      = `UPDATE refunds SET attempts = attempts + 1 WHERE id = ? AND version = ?`
	insertChange   = `INSERT INTO refund_changes (refund_id, version, from_state, to_state, step, actor, cause, create_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
	insertSnapshot = `INSERT INTO refund_snapshots (refund_id, snapshot, order_state, effect, create_time) VALUES (?, ?, ?, ?, ?)`
	insertApproval = `INSERT INTO approvals (refund_id, snapshot, approver, requester, request_id, comment, create_time, approver_subject, requester_subject)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
	putLeg = `INSERT INTO refund_legs (refund_id, number, kind, repayment_id, amount_minor, state, reference, evidence, actor) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON DUPLICATE KEY UPDATE state = VALUES(state), reference = VALUES(reference), evidence = VALUES(evidence), actor = VALUES(actor)`
)

const (
	reasonMax = 200
	causeMax  = 300
)

// InsertRefund implements app.Tx.
func (t *Tx) InsertRefund(r domain.Refund, m app.Mark) {
	effect, err := encodeEffect(r.Effect)
	if err != nil {
		t.Fail(err)
		return
	}
	owner, _ := caller.SplitUserID(r.UserID)
	t.Tx.Queue(insertRefund, r.ID, r.OrderID, owner, r.MerchantID, r.UserID, r.Requester, nullText(r.OutRefundNo), r.Amount.Currency().Code(), r.Amount.Minor(),
		r.Share.Cash.Minor(), r.ReasonCode, text.Cut(r.Reason, reasonMax), r.State, r.Step, r.ApprovalsNeeded, r.Snapshot, r.OrderState, r.OutOrderNo, r.NotifyURL, effect, "", r.Attempts,
		r.Version, r.CreateTime, nullTime(r.ExpireTime), nullTime(r.FinishTime), string(approval.Canonical(r.Requester)), ids.Null(r.CheckoutID),
		dayColumn{r.Day}, sql.NullInt64{Int64: r.Sum.Minor(), Valid: r.Day.Valid()})
	if r.ApprovalsNeeded > 0 {
		t.Tx.Queue(insertSnapshot, r.ID, r.Snapshot, r.OrderState, effect, m.Time)
	}
	t.change(r.ID, r.Version, domain.StateNone, r, m)
}

// MoveRefund implements app.Tx.
func (t *Tx) MoveRefund(from, to domain.Refund, m app.Mark) {
	effect, err := encodeEffect(to.Effect)
	if err != nil {
		t.Fail(err)
		return
	}
	t.Tx.QueueExpect(1, changed(), updateRefund, to.State, to.Step, to.Snapshot, to.OrderState, effect, text.Cut(to.Failure, reasonMax), to.Attempts,
		nullTime(to.ExpireTime), nullTime(to.FinishTime), to.ID, from.Version)
	t.change(to.ID, from.Version+1, from.State, to, m)
	if to.Snapshot != from.Snapshot {
		t.Tx.Queue(insertSnapshot, to.ID, to.Snapshot, to.OrderState, effect, m.Time)
	}
	for _, a := range to.Approvals {
		if !contains(from, a) || from.Snapshot != to.Snapshot {
			t.Tx.Queue(insertApproval, to.ID, to.Snapshot, a.Approver, to.Requester, a.RequestID, text.Cut(a.Comment, reasonMax), a.Time,
				string(approval.Canonical(a.Approver)), string(approval.Canonical(to.Requester)))
		}
	}
	for i, l := range to.Legs {
		if i < len(from.Legs) && from.Legs[i] == l {
			continue
		}
		t.Tx.Queue(putLeg, to.ID, l.Number, l.Kind, ids.Null(l.RepaymentID), l.Amount.Minor(), l.State, nullText(l.Reference), text.Cut(l.Evidence, reasonMax), l.Actor)
	}
}

// CountWait implements app.Tx.
func (t *Tx) CountWait(r domain.Refund) { t.Tx.QueueExpect(1, changed(), countWait, r.ID, r.Version) }

func contains(r domain.Refund, a domain.Approval) bool {
	for _, other := range r.Approvals {
		if other.Approver == a.Approver {
			return true
		}
	}
	return false
}

func (t *Tx) change(id ids.ID, version int64, from domain.State, to domain.Refund, m app.Mark) {
	t.Tx.Queue(insertChange, id, version, from, to.State, to.Step, m.Actor, text.Cut(m.Cause, causeMax), m.Time)
}

// SetDrive implements app.Tx.
func (t *Tx) SetDrive(id ids.ID, at time.Time) {
	t.Schedule(app.JobDrive, ids.Format(ids.Refund, id), at)
}

// SetExpiry implements app.Tx.
func (t *Tx) SetExpiry(id ids.ID, at time.Time) {
	t.Schedule(app.JobExpire, ids.Format(ids.Refund, id), at)
}

// ClearExpiry implements app.Tx.
func (t *Tx) ClearExpiry(id ids.ID) { t.Unschedule(app.JobExpire, ids.Format(ids.Refund, id)) }
