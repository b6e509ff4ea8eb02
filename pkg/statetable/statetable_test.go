package statetable_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/creditpay/creditpay/pkg/statetable"
)

// leg is a small entity; its names come from the number.
type leg int8

const (
	created leg = iota + 1
	sent
	paid
	failed
	imported
)

func (s leg) String() string {
	switch s {
	case created:
		return "CREATED"
	case sent:
		return "SENT"
	case paid:
		return "PAID"
	case failed:
		return "FAILED"
	case imported:
		return "IMPORTED"
	default:
		return fmt.Sprintf("LEG_%d", int8(s))
	}
}

func legs() *statetable.Table[leg] {
	return statetable.MustNew("leg",
		statetable.Move[leg]{From: created, To: sent, Cause: "request written"},
		statetable.Move[leg]{From: sent, To: sent, Cause: "asked again"},
		statetable.Move[leg]{From: sent, To: paid, Cause: "channel confirms"},
		statetable.Move[leg]{From: sent, To: failed, Cause: "channel refuses"},
		statetable.Move[leg]{From: failed, To: created, Cause: "retried"},
		statetable.Move[leg]{From: imported, To: paid, Cause: "found in a statement"},
	)
}

func TestOnlyListedMovesAreLegal(t *testing.T) {
	t.Parallel()
	table := legs()
	legal := map[[2]leg]bool{
		{created, sent}: true, {sent, sent}: true, {sent, paid}: true, {sent, failed}: true,
		{failed, created}: true, {imported, paid}: true,
	}
	for from := leg(-1); from <= 7; from++ {
		for to := leg(-1); to <= 7; to++ {
			err := table.Check(from, to)
			if legal[[2]leg{from, to}] {
				if err != nil {
					t.Errorf("%v to %v: %v", from, to, err)
				}
				continue
			}
			var illegal *statetable.IllegalMoveError
			if !errors.As(err, &illegal) || !errors.Is(err, statetable.ErrIllegalMove) {
				t.Fatalf("%v to %v: %v, want an IllegalMoveError", from, to, err)
			}
			if *illegal != (statetable.IllegalMoveError{Entity: "leg", From: from.String(), To: to.String()}) {
				t.Errorf("%v to %v reports %+v", from, to, *illegal)
			}
		}
	}
	if got, want := table.Check(paid, created).Error(), "leg: illegal move from PAID to CREATED"; got != want {
		t.Errorf("the message is %q, want %q", got, want)
	}
}

func TestStatesKnowTheirNeighbours(t *testing.T) {
	t.Parallel()
	table := legs()
	if got := table.From(sent); !slices.Equal(got, []leg{sent, paid, failed}) {
		t.Errorf("From(SENT) = %v", got)
	}
	if got := table.From(paid); got != nil {
		t.Errorf("From(PAID) = %v, want none", got)
	}
	if got := table.States(); !slices.Equal(got, []leg{created, sent, paid, failed, imported}) {
		t.Errorf("States = %v", got)
	}
	// CREATED is where the first move starts, though a retry leads back to it.
	if got := table.Initial(); !slices.Equal(got, []leg{created, imported}) {
		t.Errorf("Initial = %v", got)
	}
	for s := leg(-1); s <= 7; s++ {
		if got := table.Terminal(s); got != (s == paid) {
			t.Errorf("Terminal(%v) = %t", s, got)
		}
	}
	if table.Name() != "leg" || len(table.Moves()) != 6 {
		t.Errorf("Name = %q with %d moves", table.Name(), len(table.Moves()))
	}
}

func TestCallersCannotChangeATable(t *testing.T) {
	t.Parallel()
	moves := []statetable.Move[leg]{{From: created, To: sent, Cause: "sent"}}
	table := statetable.MustNew("leg", moves...)
	moves[0].To = paid
	table.Moves()[0].To = paid
	table.States()[1] = paid
	if err := table.Check(created, sent); err != nil || table.Terminal(paid) {
		t.Errorf("the table changed: %v, %v", err, table.States())
	}
}

