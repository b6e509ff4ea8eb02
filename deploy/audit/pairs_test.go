package audit

import (
	"os"
	"strings"
	"testing"
)

func TestPairs_AgreeAndContradict(t *testing.T) {
	t.Parallel()
	of := func(state string, minor int64) fact { return fact{state, minor} }
	nothing := fact{}
	for name, c := range map[string]struct {
		wrong func([]fact) string
		seen  []fact
		agree bool
	}{
		"repaid":                         {repaymentAgainstLeg, []fact{of("SUCCEEDED u IDR", 5), of("SUCCEEDED u IDR", 5)}, true},
		"a forged success":               {repaymentAgainstLeg, []fact{of("SUCCEEDED u IDR", 7_000_000), of("PENDING u IDR", 7_000_000)}, false},
		"a success without a leg":        {repaymentAgainstLeg, []fact{of("SUCCEEDED u IDR", 5), nothing}, false},
		"cash of nobody":                 {repaymentAgainstLeg, []fact{nothing, of("SUCCEEDED u IDR", 5)}, false},
		"a leg of nobody":                {repaymentAgainstLeg, []fact{nothing, of("PENDING u IDR", 5)}, false},
		"cash that is not booked":        {repaymentAgainstLeg, []fact{of("PENDING u IDR", 5), of("SUCCEEDED u IDR", 5)}, false},
		"another amount":                 {repaymentAgainstLeg, []fact{of("SUCCEEDED u IDR", 5), of("SUCCEEDED u IDR", 6)}, false},
		"another user":                   {repaymentAgainstLeg, []fact{of("SUCCEEDED u IDR", 5), of("SUCCEEDED v IDR", 5)}, false},
		"bounced at one end":             {repaymentAgainstLeg, []fact{of("SUCCEEDED u IDR", 5), of("REVERSED u IDR", 5)}, false},
		"bounced":                        {repaymentAgainstLeg, []fact{of("BOUNCED u IDR", 5), of("REVERSED u IDR", 5)}, true},
		"not yet opened":                 {repaymentAgainstLeg, []fact{of("PENDING u IDR", 5), nothing}, true},
		"came too late":                  {repaymentAgainstLeg, []fact{of("FAILED u IDR", 5), of("RETURNING u IDR", 5)}, true},
		"failed with the cash there":     {repaymentAgainstLeg, []fact{of("FAILED u IDR", 5), of("SUCCEEDED u IDR", 5)}, false},
		"a part goes back":               {refundPart, []fact{of("BACK", 5), of("RETURNING", 5), of("RETURNING", 5)}, true},
		"a part is not asked for yet":    {refundPart, []fact{of("BACK", 5), nothing, of("PENDING", 5)}, true},
		"a part is kept":                 {refundPart, []fact{of("KEPT", 5), of("ABANDONED", 5), of("KEPT", 5)}, true},
		"a part is kept and goes back":   {refundPart, []fact{of("KEPT", 5), of("RETURNED", 5), of("RETURNED", 5)}, false},
		"a part is given up":             {refundPart, []fact{of("BACK", 5), of("ABANDONED", 5), of("KEPT", 5)}, false},
		"an invented return":             {refundPart, []fact{nothing, of("RETURNED", 5), nothing}, false},
		"more goes back":                 {refundPart, []fact{of("BACK", 5), of("RETURNED", 6), of("RETURNED", 5)}, false},
		"the refund knows of none":       {refundPart, []fact{of("BACK", 5), of("RETURNED", 5), nothing}, false},
		"returned by nobody":             {refundPart, []fact{of("BACK", 5), nothing, of("RETURNED", 5)}, false},
		"kept by the refund only":        {refundPart, []fact{of("BACK", 5), nothing, of("KEPT", 5)}, false},
		"a leg and its return":           {legAgainstReturn, []fact{of("RETURNED", 5), of("RETURNED", 5)}, true},
		"a leg that was given up":        {legAgainstReturn, []fact{of("KEPT", 5), of("ABANDONED", 5)}, true},
		"a leg that went on":             {legAgainstReturn, []fact{of("RETURNING", 5), of("RETURNED", 5)}, false},
		"a leg without a return":         {legAgainstReturn, []fact{of("RETURNED", 5), nothing}, false},
		"down payment":                   {downPayment, []fact{of("BEGUN", 5), of("PAID", 5)}, true},
		"down payment waits":             {downPayment, []fact{of("DRAFT", 5), nothing}, true},
		"down payment was not paid":      {downPayment, []fact{of("BEGUN", 5), nothing}, false},
		"down payment of nobody":         {downPayment, []fact{nothing, of("PAID", 5)}, false},
		"down payment of another":        {downPayment, []fact{of("DRAFT", 5), of("PAID", 6)}, false},
		"equal":                          {equal, []fact{of("KEPT u", 5), of("KEPT u", 5)}, true},
		"an invented credit balance":     {equal, []fact{nothing, of("KEPT u", 5_000_000)}, false},
		"a credit balance of a stranger": {equal, []fact{of("KEPT u", 5), of("KEPT v", 5)}, false},
	} {
		if got := c.wrong(c.seen); (got == "") != c.agree {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestPairs_NameBooksThatExist: a pair without a query would compare nothing.
func TestPairs_NameBooksThatExist(t *testing.T) {
	t.Parallel()
	a, err := open(Config{Order: "u@tcp(localhost)/x", Payment: "u@tcp(localhost)/x", Bill: "u@tcp(localhost)/x", Refund: "u@tcp(localhost)/x"})
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	used := map[book]bool{}
	for _, p := range pairs() {
		for _, b := range p.books {
			used[b] = true
		}
	}
	for _, s := range a.schemas {
		for name, query := range s.books {
			if b := (book{s.name, name}); !used[b] || !strings.Contains(query, "ORDER BY") {
				t.Errorf("%v is compared with nothing, or has no order", b)
			}
			delete(used, book{s.name, name})
		}
	}
	for b := range used {
		t.Errorf("%v does not exist", b)
	}
}

// TestPairs_StandInTheReadme: UPDATE_DOCS=1 rewrites it.
func TestPairs_StandInTheReadme(t *testing.T) {
	t.Parallel()
	const path, begin, end = "README.md", "<!-- pairs begin -->\n", "<!-- pairs end -->\n"
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	table := "| check | books of | what must hold |\n|---|---|---|\n"
	for _, p := range pairs() {
		table += "| `" + p.name + "` | " + strings.Join(Pairs()[p.name], ", ") + " | " + p.rule + " |\n"
	}
	before, rest, found := strings.Cut(string(raw), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s lacks the lines %q and %q", path, begin, end)
	}
	want := before + begin + table + end + after
	if want == string(raw) {
		return
	}
	if os.Getenv("UPDATE_DOCS") != "1" {
		t.Fatalf("%s holds another table; run this test with UPDATE_DOCS=1 to write:\n%s", path, table)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
