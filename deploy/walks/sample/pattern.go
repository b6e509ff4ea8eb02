package sample

import (
	"fmt"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// longestText is more than any field takes.
const longestText = 1 << 20

// Unbounded is the length of what a pattern without an end matches.
const Unbounded = -1

// PatternMax returns how many characters a pattern matches at most, or Unbounded.
func PatternMax(pattern string) (int, error) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, fmt.Errorf("read pattern %s: %w", pattern, err)
	}
	// A pattern that does not hold both ends matches texts with anything before or behind.
	if !strings.HasPrefix(pattern, "^") || !strings.HasSuffix(pattern, "$") {
		return Unbounded, nil
	}
	return longest(re), nil
}

func longest(re *syntax.Regexp) int {
	switch re.Op { //nolint:exhaustive // the others are made of parts, or match no character
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpStar, syntax.OpPlus:
		return Unbounded
	case syntax.OpRepeat:
		if inner := longest(re.Sub[0]); re.Max >= 0 && inner != Unbounded {
			return inner * re.Max
		}
		return Unbounded
	}
	total := 0
	for _, sub := range re.Sub {
		inner := longest(sub)
		switch {
		case inner == Unbounded:
			return Unbounded
		case re.Op == syntax.OpAlternate:
			total = max(total, inner)
		default:
			total += inner
		}
	}
	return total
}

// matching writes a text that a pattern matches: with every part as often as it may come, or as seldom as it must but once. Other
// numbers make other texts.
type matching struct {
	large  bool
	most   int
	number int
	plain  bool
	out    strings.Builder
}

func (m *matching) write(re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpLiteral:
		m.out.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		m.out.WriteRune(m.pick(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		m.out.WriteRune('x')
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		for range m.times(re) {
			m.write(re.Sub[0])
		}
	case syntax.OpAlternate:
		best := re.Sub[0]
		for _, sub := range re.Sub {
			if longest(sub) > longest(best) && (m.large || longest(best) == 0) {
				best = sub
			}
		}
		m.write(best)
	default:
		for _, sub := range re.Sub {
			m.write(sub)
		}
	}
}

func (m *matching) times(re *syntax.Regexp) int {
	switch {
	case re.Op != syntax.OpRepeat:
		return 1
	case m.large && re.Max >= 0:
		return max(min(re.Max, m.most), re.Min)
	default:
		return max(re.Min, 1)
	}
}

// pick takes a character of a class: a letter or digit while the number is zero, else one by the number's next digit.
func (m *matching) pick(ranges []rune) rune {
	size := 0
	for i := 0; i < len(ranges); i += 2 {
		size += int(ranges[i+1]-ranges[i]) + 1
	}
	if m.plain {
		for _, plain := range "x1X" {
			for i := 0; i < len(ranges); i += 2 {
				if plain >= ranges[i] && plain <= ranges[i+1] {
					return plain
				}
			}
		}
	}
	index := m.number % size
	m.number /= size
	for i := 0; i < len(ranges); i += 2 {
		if width := int(ranges[i+1]-ranges[i]) + 1; index >= width {
			index -= width
			continue
		}
		return ranges[i] + rune(index) //nolint:gosec // below the width of a range of characters
	}
	return ranges[0]
}

// matched returns a text that a pattern matches, of at most most characters unless that is zero.
func matched(pattern string, large bool, most, number int) string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return pattern // the validator finds the mistake
	}
	if most == 0 {
		most = longestText
	}
	// A pattern may match more than the field takes: its parts are repeated less often until it fits.
	for times := most; ; times-- {
		m := matching{large: large, most: times, number: number, plain: number == 0}
		m.write(re)
		if text := m.out.String(); utf8.RuneCountInString(text) <= most || times == 0 {
			return text
		}
	}
}
