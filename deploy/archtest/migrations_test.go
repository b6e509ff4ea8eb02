package archtest

import (
	"path/filepath"
	"strings"
	"testing"
)

// twice returns the files whose number another file of the same folder has.
func twice(files []string) (out []string) {
	seen := map[string]bool{}
	for _, f := range files {
		number, _, _ := strings.Cut(filepath.Base(f), "_")
		key := filepath.Dir(f) + "/" + number
		if seen[key] {
			out = append(out, f)
		}
		seen[key] = true
	}
	return out
}

// Two changes that meet may take the same number: then no service starts.
func TestMigrationNumbersAreUnique(t *testing.T) {
	t.Parallel()
	var files []string
	for _, pattern := range []string{"../../services/*/internal/store/migrations/*.sql", "../../pkg/*/migrations/*.sql", "../../pkg/*/*/migrations/*.sql"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) < 20 {
		t.Fatalf("only %d migrations were found", len(files))
	}
	for _, f := range twice(files) {
		t.Errorf("%s: another migration has this number; give it the next one", f)
	}
	if got := twice([]string{"a/0001_x.sql", "b/0001_x.sql", "a/0001_y.sql"}); len(got) != 1 || got[0] != "a/0001_y.sql" {
		t.Errorf("the rule finds %v", got)
	}
}
