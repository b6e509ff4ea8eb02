// Package archtest owns the tests that hold the architecture: who may import whom, what each room of a service may know, and
// the limits of style that a machine can check.
//
// It must not hold taste: every rule stands in ARCHITECTURE.md or the style guide, and has a test that shows how it fails.
package archtest
