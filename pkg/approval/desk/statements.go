package desk

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/text"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations is the set of the tables of approvals; a service's own set needs it.
func Migrations() (mysqlx.MigrationSet, error) {
	root, err := fs.Sub(files, "migrations")
	if err != nil {
		return mysqlx.MigrationSet{}, fmt.Errorf("find the migrations of approvals: %w", err)
	}
	return mysqlx.MigrationSet{Name: "approval", FS: root}, nil
}

const textMax = 200

const (
	columns = `id, verb, object, requester, requester_subject, reason, summary, currency_code, amount_minor, sum_minor, payer, checkout, business_day,
		arguments, fingerprint, rule_id, needed, state, ended, ended_subject, failure, version, create_time, expire_time, finish_time`
	selectRequest = `SELECT ` + columns + ` FROM approval_requests WHERE id = ?`
	insertRequest = `INSERT INTO approval_requests (id, live_object, verb, object, requester, requester_subject, reason, summary, currency_code,
		amount_minor, sum_minor, payer, checkout, business_day, arguments, fingerprint, effect_id, rule_id, needed, state, ended, ended_subject, failure,
		version, create_time, expire_time, finish_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', '', ?, ?, ?, ?)`
	updateRequest = `UPDATE approval_requests SET state = ?, live_object = IF(? IN (1, 2), live_object, NULL), ended = ?, ended_subject = ?, failure = ?,
		finish_time = ?, version = version + 1 WHERE id = ? AND version = ?`
	setEffect  = `UPDATE approval_requests SET effect_id = ? WHERE id = ?`
	selectLive = `SELECT ` + columns + ` FROM approval_requests WHERE verb = ? AND live_object = ?`
	insertVote = `INSERT INTO approval_votes (approval_id, subject, approver, requester_subject, comment, create_time) VALUES (?, ?, ?, ?, ?, ?)`
	addSum     = `INSERT INTO approval_sums (verb, currency_code, kind, subject, business_day, amount_minor) VALUES (?, ?, ?, ?, ?, ?)
		ON DUPLICATE KEY UPDATE amount_minor = amount_minor + VALUES(amount_minor)`
	takeSum = `UPDATE approval_sums SET amount_minor = amount_minor - ? WHERE verb = ? AND currency_code = ? AND kind = ? AND subject = ?
		AND business_day = ? AND amount_minor >= ?`
	selectSums  = `SELECT COALESCE(MAX(amount_minor), 0) FROM approval_sums WHERE (verb, currency_code, kind, subject, business_day) IN `
	selectVotes = `SELECT approval_id, subject, approver, comment, create_time FROM approval_votes WHERE approval_id IN `
	orderVotes  = ` ORDER BY approval_id, create_time, subject`
	selectRules = `SELECT r.id, r.verb, r.currency_code, r.effective_time, r.cancel_time, t.from_minor, t.approvals FROM approval_rules r
		JOIN approval_rule_tiers t ON t.rule_id = r.id WHERE `
	orderRules = ` ORDER BY r.verb, r.currency_code, r.effective_time, r.id, t.from_minor`
	// inForce selects the rule of a verb, a currency and a time.
	inForce = `r.id = (SELECT f.id FROM approval_rules f WHERE f.verb = ? AND f.currency_code = ? AND f.effective_time <= ? AND f.cancel_time IS NULL
		ORDER BY f.effective_time DESC, f.id DESC LIMIT 1)`
	insertRule = `INSERT INTO approval_rules (id, verb, currency_code, effective_time) VALUES (?, ?, ?, ?)`
	insertTier = `INSERT INTO approval_rule_tiers (rule_id, from_minor, approvals) VALUES `
	cancelRule = `UPDATE approval_rules SET cancel_time = ? WHERE id = ? AND cancel_time IS NULL AND effective_time > ?`
)

// queryFunc reads, inside a transaction or outside.
type queryFunc func(ctx context.Context, query string, args ...any) (*sql.Rows, error)

func nullTime(t time.Time) sql.NullTime { return sql.NullTime{Time: t, Valid: !t.IsZero()} }

