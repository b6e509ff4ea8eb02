// Package crash owns the tests that crash things: the whole stack is killed between any two steps of a purchase, of a
// signature, of a repayment, of a refund, of a delivery and of a night's billing, the database and the broker are killed under load. After
// each crash everything must settle by itself, nothing lost and nothing done twice.
//
// It must not help the stack: what a test does after a crash is what callers do, repeat their calls with the same request_id.
package crash
