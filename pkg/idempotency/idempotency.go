// Package idempotency owns the promise that a repeated call has one effect and one answer.
//
// The record of a call is written in the same transaction as its effect, under the caller, the verb and the caller's
// request_id. A verb runs first and looks for a record only when it is refused: a new request, the common case, pays one
// INSERT and no extra read. It must not know what the answers mean.
package idempotency

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/mysqlx"
)

// Key names one request: the verb, who called it, and the caller's id of the request.
type Key struct {
	// Verb is the use case, for example "GeneratePayments".
	Verb string
	// Caller is who called, for example "SPM:marketplace".
	Caller string
	// RequestID is the caller's id, 8 to 64 characters.
	RequestID string
}

func (k Key) scope() string { return k.Verb + "|" + k.Caller }

// Fingerprint is a digest of what was asked, without the request id.
type Fingerprint [sha256.Size]byte

// FingerprintOf digests a value that JSON can write. Struct fields keep their order and map keys are sorted, so equal requests
// have equal fingerprints.
func FingerprintOf(content any) (Fingerprint, error) {
	b, err := json.Marshal(content)
	if err != nil {
		return Fingerprint{}, fmt.Errorf("digest the request: %w", err)
	}
	return sha256.Sum256(b), nil
}

// Record is what is kept of a request.
type Record struct {
	// Fingerprint of the first request.
	Fingerprint Fingerprint
	// Answer is the first answer as JSON; nil while it is in flight.
	Answer []byte
}

// Insert adds the record to a transaction. When the key exists, the transaction fails and Do finds out why.
func Insert(tx *mysqlx.Tx, k Key, fp Fingerprint, answer any, now time.Time) error {
	blob, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	tx.Queue(`INSERT INTO idempotency (scope, request_id, fingerprint, answer, create_time) VALUES (?, ?, ?, ?, ?)`,
		k.scope(), k.RequestID, fp[:], blob, now)
	return nil
}

// Reader reads records.
type Reader interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Find reads the record of a request; false when there is none.
func Find(ctx context.Context, db Reader, k Key) (Record, bool, error) {
	var rec Record
	var fp []byte
	err := db.QueryRowContext(ctx, `SELECT fingerprint, answer FROM idempotency WHERE scope = ? AND request_id = ?`,
		k.scope(), k.RequestID).Scan(&fp, &rec.Answer)
	if errors.Is(err, sql.ErrNoRows) {
		return Record{}, false, nil
	}
	if err != nil {
		return Record{}, false, mysqlx.Fault(err, "read the request's record")
	}
	if copy(rec.Fingerprint[:], fp) != sha256.Size {
		return Record{}, false, errs.Internal.New("the request's record is damaged")
	}
	return rec, true, nil
}

// Purge removes records older than the given time, at most limit at once, and tells how many.
func Purge(ctx context.Context, db *mysqlx.DB, before time.Time, limit int) (int64, error) {
	res, err := db.ExecContext(ctx, `DELETE FROM idempotency WHERE create_time < ? ORDER BY create_time LIMIT ?`, before, limit)
	if err != nil {
		return 0, mysqlx.Fault(err, "purge request records")
	}
	return res.RowsAffected()
}

// Do runs a verb once per key. The verb writes its record with Insert, in the transaction of its effect. When the verb is
// refused, by a rule or because the record exists, the first answer is given again if there is one for the same content;
// REQUEST_ID_REUSED answers other content, REQUEST_IN_FLIGHT a first call that is not done. former are the fingerprints that earlier
// versions made of the same content, for records that they wrote.
func Do[T any](ctx context.Context, db Reader, k Key, fp Fingerprint, verb func() (T, error), former ...Fingerprint) (T, error) {
	return DoWith(fp, func() (Record, bool, error) {
		rec, found, err := Find(ctx, db, k)
		if slices.Contains(former, rec.Fingerprint) {
			rec.Fingerprint = fp
		}
		return rec, found, err
	}, verb)
}

// DoWith is Do for a verb whose record is a row of its own, such as the saga that the request began: find reads it, with a nil
// Answer while the saga is under way. The verb's transaction must fail on a unique key when the record exists.
func DoWith[T any](fp Fingerprint, find func() (Record, bool, error), verb func() (T, error)) (T, error) {
	answer, err := verb()
	if err == nil {
		return answer, nil
	}
	var none T
	_, duplicate := mysqlx.Duplicate(err)
	if !duplicate && !refused(err) {
		return none, mysqlx.Fault(err, "the request failed")
	}
	rec, found, findErr := find()
	switch {
	case findErr != nil:
		return none, findErr
	case !found && duplicate:
		return none, errs.ConcurrentChange.Wrap(err, "another request made the same object; read it, then repeat")
	case !found:
		return none, err
	}
	return Replay[T](rec, fp)
}

// refused reports whether a record may explain the error: any answer of a rule, and lost races.
func refused(err error) bool {
	return errs.Business(err) || errs.Is(err, errs.ConcurrentChange) || errs.Is(err, errs.CheckoutCommitting)
}

// Replay gives the recorded answer for a request with this fingerprint.
func Replay[T any](rec Record, fp Fingerprint) (T, error) {
	var answer T
	if rec.Fingerprint != fp {
		return answer, errs.RequestIDReused.New("this request_id came before with other content; use a new one")
	}
	if rec.Answer == nil {
		return answer, errs.RequestInFlight.New("the first call with this request_id is still being worked on; repeat it later")
	}
	if err := json.Unmarshal(rec.Answer, &answer); err != nil {
		return answer, errs.Internal.Wrap(err, "the recorded answer cannot be read")
	}
	return answer, nil
}
