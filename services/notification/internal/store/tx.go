package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/text"
	"github.com/creditpay/creditpay/pkg/unit"
	"github.com/creditpay/creditpay/services/notification/internal/app"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

// Tx is one transaction of the notification schema.
type Tx struct {
	*unit.Work
	nudge func()
}

func changed(what string) error {
	return errs.ConcurrentChange.New("%s was changed by somebody else at the same time; read it again, then repeat", what)
}

// InsertEndpoint stores a new endpoint.
func (t *Tx) InsertEndpoint(e domain.Endpoint) {
	t.Tx.Queue(`INSERT INTO endpoints (`+endpointColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.ID, e.Owner.Marketplace, e.Owner.MerchantID, e.URL, t.types(e), e.Profile, e.KeyName, e.State, e.Version, e.CreateTime,
		text.Cut(e.StateReason, errorMax), nullTime(e.StateTime))
}

// types is the types of an endpoint as they are stored.
func (t *Tx) types(e domain.Endpoint) []byte {
	list := e.Types
	if list == nil {
		list = []string{}
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fail(err)
	}
	return text
}

// UpdateEndpoint stores an endpoint whose version was one less.
func (t *Tx) UpdateEndpoint(e domain.Endpoint) {
	t.Tx.QueueExpect(1, changed("the endpoint"), `UPDATE endpoints SET url = ?, event_types = ?, state = ?, state_reason = ?, state_time = ?,
		version = ? WHERE id = ? AND version = ?`, e.URL, t.types(e), e.State, text.Cut(e.StateReason, errorMax), nullTime(e.StateTime), e.Version, e.ID, e.Version-1)
}

// InsertSecret stores a new secret.
func (t *Tx) InsertSecret(s domain.EndpointSecret) {
	t.Tx.Queue(`INSERT INTO endpoint_secrets (id, endpoint_id, sealed, create_time, expire_time) VALUES (?, ?, ?, ?, ?)`,
		s.ID, s.EndpointID, s.Sealed, s.CreateTime, nullTime(s.ExpireTime))
}

// ExpireSecret stores when a secret ends.
func (t *Tx) ExpireSecret(s domain.EndpointSecret) {
	t.Tx.QueueExpect(1, changed("the secret"), `UPDATE endpoint_secrets SET expire_time = ? WHERE id = ?`, nullTime(s.ExpireTime), s.ID)
}

// EndpointsOf gives the enabled endpoints of these owners.
func (t *Tx) EndpointsOf(ctx context.Context, owners []domain.Owner) ([]domain.Endpoint, error) {
	values := make([]any, 0, 2*len(owners)+1)
	for _, owner := range owners {
		values = append(values, owner.MerchantID, owner.Marketplace)
	}
	one := strings.TrimSuffix(strings.Repeat(`(owner = ? AND marketplace = ?) OR `, len(owners)), ` OR `)
	rows, err := t.Tx.Query(ctx, `SELECT `+endpointColumns+` FROM endpoints WHERE (`+one+`) AND state = ? ORDER BY id LIMIT 10000`,
		append(values, domain.EndpointEnabled)...)
	if err != nil {
		return nil, mysqlx.Fault(err, "read endpoints")
	}
	return readEndpoints(rows)
}

// InsertNotice stores an event in the feed.
func (t *Tx) InsertNotice(n domain.Notice) {
	t.Tx.QueueRow(`INSERT INTO notices (id, event_id, type, marketplace, merchant_id, order_id, out_order_no, payload, event_time, create_time) VALUES `,
		n.ID, n.EventID, n.Type, n.Marketplace, n.MerchantID, ids.Null(n.OrderID), n.OutOrderNo, []byte(n.Payload), n.Time, n.ReceiveTime)
}

// InsertDelivery stores a new delivery and wakes the sender.
func (t *Tx) InsertDelivery(d domain.Delivery) {
	t.Tx.QueueRow(`INSERT INTO deliveries (id, endpoint_id, lane, url, event_id, type, order_id, in_order, body, state, attempts, rung, round, due_time, lease_time,
		create_time, finish_time, last_error, version) VALUES `, d.ID, d.EndpointID, d.Lane, d.URL, d.EventID, d.Type, ids.Null(d.OrderID), d.InOrder, d.Body, d.State, d.Attempts,
		d.Rung, d.Round, nullTime(d.DueTime), nullTime(d.LeaseTime), d.CreateTime, nullTime(d.FinishTime), text.Cut(d.LastError, errorMax), d.Version)
	t.Tx.OnCommit(t.nudge)
}

// MoveDelivery stores a delivery whose version was one less.
func (t *Tx) MoveDelivery(d domain.Delivery) {
	t.Tx.QueueExpect(1, changed("the delivery"), `UPDATE deliveries SET state = ?, attempts = ?, rung = ?, round = ?, due_time = ?, lease_time = ?, finish_time = ?,
		last_error = ?, version = ? WHERE id = ? AND version = ?`, d.State, d.Attempts, d.Rung, d.Round, nullTime(d.DueTime), nullTime(d.LeaseTime),
		nullTime(d.FinishTime), text.Cut(d.LastError, errorMax), d.Version, d.ID, d.Version-1)
}

// MoveFollowers makes due at a time what waits for a delivery.
func (t *Tx) MoveFollowers(d domain.Delivery, due time.Time) {
	t.Tx.Queue(`UPDATE deliveries SET due_time = ?, version = version + 1 WHERE endpoint_id = ? AND order_id = ? AND state = 1 AND id > ? AND in_order = 1
		AND rung = 0 AND lease_time IS NULL`, due, d.EndpointID, d.OrderID, d.ID)
}

// InsertAttempt stores an attempt.
func (t *Tx) InsertAttempt(a domain.Attempt) {
	answer := a.Answer
	if answer == nil {
		answer = []byte{}
	}
	t.Tx.Queue(`INSERT INTO delivery_attempts (delivery_id, attempt_no, round, start_time, latency_us, http_status, answer, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		a.DeliveryID, a.No, a.Round, a.StartTime, a.Latency.Microseconds(), a.Status, answer, text.Cut(a.Error, errorMax))
}

// Resendable gives deliveries of an endpoint that were made in a time and ended, oldest first, without their bodies.
func (t *Tx) Resendable(ctx context.Context, f app.ResendRange, limit int) ([]domain.Delivery, error) {
	states := []any{domain.GaveUp, domain.Stopped}
	if f.Delivered {
		states = append(states, domain.Delivered)
	}
	rows, err := t.Tx.Query(ctx, `SELECT `+lightColumns+` FROM deliveries d WHERE d.endpoint_id = ? AND d.id >= ? AND d.id > ? AND d.id < ? AND d.state IN `+mysqlx.In(len(states))+
		` ORDER BY d.id LIMIT ?`, append(append([]any{f.EndpointID, ids.First(f.From), f.Above, ids.First(f.To)}, states...), limit)...)
	if err != nil {
		return nil, mysqlx.Fault(err, "read deliveries to be sent again")
	}
	return readDeliveries(rows)
}

// errorMax is the length of the columns for errors, in characters.
const errorMax = 500
