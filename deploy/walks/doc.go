// Package walks holds tests that walk the whole contract and find a new RPC, message or field by themselves.
//
// It holds no code of the suite.
package walks
