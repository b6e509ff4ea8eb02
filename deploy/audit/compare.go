package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/creditpay/creditpay/pkg/mysqlx"
)

// fact is what one service says of an order; the zero fact is nothing.
type fact struct {
	state string
	minor int64
}

func (f fact) String() string {
	if f.state == "" {
		return "nothing"
	}
	return fmt.Sprintf("%s %d", f.state, f.minor)
}

// agreement is one combination of states that may stand.
type agreement struct {
	order, payment, loan string
	// paid says that the three amounts must be equal.
	paid bool
}

// agreements are all combinations that may stand once events have arrived. An order that is not named here is not paid.
func agreements() []agreement {
	return []agreement{
		// Not paid. A loan may be left void by a commit that failed.
		{"", "", "VOID", false},
		{"COMMITTING", "", "", false},
		{"COMMITTING", "", "DRAFT", false},
		{"COMMITTING", "", "VOID", false},
		// Paid, goods on their way: the limit is held.
		{"PAID", "SUCCEEDED", "DRAFT", true},
		// Goods received: the loan runs or has ended.
		{"CONFIRMED", "SUCCEEDED", "ACTIVE", true},
		{"CONFIRMED", "SUCCEEDED", "OVERDUE", true},
		{"CONFIRMED", "SUCCEEDED", "SETTLED", true},
		{"CONFIRMED", "SUCCEEDED", "WRITTEN_OFF", true},
		{"CLOSED", "SUCCEEDED", "SETTLED", true},
		// Taken back.
		{"CANCELLED", "REVERSED", "VOID", true},
	}
}

// disagreement says how the services contradict each other; empty when they agree.
func disagreement(order, payment, loan fact) string {
	for _, a := range agreements() {
		if a.order != order.state || a.payment != payment.state || a.loan != loan.state {
			continue
		}
		if a.paid && (order.minor != payment.minor || payment.minor != loan.minor) {
			break
		}
		return ""
	}
	return fmt.Sprintf("order says %s, payment says %s, bill says %s", order, payment, loan)
}

// stream is a sorted list of (order id, fact), read row by row.
type stream struct {
	rows *sql.Rows
	ok   bool
	key  string
	fact fact
}

func openStream(ctx context.Context, db *mysqlx.DB, query string) (*stream, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s := &stream{rows: rows}
	return s, s.next()
}

func (s *stream) next() error {
	before := s.key
	if s.ok = s.rows.Next(); !s.ok {
		return s.rows.Err()
	}
	if err := s.rows.Scan(&s.key, &s.fact.state, &s.fact.minor); err != nil {
		return err
	}
	if s.key <= before && before != "" {
		return errors.New("a service's audit stream is not sorted by order id, or names an order twice")
	}
	return nil
}

func (s *stream) close() error {
	if s == nil {
		return nil
	}
	return s.rows.Close()
}
