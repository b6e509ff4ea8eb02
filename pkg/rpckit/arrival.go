package rpckit

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/tap"
)

const (
	// arrivalTime bounds the time from a call's headers to the end of its message.
	arrivalTime = 5 * time.Second
	// streamTime bounds a stream of gRPC's own services.
	streamTime = time.Minute
)

// errNoMessage is why a call ended whose message did not come.
var errNoMessage = errors.New("the message did not arrive in time")

// arrival is the context of a call from its headers on. It ends when the message does not arrive in time: whoever sends headers
// and nothing else must not hold a stream for as long as he likes.
type arrival struct {
	context.Context
	begin time.Time
	timer *time.Timer
}

type arrivalKey struct{}

// Value implements context.Context.
func (a *arrival) Value(key any) any {
	if _, ok := key.(arrivalKey); ok {
		return a
	}
	return a.Context.Value(key)
}

// Err implements context.Context: a message that did not come is a deadline that was missed. gRPC answers with it.
func (a *arrival) Err() error {
	err := a.Context.Err()
	if err != nil && errors.Is(context.Cause(a.Context), errNoMessage) {
		return context.DeadlineExceeded
	}
	return err
}

// expectMessage begins the time in which a call's message must arrive. gRPC calls it with the headers, before anything else.
func expectMessage(ctx context.Context, _ *tap.Info) (context.Context, error) {
	ctx, cancel := context.WithCancelCause(ctx) // ends with the stream at the latest, which gRPC ends
	return &arrival{Context: ctx, begin: time.Now(), timer: time.AfterFunc(arrivalTime, func() { cancel(errNoMessage) })}, nil
}

// arrivalOf is the arrival of the call that ctx belongs to; nil where the server does not expect one.
func arrivalOf(ctx context.Context) *arrival {
	a, _ := ctx.Value(arrivalKey{}).(*arrival)
	return a
}

// arrived ends the wait for the message: it came, or nobody waits for it any more.
func (a *arrival) arrived() {
	if a != nil {
		a.timer.Stop()
	}
}

// extend sets the end of the call to so much time from now.
func (a *arrival) extend(by time.Duration) {
	if a != nil {
		a.timer.Reset(by)
	}
}

// elapsed is the time since the headers.
func (a *arrival) elapsed() time.Duration {
	if a == nil {
		return 0
	}
	return time.Since(a.begin)
}
