// Package statetable owns the tables of legal moves: one per entity, and what is
// absent is illegal. The diagrams in the READMEs are generated from them.
//
// It must not know any entity, store a state, or run anything on a move: callers
// check the table and then update a row by id, state and version.
package statetable

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	// ErrIllegalMove is what every *IllegalMoveError is, for errors.Is.
	ErrIllegalMove = errors.New("illegal move")
	// ErrTable is returned for a table that is malformed.
	ErrTable = errors.New("malformed state table")
)

// State is a numbered state with a name. The name is an identifier (letters,
// digits, underscores) and names one number only.
type State interface {
	~int8 | ~int16 | ~int32 | ~uint8
	fmt.Stringer
}

// Move is one legal move. Cause is a few words for people, such as "payment
// succeeded"; it may not hold line breaks or the characters : ; # which Mermaid
// gives a meaning.
type Move[S State] struct {
	From, To S
	Cause    string
}

// Table is the legal moves of one entity. It is immutable and safe for
// concurrent use.
type Table[S State] struct {
	name   string
	moves  []Move[S]
	states []S
}

// IllegalMoveError says which move of which entity is not in the table.
type IllegalMoveError struct {
	// Entity is the name of the table, From and To the names of the states.
	Entity, From, To string
}

// Error is such as "order: illegal move from PAID to CREATED".
func (e *IllegalMoveError) Error() string {
	return fmt.Sprintf("%s: %s from %s to %s", e.Entity, ErrIllegalMove.Error(), e.From, e.To)
}

// Is makes errors.Is(err, ErrIllegalMove) true.
func (e *IllegalMoveError) Is(target error) bool { return target == ErrIllegalMove }

// New is the table of the entity name, which is a word for messages ("order").
// The order of moves is the order of the diagram; the first move starts in the
// initial state. It fails with ErrTable when there is no move, a pair of states
// comes twice, or a name or cause is not writable. A move from a state to itself
// is allowed: it says that the row may change while the state stays.
func New[S State](name string, moves ...Move[S]) (*Table[S], error) {
	if name == "" {
		return nil, fmt.Errorf("%w: no name", ErrTable)
	}
	if len(moves) == 0 {
		return nil, fmt.Errorf("%w %s: no moves", ErrTable, name)
	}
	t := &Table[S]{name: name, moves: slices.Clone(moves)}
	for i, move := range t.moves {
		if strings.TrimSpace(move.Cause) == "" || strings.ContainsAny(move.Cause, "\r\n:;#") {
			return nil, fmt.Errorf("%w %s: cause %q of %s to %s is empty or not writable in a diagram",
				ErrTable, name, move.Cause, move.From, move.To)
		}
		if t.index(move.From, move.To) < i {
			return nil, fmt.Errorf("%w %s: the move from %s to %s comes twice", ErrTable, name, move.From, move.To)
		}
		for _, s := range []S{move.From, move.To} {
			if err := t.addState(s); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

// MustNew is New for package-level variables; it panics where New fails, which
// is at the start of every program and test that imports the table.
func MustNew[S State](name string, moves ...Move[S]) *Table[S] {
	t, err := New(name, moves...)
	if err != nil {
		panic(err)
	}
	return t
}

// addState notes s as known and checks its name.
func (t *Table[S]) addState(s S) error {
	if slices.Contains(t.states, s) {
		return nil
	}
	// Mermaid reads these words, in lower case, as syntax.
	reserved := []string{"end", "state", "note", "direction"}
	identifier := regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
	if !identifier.MatchString(s.String()) || slices.Contains(reserved, s.String()) {
		return fmt.Errorf("%w %s: state %d has the unusable name %q", ErrTable, t.name, int64(s), s.String())
	}
	for _, other := range t.states {
		if other.String() == s.String() {
			return fmt.Errorf("%w %s: states %d and %d are both named %s", ErrTable, t.name, int64(other), int64(s), s)
		}
	}
	t.states = append(t.states, s)
	return nil
}

// index is the place of the first move between two states, or −1.
func (t *Table[S]) index(from, to S) int {
	return slices.IndexFunc(t.moves, func(m Move[S]) bool { return m.From == from && m.To == to })
}

// Name is the entity's name.
func (t *Table[S]) Name() string { return t.name }

// Check returns nil when the move is legal, else an *IllegalMoveError.
func (t *Table[S]) Check(from, to S) error {
	if t.index(from, to) >= 0 {
		return nil
	}
	return &IllegalMoveError{Entity: t.name, From: from.String(), To: to.String()}
}

// States is every state of the table, in the order of first appearance.
func (t *Table[S]) States() []S { return slices.Clone(t.states) }

// Moves is every legal move, in the order given.
func (t *Table[S]) Moves() []Move[S] { return slices.Clone(t.moves) }

// From is the states that s may move to, in the order of the table; nil when
// there is none.
func (t *Table[S]) From(s S) []S {
	var next []S
	for _, move := range t.moves {
		if move.From == s {
			next = append(next, move.To)
		}
	}
	return next
}

// Terminal reports whether s is a state of the table that no move leaves. A
// number that is not in the table is not terminal: it is a mistake.
func (t *Table[S]) Terminal(s S) bool {
	return slices.Contains(t.states, s) && t.From(s) == nil
}

// Initial is the states an entity may be born in: where the first move starts,
// and every state that no other state leads to.
func (t *Table[S]) Initial() []S {
	var initial []S
	for _, s := range t.states {
		entered := slices.ContainsFunc(t.moves, func(m Move[S]) bool { return m.To == s && m.From != s })
		if s == t.moves[0].From || !entered {
			initial = append(initial, s)
		}
	}
	return initial
}

// Mermaid is the table as a Mermaid stateDiagram-v2, without a code fence and
// with a line break at the end. The same table always gives the same text.
func (t *Table[S]) Mermaid() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n")
	for _, s := range t.Initial() {
		fmt.Fprintf(&b, "    [*] --> %s\n", s)
	}
	for _, move := range t.moves {
		fmt.Fprintf(&b, "    %s --> %s: %s\n", move.From, move.To, move.Cause)
	}
	for _, s := range t.states {
		if t.Terminal(s) {
			fmt.Fprintf(&b, "    %s --> [*]\n", s)
		}
	}
	return b.String()
}