func TestMermaidIsTheTable(t *testing.T) {
	t.Parallel()
	want := `stateDiagram-v2
    [*] --> CREATED
    [*] --> IMPORTED
    CREATED --> SENT: request written
    SENT --> SENT: asked again
    SENT --> PAID: channel confirms
    SENT --> FAILED: channel refuses
    FAILED --> CREATED: retried
    IMPORTED --> PAID: found in a statement
    PAID --> [*]
`
	for range 20 {
		if got := legs().Mermaid(); got != want {
			t.Fatalf("Mermaid =\n%s\nwant\n%s", got, want)
		}
	}
}

// named is a state whose name the test chooses.
type named uint8

func (s named) String() string {
	return []string{"A", "B", "A", "has space", "end", "", "9x", "Ünicode"}[s]
}

func TestMalformedTablesAreRefused(t *testing.T) {
	t.Parallel()
	move := func(from, to named, cause string) statetable.Move[named] {
		return statetable.Move[named]{From: from, To: to, Cause: cause}
	}
	tests := []struct {
		name   string
		entity string
		moves  []statetable.Move[named]
	}{
		{"no name", "", []statetable.Move[named]{move(0, 1, "go")}},
		{"no moves", "x", nil},
		{"a pair twice", "x", []statetable.Move[named]{move(0, 1, "go"), move(1, 0, "back"), move(0, 1, "again")}},
		{"no cause", "x", []statetable.Move[named]{move(0, 1, "")}},
		{"blank cause", "x", []statetable.Move[named]{move(0, 1, "  ")}},
		{"colon in the cause", "x", []statetable.Move[named]{move(0, 1, "a: b")}},
		{"line break in the cause", "x", []statetable.Move[named]{move(0, 1, "a\nb")}},
		{"two numbers of one name", "x", []statetable.Move[named]{move(0, 1, "go"), move(1, 2, "go")}},
		{"space in a state", "x", []statetable.Move[named]{move(0, 3, "go")}},
		{"reserved word", "x", []statetable.Move[named]{move(0, 4, "go")}},
		{"nameless state", "x", []statetable.Move[named]{move(5, 0, "go")}},
		{"state begins with a digit", "x", []statetable.Move[named]{move(0, 6, "go")}},
		{"state is not ASCII", "x", []statetable.Move[named]{move(0, 7, "go")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if table, err := statetable.New(tt.entity, tt.moves...); !errors.Is(err, statetable.ErrTable) || table != nil {
				t.Errorf("New = %v, %v; want ErrTable", table, err)
			}
			defer func() {
				if recover() == nil {
					t.Error("MustNew did not panic")
				}
			}()
			statetable.MustNew(tt.entity, tt.moves...)
		})
	}
}

func TestCheckAgreesWithTheListOfMoves(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		listed := map[[2]leg]bool{}
		var moves []statetable.Move[leg]
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 99), 1, 30).Draw(t, "pairs") {
			pair := [2]leg{leg(n / 10), leg(n % 10)}
			if !listed[pair] {
				listed[pair] = true
				moves = append(moves, statetable.Move[leg]{From: pair[0], To: pair[1], Cause: "go"})
			}
		}
		table, err := statetable.New("leg", moves...)
		if err != nil {
			t.Fatal(err)
		}
		arrows := len(moves) + len(table.Initial())
		for from := leg(0); from < 10; from++ {
			if table.Terminal(from) {
				arrows++
			}
			for to := leg(0); to < 10; to++ {
				allowed := table.Check(from, to) == nil
				if allowed != listed[[2]leg{from, to}] || allowed != slices.Contains(table.From(from), to) {
					t.Fatalf("%v to %v: allowed %t", from, to, allowed)
				}
			}
		}
		if got := strings.Count(table.Mermaid(), "-->"); got != arrows || len(table.Initial()) == 0 {
			t.Fatalf("the diagram has %d arrows, want %d", got, arrows)
		}
	})
}
