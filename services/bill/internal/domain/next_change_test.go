package domain

import (
	"testing"

	"pgregory.net/rapid"
)

func TestNothingChangesBeforeTheNextChange(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		terms := drawTerms(t)
		facts := drawFacts(t, terms, 4)
		asOf := terms.Start.AddDays(rapid.IntRange(0, terms.lifetime()).Draw(t, "day"))
		// Facts up to the day only: the next change is what time alone brings.
		var known []Fact
		for _, f := range facts {
			if !f.Date.After(asOf) {
				known = append(known, f)
			}
		}
		before, err := Replay(terms, known, asOf)
		if err != nil {
			t.Fatal(err)
		}
		next, more := NextChange(terms, before)
		last := asOf.AddDays(400)
		if more {
			if !next.After(asOf) {
				t.Fatalf("the next change of %s is %s", asOf, next)
			}
			last = next.AddDays(-1)
		}
		after, err := Replay(terms, known, last)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := Lines(before, after)
		if err != nil || len(lines) != 0 {
			t.Fatalf("between %s and %s the journal changes by %v, %v", asOf, last, lines, err)
		}
		for i, in := range after.Instalments {
			if was := before.Instalments[i].State; in.State != was || after.State != before.State {
				t.Fatalf("instalment %d was %s on %s and is %s on %s", in.Sequence, was, asOf, in.State, last)
			}
		}
	})
}
