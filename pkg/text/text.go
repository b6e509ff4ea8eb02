// Package text owns what becomes of words that others wrote: cut to a column without breaking a letter, made valid UTF-8, and
// shown with nothing in them that a terminal, a log or a page would obey.
//
// It must not know what a text is about, and it never refuses one: rules for input stand in the contract.
package text

import (
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// ellipsis marks a text that was cut.
const ellipsis = "…"

// Cut returns s as valid UTF-8 of at most most characters, the unit of a VARCHAR column. A longer text ends with an ellipsis and
// is cut between the letters that a reader sees: an accent stays with its letter, a family of emoji stays whole.
func Cut(s string, most int) string {
	s = Valid(s)
	if len(s) <= most || utf8.RuneCountInString(s) <= most {
		return s
	}
	return head(s, most-1, utf8.RuneCountInString) + ellipsis
}

// CutBytes is Cut for a length in bytes, the unit of a VARBINARY column.
func CutBytes(s string, most int) string {
	s = Valid(s)
	if len(s) <= most {
		return s
	}
	if most < len(ellipsis) {
		return head(s, most, func(s string) int { return len(s) })
	}
	return head(s, most-len(ellipsis), func(s string) int { return len(s) }) + ellipsis
}

// head returns as many whole letters of s as fit into room, measured by size. A single letter that is larger than room (a thousand
// accents on one) is cut between its code points.
func head(s string, room int, size func(string) int) string {
	end, state := 0, -1
	for rest := s; rest != ""; {
		var letter string
		letter, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		n := size(letter)
		if n > room {
			if end == 0 {
				return runes(letter, room, size)
			}
			break
		}
		end, room = end+len(letter), room-n
	}
	return s[:end]
}

func runes(s string, room int, size func(string) int) string {
	end := 0
	for i, r := range s {
		n := size(string(r))
		if n > room {
			break
		}
		end, room = i+utf8.RuneLen(r), room-n
	}
	return s[:end]
}

// Valid returns s with every byte that is not UTF-8 replaced by U+FFFD. A text that is valid, nearly every one, is returned as it is.
func Valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// Foreign returns bytes that somebody sent us as one visible line (see Line) of at most most characters.
func Foreign(b []byte, most int) string {
	// A visible character has at least one byte: what lies further back is never shown. utf8.UTFMax keeps the last one whole.
	if room := (most + 1) * utf8.UTFMax; len(b) > room {
		b = b[:room]
	}
	return Cut(Line(string(b)), most)
}
