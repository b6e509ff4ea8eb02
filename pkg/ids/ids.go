// Package ids owns identifiers: UUIDv7 values of 16 bytes in the database and
// their typed text form, TypeID v0.3 ("ord_01h455vb4pex5vsknk084sn02q"), on the
// wire.
//
// It must not know what an id refers to beyond its prefix, and must not be used
// for secrets: an id tells its time, and 62 random bits resist guessing over the
// network, not an attacker who holds a list to check against.
package ids

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

var (
	// ErrPrefix is returned by Parse for an id of another type or of none.
	ErrPrefix = errors.New("wrong id prefix")
	// ErrLength is returned when the part after the prefix is not 26 characters.
	ErrLength = errors.New("wrong id length")
	// ErrAlphabet is returned for a character outside lower-case Crockford base 32.
	ErrAlphabet = errors.New("illegal character in id")
	// ErrOverflow is returned when the id would exceed 128 bits.
	ErrOverflow = errors.New("id exceeds 128 bits")
)

// Prefix is the type of an id on the wire: up to 63 characters of a–z and, in
// between, underscores. The prefixes of this system are constants.
type Prefix string

// The prefixes of this system. They are part of the public contract: they are
// never renamed and never reused.
const (
	Checkout   Prefix = "chk"
	Order      Prefix = "ord"
	Payment    Prefix = "pay"
	Commit     Prefix = "cmt"
	Quote      Prefix = "quo"
	Loan       Prefix = "lon"
	Instalment Prefix = "ins"
	Bill       Prefix = "bil"
	Refund     Prefix = "rfd"
	Account    Prefix = "acc"
	Product    Prefix = "prd"
	Event      Prefix = "evt"
	Journal    Prefix = "jnl"
	DeadLetter Prefix = "dlq"
	Hold       Prefix = "hld"
	Leg        Prefix = "leg"
	Repayment  Prefix = "rpy"
	Challenge  Prefix = "chl"
	Approval   Prefix = "apr"
	// Notification is what the marketplace told of a cash leg.
	Notification Prefix = "ntf"
	// Endpoint is a subscriber's address, Delivery an event on its way to one, Notice an event's place in the feed.
	Endpoint Prefix = "edp"
	Delivery Prefix = "dlv"
	Notice   Prefix = "ntc"
)

// Valid reports whether p is a prefix that TypeID v0.3 allows. The empty prefix
// is allowed and means an untyped id.
func (p Prefix) Valid() bool {
	if len(p) > 63 || strings.HasPrefix(string(p), "_") || strings.HasSuffix(string(p), "_") {
		return false
	}
	for i := range len(p) {
		if c := p[i]; c != '_' && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// ID is a UUID in its 16 bytes, most significant first, so that ids of one
// Generator sort by age as bytes and as text. It is a comparable value; the zero
// ID means "not set".
type ID [16]byte

// FromUUID is the ID of the same 128 bits.
func FromUUID(u uuid.UUID) ID { return ID(u) }

// UUID is the same 128 bits as a UUID.
func (id ID) UUID() uuid.UUID { return uuid.UUID(id) }

// IsZero reports whether id is the zero ID, "not set".
func (id ID) IsZero() bool { return id == ID{} }

// String is the 26 characters that follow the prefix on the wire: what a log
// line and an API answer have in common. Format adds the prefix.
func (id ID) String() string { return encode(id) }

// Time is the creation time in a UUIDv7, in UTC with millisecond precision. For
// other bits it is a meaningless time.
func (id ID) Time() time.Time {
	var milliseconds int64
	for _, b := range id[:6] {
		milliseconds = milliseconds<<8 | int64(b)
	}
	return time.UnixMilli(milliseconds).UTC()
}

// Format is id in TypeID form: the prefix, "_" and 26 characters. An empty
// prefix gives the 26 characters alone.
func Format(p Prefix, id ID) string {
	if p == "" {
		return encode(id)
	}
	return string(p) + "_" + encode(id)
}

// Parse is the inverse of Format. It accepts exactly one spelling of each id and
// fails with ErrPrefix, ErrLength, ErrAlphabet or ErrOverflow. It does not check
// the UUID version: ids may be imported from elsewhere.
func Parse(p Prefix, s string) (ID, error) {
	if !p.Valid() {
		return ID{}, fmt.Errorf("parse id: %w: %q is not a prefix", ErrPrefix, string(p))
	}
	// The last underscore separates: a prefix may hold others, a suffix none.
	separator := strings.LastIndexByte(s, '_')
	suffix := s[separator+1:]
	if separator == 0 || s[:max(separator, 0)] != string(p) {
		return ID{}, fmt.Errorf("parse id: %w: %.96q, want prefix %q", ErrPrefix, s, string(p))
	}
	id, err := decode(suffix)
	if err != nil {
		return ID{}, fmt.Errorf("parse id %.64q: %w", s, err)
	}
	return id, nil
}

// MarshalText gives the 26 characters of String. JSON uses it too.
func (id ID) MarshalText() ([]byte, error) { return []byte(encode(id)), nil }

// UnmarshalText reads what MarshalText writes. It fails with ErrLength,
// ErrAlphabet or ErrOverflow.
func (id *ID) UnmarshalText(text []byte) error {
	decoded, err := decode(string(text))
	if err != nil {
		return fmt.Errorf("unmarshal id: %w", err)
	}
	*id = decoded
	return nil
}

// Value gives a BINARY(16) column the 16 bytes.
func (id ID) Value() (driver.Value, error) { return id[:], nil }

// Scan reads a BINARY(16) column. NULL and any other length are errors; NullID
// reads a column that may be NULL.
func (id *ID) Scan(src any) error {
	raw, ok := src.([]byte)
	if !ok {
		return fmt.Errorf("scan id: unsupported type %T", src)
	}
	if len(raw) != len(id) {
		return fmt.Errorf("scan id: %w: %d bytes, want %d", ErrLength, len(raw), len(id))
	}
	copy(id[:], raw)
	return nil
}

// First is the smallest id that a generator can make at a time: a bound for queries by time.
func First(t time.Time) ID {
	var id ID
	ms := uint64(max(t.UnixMilli(), 0))
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id
}

// NullID is an ID that may be NULL in the database. ID counts only when Valid.
type NullID struct {
	ID    ID
	Valid bool
}

// Null is id as a NullID; the zero ID becomes NULL.
func Null(id ID) NullID { return NullID{ID: id, Valid: !id.IsZero()} }

// Value gives the column the 16 bytes, or NULL.
func (n NullID) Value() (driver.Value, error) {
	if !n.Valid {
		return nil, nil
	}
	return n.ID.Value()
}

// Scan reads a BINARY(16) column that may be NULL.
func (n *NullID) Scan(src any) error {
	if src == nil {
		*n = NullID{}
		return nil
	}
	var id ID
	if err := id.Scan(src); err != nil {
		return err
	}
	*n = NullID{ID: id, Valid: true}
	return nil
}
