package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/ids"
)

const (
	// backlogAge is how long ago the first of the backlog was due: the service was down for an hour.
	backlogAge = time.Hour
	// backlogPace is how long after an event the next one comes while the backlog drains. What is new must need less than half of what the
	// machine can send, or it would have to wait in any order.
	backlogPace = 2 * webhookPace
	// backlogRate is how many deliveries a second are sent at the least, or the drain is given up.
	backlogRate = 50
)

// Backlog is what a standstill costs those who hear of something new after it.
type Backlog struct {
	// Deliveries that were due when the service came back; Took is from its start until the last of them arrived.
	Deliveries int
	Took       time.Duration
	// Events that were told meanwhile; New is from such an event until its receipt at the good endpoints.
	Events int
	New    Quantiles
	// Missing counts deliveries, of the backlog and new ones, that never came. Open counts those that are not told to be delivered in the end.
	Missing, Open int
}

// PerSecond is how many deliveries a second were sent during the drain, new ones included.
func (b Backlog) PerSecond(endpoints int) float64 {
	return quotient(float64(b.Deliveries+b.Events*endpoints), b.Took.Seconds())
}

// measureBacklog stores deliveries that were due while the service is down, starts it, and tells events until the backlog has drained.
func (b *bench) measureBacklog(ctx context.Context, r *receivers, good int) (*Backlog, error) {
	r.bad.Store(false)
	if err := b.stack.stopOne(notificationProcess); err != nil {
		return nil, err
	}
	made, err := b.stack.insertBacklog(ctx, r, max(1, b.options.Backlog/r.count))
	if err != nil {
		return nil, err
	}
	b.say("%d deliveries are due", made)
	begin := time.Now()
	if err := b.stack.runNotification(ctx); err != nil {
		return nil, err
	}
	out := &Backlog{Deliveries: made}
	if err := b.stack.awaitConsumer(ctx, r); err != nil {
		return nil, err
	}
	limit := webhookPatience + time.Duration(made/backlogRate)*time.Second
	err = b.stack.tell(ctx, r, backlogPace, func(told int) bool {
		out.Events = told
		return told == 0 || (r.backlog() > 0 && time.Since(begin) < limit)
	})
	if err != nil {
		return nil, err
	}
	out.Took = r.lastOfBacklog().Sub(begin)
	out.Missing = r.backlog()
	var missing int
	out.New, missing = r.wait(ctx, out.Events*good)
	out.Missing += missing
	out.Open, err = b.stack.rest(ctx)
	b.say("they drained in %.1f s, %.0f deliveries/s; of %d new events p50 %s, p99 %s", out.Took.Seconds(), out.PerSecond(r.count), out.Events, ms(out.New.P50), ms(out.New.P99))
	return out, err
}

// awaitConsumer tells an event that is not measured and waits until the service has stored it: until its consumer has joined the group, a service
// that has just started hears nothing, which is no matter of the backlog.
func (s *stack) awaitConsumer(ctx context.Context, r *receivers) error {
	stored := func() (n int, err error) {
		err = s.admin.QueryRowContext(ctx, `SELECT COUNT(*) FROM `+schemaOf(notificationProcess)+`.notices`).Scan(&n)
		return n, err
	}
	before, err := stored()
	if err != nil {
		return err
	}
	if err := s.tell(ctx, r, 0, func(told int) bool { return told == 0 }); err != nil {
		return err
	}
	for deadline := time.Now().Add(webhookPatience); ; {
		n, err := stored()
		if err != nil || n > before {
			r.forget()
			return err
		}
		if time.Now().After(deadline) {
			return errors.New("the service that was started again hears of nothing")
		}
		time.Sleep(drainPoll)
	}
}

// stopOne ends a process in order.
func (s *stack) stopOne(name string) error {
	i := slices.IndexFunc(s.processes, func(p *process) bool { return p.name == name })
	if i < 0 {
		return fmt.Errorf("stop %s: it does not run", name)
	}
	p := s.processes[i]
	s.processes = slices.Delete(s.processes, i, i+1)
	return p.stop()
}

// runNotification starts the notification service and waits until it is ready.
func (s *stack) runNotification(ctx context.Context) error {
	env := s.environment(notificationProcess)
	env["CREDITPAY_NOTIFICATION_ALLOW_LOOPBACK"] = "true"
	p, err := s.start(notificationProcess, filepath.Join(s.bin, notificationProcess), nil, env)
	if err != nil {
		return err
	}
	_, err = p.until(ctx, 30*time.Second, answers("http://"+s.httpAddr[notificationProcess]+"/readyz"))
	return err
}

