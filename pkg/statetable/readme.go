package statetable

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// UpdateEnv is the environment variable that makes SyncReadme rewrite the README
// when it is "1".
const UpdateEnv = "UPDATE_DOCS"

var (
	// errStale says that the README differs from the table.
	errStale = errors.New("the state diagram is out of date")
	// errMarkers says that the README has no place for the diagram.
	errMarkers = errors.New("the README has no such block")
)

// TB is what SyncReadme needs of *testing.T.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// SyncReadme fails the test when the README at path does not show diagram
// between the lines
//
//	<!-- states:MARKER begin -->
//	<!-- states:MARKER end -->
//
// each of which it must hold exactly once. With UPDATE_DOCS=1 it rewrites the
// block instead. diagram is the text of Table.Mermaid; the code fence is added.
func SyncReadme(t TB, path, marker, diagram string) {
	t.Helper()
	if err := syncReadme(path, marker, diagram, os.Getenv(UpdateEnv)); err != nil {
		t.Fatalf("%v", err)
	}
}

// syncReadme is SyncReadme; update is the value of the environment variable.
func syncReadme(path, marker, diagram, update string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("sync state diagram: %w", err)
	}
	current := string(raw)
	wanted, err := replaceBlock(current, marker, diagram)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if wanted == current {
		return nil
	}
	if update != "1" {
		return fmt.Errorf("%s: %w between the markers states:%s; run this test with %s=1 to rewrite it to:\n%s",
			path, errStale, marker, UpdateEnv, diagram)
	}
	// The mode only counts for a new file; this one exists and keeps its own.
	if err := os.WriteFile(path, []byte(wanted), 0o644); err != nil {
		return fmt.Errorf("sync state diagram: %w", err)
	}
	return nil
}

// replaceBlock is text with diagram, fenced, between the two marker lines.
func replaceBlock(text, marker, diagram string) (string, error) {
	begin := fmt.Sprintf("<!-- states:%s begin -->", marker)
	end := fmt.Sprintf("<!-- states:%s end -->", marker)
	if strings.Count(text, begin) != 1 || strings.Count(text, end) != 1 {
		return "", fmt.Errorf("%w: it needs the line %q once and, after it, %q once", errMarkers, begin, end)
	}
	before, rest, _ := strings.Cut(text, begin)
	_, after, found := strings.Cut(rest, end)
	if !found {
		return "", fmt.Errorf("%w: %q comes before %q", errMarkers, end, begin)
	}
	return before + begin + "\n```mermaid\n" + strings.TrimRight(diagram, "\n") + "\n```\n" + end + after, nil
}
