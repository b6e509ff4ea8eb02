// Package app owns the verbs of the notification service: one use case a file, and the sender that works deliveries off.
//
// It owns idempotency and transactions and declares the small interfaces that it needs. It must not know protobuf, gRPC, SQL, Kafka
// or HTTP.
package app

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

// Store is the notification service's memory.
type Store interface {
	// Do runs fn as one transaction; fn may run several times.
	Do(ctx context.Context, fn func(tx Tx) error) error
	// Requests finds the records of requests.
	Requests() idempotency.Reader
	// Endpoint by id with all its secrets. Errors: NOT_FOUND.
	Endpoint(ctx context.Context, id ids.ID) (domain.Endpoint, []domain.EndpointSecret, error)
	// Endpoints gives at most limit endpoints, newest first, with their secrets.
	Endpoints(ctx context.Context, f EndpointFilter, limit int) ([]RegisteredEndpoint, error)
	// Deliveries gives at most limit deliveries without their bodies, newest first.
	Deliveries(ctx context.Context, f DeliveryFilter, limit int) ([]domain.Delivery, error)
	// Delivery by id. Errors: NOT_FOUND.
	Delivery(ctx context.Context, id ids.ID) (domain.Delivery, error)
	// Attempts of a delivery, newest first.
	Attempts(ctx context.Context, deliveryID ids.ID, limit int) ([]domain.Attempt, error)
	// Feed gives at most limit notices that an owner hears of, with after < id < before, oldest first.
	Feed(ctx context.Context, owner domain.Owner, after, before ids.ID, limit int) ([]domain.Notice, error)
	Queue
}

// Queue is what is due.
type Queue interface {
	// Wake fires when something became due in this process, and when Nudge is called.
	Wake() <-chan struct{}
	Nudge()
	// Due gives at most limit deliveries that are due and wait for no other, those at an end of what is due first, without those of some
	// lanes.
	Due(ctx context.Context, now time.Time, end domain.End, without []ids.ID, limit int) ([]Due, error)
	// DueOf gives the same of one lane.
	DueOf(ctx context.Context, now time.Time, end domain.End, lane ids.ID, limit int) ([]Due, error)
	// Claim takes a delivery until the end of the lease; false when it is not as it was any more.
	Claim(ctx context.Context, d Due, lease time.Time) (bool, error)
	// PutOff moves what is due of a lane to a later time, at most limit deliveries.
	PutOff(ctx context.Context, lane ids.ID, now, until time.Time, limit int) error
	// PutBack gives a claim back uncounted, due at a time.
	PutBack(ctx context.Context, d domain.Delivery, due time.Time) error
}

// Due is a delivery that waits to be claimed.
type Due struct {
	ID, EndpointID, Lane ids.ID
	DueTime              time.Time
	Version              int64
}

// Tx is a transaction's writes. They are queued; what is refused fails the transaction.
type Tx interface {
	Remember(k idempotency.Key, fp idempotency.Fingerprint, answer any)
	InsertEndpoint(e domain.Endpoint)
	// UpdateEndpoint stores an endpoint whose version was one less. Mismatch: CONCURRENT_CHANGE.
	UpdateEndpoint(e domain.Endpoint)
	InsertSecret(s domain.EndpointSecret)
	// ExpireSecret stores when a secret ends.
	ExpireSecret(s domain.EndpointSecret)
	// MoveDelivery stores a delivery whose version was one less. Mismatch: CONCURRENT_CHANGE.
	MoveDelivery(d domain.Delivery)
	// MoveFollowers makes due at a time what waits for a delivery: the later ones of its endpoint and order that were not tried in their round.
	MoveFollowers(d domain.Delivery, due time.Time)
	InsertAttempt(a domain.Attempt)
	// Resendable gives at most limit deliveries of an endpoint to be sent again, oldest first, without their bodies.
	Resendable(ctx context.Context, f ResendRange, limit int) ([]domain.Delivery, error)
	EventTx
}

// EventTx is what an event changes.
type EventTx interface {
	// EndpointsOf gives the enabled endpoints of these owners.
	EndpointsOf(ctx context.Context, owners []domain.Owner) ([]domain.Endpoint, error)
	InsertNotice(n domain.Notice)
	InsertDelivery(d domain.Delivery)
}

// Poster posts a message, once, within the time of ctx.
type Poster interface {
	// Post gives the answer. An error is a text for the log: why there was no answer.
	Post(ctx context.Context, url string, m domain.Message) (domain.Answer, error)
}

// Settings bound what the sender does.
type Settings struct {
	// PerEndpoint is how many deliveries of one endpoint, or of one host of a callback endpoint, are sent at once, InFlight how many in
	// all.
	PerEndpoint, InFlight int
	// AttemptTimeout bounds an attempt, from connecting to the end of the answer.
	AttemptTimeout time.Duration
	// Reach says what may be posted to.
	Reach domain.Reach
}

// Deps are the parts of the verbs.
type Deps struct {
	Store Store
	// Poster posts; Keys seal the secrets of endpoints.
	Poster Poster
	Keys   *secret.Keyring
	// Clock is the business clock, Wall the machine's: receivers compare signatures' times with their own.
	Clock, Wall clock.Clock
	IDs         *ids.Generator
	Log         *zap.Logger
	Settings    Settings
}

// App is the verbs.
type App struct {
	Deps
	sender *sender
}

// New makes the verbs.
func New(d Deps) *App { return &App{Deps: d, sender: newSender(d.Settings)} }

func (a *App) now() time.Time { return a.Clock.Now().UTC().Truncate(time.Microsecond) }
