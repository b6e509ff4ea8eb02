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
	// refunded says that refunds must have taken all of it.
	refunded bool
}

// agreements are all combinations that may stand once events have arrived. An order that is not named here is not paid.
func agreements() []agreement {
	return []agreement{
		// Not paid. A loan may be left void by a commit that failed.
		{"", "", "VOID", false, false},
		{"COMMITTING", "", "", false, false},
		{"COMMITTING", "", "DRAFT", false, false},
		{"COMMITTING", "", "VOID", false, false},
		// Paid, goods on their way: the limit is held.
		{"PAID", "SUCCEEDED", "DRAFT", true, false},
		// Goods received: the loan runs or has ended.
		{"CONFIRMED", "SUCCEEDED", "ACTIVE", true, false},
		{"CONFIRMED", "SUCCEEDED", "OVERDUE", true, false},
		{"CONFIRMED", "SUCCEEDED", "SETTLED", true, false},
		{"CONFIRMED", "SUCCEEDED", "WRITTEN_OFF", true, false},
		{"CLOSED", "SUCCEEDED", "SETTLED", true, false},
		// All of the price was refunded: interest and fees that were earned may still be owed.
		{"CLOSED", "SUCCEEDED", "ACTIVE", true, true},
		{"CLOSED", "SUCCEEDED", "OVERDUE", true, true},
		{"CLOSED", "SUCCEEDED", "WRITTEN_OFF", true, true},
		// Refunded before receipt: the draft was taken back; the order is closed once the payer has the down payment, too.
		{"PAID", "SUCCEEDED", "VOID", true, true},
		{"CONFIRMED", "SUCCEEDED", "VOID", true, true}, // The down payment took so long that the order was confirmed meanwhile.
		{"CLOSED", "SUCCEEDED", "VOID", true, true},
		// Taken back.
		{"CANCELLED", "REVERSED", "VOID", true, false},
	}
}

// disagreement says how the services contradict each other; empty when they agree.
func disagreement(order, payment, loan, refund fact) string {
	for _, a := range agreements() {
		if a.order != order.state || a.payment != payment.state || a.loan != loan.state {
			continue
		}
		if a.paid && (order.minor != payment.minor || payment.minor != loan.minor) {
			break
		}
		if refund.minor > order.minor || (a.refunded && refund.minor != order.minor) {
			break
		}
		return ""
	}
	return fmt.Sprintf("order says %s, payment says %s, bill says %s, refund says %s", order, payment, loan, refund)
}

// stream is a sorted list of (id, fact), read row by row.
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
		return errors.New("a service's audit stream is not sorted by id, or names one twice")
	}
	return nil
}

func (s *stream) close() error {
	if s == nil {
		return nil
	}
	return s.rows.Close()
}
