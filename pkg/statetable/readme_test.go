package statetable_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creditpay/creditpay/pkg/statetable"
)

// recorder is a TB that remembers the first failure instead of stopping.
type recorder struct{ failure string }

func (*recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	if r.failure == "" {
		r.failure = fmt.Sprintf(format, args...)
	}
}

const readme = "# Leg\n\n<!-- states:leg begin -->\n%s<!-- states:leg end -->\n\nMore words.\n"

// write makes a README and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

// read is the text of a file.
func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestSyncReadmeFailsOnAnOldDiagramAndSaysHowToUpdate(t *testing.T) {
	t.Setenv(statetable.UpdateEnv, "")
	old := fmt.Sprintf(readme, "```mermaid\nstateDiagram-v2\n```\n")
	path := write(t, old)
	var r recorder
	statetable.SyncReadme(&r, path, "leg", legs().Mermaid())
	for _, part := range []string{path, "out of date", "UPDATE_DOCS=1", "CREATED --> SENT: request written"} {
		if !strings.Contains(r.failure, part) {
			t.Errorf("the failure %q does not say %q", r.failure, part)
		}
	}
	if read(t, path) != old {
		t.Error("the README was changed without being asked to")
	}
}

func TestSyncReadmeRewritesOnlyItsBlockWhenAsked(t *testing.T) {
	for _, inside := range []string{"", "old\n", "```mermaid\nstateDiagram-v2\n```\n"} {
		path := write(t, fmt.Sprintf(readme, inside))
		t.Setenv(statetable.UpdateEnv, "1")
		var r recorder
		statetable.SyncReadme(&r, path, "leg", legs().Mermaid())
		want := fmt.Sprintf(readme, "```mermaid\n"+legs().Mermaid()+"```\n")
		if got := read(t, path); got != want || r.failure != "" {
			t.Errorf("the README became %q, failure %q", got, r.failure)
		}
		if stat, err := os.Stat(path); err != nil || stat.Mode().Perm() != 0o640 {
			t.Errorf("the file's mode changed: %v, %v", stat.Mode(), err)
		}
		// What was rewritten is in step.
		t.Setenv(statetable.UpdateEnv, "")
		statetable.SyncReadme(&r, path, "leg", legs().Mermaid())
		if r.failure != "" {
			t.Errorf("after the rewrite: %s", r.failure)
		}
	}
}

func TestSyncReadmeFailsWithoutExactlyOneBlock(t *testing.T) {
	const begin, end = "<!-- states:leg begin -->\n", "<!-- states:leg end -->\n"
	for _, text := range []string{
		"", begin, end, end + begin, begin + end + begin + end,
		"<!-- states:other begin -->\n<!-- states:other end -->\n",
	} {
		for _, update := range []string{"", "1"} {
			t.Setenv(statetable.UpdateEnv, update)
			path := write(t, text)
			var r recorder
			statetable.SyncReadme(&r, path, "leg", legs().Mermaid())
			if !strings.Contains(r.failure, "states:leg begin") || read(t, path) != text {
				t.Errorf("%q with update %q: failure %q", text, update, r.failure)
			}
		}
	}
	var r recorder
	statetable.SyncReadme(&r, filepath.Join(t.TempDir(), "missing.md"), "leg", "x")
	if !strings.Contains(r.failure, "missing.md") {
		t.Errorf("a missing README: failure %q", r.failure)
	}
}
