package domain

import (
	"fmt"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/statetable"
)

// DeliveryState is where a delivery stands; the numbers are stored and those of the contract.
type DeliveryState int8

// The states of a delivery.
const (
	Pending   DeliveryState = 1
	Delivered DeliveryState = 2
	GaveUp    DeliveryState = 3
	Stopped   DeliveryState = 4
)

// String is the state's name.
func (s DeliveryState) String() string {
	switch s {
	case Pending:
		return "PENDING"
	case Delivered:
		return "DELIVERED"
	case GaveUp:
		return "GAVE_UP"
	case Stopped:
		return "STOPPED"
	default:
		return fmt.Sprintf("STATE_%d", int8(s))
	}
}

// DeliveryMoves are the legal moves of a delivery.
var DeliveryMoves = statetable.MustNew("delivery",
	statetable.Move[DeliveryState]{From: Pending, To: Pending, Cause: "not acknowledged, the next rung follows"},
	statetable.Move[DeliveryState]{From: Pending, To: Delivered, Cause: "acknowledged"},
	statetable.Move[DeliveryState]{From: Pending, To: GaveUp, Cause: "the last rung failed, or its receiver is gone"},
	statetable.Move[DeliveryState]{From: Pending, To: Stopped, Cause: "its endpoint is disabled"},
	statetable.Move[DeliveryState]{From: Delivered, To: Pending, Cause: "resent by hand"},
	statetable.Move[DeliveryState]{From: GaveUp, To: Pending, Cause: "resent by hand"},
	statetable.Move[DeliveryState]{From: Stopped, To: Pending, Cause: "resent by hand"},
)

// Delivery is one event on its way to one endpoint.
type Delivery struct {
	ID, EndpointID, EventID ids.ID
	// Lane is whose places and whose breaker it takes: its endpoint's id, or for a callback one of its endpoint and the address's host.
	Lane ids.ID
	Type string
	// OrderID is zero when the event is about no order or several.
	OrderID ids.ID
	// InOrder says that it waits for earlier deliveries of its endpoint and order.
	InOrder bool
	// URL as its checkout named it, frozen; empty when it goes where its endpoint is by then.
	URL string
	// Body as it was frozen.
	Body  []byte
	State DeliveryState
	// Attempts over all rounds, Rung those of this round, Round one more for each time that it was resent by hand after its end.
	Attempts, Rung, Round int
	// DueTime is when it is tried next; while it is claimed, the end of the lease. The zero time at its end.
	DueTime time.Time
	// LeaseTime is the end of the lease of who sends it; the zero time when nobody does.
	LeaseTime  time.Time
	CreateTime time.Time
	// FinishTime is when it ended; the zero time while it is Pending.
	FinishTime time.Time
	// LastError is what went wrong at the last attempt; empty when nothing did.
	LastError string
	Version   int64
}

// Attempt is one attempt of a delivery.
type Attempt struct {
	DeliveryID ids.ID
	// No is 1 for the first.
	No, Round int
	StartTime time.Time
	Latency   time.Duration
	// Status of HTTP, 0 when no answer came.
	Status int
	// Answer is the first AnswerKept bytes of it.
	Answer []byte
	// Error is why it was not acknowledged; empty when it was.
	Error string
	// Pause is how long the receiver wants to be left alone, Gone that it wants nothing more. Both only decide what is next.
	Pause time.Duration
	Gone  bool
}

// AnswerKept is how much of an answer is kept in the log, in bytes.
const AnswerKept = 512

// New is the delivery of a notice to an endpoint, due at once. Its id, and so its place among those of its order, is the caller's.
func New(id ids.ID, n Notice, e Endpoint, now time.Time) (Delivery, error) {
	body, err := n.SeenBy(e.Owner).Body(e.Profile)
	d := Delivery{ID: id, EndpointID: e.ID, Lane: e.ID, EventID: n.EventID, Type: n.Type, OrderID: n.OrderID, InOrder: e.Profile.InOrder() && !n.OrderID.IsZero(),
		Body: body, State: Pending, Round: 1, DueTime: now, CreateTime: now, Version: 1}
	if e.Callback() {
		d.URL, d.Lane = n.NotifyURL, e.laneOf(n.NotifyURL)
	}
	return d, err
}

// Address is where it is posted now.
func (d Delivery) Address(e Endpoint) string {
	if d.URL != "" {
		return d.URL
	}
	return e.URL
}

// CheckAddress refuses an address that must not be posted to. An endpoint's own was checked when it was registered; one that a
// checkout named is checked here, each time.
func (d Delivery) CheckAddress(reach Reach) error {
	if d.URL == "" {
		return nil
	}
	return CheckURL(reach, d.URL)
}

// Tried is the delivery after an attempt that ended at a time: acknowledged when the attempt has no error, else due at its next rung
// and not before the receiver's pause is over, or given up behind the last and where the receiver is gone.
func (d Delivery) Tried(a Attempt, end time.Time, ladder []time.Duration) Delivery {
	d.Attempts++
	d.Rung++
	d.Version++
	d.LastError, d.LeaseTime, d.DueTime = a.Error, time.Time{}, time.Time{}
	switch {
	case a.Error == "":
		d.State, d.FinishTime = Delivered, end
	case a.Gone, d.Rung > len(ladder):
		d.State, d.FinishTime = GaveUp, end
	default:
		d.DueTime = end.Add(max(ladder[d.Rung-1], a.Pause))
	}
	return d
}

// FollowersDue is when those are due that wait for this one: at once when it has ended, and not before it is due itself. So what cannot be
// sent is not due, and no look at what is due has to pass it over.
func (d Delivery) FollowersDue() time.Time {
	if d.State != Pending {
		return d.FinishTime
	}
	return d.DueTime
}

// Stop is the delivery after its endpoint was found disabled.
func (d Delivery) Stop(now time.Time) Delivery {
	d.State, d.FinishTime, d.DueTime, d.LeaseTime = Stopped, now, time.Time{}, time.Time{}
	d.LastError = "the endpoint is disabled"
	d.Version++
	return d
}

// Resend is the delivery sent again by hand: at once, from the first rung. One that waits for its next rung begins it now and stays
// in its round.
func (d Delivery) Resend(now time.Time) (Delivery, error) {
	if now.Before(d.LeaseTime) {
		return d, errs.ConcurrentChange.New("the delivery is being sent at this moment; look at its attempts, then repeat")
	}
	if d.State != Pending {
		d.Round++
	}
	d.State, d.Rung, d.DueTime, d.FinishTime, d.LeaseTime = Pending, 0, now, time.Time{}, time.Time{}
	d.Version++
	return d, nil
}
