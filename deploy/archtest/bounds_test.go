package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// timerKinds finds the kinds of timers that a source text names: constants of jobs, columns and sweeps.
func timerKinds(source string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)\bJob[A-Z]\w*\s+=\s+"([a-z_]+)"|jobs\.(?:Column|Sweep)\{Kind: "([a-z_]+)"`).FindAllStringSubmatch(source, -1) {
		out = append(out, m[1]+m[2])
	}
	return out
}

// Every kind of timer stands in ARCHITECTURE's table of what is retried and when it stops.
func TestBounds_EveryTimerStandsInTheTable(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "## What is retried, and when it stops")
	table, _, _ = strings.Cut(table, "\n## ")
	if !found {
		t.Fatal("the table is gone")
	}
	known := map[string]bool{}
	for _, root := range []string{"../../services", "../../pkg"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, kind := range timerKinds(string(source)) {
				known[kind] = true
				if !strings.Contains(table, "`"+kind+"`") {
					t.Errorf("%s: the timer %s has no row in the table of bounds", path, kind)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(known) < 15 {
		t.Errorf("only %d kinds of timers were found; the walk is broken", len(known))
	}
	for source, want := range map[string]string{
		"\tJobNew = \"new_timer\"\n": "new_timer", `return jobs.Sweep{Kind: "new_sweep", Table: "x"}`: "new_sweep",
		`return jobs.Column{Kind: "new_column"}`: "new_column",
	} {
		if got := timerKinds(source); len(got) != 1 || got[0] != want {
			t.Errorf("the walk does not see %s in %q: %v", want, source, got)
		}
	}
}
