package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

const (
	// maxRecentChallenges bounds the challenges of a user that are looked at.
	maxRecentChallenges = 100
	// maxSignatures bounds what a user signed, as far as it is looked at: the newest.
	maxSignatures = 200
)

// nullID is a BINARY(16) that may be NULL: the zero ID.
func nullID(id ids.ID) any {
	if id.IsZero() {
		return nil
	}
	return id
}

// NoteEsignRule writes down that from a time on purchases need signatures, or need none, unless that is what was noted last.
func (s *Store) NoteEsignRule(ctx context.Context, required bool, since time.Time) error {
	var last sql.NullBool
	err := s.kit.DB.QueryRowContext(ctx, `SELECT required FROM esign_rule ORDER BY since DESC LIMIT 1`).Scan(&last)
	if err != nil && !mysqlx.NoRows(err) {
		return mysqlx.Fault(err, "read the rule of signing")
	}
	if last.Valid && last.Bool == required || !last.Valid && !required {
		return nil
	}
	_, err = s.kit.DB.ExecContext(ctx, `INSERT INTO esign_rule (since, required) VALUES (?, ?) ON DUPLICATE KEY UPDATE required = VALUES(required)`,
		since.UTC().Truncate(time.Microsecond), required)
	return mysqlx.Fault(err, "note the rule of signing")
}

const selectProfile = `SELECT user_id, name_sealed, target_sealed, target_kind, certificate, version FROM esign_profiles WHERE user_id = ?`

// Profile finds who signs for a user.
func (s *Store) Profile(ctx context.Context, userID string) (app.SigningProfile, bool, error) {
	var p app.SigningProfile
	err := s.kit.DB.QueryRowContext(ctx, selectProfile, userID).Scan(&p.UserID, &p.NameSealed, &p.TargetSealed, &p.Kind, &p.Certificate, &p.Version)
	if mysqlx.NoRows(err) {
		return p, false, nil
	}
	return p, err == nil, mysqlx.Fault(err, "read a signing profile")
}

const (
	insertProfile = `INSERT INTO esign_profiles (user_id, name_sealed, target_kind, target_sealed, certificate, version, create_time, update_time)
		VALUES (?, ?, ?, ?, ?, 1, ?, ?)`
	updateProfile = `UPDATE esign_profiles SET name_sealed = ?, target_kind = ?, target_sealed = ?, certificate = ?, version = version + 1,
		update_time = ? WHERE user_id = ? AND version = ?`
)

// PutProfile implements app.EsignTx.
func (t *Tx) PutProfile(p app.SigningProfile, at time.Time) {
	if p.Version > 0 {
		t.Tx.QueueExpect(1, changed(), updateProfile, p.NameSealed, p.Kind, p.TargetSealed, p.Certificate, at, p.UserID, p.Version)
		return
	}
	t.Tx.Queue(insertProfile, p.UserID, p.NameSealed, p.Kind, p.TargetSealed, p.Certificate, at, at)
}

const (
	challengeColumns = `id, user_id, checkout_id, product_code, contract_version, code_mac, code_sealed, state, wrong_tries, resends,
	sign_request_id, sign_fingerprint, version, create_time, send_time, expire_time, verify_time`
	selectChallenge = `SELECT ` + challengeColumns + ` FROM esign_challenges WHERE id = ?`
	selectLive      = `SELECT ` + challengeColumns + ` FROM esign_challenges WHERE user_id = ? AND live = 1`
	selectRecent    = `SELECT ` + challengeColumns + ` FROM esign_challenges WHERE user_id = ? AND create_time > ? ORDER BY create_time DESC, id DESC LIMIT ?`
)

// Challenge finds a challenge.
func (s *Store) Challenge(ctx context.Context, id ids.ID) (app.Challenge, bool, error) {
	return foundChallenge(s.kit.DB.QueryRowContext(ctx, selectChallenge, id))
}

// LiveChallenge finds the challenge that a user may answer.
func (s *Store) LiveChallenge(ctx context.Context, userID string) (app.Challenge, bool, error) {
	return foundChallenge(s.kit.DB.QueryRowContext(ctx, selectLive, userID))
}

func foundChallenge(row mysqlx.Row) (app.Challenge, bool, error) {
	c, err := scanChallenge(row)
	if mysqlx.NoRows(err) {
		return app.Challenge{}, false, nil
	}
	return c, err == nil, mysqlx.Fault(err, "read a challenge")
}