// changed is how a compare-and-set loses.
func changed() error {
	return errs.ConcurrentChange.New("somebody else decided at the same time; read the request again, then repeat")
}

// scan is one row of a result.
type scan func(dest ...any) error

// each reads rows one by one.
func each(ctx context.Context, query queryFunc, read func(scan) error, text string, args ...any) (err error) {
	rows, err := query(ctx, text, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := read(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// readRequests reads requests with their votes.
func readRequests(ctx context.Context, query queryFunc, text string, args ...any) ([]approval.Request, error) {
	var list []approval.Request
	if err := each(ctx, query, func(row scan) error {
		r, err := scanRequest(row)
		list = append(list, r)
		return err
	}, text, args...); err != nil || len(list) == 0 {
		return nil, err
	}
	at, keys := map[ids.ID]*approval.Request{}, make([]any, len(list))
	for i := range list {
		at[list[i].ID], keys[i] = &list[i], list[i].ID
	}
	return list, each(ctx, query, func(row scan) error {
		var id ids.ID
		var v approval.Vote
		if err := row(&id, &v.By.Subject, &v.By.Name, &v.Comment, &v.Time); err != nil {
			return err
		}
		at[id].Votes = append(at[id].Votes, v)
		return nil
	}, selectVotes+mysqlx.In(len(keys))+orderVotes, keys...)
}

func scanRequest(row scan) (r approval.Request, err error) {
	var code, checkout string
	var amount, sum int64
	var fingerprint, rule []byte
	var day civil.Date
	var expire, finish sql.NullTime
	if err := row(&r.ID, &r.Verb, &r.Object, &r.Requester.Name, &r.Requester.Subject, &r.Reason, &r.Summary, &code, &amount, &sum, &r.Payer, &checkout,
		&day, &r.Arguments, &fingerprint, &rule, &r.Needed, &r.State, &r.Ended.Name, &r.Ended.Subject, &r.Failure, &r.Version, &r.CreateTime, &expire,
		&finish); err != nil {
		return r, err
	}
	copy(r.Fingerprint[:], fingerprint)
	copy(r.Rule[:], rule)
	r.ExpireTime, r.FinishTime = expire.Time, finish.Time
	if code == "" {
		return r, nil
	}
	c, err := money.CurrencyOf(code)
	if err != nil {
		return r, errs.Internal.Wrap(err, "request %s has a currency that is not known", ids.Format(ids.Approval, r.ID))
	}
	r.Amount, r.Sum = money.New(amount, c), money.New(sum, c)
	r.Counted = approval.SumsOf(r.Verb, r.Amount, r.Requester.Subject, r.Payer, checkout, day)
	return r, nil
}

// insert queues a request. live is what only one waiting request may be about; empty where more may wait.
func insert(tx *mysqlx.Tx, a approval.Ask, r approval.Request) {
	live := sql.NullString{String: r.Object, Valid: a.Single && r.FinishTime.IsZero()}
	tx.Queue(insertRequest, r.ID, live, r.Verb, r.Object, r.Requester.Name, string(r.Requester.Subject), text.Cut(r.Reason, textMax), text.Cut(r.Summary, textMax), codeOf(r.Amount),
		r.Amount.Minor(), r.Sum.Minor(), r.Payer, a.Checkout, civil.Of(a.Now, civil.Jakarta()), r.Arguments, r.Fingerprint[:], effectOf(a, r), ids.Null(r.Rule),
		r.Needed, r.State, r.Version, r.CreateTime, nullTime(r.ExpireTime), nullTime(r.FinishTime))
}

// effectOf is the row that an act writes, as an argument; nil before it is done.
func effectOf(a approval.Ask, r approval.Request) any {
	if r.FinishTime.IsZero() {
		return nil
	}
	return ids.Null(a.Effect)
}

func codeOf(a money.Amount) string {
	if a == (money.Amount{}) {
		return ""
	}
	return a.Currency().Code()
}

// move queues what changed of a request, its new votes included.
func move(tx *mysqlx.Tx, from, to approval.Request) {
	tx.QueueExpect(1, changed(), updateRequest, to.State, to.State, to.Ended.Name, string(to.Ended.Subject), text.Cut(to.Failure, textMax), nullTime(to.FinishTime),
		to.ID, from.Version)
	for _, v := range to.Votes[len(from.Votes):] {
		tx.Queue(insertVote, to.ID, string(v.By.Subject), v.By.Name, string(to.Requester.Subject), text.Cut(v.Comment, textMax), v.Time)
	}
}

// Count adds an amount to sums and returns the largest of them. Their rows stay locked until the transaction ends: acts that share a sum
// come one after the other, and none of them is judged without the others.
func Count(ctx context.Context, tx *mysqlx.Tx, keys []approval.SumKey, amount money.Amount) (money.Amount, error) {
	if len(keys) == 0 {
		return amount, nil
	}
	var args []any
	for _, k := range keys {
		tx.Queue(addSum, k.Verb, k.Currency, k.Kind, k.Subject, k.Day, amount.Minor())
		args = append(args, k.Verb, k.Currency, k.Kind, k.Subject, k.Day)
	}
	var most int64
	err := tx.QueryRow(ctx, selectSums+`(`+mysqlx.Tuples(len(keys), 5)+`)`, args...).Scan(&most)
	return money.New(most, amount.Currency()), err
}

// Sum returns the largest of sums as they are, without locking them.
func Sum(ctx context.Context, query func(ctx context.Context, query string, args ...any) (*sql.Rows, error), keys []approval.SumKey,
	c money.Currency) (money.Amount, error) {
	var most int64
	if len(keys) == 0 {
		return money.Zero(c), nil
	}
	var args []any
	for _, k := range keys {
		args = append(args, k.Verb, k.Currency, k.Kind, k.Subject, k.Day)
	}
	err := each(ctx, query, func(row scan) error { return row(&most) }, selectSums+`(`+mysqlx.Tuples(len(keys), 5)+`)`, args...)
	return money.New(most, c), err
}

// Uncount takes an amount out of sums, for an act that ended without an effect.
func Uncount(tx *mysqlx.Tx, keys []approval.SumKey, amount money.Amount) {
	for _, k := range keys {
		tx.QueueExpect(1, errs.Internal.New("a sum of %s holds less than what counts in it", k.Verb), takeSum, amount.Minor(), k.Verb, k.Currency, k.Kind,
			k.Subject, k.Day, amount.Minor())
	}
}

// readRules reads rules with their tiers.
func readRules(ctx context.Context, query queryFunc, where string, args ...any) (list []approval.Rule, err error) {
	err = each(ctx, query, func(row scan) error {
		var r approval.Rule
		var code string
		var from int64
		var t approval.Tier
		var cancel sql.NullTime
		if err := row(&r.ID, &r.Verb, &code, &r.EffectiveTime, &cancel, &from, &t.Approvals); err != nil {
			return err
		}
		if r.Currency, err = money.CurrencyOf(code); err != nil {
			return errs.Internal.Wrap(err, "a rule of approval has a currency that is not known")
		}
		r.CancelTime, t.From = cancel.Time, money.New(from, r.Currency)
		if n := len(list); n > 0 && list[n-1].ID == r.ID {
			list[n-1].Tiers = append(list[n-1].Tiers, t)
			return nil
		}
		r.Tiers = []approval.Tier{t}
		list = append(list, r)
		return nil
	}, selectRules+where+orderRules, args...)
	return list, err
}

// InForce returns the rule of a verb in a currency at a time; the zero Rule where none was set: then an act needs as many people as can be
// asked for.
func InForce(ctx context.Context, query func(ctx context.Context, query string, args ...any) (*sql.Rows, error), verb string, c money.Currency,
	at time.Time) (approval.Rule, error) {
	list, err := readRules(ctx, query, inForce, verb, c.Code(), at)
	if err != nil || len(list) == 0 {
		return approval.Rule{}, err
	}
	return list[0], nil
}

// putRule queues a rule.
func putRule(tx *mysqlx.Tx, r approval.Rule) {
	tx.Queue(insertRule, r.ID, r.Verb, r.Currency.Code(), r.EffectiveTime)
	for _, t := range r.Tiers {
		tx.QueueRow(insertTier, r.ID, t.From.Minor(), t.Approvals)
	}
}
