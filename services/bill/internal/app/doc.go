// Package app owns the verbs of the bill service: what a quote, a reservation, a
// release, an activation and an operator's change do, in which unit of work, and
// how a repeated request gets its first answer again.
//
// It must not know SQL, protocol messages, gRPC or Kafka. Rules and arithmetic are
// the domain's; rows are the store's, behind the small interfaces declared here.
package app
