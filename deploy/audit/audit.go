// Package audit owns the proof of the books across services: each service's own checks on its own schema, and the comparison of
// what the services say of the same order.
//
// Money that two services have in their books is compared from both sides; pairs lists what is compared with what. It only reads. Past one database server it works the same: schemas are read one by one and compared as sorted streams.
package audit

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/mysqlx"

	"github.com/creditpay/creditpay/services/bill"
	"github.com/creditpay/creditpay/services/notification"
	"github.com/creditpay/creditpay/services/order"
	"github.com/creditpay/creditpay/services/payment"
	"github.com/creditpay/creditpay/services/refund"
)

// Config says what is audited.
type Config struct {
	// Order, Payment, Bill, Refund and Notification are the DSNs of the services' schemas; an account that may only read is enough.
	// Notification is empty where nobody is notified.
	Order, Payment, Bill, Refund, Notification string
	// Now gives the business time; the system's time when nil.
	Now func() time.Time
	// Settle is how long findings may take to vanish: a running system has events on their way. 10 s by default; negative for none.
	Settle time.Duration
}

// Finding is something that is wrong.
type Finding = audit.Finding

// Report is what an audit found.
type Report struct {
	// Findings are sorted; none means that the books are proven.
	Findings []Finding
	// Checks that were made, and Orders that were compared across services.
	Checks, Orders int
}

// Run audits. Findings that vanish while the system settles are not reported.
func Run(ctx context.Context, c Config) (Report, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Settle == 0 {
		c.Settle = 10 * time.Second
	}
	a, err := open(c)
	if err != nil {
		return Report{}, err
	}
	defer a.close()
	deadline := time.Now().Add(c.Settle)
	for {
		r, err := a.once(ctx)
		if err != nil || len(r.Findings) == 0 || time.Now().After(deadline) {
			return r, err
		}
		t := time.NewTimer(250 * time.Millisecond)
		select {
		case <-ctx.Done():
			t.Stop()
			return r, ctx.Err()
		case <-t.C:
		}
	}
}

type auditor struct {
	config  Config
	schemas []schema
}

type schema struct {
	name   string
	db     *mysqlx.DB
	checks []audit.Check
	// stream is what the service says of orders; empty when it says nothing.
	stream string
	// books are what it says of other money that another service has in its books, too.
	books map[string]string
}

func open(c Config) (*auditor, error) {
	a := &auditor{config: c}
	for _, s := range []struct {
		name, dsn string
		checks    []audit.Check
		stream    string
		books     map[string]string
	}{
		{order.Name, c.Order, order.Audit(), order.AuditStream(), order.AuditBooks()},
		{payment.Name, c.Payment, payment.Audit(), payment.AuditStream(), payment.AuditBooks()},
		{bill.Name, c.Bill, bill.Audit(), bill.AuditStream(), bill.AuditBooks()},
		{refund.Name, c.Refund, refund.Audit(), refund.AuditStream(), refund.AuditBooks()},
		{notification.Name, c.Notification, notification.Audit(), "", nil},
	} {
		if s.dsn == "" && s.name == notification.Name {
			continue
		}
		db, err := mysqlx.Open(s.dsn, mysqlx.Options{MaxConns: 2})
		if err != nil {
			a.close()
			return nil, fmt.Errorf("audit %s: %w", s.name, err)
		}
		a.schemas = append(a.schemas, schema{name: s.name, db: db, checks: append(audit.Mechanism(), s.checks...), stream: s.stream,
			books: s.books})
	}
	return a, nil
}

func (a *auditor) close() {
	for _, s := range a.schemas {
		_ = s.db.Close()
	}
}

func (a *auditor) once(ctx context.Context) (Report, error) {
	var r Report
	for _, s := range a.schemas {
		found, err := audit.Run(ctx, s.db, s.name, a.config.Now().UTC(), s.checks)
		if err != nil {
			return r, err
		}
		r.Findings = append(r.Findings, found...)
		r.Checks += len(s.checks)
	}
	found, orders, err := a.compareOrders(ctx)
	if err != nil {
		return r, err
	}
	r.Findings, r.Orders = append(r.Findings, found...), orders
	r.Checks++
	for _, p := range pairs() {
		found, err := a.comparePair(ctx, p)
		if err != nil {
			return r, err
		}
		r.Findings = append(r.Findings, found...)
		r.Checks++
	}
	users, err := a.compareUsers(ctx)
	if err != nil {
		return r, err
	}
	r.Findings = append(r.Findings, users...)
	r.Checks++
	sort.Slice(r.Findings, func(i, j int) bool {
		x, y := r.Findings[i], r.Findings[j]
		return x.Service+x.Check+x.ID < y.Service+y.Check+y.ID
	})
	return r, nil
}

// compareOrders compares what the services say of each order, and counts the orders.
func (a *auditor) compareOrders(ctx context.Context) (found []Finding, orders int, err error) {
	var told []source
	for _, s := range a.schemas {
		if s.stream != "" {
			told = append(told, source{s, s.stream})
		}
	}
	err = walk(ctx, told, func(id string, seen []fact) {
		orders++
		if text := disagreement(seen[0], seen[1], seen[2], seen[3]); text != "" && len(found) < audit.MaxFindings {
			found = append(found, Finding{Service: "suite", Check: "services_agree", ID: audit.TypedID("ord:" + id), Text: text})
		}
	})
	return found, orders, err
}

// source is a query of a schema that gives sorted facts.
type source struct {
	schema
	query string
}

// walk goes through sorted streams side by side and visits each key with what every stream says of it.
func walk(ctx context.Context, sources []source, visit func(key string, seen []fact)) (err error) {
	streams := make([]*stream, len(sources))
	defer func() {
		for _, s := range streams {
			err = errors.Join(err, s.close())
		}
	}()
	for i, s := range sources {
		if streams[i], err = openStream(ctx, s.db, s.query); err != nil {
			return fmt.Errorf("compare %s: %w", s.name, err)
		}
	}
	for {
		key := smallest(streams)
		if key == "" {
			return nil
		}
		seen := make([]fact, len(streams))
		for i, s := range streams {
			if s.ok && s.key == key {
				seen[i] = s.fact
				if err := s.next(); err != nil {
					return err
				}
			}
		}
		visit(key, seen)
	}
}

func smallest(streams []*stream) string {
	id := ""
	for _, s := range streams {
		if s.ok && (id == "" || s.key < id) {
			id = s.key
		}
	}
	return id
}
