package ids

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// suffixLength is the length of 128 bits in base 32: 26 characters hold 130
// bits, so the first character is at most '7'.
const suffixLength = 26

// alphabet is Crockford's base 32 in lower case: no i, l, o, u. Unlike
// Crockford's, TypeID's decoder takes no upper case and no look-alikes, so every
// id has one spelling.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// encode writes the 128 bits of id, most significant first, as the TypeID
// suffix (https://github.com/jetify-com/typeid/tree/main/spec, v0.3).
func encode(id ID) string {
	hi, lo := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
	var out [suffixLength]byte
	for i := suffixLength - 1; i >= 0; i-- {
		out[i] = alphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}

// decode is the inverse of encode.
func decode(s string) (ID, error) {
	if len(s) != suffixLength {
		return ID{}, fmt.Errorf("%w: %d characters, want %d", ErrLength, len(s), suffixLength)
	}
	var hi, lo uint64
	for i := range suffixLength {
		digit := strings.IndexByte(alphabet, s[i])
		if digit < 0 {
			return ID{}, fmt.Errorf("%w: %q at position %d", ErrAlphabet, s[i], i)
		}
		if i == 0 && digit > 7 {
			return ID{}, ErrOverflow
		}
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(digit)
	}
	var id ID
	binary.BigEndian.PutUint64(id[:8], hi)
	binary.BigEndian.PutUint64(id[8:], lo)
	return id, nil
}
