// Package approval owns the rules of acts that need more than one person: tiers, sums, votes, and changes of the tiers.
//
// It is pure: no SQL, no contract, no clock. Package desk stores what these rules decide. It must not know what any act does.
package approval

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Subject is the canonical form of who asks or decides: two callers with one Subject are one person. Only Canonical makes it.
type Subject string

// canonicalRounds bounds the repetitions of Canonical. Folding can make text that normalises to something that folds again; two rounds
// are the most that Unicode needs.
const canonicalRounds = 4

// Canonical returns the Subject of a caller as caller.Caller.String writes it, "ADMIN:alice": the text case-folded and in normalisation form
// NFKC, without characters that nobody sees and without white space around it. It is the one function that compares requesters, approvers
// and those who reject. Operators have one space of names whoever signed them in, so the issuer is no part of it: alice of the directory
// does not approve what alice asked for with a token of our own key.
func Canonical(who string) Subject {
	fold := cases.Fold()
	text := who
	for range canonicalRounds {
		next := strings.TrimSpace(norm.NFKC.String(fold.String(norm.NFKC.String(strings.Map(seen, text)))))
		if next == text {
			break
		}
		text = next
	}
	return Subject(text)
}

// seen drops the characters that leave no mark: controls, format characters such as zero-width joiners and direction marks, and variation
// selectors.
func seen(r rune) rune {
	if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) {
		return -1
	}
	return r
}

// Person is somebody who asks or decides.
type Person struct {
	// Name is who, as shown.
	Name string
	// Subject is the canonical form of Name.
	Subject Subject
}

// PersonOf returns the person of a caller as caller.Caller.String writes it.
func PersonOf(name string) Person { return Person{Name: name, Subject: Canonical(name)} }
