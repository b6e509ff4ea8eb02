// Package domain owns the rules of checkouts and orders: their states and legal moves, what a checkout must look like, what
// begins, settles, expires and cancels it, and the sums that a payer sees.
//
// It must not do I/O, know SQL, protobuf or a context, or read a clock: times and ids are passed in.
package domain
