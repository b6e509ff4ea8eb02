package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/services/notification/internal/app"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

// firstOfItsOrder holds for a delivery that waits for no other of its endpoint and order. The planner has to be told the index: by its
// figures it may take one that finds all deliveries of the endpoint.
const firstOfItsOrder = `(d.in_order = 0 OR NOT EXISTS (SELECT 1 FROM deliveries e FORCE INDEX (by_turn)
	WHERE e.order_id = d.order_id AND e.endpoint_id = d.endpoint_id AND e.state = 1 AND e.id < d.id))`

// Due gives deliveries that are due and wait for no other, those at an end of what is due first, without those of some lanes. Indexes
// other than that of the time are kept from the planner, who would weigh each id that is left out against each of them.
func (s *Store) Due(ctx context.Context, now time.Time, end domain.End, without []ids.ID, limit int) ([]app.Due, error) {
	where, values := ``, []any{}
	if len(without) > 0 {
		where, values = ` AND k.lane NOT IN `+mysqlx.In(len(without)), args(without)
	}
	return s.due(ctx, now, end, `by_due_time`, where, values, limit)
}

// DueOf gives the same of one lane.
func (s *Store) DueOf(ctx context.Context, now time.Time, end domain.End, lane ids.ID, limit int) ([]app.Due, error) {
	return s.due(ctx, now, end, `by_lane_due`, ` AND k.lane = ?`, []any{lane}, limit)
}

// due looks along an index. The index alone says whose a due delivery is (k), and only the rows of those that are asked for are read (d): a
// look that passes over 100,000 takes some 20 ms that way, and 120 ms where it reads them all.
func (s *Store) due(ctx context.Context, now time.Time, end domain.End, index, where string, values []any, limit int) ([]app.Due, error) {
	order := ` ORDER BY k.due_time`
	if end == domain.DueLast {
		order += ` DESC`
	}
	rows, err := s.kit.DB.QueryContext(ctx, `SELECT d.id, d.endpoint_id, d.lane, d.due_time, d.version FROM deliveries k FORCE INDEX (`+index+`)
		STRAIGHT_JOIN deliveries d ON d.id = k.id WHERE k.due_time <= ?`+where+` AND `+firstOfItsOrder+order+` LIMIT ?`,
		append(append([]any{now}, values...), limit)...)
	if err != nil {
		return nil, mysqlx.Fault(err, "read due deliveries")
	}
	defer func() { _ = rows.Close() }()
	var out []app.Due
	for rows.Next() {
		var d app.Due
		if err := rows.Scan(&d.ID, &d.EndpointID, &d.Lane, &d.DueTime, &d.Version); err != nil {
			return nil, mysqlx.Fault(err, "read due deliveries")
		}
		out = append(out, d)
	}
	return out, mysqlx.Fault(rows.Err(), "read due deliveries")
}

// Claim takes a delivery by compare-and-set on its version and its time, which becomes the end of the lease.
func (s *Store) Claim(ctx context.Context, d app.Due, lease time.Time) (bool, error) {
	res, err := s.kit.DB.ExecContext(ctx, `UPDATE deliveries SET due_time = ?, lease_time = ?, version = version + 1
		WHERE id = ? AND version = ? AND due_time = ? AND state = 1`, lease, lease, d.ID, d.Version, d.DueTime)
	if err != nil {
		return false, mysqlx.Fault(err, "claim a delivery")
	}
	n, err := res.RowsAffected()
	return n == 1, mysqlx.Fault(err, "claim a delivery")
}

// PutOff moves what is due of a lane to a later time. Who claimed meanwhile keeps the claim: its version is another.
func (s *Store) PutOff(ctx context.Context, lane ids.ID, now, until time.Time, limit int) error {
	_, err := s.kit.DB.ExecContext(ctx, `UPDATE deliveries SET due_time = ?, lease_time = NULL, version = version + 1
		WHERE lane = ? AND due_time <= ? ORDER BY due_time LIMIT ?`, until, lane, now, limit)
	return mysqlx.Fault(err, "put deliveries off")
}

// PutBack gives a claim back uncounted; one that was lost is somebody else's.
func (s *Store) PutBack(ctx context.Context, d domain.Delivery, due time.Time) error {
	_, err := s.kit.DB.ExecContext(ctx, `UPDATE deliveries SET due_time = ?, lease_time = NULL, version = version + 1 WHERE id = ? AND version = ? AND state = 1`,
		due, d.ID, d.Version)
	return mysqlx.Fault(err, "give a claim back")
}

