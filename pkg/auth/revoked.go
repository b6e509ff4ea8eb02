package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
)

const (
	// MaxRevocations bounds a revocation list.
	MaxRevocations = 10_000
	// maxRevokedFile bounds its file, in bytes.
	maxRevokedFile = 4 << 20
)

// Revocation is one entry of a revocation list: one token by its id, all tokens of a key, or a caller's tokens that were issued
// before a time. An entry whose last token is over may be removed.
type Revocation struct {
	// TokenID is the "jti" of one token.
	TokenID string `json:"jti,omitempty"`
	// KeyID is the "kid" of a key, for all of its tokens. Removing the key from the key set does the same, for good.
	KeyID string `json:"kid,omitempty"`
	// Kind is a kind of caller, together with one of Name, UserID and MerchantID, and with IssuedBefore.
	Kind string `json:"kind,omitempty"`
	// Name is the caller's own name ("sub").
	Name string `json:"name,omitempty"`
	// UserID is the payer, for H5.
	UserID string `json:"user_id,omitempty"`
	// MerchantID is the merchant, for MERCHANT; "<owner>~<merchant>" in another marketplace than the home one.
	MerchantID string `json:"merchant_id,omitempty"`
	// IssuedBefore is the time before which ("iat") the caller's tokens are refused.
	IssuedBefore time.Time `json:"issued_before,omitzero"`
	// Reason is for people.
	Reason string `json:"reason,omitempty"`
	// Time is when the entry was made, for people.
	Time time.Time `json:"time,omitzero"`
}

// check reports what is wrong with an entry.
func (r Revocation) check() error {
	one := 0
	for _, given := range []bool{r.TokenID != "", r.KeyID != "", r.Kind != ""} {
		if given {
			one++
		}
	}
	if one != 1 {
		return errors.New(`name one of "jti", "kid" and "kind"`)
	}
	whose := 0
	for _, s := range []string{r.Name, r.UserID, r.MerchantID} {
		if s != "" {
			whose++
		}
	}
	kind, known := caller.ParseKind(r.Kind)
	switch {
	case r.Kind == "" && (whose > 0 || !r.IssuedBefore.IsZero()):
		return errors.New(`"name", "user_id", "merchant_id" and "issued_before" go with "kind"`)
	case r.Kind == "":
		return nil
	case !known:
		return fmt.Errorf("kind %q is none of %v", r.Kind, caller.Kinds())
	case whose != 1 || r.UserID != "" && kind != caller.H5 || r.MerchantID != "" && kind != caller.Merchant:
		return errors.New(`"kind" goes with "name", or with "user_id" for H5, or with "merchant_id" for MERCHANT`)
	case r.IssuedBefore.IsZero():
		return errors.New(`"issued_before" is missing: the time before which the tokens were issued, such as "2026-01-31T10:00:00Z"`)
	}
	return nil
}

// revocations is a revocation list, ready to look up.
type revocations struct {
	tokens, keys map[string]struct{}
	// callers holds the times of "issued_before" by claim and caller.
	callers map[[3]string]time.Time
}

// Revocations is a revocation list in a file. It is safe for concurrent use.
type Revocations struct {
	file *watched[*revocations]
}

// LoadRevocations is the revocation list in a file: a JSON array of Revocation, [] for none. The file is looked at again at most once
// a second, and tokens that were verified before are refused as well. While it cannot be read, the list read before stays; report,
// which may be nil, is called with the reason.
func LoadRevocations(path string, report func(error)) (*Revocations, error) {
	file, err := open(path, "revocation list", maxRevokedFile, func(raw []byte) (*revocations, error) {
		entries, err := parseRevocations(raw)
		if err != nil {
			return nil, err
		}
		return newRevocations(entries), nil
	}, report)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; write [] into it for an empty list", err)
	}
	if err != nil {
		return nil, err
	}
	return &Revocations{file: file}, nil
}

// Revoke adds an entry to the revocation list in a file, which is made when it is missing.
func Revoke(path string, r Revocation) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	entries := []Revocation{}
	raw, err := os.ReadFile(path)
	switch {
	case err == nil:
		if entries, err = parseRevocations(raw); err != nil {
			return fmt.Errorf("revoke: read %s: %w", path, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("revoke: %w", err)
	}
	if len(entries) == MaxRevocations {
		return fmt.Errorf("revoke: the list has %d entries; remove those whose last token is over", MaxRevocations)
	}
	return replaceFile(path, append(entries, r), 0o644)
}

func parseRevocations(raw []byte) ([]Revocation, error) {
	var entries []Revocation
	if err := decodeStrictly(raw, &entries); err != nil {
		return nil, err
	}
	if len(entries) > MaxRevocations {
		return nil, fmt.Errorf("%w: %d revocations, at most %d", ErrKeyFile, len(entries), MaxRevocations)
	}
	for i, r := range entries {
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("%w: revocation %d: %w", ErrKeyFile, i+1, err)
		}
	}
	return entries, nil
}

func newRevocations(entries []Revocation) *revocations {
	list := &revocations{tokens: map[string]struct{}{}, keys: map[string]struct{}{}, callers: map[[3]string]time.Time{}}
	for _, r := range entries {
		switch {
		case r.TokenID != "":
			list.tokens[r.TokenID] = struct{}{}
		case r.KeyID != "":
			list.keys[r.KeyID] = struct{}{}
		default:
			for claim, value := range map[string]string{"sub": r.Name, "user_id": r.UserID, "merchant_id": r.MerchantID} {
				key := [3]string{r.Kind, claim, value}
				if value != "" && r.IssuedBefore.After(list.callers[key]) {
					list.callers[key] = r.IssuedBefore
				}
			}
		}
	}
	return list
}

// state is the list as it stands; nil without one.
func (r *Revocations) state(now time.Time) *snapshot[*revocations] {
	if r == nil {
		return nil
	}
	return r.file.get(now)
}

// refuseRevoked fails with errs.TokenInvalid for a token that the list names.
func refuseRevoked(list *snapshot[*revocations], keyID string, body jwt.RegisteredClaims, c caller.Caller) error {
	if list == nil {
		return nil
	}
	_, token := list.value.tokens[body.ID]
	_, key := list.value.keys[keyID]
	revoked := token && body.ID != "" || key && keyID != ""
	merchant := caller.QualifiedUserID(c.Owner, c.MerchantID)
	for claim, value := range map[string]string{"sub": c.Name, "user_id": c.UserID, "merchant_id": merchant} {
		before, named := list.value.callers[[3]string{c.Kind.String(), claim, value}]
		revoked = revoked || named && body.IssuedAt.Before(before)
	}
	if revoked {
		return errs.TokenInvalid.New("the token was revoked; sign in again")
	}
	return nil
}