// insertBacklog stores the deliveries of so many events to every endpoint, as they would stand there had they come during the last hour, and
// gives how many. They are copies of those of one event with ids of their own. What the bad endpoints were not told before is removed.
func (s *stack) insertBacklog(ctx context.Context, r *receivers, events int) (made int, err error) {
	schema := schemaOf(notificationProcess)
	if _, err := s.admin.ExecContext(ctx, `DELETE FROM `+schema+`.deliveries WHERE state = 1`); err != nil {
		return 0, err
	}
	var first ids.ID
	if err := s.admin.QueryRowContext(ctx, `SELECT event_id FROM `+schema+`.deliveries GROUP BY event_id HAVING COUNT(*) = ? LIMIT 1`, r.count).Scan(&first); err != nil {
		return 0, fmt.Errorf("find an event that all endpoints heard of: %w", err)
	}
	var columns string
	if err := s.admin.QueryRowContext(ctx, `SELECT GROUP_CONCAT(column_name ORDER BY ordinal_position) FROM information_schema.columns
		WHERE table_schema = ? AND table_name = 'deliveries'`, schema).Scan(&columns); err != nil {
		return 0, err
	}
	names := strings.Split(columns, ",")
	generator := ids.NewGenerator(clock.System())
	begin := time.Now().UTC().Add(-backlogAge)
	for i := range events {
		event, id, due := generator.New(), generator.New(), begin.Add(backlogAge/time.Duration(events)*time.Duration(i))
		values, args := copied(names, map[string]expression{
			// A delivery's id has the time and the number of this event's, and its endpoint's random part.
			"id": {"CONCAT(LEFT(?, 8), RIGHT(endpoint_id, 8))", []any{id}}, "event_id": {"?", []any{event}},
			"body":  {"REPLACE(body, ?, ?)", []any{ids.Format(ids.Event, first), ids.Format(ids.Event, event)}},
			"state": {"1", nil}, "attempts": {"0", nil}, "rung": {"0", nil}, "version": {"1", nil},
			"due_time": {"?", []any{due}}, "create_time": {"?", []any{due}}, "finish_time": {"NULL", nil},
		})
		res, err := s.admin.ExecContext(ctx, `INSERT INTO `+schema+`.deliveries (`+columns+`) SELECT `+values+` FROM `+schema+`.deliveries WHERE event_id = ?`, append(args, first)...)
		if err != nil {
			return 0, fmt.Errorf("store the backlog: %w", err)
		}
		n, err := res.RowsAffected()
		if err != nil || int(n) != r.count {
			return 0, errors.Join(err, fmt.Errorf("%d endpoints have a backlog, want %d", n, r.count))
		}
		made += int(n)
		r.expect(ids.Format(ids.Event, event))
	}
	return made, nil
}

// expression is one of SQL with its arguments.
type expression struct {
	text string
	args []any
}

// copied is the list of the columns of a copy, with other values in some of them.
func copied(columns []string, other map[string]expression) (list string, args []any) {
	var out []string
	for _, name := range columns {
		v, ok := other[name]
		if !ok {
			v.text = name
		}
		out, args = append(out, v.text), append(args, v.args...)
	}
	return strings.Join(out, ", "), args
}

// rest waits until no delivery is on its way, and gives how many are after all.
func (s *stack) rest(ctx context.Context) (open int, err error) {
	for deadline := time.Now().Add(webhookPatience); ; {
		err := s.admin.QueryRowContext(ctx, `SELECT COUNT(*) FROM `+schemaOf(notificationProcess)+`.deliveries WHERE state <> 2`).Scan(&open)
		if err != nil || open == 0 || time.Now().After(deadline) {
			return open, err
		}
		time.Sleep(drainPoll)
	}
}

// forget has what was told so far not measured.
func (r *receivers) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took, r.told, r.seen = nil, map[string]time.Time{}, map[string]bool{}
}

// expect has each endpoint wait for an event of the backlog.
func (r *receivers) expect(event string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for number := range r.count {
		r.waits[fmt.Sprintf("%s/%d", event, number)] = true
	}
}

// backlog is how many of the backlog have not arrived.
func (r *receivers) backlog() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waits)
}

// lastOfBacklog is when the last of the backlog arrived so far.
func (r *receivers) lastOfBacklog() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}
