package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"time"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

const (
	// writeTime bounds writing down how an attempt ended, also when the process is being stopped.
	writeTime = 10 * time.Second
	// faultPause is how long a delivery waits that could not be sent for a reason of our own.
	faultPause = 30 * time.Second
)

// attempt sends a claimed delivery once and writes down what came of it. When the process dies in between, the lease runs out and the
// delivery is sent again under the same id.
func (a *App) attempt(ctx context.Context, due Due) {
	log := a.Log.With(zap.String("delivery", ids.Format(ids.Delivery, due.ID)), zap.String("endpoint", ids.Format(ids.Endpoint, due.EndpointID)))
	d, err := a.Store.Delivery(ctx, due.ID)
	if err != nil {
		log.Warn("a claimed delivery cannot be read; its lease will run out", zap.Error(err))
		return
	}
	e, secrets, err := a.Store.Endpoint(ctx, d.EndpointID)
	if err == nil && e.State != domain.EndpointEnabled {
		a.write(ctx, log, d.Stop(a.now()), nil)
		return
	}
	if refused := d.CheckAddress(a.Settings.Reach); err == nil && refused != nil {
		a.refuse(ctx, log, d, e, refused)
		return
	}
	var m domain.Message
	if err == nil {
		m, err = a.message(d, e, secrets)
	}
	if err != nil {
		log.Error("a delivery cannot be made ready and is put off", zap.Error(err))
		a.putBack(ctx, log, d, a.now().Add(faultPause))
		return
	}
	tried, answer := a.post(ctx, e, d, m)
	if ctx.Err() != nil {
		a.putBack(ctx, log, d, a.now()) // The process stops: the attempt was cut off by us and does not count.
		return
	}
	end := a.now()
	a.sender.heard(due.Lane, answer, end)
	after := d.Tried(tried, end, e.Profile.Ladder())
	if gone, ended := e.Gone(end); answer.Gone() && ended {
		gone.Version++
		a.end(ctx, log, gone)
	}
	a.write(ctx, log, after, &tried)
}

// end disables an endpoint whose receiver is gone. Whoever changed it meanwhile keeps the change: the next delivery finds out.
func (a *App) end(ctx context.Context, log *zap.Logger, gone domain.Endpoint) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer cancel()
	err := a.Store.Do(ctx, func(tx Tx) error {
		tx.UpdateEndpoint(gone)
		return nil
	})
	if err != nil {
		log.Warn("an endpoint whose receiver is gone could not be disabled", zap.Error(err))
		return
	}
	log.Warn("an endpoint was disabled", zap.String("reason", gone.StateReason))
}

// refuse writes down an attempt that was not made, because the address that the checkout named must not be posted to. It says nothing of
// the host.
func (a *App) refuse(ctx context.Context, log *zap.Logger, d domain.Delivery, e domain.Endpoint, why error) {
	now := a.now()
	tried := domain.Attempt{DeliveryID: d.ID, No: d.Attempts + 1, Round: d.Round, StartTime: now, Error: why.Error()}
	a.write(ctx, log, d.Tried(tried, now, e.Profile.Ladder()), &tried)
}

// alive tells whether an endpoint answered as one that works; what it says of this delivery is another matter.
func alive(a domain.Answer) bool { return a.Status > 0 && a.Status < 500 && a.Status != 429 }

// message is what is posted now.
func (a *App) message(d domain.Delivery, e domain.Endpoint, secrets []domain.EndpointSecret) (domain.Message, error) {
	keys, err := a.openSecrets(domain.LiveSecrets(secrets, a.now()))
	if err != nil {
		return domain.Message{}, err
	}
	nonce, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return domain.Message{}, errs.Internal.Wrap(err, "make a nonce")
	}
	return e.Profile.Sign(d.Body, domain.Stamp{EventID: ids.Format(ids.Event, d.EventID), URL: d.Address(e), KeyName: e.KeyName, Keys: keys,
		Time: a.Wall.Now(), Nonce: fmt.Sprintf("%06d", nonce)})
}

// post sends the message within the time of an attempt.
func (a *App) post(ctx context.Context, e domain.Endpoint, d domain.Delivery, m domain.Message) (domain.Attempt, domain.Answer) {
	ctx, cancel := context.WithTimeout(ctx, a.Settings.AttemptTimeout)
	defer cancel()
	tried := domain.Attempt{DeliveryID: d.ID, No: d.Attempts + 1, Round: d.Round, StartTime: a.now()}
	begin := time.Now()
	answer, err := a.Poster.Post(ctx, d.Address(e), m)
	tried.Latency = time.Since(begin)
	if err != nil {
		tried.Error = err.Error()
		return tried, domain.Answer{}
	}
	tried.Status, tried.Answer, tried.Error = answer.Status, answer.Body[:min(len(answer.Body), domain.AnswerKept)], e.Profile.Acknowledged(answer)
	tried.Pause, tried.Gone = answer.Pause(), answer.Gone()
	return tried, answer
}

// write stores a move of a delivery, and the attempt that made it.
func (a *App) write(ctx context.Context, log *zap.Logger, after domain.Delivery, tried *domain.Attempt) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer cancel()
	err := a.Store.Do(ctx, func(tx Tx) error {
		if tried != nil {
			tx.InsertAttempt(*tried)
		}
		tx.MoveDelivery(after)
		if after.InOrder {
			tx.MoveFollowers(after, after.FollowersDue())
		}
		return nil
	})
	if err != nil {
		log.Warn("the end of an attempt could not be written; its lease will run out", zap.Error(err))
	}
	if err == nil && after.State == domain.GaveUp {
		log.Warn("a delivery was given up", zap.Int("attempts", after.Attempts), zap.String("last_error", after.LastError))
	}
}

func (a *App) putBack(ctx context.Context, log *zap.Logger, d domain.Delivery, due time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer cancel()
	if err := a.Store.PutBack(ctx, d, due); err != nil {
		log.Warn("a claim could not be given back; its lease will run out", zap.Error(err))
	}
}
