// Package rpckit owns everything between gRPC and a service's verbs: the one mapping of errors to the wire and back, who may call
// which method, and what happens to every call on its way in (limits, identity, deadline, validation, metrics, log) and out.
//
// It must not know a service, a verb or a business rule.
package rpckit
