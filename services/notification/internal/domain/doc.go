// Package domain owns the rules of telling: who hears of which event, how a body is signed, what acknowledges it, when it is repeated,
// where it may be posted, and when an endpoint is left alone for a while.
//
// It has no context, no I/O, no SQL, no protobuf and no clock: time comes in as an argument.
package domain
