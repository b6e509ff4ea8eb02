package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/spine"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

const (
	userCodeColumns = `id, user_id, purpose, code_mac, code_sealed, state, wrong_tries, resends, use_id, version, create_time, send_time,
	expire_time, verify_time`
	selectUserCode     = `SELECT ` + userCodeColumns + ` FROM user_codes WHERE id = ?`
	selectLiveUserCode = `SELECT ` + userCodeColumns + ` FROM user_codes WHERE user_id = ? AND purpose = ? AND live = 1`
	selectRecentCodes  = `SELECT ` + userCodeColumns + ` FROM user_codes WHERE user_id = ? AND purpose = ? AND create_time > ?
	ORDER BY create_time DESC, id DESC LIMIT ?`
)

// keepUserCodes is how long codes are kept after they were sent, and keepCounts how long their counts are.
const (
	keepUserCodes = 90 * 24 * time.Hour
	keepCounts    = 48 * time.Hour
)

// CodePurges are what housekeeping removes of one-time codes.
func CodePurges() []spine.Purge {
	return []spine.Purge{
		{Query: `DELETE FROM user_codes WHERE create_time < ? AND live IS NULL ORDER BY create_time LIMIT ?`, Keep: keepUserCodes},
		{Query: `DELETE FROM code_counts WHERE hour < ? ORDER BY hour LIMIT ?`, Keep: keepCounts},
	}
}

// UserCode finds the challenge of a user's code.
func (s *Store) UserCode(ctx context.Context, id ids.ID) (app.Challenge, bool, error) {
	return foundUserCode(s.kit.DB.QueryRowContext(ctx, selectUserCode, id))
}

// LiveUserCode finds the challenge that a user may answer for a purpose.
func (s *Store) LiveUserCode(ctx context.Context, userID string, p domain.CodePurpose) (app.Challenge, bool, error) {
	return foundUserCode(s.kit.DB.QueryRowContext(ctx, selectLiveUserCode, userID, p))
}

// RecentUserCodes returns a user's challenges for a purpose that were made after a time, newest first.
func (s *Store) RecentUserCodes(ctx context.Context, userID string, p domain.CodePurpose, after time.Time) ([]app.Challenge, error) {
	rows, err := s.kit.DB.QueryContext(ctx, selectRecentCodes, userID, p, after, maxRecentChallenges)
	out, err := scanAll(rows, err, scanUserCode)
	return out, mysqlx.Fault(err, "read the one-time codes of a user")
}

func foundUserCode(row mysqlx.Row) (app.Challenge, bool, error) {
	c, err := scanUserCode(row)
	if mysqlx.NoRows(err) {
		return app.Challenge{}, false, nil
	}
	return c, err == nil, mysqlx.Fault(err, "read a one-time code")
}

func scanUserCode(row mysqlx.Row) (app.Challenge, error) {
	var c app.Challenge
	var mac []byte
	var verified sql.NullTime
	err := row.Scan(&c.ID, &c.UserID, &c.Purpose, &mac, &c.CodeSealed, &c.State, &c.WrongTries, &c.Resends, &c.UseID, &c.Version, &c.CreateTime,
		&c.SendTime, &c.ExpireTime, &verified)
	if err != nil {
		return c, err
	}
	if copy(c.Hash[:], mac) != len(c.Hash) {
		return c, errs.Internal.New("a one-time code is damaged")
	}
	c.VerifyTime = verified.Time
	return c, nil
}

const insertUserCode = `INSERT INTO user_codes (id, user_id, purpose, code_mac, code_sealed, state, live, wrong_tries, resends, use_id, version,
	create_time, send_time, expire_time) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, '', ?, ?, ?, ?)`

// InsertUserCode implements app.UserCodeTx.
func (t *Tx) InsertUserCode(c app.Challenge) {
	t.Tx.Queue(insertUserCode, c.ID, c.UserID, c.Purpose, c.Hash[:], c.CodeSealed, c.State, c.WrongTries, c.Resends, c.Version, c.CreateTime,
		c.SendTime, c.ExpireTime)
}

// What is live keeps its code: it may wait to be sent.
const updateUserCode = `UPDATE user_codes SET code_mac = ?, state = ?, live = ?, code_sealed = IF(? IS NULL, NULL, code_sealed), wrong_tries = ?,
	resends = ?, use_id = ?, send_time = ?, expire_time = ?, verify_time = ?, version = version + 1
	WHERE id = ? AND version = ? AND live = 1`

// UpdateUserCode implements app.UserCodeTx.
func (t *Tx) UpdateUserCode(c app.Challenge) {
	var live any
	if c.State == domain.ChallengeSent {
		live = 1
	}
	t.Tx.QueueExpect(1, changed(), updateUserCode, c.Hash[:], c.State, live, live, c.WrongTries, c.Resends, c.UseID,
		c.SendTime, c.ExpireTime, nullTime(c.VerifyTime), c.ID, c.Version)
}

// SetUserCode implements app.UserCodeTx.
func (t *Tx) SetUserCode(id ids.ID, sealed []byte) {
	t.Tx.QueueExpect(1, changed(), `UPDATE user_codes SET code_sealed = ? WHERE id = ? AND live = 1`, sealed, id)
}

// DropUserCode implements app.UserCodeTx.
func (t *Tx) DropUserCode(id ids.ID, resends int) {
	t.Tx.Queue(`UPDATE user_codes SET code_sealed = NULL WHERE id = ? AND resends = ?`, id, resends)
}

// CountCode implements app.UserCodeTx.
func (t *Tx) CountCode(subject string, hour time.Time, most int, refusal error) {
	t.Tx.Queue(`INSERT INTO code_counts (subject, hour, sent) VALUES (?, ?, 0) ON DUPLICATE KEY UPDATE sent = sent`, subject, hour)
	t.Tx.QueueExpect(1, refusal, `UPDATE code_counts SET sent = sent + 1 WHERE subject = ? AND hour = ? AND sent < ?`, subject, hour, most)
}