// lightColumns are those of a delivery without its body.
const lightColumns = `d.id, d.endpoint_id, d.lane, d.url, d.event_id, d.type, d.order_id, d.in_order, d.state, d.attempts, d.rung, d.round, d.due_time, d.lease_time,
	d.create_time, d.finish_time, d.last_error, d.version`

func scanDelivery(row mysqlx.Row, more ...any) (domain.Delivery, error) {
	var d domain.Delivery
	var order ids.NullID
	var due, lease, finish sql.NullTime
	err := row.Scan(append([]any{&d.ID, &d.EndpointID, &d.Lane, &d.URL, &d.EventID, &d.Type, &order, &d.InOrder, &d.State, &d.Attempts, &d.Rung, &d.Round, &due, &lease,
		&d.CreateTime, &finish, &d.LastError, &d.Version}, more...)...)
	d.OrderID, d.DueTime, d.LeaseTime, d.FinishTime = order.ID, due.Time, lease.Time, finish.Time
	return d, err
}

func readDeliveries(rows *sql.Rows) (out []domain.Delivery, err error) {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		d, err := scanDelivery(rows)
		if err != nil {
			return nil, mysqlx.Fault(err, "read deliveries")
		}
		out = append(out, d)
	}
	return out, mysqlx.Fault(rows.Err(), "read deliveries")
}

// Delivery by id. Errors: NOT_FOUND.
func (s *Store) Delivery(ctx context.Context, id ids.ID) (domain.Delivery, error) {
	var body []byte
	d, err := scanDelivery(s.kit.DB.QueryRowContext(ctx, `SELECT `+lightColumns+`, d.body FROM deliveries d WHERE d.id = ?`, id), &body)
	if mysqlx.NoRows(err) {
		return d, errs.NotFound.New("no such delivery")
	}
	d.Body = body
	return d, mysqlx.Fault(err, "read the delivery")
}

// Deliveries gives deliveries without their bodies, newest first. Ids are given by time, so that bounds of time are bounds of ids.
func (s *Store) Deliveries(ctx context.Context, f app.DeliveryFilter, limit int) ([]domain.Delivery, error) {
	where, values := []string{`1 = 1`}, []any{}
	and := func(asked bool, condition string, value any) {
		if asked {
			where, values = append(where, condition), append(values, value)
		}
	}
	and(!f.EndpointID.IsZero(), `d.endpoint_id = ?`, f.EndpointID)
	and(!f.OrderID.IsZero(), `d.order_id = ?`, f.OrderID)
	and(f.Type != "", `d.type = ?`, f.Type)
	and(f.State != 0, `d.state = ?`, f.State)
	and(!f.From.IsZero(), `d.id >= ?`, ids.First(f.From))
	and(!f.To.IsZero(), `d.id < ?`, ids.First(f.To))
	and(!f.Below.IsZero(), `d.id < ?`, f.Below)
	rows, err := s.kit.DB.QueryContext(ctx, `SELECT `+lightColumns+` FROM deliveries d WHERE `+strings.Join(where, ` AND `)+` ORDER BY d.id DESC LIMIT ?`,
		append(values, limit)...)
	if err != nil {
		return nil, mysqlx.Fault(err, "read deliveries")
	}
	return readDeliveries(rows)
}

// Attempts of a delivery, newest first.
func (s *Store) Attempts(ctx context.Context, deliveryID ids.ID, limit int) ([]domain.Attempt, error) {
	rows, err := s.kit.DB.QueryContext(ctx, `SELECT attempt_no, round, start_time, latency_us, http_status, answer, error FROM delivery_attempts
		WHERE delivery_id = ? ORDER BY attempt_no DESC LIMIT ?`, deliveryID, limit)
	if err != nil {
		return nil, mysqlx.Fault(err, "read attempts")
	}
	defer func() { _ = rows.Close() }()
	var out []domain.Attempt
	for rows.Next() {
		a := domain.Attempt{DeliveryID: deliveryID}
		var latency int64
		if err := rows.Scan(&a.No, &a.Round, &a.StartTime, &latency, &a.Status, &a.Answer, &a.Error); err != nil {
			return nil, mysqlx.Fault(err, "read attempts")
		}
		a.Latency = time.Duration(latency) * time.Microsecond
		out = append(out, a)
	}
	return out, mysqlx.Fault(rows.Err(), "read attempts")
}