// RecentChallenges gives a user's challenges that were made after a time, newest first.
func (s *Store) RecentChallenges(ctx context.Context, userID string, after time.Time) ([]app.Challenge, error) {
	rows, err := s.kit.DB.QueryContext(ctx, selectRecent, userID, after, maxRecentChallenges)
	out, err := scanAll(rows, err, scanChallenge)
	return out, mysqlx.Fault(err, "read the challenges of a user")
}

// scanAll reads all rows of a query.
func scanAll[T any](rows *sql.Rows, err error, scan func(mysqlx.Row) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	var out []T
	for rows.Next() {
		x, err := scan(rows)
		if err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		out = append(out, x)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

func scanChallenge(row mysqlx.Row) (app.Challenge, error) {
	var c app.Challenge
	var mac, fingerprint []byte
	var verified sql.NullTime
	err := row.Scan(&c.ID, &c.UserID, &c.Subject, &c.ProductCode, &c.ContractVersion, &mac, &c.CodeSealed, &c.State, &c.WrongTries, &c.Resends,
		&c.SignRequest, &fingerprint, &c.Version, &c.CreateTime, &c.SendTime, &c.ExpireTime, &verified)
	if err != nil {
		return c, err
	}
	if copy(c.Hash[:], mac) != len(c.Hash) {
		return c, errs.Internal.New("a challenge is damaged")
	}
	copy(c.SignFingerprint[:], fingerprint)
	c.VerifyTime = verified.Time
	return c, nil
}

const insertChallenge = `INSERT INTO esign_challenges (id, user_id, checkout_id, product_code, contract_version, code_mac, code_sealed, state, live,
	wrong_tries, resends, sign_request_id, version, create_time, send_time, expire_time)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, '', ?, ?, ?, ?)`

// InsertChallenge implements app.EsignTx.
func (t *Tx) InsertChallenge(c app.Challenge) {
	t.Tx.Queue(insertChallenge, c.ID, c.UserID, c.Subject, c.ProductCode, c.ContractVersion, c.Hash[:], c.CodeSealed, c.State,
		c.WrongTries, c.Resends, c.Version, c.CreateTime, c.SendTime, c.ExpireTime)
}

// What is live keeps its code: it may wait to be sent.
const updateChallenge = `UPDATE esign_challenges SET code_mac = ?, state = ?, live = ?, code_sealed = IF(? IS NULL, NULL, code_sealed), wrong_tries = ?,
	resends = ?, sign_request_id = ?, sign_fingerprint = ?, send_time = ?, expire_time = ?, verify_time = ?, version = version + 1
	WHERE id = ? AND version = ? AND live = 1`

// UpdateChallenge implements app.EsignTx.
func (t *Tx) UpdateChallenge(c app.Challenge) {
	var live, fingerprint any
	if c.State == domain.ChallengeSent {
		live = 1
	}
	if c.SignRequest != "" {
		fingerprint = c.SignFingerprint[:]
	}
	t.Tx.QueueExpect(1, changed(), updateChallenge, c.Hash[:], c.State, live, live, c.WrongTries, c.Resends, c.SignRequest, fingerprint,
		c.SendTime, c.ExpireTime, nullTime(c.VerifyTime), c.ID, c.Version)
}

// SetCode implements app.EsignTx.
func (t *Tx) SetCode(challengeID ids.ID, sealed []byte) {
	t.Tx.QueueExpect(1, changed(), `UPDATE esign_challenges SET code_sealed = ? WHERE id = ? AND live = 1`, sealed, challengeID)
}

// DropCode implements app.EsignTx.
func (t *Tx) DropCode(challengeID ids.ID, resends int) {
	t.Tx.Queue(`UPDATE esign_challenges SET code_sealed = NULL WHERE id = ? AND resends = ?`, challengeID, resends)
}

const selectSignatures = `SELECT contract_id, product_code, contract_version FROM esign_signatures WHERE user_id = ? ORDER BY sign_time, contract_id LIMIT ?`

// Signatures gives what a user signed, oldest first.
func (s *Store) Signatures(ctx context.Context, userID string) ([]app.Signature, error) {
	rows, err := s.kit.DB.QueryContext(ctx, selectSignatures, userID, maxSignatures)
	out, err := scanAll(rows, err, func(row mysqlx.Row) (g app.Signature, err error) {
		return g, row.Scan(&g.ContractID, &g.ProductCode, &g.ContractVersion)
	})
	return out, mysqlx.Fault(err, "read the signatures of a user")
}

const (
	insertContract = `INSERT INTO esign_contracts (id, number, user_id, checkout_id, challenge_id, product_code, product_version, contract_version,
	text_version, content_sha256, pdf_sha256, pdf, sign_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	insertSignature = `INSERT INTO esign_signatures (contract_id, user_id, product_code, contract_version, sign_time) VALUES (?, ?, ?, ?, ?)`
)

// InsertContract implements app.EsignTx.
func (t *Tx) InsertContract(c app.SignedContract, pdf []byte) {
	t.Tx.Queue(insertContract, c.ID, c.Number, c.UserID, c.CheckoutID, c.ChallengeID, c.ProductCode, c.ProductVersion, c.ContractVersion,
		c.TextVersion, c.ContentSHA256[:], c.PDFSHA256[:], pdf, c.SignTime)
	t.Tx.Queue(insertSignature, c.ID, c.UserID, c.ProductCode, c.ContractVersion, c.SignTime)
}

const (
	contractColumns = `c.id, c.number, c.user_id, c.checkout_id, c.challenge_id, c.product_code, c.product_version, c.contract_version,
	c.text_version, c.content_sha256, c.pdf_sha256, c.sign_time`
	selectContractOfChallenge = `SELECT ` + contractColumns + ` FROM esign_contracts c WHERE c.challenge_id = ?`
	// An order may have void loans besides the one that counts, all on the same contract or on others.
	selectContractsOfOrders = `SELECT DISTINCT l.order_id, ` + contractColumns + ` FROM loans l JOIN reservations r ON r.commit_id = l.commit_id
	JOIN esign_contracts c ON c.id = r.contract_id WHERE l.order_id IN `
	selectContractFile = `SELECT pdf FROM esign_contracts WHERE number = ?`
)

// contractScan is where a contract's columns go.
func contractScan(c *app.SignedContract, content, pdf *[]byte) []any {
	return []any{&c.ID, &c.Number, &c.UserID, &c.CheckoutID, &c.ChallengeID, &c.ProductCode, &c.ProductVersion, &c.ContractVersion,
		&c.TextVersion, content, pdf, &c.SignTime}
}

// ContractOfChallenge finds the contract that a challenge signed.
func (s *Store) ContractOfChallenge(ctx context.Context, challengeID ids.ID) (app.SignedContract, bool, error) {
	var c app.SignedContract
	var content, pdf []byte
	err := s.kit.DB.QueryRowContext(ctx, selectContractOfChallenge, challengeID).Scan(contractScan(&c, &content, &pdf)...)
	if mysqlx.NoRows(err) {
		return c, false, nil
	}
	copy(c.ContentSHA256[:], content)
	copy(c.PDFSHA256[:], pdf)
	return c, err == nil, mysqlx.Fault(err, "read a contract")
}

// ContractsOfOrders gives the contracts that the loans of the orders rest on, by order and time; only a user's when one is named.
func (s *Store) ContractsOfOrders(ctx context.Context, orderIDs []ids.ID, userID string) ([]app.OrderContract, error) {
	if len(orderIDs) == 0 {
		return nil, nil
	}
	query, args := selectContractsOfOrders+mysqlx.In(len(orderIDs)), arguments(orderIDs)
	if userID != "" {
		query, args = query+` AND l.user_id = ?`, append(args, userID)
	}
	rows, err := s.kit.DB.QueryContext(ctx, query+` ORDER BY l.order_id, c.sign_time, c.id`, args...)
	out, err := scanAll(rows, err, func(row mysqlx.Row) (o app.OrderContract, err error) {
		var content, pdf []byte
		err = row.Scan(append([]any{&o.OrderID}, contractScan(&o.SignedContract, &content, &pdf)...)...)
		copy(o.ContentSHA256[:], content)
		copy(o.PDFSHA256[:], pdf)
		return o, err
	})
	return out, mysqlx.Fault(err, "read the contracts of orders")
}

// ContractFile finds a contract's document by its number.
func (s *Store) ContractFile(ctx context.Context, number string) ([]byte, bool, error) {
	var pdf []byte
	err := s.kit.DB.QueryRowContext(ctx, selectContractFile, number).Scan(&pdf)
	if mysqlx.NoRows(err) {
		return nil, false, nil
	}
	return pdf, err == nil, mysqlx.Fault(err, "read a contract's document")
}
