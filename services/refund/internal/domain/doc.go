// Package domain owns the rules of refunds: what may be refunded, how it parts into credit and cash, who must approve it, and the states
// of a refund and of its legs.
//
// It must not know a database, a clock, a message or another service.
package domain
