// Package e2e owns the journeys end to end: tests that start the real development stack, call it as the marketplace, the payer's
// page and an operator do (gRPC and REST), and prove the books at the end.
//
// It must not reach into a service: what a test wants to know it asks over the wire. Only the tests of the audit itself, and those
// which show that a refused call changed nothing, look at the schemas.
package e2e
